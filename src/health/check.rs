//! What a probe asks, and what an answer means. A pure room: bytes in, a small enum out.
//!
//! ```text
//!   question --> answer --judge--> good or bad, which is told at once
//!                  |
//!                  +-- rest --> its end, or the bound
//! ```
//!
//! The rest of an answer says nothing to us, but is read all the same: closing a socket with unread
//! bytes resets the connection, which fills the backend's log.

use crate::config::{Check, Statuses};
use crate::http::{Asked, Decoder, Fields, Parse, Scan, Trailers, parse_response};
use crate::limits::{
    CHECK_ANSWER_BYTES_MAX, DATAGRAM_SHOWN_BYTES, HTTP_HEAD_BYTES_MAX, LOAD_ANSWER_BYTES_MAX,
    STATUS_LINE_BYTES_MAX,
};

/// What is sent to a backend once it took the connection.
#[derive(Debug, Clone)]
pub struct Question {
    kind: QuestionKind,
    /// What is sent, or of HTTP the path.
    text: Vec<u8>,
}

#[derive(Debug, Clone)]
enum QuestionKind {
    Connect,
    Http(Statuses),
    Load,
    /// What the answer must have in it.
    Text(Option<Vec<u8>>),
    Datagram(Option<Vec<u8>>),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Not all of it is here.
    Incomplete,
    /// The backend is well, and perhaps reports its load.
    Good(Option<f64>),
    /// It is not, for this reason.
    Bad(String),
}

/// How much of an answer is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// There may be more.
    SoFar,
    /// There will be no more.
    All,
}

/// What is to come of an answer whose meaning is known.
#[derive(Debug)]
pub enum Rest {
    /// The rest of its head.
    Head(Vec<u8>),
    /// A body.
    Body(Decoder),
    /// What comes until the backend closes.
    UntilClose,
}

impl Question {
    /// The question that belongs to a check.
    pub fn of(check: &Check) -> Question {
        let (kind, text) = match check {
            Check::None | Check::Tcp => (QuestionKind::Connect, Vec::new()),
            Check::Http(http) | Check::Https(http) => {
                (QuestionKind::Http(http.statuses.clone()), http.path.clone().into_bytes())
            }
            Check::Load(text) => (QuestionKind::Load, [text.as_bytes(), b"\0"].concat()),
            Check::Text(check) => {
                (QuestionKind::Text(check.expect.clone()), check.text.clone())
            }
            Check::Udp(check) => {
                (QuestionKind::Datagram(check.expect.clone()), check.text.clone())
            }
        };
        Question { kind, text }
    }

    /// Whether it is asked, and answered, in a datagram.
    pub fn is_datagram(&self) -> bool {
        matches!(self.kind, QuestionKind::Datagram(_))
    }

    /// Whether the connection itself is the answer.
    pub fn is_connect(&self) -> bool {
        matches!(self.kind, QuestionKind::Connect)
    }

    /// What to send to a backend that is called `host`.
    pub fn text(&self, host: &str) -> Vec<u8> {
        match self.kind {
            QuestionKind::Http(_) => http_request(&self.text, host),
            _ => self.text.clone(),
        }
    }

    /// What these bytes of an answer mean.
    pub fn judge(&self, answer: &[u8], heard: Heard) -> Judgement {
        let ended = heard == Heard::All;
        match &self.kind {
            QuestionKind::Connect => Judgement::Good(None),
            QuestionKind::Http(statuses) => judge_status(answer, ended, statuses),
            QuestionKind::Load => judge_load(answer, ended),
            QuestionKind::Text(expect) => judge_text(answer, ended, expect.as_deref()),
            QuestionKind::Datagram(expect) if has(answer, expect.as_deref()) => {
                Judgement::Good(None)
            }
            QuestionKind::Datagram(_) => not_expected(answer),
        }
    }

    /// Why these bytes are not enough, now that there is no time for more.
    pub fn too_late(&self, answer: &[u8]) -> Option<String> {
        match self.judge(answer, Heard::All) {
            Judgement::Bad(reason)
                if matches!(self.kind, QuestionKind::Text(_)) && !answer.is_empty() =>
            {
                Some(reason)
            }
            _ => None,
        }
    }

    /// What follows these bytes of an answer that is understood: nothing, or it is to be read.
    pub fn rest(&self, answer: &[u8]) -> Option<Rest> {
        match self.kind {
            QuestionKind::Connect | QuestionKind::Datagram(_) => None,
            QuestionKind::Http(_) => {
                let mut rest = Rest::Head(Vec::new());
                (!rest.take(answer)).then_some(rest)
            }
            QuestionKind::Load | QuestionKind::Text(_) => Some(Rest::UntilClose),
        }
    }

    /// Whether nothing will be asked any more, so that the backend is told; a server of HTTP would
    /// take that for a client that left.
    pub fn says_end(&self) -> bool {
        matches!(self.kind, QuestionKind::Load | QuestionKind::Text(_))
    }
}

impl Rest {
    /// More of it came; says whether that was all. What is no HTTP is read until the close.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        match self {
            Rest::UntilClose => false,
            Rest::Body(decoder) => decode(decoder, bytes).unwrap_or(true),
            Rest::Head(head) => {
                head.extend_from_slice(bytes);
                let mut fields = Fields::default();
                let asked = Asked::default();
                match parse_response(head, &mut Scan::default(), &mut fields, &asked) {
                    Parse::Incomplete if head.len() <= HTTP_HEAD_BYTES_MAX => false,
                    Parse::Done(found) if !found.is_interim() => {
                        let mut decoder = Decoder::new(found.framing, Trailers::Drop);
                        let whole = decode(&mut decoder, &head[found.length..]);
                        *self = Rest::Body(decoder);
                        whole.unwrap_or(true)
                    }
                    Parse::Incomplete | Parse::Done(_) | Parse::Bad(_) => {
                        *self = Rest::UntilClose;
                        false
                    }
                }
            }
        }
    }
}

/// Whether the body is whole now; `None` if it is none.
fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Option<bool> {
    decoder.decode(bytes, 0, &mut Vec::new(), &mut Vec::new()).ok()?;
    Some(decoder.is_finished())
}

fn has(answer: &[u8], expect: Option<&[u8]>) -> bool {
    expect.is_none_or(|text| answer.windows(text.len()).any(|part| part == text))
}

fn not_expected(answer: &[u8]) -> Judgement {
    let shown = answer.get(..DATAGRAM_SHOWN_BYTES).unwrap_or(answer);
    Judgement::Bad(format!("'{}' is not what is expected", shown.escape_ascii()))
}

/// Any byte will do, or these in what comes within the bound.
fn judge_text(answer: &[u8], ended: bool, expect: Option<&[u8]>) -> Judgement {
    if !answer.is_empty() && has(answer, expect) {
        return Judgement::Good(None);
    }
    match ended || answer.len() >= CHECK_ANSWER_BYTES_MAX {
        false => Judgement::Incomplete,
        true if answer.is_empty() => Judgement::Bad("closed without an answer".into()),
        true => not_expected(answer),
    }
}

/// HTTP/1.1 wants a Host field (RFC 9112 section 3.2), and many servers know who they are.
fn http_request(path: &[u8], host: &str) -> Vec<u8> {
    let agent = concat!("pointsman/", env!("CARGO_PKG_VERSION"));
    let fields = format!(
        " HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    [b"GET ", path, fields.as_bytes()].concat()
}

/// `HTTP/1.1 200 OK`: the status line is all that matters (RFC 9112 section 4). Interim answers, as
/// 103, come before the one that counts.
fn judge_status(mut answer: &[u8], ended: bool, statuses: &Statuses) -> Judgement {
    let too_much = answer.len() >= CHECK_ANSWER_BYTES_MAX;
    loop {
        let looked_at = answer.get(..STATUS_LINE_BYTES_MAX).unwrap_or(answer);
        let Some(end) = looked_at.iter().position(|&byte| byte == b'\n') else {
            let over = ended || too_much || looked_at.len() < answer.len();
            return match (over, answer.is_empty()) {
                (false, _) => Judgement::Incomplete,
                (true, true) => Judgement::Bad("closed without an answer".into()),
                (true, false) => Judgement::Bad("not an HTTP answer".into()),
            };
        };
        let status = match status_of(&answer[..end]) {
            Some(status) if statuses.has(status) => return Judgement::Good(None),
            Some(status @ (100 | 102..=199)) => status,
            Some(status) => {
                return Judgement::Bad(format!("status {status:03}, want {statuses}"));
            }
            None => return Judgement::Bad("not an HTTP answer".into()),
        };
        let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        match head_end {
            Some(at) => answer = &answer[at + 4..],
            None if ended || too_much => {
                return Judgement::Bad(format!("status {status}, and no answer behind it"));
            }
            None => return Judgement::Incomplete,
        }
    }
}

/// The status in a line of it, if it is one.
fn status_of(line: &[u8]) -> Option<u16> {
    let digits = line
        .strip_suffix(b"\r")
        .unwrap_or(line)
        .strip_prefix(b"HTTP/1.")
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .and_then(|rest| rest[1..].strip_prefix(b" "))
        .filter(|rest| rest.len() == 3 || rest.get(3) == Some(&b' '))
        .and_then(|rest| std::str::from_utf8(&rest[..3]).ok())
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|code| code.parse().ok())
}

/// A decimal number, ended by NUL, a newline, or the end of the connection.
fn judge_load(answer: &[u8], ended: bool) -> Judgement {
    let end = answer.iter().position(|&byte| byte == 0 || byte == b'\n');
    if end.unwrap_or(answer.len()) > LOAD_ANSWER_BYTES_MAX {
        return Judgement::Bad(format!("a load of over {LOAD_ANSWER_BYTES_MAX} bytes"));
    }
    let text = match end {
        Some(end) => &answer[..end],
        None if !ended => return Judgement::Incomplete,
        None if answer.is_empty() => return Judgement::Bad("closed without an answer".into()),
        None => return Judgement::Bad("a load without NUL or newline at its end".into()),
    };
    match parse_load(text) {
        Some(load) => Judgement::Good(Some(load)),
        None => Judgement::Bad(format!("'{}' is not a load", text.escape_ascii())),
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

    fn bad(answer: &Judgement) -> bool {
        matches!(answer, Judgement::Bad(_))
    }

    fn question(check: &str) -> Question {
        Question::of(&Check::parse(check).expect("a check"))
    }

    #[test]
    fn http_wants_a_good_status() {
        let plain = question("http:/health");
        let text = plain.text("web1:8080");
        assert!(text.starts_with(b"GET /health HTTP/1.1\r\nHost: web1:8080\r\n"));
        assert!(text.ends_with(b"\r\n\r\n"));
        for good in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 200\r\nX: y",
            "HTTP/1.1 200 \n",
            "HTTP/1.1 204 No Content\r\n",
            "HTTP/1.1 299 \r\n",
        ] {
            assert_eq!(
                plain.judge(good.as_bytes(), Heard::SoFar),
                Judgement::Good(None),
                "{good:?}"
            );
        }
        let bads = [
            "HTTP/1.1 500 Oops\r\n",
            "HTTP/1.1 302 Found\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nhello\n",
            "HTTP/1.1 2000 OK\r\n",
            "HTTP/1.1 20\r\n",
            "HTTP/1.1 +20 \r\n",
            "HTTP/2 200 OK\r\n",
            "HTTP/1.x 200 OK\r\n",
            "SSH-2.0-OpenSSH\r\n",
            "\n",
        ];
        for answer in bads {
            assert!(bad(&plain.judge(answer.as_bytes(), Heard::SoFar)), "{answer:?}");
        }
        let some = question("http:/,expect=200-399,401");
        for (status, good) in
            [(200, true), (302, true), (401, true), (403, false), (500, false)]
        {
            let answer =
                some.judge(format!("HTTP/1.1 {status} X\r\n").as_bytes(), Heard::SoFar);
            assert_eq!(answer == Judgement::Good(None), good, "{status}");
        }
        let Judgement::Bad(said) = some.judge(b"HTTP/1.1 503 X\r\n", Heard::SoFar) else {
            panic!()
        };
        assert_eq!(said, "status 503, want 200-399,401");
    }

    #[test]
    fn interim_answers_come_before_the_one_that_counts() {
        let question = question("http:/");
        let answer =
            b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\n";
        for cut in 0..answer.len() {
            assert_eq!(
                question.judge(&answer[..cut], Heard::SoFar),
                Judgement::Incomplete,
                "{cut}"
            );
            assert!(bad(&question.judge(&answer[..cut], Heard::All)), "{cut}");
        }
        assert_eq!(question.judge(answer, Heard::SoFar), Judgement::Good(None));
        let endless = b"HTTP/1.1 103 X\r\n\r\n".repeat(CHECK_ANSWER_BYTES_MAX / 18 + 1);
        assert!(bad(&question.judge(&endless, Heard::SoFar)));
    }

    #[test]
    fn http_waits_for_the_whole_status_line() {
        let question = question("http:/");
        assert_eq!(question.judge(b"HTTP/1.1 200 OK", Heard::SoFar), Judgement::Incomplete);
        assert!(bad(&question.judge(b"HTTP/1.1 200 OK", Heard::All)), "cut off");
        assert!(bad(&question.judge(b"", Heard::All)));
        let long = format!("HTTP/1.1 200 {}", "x".repeat(STATUS_LINE_BYTES_MAX));
        assert!(bad(&question.judge(long.as_bytes(), Heard::SoFar)), "no end of it");
    }

    /// Answers of HTTP, and whether each is whole; cut anywhere it is the same.
    #[test]
    fn an_answer_is_read_to_its_end() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "y".repeat(HTTP_HEAD_BYTES_MAX));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
        let table = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 204 No\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\nhello", false),
            (&format!("{chunked}\r\n"), true),
            (chunked, false),
            ("HTTP/1.1 200 OK\r\nno field\r\n\r\n", false),
            ("HTTP/1.1 100 Continue\r\n\r\n", false),
            (&long, false),
        ];
        for (answer, whole) in table {
            let question = question("http:/");
            let answer = answer.as_bytes();
            assert_eq!(question.rest(answer).is_none(), whole, "{answer:?}");
            for cut in (0..answer.len()).step_by(1 + answer.len() / 100) {
                let rest = question.rest(&answer[..cut]);
                let mut rest = rest.expect("a part is not the whole");
                assert_eq!(rest.take(&answer[cut..]), whole, "cut at {cut}: {answer:?}");
            }
        }
        assert!(question("tcp").rest(b"").is_none());
        assert!(matches!(question("load:x").rest(b"1\0"), Some(Rest::UntilClose)));
    }

    #[test]
    fn a_text_has_what_is_expected_in_it() {
        let any = question("tcp:PING");
        assert_eq!((any.text("x"), any.is_datagram()), (b"PING".to_vec(), false));
        assert_eq!(any.judge(b"", Heard::SoFar), Judgement::Incomplete);
        assert_eq!(any.judge(b"x", Heard::SoFar), Judgement::Good(None));
        assert!(bad(&any.judge(b"", Heard::All)));
        let pong = question(r"tcp:PING\x0d\x0a,expect=+PONG");
        assert_eq!(pong.text("x"), b"PING\r\n");
        for (answer, heard, wanted) in [
            (&b""[..], Heard::SoFar, Judgement::Incomplete),
            (b"+PON", Heard::SoFar, Judgement::Incomplete),
            (b"-ERR\r\n", Heard::SoFar, Judgement::Incomplete),
            (b"+PONG\r\n", Heard::SoFar, Judgement::Good(None)),
            (b"hello\r\n+PONG", Heard::All, Judgement::Good(None)),
        ] {
            assert_eq!(pong.judge(answer, heard), wanted, "{answer:?}");
        }
        assert!(bad(&pong.judge(b"+PON", Heard::All)) && bad(&pong.judge(b"", Heard::All)));
        assert!(
            bad(&pong.judge(&[b'x'; CHECK_ANSWER_BYTES_MAX], Heard::SoFar)),
            "that is enough"
        );
        let late = pong.too_late(b"-LOADING\r\n").expect("it is not");
        assert_eq!(late, r"'-LOADING\r\n' is not what is expected");
        assert_eq!((pong.too_late(b""), question("http:/").too_late(b"HTT")), (None, None));
        assert!(!question("tcp:,expect=220").is_connect());
    }

    #[test]
    fn a_load_is_a_decimal_number_with_an_end() {
        let question = question("load:__clients?");
        assert_eq!(question.text("x"), b"__clients?\0");
        let table: [(&[u8], f64); 5] = [
            (b"0\0", 0.0),
            (b"17\n", 17.0),
            (b" 3.25\r\n", 3.25),
            (b"5\0rest", 5.0),
            (b"1.\0", 1.0),
        ];
        for (text, load) in table {
            assert_eq!(
                question.judge(text, Heard::SoFar),
                Judgement::Good(Some(load)),
                "{text:?}"
            );
        }
        for text in ["\0", "-1\0", "+1\0", "1e9\0", "inf\0", "NaN\0", "1.2.3\0", "a\0", ".\0"] {
            assert!(bad(&question.judge(text.as_bytes(), Heard::SoFar)), "{text:?}");
        }
        assert!(bad(&question.judge(b"\xff\xfe\0", Heard::SoFar)));
    }

    #[test]
    fn a_load_has_at_most_100_bytes() {
        let question = question("load:load");
        let digits = "1".repeat(100);
        assert_eq!(question.judge(digits.as_bytes(), Heard::SoFar), Judgement::Incomplete);
        assert!(bad(&question.judge(digits.as_bytes(), Heard::All)), "no end");
        assert!(matches!(
            question.judge(format!("{digits}\0").as_bytes(), Heard::SoFar),
            Judgement::Good(_)
        ));
        assert!(bad(&question.judge(format!("{digits}1\0").as_bytes(), Heard::SoFar)));
        assert!(bad(&question.judge(format!("{digits}1").as_bytes(), Heard::SoFar)));
    }

    #[test]
    fn a_datagram_has_what_is_expected_in_it() {
        let any = question(r"udp:\x00ping");
        assert_eq!((any.text("x"), any.is_datagram()), (b"\0ping".to_vec(), true));
        for answer in [&b""[..], b"\0", b"whatever"] {
            assert_eq!(any.judge(answer, Heard::All), Judgement::Good(None));
        }
        let pong = question(r"udp:ping,expect=p\x6fng");
        for answer in [&b"pong"[..], b"a pong!"] {
            assert_eq!(pong.judge(answer, Heard::All), Judgement::Good(None));
        }
        for answer in [&b""[..], b"pon", b"PONG"] {
            assert!(bad(&pong.judge(answer, Heard::All)));
        }
        let Judgement::Bad(said) = pong.judge(&[b'\n'; 2000], Heard::All) else {
            panic!("good")
        };
        assert!(said.len() < 200 && !said.contains('\n'), "{said}");
    }

    #[test]
    fn tcp_asks_nothing() {
        let tcp = question("tcp");
        assert!(tcp.is_connect() && tcp.text("x").is_empty());
    }
}
