//! A client's connection: asks, and compares every byte of the answer.

use std::io;
use std::time::Instant;

use super::backend::{AT_ONCE, CLOSES, HEAD_BYTES, TAG_AT, content_length};
use super::line::{Came, Line};
use super::pattern::{self, TAG_BYTES, Tag};
use super::{After, PASSES, Script, Turns};
use crate::peers::Protocol;

/// A client's connection.
pub struct Client {
    line: Line,
    script: Script,
    /// When the unit under way should have begun.
    intended: Instant,
    asked: Vec<u8>,
    /// Where the tag is in it.
    tag_at: usize,
    tag: Tag,
    /// Bytes of `asked` and of the upload that are sent.
    sent: (usize, u64),
    head: Vec<u8>,
    phase: Phase,
    received: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Resting,
    /// The head of an HTTP answer is awaited.
    Head,
    Body,
    /// The end of the connection is awaited.
    End,
}

/// What a step came to.
pub enum Step {
    Wait,
    /// There is more, and it is somebody else's turn.
    More,
    /// The unit is over; `closed`: and so is the connection.
    Done {
        closed: bool,
    },
    Failed(String),
}

impl Client {
    /// A connection that is under way.
    pub fn new(line: Line, script: Script) -> Client {
        let (asked, tag_at) = match script.protocol {
            // Datagrams have a world of their own.
            Protocol::Tcp | Protocol::Udp => (tcp_ask(&script), TAG_AT),
            Protocol::Http | Protocol::Https => http_ask(&script),
        };
        Client {
            line,
            script,
            intended: Instant::now(),
            asked,
            tag_at,
            tag: Tag::default(),
            sent: (0, 0),
            head: Vec::with_capacity(512),
            phase: Phase::Resting,
            received: 0,
        }
    }

    /// A unit begins, the one with this number.
    pub fn begin(&mut self, intended: Instant, number: u32) {
        self.intended = intended;
        self.tag = pattern::tag(number);
        self.asked[self.tag_at..][..TAG_BYTES].copy_from_slice(&self.tag);
        self.sent = (0, 0);
        self.received = 0;
        self.head.clear();
        self.phase = match self.script.protocol {
            Protocol::Tcp | Protocol::Udp => Phase::Body,
            Protocol::Http | Protocol::Https => Phase::Head,
        };
    }

    /// When the unit should have begun.
    pub fn intended(&self) -> Instant {
        self.intended
    }

    /// Whether it resumed a session of TLS.
    pub fn is_resumed(&self) -> bool {
        self.line.is_resumed()
    }

    /// Get on with it.
    pub fn step(&mut self, scratch: &mut [u8]) -> Step {
        if self.phase == Phase::Resting {
            return match self.line.receive(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Step::Wait,
                Ok(Came { count: 0, .. }) => {
                    Step::Failed("an idle connection was closed".to_owned())
                }
                Ok(_) => Step::Failed("bytes that nobody asked for".to_owned()),
                Err(error) => Step::Failed(format!("idle: {error}")),
            };
        }
        let was_sent = self.is_sent();
        match self.send() {
            // Just asked: an edge will tell of the answer, unless it has come already.
            Ok(true) if !was_sent && self.script.turns == Turns::One => return Step::Wait,
            Ok(true) => {}
            // An upload's answer cannot come before its end, but an error can.
            Ok(false) if self.received == 0 && self.sent == (0, 0) => return Step::Wait,
            Ok(false) => {}
            Err(error) => return Step::Failed(format!("send: {error}")),
        }
        self.receive(scratch)
    }

    fn is_sent(&self) -> bool {
        self.sent == (self.asked.len(), self.script.upload)
    }

    /// `Ok(true)`: all is sent.
    fn send(&mut self) -> io::Result<bool> {
        loop {
            let (bytes, of_head) = if self.sent.0 < self.asked.len() {
                (&self.asked[self.sent.0..], true)
            } else if self.sent.1 < self.script.upload {
                (pattern::passage(self.sent.1, self.script.upload), false)
            } else {
                return Ok(true);
            };
            match self.line.send(bytes) {
                Ok(count) if of_head => self.sent.0 += count,
                Ok(count) => self.sent.1 += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self, scratch: &mut [u8]) -> Step {
        for _ in 0..PASSES {
            match self.line.receive(scratch) {
                Ok(Came { count: 0, .. }) if self.phase == Phase::End => {
                    return Step::Done { closed: true };
                }
                Ok(Came { count: 0, .. }) => {
                    return Step::Failed(format!("an end after {} bytes", self.received));
                }
                Ok(Came { count, drained }) => {
                    if let Err(why) = self.take(&scratch[..count]) {
                        return Step::Failed(why);
                    }
                    if self.phase == Phase::Body && self.received == self.script.answer {
                        if !self.is_sent() {
                            return Step::Failed("an answer before all was asked".to_owned());
                        }
                        if let Err(why) = self.line.judge() {
                            return Step::Failed(why);
                        }
                        if self.script.after == After::Keep {
                            self.phase = Phase::Resting;
                            return Step::Done { closed: false };
                        }
                        self.phase = Phase::End;
                    } else if drained {
                        return Step::Wait;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Step::Failed(format!("receive: {error}")),
            }
        }
        Step::More
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if self.phase == Phase::Head {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let end = self.head.windows(4).position(|it| it == b"\r\n\r\n");
            let Some(end) = end else { return Ok(()) };
            self.judge_head(end + 4)?;
            bytes = &bytes[end + 4 - before..];
            self.phase = Phase::Body;
        }
        let room = self.script.answer - self.received;
        if self.phase != Phase::Body || bytes.len() as u64 > room {
            return Err("more bytes than were asked for".to_owned());
        }
        if !pattern::answers(bytes, self.received, &self.tag) {
            return Err(format!("a wrong byte after {}", self.received));
        }
        self.received += bytes.len() as u64;
        Ok(())
    }

    fn judge_head(&self, length: usize) -> Result<(), String> {
        let head = &self.head[..length];
        if !head.starts_with(b"HTTP/1.1 200") {
            let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
            return Err(format!("answered {}", String::from_utf8_lossy(line)));
        }
        match content_length(head) {
            Some(length) if length == self.script.answer => Ok(()),
            other => Err(format!("Content-Length {other:?}")),
        }
    }
}

fn tcp_ask(script: &Script) -> Vec<u8> {
    let closes = if script.after == After::Keep { 0 } else { CLOSES };
    let at_once = if script.turns == Turns::Both { AT_ONCE } else { 0 };
    let mut head = vec![0; 8];
    for number in [script.upload, script.answer, closes | at_once] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(pattern::passage(32, HEAD_BYTES as u64));
    head
}

/// With the place of the tag.
fn http_ask(script: &Script) -> (Vec<u8>, usize) {
    let (path, field) = match script.after {
        After::Keep => ("", ""),
        After::ClientCloses => ("", "Connection: close\r\n"),
        After::BackendCloses => ("close", "Connection: close\r\n"),
    };
    let answer = script.answer;
    let body = match script.upload {
        0 => String::new(),
        upload => format!("Content-Length: {upload}\r\n"),
    };
    let method = if script.upload == 0 { "GET" } else { "PUT" };
    let before = format!("{method} /{answer}/");
    let after = format!(
        "/{path} HTTP/1.1\r\nHost: bench.example:8080\r\n\
         User-Agent: pointsman-bench/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\
         {field}{body}\r\n"
    );
    let tag = [b'-'; TAG_BYTES];
    ([before.as_bytes(), &tag, after.as_bytes()].concat(), before.len())
}
