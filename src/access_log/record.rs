//! What a line of the access log says: facts, before any format.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::cause::Cause;
use super::ending::Ending;
use crate::config::Address;
use crate::http::Version;
use crate::net::Peer;

/// An exchange of HTTP, a TCP connection or a flow of UDP that is over.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Who asked.
    pub client: Peer,
    /// The listener, as in `http://127.0.0.1:8000`.
    pub listener: &'a str,
    /// The service that took it, if one did.
    pub service: Option<&'a str>,
    /// The pool that a backend was picked from, if there is one.
    pub pool: Option<&'a str>,
    /// Who answered.
    pub server: ServedBy<'a>,
    /// Where that backend is, by the address in use.
    pub backend_address: Option<&'a Address>,
    /// What the client's TLS came to, if it spoke that with us.
    pub tls: Option<TlsFacts>,
    /// The server name (SNI) in the ClientHello, if there was one and it was read.
    pub server_name: Option<&'a str>,
    /// When the request's first byte came, or the connection.
    pub began: SystemTime,
    /// What it was.
    pub what: What<'a>,
    /// How long it took.
    pub times: Times,
    /// Bytes to the client, heads included.
    pub sent: u64,
    /// Bytes to the backend, heads included.
    pub received: u64,
    /// How it ended.
    pub ending: Ending,
    /// Connections at that time.
    pub counts: Counts,
    /// Other backends that were tried.
    pub retries: usize,
    /// Why it did not come to its end, or was answered here.
    pub why: Option<Why<'a>>,
    /// The backends that were asked, in their order.
    pub tried: Vec<&'a str>,
    /// The id of the request, if it has one.
    pub request_id: Option<&'a str>,
    /// What a PROXY header said, if the client has one.
    pub in_front: Option<InFront<'a>>,
}

/// What a PROXY header said of a client, beside its address.
#[derive(Debug, Clone)]
pub struct InFront<'a> {
    /// The proxy that sent it.
    pub peer: SocketAddr,
    /// The id of the connection: text as it is, other bytes in hexadecimal.
    pub unique_id: Option<Cow<'a, str>>,
}

/// Why an exchange did not come to its end, or was answered here.
#[derive(Debug, Clone)]
pub struct Why<'a> {
    /// In one word.
    pub cause: Cause,
    /// In more of them.
    pub detail: Cow<'a, str>,
}

/// What the line is about.
#[derive(Debug, Clone)]
pub enum What<'a> {
    /// A TCP connection.
    Tcp,
    /// A connection that did not get through its TLS handshake.
    Handshake {
        /// Why not.
        why: String,
    },
    /// A flow of UDP.
    Udp {
        /// Datagrams to the client.
        datagrams_sent: u64,
        /// Datagrams from the client.
        datagrams_received: u64,
    },
    /// A request and its answer.
    Http {
        /// What was asked; nothing, if that could not be understood.
        asked: Option<AskedFor<'a>>,
        /// The status of the answer; zero, if none was begun.
        status: u16,
        /// Bytes of the answer without its head.
        body: u64,
    },
}

/// What a client and we agreed on in TLS, by the words of OpenSSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
}

/// A request, in the letters of the client.
#[derive(Debug, Clone, Copy)]
pub struct AskedFor<'a> {
    /// GET and the like.
    pub method: &'a [u8],
    /// What follows it.
    pub target: &'a [u8],
    /// The version.
    pub version: Version,
    /// Whom it asked; empty, if it did not say.
    pub host: &'a [u8],
    /// Referer, or empty.
    pub referer: &'a [u8],
    /// User-Agent, or empty.
    pub user_agent: &'a [u8],
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy<'a> {
    /// Nobody was there.
    Nobody,
    /// We did: health, statistics.
    Ourselves,
    /// The backend of this name, or it was tried last.
    Backend(&'a str),
}

/// How long it took to get so far; `None`, if it never did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From the first byte of a request's head to its last.
    pub head: Option<Duration>,
    /// From there to a backend being sought.
    pub queue: Option<Duration>,
    /// From there to its being connected.
    pub connect: Option<Duration>,
    /// From there to the head of its answer.
    pub answer: Option<Duration>,
    /// All together.
    pub total: Duration,
}

/// Connections, this one included as long as it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients, at all listeners.
    pub process: u64,
    /// Clients at this listener.
    pub listener: u64,
    /// Requests in flight, or connections, to all backends.
    pub pool: u64,
    /// The same to this backend.
    pub backend: u64,
}

impl Record<'_> {
    /// How it ended, in a word.
    pub fn ended_how(&self) -> &'static str {
        self.why.as_ref().map_or("finished", |why| why.cause.ended())
    }

    /// When it was over.
    pub fn ended(&self) -> SystemTime {
        self.began + self.times.total
    }
}

/// Date and time of day in UTC, the only time that is the same in every log.
pub(super) fn utc(time: SystemTime) -> DateTime {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or_default();
    Offset::UTC.to_datetime(timestamp)
}

/// Append date and time of day as Apache, nginx and HAProxy write them.
pub(super) fn local_time(at: DateTime, out: &mut Vec<u8>) {
    // because: writing to a vector cannot fail.
    let _ = write!(
        out,
        "{:02}/{}/{}:{:02}:{:02}:{:02}",
        at.day(),
        month(at),
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    );
}

/// The month's name in logs.
fn month(time: DateTime) -> &'static str {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES[usize::from(time.month().unsigned_abs().clamp(1, 12)) - 1]
}

/// Append text of a client within quotes, so that it ends where its quotes do. Nothing at all is a
/// dash.
pub(super) fn quoted(parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'"');
    if parts.iter().all(|part| part.is_empty()) {
        out.push(b'-');
    }
    parts.iter().for_each(|part| escaped(part, true, out));
    out.push(b'"');
}

/// Append text of others: what could be mistaken for the log's own becomes `\xNN`, as nginx writes
/// it. So do spaces, unless they may stand there.
pub(super) fn escaped(text: &[u8], spaces: bool, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b' ' if spaces => out.push(byte),
            b'"' | b'\\' | ..=b' ' | 0x7f.. => {
                let high = usize::from(byte >> 4);
                let low = usize::from(byte & 15);
                out.extend([b'\\', b'x', DIGITS[high], DIGITS[low]]);
            }
            byte => out.push(byte),
        }
    }
}

/// The words of a version.
pub(super) fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}
