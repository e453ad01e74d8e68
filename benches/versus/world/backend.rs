//! A backend's connection: reads what is asked and answers it.
//!
//! TCP asks in a head of 64 bytes: three numbers (bytes that follow, bytes to answer, and what to
//! do differently), the tag, and noise. HTTP asks by the path, `/ANSWER/TAG/` or
//! `/ANSWER/TAG/close`, and may have a body. Which of the two is spoken is seen from the first
//! byte.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::PASSES;
use super::pattern::{self, TAG_BYTES, Tag};

/// Bytes of a TCP ask's head.
pub const HEAD_BYTES: usize = 64;

/// Where the tag is in it; noise follows.
pub const TAG_AT: usize = 32;

/// In the third number: close after the answer.
pub const CLOSES: u64 = 1;

/// In the third number: answer at once, but keep the last byte until all is asked.
pub const AT_ONCE: u64 = 2;

/// Longest HTTP head that a backend takes: proxies add some fields.
const HTTP_HEAD_MAX: usize = 4096;

/// A backend's connection.
pub struct Backend {
    stream: TcpStream,
    /// The head under way.
    head: Vec<u8>,
    /// What is to come of the body.
    upload: (u64, u64),
    /// What is to be answered: first the head, and the tag with which the body begins.
    prefix: Vec<u8>,
    prefix_sent: usize,
    answer: (u64, u64),
    answering: bool,
    at_once: bool,
    closes: bool,
    writable: bool,
}

/// What a step came to.
pub enum Step {
    Wait,
    /// There is more, and it is somebody else's turn.
    More,
    /// The connection is over.
    Over,
}

impl Backend {
    /// A connection that was just accepted.
    pub fn new(stream: TcpStream) -> Backend {
        Backend {
            stream,
            head: Vec::with_capacity(512),
            upload: (0, 0),
            prefix: Vec::with_capacity(256),
            prefix_sent: 0,
            answer: (0, 0),
            answering: false,
            at_once: false,
            closes: false,
            writable: true,
        }
    }

    /// Get on with it.
    pub fn step(&mut self, scratch: &mut [u8]) -> Step {
        self.writable = true;
        let mut drained = false;
        loop {
            if self.answering {
                match self.send() {
                    Ok(true) if self.closes => return Step::Over,
                    // An edge will tell of the next ask.
                    Ok(true) if drained => return Step::Wait,
                    Ok(true) => {}
                    // What is asked meanwhile waits, unless the answer waits for it.
                    Ok(false) if drained || !self.is_asked() => return self.pause(),
                    Ok(false) => {}
                    Err(_) => return Step::Over,
                }
            }
            match self.stream.read(scratch) {
                Ok(0) => return Step::Over,
                Ok(count) => {
                    if !self.take(&scratch[..count]) {
                        return Step::Over;
                    }
                    drained = count < scratch.len();
                    if drained && !self.answering {
                        return Step::Wait;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.pause(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Step::Over,
            }
        }
    }

    /// Still being asked.
    fn is_asked(&self) -> bool {
        self.upload.0 < self.upload.1
    }

    /// Bytes of the answer that may go: the last one waits for the end of the ask.
    fn answer_end(&self) -> u64 {
        self.answer.1.saturating_sub(u64::from(self.is_asked()))
    }

    /// Nothing more now; an edge will tell, unless it is only somebody else's turn.
    fn pause(&self) -> Step {
        let has_more = self.answering && self.writable && self.answer.0 < self.answer_end();
        if has_more { Step::More } else { Step::Wait }
    }

    /// `false`: this is nothing that a client of ours says, and the connection is closed on it.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.upload.0 < self.upload.1 {
                let here = (self.upload.1 - self.upload.0).min(bytes.len() as u64) as usize;
                if !pattern::is_right(&bytes[..here], self.upload.0) {
                    return false;
                }
                self.upload.0 += here as u64;
                bytes = &bytes[here..];
            } else {
                let before = self.head.len();
                self.head.extend_from_slice(bytes);
                let Some(length) = head_length(&self.head) else {
                    return self.head.len() < HTTP_HEAD_MAX;
                };
                if !self.understand(length) {
                    return false;
                }
                self.head.clear();
                bytes = &bytes[length - before..];
            }
            if self.at_once || self.upload.0 == self.upload.1 {
                self.answering = true;
            }
        }
        true
    }

    fn understand(&mut self, length: usize) -> bool {
        self.prefix.clear();
        self.prefix_sent = 0;
        let head = &self.head[..length];
        if head[0] == 0 {
            let number = |at: usize| {
                let bytes: [u8; 8] = head[at..at + 8].try_into().unwrap_or_default();
                u64::from_le_bytes(bytes)
            };
            self.upload = (0, number(8));
            self.answer = (TAG_BYTES as u64, number(16));
            self.closes = number(24) & CLOSES != 0;
            self.at_once = number(24) & AT_ONCE != 0;
            let noise = TAG_AT + TAG_BYTES;
            self.prefix.extend_from_slice(&head[TAG_AT..noise]);
            return pattern::is_right(&head[noise..], noise as u64);
        }
        let Some((answer, tag, closes)) = path(head) else { return false };
        self.upload = (0, content_length(head).unwrap_or(0));
        self.answer = (TAG_BYTES as u64, answer);
        self.closes = closes;
        self.at_once = false;
        let close = if closes { "Connection: close\r\n" } else { "" };
        let _ = write!(
            self.prefix,
            "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n\
             Content-Length: {answer}\r\n{close}\r\n"
        );
        self.prefix.extend_from_slice(&tag);
        true
    }

    /// `Ok(true)`: the answer is sent.
    fn send(&mut self) -> io::Result<bool> {
        let end = self.answer_end();
        let mut passes = 0;
        while self.prefix_sent < self.prefix.len() || self.answer.0 < end {
            if !self.writable || passes == PASSES {
                return Ok(false);
            }
            passes += 1;
            let passage = pattern::passage(self.answer.0, end);
            let rest = &self.prefix[self.prefix_sent..];
            let slices = [io::IoSlice::new(rest), io::IoSlice::new(passage)];
            let sent = match (rest.len(), passage.len()) {
                (0, _) => self.stream.write(passage),
                _ => self.stream.write_vectored(&slices),
            };
            let wanted = rest.len() + passage.len();
            match sent {
                Ok(count) => {
                    let of_prefix = count.min(rest.len());
                    self.prefix_sent += of_prefix;
                    self.answer.0 += (count - of_prefix) as u64;
                    self.writable = count == wanted;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                }
                Err(error) => return Err(error),
            }
        }
        self.answering = self.is_asked();
        Ok(!self.answering)
    }
}

/// Bytes of the head at the beginning, if it is whole.
fn head_length(head: &[u8]) -> Option<usize> {
    if head[0] == 0 {
        return (head.len() >= HEAD_BYTES).then_some(HEAD_BYTES);
    }
    head.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4)
}

/// What is asked for: bytes of the answer, its tag, and whether to close.
fn path(head: &[u8]) -> Option<(u64, Tag, bool)> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let path = line.split(|&byte| byte == b' ').nth(1)?;
    let text = std::str::from_utf8(path).ok()?;
    let (number, rest) = text.strip_prefix('/')?.split_once('/')?;
    let (tag, rest) = rest.split_once('/')?;
    Some((number.parse().ok()?, tag.as_bytes().try_into().ok()?, rest == "close"))
}

/// The value of Content-Length, if there is one.
pub fn content_length(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.find(|line| {
        line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    })?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}
