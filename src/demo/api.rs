//! The balancer's admin listener, asked as anybody could: a connection for each request, blocking.

use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;

use super::client::ask_within;
use crate::config::MAIN;
use crate::limits::DEMO_API_PATIENCE;

/// What was answered.
struct Answer {
    status: u16,
    tag: Option<String>,
    body: String,
}

/// A document.
pub fn get(admin: SocketAddr, path: &str) -> io::Result<Value> {
    let answer = request(admin, "GET", path, "")?.accepted()?;
    Ok(serde_json::from_str(&answer.body)?)
}

/// Gives the demo's pool another algorithm: its configuration is read, changed in that line, and
/// told again, unless somebody else told another one meanwhile.
pub fn set_algorithm(admin: SocketAddr, name: &str) -> io::Result<()> {
    let read = request(admin, "GET", CONFIG, "")?.accepted()?;
    let missing = || Error::new(ErrorKind::InvalidData, "no algorithm in the configuration");
    let changed = with_algorithm(&read.body, name).ok_or_else(missing)?;
    let tag = read.tag.unwrap_or_default();
    let length = changed.len();
    let more = format!(
        "If-Match: {tag}\r\nX-Reason: a key of the demo\r\n\
         Content-Type: application/toml\r\nContent-Length: {length}\r\n\r\n{changed}"
    );
    request(admin, "PUT", CONFIG, &more)?.accepted()?;
    Ok(())
}

const CONFIG: &str = "/api/v1/config";

/// This configuration with another algorithm of the demo's pool.
fn with_algorithm(toml: &str, name: &str) -> Option<String> {
    let title = format!("[pool.{MAIN}]\n");
    let pool = toml.find(&title)? + title.len();
    let line = pool + toml[pool..].find("algorithm = ")?;
    let end = line + toml[line..].find('\n')?;
    Some(format!("{}algorithm = \"{name}\"{}", &toml[..line], &toml[end..]))
}

/// `more` is fields, an empty line and a body, or nothing.
fn request(admin: SocketAddr, method: &str, path: &str, more: &str) -> io::Result<Answer> {
    let more = if more.is_empty() { "\r\n" } else { more };
    // In HTTP/1.0 the body is what comes until the end.
    let question = format!("{method} {path} HTTP/1.0\r\nHost: {admin}\r\n{more}");
    let bytes = ask_within(admin, question.as_bytes(), DEMO_API_PATIENCE)?;
    let text = String::from_utf8_lossy(&bytes);
    Answer::read(&text).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no answer of HTTP"))
}

impl Answer {
    fn read(text: &str) -> Option<Answer> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        let tag = fields.find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        let tag = tag.map(|(_, value)| value.trim().to_owned());
        Some(Answer { status, tag, body: body.to_owned() })
    }

    /// What was refused is an error that says why.
    fn accepted(self) -> io::Result<Answer> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let why = problem["detail"].as_str().unwrap_or("no reason given");
        Err(Error::other(format!("{}: {why}", self.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_the_configuration_changes() {
        let toml = "[pool.fast]\nalgorithm = \"first\"\n[pool.main]\nretries = 3\n\
                    algorithm = \"first\" # default\nbackends = []\n";
        let changed = with_algorithm(toml, "round-robin").expect("there is one");
        assert_eq!(
            changed,
            "[pool.fast]\nalgorithm = \"first\"\n[pool.main]\nretries = 3\n\
             algorithm = \"round-robin\"\nbackends = []\n"
        );
        assert_eq!(with_algorithm("[pool.fast]\nalgorithm = \"first\"\n", "random"), None);
    }

    #[test]
    fn a_refusal_says_why() {
        let read = |text| Answer::read(text).expect("HTTP").accepted();
        let good = read("HTTP/1.1 200 OK\r\nETag: \"1-2\"\r\n\r\nbody").expect("200");
        assert_eq!((good.tag.as_deref(), &*good.body), (Some("\"1-2\""), "body"));
        let bad = read("HTTP/1.1 412 No\r\n\r\n{\"detail\": \"changed meanwhile\"}");
        assert_eq!(bad.err().expect("412").to_string(), "412: changed meanwhile");
        assert!(read("HTTP/1.1 503 No\r\n\r\n").is_err());
        assert!(Answer::read("nonsense").is_none());
    }
}
