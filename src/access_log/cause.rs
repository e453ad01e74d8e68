//! Why an exchange did not come to its end, or was answered here: one stable word for each cause,
//! by which a log is searched and counted, and the words for who reads it.
//!
//! Where a flag cut it off, its name is the word. The list is in `docs/design.md`.

use super::ending::Who;

/// Set where an exchange is cut off or refused; the `reason` of its line in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client finished in the middle of a head.
    HeadCutShort,
    /// It finished in the middle of a body.
    BodyCutShort,
    /// It broke off.
    ClientReset,
    /// It finished while it waited.
    AbortOnClose,
    /// It took nothing of its answer.
    ClientStalled,
    /// The head of its request took too long.
    HeaderTimeout,
    /// The body of its request took too long.
    BodyStalled,
    /// Its request is none that may be passed on.
    BadRequest,
    /// The body of its request is not framed as it should be.
    BadBody,
    /// The body of its request is too large.
    MaxBody,
    /// It speaks HTTP in the clear where TLS is spoken.
    PlainHttp,
    /// It broke off its handshake, or refused ours.
    HandshakeBroken,
    /// Its handshake is none that may go on.
    TlsHandshake,
    /// Its handshake, or its ClientHello, took too long.
    HandshakeTimeout,
    /// Its ClientHello is none.
    BadHello,
    /// It asked for a name that nobody serves.
    UnknownName,
    /// No service takes its request.
    NoService,
    /// The same, and its connection is for another name.
    Misdirected,
    /// A rule makes nothing valid of its request.
    Unfit,
    /// A rule sends it elsewhere.
    Redirect,
    /// A rule answers it.
    Respond,
    /// No backend took the connection.
    ConnectFailed,
    /// No backend took it in time.
    ConnectTimeout,
    /// The backend took the request and broke off before its answer.
    NoAnswer,
    /// What it said is no answer.
    BadAnswer,
    /// It broke off in its answer.
    AnswerCutShort,
    /// It did not answer in time.
    AnswerTimeout,
    /// It said nothing more in the middle of its answer.
    AnswerStalled,
    /// Its connection broke.
    BackendReset,
    /// It went down.
    BackendDown,
    /// It was removed, and its connections were to be closed.
    BackendRemoved,
    /// The operator closed its connections.
    BackendClosed,
    /// The operator closed this connection.
    Told,
    /// Nothing moved.
    IdleTimeout,
    /// Nothing moved once one side had finished.
    HalfCloseTimeout,
    /// All backends are down.
    AllDown,
    /// Those that are up take no more.
    NoRoom,
    /// We had no descriptor, memory or port left.
    OutOfResources,
    /// The operator stopped us at once.
    Stopped,
    /// The operator stopped us, and it took longer than it may then.
    DrainTimeout,
    /// The health page.
    HealthPath,
    /// The numbers.
    StatsPath,
    /// Sent to HTTPS.
    RedirectHttps,
    /// It had said nothing when a new client came for which there was no room.
    MaxConnections,
    /// Nothing moved on a flow of UDP.
    UdpTimeout,
    /// A flow gave way to another one.
    MaxFlows,
    /// Nobody listens where a flow led.
    UdpRefused,
    /// A rule of the guard refused it.
    Guard,
    /// Those that are up take no more, and as many wait for them as may.
    QueueFull,
    /// It waited for one of them for too long.
    QueueTimeout,
    /// It did not begin with the PROXY header that is required of it.
    NoProxyHeader,
    /// Its client was slower than it may be.
    MinRate,
    /// A request took longer than it may: its client was waited for.
    RequestTooSlow,
    /// The same, and its backend was.
    AnswerTooSlow,
    /// Its connection was kept for as long as it may be.
    TooOld,
    /// It asked to be passed on no more.
    MaxForwards,
}

use Cause as C;

/// One row for each cause: its word, what it says, who did it, and how JSON calls that end.
type Row = (Cause, &'static str, &'static str, Who, &'static str);

/// In the order of the enumeration.
const ROWS: &[Row] = &[
    (
        C::HeadCutShort,
        "head-cut-short",
        "the client finished within a head",
        Who::Client,
        ABORT,
    ),
    (C::BodyCutShort, "body-cut-short", "the request body is cut short", Who::Client, ABORT),
    (C::ClientReset, "client-reset", "the client broke off", Who::Client, ABORT),
    (C::AbortOnClose, "abort-on-close", "the client went away", Who::Client, ABORT),
    (C::ClientStalled, "server-timeout", "the client takes nothing", Who::ClientTimeout, LATE),
    (
        C::HeaderTimeout,
        "header-timeout",
        "the request head took too long",
        Who::ClientTimeout,
        LATE,
    ),
    (
        C::BodyStalled,
        "server-timeout",
        "the request body took too long",
        Who::ClientTimeout,
        LATE,
    ),
    (C::BadRequest, "bad-request", "this is no request", Who::Proxy, "refused"),
    (C::BadBody, "bad-body", "the request body is malformed", Who::Proxy, "refused"),
    (C::MaxBody, "max-body", "the request body is too large", Who::Proxy, "refused"),
    (C::PlainHttp, "plain-http", "HTTP where HTTPS is spoken", Who::Proxy, "refused"),
    (C::HandshakeBroken, "tls-handshake", "the handshake failed", Who::Client, ABORT),
    (C::TlsHandshake, "tls-handshake", "the handshake failed", Who::Proxy, "refused"),
    (
        C::HandshakeTimeout,
        "tls-handshake-timeout",
        "no handshake in time",
        Who::ClientTimeout,
        LATE,
    ),
    (C::BadHello, "bad-hello", "this is no ClientHello", Who::Proxy, "refused"),
    (C::UnknownName, "unknown-name", "nobody serves the name", Who::Proxy, "refused"),
    (C::NoService, "no-service", "no service here takes this request", Who::Proxy, "refused"),
    (
        C::Misdirected,
        "misdirected",
        "no service here takes this request: its connection is for another name",
        Who::Proxy,
        "refused",
    ),
    (C::Unfit, "unfit", "a rule makes nothing valid of this request", Who::Proxy, "refused"),
    (C::Redirect, "redirect", "answered by a rule", Who::Local, "answered-here"),
    (C::Respond, "respond", "answered by a rule", Who::Local, "answered-here"),
    (C::ConnectFailed, "connect-failed", "no backend could be reached", Who::Server, FAILED),
    (
        C::ConnectTimeout,
        "connect-timeout",
        "no backend took the connection",
        Who::ServerTimeout,
        SLOW,
    ),
    (C::NoAnswer, "no-answer", "the backend broke off", Who::Server, FAILED),
    (C::BadAnswer, "bad-answer", "what the backend says is no answer", Who::Proxy, FAILED),
    (C::AnswerCutShort, "answer-cut-short", "the answer is cut short", Who::Server, FAILED),
    (
        C::AnswerTimeout,
        "server-timeout",
        "the backend did not answer in time",
        Who::ServerTimeout,
        SLOW,
    ),
    (C::AnswerStalled, "server-timeout", "the backend fell silent", Who::ServerTimeout, SLOW),
    (C::BackendReset, "backend-reset", "the backend broke off", Who::Server, FAILED),
    (C::BackendDown, "backend-down", "its backend went down", Who::Down, "backend-down"),
    (C::BackendRemoved, "backend-removed", "its backend was removed", Who::Killed, "stopped"),
    (
        C::BackendClosed,
        "backend-closed",
        "an operator closed the connections of its backend",
        Who::Killed,
        "stopped",
    ),
    (C::Told, "operator-closed", "an operator closed the connection", Who::Killed, "stopped"),
    (C::IdleTimeout, "idle-timeout", "nothing moved", Who::ClientTimeout, LATE),
    (C::HalfCloseTimeout, "half-close-timeout", "nothing moved", Who::ClientTimeout, LATE),
    (C::AllDown, "all-down", "all backends are down", Who::Server, FAILED),
    (C::NoRoom, "no-room", "no backend takes more", Who::Server, FAILED),
    (
        C::OutOfResources,
        "out-of-resources",
        "out of descriptors, memory or ports",
        Who::Resource,
        "out-of-resources",
    ),
    (C::Stopped, "stopped", "cut off by the stop", Who::Killed, "stopped"),
    (C::DrainTimeout, "drain-timeout", "cut off by the stop", Who::Killed, "stopped"),
    (C::HealthPath, "health-path", "answered here", Who::Local, "answered-here"),
    (C::StatsPath, "stats-path", "answered here", Who::Local, "answered-here"),
    (C::RedirectHttps, "redirect-https", "answered here", Who::Local, "answered-here"),
    (
        C::MaxConnections,
        "max-connections",
        "it gave way to another client",
        Who::Resource,
        "out-of-resources",
    ),
    (C::UdpTimeout, "udp-timeout", "nothing moved", Who::Nobody, "finished"),
    (
        C::MaxFlows,
        "max-flows",
        "it gave way to another flow",
        Who::Resource,
        "out-of-resources",
    ),
    (C::UdpRefused, "udp-refused", "nobody listens there", Who::Server, FAILED),
    (C::Guard, "guard", "refused by a rule of the guard", Who::Proxy, "refused"),
    (
        C::QueueFull,
        "queue",
        "no backend takes more, and the queue is full",
        Who::Server,
        FAILED,
    ),
    (C::QueueTimeout, "queue-timeout", "no backend took it in time", Who::ServerTimeout, SLOW),
    (C::NoProxyHeader, "proxy-header", "no PROXY header", Who::Proxy, "refused"),
    (C::MinRate, "min-rate", "the client is too slow", Who::ClientTimeout, LATE),
    (
        C::RequestTooSlow,
        "max-request-time",
        "the request took too long",
        Who::ClientTimeout,
        LATE,
    ),
    (
        C::AnswerTooSlow,
        "max-request-time",
        "the answer took too long",
        Who::ServerTimeout,
        SLOW,
    ),
    (
        C::TooOld,
        "max-connection-time",
        "the connection was open for too long",
        Who::Killed,
        "stopped",
    ),
    (
        C::MaxForwards,
        "max-forwards",
        "it was to be passed on no more",
        Who::Local,
        "answered-here",
    ),
];

const ABORT: &str = "client-aborted";
const LATE: &str = "client-timeout";
const FAILED: &str = "backend-failed";
const SLOW: &str = "backend-timeout";

impl Cause {
    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The word by which it is searched.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// What it says to who reads it.
    pub fn says(self) -> &'static str {
        self.row().2
    }

    /// Who ended it.
    pub fn who(self) -> Who {
        self.row().3
    }

    /// How it ended, in JSON's word.
    pub fn ended(self) -> &'static str {
        self.row().4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_their_order_and_in_the_manual() {
        let design = include_str!("../../docs/design.md");
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{row:?}");
            assert!(design.contains(&format!("| `{}` |", row.1)), "{row:?} is not in it");
        }
        assert_eq!(ROWS.len(), Cause::MaxForwards as usize + 1);
    }
}
