//! What a probe asks, and what an answer means. A pure room: bytes in, a small enum out.

use crate::config::Check;
use crate::limits::{DATAGRAM_SHOWN_BYTES, LOAD_ANSWER_BYTES_MAX, STATUS_LINE_BYTES_MAX};

/// What is sent to a backend once it took the connection.
#[derive(Debug, Clone)]
pub struct Question {
    kind: Kind,
    text: Vec<u8>,
    /// What the answer must have in it.
    expect: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Connect,
    Http,
    Load,
    Datagram,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Not all of it is here.
    Incomplete,
    /// The backend is well, and perhaps reports its load.
    Good(Option<f64>),
    /// It is not, for this reason.
    Bad(String),
}

impl Question {
    /// No answer needs to be read further than this.
    pub const ANSWER_BYTES_MAX: usize = STATUS_LINE_BYTES_MAX;

    /// The question that belongs to a check.
    pub fn of(check: &Check) -> Question {
        let mut expect = None;
        let (kind, text) = match check {
            Check::None | Check::Tcp => (Kind::Connect, Vec::new()),
            Check::Http(path) | Check::Https(path) => (Kind::Http, http_request(path)),
            Check::Load(text) => (Kind::Load, [text.as_bytes(), b"\0"].concat()),
            Check::Udp(check) => {
                expect.clone_from(&check.expect);
                (Kind::Datagram, check.text.clone())
            }
        };
        Question { kind, text, expect }
    }

    /// Whether it is asked, and answered, in a datagram.
    pub fn is_datagram(&self) -> bool {
        matches!(self.kind, Kind::Datagram)
    }

    /// What to send; nothing, if the connection itself is the answer.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What the bytes received so far mean; `ended` says that there will be no more.
    pub fn judge(&self, answer: &[u8], ended: bool) -> Answer {
        match self.kind {
            Kind::Connect => Answer::Good(None),
            Kind::Http => judge_status(answer, ended),
            Kind::Load => judge_load(answer, ended),
            Kind::Datagram => self.judge_datagram(answer),
        }
    }

    fn judge_datagram(&self, answer: &[u8]) -> Answer {
        let has = |text: &Vec<u8>| answer.windows(text.len()).any(|part| part == text);
        if self.expect.as_ref().is_none_or(has) {
            return Answer::Good(None);
        }
        let shown = answer.get(..DATAGRAM_SHOWN_BYTES).unwrap_or(answer);
        Answer::Bad(format!("'{}' is not what is expected", shown.escape_ascii()))
    }
}

/// HTTP/1.1 wants a Host field (RFC 9112 section 3.2). The name of the host is gone once it was
/// looked up, so the field says who asks.
fn http_request(path: &str) -> Vec<u8> {
    let agent = concat!("pointsman/", env!("CARGO_PKG_VERSION"));
    format!("GET {path} HTTP/1.1\r\nHost: pointsman-check\r\nUser-Agent: {agent}\r\n")
        .into_bytes()
        .into_iter()
        .chain(*b"Accept: */*\r\nConnection: close\r\n\r\n")
        .collect()
}

/// `HTTP/1.1 200 OK`: the status line is all that is read (RFC 9112 section 4).
fn judge_status(answer: &[u8], ended: bool) -> Answer {
    let Some(end) = answer.iter().position(|&byte| byte == b'\n') else {
        return match (ended, answer.is_empty()) {
            (false, _) => Answer::Incomplete,
            (true, true) => Answer::Bad("closed without an answer".into()),
            (true, false) => Answer::Bad("not an HTTP answer".into()),
        };
    };
    let line = answer[..end].strip_suffix(b"\r").unwrap_or(&answer[..end]);
    let digits = line
        .strip_prefix(b"HTTP/1.")
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .and_then(|rest| rest[1..].strip_prefix(b" "))
        .filter(|rest| rest.len() == 3 || rest.get(3) == Some(&b' '))
        .map(|rest| &rest[..3]);
    match digits {
        Some(b"200") => Answer::Good(None),
        Some(code) if code.iter().all(u8::is_ascii_digit) => {
            Answer::Bad(format!("status {}, want 200", String::from_utf8_lossy(code)))
        }
        _ => Answer::Bad("not an HTTP answer".into()),
    }
}

/// A decimal number, ended by NUL, a newline, or the end of the connection.
fn judge_load(answer: &[u8], ended: bool) -> Answer {
    let end = answer.iter().position(|&byte| byte == 0 || byte == b'\n');
    if end.unwrap_or(answer.len()) > LOAD_ANSWER_BYTES_MAX {
        return Answer::Bad(format!("a load of over {LOAD_ANSWER_BYTES_MAX} bytes"));
    }
    let text = match end {
        Some(end) => &answer[..end],
        None if !ended => return Answer::Incomplete,
        None if answer.is_empty() => return Answer::Bad("closed without an answer".into()),
        None => return Answer::Bad("a load without NUL or newline at its end".into()),
    };
    match parse_load(text) {
        Some(load) => Answer::Good(Some(load)),
        None => Answer::Bad(format!("'{}' is not a load", text.escape_ascii())),
    }
}

/// Digits with at most one point; no sign, no exponent, no infinity.
fn parse_load(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain {
        return None;
    }
    text.parse().ok().filter(|load: &f64| load.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(answer: &Answer) -> bool {
        matches!(answer, Answer::Bad(_))
    }

    #[test]
    fn http_wants_status_200() {
        let question = Question::of(&Check::Http("/health".into()));
        assert!(question.text().starts_with(b"GET /health HTTP/1.1\r\nHost: "));
        assert!(question.text().ends_with(b"\r\n\r\n"));
        for good in ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 200\r\nX: y", "HTTP/1.1 200 \n"] {
            assert_eq!(question.judge(good.as_bytes(), false), Answer::Good(None), "{good:?}");
        }
        let bads = [
            "HTTP/1.1 500 Oops\r\n",
            "HTTP/1.1 204 No Content\r\n",
            "HTTP/1.1 2000 OK\r\n",
            "HTTP/1.1 20\r\n",
            "HTTP/2 200 OK\r\n",
            "HTTP/1.x 200 OK\r\n",
            "SSH-2.0-OpenSSH\r\n",
            "\n",
        ];
        for answer in bads {
            assert!(bad(&question.judge(answer.as_bytes(), false)), "{answer:?}");
        }
    }

    #[test]
    fn http_waits_for_the_whole_status_line() {
        let question = Question::of(&Check::Http("/".into()));
        assert_eq!(question.judge(b"HTTP/1.1 200 OK", false), Answer::Incomplete);
        assert!(bad(&question.judge(b"HTTP/1.1 200 OK", true)), "cut off");
        assert!(bad(&question.judge(b"", true)));
    }

    #[test]
    fn a_load_is_a_decimal_number_with_an_end() {
        let question = Question::of(&Check::Load("__clients?".into()));
        assert_eq!(question.text(), b"__clients?\0");
        let table: [(&[u8], f64); 5] = [
            (b"0\0", 0.0),
            (b"17\n", 17.0),
            (b" 3.25\r\n", 3.25),
            (b"5\0rest", 5.0),
            (b"1.\0", 1.0),
        ];
        for (text, load) in table {
            assert_eq!(question.judge(text, false), Answer::Good(Some(load)), "{text:?}");
        }
        for text in ["\0", "-1\0", "+1\0", "1e9\0", "inf\0", "NaN\0", "1.2.3\0", "a\0", ".\0"] {
            assert!(bad(&question.judge(text.as_bytes(), false)), "{text:?}");
        }
        assert!(bad(&question.judge(b"\xff\xfe\0", false)));
    }

    #[test]
    fn a_load_has_at_most_100_bytes() {
        let question = Question::of(&Check::Load("load".into()));
        let digits = "1".repeat(100);
        assert_eq!(question.judge(digits.as_bytes(), false), Answer::Incomplete);
        assert!(bad(&question.judge(digits.as_bytes(), true)), "no end");
        assert!(matches!(
            question.judge(format!("{digits}\0").as_bytes(), false),
            Answer::Good(_)
        ));
        assert!(bad(&question.judge(format!("{digits}1\0").as_bytes(), false)));
        assert!(bad(&question.judge(format!("{digits}1").as_bytes(), false)));
    }

    #[test]
    fn a_datagram_has_what_is_expected_in_it() {
        let question = |text: &str| Question::of(&Check::parse(text).expect("a check"));
        let any = question(r"udp:\x00ping");
        assert_eq!((any.text(), any.is_datagram()), (&b"\0ping"[..], true));
        for answer in [&b""[..], b"\0", b"whatever"] {
            assert_eq!(any.judge(answer, true), Answer::Good(None));
        }
        let pong = question(r"udp:ping,expect=p\x6fng");
        for answer in [&b"pong"[..], b"a pong!"] {
            assert_eq!(pong.judge(answer, true), Answer::Good(None));
        }
        for answer in [&b""[..], b"pon", b"PONG"] {
            assert!(bad(&pong.judge(answer, true)));
        }
        let Answer::Bad(said) = pong.judge(&[b'\n'; 2000], true) else { panic!("good") };
        assert!(said.len() < 200 && !said.contains('\n'), "{said}");
    }

    #[test]
    fn tcp_asks_nothing() {
        assert!(Question::of(&Check::Tcp).text().is_empty());
    }
}
