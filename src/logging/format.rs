//! How a line of the log looks: for people, for programs, for the journal.
//!
//! ```text
//!   text      2026-11-28T14:43:13.123Z WARN  backend web1 is down after 3.0 s up
//!   json      {"time":"2026-11-28T14:43:13.123Z","level":"warn","message":"backend web1 ..."}
//!   journald  <4>backend web1 is down after 3.0 s up
//! ```
//!
//! Pure. What others wrote may be in any message, so none of them can end a line, or tell a
//! terminal what to do: in text and for the journal such characters are written as `\n` or
//! `\u{1b}`, in JSON as that has it.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use log::Level;

use crate::config::LogFormat;
use crate::json;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// In which form.
    pub format: LogFormat,
    /// The level's word has a colour, where the format is for people.
    pub colours: bool,
}

/// Append a message as a line, its end included.
pub fn line(style: Style, at: SystemTime, level: Level, message: &str, out: &mut Vec<u8>) {
    // because: writing to a vector cannot fail.
    let _ = match style.format {
        LogFormat::Text => {
            let (on, off) = if style.colours { (colour(level), "\x1b[0m") } else { ("", "") };
            write!(out, "{} {on}{level:<5}{off} {}", Time(at), OneLine(message))
        }
        LogFormat::Journald => write!(out, "<{}>{}", priority(level), OneLine(message)),
        LogFormat::Json => {
            json::object(out, |it| {
                it.shown("time", Time(at));
                it.text("level", word(level));
                it.text("message", message);
            });
            Ok(())
        }
    };
    out.push(b'\n');
}

/// RFC 3339, in UTC and with milliseconds.
struct Time(SystemTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::try_from(self.0).unwrap_or_default();
        write!(f, "{at:.3}")
    }
}

/// Text without what would end its line or be no letter on a terminal.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most messages have nothing of that.
        if !self.0.contains(is_no_letter) {
            return f.write_str(self.0);
        }
        for c in self.0.chars() {
            if is_no_letter(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Controls, ends of lines, and what turns the direction of what follows.
fn is_no_letter(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Of sd-daemon(3), which are those of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[34m",
        Level::Trace => "\x1b[36m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(format: LogFormat, level: Level, message: &str) -> String {
        let style = Style { format, colours: false };
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_796_000_000_007_900);
        let mut out = b"before\n".to_vec();
        line(style, at, level, message, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned()
    }

    #[test]
    fn each_format_has_its_line() {
        let table = [
            (LogFormat::Text, Level::Warn, "2026-11-30T00:53:20.007Z WARN  it is\n"),
            (LogFormat::Text, Level::Error, "2026-11-30T00:53:20.007Z ERROR it is\n"),
            (LogFormat::Journald, Level::Error, "<3>it is\n"),
            (LogFormat::Journald, Level::Warn, "<4>it is\n"),
            (LogFormat::Journald, Level::Info, "<6>it is\n"),
            (LogFormat::Journald, Level::Debug, "<7>it is\n"),
            (LogFormat::Journald, Level::Trace, "<7>it is\n"),
            (
                LogFormat::Json,
                Level::Info,
                "{\"time\":\"2026-11-30T00:53:20.007Z\",\"level\":\"info\",\
                 \"message\":\"it is\"}\n",
            ),
        ];
        for (format, level, wanted) in table {
            assert_eq!(written(format, level, "it is"), wanted);
        }
    }

    #[test]
    fn no_message_breaks_its_line() {
        let hostile = "a\nb\r\x1b[2J\0\x7f\u{85}\u{2028}\u{202e}\"\\ \u{e9}";
        let wanted = "a\\nb\\r\\u{1b}[2J\\u{0}\\u{7f}\\u{85}\\u{2028}\\u{202e}\"\\ \u{e9}\n";
        let text = written(LogFormat::Text, Level::Info, hostile);
        assert_eq!(text.split_once("INFO  ").unwrap().1, wanted);
        assert_eq!(written(LogFormat::Journald, Level::Info, hostile), format!("<6>{wanted}"));
        let json = written(LogFormat::Json, Level::Info, hostile);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((value["message"].as_str(), json.lines().count()), (Some(hostile), 1));
    }

    #[test]
    fn colours_are_of_the_level_alone() {
        let style = Style { format: LogFormat::Text, colours: true };
        let mut out = Vec::new();
        line(style, SystemTime::UNIX_EPOCH, Level::Warn, "x\x1b[0m", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "1970-01-01T00:00:00.000Z \x1b[33mWARN \x1b[0m x\\u{1b}[0m\n");
        let style = Style { format: LogFormat::Journald, ..style };
        let mut out = Vec::new();
        line(style, SystemTime::UNIX_EPOCH, Level::Warn, "x", &mut out);
        assert_eq!(out, b"<4>x\n");
    }
}
