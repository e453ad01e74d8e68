//! The client of the API: a connection for each request, blocking, with a deadline.
//!
//! Whoever asks again and again (`top`) takes a wire and the bytes of a request, and does not wait.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{io_words, quoted};

use super::answer::Answer;
use super::failure::{Failure, Outcome};

/// A reload may look up names; whoever is longer without a byte is not there.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Where it is if nobody says so.
pub const USUAL_PLACE: &str = "unix:/run/pointsman/api.sock";

/// What is asked, and of whom.
pub struct Client {
    place: Place,
    token: Option<String>,
    reason: Option<String>,
    connect_patience: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Unix(String),
    Http(String),
}

/// A connection.
pub trait Wire: Read + Write + AsFd {}
impl<T: Read + Write + AsFd> Wire for T {}

/// What becomes of a connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Its end is the end of the answer.
    Close,
    /// More is asked on it.
    Keep,
}

/// A request's body.
pub enum Body<'a> {
    /// None.
    None,
    /// A document.
    Json(Value),
    /// A configuration, and the state that it replaces.
    Toml(&'a str, Option<&'a str>),
}

impl Client {
    /// Of the admin listener at this place.
    pub fn at(place: &str, token: Option<String>, reason: Option<String>) -> Outcome<Client> {
        let is_text = |it: &Option<String>| {
            it.as_ref().is_none_or(|it| !it.chars().any(char::is_control))
        };
        if !is_text(&token) || !is_text(&reason) {
            return Err(Failure::Usage(
                "a token or a reason: found a control character, want one line".to_owned(),
            ));
        }
        let connect_patience = CONNECT_PATIENCE;
        Ok(Client { place: Place::read(place)?, token, reason, connect_patience })
    }

    /// Wait no longer than this for a connection.
    #[must_use]
    pub fn impatient(self, connect_patience: Duration) -> Client {
        Client { connect_patience, ..self }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        self.place.text()
    }

    /// A document.
    pub fn get(&self, path: &str) -> Outcome<Value> {
        json(&self.ask("GET", path, Body::None)?)
    }

    /// What is answered, if it is no refusal.
    pub fn ask(&self, method: &str, path: &str, body: Body<'_>) -> Outcome<Answer> {
        let mut answer = Answer::default();
        let mut wire = self.send(method, path, body)?;
        while !answer.is_done() {
            self.more(&mut *wire, &mut answer, false)?;
        }
        self.accepted(answer)
    }

    /// What is answered, whatever its status.
    pub fn status(&self, path: &str) -> Outcome<Answer> {
        let mut answer = Answer::default();
        let mut wire = self.send("GET", path, Body::None)?;
        while !answer.is_done() {
            self.more(&mut *wire, &mut answer, false)?;
        }
        Ok(answer)
    }

    /// Lines of an answer that goes on until one side ends it.
    pub fn follow(&self, path: &str, mut line: impl FnMut(&str) -> Outcome<()>) -> Outcome<()> {
        let mut answer = Answer::default();
        let mut wire = self.send("GET", path, Body::None)?;
        while !answer.is_done() {
            self.more(&mut *wire, &mut answer, true)?;
            if answer.status != 200 {
                continue;
            }
            while let Some(at) = answer.body.iter().position(|&it| it == b'\n') {
                let one: Vec<u8> = answer.body.drain(..=at).collect();
                line(String::from_utf8_lossy(&one).trim_end())?;
            }
        }
        self.accepted(answer).map(|_| ())
    }

    /// `patient` waits for ever, once an answer has begun.
    fn more(&self, wire: &mut dyn Wire, answer: &mut Answer, patient: bool) -> Outcome<()> {
        let mut buffer = [0; 16 * 1024];
        let fed = match wire.read(&mut buffer) {
            Ok(0) => answer.end(),
            Ok(count) => answer.feed(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => {
                let is_late =
                    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                if is_late && patient && answer.has_head() {
                    return Ok(());
                }
                Err(if is_late {
                    format!("no answer for {} s", PATIENCE.as_secs())
                } else {
                    io_words(&error).to_string()
                })
            }
        };
        fed.map_err(|why| Failure::failed(format!("{}: {why}", self.place.text())))
    }

    fn send(&self, method: &str, path: &str, body: Body<'_>) -> Outcome<Box<dyn Wire>> {
        let all = self.request(method, path, body, Then::Close);
        let mut wire = self.connect()?;
        // Who refuses early closes before it has read all: its answer says why.
        match wire.write_all(&all) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let why = format!("{}: {}", self.place.text(), io_words(&error));
                Err(Failure::failed(why))
            }
            _ => Ok(wire),
        }
    }

    /// The bytes of a request.
    pub fn request(&self, method: &str, path: &str, body: Body<'_>, then: Then) -> Vec<u8> {
        let host = match &self.place {
            Place::Unix(_) => "localhost",
            Place::Http(host) => host,
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if then == Then::Close {
            head += "Connection: close\r\n";
        }
        head += "User-Agent: pointsman-ctl\r\n";
        for (name, value) in
            [("Authorization: Bearer", &self.token), ("X-Reason:", &self.reason)]
        {
            if let Some(value) = value {
                head += &format!("{name} {value}\r\n");
            }
        }
        let (kind, bytes) = match body {
            Body::None => ("application/json", Vec::new()),
            Body::Json(value) => ("application/json", value.to_string().into_bytes()),
            Body::Toml(text, tag) => {
                if let Some(tag) = tag {
                    head += &format!("If-Match: {tag}\r\n");
                }
                ("application/toml", text.as_bytes().to_vec())
            }
        };
        if method != "GET" {
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len());
        }
        head += "\r\n";
        [head.as_bytes(), &bytes].concat()
    }

    /// A connection.
    pub fn connect(&self) -> Outcome<Box<dyn Wire>> {
        let connected = match &self.place {
            Place::Unix(path) => connect_unix(path, self.connect_patience)
                .map(|it| Box::new(it) as Box<dyn Wire>),
            Place::Http(host) => {
                connect_tcp(host, self.connect_patience).map(|it| Box::new(it) as Box<dyn Wire>)
            }
        };
        connected.map_err(|error| {
            let place = self.place.text();
            let words = io_words(&error);
            let is_allowed = error.kind() != io::ErrorKind::PermissionDenied;
            let hint = match &self.place {
                Place::Unix(_) if !is_allowed => {
                    "; its owner and group may use it (--admin-socket-mode)".to_owned()
                }
                _ => format!("; is pointsman running with --admin {place}?"),
            };
            Failure::failed(format!("{place}: {words}{hint}"))
        })
    }

    /// The answer, if it is no refusal.
    pub fn accepted(&self, answer: Answer) -> Outcome<Answer> {
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let status = answer.status;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut lines = problem(&value);
        if lines.is_empty() {
            lines = vec![format!("{}: answered with {status}", self.place.text())];
        }
        if status == 401 {
            lines.push("give a token with --token, or in POINTSMAN_TOKEN".to_owned());
        }
        Err(Failure::Failed(lines))
    }
}

/// A listener that accepts nobody would hold up a plain `connect(2)` for ever.
fn connect_unix(path: &str, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    let stream = UnixStream::from(std::os::fd::OwnedFd::from(socket));
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Over every address of the host until one answers.
fn connect_tcp(host: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Place {
    fn read(text: &str) -> Outcome<Place> {
        let want = "want unix:PATH or http://HOST:PORT";
        if let Some(path) = text.strip_prefix("unix:").filter(|it| !it.is_empty()) {
            return Ok(Place::Unix(path.to_owned()));
        }
        if text.starts_with("https://") {
            let why = "ctl speaks no TLS: use the unix: socket on that machine, or curl";
            return Err(Failure::Usage(format!("--admin {text}: found https, {want}; {why}")));
        }
        let host = text.strip_prefix("http://").map(|it| it.trim_end_matches('/'));
        match host.filter(|it| !it.is_empty() && !it.contains(['/', '@', ' '])) {
            Some(host)
                if host.rsplit_once(':').is_some_and(|it| it.1.parse::<u16>().is_ok()) =>
            {
                Ok(Place::Http(host.to_owned()))
            }
            _ => Err(Failure::Usage(format!("--admin: found {}, {want}", quoted(text)))),
        }
    }

    fn text(&self) -> String {
        match self {
            Place::Unix(path) => format!("unix:{path}"),
            Place::Http(host) => format!("http://{host}"),
        }
    }
}

/// What an RFC 9457 problem says, a line each.
fn problem(value: &Value) -> Vec<String> {
    let errors = value["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |it: &Value| {
        let detail = it["detail"].as_str().unwrap_or_default();
        let hint = it["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
        match it["pointer"].as_str().unwrap_or_default() {
            "" => format!("{detail}{hint}"),
            pointer => format!("{pointer}: {detail}{hint}"),
        }
    };
    let mut lines: Vec<String> = errors.iter().map(line).collect();
    // The detail is that of the first error, where there is one.
    let detail = value["detail"].as_str().or(value["title"].as_str());
    if let Some(detail) = detail.filter(|_| lines.is_empty()) {
        lines.push(detail.to_owned());
    }
    lines
}

/// The body of an answer as a tree.
pub fn json(answer: &Answer) -> Outcome<Value> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::failed(format!("the answer is no JSON: {error}")))
}

/// A name within a path or a query.
pub fn encoded(text: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    let one =
        |it: u8| if is_plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_sockets_and_plain_http() {
        assert_eq!(Place::read("unix:/a/b").unwrap(), Place::Unix("/a/b".into()));
        assert_eq!(Place::read("http://[::1]:80/").unwrap(), Place::Http("[::1]:80".into()));
        for (text, says) in [
            ("https://a:1", "no TLS"),
            ("/run/a.sock", "want unix:PATH"),
            ("http://a", "want unix:PATH"),
            ("unix:", "want unix:PATH"),
        ] {
            match Place::read(text) {
                Err(Failure::Usage(line)) => assert!(line.contains(says), "{line}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn each_mistake_is_a_line_with_its_place_and_hint() {
        let errors = json!([{"pointer": "/wieght", "detail": "unknown member 'wieght'",
                             "hint": "did you mean weight?"}, {"detail": "b"}]);
        let value = json!({"title": "t", "detail": "unknown", "errors": errors});
        let first = "/wieght: unknown member 'wieght'; did you mean weight?";
        assert_eq!(problem(&value), [first, "b"]);
        assert_eq!(problem(&json!({"title": "t", "detail": "d"})), ["d"]);
        assert!(problem(&Value::Null).is_empty());
    }

    #[test]
    fn names_are_written_so_that_they_stay_one_segment() {
        assert_eq!(encoded("a b/é?"), "a%20b%2F%C3%A9%3F");
    }
}
