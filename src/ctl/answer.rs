//! Answers of HTTP/1.1 as they come in: a head, then a body with a length, in chunks, or up to the
//! end of the connection (RFC 9112, section 6.3). It is fed bytes, cut anywhere.

/// The head of an answer. Ours have some hundred bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A line between chunks: a size in hexadecimal digits and what may follow it.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// A body, or what of one that goes on was not taken: 50,000 backends have half as much. Whatever
/// says more is no pointsman.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub struct Answer {
    /// 0 until the head is here.
    pub status: u16,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    /// What came and was not read yet.
    raw: Vec<u8>,
    /// The body, or what of it was not taken.
    pub body: Vec<u8>,
    part: Part,
}

/// What comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailer,
    UntilEnd,
    Done,
}

impl Answer {
    /// Take in some bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.raw.extend_from_slice(bytes);
        while self.step()? {}
        if self.body.len() > BODY_BYTES_MAX {
            return Err(format!("the answer has more than {} MiB", BODY_BYTES_MAX >> 20));
        }
        Ok(())
    }

    /// The connection ended.
    pub fn end(&mut self) -> Result<(), String> {
        match self.part {
            Part::Done => Ok(()),
            Part::UntilEnd => {
                self.part = Part::Done;
                Ok(())
            }
            Part::Head if self.raw.is_empty() => {
                Err("the connection was closed without an answer".to_owned())
            }
            _ => Err("the connection was closed in the middle of an answer".to_owned()),
        }
    }

    /// It is here whole.
    pub fn is_done(&self) -> bool {
        self.part == Part::Done
    }

    /// Its head is here.
    pub fn has_head(&self) -> bool {
        self.part != Part::Head
    }

    /// A field of the head; the name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(it, _)| it == name).map(|(_, value)| &**value)
    }

    /// One thing forward; false if more bytes are needed.
    fn step(&mut self) -> Result<bool, String> {
        match self.part {
            Part::Head => self.head(),
            Part::Length(left) => {
                let taken = self.take(left);
                self.part = if taken == left { Part::Done } else { Part::Length(left - taken) };
                Ok(taken > 0 || left == 0)
            }
            Part::Chunk(left) => {
                let taken = self.take(left);
                self.part =
                    if taken == left { Part::ChunkEnd } else { Part::Chunk(left - taken) };
                Ok(taken > 0)
            }
            Part::ChunkSize => {
                let Some(line) = self.line()? else { return Ok(false) };
                let digits = line.split(';').next().unwrap_or_default().trim();
                let wrong = |_| format!("found {digits:?}, want the size of a chunk");
                let size = usize::from_str_radix(digits, 16).map_err(wrong)?;
                self.part = if size == 0 { Part::Trailer } else { Part::Chunk(size) };
                Ok(true)
            }
            Part::ChunkEnd => {
                let Some(line) = self.line()? else { return Ok(false) };
                if !line.is_empty() {
                    return Err(format!("found {line:?}, want the end of a chunk"));
                }
                self.part = Part::ChunkSize;
                Ok(true)
            }
            Part::Trailer => {
                let Some(line) = self.line()? else { return Ok(false) };
                if line.is_empty() {
                    self.part = Part::Done;
                }
                Ok(true)
            }
            Part::UntilEnd => Ok(self.take(usize::MAX) > 0),
            Part::Done => Ok(false),
        }
    }

    /// At most so many bytes of the body.
    fn take(&mut self, most: usize) -> usize {
        let count = most.min(self.raw.len());
        self.body.extend(self.raw.drain(..count));
        count
    }

    fn line(&mut self) -> Result<Option<String>, String> {
        let Some(at) = self.raw.iter().position(|&it| it == b'\n') else {
            if self.raw.len() > LINE_BYTES_MAX {
                return Err("a line between chunks has no end".to_owned());
            }
            return Ok(None);
        };
        let line: Vec<u8> = self.raw.drain(..=at).collect();
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    fn head(&mut self) -> Result<bool, String> {
        let Some(at) = self.raw.windows(4).position(|it| it == b"\r\n\r\n") else {
            if self.raw.len() > HEAD_BYTES_MAX {
                return Err("the head of the answer has no end".to_owned());
            }
            return Ok(false);
        };
        let head: Vec<u8> = self.raw.drain(..at + 4).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let is_http = start.starts_with("HTTP/1.");
        let status = start.split(' ').nth(1).and_then(|it| it.parse().ok());
        let (true, Some(status)) = (is_http, status) else {
            return Err(format!("found {start:?}, want an answer of HTTP/1.1"));
        };
        self.status = status;
        let fields = lines.filter_map(|line| line.split_once(':'));
        self.fields = fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        self.part = self.framing()?;
        Ok(true)
    }

    fn framing(&self) -> Result<Part, String> {
        if matches!(self.status, 204 | 304) {
            return Ok(Part::Done);
        }
        let coding = self.field("transfer-encoding").unwrap_or_default();
        if coding.eq_ignore_ascii_case("chunked") {
            return Ok(Part::ChunkSize);
        }
        match self.field("content-length") {
            Some(text) => {
                let wrong = |_| format!("found Content-Length {text:?}, want a number");
                text.parse().map(Part::Length).map_err(wrong)
            }
            None => Ok(Part::UntilEnd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_two(text: &str, at: usize) -> Answer {
        let mut answer = Answer::default();
        answer.feed(&text.as_bytes()[..at]).unwrap();
        answer.feed(&text.as_bytes()[at..]).unwrap();
        answer
    }

    #[test]
    fn an_answer_is_read_wherever_it_is_cut() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5;a=b\r\nhello\r\nF\r\n over\r\n\r\nthere!\r\n0\r\nX: y\r\n\r\n";
        let length = "HTTP/1.1 422 x\r\nContent-Length: 3\r\nETag: \"7\"\r\n\r\nabc";
        let bare = "HTTP/1.1 204 No Content\r\n\r\n";
        for (text, status, body) in
            [(chunked, 200, "hello over\r\n\r\nthere!"), (length, 422, "abc"), (bare, 204, "")]
        {
            for at in 0..=text.len() {
                let answer = read_in_two(text, at);
                assert!(answer.is_done(), "{text:?} cut at {at}: {answer:?}");
                assert_eq!(answer.status, status, "{at}");
                assert_eq!(String::from_utf8_lossy(&answer.body), body, "cut at {at}");
            }
        }
        assert_eq!(read_in_two(length, 9).field("etag"), Some("\"7\""));
    }

    #[test]
    fn a_body_without_a_length_goes_on_to_the_end() {
        let mut answer = Answer::default();
        answer.feed(b"HTTP/1.0 200 OK\r\n\r\nab").unwrap();
        assert!(!answer.is_done());
        answer.feed(b"c").unwrap();
        answer.end().unwrap();
        assert_eq!((answer.is_done(), &*answer.body), (true, &b"abc"[..]));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for text in ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            assert!(Answer::default().feed(text.as_bytes()).is_err(), "{text}");
        }
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
        assert!(Answer::default().feed(chunked).is_err());
        let mut endless = Answer::default();
        endless.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let piece = vec![b'['; 1 << 20];
        let took = (0..100).take_while(|_| endless.feed(&piece).is_ok()).count();
        assert_eq!(took, 64, "it is no end of the process");
        let mut cut = Answer::default();
        cut.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na").unwrap();
        assert!(cut.end().unwrap_err().contains("in the middle"));
        assert!(Answer::default().end().unwrap_err().contains("without an answer"));
    }
}
