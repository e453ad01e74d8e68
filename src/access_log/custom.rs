//! A format of the operator's own, filled in.
//!
//! No value can end a line, or the quotes that it stands in: what could is written as `\xNN`. Where
//! a variable stands outside of quotes, spaces are written so, too. What is not known is a dash.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::record::{AskedFor, Record, ServedBy, What, escaped, local_time, utc, version};
use crate::config::{LineFormat, LinePiece, Variable};

/// Append the line without its end.
pub(super) fn line(format: &LineFormat, record: &Record<'_>, out: &mut Vec<u8>) {
    for piece in format.pieces() {
        match piece {
            LinePiece::Text(text) => out.extend_from_slice(text.as_bytes()),
            LinePiece::Variable { variable, within_quotes } => {
                let before = out.len();
                fill_in(*variable, *within_quotes, record, out);
                if out.len() == before {
                    out.push(b'-');
                }
            }
        }
    }
}

/// Append a value; nothing, if it is not known.
fn fill_in(variable: Variable, within_quotes: bool, record: &Record<'_>, out: &mut Vec<u8>) {
    // because: writing to a vector cannot fail.
    let _ = match variable {
        Variable::Client => write!(out, "{}", record.client.host()),
        Variable::ClientPort => write!(out, "{}", record.client.port()),
        Variable::Request => {
            if let Some(it) = asked(record) {
                for part in [it.method, b" ", it.target, b" "] {
                    escaped(part, within_quotes || part == b" ", out);
                }
                out.extend_from_slice(version(it.version).as_bytes());
            }
            Ok(())
        }
        Variable::BackendAddress => {
            record.backend_address.map_or(Ok(()), |address| write!(out, "{address}"))
        }
        Variable::ProxyPeer => {
            let in_front = record.in_front.as_ref();
            in_front.map_or(Ok(()), |it| write!(out, "{}", it.peer))
        }
        Variable::State => out.write_all(&record.ending.letters()),
        _ => {
            if let Some(number) = number(variable, record) {
                let _ = write!(out, "{number}");
            } else if !moment(variable, record, out) && !time(variable, record, out) {
                escaped(text(variable, record), within_quotes, out);
            }
            Ok(())
        }
    };
}

fn text<'a>(variable: Variable, record: &'a Record<'_>) -> &'a [u8] {
    use Variable as V;
    let of = |field: fn(&AskedFor<'a>) -> &'a [u8]| asked(record).map_or(&[][..], field);
    let target =
        |part: fn(&'a [u8]) -> &'a [u8]| asked(record).map_or(&[][..], |it| part(it.target));
    match variable {
        V::Listener => record.listener.as_bytes(),
        V::Scheme => record.listener.split_once("://").map_or("", |it| it.0).as_bytes(),
        V::Service => record.service.unwrap_or_default().as_bytes(),
        V::Pool => record.pool.unwrap_or_default().as_bytes(),
        V::Backend => match record.server {
            ServedBy::Backend(name) => name.as_bytes(),
            ServedBy::Nobody | ServedBy::Ourselves => b"",
        },
        V::Method => of(|it| it.method),
        V::Uri => of(|it| it.target),
        V::Path => target(|it| it.split(|&byte| byte == b'?').next().unwrap_or_default()),
        V::Query => target(|it| {
            let mark = it.iter().position(|&byte| byte == b'?');
            mark.map_or(&[][..], |at| &it[at + 1..])
        }),
        V::Protocol => of(|it| version(it.version).as_bytes()),
        V::Host => of(|it| it.host),
        V::Referer => of(|it| it.referer),
        V::UserAgent => of(|it| it.user_agent),
        V::RequestId => record.request_id.unwrap_or_default().as_bytes(),
        V::ProxyUniqueId => {
            let id = record.in_front.as_ref().and_then(|it| it.unique_id.as_deref());
            id.unwrap_or_default().as_bytes()
        }
        V::Ended => record.ended_how().as_bytes(),
        V::Reason => record.why.as_ref().map_or("", |why| why.cause.word()).as_bytes(),
        V::Detail => record.why.as_ref().map_or("", |why| why.detail.as_ref()).as_bytes(),
        V::TlsVersion => record.tls.map_or("", |it| it.version).as_bytes(),
        V::TlsCipher => record.tls.map_or("", |it| it.cipher).as_bytes(),
        V::Sni => record.server_name.unwrap_or_default().as_bytes(),
        V::TlsError => match &record.what {
            What::Handshake { why } => why.as_bytes(),
            _ => b"",
        },
        _ => b"",
    }
}

fn number(variable: Variable, record: &Record<'_>) -> Option<u64> {
    use Variable as V;
    let (datagrams_out, datagrams_in) = match record.what {
        What::Udp { datagrams_sent, datagrams_received } => {
            (Some(datagrams_sent), Some(datagrams_received))
        }
        _ => (None, None),
    };
    let (status, body) = match record.what {
        What::Http { status, body, .. } => (Some(u64::from(status)), Some(body)),
        _ => (None, None),
    };
    let asked = matches!(record.server, ServedBy::Backend(_));
    match variable {
        V::Status => status.filter(|&status| status > 0),
        V::BytesOut => Some(record.sent),
        V::BytesIn => Some(record.received),
        V::BodyBytes => body,
        V::DatagramsOut => datagrams_out,
        V::DatagramsIn => datagrams_in,
        V::Tries => Some(record.retries as u64 + u64::from(asked)),
        V::Retries => Some(record.retries as u64),
        V::ConnsProcess => Some(record.counts.process),
        V::ConnsListener => Some(record.counts.listener),
        V::ConnsPool => Some(record.counts.pool),
        V::ConnsBackend => Some(record.counts.backend),
        _ => None,
    }
}

/// Append how long something took. Says whether the variable is of that kind.
fn time(variable: Variable, record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    use Variable as V;
    let times = &record.times;
    let (took, unit) = match variable {
        V::MsHead => (times.head, 1e3),
        V::MsQueue => (times.queue, 1e3),
        V::MsConnect => (times.connect, 1e3),
        V::MsAnswer => (times.answer, 1e3),
        V::MsTotal => (Some(times.total), 1e3),
        V::RequestTime => (Some(times.total), 1.0),
        V::ConnectTime => (times.connect, 1.0),
        V::HeaderTime => (times.connect.and_then(|connect| Some(connect + times.answer?)), 1.0),
        _ => return false,
    };
    if let Some(took) = took {
        let _ = write!(out, "{:.3}", took.as_secs_f64() * unit);
    }
    true
}

/// Append a time of day. Says whether the variable is of that kind.
fn moment(variable: Variable, record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    use Variable as V;
    let unix = |time: SystemTime, out: &mut Vec<u8>| {
        let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(out, "{}.{:03}", since.as_secs(), since.subsec_millis())
    };
    let _ = match variable {
        V::Time => write!(out, "{:.3}Z", utc(record.began)),
        V::TimeUnix => unix(record.began, out),
        V::TimeIso => write!(out, "{:.0}+00:00", utc(record.ended())),
        V::Msec => unix(record.ended(), out),
        V::TimeLocal => {
            let at = utc(record.ended());
            local_time(at, out);
            out.extend_from_slice(b" +0000");
            Ok(())
        }
        _ => return false,
    };
    true
}

fn asked<'a>(record: &'a Record<'_>) -> Option<&'a AskedFor<'a>> {
    match &record.what {
        What::Http { asked, .. } => asked.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
