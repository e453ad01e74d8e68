//! The answer to a copy, as far as it came: only where it ends is of interest.

use crate::http::{Asked, Decoder, Lists, Parse, Scan, Trailers, parse_response};
use crate::limits::HTTP_INTERIM_ANSWERS_MAX;

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    asked: Asked,
    /// Bytes of a head that is not whole.
    head: Vec<u8>,
    scan: Scan,
    /// Answers before the final one.
    interims: u8,
    /// Once the head is whole.
    body: Option<Decoder>,
}

/// What is known after some more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// More is to come.
    More,
    /// It is whole.
    Whole,
    /// It is malformed.
    Bad,
}

impl Answer {
    /// Nothing yet, to a request like this.
    pub fn new(asked: Asked) -> Answer {
        Answer { asked, head: Vec::new(), scan: Scan::default(), interims: 0, body: None }
    }

    /// Whether the connection may end here: with the body, if that has no other end.
    pub fn may_end(&self) -> bool {
        self.body.as_ref().is_some_and(Decoder::may_end)
    }

    /// More of it came. The lists are used for it, whatever is in them.
    pub fn hear(&mut self, bytes: &[u8], lists: &mut Lists) -> Heard {
        if let Some(body) = &mut self.body {
            return decode(body, bytes, 0, lists);
        }
        self.head.extend_from_slice(bytes);
        while !self.head.is_empty() {
            let parsed =
                parse_response(&self.head, &mut self.scan, &mut lists.fields, &self.asked);
            match parsed {
                Parse::Incomplete => break,
                Parse::Bad(_) => return Heard::Bad,
                Parse::Done(head) if head.is_interim() => {
                    self.head.drain(..head.length);
                    self.interims += 1;
                    if self.interims > HTTP_INTERIM_ANSWERS_MAX {
                        return Heard::Bad;
                    }
                }
                Parse::Done(head) => {
                    let had = std::mem::take(&mut self.head);
                    let body = self.body.insert(Decoder::new(head.framing, Trailers::Drop));
                    return decode(body, &had, head.length, lists);
                }
            }
        }
        Heard::More
    }
}

fn decode(body: &mut Decoder, bytes: &[u8], from: usize, lists: &mut Lists) -> Heard {
    lists.spans.clear();
    match body.decode(bytes, from, &mut lists.spans, &mut Vec::new()) {
        Err(_) => Heard::Bad,
        Ok(_) if body.is_finished() => Heard::Whole,
        Ok(_) => Heard::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Asked = Asked { head_request: false, upgrade: false };
    const HEAD: Asked = Asked { head_request: true, upgrade: false };

    /// Whole answers, what they answer, and whether only the end of the connection ends them.
    const WHOLE: &[(&str, Asked, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", GET, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HEAD, false),
        ("HTTP/1.1 204 No Content\r\n\r\n", GET, false),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            GET,
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
            GET,
            false,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", GET, true),
    ];

    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_no_sooner_however_it_comes() {
        for &(text, asked, ends_with_connection) in WHOLE {
            for piece in 1..=text.len() {
                let mut lists = Lists::default();
                let mut answer = Answer::new(asked);
                let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece).collect();
                for (index, bytes) in pieces.iter().enumerate() {
                    let is_last = index + 1 == pieces.len() && !ends_with_connection;
                    let want = if is_last { Heard::Whole } else { Heard::More };
                    assert_eq!(answer.hear(bytes, &mut lists), want, "{text:?} by {piece}");
                }
                assert!(answer.may_end(), "{text:?}");
            }
        }
    }

    #[test]
    fn one_that_is_cut_short_may_not_end() {
        for &(text, asked, ends_with_connection) in WHOLE {
            for length in 1..text.len() {
                let mut answer = Answer::new(asked);
                answer.hear(&text.as_bytes()[..length], &mut Lists::default());
                let head_is_whole = text[..length].contains("\r\n\r\n");
                let may_end = ends_with_connection && head_is_whole;
                assert_eq!(answer.may_end(), may_end, "{:?}", &text[..length]);
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_bad() {
        let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
        for text in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            &endless,
        ] {
            let mut answer = Answer::new(GET);
            assert_eq!(
                answer.hear(text.as_bytes(), &mut Lists::default()),
                Heard::Bad,
                "{text}"
            );
        }
    }
}
