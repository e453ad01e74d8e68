//! `upper`: a text comes in, the same text in capitals goes out, the connection closes.
//!
//! A text is up to 100 bytes, ended by a line feed, a NUL byte, or the client being done with
//! sending; the answer ends the same way. Two texts mean something else:
//!
//! ```text
//! __clients?    the number of other clients, at once: what `--check load:__clients?` asks
//! __nap N       after the answer, stop listening for N seconds
//! ```
//!
//! `server` calls [`answer`] on a thread that is there for this one client and may wait at will.

use std::io::{self, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use super::server::Client;
use crate::limits::{DEMO_NAP_SECONDS_MAX, DEMO_TEXT_BYTES_MAX};

/// Answers one client, after `delay`.
pub fn answer(client: &Client, delay: Duration) -> io::Result<()> {
    let Some(Text { mut words, end }) = read_text(&client.stream)? else {
        return Ok(());
    };
    let nap = nap_seconds(&words);
    if words.trim_ascii_end() == b"__clients?" {
        words = client.others().to_string().into_bytes();
    } else {
        thread::sleep(delay);
        words.make_ascii_uppercase();
    }
    // In one piece: a second small write would be a second packet.
    words.extend(end);
    (&client.stream).write_all(&words)?;
    if let Some(seconds) = nap {
        client.send_to_nap(seconds);
    }
    Ok(())
}

/// What the client said, and how it ended it; no `end` is the end of the stream.
#[derive(Debug, PartialEq)]
struct Text {
    words: Vec<u8>,
    end: Option<u8>,
}

/// Reads one text; `None` is a text too long, or none at all.
fn read_text(stream: impl Read) -> io::Result<Option<Text>> {
    let mut words = Vec::new();
    for byte in BufReader::new(stream).bytes() {
        match byte? {
            end @ (b'\n' | 0) => return Ok(Some(Text { words, end: Some(end) })),
            _ if words.len() == DEMO_TEXT_BYTES_MAX => return Ok(None),
            byte => words.push(byte),
        }
    }
    Ok((!words.is_empty()).then_some(Text { words, end: None }))
}

/// The N of `__nap N`; with a wrong N it is a text like any other.
fn nap_seconds(words: &[u8]) -> Option<u64> {
    let words = std::str::from_utf8(words).ok()?;
    let seconds = words.trim_end().strip_prefix("__nap ")?.parse().ok()?;
    (1..=DEMO_NAP_SECONDS_MAX).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_with_a_line_feed_a_nul_or_the_stream() {
        let text = |words: &str, end| Some(Text { words: words.into(), end });
        let full = "x".repeat(DEMO_TEXT_BYTES_MAX);
        for (sent, read) in [
            ("abc\ndef", text("abc", Some(b'\n'))),
            ("abc\0def\n", text("abc", Some(0))),
            ("abc", text("abc", None)),
            ("\n", text("", Some(b'\n'))),
            ("", None),
            (&format!("{full}\n"), text(&full, Some(b'\n'))),
            (&full, text(&full, None)),
            (&format!("{full}x\n"), None),
        ] {
            assert_eq!(read_text(sent.as_bytes()).unwrap(), read, "{sent:?}");
        }
    }

    #[test]
    fn a_nap_has_a_length_or_is_none() {
        for (words, nap) in [
            ("__nap 1", Some(1)),
            ("__nap 3600\r", Some(3600)),
            ("__nap 3601", None),
            ("__nap 0", None),
            ("__nap -1", None),
            ("__nap", None),
            ("nap 1", None),
        ] {
            assert_eq!(nap_seconds(words.as_bytes()), nap, "{words:?}");
        }
    }
}
