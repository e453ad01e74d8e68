//! What a probe asks, as people write it: `--check KIND`.

use std::fmt;

use super::{UdpCheck, Wrong, http};
use crate::limits;

/// What a health probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing; backends always count as up.
    None,
    /// That a connection is taken.
    Tcp,
    /// `GET` of this path, answered with status 200; through TLS where the backend speaks it.
    Http(String),
    /// The same, always through TLS.
    Https(String),
    /// This text and a NUL byte, answered with a decimal number: the load.
    Load(String),
    /// This datagram, answered with another one.
    Udp(UdpCheck),
}

impl Check {
    /// `tcp`, `http:/PATH`, `https:/PATH`, `load:TEXT`, `udp:TEXT[,expect=TEXT]` or `none`.
    pub fn parse(text: &str) -> Result<Check, Wrong> {
        match text.split_once(':') {
            None if text == "none" => Ok(Check::None),
            None if text == "tcp" => Ok(Check::Tcp),
            Some((scheme @ ("http" | "https"), path)) => {
                let path = check_path(scheme, path, text)?;
                Ok(if scheme == "http" { Check::Http(path) } else { Check::Https(path) })
            }
            Some(("load", asked)) => check_load(asked, text),
            Some(("udp", asked)) => UdpCheck::parse(asked, text).map(Check::Udp),
            _ => Err(Wrong::found(
                text,
                "tcp, http:/PATH, https:/PATH, load:TEXT, udp:TEXT or none",
            )),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::None => f.write_str("none"),
            Check::Tcp => f.write_str("tcp"),
            Check::Http(path) => write!(f, "http:{path}"),
            Check::Https(path) => write!(f, "https:{path}"),
            Check::Load(text) => write!(f, "load:{text}"),
            Check::Udp(check) => write!(f, "udp:{check}"),
        }
    }
}

fn check_path(scheme: &str, path: &str, text: &str) -> Result<String, Wrong> {
    let form = format!("{scheme}:/PATH");
    if path.starts_with("//") {
        let want = format!("{form} without a host: each backend is asked in turn");
        return Err(Wrong::found(text, want));
    }
    match http::path_fault(path, &form) {
        Some(want) => Err(Wrong::found(text, want)),
        None => Ok(path.to_owned()),
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
    use super::*;

    #[test]
    fn checks_are_read_and_shown_alike() {
        let table = [
            ("none", Check::None),
            ("tcp", Check::Tcp),
            ("http:/", Check::Http("/".to_owned())),
            ("http:/health?a=b:c,%20", Check::Http("/health?a=b:c,%20".to_owned())),
            ("https:/health", Check::Https("/health".to_owned())),
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
        let kinds = "tcp, http:/PATH, https:/PATH, load:TEXT, udp:TEXT or none";
        let load = "load:TEXT, TEXT being 1 to 100 bytes without NUL";
        let chars = "http:/PATH without spaces, '#' and control characters, others as %XX";
        let long_path = format!("http:/{}", "p".repeat(1024));
        let long_text = format!("load:{}", "é".repeat(51));
        let table = [
            ("", kinds),
            ("TCP", kinds),
            ("tcp:", kinds),
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
