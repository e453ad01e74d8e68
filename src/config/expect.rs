//! What a probe sends and what it expects of the answer, as people write it: texts and statuses.
//!
//! Pure text to value. Called by [`super::Check::parse`].

use std::fmt;
use std::ops::RangeInclusive;

use super::complaint::Wrong;
use super::host::{did_you_mean, is_host, is_ipv6, want_of_host};
use super::http;
use super::value::digits;
use crate::limits;

/// A question and perhaps its answer, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextCheck {
    /// As the operator wrote it.
    typed: String,
    /// What is sent.
    pub text: Vec<u8>,
    /// What the answer must have in it; `None` is satisfied with any.
    pub expect: Option<Vec<u8>>,
}

/// A path, and the statuses that are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// What is asked for.
    pub path: String,
    /// What it is to be answered with.
    pub statuses: Statuses,
}

/// Statuses, as a list of ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses {
    /// As the operator wrote them, if that was done.
    typed: Option<String>,
    ranges: Vec<RangeInclusive<u16>>,
}

impl TextCheck {
    /// `TEXT[,expect=TEXT]`, the texts with `\xNN` for any byte and `\\` for a backslash. A stream
    /// may be opened to say nothing, if something is expected; a datagram says something.
    pub(super) fn parse(text: &str, scheme: &str, whole: &str) -> Result<TextCheck, Wrong> {
        let (asked, expected) = match text.split_once(",expect=") {
            Some((asked, expected)) => (asked, Some(expected)),
            None => (text, None),
        };
        let bytes = |text: &str, least: usize| {
            let most = limits::CHECK_TEXT_BYTES_MAX;
            let bytes = unescaped(text).filter(|bytes| (least..=most).contains(&bytes.len()));
            bytes.ok_or_else(|| {
                let want = format!(
                    "{scheme}:TEXT[,expect=TEXT], TEXT being 1 to {most} bytes, with \\xNN for \
                     any byte"
                );
                Wrong::found(whole, want)
            })
        };
        let expect = expected.map(|text| bytes(text, 1)).transpose()?;
        let least = usize::from(scheme == "udp" || expect.is_none());
        Ok(TextCheck { typed: text.to_owned(), text: bytes(asked, least)?, expect })
    }
}

impl HttpCheck {
    /// `/PATH[,expect=STATUSES]`.
    pub(super) fn parse(text: &str, scheme: &str, whole: &str) -> Result<HttpCheck, Wrong> {
        let (path, statuses) = match text.rsplit_once(",expect=") {
            Some((path, statuses)) => (path, Some(statuses)),
            None => (text, None),
        };
        let form = format!("{scheme}:/PATH");
        if path.starts_with("//") {
            let want = format!("{form} without a host: each backend is asked in turn");
            return Err(Wrong::found(whole, want));
        }
        if let Some(want) = http::path_fault(path, &form) {
            return Err(Wrong::found(whole, want));
        }
        let statuses = match statuses {
            None => Statuses::default(),
            Some(statuses) => Statuses::parse(statuses).ok_or_else(|| {
                let want = format!(
                    "{form}[,expect=STATUSES] such as 200-399 or 200,401, each from 100 to 599"
                );
                Wrong::found(whole, want)
            })?,
        };
        Ok(HttpCheck { path: path.to_owned(), statuses })
    }
}

impl Statuses {
    /// `200-299,401`.
    fn parse(text: &str) -> Option<Statuses> {
        let status = |text: &str| {
            let status = u16::try_from(digits(text)?).ok()?;
            (100..=599).contains(&status).then_some(status)
        };
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = status(first)?;
            let last = status(last)?;
            (first <= last).then_some(first..=last)
        };
        let ranges = text.split(',').map(range).collect::<Option<_>>()?;
        Some(Statuses { typed: Some(text.to_owned()), ranges })
    }

    /// Whether this one is among them.
    pub fn has(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }
}

impl Default for Statuses {
    fn default() -> Statuses {
        Statuses { typed: None, ranges: vec![200..=299] }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.typed.as_deref().unwrap_or("200-299"))
    }
}

impl fmt::Display for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.statuses.typed {
            Some(typed) => write!(f, ",expect={typed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TextCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// A host for the Host field of probes, perhaps with a port.
pub fn check_host(text: &str) -> Result<String, Wrong> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (is_ipv6(address), port),
        None => {
            let host = text.split(':').next().unwrap_or_default();
            (is_host(host), &text[host.len()..])
        }
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let of_digits = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if port.is_empty() { ":80" } else { port };
    if host && port.strip_prefix(':').filter(of_digits).is_some_and(is_port) {
        return Ok(text.to_owned());
    }
    let hint = is_ipv6(text).then(|| format!("[{text}]"));
    let want = "a host such as www.example.com, perhaps with a port as in web:8080";
    let want = match (&hint, text.rsplit_once(':')) {
        (Some(_), _) => want.to_owned(),
        (None, host) => want_of_host(want, host.map_or(text, |it| it.0)),
    };
    Err(Wrong::found(text, format!("{want}{}", did_you_mean(hint))))
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
        let table: [Row; 10] = [
            ("udp:ping", b"ping", None),
            ("udp:a,b:c", b"a,b:c", None),
            (r"udp:\x00\xfF\\x", b"\x00\xff\\x", None),
            ("udp:ping,expect=pong", b"ping", Some(b"pong")),
            (r"udp:\x2c,expect=\x2c,expect=", b",", Some(b",,expect=")),
            ("udp:é", "é".as_bytes(), None),
            ("tcp:PING\\x0d\\x0a,expect=+PONG", b"PING\r\n", Some(b"+PONG")),
            ("tcp:x", b"x", None),
            ("tcp:,expect=220 ", b"", Some(b"220 ")),
            ("tcp:a:b,c,expect=,", b"a:b,c", Some(b",")),
        ];
        for (text, asked, expect) in table {
            let check = Check::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(check.to_string(), text);
            let (Check::Udp(check) | Check::Text(check)) = check else {
                panic!("{text}: {check:?}")
            };
            assert_eq!((&*check.text, check.expect.as_deref()), (asked, expect), "{text}");
        }
    }

    #[test]
    fn questions_that_are_none_are_refused() {
        let long = format!("udp:{}", "x".repeat(limits::CHECK_TEXT_BYTES_MAX + 1));
        let table = [
            "udp:",
            r"udp:\",
            r"udp:\x1",
            r"udp:\xg0",
            r"udp:\n",
            "udp:a,expect=",
            r"udp:a,expect=\x",
            "udp:,expect=a",
            "tcp:",
            "tcp:a,expect=",
            r"tcp:\q",
            &long,
        ];
        for text in table {
            let wrong = Check::parse(text).unwrap_err().to_string();
            let want = format!("want {}:TEXT[,expect=TEXT], TEXT being 1 to 512", &text[..3]);
            assert!(wrong.contains(&want), "{wrong}");
        }
        assert!(Check::parse(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn a_host_to_ask_for_is_one_that_servers_take() {
        for good in ["web", "www.example.com:8080", "a_b.", "10.0.0.1:1", "[::1]", "[::1]:443"]
        {
            assert_eq!(check_host(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "-a",
            "web:",
            "web:0",
            "web:65536",
            "web:+1",
            "web:80:80",
            "[::1",
            "[web]",
            "[::1]80",
            "a b",
            "a\r\nb",
            "http://web",
            "*",
        ] {
            assert!(check_host(bad).is_err(), "{bad}");
        }
        let wrong = check_host("::1").unwrap_err().to_string();
        assert!(wrong.ends_with("did you mean [::1]?"), "{wrong}");
    }

    #[test]
    fn statuses_are_read_and_shown_alike() {
        let table: [(&str, &[u16], &[u16]); 6] = [
            ("http:/", &[200, 204, 299], &[199, 300, 401, 500]),
            ("http:/a?b,c,expect=200-399", &[200, 302, 399], &[199, 400, 503]),
            ("https:/,expect=200-299,401", &[200, 299, 401], &[300, 400, 402]),
            ("http:/,expect=503", &[503], &[200, 502, 504]),
            ("http:/,expect=401,200,404-405", &[200, 401, 404, 405], &[201, 403]),
            ("http:/,expect=100-599", &[100, 599], &[99, 600]),
        ];
        for (text, good, bad) in table {
            let check = Check::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(check.to_string(), text);
            let (Check::Http(check) | Check::Https(check)) = check else { panic!("{text}") };
            assert!(good.iter().all(|&status| check.statuses.has(status)), "{text}");
            assert!(!bad.iter().any(|&status| check.statuses.has(status)), "{text}");
        }
    }

    #[test]
    fn statuses_that_are_none_are_refused() {
        for statuses in
            ["", "2xx", "99", "600", "300-200", "200-", "-200", "200,,201", "200, 201"]
        {
            let text = format!("http:/x,expect={statuses}");
            let wrong = Check::parse(&text).unwrap_err().to_string();
            let want = "want http:/PATH[,expect=STATUSES] such as 200-399 or 200,401";
            assert!(wrong.contains(want), "{wrong}");
        }
    }
}
