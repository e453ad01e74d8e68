//! HAProxy's `httplog`, and for TCP and UDP its `tcplog`, so that what reads its logs reads ours.
//!
//! ```text
//!   10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http://10.0.0.1:80 pool/web1 10/0/30/69/109 200 2750
//!     client        when it began, UTC         the listener       backend  TR Tw Tc Tr  Ta status
//!   - - ---- 1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"
//!       state  connections, retries
//! ```
//!
//! Where a route led, its name stands in the place of `pool`. Times are milliseconds, -1 for what
//! was never reached. There is no queue, so its places are 0.

use std::io::Write as _;
use std::time::Duration;

use super::record::{Record, ServedBy, What, local_time, quoted, utc, version};

/// Append the line without its end.
pub(super) fn line(record: &Record<'_>, out: &mut Vec<u8>) {
    begin(record, out);
    let times = &record.times;
    let queue = millis(times.queue);
    let connect = millis(times.connect);
    let total = times.total.as_millis();
    let [who, when] = record.ending.letters().map(char::from);
    match &record.what {
        What::Tcp | What::Udp { .. } | What::Handshake { .. } => {
            let _ = write!(out, "{queue}/{connect}/{total} {} {who}{when} ", record.sent);
            counts(record, out);
        }
        What::Http { asked, status, .. } => {
            let head = millis(times.head);
            let answer = millis(times.answer);
            let status = if *status == 0 { -1 } else { i32::from(*status) };
            let _ = write!(
                out,
                "{head}/{queue}/{connect}/{answer}/{total} {status} {} - - {who}{when}-- ",
                record.sent
            );
            counts(record, out);
            out.push(b' ');
            match asked {
                None => out.extend_from_slice(b"\"<BADREQ>\""),
                Some(asked) => {
                    let version = version(asked.version).as_bytes();
                    quoted(&[asked.method, b" ", asked.target, b" ", version], out);
                }
            }
        }
    }
}

fn begin(record: &Record<'_>, out: &mut Vec<u8>) {
    let at = utc(record.began);
    let server = match record.server {
        ServedBy::Nobody => "<NOSRV>",
        ServedBy::Ourselves => "<STATS>",
        ServedBy::Backend(name) => name,
    };
    // because: writing to a vector cannot fail.
    let _ = write!(out, "{}:{} [", record.client.host(), record.client.port());
    local_time(at, out);
    let pool = record.pool.unwrap_or("-");
    let _ = write!(out, ".{:03}] {} {pool}/{server} ", at.millisecond(), record.listener);
}

/// Who is tried next is always another one, which a plus says.
fn counts(record: &Record<'_>, out: &mut Vec<u8>) {
    let counts = &record.counts;
    let plus = if record.retries > 0 { "+" } else { "" };
    let _ = write!(
        out,
        "{}/{}/{}/{}/{plus}{} 0/0",
        counts.process, counts.listener, counts.pool, counts.backend, record.retries
    );
}

fn millis(time: Option<Duration>) -> i128 {
    time.map_or(-1, |time| time.as_millis() as i128)
}
