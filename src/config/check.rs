//! What a probe asks, as people write it.

use std::fmt;

use super::{Config, HttpCheck, Phrase, SettingKey, TextCheck, Wrong, quoted};
use crate::limits;

const KINDS_WANT: &str =
    "tcp, http:/PATH, https:/PATH, load:TEXT, udp:TEXT or tcp:TEXT, or none";

/// What a health probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing; backends always count as up.
    None,
    /// That a connection is taken.
    Tcp,
    /// This text, answered with another one.
    Text(TextCheck),
    /// `GET` of a path, answered with a good status; through TLS where the backend speaks it.
    Http(HttpCheck),
    /// The same, always through TLS.
    Https(HttpCheck),
    /// This text and a NUL byte, answered with a decimal number: the load.
    Load(String),
    /// This datagram, answered with another one.
    Udp(TextCheck),
}

impl Check {
    /// `tcp[:TEXT[,expect=TEXT]]`, `http:/PATH[,expect=STATUSES]`, the same with `https`,
    /// `load:TEXT`, `udp:TEXT[,expect=TEXT]` or `none`.
    pub fn parse(text: &str) -> Result<Check, Wrong> {
        match text.split_once(':') {
            None if text == "none" => Ok(Check::None),
            None if text == "tcp" => Ok(Check::Tcp),
            Some(("http", asked)) => HttpCheck::parse(asked, "http", text).map(Check::Http),
            Some(("https", asked)) => HttpCheck::parse(asked, "https", text).map(Check::Https),
            Some(("load", asked)) => check_load(asked, text),
            Some(("tcp", asked)) => TextCheck::parse(asked, "tcp", text).map(Check::Text),
            Some(("udp", asked)) => TextCheck::parse(asked, "udp", text).map(Check::Udp),
            _ => Err(Wrong::found(text, KINDS_WANT)),
        }
    }

    /// Whether it is always asked through TLS.
    pub fn is_https(&self) -> bool {
        matches!(self, Check::Https(_))
    }

    /// Whether it is a request of HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self, Check::Http(_) | Check::Https(_))
    }
}

/// A Host field is in requests of HTTP alone.
pub fn check_check_host(config: &Config) -> Result<(), Wrong> {
    if config.pool.check.kind.is_http() {
        return Ok(());
    }
    let found = Phrase::default()
        .setting(SettingKey::CHECK, quoted(&config.pool.check.kind.to_string()));
    let want = Phrase::default().setting(SettingKey::CHECK, "http:/PATH or https:/PATH");
    Err(Wrong::saying(found, want.text(" with it")))
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::None => f.write_str("none"),
            Check::Tcp => f.write_str("tcp"),
            Check::Text(check) => write!(f, "tcp:{check}"),
            Check::Http(check) => write!(f, "http:{check}"),
            Check::Https(check) => write!(f, "https:{check}"),
            Check::Load(text) => write!(f, "load:{text}"),
            Check::Udp(check) => write!(f, "udp:{check}"),
        }
    }
}

fn check_load(asked: &str, text: &str) -> Result<Check, Wrong> {
    let most = limits::LOAD_TEXT_BYTES_MAX;
    if asked.is_empty() || asked.len() > most || asked.contains('\0') {
        let want = format!("load:TEXT, TEXT being 1 to {most} bytes without NUL");
        return Err(Wrong::found(text, want));
    }
    Ok(Check::Load(asked.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Statuses;
    use super::*;

    #[test]
    fn checks_are_read_and_shown_alike() {
        let http = |path: &str| {
            let statuses = Statuses::default();
            HttpCheck { path: path.to_owned(), statuses }
        };
        let table = [
            ("none", Check::None),
            ("tcp", Check::Tcp),
            ("http:/", Check::Http(http("/"))),
            ("http:/health?a=b:c,%20", Check::Http(http("/health?a=b:c,%20"))),
            ("https:/health", Check::Https(http("/health"))),
            ("load:x", Check::Load("x".to_owned())),
            ("load: __clients? ", Check::Load(" __clients? ".to_owned())),
            ("load:a:b\n", Check::Load("a:b\n".to_owned())),
        ];
        for (text, check) in table {
            assert_eq!(check.to_string(), text);
            assert_eq!(Check::parse(text), Ok(check));
        }
    }

    #[test]
    fn checks_refuse_the_rest_in_words() {
        let kinds = KINDS_WANT;
        let load = "load:TEXT, TEXT being 1 to 100 bytes without NUL";
        let chars = "http:/PATH without spaces, '#' and control characters, others as %XX";
        let long_path = format!("http:/{}", "p".repeat(1024));
        let long_text = format!("load:{}", "é".repeat(51));
        let table = [
            ("", kinds),
            ("TCP", kinds),
            ("none:", kinds),
            ("https:health", "https:/PATH, the path beginning with a slash"),
            ("https://a/b", "https:/PATH without a host: each backend is asked in turn"),
            ("http", kinds),
            ("load", kinds),
            ("http:", "http:/PATH, the path beginning with a slash"),
            ("http:health", "http:/PATH, the path beginning with a slash"),
            ("http://a/b", "http:/PATH without a host: each backend is asked in turn"),
            ("http:/a b", chars),
            ("http:/a\r\nHost: b", chars),
            ("http:/\u{e9}", chars),
            ("http:/a#b", chars),
            (&long_path, "a path of at most 1024 bytes"),
            ("load:", load),
            ("load:a\0b", load),
            (&long_text, load),
        ];
        for (text, want) in table {
            assert_eq!(Check::parse(text), Err(Wrong::found(text, want)));
        }
        assert!(Check::parse(&long_path[..long_path.len() - 1]).is_ok());
        assert!(Check::parse(&long_text[..long_text.len() - 2]).is_ok());
    }
}
