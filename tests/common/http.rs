//! What the tests of HTTP share: a backend whose answers are a closure, and a reader of messages
//! that trusts nobody.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use socket2::SockRef;

use super::{Backend, Balancer, connect, front_args, with_deadline};

/// A head and its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The start line and the fields, without the empty line.
    pub head: String,
    /// The payload.
    pub body: Vec<u8>,
    /// Sizes of its chunks; none, if it came in no chunks.
    pub chunks: Vec<usize>,
    /// The fields after the last chunk.
    pub trailers: String,
}

impl Message {
    /// The start line.
    pub fn start(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.start().split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// What is asked for.
    pub fn target(&self) -> &str {
        self.start().split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a field, one for each line of it.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The value of a field that is there once; empty, if it is not there.
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there once: {}", self.head);
        all.first().copied().unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether another message may follow.
    pub fn keeps_alive(&self) -> bool {
        !self.field("connection").eq_ignore_ascii_case("close")
    }
}

/// A connection that is read message by message.
pub struct Wire {
    /// The socket.
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// To a balancer.
    pub fn to(balancer: &Balancer) -> Wire {
        Wire::new(balancer.connect())
    }

    /// On a connection.
    pub fn new(stream: TcpStream) -> Wire {
        Wire { stream, read: Vec::new() }
    }

    /// Write all of it.
    #[track_caller]
    pub fn say(&self, text: impl AsRef<[u8]>) {
        (&self.stream).write_all(text.as_ref()).expect("it takes what is said");
    }

    /// Write if somebody is there.
    pub fn try_say(&self, text: impl AsRef<[u8]>) -> bool {
        (&self.stream).write_all(text.as_ref()).is_ok()
    }

    /// The last that is said: whether to go on after it, which is never so.
    pub fn part(&self, text: impl AsRef<[u8]>) -> bool {
        self.try_say(text);
        false
    }

    /// Say a request and read its answer.
    #[track_caller]
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        let head_request = request.as_ref().starts_with(b"HEAD ");
        self.say(request);
        self.answer_to(head_request)
    }

    /// Read an answer.
    #[track_caller]
    pub fn answer(&mut self) -> Message {
        self.answer_to(false)
    }

    /// Read an answer, perhaps to HEAD.
    #[track_caller]
    pub fn answer_to(&mut self, head_request: bool) -> Message {
        let mut message = self.head().expect("an answer comes");
        let status = message.status();
        if head_request || status < 200 || [204, 304].contains(&status) {
            return message;
        }
        assert!(self.body(&mut message, true), "all of the answer: {}", message.head);
        message
    }

    /// Read a request; `None`, if there is no whole one.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        self.body(&mut message, false).then_some(message)
    }

    /// Read a head; `None`, if the connection ends before it.
    pub fn head(&mut self) -> Option<Message> {
        let mut head = String::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(Message { head, ..Message::default() });
            }
            head.push_str(&line);
            head.push('\n');
        }
    }

    /// Read the body that belongs to a head; whether it is whole.
    pub fn body(&mut self, message: &mut Message, until_close: bool) -> bool {
        if message.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
            return self.chunks(message).is_some();
        }
        if let Ok(length) = message.field("content-length").parse::<usize>() {
            let Some(body) = self.exactly(length) else { return false };
            message.body = body;
        } else if until_close {
            while self.more() {}
            message.body = std::mem::take(&mut self.read);
        }
        true
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).expect("a bare chunk size");
            if size == 0 {
                break;
            }
            message.chunks.push(size);
            message.body.extend(self.exactly(size)?);
            assert_eq!(self.line()?, "", "a chunk ends with a line end");
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(());
            }
            message.trailers.push_str(&line);
            message.trailers.push('\n');
        }
    }

    /// So many bytes.
    pub fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if !self.more() {
                return None;
            }
        }
        let rest = self.read.split_off(count);
        Some(std::mem::replace(&mut self.read, rest))
    }

    /// What was read and belongs to no message.
    pub fn take_read(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read)
    }

    /// Whether the connection ends here, without another byte and without a reset.
    #[track_caller]
    pub fn ends(&mut self) -> bool {
        assert!(self.read.is_empty(), "more came: {:?}", String::from_utf8_lossy(&self.read));
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    fn line(&mut self) -> Option<String> {
        let end = loop {
            match self.read.iter().position(|&byte| byte == b'\n') {
                Some(end) => break end,
                None if !self.more() => return None,
                None => {}
            }
        };
        let rest = self.read.split_off(end + 1);
        let line = std::mem::replace(&mut self.read, rest);
        let line = String::from_utf8(line).expect("text");
        Some(line.strip_suffix("\r\n").expect("lines end with CR LF").to_string())
    }

    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => {
                    self.read.extend_from_slice(&bytes[..count]);
                    return true;
                }
                // A signal; with a deadline the system does not go on by itself.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
    }
}

/// A backend that speaks HTTP; it remembers what it was asked.
pub struct Origin {
    /// Its listener.
    pub backend: Backend,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Origin {
    /// Answers each request by `answer`, until that says `false` or the connection ends.
    pub fn start(
        answer: impl Fn(&Message, &mut Wire) -> bool + Send + Sync + 'static,
    ) -> Origin {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let backend = Backend::start(move |stream| {
            // The segments of an answer leave as they are written.
            let _ = stream.set_nodelay(true);
            let mut wire = Wire::new(with_deadline(stream));
            while let Some(request) = wire.request() {
                log.lock().expect("no panic before").push(request.clone());
                if !answer(&request, &mut wire) {
                    return;
                }
            }
        });
        Origin { backend, seen }
    }

    /// Answers with its name.
    pub fn named(name: &'static str) -> Origin {
        Origin::start(move |_, wire| wire.try_say(ok(name)))
    }

    /// Answers these bytes, and hangs up if they say so.
    pub fn saying(answer: impl AsRef<[u8]>) -> Origin {
        let answer = answer.as_ref().to_vec();
        Origin::start(move |_, wire| wire.try_say(&answer) && !says_close(&answer))
    }

    /// Answers these bytes, and hangs up.
    pub fn saying_last(answer: impl AsRef<[u8]>) -> Origin {
        let answer = answer.as_ref().to_vec();
        Origin::start(move |_, wire| wire.part(&answer))
    }

    /// Answers the body that it got.
    pub fn echo() -> Origin {
        Origin::start(|request, wire| wire.try_say(ok(&request.body)))
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Message> {
        self.seen.lock().expect("no panic before").clone()
    }

    /// How often it was asked.
    pub fn count(&self) -> usize {
        self.seen.lock().expect("no panic before").len()
    }

    /// The last that it was asked.
    pub fn last(&self) -> Message {
        self.seen().pop().expect("it was asked")
    }
}

fn says_close(answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).to_lowercase().contains("connection: close")
}

/// 200 with this body.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// A request with this body.
pub fn post(target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A balancer of requests before these backends.
pub fn before(origins: &[&Origin], more: &[&str]) -> Balancer {
    let backends: Vec<&Backend> = origins.iter().map(|origin| &origin.backend).collect();
    before_backends(&backends, more)
}

/// The same before backends that may speak something else.
pub fn before_backends(backends: &[&Backend], more: &[&str]) -> Balancer {
    let mut args = front_args(backends, more);
    args[1] = "http://127.0.0.1:0";
    Balancer::start(&args)
}

/// A client whose receive buffer is small, so that it is soon full.
pub fn narrow(balancer: &Balancer) -> Wire {
    let stream = connect(balancer.address());
    SockRef::from(&stream).set_recv_buffer_size(16 * 1024).expect("an option");
    Wire::new(stream)
}
