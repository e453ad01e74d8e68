//! Where the access log goes and how its lines look, as asked for. Nothing is opened here.
//!
//! Called by the table of settings for each value, then by `whole` once for what does not go
//! together.

use std::fmt;
use std::path::PathBuf;

use super::Config;
use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::log_line::LineFormat;
use super::shared::Shared;

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogPlace {
    /// To standard output.
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

/// How a line of the access log looks.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessLogFormat {
    /// The Combined Log Format of Apache and nginx.
    Combined,
    /// HAProxy's `httplog`, and for TCP its `tcplog`.
    Haproxy,
    /// An object a line.
    Json,
    /// One of the operator's own.
    Custom(Shared<LineFormat>),
}

impl AccessLogPlace {
    /// A file, or `-` for standard output.
    pub fn parse(text: &str) -> Result<AccessLogPlace, Wrong> {
        if text == "-" {
            return Ok(AccessLogPlace::Stdout);
        }
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::found(text, "a file, or - for standard output"));
        }
        // It is far likelier that the file is missing and this is the next flag.
        if text.starts_with('-') {
            let want = "a file, or - for standard output; ./-FILE if it begins with a dash";
            return Err(Wrong::found(text, want));
        }
        if text.ends_with('/') {
            return Err(Wrong::found(text, "a file, not a directory"));
        }
        Ok(AccessLogPlace::File(PathBuf::from(text)))
    }
}

impl fmt::Display for AccessLogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessLogPlace::Stdout => f.write_str("-"),
            AccessLogPlace::File(path) => path.display().fmt(f),
        }
    }
}

impl AccessLogFormat {
    /// A word for one, or `custom:` and text with variables.
    pub fn parse(text: &str) -> Result<AccessLogFormat, Wrong> {
        match text {
            "combined" => Ok(AccessLogFormat::Combined),
            "haproxy" => Ok(AccessLogFormat::Haproxy),
            "json" => Ok(AccessLogFormat::Json),
            _ => match text.strip_prefix(CUSTOM) {
                Some(text) => {
                    let format = LineFormat::parse(text)?;
                    Ok(AccessLogFormat::Custom(format.into()))
                }
                None => {
                    let meant =
                        text.contains('$').then(|| format!("; did you mean {CUSTOM}..."));
                    let want = "combined, haproxy, json or custom: and text with $variables";
                    let hint = meant.map(|it| format!("{it}?")).unwrap_or_default();
                    Err(Wrong::found(text, format!("{want}{hint}")))
                }
            },
        }
    }
}

impl fmt::Display for AccessLogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessLogFormat::Combined => f.write_str("combined"),
            AccessLogFormat::Haproxy => f.write_str("haproxy"),
            AccessLogFormat::Json => f.write_str("json"),
            AccessLogFormat::Custom(format) => write!(f, "{CUSTOM}{}", format.text()),
        }
    }
}

/// What a format of one's own begins with.
const CUSTOM: &str = "custom:";

/// A format is of something.
pub fn check_access_log_format(config: &Config) -> Result<(), Wrong> {
    match config.process.access_log {
        Some(_) => Ok(()),
        None => {
            let found = Phrase::from("no ").name(SettingKey::ACCESS_LOG).text(" beside it");
            let want = Phrase::default().setting(SettingKey::ACCESS_LOG, "FILE");
            Err(Wrong::saying(found, want.text(" with it")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_logs_are_read_and_shown_alike() {
        assert_eq!(AccessLogPlace::parse("-"), Ok(AccessLogPlace::Stdout));
        assert_eq!(AccessLogPlace::Stdout.to_string(), "-");
        for text in ["log", "./-", "/var/log/pointsman/access.log", "a b", "\u{e9}"] {
            let log = AccessLogPlace::File(PathBuf::from(text));
            assert_eq!(log.to_string(), text);
            assert_eq!(AccessLogPlace::parse(text), Ok(log));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_in_words() {
        let dash = "a file, or - for standard output; ./-FILE if it begins with a dash";
        let table = [
            ("", "a file, or - for standard output"),
            ("a\0b", "a file, or - for standard output"),
            ("--", dash),
            ("-log", dash),
            ("--demo", dash),
            ("/var/log/", "a file, not a directory"),
            ("/", "a file, not a directory"),
        ];
        for (text, want) in table {
            assert_eq!(AccessLogPlace::parse(text), Err(Wrong::found(text, want)));
        }
    }

    #[test]
    fn formats_are_read_and_shown_alike() {
        for text in ["combined", "haproxy", "json", "custom:$client $$ \"${uri}\"\t'"] {
            assert_eq!(AccessLogFormat::parse(text).unwrap().to_string(), text);
        }
        let table = [
            ("JSON", "found 'JSON', want combined, haproxy, json or custom: and text with"),
            ("$client", "; did you mean custom:...?"),
            ("custom:", "found nothing, want text with variables"),
            ("custom:$statsu", "did you mean $status?"),
        ];
        for (text, says) in table {
            let wrong = AccessLogFormat::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{wrong}");
        }
    }

    #[test]
    fn a_format_needs_a_log() {
        let mut config = Config::defaults();
        assert!(check_access_log_format(&config).is_err());
        config.process.access_log = Some(AccessLogPlace::Stdout);
        assert_eq!(check_access_log_format(&config), Ok(()));
    }
}
