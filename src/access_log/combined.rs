//! The Combined Log Format, to the letter as nginx writes it.
//!
//! ```text
//!   127.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET /x HTTP/1.1" 200 5 "http://a/" "curl/8.5"
//! ```
//!
//! A request that could not be understood is a dash, a status that there is none of `000`. So is
//! that of a TCP connection, of a flow of UDP, or of a failed handshake of TLS, which have neither.

use std::io::Write as _;

use super::record::{Record, What, local_time, quoted, utc, version};

/// Append the line without its end.
pub(super) fn line(record: &Record<'_>, out: &mut Vec<u8>) {
    let at = utc(record.ended());
    // because: writing to a vector cannot fail.
    let _ = write!(out, "{} - - [", record.client.host());
    local_time(at, out);
    out.extend_from_slice(b" +0000] ");
    let (asked, status, bytes) = match &record.what {
        What::Tcp | What::Udp { .. } | What::Handshake { .. } => (None, 0, record.sent),
        What::Http { asked, status, body } => (asked.as_ref(), *status, *body),
    };
    match asked {
        None => quoted(&[], out),
        Some(asked) => {
            let version = version(asked.version).as_bytes();
            quoted(&[asked.method, b" ", asked.target, b" ", version], out);
        }
    }
    let _ = write!(out, " {status:03} {bytes} ");
    quoted(&[asked.map_or(&[][..], |asked| asked.referer)], out);
    out.push(b' ');
    quoted(&[asked.map_or(&[][..], |asked| asked.user_agent)], out);
}
