//! The demo's clients: one that asks once, and one that never stops asking.
//!
//! [`ask`] is `pointsman-demo client`; `keep_asking` is the traffic of `pointsman --demo`, a
//! thread a client. What goes wrong is reported and tried again; it never ends a thread.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crate::limits::{DEMO_IDLE_TIMEOUT, DEMO_RETRY_PAUSE, DEMO_THINK_MS_MAX};

/// Connects, says `question`, and listens until the other side is done. No answer is an error.
pub fn ask(address: impl ToSocketAddrs, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEMO_IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(DEMO_IDLE_TIMEOUT))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| match error.kind() {
        // What a time limit on a blocking socket looks like.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let seconds = DEMO_IDLE_TIMEOUT.as_secs();
            Error::new(ErrorKind::TimedOut, format!("nothing came for {seconds} s"))
        }
        _ => error,
    })?;
    if answer.is_empty() {
        return Err(Error::new(ErrorKind::UnexpectedEof, "closed without an answer"));
    }
    Ok(answer)
}

/// Asks `front` for a greeting, again and again. Reports when answers stop and when they come
/// again, not each failure in between; ends when nobody listens at `front` any more.
pub(super) fn keep_asking(front: SocketAddr, number: usize) {
    let request = format!("GET / HTTP/1.1\r\nHost: {front}\r\nConnection: close\r\n\r\n");
    let mut failures = 0_u64;
    loop {
        match ask(front, request.as_bytes()).and_then(|answer| check(&answer)) {
            Ok(()) => {
                if failures > 0 {
                    log::info!("demo client {number}: answered again ({failures} failed)");
                }
                failures = 0;
                // Nobody asks without a pause, and nobody in step with the others.
                thread::sleep(Duration::from_millis(fastrand::u64(1..=DEMO_THINK_MS_MAX)));
            }
            // The balancer resets clients that it cannot serve; only one that is stopping refuses.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            Err(error) => {
                if failures == 0 {
                    log::warn!("demo client {number}: {error}");
                }
                failures += 1;
                thread::sleep(DEMO_RETRY_PAUSE);
            }
        }
    }
}

/// Whether this is a greeting, whole.
fn check(answer: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let whole = body.starts_with("Hello from ") && body.ends_with('\n');
    if head.starts_with("HTTP/1.1 200 ") && whole {
        return Ok(());
    }
    let line = head.lines().next().unwrap_or_default();
    Err(Error::new(ErrorKind::InvalidData, format!("not a greeting: {line:?}")))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_a_whole_greeting_is_a_greeting() {
        assert!(check(b"HTTP/1.1 200 OK\r\n\r\nHello from here\n").is_ok());
        assert!(check(b"HTTP/1.1 200 OK\r\n\r\nHello fr").is_err());
        assert!(check(b"HTTP/1.1 503 Busy\r\n\r\nHello from here\n").is_err());
        assert!(check(b"\xff").is_err());
    }
}
