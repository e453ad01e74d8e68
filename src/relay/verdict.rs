//! What a talk says at the end of its turn, and why a pair was closed.

use std::fmt;

use crate::access_log::Cause;
use crate::backends::NoBackend;
use crate::config::{SettingKey, Spelling};
use crate::guard::RuleId;
use crate::hello::Alert;
use crate::net::Fault;
use crate::stats::traffic::Blame;

use super::duplex::Break;
use super::proxied::HeaderFault;

/// What is to be done with a pair after its talk acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It waits for an event or its timer.
    Keep,
    /// It has more to do: at the end of the run queue.
    Again,
    /// This talk is over, and another one takes its place at once.
    Become(Successor),
    /// The pair is over.
    Close(Reason),
}

/// Which talk comes next. A talk names its successor and never calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// The listener's next phase; what the listener serves, if there is none left.
    NextPhase,
    /// HTTP that begins with our refusal: the client speaks it in the clear where it should not.
    PlainHttp,
    /// Bytes both ways between a client and a backend that are connected already.
    Tunnel,
    /// The client was told that this is the end; once it had time to read that, it is closed for
    /// this reason.
    Parting(Reason),
    /// It is held for a while, for a rule of the guard does not let it in.
    Held(RuleId),
}

/// Why a pair was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Both sides had finished.
    Finished,
    /// The client's connection broke.
    ClientBroke(Fault),
    /// The client finished sending while it waited for an answer: it went away.
    ClientLeft,
    /// The backend's connection broke.
    BackendBroke(Fault),
    /// The client took nothing of its answer for the server timeout.
    ClientStalled,
    /// The backend said nothing more in its answer for the server timeout.
    AnswerStalled,
    /// No backend could be reached; the last one for this reason.
    ConnectFailed(Fault),
    /// The same, and others were not asked, for the pool has no budget for more retries.
    OverBudget(Fault),
    /// No backend could be chosen.
    Refused(NoBackend),
    /// The client was told why it is not served.
    Alerted(Alert),
    /// The ClientHello did not come in time.
    HelloTooLate,
    /// No byte moved for the idle timeout.
    Idle,
    /// A client of HTTP asked nothing for the keep-alive time, or took nothing of a page of ours.
    Rested,
    /// It had not said what it wants, and a new client came for which there was no room.
    GaveWay,
    /// No byte moved for the half-close timeout.
    HalfClosedIdle,
    /// Its backend is lost, and its connections are to be closed with it.
    BackendLost(Loss),
    /// An operator wants it closed.
    Told,
    /// We are stopping, and nobody wants to wait any longer; or the listener is removed, and its
    /// clients are to be closed with it.
    Stopped,
    /// We are stopping, and the drain timeout is over.
    DrainTimeout,
    /// We have no descriptor or memory left.
    Exhausted,
    /// A rule of the guard did not let it in.
    Barred(RuleId),
    /// It did not begin with the header of the PROXY protocol that is required of it.
    NoProxyHeader(HeaderFault),
    /// The client sends its request, or takes its answer, more slowly than it may.
    ClientTooSlow,
    /// The request took longer than it may, by whose fault it may be.
    RequestTooLong(Blame),
    /// The connection was open for as long as it may be.
    TooOld,
}

/// How a backend is lost to those who are connected to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It went down, and `--on-down close` was asked for.
    Down,
    /// It was removed, and `--on-removed close` was asked for.
    Removed,
    /// An operator wants its connections closed.
    Told,
}

impl Loss {
    /// In words.
    pub fn says(self) -> &'static str {
        match self {
            Loss::Down => "its backend went down",
            Loss::Removed => "its backend was removed",
            Loss::Told => "an operator closed the connections of its backend",
        }
    }

    /// In the access log's word.
    pub fn cause(self) -> Cause {
        match self {
            Loss::Down => Cause::BackendDown,
            Loss::Removed => Cause::BackendRemoved,
            Loss::Told => Cause::BackendClosed,
        }
    }
}

impl Reason {
    /// Whether we cut the pair off, however complete its streams were.
    pub fn is_cut(self) -> bool {
        match self {
            Reason::Finished
            | Reason::Idle
            | Reason::Rested
            | Reason::GaveWay
            | Reason::HalfClosedIdle
            | Reason::Alerted(_)
            | Reason::Barred(_)
            | Reason::HelloTooLate
            | Reason::ClientBroke(_)
            | Reason::ClientStalled
            | Reason::ClientTooSlow
            | Reason::TooOld
            | Reason::AnswerStalled
            | Reason::BackendBroke(_) => false,
            Reason::ClientLeft
            | Reason::NoProxyHeader(_)
            | Reason::ConnectFailed(_)
            | Reason::OverBudget(_)
            | Reason::Refused(_)
            | Reason::BackendLost(_)
            | Reason::Told
            | Reason::Stopped
            | Reason::DrainTimeout
            | Reason::RequestTooLong(_)
            | Reason::Exhausted => true,
        }
    }
}

impl Reason {
    /// Whose fault it is that it ended like this.
    pub fn blame(self) -> Blame {
        match self {
            Reason::Finished
            | Reason::Idle
            | Reason::Rested
            | Reason::HalfClosedIdle
            | Reason::Told
            | Reason::Stopped
            | Reason::DrainTimeout
            | Reason::TooOld
            | Reason::BackendLost(Loss::Removed | Loss::Told) => Blame::Nobody,
            Reason::RequestTooLong(blame) => blame,
            Reason::ClientBroke(_)
            | Reason::ClientLeft
            | Reason::ClientStalled
            | Reason::ClientTooSlow
            | Reason::Alerted(_)
            | Reason::Barred(_)
            | Reason::NoProxyHeader(_)
            | Reason::HelloTooLate => Blame::Client,
            Reason::BackendBroke(_)
            | Reason::AnswerStalled
            | Reason::ConnectFailed(_)
            | Reason::OverBudget(_)
            | Reason::Refused(_)
            | Reason::GaveWay
            | Reason::BackendLost(Loss::Down)
            | Reason::Exhausted => Blame::Server,
        }
    }

    /// The setting by which it was, where another value would have changed it.
    fn setting(self) -> Option<SettingKey> {
        match self {
            Reason::ClientLeft => Some(SettingKey::ABORT_ON_CLOSE),
            Reason::HelloTooLate => Some(SettingKey::TLS_HANDSHAKE_TIMEOUT),
            Reason::Idle => Some(SettingKey::IDLE_TIMEOUT),
            Reason::Rested => Some(SettingKey::KEEP_ALIVE),
            Reason::HalfClosedIdle => Some(SettingKey::HALF_CLOSE_TIMEOUT),
            Reason::DrainTimeout => Some(SettingKey::DRAIN_TIMEOUT),
            Reason::ClientStalled | Reason::AnswerStalled => Some(SettingKey::SERVER_TIMEOUT),
            Reason::ClientTooSlow => Some(SettingKey::MIN_RATE),
            Reason::RequestTooLong(_) => Some(SettingKey::MAX_REQUEST_TIME),
            Reason::TooOld => Some(SettingKey::MAX_CONNECTION_TIME),
            Reason::OverBudget(_) => Some(SettingKey::RETRY_BUDGET),
            // Or the descriptors were used up.
            Reason::GaveWay
            | Reason::Finished
            | Reason::ClientBroke(_)
            | Reason::BackendBroke(_)
            | Reason::ConnectFailed(_)
            | Reason::Refused(_)
            | Reason::Alerted(_)
            | Reason::BackendLost(_)
            | Reason::Told
            | Reason::Stopped
            | Reason::Barred(_)
            | Reason::NoProxyHeader(_)
            | Reason::Exhausted => None,
        }
    }

    /// With its setting, for the log.
    pub fn spelled(self, spelling: Spelling) -> String {
        match self.setting() {
            Some(key) => format!("{self}: {}", (spelling.name)(key)),
            None => self.to_string(),
        }
    }
}

impl From<Break> for Reason {
    fn from(side: Break) -> Reason {
        match side {
            Break::Client(fault) => Reason::ClientBroke(fault),
            Break::Backend(fault) => Reason::BackendBroke(fault),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Finished => f.write_str("finished"),
            Reason::ClientBroke(fault) => write!(f, "the client's connection broke: {fault}"),
            Reason::ClientLeft => f.write_str("the client went away while it waited"),
            Reason::BackendBroke(fault) => write!(f, "the backend's connection broke: {fault}"),
            Reason::ClientStalled => f.write_str("the client takes nothing of its answer"),
            Reason::AnswerStalled => f.write_str("the backend fell silent in its answer"),
            Reason::ConnectFailed(fault) => write!(f, "no backend could be reached: {fault}"),
            Reason::OverBudget(fault) => write!(
                f,
                "no backend could be reached: {fault}; too many retries to ask another one"
            ),
            Reason::Refused(refusal) => write!(f, "refused: {refusal}"),
            Reason::Alerted(alert) => write!(f, "refused with the alert {alert}"),
            Reason::HelloTooLate => f.write_str("no ClientHello in time"),
            Reason::Idle | Reason::Rested => f.write_str("idle for too long"),
            Reason::GaveWay => f.write_str("gave way to a new client"),
            Reason::HalfClosedIdle => f.write_str("half closed and idle for too long"),
            Reason::BackendLost(loss) => f.write_str(loss.says()),
            Reason::Told => f.write_str("an operator closed it"),
            Reason::Stopped | Reason::DrainTimeout => f.write_str("cut off by the stop"),
            Reason::NoProxyHeader(fault) => write!(f, "no PROXY header: {fault}"),
            Reason::Barred(_) => f.write_str("refused by a rule of the guard"),
            Reason::ClientTooSlow => f.write_str("the client is too slow"),
            Reason::RequestTooLong(_) => f.write_str("the request took too long"),
            Reason::TooOld => f.write_str("open for too long"),
            Reason::Exhausted => f.write_str("out of descriptors or memory"),
        }
    }
}
