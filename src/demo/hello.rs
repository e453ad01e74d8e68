//! `hello`: a small HTTP/1.1 server that takes its time.
//!
//! ```text
//! /health           200, `OK`, at once: what `--check http:/health` asks
//! /nap?seconds=N    after the answer, stop listening for N seconds (10 if not said), and hang up
//!                   on connections that wait for another request
//! all the rest      `Hello from ADDR`, after a random delay
//! ```
//!
//! One thread reads a request to its end, answers it, and reads the next: keep-alive is a loop,
//! and a body that nobody wants is read and forgotten so that the next request starts where it
//! should. Bodies need a Content-Length (else 411). What is no request is answered with 400, a
//! head over 16 KiB with 431, and the connection closes.
//!
//! `server` calls [`Hello::answer`]. The parser is for this demo and knows little; the balancer's
//! own is in `http`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::ops::RangeInclusive;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::server::Client;
use crate::limits::{
    DEMO_HEAD_BYTES_MAX, DEMO_LINGER_BYTES_MAX, DEMO_LINGER_TIMEOUT, DEMO_NAP_SECONDS,
    DEMO_NAP_SECONDS_MAX,
};

/// What all connections of one server share.
pub struct Hello {
    delay: RangeInclusive<Duration>,
    random: Mutex<fastrand::Rng>,
    /// Greetings that may be worked on at once; others wait until it is their turn.
    hands: Mutex<usize>,
    free: Condvar,
}

/// One of the hands that work, until it is dropped.
struct Hand<'a>(&'a Hello);

/// What has to be known of a request to answer it, and to find the next one behind it.
#[derive(Debug, PartialEq)]
struct Request {
    target: String,
    head_only: bool,
    body_bytes: u64,
    expects_continue: bool,
    keep_alive: bool,
}

/// Why a request is not answered.
#[derive(Debug)]
enum BadRequest {
    /// It is answered with this status and the reason.
    Status(&'static str, &'static str),
    /// Nobody is there to be answered.
    Broken(io::Error),
}

impl Hello {
    /// A server whose greetings take a time within `delay`.
    pub fn new(delay: RangeInclusive<Duration>, seed: u64) -> Hello {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Hello { delay, random, hands: Mutex::new(usize::MAX), free: Condvar::new() }
    }

    /// It works on so many greetings at once, and whoever comes while it does has to wait: so it
    /// can have too much work, as a real one can.
    pub fn with_hands(self, hands: usize) -> Hello {
        Hello { hands: Mutex::new(hands), ..self }
    }

    /// Answers one client for as long as it has requests.
    pub fn answer(&self, client: &Client) -> io::Result<()> {
        let mut reader = BufReader::new(&client.stream);
        loop {
            let rest = client.rest()?;
            let request = read_request(&mut reader);
            drop(rest);
            let outcome = match request {
                Ok(None) => return Ok(()),
                Ok(Some(request)) => self.answer_one(client, &mut reader, &request),
                Err(refusal) => Err(refusal),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(BadRequest::Status(status, why)) => return refuse(client, status, why),
                Err(BadRequest::Broken(error)) => return Err(error),
            }
        }
    }

    /// Reads the body, waits, answers. Says whether another request may follow.
    fn answer_one(
        &self,
        client: &Client,
        reader: &mut impl BufRead,
        request: &Request,
    ) -> Result<bool, BadRequest> {
        let nap = nap_seconds(&request.target)?;
        if request.expects_continue {
            (&client.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body_bytes = io::copy(&mut reader.take(request.body_bytes), &mut io::sink())?;
        if body_bytes < request.body_bytes {
            return Err(bad("the body is shorter than its Content-Length"));
        }

        let body = match (&*request.target, nap) {
            ("/health", _) => "OK\n".to_owned(),
            (_, Some(seconds)) => format!("Napping for {seconds} s\n"),
            _ => {
                let hand = self.hand();
                thread::sleep(self.draw_delay());
                drop(hand);
                format!("Hello from {}\n", client.address())
            }
        };
        let keep_alive = request.keep_alive && nap.is_none() && !client.naps();
        write_answer(client, "200 OK", &body, request.head_only, keep_alive)?;
        if let Some(seconds) = nap {
            client.send_to_nap(seconds);
        }
        Ok(keep_alive)
    }

    fn hand(&self) -> Hand<'_> {
        let waiting = self.free.wait_while(self.hands(), |free| *free == 0);
        *waiting.unwrap_or_else(PoisonError::into_inner) -= 1;
        Hand(self)
    }

    fn hands(&self) -> MutexGuard<'_, usize> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw_delay(&self) -> Duration {
        let micros = |delay: &Duration| delay.as_micros() as u64;
        let range = micros(self.delay.start())..=micros(self.delay.end());
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(random.u64(range))
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        *self.0.hands() += 1;
        self.0.free.notify_one();
    }
}

/// Reads the head of the next request; `None` where the client has no more.
fn read_request(reader: &mut impl BufRead) -> Result<Option<Request>, BadRequest> {
    let mut reader = reader.take(DEMO_HEAD_BYTES_MAX);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return match reader.limit() {
                0 => Err(BadRequest::Status(TOO_LARGE, "the head is over 16 KiB")),
                DEMO_HEAD_BYTES_MAX => Ok(None),
                _ => Err(bad("the head has no end")),
            };
        }
        line.pop_if(|byte| *byte == b'\r');
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(bad("a control character in the head"));
        }
        match (line.is_empty(), lines.is_empty()) {
            // Some clients end a body with an empty line too many.
            (true, true) => {}
            (true, false) => return Request::parse(&lines).map(Some),
            (false, _) => lines.push(String::from_utf8_lossy(&line).into_owned()),
        }
    }
}

const BAD: &str = "400 Bad Request";
const LENGTH_REQUIRED: &str = "411 Length Required";
const TOO_LARGE: &str = "431 Request Header Fields Too Large";

fn bad(why: &'static str) -> BadRequest {
    BadRequest::Status(BAD, why)
}

impl Request {
    /// Understands a head: the request line, and a line a field.
    fn parse(lines: &[String]) -> Result<Request, BadRequest> {
        let (first, fields) = lines.split_first().ok_or(bad("no request line"))?;
        let parts: Vec<&str> = first.split(' ').collect();
        let &[method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = &*parts else {
            return Err(bad("the first line is not METHOD TARGET HTTP/1.1"));
        };
        if method.is_empty() || target.is_empty() {
            return Err(bad("the first line lacks a method or a target"));
        }
        let mut request = Request {
            target: target.to_owned(),
            head_only: method == "HEAD",
            body_bytes: 0,
            expects_continue: false,
            keep_alive: false,
        };
        let mut hosts = 0;
        let mut lengths = 0;
        let mut close = false;
        let mut stay = version == "HTTP/1.1";
        for field in fields {
            let (name, value) = field.split_once(':').ok_or(bad("a field without a colon"))?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(bad("white space where a field's name should be"));
            }
            let value = value.trim().to_ascii_lowercase();
            match &*name.to_ascii_lowercase() {
                "host" => hosts += 1,
                "content-length" => {
                    lengths += 1;
                    request.body_bytes = parse_length(&value)?;
                }
                "transfer-encoding" => {
                    return Err(BadRequest::Status(
                        LENGTH_REQUIRED,
                        "bodies need a Content-Length",
                    ));
                }
                "connection" => {
                    close |= value.split(',').any(|word| word.trim() == "close");
                    stay |= value.split(',').any(|word| word.trim() == "keep-alive");
                }
                "expect" => request.expects_continue = value == "100-continue",
                _ => {}
            }
        }
        if hosts > 1 || (hosts == 0 && version == "HTTP/1.1") {
            return Err(bad("not exactly one Host"));
        }
        if lengths > 1 {
            return Err(bad("more than one Content-Length"));
        }
        request.keep_alive = stay && !close;
        Ok(request)
    }
}

/// Digits and nothing else: a sign or a list is how requests are smuggled.
fn parse_length(value: &str) -> Result<u64, BadRequest> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| digits).ok_or(bad("Content-Length is not a number"))
}

/// Whether this target asks for a nap, and for how long.
fn nap_seconds(target: &str) -> Result<Option<u64>, BadRequest> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != "/nap" {
        return Ok(None);
    }
    if query.is_empty() {
        return Ok(Some(DEMO_NAP_SECONDS));
    }
    let seconds = query.strip_prefix("seconds=").and_then(|number| number.parse().ok());
    match seconds.filter(|seconds| (1..=DEMO_NAP_SECONDS_MAX).contains(seconds)) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(bad("a nap is /nap?seconds=N with N from 1 to 3600")),
    }
}

/// Says what is wrong, and closes so that it arrives: a socket closed with bytes unread sends a
/// reset, and a reset overtakes the answer. So the rest is read first, within limits.
fn refuse(client: &Client, status: &str, why: &str) -> io::Result<()> {
    write_answer(client, status, &format!("{why}\n"), false, false)?;
    client.stream.shutdown(Shutdown::Write)?;
    client.stream.set_read_timeout(Some(DEMO_LINGER_TIMEOUT))?;
    io::copy(&mut (&client.stream).take(DEMO_LINGER_BYTES_MAX), &mut io::sink())?;
    Ok(())
}

/// Head and body in one write, so that they leave in one packet.
fn write_answer(
    client: &Client,
    status: &str,
    body: &str,
    head_only: bool,
    keep_alive: bool,
) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n\r\n{}",
        body.len(),
        if head_only { "" } else { body },
    );
    (&client.stream).write_all(answer.as_bytes())
}

impl From<io::Error> for BadRequest {
    fn from(error: io::Error) -> BadRequest {
        BadRequest::Broken(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a head comes to: the request, the status it is refused with, or nothing.
    fn read(head: &str) -> Result<Option<Request>, &'static str> {
        read_request(&mut head.as_bytes()).map_err(|refusal| match refusal {
            BadRequest::Status(status, _) => status,
            BadRequest::Broken(error) => panic!("{head:?}: {error}"),
        })
    }

    #[test]
    fn requests_are_understood() {
        let plain = |target: &str, keep_alive| Request {
            target: target.to_owned(),
            head_only: false,
            body_bytes: 0,
            expects_continue: false,
            keep_alive,
        };
        for (head, request) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", plain("/", true)),
            ("\r\nGET / HTTP/1.1\nhost:a\n\n", plain("/", true)),
            ("GET /x HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", plain("/x", false)),
            ("GET / HTTP/1.0\r\n\r\n", plain("/", false)),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", plain("/", true)),
            (
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                Request { head_only: true, ..plain("/", true) },
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n",
                Request { body_bytes: 5, expects_continue: true, ..plain("/", true) },
            ),
        ] {
            assert_eq!(read(head), Ok(Some(request)), "{head:?}");
        }
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in [
            "nonsense\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            " / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a",
        ] {
            assert_eq!(read(head), Err(BAD), "{head:?}");
        }
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(chunked), Err(LENGTH_REQUIRED));
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(16 * 1024));
        assert_eq!(read(&long), Err(TOO_LARGE));
    }

    #[test]
    fn naps_have_a_length() {
        assert!(matches!(nap_seconds("/nap"), Ok(Some(10))));
        assert!(matches!(nap_seconds("/nap?seconds=3600"), Ok(Some(3600))));
        assert!(matches!(nap_seconds("/napkin"), Ok(None)));
        for target in ["/nap?seconds=0", "/nap?seconds=3601", "/nap?seconds=", "/nap?x"] {
            assert!(matches!(nap_seconds(target), Err(BadRequest::Status(BAD, _))), "{target}");
        }
    }
}
