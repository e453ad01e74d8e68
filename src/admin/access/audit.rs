//! The audit line: who changed what, or wanted to.

use std::fmt::{self, Write};

use crate::limits::REASON_BYTES_MAX;

/// What an audit line says.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    /// The number of the request.
    pub request: u64,
    /// Who asked, as [`super::Who`] has it; `-` if that is not known.
    pub who: &'a str,
    /// The address, or `unix`.
    pub from: &'a str,
    /// The method, or HAProxy's word.
    pub verb: &'a [u8],
    /// The path.
    pub path: &'a [u8],
    /// What changed: member, before, after.
    pub changes: &'a [(String, String, String)],
    /// Which generation holds since then.
    pub generation: u64,
    /// The status of the answer.
    pub result: u16,
    /// `X-Reason`.
    pub reason: Option<&'a [u8]>,
}

/// The line, without the time, which the logger has.
pub fn audit_line(audit: &Audit<'_>) -> String {
    audit.to_string()
}

impl fmt::Display for Audit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = quoted(self.who.as_bytes());
        write!(f, "audit request={} who={who} from={}", self.request, self.from)?;
        write!(f, " verb={} path={}", quoted(self.verb), quoted(self.path))?;
        for (member, before, after) in self.changes {
            let before = quoted(before.as_bytes());
            let after = quoted(after.as_bytes());
            write!(f, " {}={before}->{after}", printable(member.as_bytes(), REASON_BYTES_MAX))?;
        }
        write!(f, " generation={} result={}", self.generation, self.result)?;
        match self.reason {
            Some(reason) => write!(f, " reason={}", quoted(reason)),
            None => Ok(()),
        }
    }
}

/// In quotes if it is more than a word.
fn quoted(bytes: &[u8]) -> String {
    let text = printable(bytes, REASON_BYTES_MAX);
    let is_word = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
    match !text.is_empty() && text.chars().all(is_word) {
        true => text,
        false => {
            let mut quoted = String::from("\"");
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            quoted.push('"');
            quoted
        }
    }
}

/// ASCII that can be printed, at most so many bytes of it; `?` for all else.
pub(super) fn printable(bytes: &[u8], max: usize) -> String {
    let mut text = String::new();
    for &b in bytes.iter().take(max) {
        let shown = if b == b' ' || b.is_ascii_graphic() { char::from(b) } else { '?' };
        // Writing to a string does not fail.
        let _ = text.write_char(shown);
    }
    text
}
