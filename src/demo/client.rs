//! The demo's client that asks once: `pointsman-demo client`, and under all that asks again.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::limits::DEMO_IDLE_TIMEOUT;

/// Connects, says `question`, and listens until the other side is done. No answer is an error.
pub fn ask(address: impl ToSocketAddrs, question: &[u8]) -> io::Result<Vec<u8>> {
    ask_within(address, question, DEMO_IDLE_TIMEOUT)
}

/// The same with another patience.
pub(super) fn ask_within(
    address: impl ToSocketAddrs,
    question: &[u8],
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| match error.kind() {
        // What a time limit on a blocking socket looks like.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let seconds = patience.as_secs();
            Error::new(ErrorKind::TimedOut, format!("nothing came for {seconds} s"))
        }
        _ => error,
    })?;
    if answer.is_empty() {
        return Err(Error::new(ErrorKind::UnexpectedEof, "closed without an answer"));
    }
    Ok(answer)
}
