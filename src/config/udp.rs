//! What can be asked for where datagrams are balanced, and the probe that asks by datagram.
//!
//! Pure text to value. Called by the flags' table for each value, then by [`crate::flags`] once
//! for what does not go together.

use std::fmt;
use std::time::Duration;

use super::value::Wrong;
use super::{Config, Protocol};
use crate::limits;

/// What holds for the flows of all `udp://` listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// A flow on which nothing moves for so long is over.
    pub timeout: Duration,
    /// Answers to each datagram after which a flow is over; zero: none is waited for.
    pub responses: Option<u32>,
    /// Datagrams after which a client is given a backend anew.
    pub requests: Option<u32>,
    /// Flows at once; `None` derives it from the limit on file descriptors.
    pub max_flows: Option<usize>,
}

/// A question and perhaps its answer, in datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpCheck {
    /// As the operator wrote it.
    typed: String,
    /// What is sent.
    pub text: Vec<u8>,
    /// What the answer must have in it; `None` is satisfied with any.
    pub expect: Option<Vec<u8>>,
}

impl Udp {
    /// What holds where no flag says otherwise.
    pub const DEFAULT: Udp = Udp {
        timeout: limits::UDP_TIMEOUT_DEFAULT,
        responses: None,
        requests: None,
        max_flows: None,
    };
}

impl UdpCheck {
    /// `TEXT[,expect=TEXT]`, the texts with `\xNN` for any byte and `\\` for a backslash.
    pub(super) fn parse(text: &str, whole: &str) -> Result<UdpCheck, Wrong> {
        let (asked, expected) = match text.split_once(",expect=") {
            Some((asked, expected)) => (asked, Some(expected)),
            None => (text, None),
        };
        let bytes = |text: &str| {
            let most = limits::UDP_CHECK_BYTES_MAX;
            let bytes = unescaped(text).filter(|bytes| (1..=most).contains(&bytes.len()));
            bytes.ok_or_else(|| {
                let want = format!(
                    "udp:TEXT[,expect=TEXT], TEXT being 1 to {most} bytes, with \\xNN for any byte"
                );
                Wrong::found(whole, want)
            })
        };
        let expect = expected.map(bytes).transpose()?;
        Ok(UdpCheck { typed: text.to_owned(), text: bytes(asked)?, expect })
    }
}

impl fmt::Display for UdpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// For a flag that does nothing where there are no datagrams.
pub fn check_udp_listener(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.protocol == Protocol::Udp) {
        return Ok(());
    }
    let want = "at least one such as --listen udp://127.0.0.1:5353";
    Err(Wrong::saying("no udp:// listener", want))
}

/// Whether there are datagrams alone, so that a TCP connect would say nothing.
pub fn is_udp_alone(config: &Config) -> bool {
    let mut listeners = config.listeners.iter();
    !config.listeners.is_empty() && listeners.all(|listen| listen.protocol == Protocol::Udp)
}

/// Datagrams are not encrypted on their way: whoever asks for that must not believe that they are.
pub fn check_udp_backends(config: &Config) -> Result<(), Wrong> {
    let encrypted = config.backends.iter().find(|backend| backend.tls.is_some());
    match encrypted {
        Some(backend) if is_udp_alone(config) => {
            let found = format!("'{}' with TLS, and only udp:// listeners", backend.name);
            Err(Wrong::saying(found, "none: datagrams are sent on as they come"))
        }
        _ => Ok(()),
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                out.push((digit(*high)? * 16 + digit(*low)?) as u8);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    #[test]
    fn questions_are_read_and_shown_alike() {
        type Row = (&'static str, &'static [u8], Option<&'static [u8]>);
        let table: [Row; 6] = [
            ("udp:ping", b"ping", None),
            ("udp:a,b:c", b"a,b:c", None),
            (r"udp:\x00\xfF\\x", b"\x00\xff\\x", None),
            ("udp:ping,expect=pong", b"ping", Some(b"pong")),
            (r"udp:\x2c,expect=\x2c,expect=", b",", Some(b",,expect=")),
            ("udp:é", "é".as_bytes(), None),
        ];
        for (text, asked, expect) in table {
            let check = Check::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(check.to_string(), text);
            let Check::Udp(check) = check else { panic!("{text}: {check:?}") };
            assert_eq!((&*check.text, check.expect.as_deref()), (asked, expect), "{text}");
        }
    }

    #[test]
    fn questions_that_are_none_are_refused() {
        let long = format!("udp:{}", "x".repeat(limits::UDP_CHECK_BYTES_MAX + 1));
        let table = [
            "udp:",
            r"udp:\",
            r"udp:\x1",
            r"udp:\xg0",
            r"udp:\n",
            "udp:a,expect=",
            r"udp:a,expect=\x",
            &long,
        ];
        for text in table {
            let wrong = Check::parse(text).unwrap_err().to_string();
            assert!(
                wrong.contains("want udp:TEXT[,expect=TEXT], TEXT being 1 to 512"),
                "{wrong}"
            );
        }
        assert!(Check::parse(&long[..long.len() - 1]).is_ok());
    }
}
