//! What a pair's next line in the access log will say, gathered as it happens.
//!
//! ```text
//!   begin --- picked --- connected --- answered --- finish, own_answer or close: the line
//! ```
//!
//! A pair has an account only while there is an access log and something to account for: a TCP
//! connection, or one exchange of HTTP, each with its own. Nothing here decides anything.

use std::time::{Duration, Instant};

use crate::access_log::{Asked, Counts, Ending, Record, Server, Times, What, When, Who};
use crate::backends::BackendId;
use crate::config::Protocol;
use crate::context::Context;
use crate::http::{RequestHead, Version};
use crate::net::Fault;

use super::http::partial_head;
use super::pair::{Pair, Reason};

/// See the head of the file.
#[derive(Debug)]
pub struct Account {
    began: Instant,
    about: About,
    /// When the request's head was whole, or the client's hello; of a TCP connection, when it came.
    asked_at: Option<Instant>,
    backend: Option<BackendId>,
    connected_at: Option<Instant>,
    answered_at: Option<Instant>,
    status: u16,
    /// Bytes of the answer's head.
    head_bytes: u64,
    /// Bytes that the pair had moved before, to the backend and to the client.
    before: (u64, u64),
    retries: usize,
    /// Who is to blame, where the status does not tell.
    blamed: Option<Who>,
}

#[derive(Debug)]
enum About {
    /// Bytes; for TLS whom the client asked for, if it said a name.
    Tcp(Option<Box<str>>),
    /// A handshake of TLS that failed, and why.
    Handshake(Fault),
    /// What could not be understood.
    NoRequest,
    Request(Words),
}

/// A request in its client's words, one after another in one piece of memory.
#[derive(Debug)]
struct Words {
    text: Vec<u8>,
    /// Where method, target, host, referer and user agent end.
    ends: [usize; 5],
    version: Version,
}

impl Account {
    fn new(began: Instant, about: About, pair: &Pair) -> Box<Account> {
        Box::new(Account {
            began,
            about,
            asked_at: None,
            backend: None,
            connected_at: None,
            answered_at: None,
            status: 0,
            head_bytes: 0,
            before: pair.duplex.moved(),
            retries: 0,
            blamed: None,
        })
    }

    /// A backend was picked, after so many others.
    pub fn picked(&mut self, backend: BackendId, retries: usize) {
        (self.backend, self.retries, self.connected_at) = (Some(backend), retries, None);
    }

    /// It is connected.
    pub fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// The head of its answer was passed on, in so many bytes.
    pub fn answered(&mut self, status: u16, head_bytes: u64, now: Instant) {
        (self.status, self.head_bytes, self.answered_at) = (status, head_bytes, Some(now));
    }

    /// This one is to blame for what follows.
    pub fn blame(&mut self, who: Who) {
        self.blamed = Some(who);
    }

    /// What our own answer says of who failed.
    fn ending_of(&self, status: u16) -> Ending {
        let seeking = if self.connected_at.is_some() { When::Head } else { When::Connect };
        let (who, when) = match (status, &self.about) {
            (408, About::NoRequest) => (Who::ClientTimeout, When::Request),
            (408, _) => (Who::ClientTimeout, When::Data),
            (502 | 503, _) => (Who::Server, seeking),
            (504, _) => (Who::ServerTimeout, seeking),
            _ => (Who::Proxy, When::Request),
        };
        match self.blamed {
            Some(Who::Local) => Ending { who: Who::Local, when: When::Request },
            Some(who) => Ending { who, when },
            None => Ending { who, when },
        }
    }

    /// What it means that the pair is closed for this reason before all was said.
    fn ending_by(&self, reason: Reason) -> Ending {
        let is_tcp = matches!(self.about, About::Tcp(_));
        let when = match (self.answered_at, self.connected_at, self.backend) {
            (Some(_), ..) => When::Data,
            (None, Some(_), _) if is_tcp => When::Data,
            (None, Some(_), _) => When::Head,
            (None, None, Some(_)) => When::Connect,
            (None, None, None) if is_tcp && self.asked_at.is_some() => When::Connect,
            (None, None, None) => When::Request,
        };
        let who = match reason {
            Reason::Finished => return Ending::WELL,
            Reason::ClientBroke(Fault::TimedOut) => Who::ClientTimeout,
            Reason::ClientBroke(_) | Reason::ClientLeft => Who::Client,
            Reason::BackendBroke(Fault::TimedOut) | Reason::ConnectFailed(Fault::TimedOut) => {
                Who::ServerTimeout
            }
            Reason::BackendBroke(_) | Reason::ConnectFailed(_) | Reason::Refused(_) => {
                Who::Server
            }
            Reason::Alerted(_) => {
                return Ending { who: Who::Proxy, when: When::Request };
            }
            Reason::Idle | Reason::HalfClosedIdle | Reason::HelloTooLate => Who::ClientTimeout,
            Reason::BackendDown => Who::Down,
            Reason::Stopped => Who::Killed,
            Reason::Exhausted => Who::Resource,
        };
        Ending { who, when }
    }

    fn times(&self, now: Instant) -> Times {
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(to?.saturating_duration_since(from?))
        };
        Times {
            head: between(Some(self.began), self.asked_at),
            queue: self.backend.map(|_| Duration::ZERO),
            connect: between(self.asked_at, self.connected_at),
            answer: between(self.connected_at, self.answered_at),
            total: now.saturating_duration_since(self.began),
        }
    }
}

impl Words {
    fn of(head: &RequestHead, cx: &Context) -> Words {
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
        Words { text, ends, version: head.version }
    }

    fn asked(&self) -> Asked<'_> {
        let word = |index: usize| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.text[start..self.ends[index]]
        };
        Asked {
            method: word(0),
            target: word(1),
            version: self.version,
            host: word(2),
            referer: word(3),
            user_agent: word(4),
        }
    }
}

/// A connection was accepted. What HTTP does with it is accounted for request by request.
pub fn begin(pair: &mut Pair, cx: &Context) {
    if cx.access_log.is_none() || pair.protocol == Protocol::Http {
        return;
    }
    let mut account = Account::new(pair.opened_at, About::Tcp(None), pair);
    // Where there was a handshake before, it is over.
    account.asked_at = (pair.protocol == Protocol::Tcp).then_some(pair.active_at);
    pair.account = Some(account);
}

/// The client did not get through its TLS handshake.
pub fn handshake_failed(fault: Fault, pair: &Pair, cx: &mut Context) {
    if cx.access_log.is_none() {
        return;
    }
    let account = Account::new(pair.opened_at, About::Handshake(fault), pair);
    let who = match fault {
        Fault::TimedOut => Who::ClientTimeout,
        Fault::Tls(trouble) if !trouble.is_their_word() => Who::Proxy,
        _ => Who::Client,
    };
    write(&account, Ending { who, when: When::Request }, (0, 0), pair, cx);
}

/// The client said whom it wants, or that it does not say.
pub fn named(name: Option<Box<str>>, pair: &mut Pair, now: Instant) {
    if let Some(account) = &mut pair.account {
        account.about = About::Tcp(name);
        account.asked_at = Some(now);
    }
}

/// The head of a request lies at the beginning of the scratch buffer; its first byte came `since`.
pub fn begin_request(
    head: &RequestHead,
    since: Option<Instant>,
    pair: &mut Pair,
    cx: &Context,
) {
    if cx.access_log.is_some() {
        let about = About::Request(Words::of(head, cx));
        let mut account = Account::new(since.unwrap_or(cx.now), about, pair);
        account.asked_at = Some(cx.now);
        pair.account = Some(account);
    }
}

/// The answer of a backend is complete.
pub fn finish(pair: &mut Pair, cx: &mut Context) {
    if let Some(account) = pair.account.take() {
        write(&account, Ending::WELL, moved(&account, pair), pair, cx);
    }
}

/// We answered ourselves, with these bytes; if there was no request, since its first byte came.
pub fn own_answer(
    status: u16,
    bytes: &[u8],
    since: Option<Instant>,
    pair: &mut Pair,
    cx: &mut Context,
) {
    pair.goes_behind = true;
    if cx.access_log.is_none() {
        return;
    }
    let began = since.unwrap_or(cx.now);
    let mut account =
        pair.account.take().unwrap_or_else(|| Account::new(began, About::NoRequest, pair));
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    (account.status, account.head_bytes) = (status, head as u64);
    let asked = moved(&account, pair).0;
    let ending = account.ending_of(status);
    write(&account, ending, (asked, bytes.len() as u64), pair, cx);
}

/// The pair is closed, perhaps in the middle of something.
pub fn close(pair: &mut Pair, reason: Reason, cx: &mut Context) {
    if cx.access_log.is_none() {
        return;
    }
    let begun = pair.account.take();
    let partial = || Some(Account::new(partial_head(pair)?, About::NoRequest, pair));
    let Some(mut account) = begun.or_else(partial) else { return };
    let gave_up = matches!(reason, Reason::ClientBroke(_) | Reason::ClientLeft);
    if account.status == 0 && gave_up && !matches!(account.about, About::Tcp(_)) {
        account.status = 499;
    }
    write(&account, account.ending_by(reason), moved(&account, pair), pair, cx);
}

/// Bytes to the backend and to the client since the account was begun.
fn moved(account: &Account, pair: &Pair) -> (u64, u64) {
    let (sent, received) = pair.duplex.moved();
    (sent - account.before.0, received - account.before.1)
}

fn write(
    account: &Account,
    ending: Ending,
    (received, sent): (u64, u64),
    pair: &Pair,
    cx: &mut Context,
) {
    let Context { access_log, backends, stats, now, .. } = cx;
    let Some(log) = access_log else { return };
    let (front, front_open) = stats.front(pair.front as usize);
    let pool = backends.pool(pair.pool);
    let backend_name = account.backend.map(|id| &*backends[id].name);
    let what = match &account.about {
        About::Tcp(name) => What::Tcp { server_name: name.as_deref() },
        About::Handshake(fault) => What::Handshake { why: fault.to_string() },
        about => What::Http {
            asked: if let About::Request(words) = about { Some(words.asked()) } else { None },
            status: account.status,
            body: sent.saturating_sub(account.head_bytes),
        },
    };
    let server = match (account.blamed, backend_name) {
        (Some(Who::Local), _) => Server::Ourselves,
        (_, Some(name)) => Server::Backend(name),
        (_, None) => Server::Nobody,
    };
    let counts = Counts {
        process: stats.open,
        front: front_open,
        pool: pool.connections(),
        backend: account.backend.map_or(0, |id| u64::from(backends[id].connections)),
    };
    let began = log.time_of(account.began, *now);
    let (client, times) = (pair.client_address, account.times(*now));
    let retries = account.retries;
    log.add(&Record {
        client,
        front,
        pool: &pool.name,
        server,
        began,
        what,
        times,
        sent,
        received,
        ending,
        counts,
        retries,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::{Backends, Member, Policy, PoolPlan, Refusal, RiseFall};
    use crate::balance;
    use crate::config::{Algorithm, AllDown};

    fn account(about: About, picked: bool, connected: bool, answered: bool) -> Account {
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
            before: (0, 0),
            retries: 0,
            blamed: None,
        };
        if picked {
            account.picked(backend(), 0);
        }
        if connected {
            account.connected(now);
        }
        if answered {
            account.answered(200, 0, now);
        }
        account
    }

    /// The only one of a set.
    fn backend() -> BackendId {
        let address = "127.0.0.1:1".parse().unwrap();
        let (name, weight, max_connections, backup) = ("a".to_owned(), 1, None, false);
        let (check_port, dial, probe_dial) = (None, None, None);
        let member = Member {
            name,
            address,
            weight,
            max_connections,
            backup,
            check_port,
            check_host: String::new(),
            dial,
            probe_dial,
        };
        let policy = Policy {
            rise_fall: RiseFall { rise: 1, fall: 1 },
            probed: false,
            all_down: AllDown::Refuse,
            slow_start: Duration::ZERO,
            eject_after: 0,
        };
        let pool = PoolPlan::of_first(1, balance::build(Algorithm::First, 1));
        let set = Backends::new(vec![member], vec![pool], policy, Instant::now());
        set.iter().next().unwrap().0
    }

    fn request() -> About {
        About::Request(Words { text: Vec::new(), ends: [0; 5], version: Version::Http11 })
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
            (Reason::BackendDown, ["DR", "DC", "DH", "DD"]),
            (Reason::Stopped, ["KR", "KC", "KH", "KD"]),
            (Reason::Exhausted, ["RR", "RC", "RH", "RD"]),
        ];
        let stages = [(false, false, false), (true, false, false), (true, true, false)];
        for (reason, wanted) in table {
            let all = stages.into_iter().chain([(true, true, true)]);
            for ((picked, connected, answered), wanted) in all.zip(wanted) {
                let account = account(request(), picked, connected, answered);
                assert_eq!(letters(account.ending_by(reason)), wanted, "{reason:?}");
            }
        }
        let tcp = |picked, connected| account(About::Tcp(None), picked, connected, false);
        let refused = Reason::Refused(Refusal::AllDown);
        assert_eq!(letters(tcp(false, false).ending_by(refused)), "SC");
        assert_eq!(letters(tcp(true, false).ending_by(Reason::ConnectFailed(late))), "sC");
        assert_eq!(letters(tcp(true, true).ending_by(Reason::ClientBroke(reset))), "CD");
    }

    #[test]
    fn our_own_answers_say_who_and_when() {
        let table = [
            (503, [false, false], "SC"),
            (502, [true, false], "SC"),
            (504, [true, false], "sC"),
            (502, [true, true], "SH"),
            (504, [true, true], "sH"),
            (408, [true, true], "cD"),
            (413, [false, false], "PR"),
        ];
        for (status, [picked, connected], wanted) in table {
            let account = account(request(), picked, connected, false);
            assert_eq!(letters(account.ending_of(status)), wanted, "{status}");
        }
        let bad = account(About::NoRequest, false, false, false);
        assert_eq!(letters(bad.ending_of(408)), "cR");
        assert_eq!(letters(bad.ending_of(400)), "PR");
        let mut account = account(request(), true, true, false);
        account.blame(Who::Proxy);
        assert_eq!(letters(account.ending_of(502)), "PH");
        account.blame(Who::Local);
        assert_eq!(letters(account.ending_of(503)), "LR");
    }

    /// A retry forgets when the backend before it was connected.
    #[test]
    fn times_are_those_of_the_last_backend() {
        let mut account = account(request(), true, true, false);
        let (began, ms) = (account.began, Duration::from_millis);
        account.picked(backend(), 1);
        assert_eq!(account.times(began + ms(5)).connect, None);
        account.connected(began + ms(7));
        account.answered(200, 0, began + ms(9));
        let times = account.times(began + ms(20));
        assert_eq!((times.connect, times.answer), (Some(ms(7)), Some(ms(2))));
        assert_eq!((times.queue, times.total), (Some(Duration::ZERO), ms(20)));
    }
}
