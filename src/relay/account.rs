//! What a client's next line in the access log will say, collected as it happens.
//!
//! There is one account for a TCP connection and one for each exchange of HTTP, and none without an
//! access log. Nothing here decides anything; [`super::report`] begins accounts and writes their
//! lines.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::access_log::{AskedFor, Cause, Ending, Times, When, Who, Why};
use crate::backends::ServerId;
use crate::context::Context;
use crate::guard::{Quota, RuleId};
use crate::hello::Alert;
use crate::http::BadHead;
use crate::http::{BadBody, RequestHead, Version};
use crate::net::Fault;
use crate::stats::Moved;
use crate::stats::traffic::Blame;

use super::verdict::Reason;

/// A connection of TCP, or one exchange of HTTP.
#[derive(Debug)]
pub struct Account {
    pub(super) began: Instant,
    pub(super) about: About,
    /// When the request's head or the ClientHello was whole; of plain TCP, when the client came.
    /// `None` before that.
    pub(super) asked_at: Option<Instant>,
    pub(super) backend: Option<ServerId>,
    connected_at: Option<Instant>,
    answered_at: Option<Instant>,
    pub(super) status: u16,
    /// Bytes of the answer's head, which do not count as body; 0 for TCP.
    pub(super) head_bytes: u64,
    /// What the pair had moved when the account began.
    pub(super) before: Moved,
    pub(super) retries: usize,
    /// For how long it waited for a backend of its pool.
    queued: Duration,
    /// It waits for one now.
    is_waiting: bool,
    /// Backends that were asked before this one.
    pub(super) tried: Vec<ServerId>,
    /// Why it did not come to its end, or was answered here; `None` until that is so.
    pub(super) why: Option<Why<'static>>,
}

/// What is accounted for.
#[derive(Debug)]
pub(super) enum About {
    /// Bytes; for TLS the server name that the client asked for, if it said one.
    Tcp(Option<Box<str>>),
    /// A handshake of TLS that failed, and why.
    Handshake(Box<str>),
    /// Bytes that are not, or not yet, a valid head.
    NoRequest,
    Request(RequestText),
}

/// What is spoken on what is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Nobody knows: bytes.
    Bytes,
    /// HTTP, and the head of a request is not whole.
    NoRequest,
    /// HTTP, and it is in the middle of an exchange.
    Http,
}

/// Why something was closed that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    pub cause: Cause,
    /// Where the cause does not say it all.
    pub fault: Option<Fault>,
}

/// What the line quotes of a request, as the client wrote it, in one allocation.
#[derive(Debug)]
pub(super) struct RequestText {
    text: Vec<u8>,
    /// Where method, target, host, referer and user agent end.
    ends: [usize; 5],
    version: Version,
}

/// What the detail of a line ends with where no other backend was asked for want of budget.
const OVER_BUDGET: &str = "too many retries to ask another one";

impl Account {
    /// An account of what began at `began`, when the pair had moved `before`.
    pub(super) fn new(began: Instant, about: About, before: Moved) -> Box<Account> {
        Box::new(Account {
            began,
            about,
            asked_at: None,
            backend: None,
            connected_at: None,
            answered_at: None,
            status: 0,
            head_bytes: 0,
            before,
            retries: 0,
            queued: Duration::ZERO,
            is_waiting: false,
            tried: Vec::new(),
            why: None,
        })
    }

    /// A backend was picked, for the `retries`th time after the first.
    pub fn picked(&mut self, backend: ServerId, retries: usize) {
        if let Some(before) = self.backend.replace(backend).filter(|&before| before != backend)
        {
            self.tried.push(before);
        }
        self.retries = retries;
        self.connected_at = None;
    }

    /// It waits for a backend of its pool.
    pub fn waits(&mut self) {
        self.is_waiting = true;
    }

    /// It does not any more, and did for so long.
    pub fn waited(&mut self, time: Duration) {
        self.is_waiting = false;
        self.queued = time;
    }

    /// It waited in vain, for so long.
    pub fn waited_in_vain(&mut self, time: Duration) {
        self.queued = time;
    }

    /// The connection to it was made.
    pub fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// The head of its answer was passed on, in `head_bytes` bytes.
    pub fn answered(&mut self, status: u16, head_bytes: u64, now: Instant) {
        self.status = status;
        self.head_bytes = head_bytes;
        self.answered_at = Some(now);
    }

    /// Which side ended it, and in which phase: the two letters of the line.
    pub(super) fn ending_of(&self, cause: Cause) -> Ending {
        let is_tcp = matches!(self.about, About::Tcp(_));
        if self.is_waiting || matches!(cause, Cause::QueueFull | Cause::QueueTimeout) {
            return Ending { who: cause.who(), when: When::Queue };
        }
        let reached = match (self.answered_at, self.connected_at, self.backend) {
            (Some(_), ..) => When::Data,
            (None, Some(_), _) if is_tcp => When::Data,
            (None, Some(_), _) => When::Head,
            (None, None, Some(_)) => When::Connect,
            (None, None, None) if is_tcp && self.asked_at.is_some() => When::Connect,
            (None, None, None) => When::Request,
        };
        let when = match cause {
            Cause::AllDown | Cause::NoRoom if reached == When::Request => When::Connect,
            Cause::BodyStalled | Cause::BodyCutShort | Cause::MinRate => When::Data,
            Cause::BadBody if reached == When::Data => When::Data,
            Cause::BadAnswer => reached,
            _ if matches!(cause.who(), Who::Proxy | Who::Local) => When::Request,
            _ => reached,
        };
        Ending { who: cause.who(), when }
    }

    /// Why the exchange was cut short, if the pair is closed for this reason; `None` if it was not.
    pub(super) fn why_closed(&self, reason: Reason) -> Option<Why<'static>> {
        let spoken = match self.about {
            About::NoRequest => Spoken::NoRequest,
            About::Request(_) => Spoken::Http,
            About::Tcp(_) | About::Handshake(_) => Spoken::Bytes,
        };
        let Closed { cause, fault } = Closed::of(reason, spoken, self.answered_at.is_some())?;
        let says = cause.says();
        let detail = match (fault, reason) {
            (_, Reason::Alerted(alert)) if cause == Cause::BadHello => {
                format!("refused with {alert}").into()
            }
            (Some(fault), Reason::OverBudget(_)) => {
                format!("{says}: {fault}; {OVER_BUDGET}").into()
            }
            (None, Reason::OverBudget(_)) => format!("{says}; {OVER_BUDGET}").into(),
            (Some(fault), _) => format!("{says}: {fault}").into(),
            (None, _) => says.into(),
        };
        Some(Why { cause, detail })
    }

    pub(super) fn times(&self, now: Instant) -> Times {
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(to?.saturating_duration_since(from?))
        };
        Times {
            head: between(Some(self.began), self.asked_at),
            queue: (self.backend.is_some() || self.is_waiting).then_some(self.queued),
            connect: between(self.asked_at, self.connected_at)
                .map(|time| time.saturating_sub(self.queued)),
            answer: between(self.connected_at, self.answered_at),
            total: now.saturating_duration_since(self.began),
        }
    }
}

impl Closed {
    /// Of what is closed for this reason; `None` if it came to its end.
    pub(super) fn of(reason: Reason, spoken: Spoken, is_answered: bool) -> Option<Closed> {
        let http = spoken != Spoken::Bytes;
        let malformed = Fault::Other(ErrorKind::InvalidData);
        let (cause, fault) = match reason {
            Reason::Finished => return None,
            Reason::ClientBroke(_) if spoken == Spoken::NoRequest => {
                (Cause::HeadCutShort, None)
            }
            Reason::ClientStalled => (Cause::ClientStalled, None),
            Reason::AnswerStalled => (Cause::AnswerStalled, None),
            Reason::ClientBroke(Fault::TimedOut) if http => (Cause::ClientStalled, None),
            Reason::ClientBroke(fault) if http && fault == malformed => (Cause::BadBody, None),
            Reason::ClientBroke(fault) => (Cause::ClientReset, Some(fault)),
            Reason::ClientLeft => (Cause::AbortOnClose, None),
            Reason::BackendBroke(Fault::TimedOut) if http => (Cause::AnswerStalled, None),
            Reason::BackendBroke(fault) if http && fault == malformed => {
                (Cause::BadAnswer, None)
            }
            Reason::BackendBroke(fault) if !http => (Cause::BackendReset, Some(fault)),
            Reason::BackendBroke(fault) if is_answered => (Cause::AnswerCutShort, Some(fault)),
            Reason::BackendBroke(fault) => (Cause::NoAnswer, Some(fault)),
            Reason::ConnectFailed(Fault::TimedOut) | Reason::OverBudget(Fault::TimedOut) => {
                (Cause::ConnectTimeout, None)
            }
            Reason::ConnectFailed(fault) | Reason::OverBudget(fault) => {
                (Cause::ConnectFailed, Some(fault))
            }
            Reason::Refused(refusal) => (refusal.cause(), None),
            Reason::Alerted(Alert::UnrecognizedName) => (Cause::UnknownName, None),
            Reason::Alerted(_) => (Cause::BadHello, None),
            Reason::HelloTooLate => (Cause::HandshakeTimeout, None),
            Reason::Idle | Reason::Rested => (Cause::IdleTimeout, None),
            Reason::GaveWay => (Cause::MaxConnections, None),
            Reason::HalfClosedIdle => (Cause::HalfCloseTimeout, None),
            Reason::BackendLost(loss) => (loss.cause(), None),
            Reason::Told => (Cause::Told, None),
            Reason::Stopped => (Cause::Stopped, None),
            Reason::DrainTimeout => (Cause::DrainTimeout, None),
            Reason::Exhausted => (Cause::OutOfResources, None),
            Reason::Barred(_) => (Cause::Guard, None),
            Reason::NoProxyHeader(_) => (Cause::NoProxyHeader, None),
            Reason::ClientTooSlow => (Cause::MinRate, None),
            Reason::RequestTooLong(Blame::Client) => (Cause::RequestTooSlow, None),
            Reason::RequestTooLong(_) => (Cause::AnswerTooSlow, None),
            Reason::TooOld => (Cause::TooOld, None),
        };
        Some(Closed { cause, fault })
    }
}

impl RequestText {
    pub(super) fn of(head: &RequestHead, cx: &Context) -> RequestText {
        let bytes = &*cx.scratch;
        let field = |name| cx.http.fields.find(bytes, name).unwrap_or_default();
        let host = head.host.unwrap_or_default();
        let spans =
            [head.method_name, head.target, host, field("referer"), field("user-agent")];
        let mut text = Vec::with_capacity(spans.iter().map(|span| span.len()).sum());
        let ends = spans.map(|span| {
            text.extend_from_slice(span.of(bytes));
            text.len()
        });
        RequestText { text, ends, version: head.version }
    }

    pub(super) fn asked(&self) -> AskedFor<'_> {
        let word = |index: usize| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.text[start..self.ends[index]]
        };
        AskedFor {
            method: word(0),
            target: word(1),
            version: self.version,
            host: word(2),
            referer: word(3),
            user_agent: word(4),
        }
    }
}

/// An answer that we make ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Why it is given, for the access log.
    pub cause: Cause,
    /// The same in words, for the body of the answer.
    pub why: &'static str,
    /// The rule of the guard by which it is given, if one is.
    pub rule: Option<RuleId>,
    /// In how many seconds the client may try again, if that is known.
    pub retry_after: Option<NonZeroU32>,
    /// What is allowed, if the client is to be told.
    pub quota: Option<Quota>,
    /// It is given only after a while.
    pub holds: Option<Duration>,
}

impl OwnAnswer {
    /// A backend broke off, and the pool has no budget for asking another one.
    pub const NO_ANSWER_OVER_BUDGET: OwnAnswer = OwnAnswer::saying(
        502,
        Cause::NoAnswer,
        "the backend broke off; too many retries to ask another one",
    );

    /// An answer in the words of its cause.
    pub fn new(status: u16, cause: Cause) -> OwnAnswer {
        OwnAnswer::saying(status, cause, cause.says())
    }

    /// The same in words of its own.
    pub const fn saying(status: u16, cause: Cause, why: &'static str) -> OwnAnswer {
        OwnAnswer {
            status,
            cause,
            why,
            rule: None,
            retry_after: None,
            quota: None,
            holds: None,
        }
    }
}

impl From<BadBody> for OwnAnswer {
    fn from(bad: BadBody) -> OwnAnswer {
        let too_large = bad == BadBody::TooLarge;
        let cause = if too_large { Cause::MaxBody } else { Cause::BadBody };
        OwnAnswer::saying(bad.status(), cause, bad.reason())
    }
}

impl From<BadHead> for OwnAnswer {
    fn from(refusal: BadHead) -> OwnAnswer {
        OwnAnswer::saying(refusal.status(), Cause::BadRequest, refusal.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Loss;
    use super::*;
    use crate::backends::NoBackend;

    /// How far an exchange came: each stage has those before it behind it.
    #[derive(Clone, Copy, PartialEq, PartialOrd)]
    enum Stage {
        Asked,
        Picked,
        Connected,
        Answered,
    }

    fn account(about: About, stage: Stage) -> Account {
        let now = Instant::now();
        let mut account = Account {
            began: now,
            about,
            asked_at: Some(now),
            backend: None,
            connected_at: None,
            answered_at: None,
            status: 0,
            head_bytes: 0,
            before: Moved::default(),
            retries: 0,
            queued: Duration::ZERO,
            is_waiting: false,
            tried: Vec::new(),
            why: None,
        };
        if stage >= Stage::Picked {
            account.picked(backend(), 0);
        }
        if stage >= Stage::Connected {
            account.connected(now);
        }
        if stage >= Stage::Answered {
            account.answered(200, 0, now);
        }
        account
    }

    fn backend() -> ServerId {
        ServerId::for_tests(0)
    }

    fn request() -> About {
        About::Request(RequestText { text: Vec::new(), ends: [0; 5], version: Version::Http11 })
    }

    fn letters(ending: Ending) -> String {
        String::from_utf8(ending.letters().to_vec()).unwrap()
    }

    #[test]
    fn a_close_says_who_and_when() {
        let reset = Fault::Reset;
        let late = Fault::TimedOut;
        let table = [
            (Reason::Finished, ["--", "--", "--", "--"]),
            (Reason::ClientBroke(reset), ["CR", "CC", "CH", "CD"]),
            (Reason::ClientLeft, ["CR", "CC", "CH", "CD"]),
            (Reason::ClientBroke(late), ["cR", "cC", "cH", "cD"]),
            (Reason::BackendBroke(reset), ["SR", "SC", "SH", "SD"]),
            (Reason::BackendBroke(late), ["sR", "sC", "sH", "sD"]),
            (Reason::Idle, ["cR", "cC", "cH", "cD"]),
            (Reason::BackendLost(Loss::Down), ["DR", "DC", "DH", "DD"]),
            (Reason::BackendLost(Loss::Told), ["KR", "KC", "KH", "KD"]),
            (Reason::Stopped, ["KR", "KC", "KH", "KD"]),
            (Reason::Exhausted, ["RR", "RC", "RH", "RD"]),
        ];
        for (reason, wanted) in table {
            let stages = [Stage::Asked, Stage::Picked, Stage::Connected, Stage::Answered];
            for (stage, wanted) in stages.into_iter().zip(wanted) {
                let account = account(request(), stage);
                let why = account.why_closed(reason);
                let ending = why.map_or(Ending::WELL, |why| account.ending_of(why.cause));
                assert_eq!(letters(ending), wanted, "{reason:?}");
            }
        }
        let tcp = |stage| account(About::Tcp(None), stage);
        let by = |account: Account, reason| {
            letters(account.ending_of(account.why_closed(reason).expect("a cause").cause))
        };
        assert_eq!(by(tcp(Stage::Asked), Reason::Refused(NoBackend::AllDown)), "SC");
        assert_eq!(by(tcp(Stage::Picked), Reason::ConnectFailed(late)), "sC");
        assert_eq!(by(tcp(Stage::Connected), Reason::ClientBroke(reset)), "CD");
    }

    #[test]
    fn what_was_not_tried_again_for_want_of_budget_says_so() {
        for (reason, wanted) in [
            (
                Reason::ConnectFailed(Fault::Reset),
                "connect-failed: no backend could be reached: ",
            ),
            (Reason::OverBudget(Fault::Reset), "connect-failed: no backend could be reached: "),
            (Reason::OverBudget(Fault::TimedOut), "connect-timeout: no backend took the conn"),
        ] {
            let why = account(About::Tcp(None), Stage::Picked).why_closed(reason).unwrap();
            let said = format!("{}: {}", why.cause.word(), why.detail);
            assert!(said.starts_with(wanted), "{said}");
            let is_over = matches!(reason, Reason::OverBudget(_));
            assert_eq!(
                said.ends_with("; too many retries to ask another one"),
                is_over,
                "{said}"
            );
        }
    }

    #[test]
    fn our_own_answers_say_who_and_when() {
        let table = [
            (Cause::AllDown, Stage::Asked, "SC"),
            (Cause::ConnectFailed, Stage::Picked, "SC"),
            (Cause::ConnectTimeout, Stage::Picked, "sC"),
            (Cause::NoAnswer, Stage::Connected, "SH"),
            (Cause::AnswerTimeout, Stage::Connected, "sH"),
            (Cause::BodyStalled, Stage::Connected, "cD"),
            (Cause::BodyCutShort, Stage::Connected, "CD"),
            (Cause::BadAnswer, Stage::Connected, "PH"),
            (Cause::MaxBody, Stage::Asked, "PR"),
            (Cause::OutOfResources, Stage::Picked, "RC"),
            (Cause::HealthPath, Stage::Asked, "LR"),
        ];
        for (cause, stage, wanted) in table {
            let account = account(request(), stage);
            assert_eq!(letters(account.ending_of(cause)), wanted, "{cause:?}");
        }
        let bad = account(About::NoRequest, Stage::Asked);
        assert_eq!(letters(bad.ending_of(Cause::HeaderTimeout)), "cR");
        assert_eq!(letters(bad.ending_of(Cause::BadRequest)), "PR");
    }

    /// A retry forgets when the backend before it was connected.
    #[test]
    fn times_are_those_of_the_last_backend() {
        let mut account = account(request(), Stage::Connected);
        let began = account.began;
        let ms = Duration::from_millis;
        account.picked(backend(), 1);
        assert_eq!(account.times(began + ms(5)).connect, None);
        account.connected(began + ms(7));
        account.answered(200, 0, began + ms(9));
        let times = account.times(began + ms(20));
        assert_eq!((times.connect, times.answer), (Some(ms(7)), Some(ms(2))));
        assert_eq!((times.queue, times.total), (Some(Duration::ZERO), ms(20)));
    }
}
