//! What can be asked for where HTTP is spoken, and what that needs of the rest.
//!
//! Pure text to value. Called by the table of settings for each value, then by `whole` once for
//! what does not go together.

use std::fmt;

use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::text::quoted;
use super::{Algorithm, Config};
use crate::limits;

const HASH_KEY_WANT: &str = "ip, uri, path, header:NAME or cookie:NAME";
pub(super) const TOKEN_CHARS: &str = "letters, digits or ! # $ % & ' * + - . ^ _ ` | ~";

/// What the hashing algorithms place a request by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    Ip,
    /// Path and query.
    Uri,
    /// The path without the query.
    Path,
    /// The value of this header; its name in lower case.
    Header(String),
    /// The value of this cookie; its name as it was given, since case counts.
    Cookie(String),
}

impl HashKey {
    /// `ip`, `uri`, `path`, `header:NAME` or `cookie:NAME`.
    pub fn parse(text: &str) -> Result<HashKey, Wrong> {
        let named = |kind: &str, name: &str| {
            if is_token(name) {
                return Ok(name.to_owned());
            }
            let most = limits::TOKEN_BYTES_MAX;
            let want = format!("{kind}:NAME, NAME being 1 to {most} {TOKEN_CHARS}");
            Err(Wrong::found(text, want))
        };
        match text.split_once(':') {
            None if text == "ip" => Ok(HashKey::Ip),
            None if text == "uri" => Ok(HashKey::Uri),
            None if text == "path" => Ok(HashKey::Path),
            Some(("header", name)) => {
                Ok(HashKey::Header(named("header", name)?.to_ascii_lowercase()))
            }
            Some(("cookie", name)) => Ok(HashKey::Cookie(named("cookie", name)?)),
            _ => Err(Wrong::found(text, HASH_KEY_WANT)),
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashKey::Ip => f.write_str("ip"),
            HashKey::Uri => f.write_str("uri"),
            HashKey::Path => f.write_str("path"),
            HashKey::Header(name) => write!(f, "header:{name}"),
            HashKey::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

/// The name of the cookie that keeps a client on its backend.
pub fn sticky_cookie(text: &str) -> Result<String, Wrong> {
    if !is_token(text) || text.starts_with('-') {
        let most = limits::TOKEN_BYTES_MAX;
        let want = format!("a name of 1 to {most} {TOKEN_CHARS}, the first no dash");
        return Err(Wrong::found(text, want));
    }
    // A browser drops such a cookie unless it is Secure, and nobody would stay anywhere.
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("__host-") || lower.starts_with("__secure-") {
        return Err(Wrong::found(text, "a name without that prefix, which is for https alone"));
    }
    Ok(text.to_owned())
}

/// `/PATH`, where an HTTP listener answers itself. Without a query: none would be looked at.
pub fn own_path(text: &str) -> Result<String, Wrong> {
    let fault = if text.starts_with("//") {
        Some("/PATH without a host".to_owned())
    } else if text.contains('?') {
        Some("/PATH without a query".to_owned())
    } else {
        path_fault(text, "/PATH")
    };
    match fault {
        Some(want) => Err(Wrong::found(text, want)),
        None => Ok(text.to_owned()),
    }
}

/// What would be right instead of a path that cannot stand in a request line; `form` is how the
/// operator writes it.
pub(super) fn path_fault(path: &str, form: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("{form}, the path beginning with a slash"));
    }
    if path.len() > limits::CHECK_PATH_BYTES_MAX {
        return Some(format!("a path of at most {} bytes", limits::CHECK_PATH_BYTES_MAX));
    }
    // Anything else would end the path or be refused.
    if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        let without = "without spaces, '#' and control characters, others as %XX";
        return Some(format!("{form} {without}"));
    }
    None
}

/// For a flag that does nothing where no HTTP is spoken.
pub fn check_http_listener(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.protocol.is_http()) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "http://127.0.0.1:8000");
    Err(Wrong::saying("no http:// listener", want))
}

/// Statistics need a listener that answers, and cannot be where the health is.
pub fn check_stats_path(config: &Config) -> Result<(), Wrong> {
    match &config.service.stats_path {
        Some(path) if config.service.health_path.as_ref() == Some(path) => {
            let found = Phrase::from(quoted(path)).text(" at ").name(SettingKey::HEALTH_PATH);
            let found = found.text(" too");
            Err(Wrong::saying(found, "two paths that differ"))
        }
        _ => check_http_listener(config),
    }
}

/// A key is for an algorithm that hashes; all but the address are in requests alone.
pub fn check_hash_key(config: &Config) -> Result<(), Wrong> {
    let key = &config.pool.hash_key;
    if !matches!(config.pool.algorithm, Algorithm::IpHash | Algorithm::ConsistentHash) {
        let found = Phrase::from(format!("'{key}' with "));
        let found = found.setting(SettingKey::BALANCE, format!("'{}'", config.pool.algorithm));
        let want = Phrase::default().setting(SettingKey::BALANCE, "ip-hash or consistent-hash");
        return Err(Wrong::saying(found, want.text(" with it")));
    }
    let other = config.listeners.iter().find(|listen| !listen.protocol.is_http());
    match other {
        Some(listen) if *key != HashKey::Ip => {
            let protocol = listen.protocol.to_string().to_uppercase();
            let found = format!("'{key}' with the {protocol} listener '{}'", listen.address);
            Err(Wrong::saying(found, "http:// listeners alone: others have no requests"))
        }
        _ => Ok(()),
    }
}

/// A name as HTTP has them: of a field, a cookie, a method (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=limits::TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(in_token)
}

#[cfg(test)]
mod tests {
    use super::super::Listen;
    use super::*;

    #[test]
    fn hash_keys_are_read_and_shown_alike() {
        let table = [
            ("ip", HashKey::Ip),
            ("uri", HashKey::Uri),
            ("path", HashKey::Path),
            ("header:x-user", HashKey::Header("x-user".to_owned())),
            ("cookie:SID", HashKey::Cookie("SID".to_owned())),
            (
                "cookie:!#$%&'*+-.^_`|~09azAZ",
                HashKey::Cookie("!#$%&'*+-.^_`|~09azAZ".to_owned()),
            ),
        ];
        for (text, key) in table {
            assert_eq!(key.to_string(), text);
            assert_eq!(HashKey::parse(text), Ok(key));
        }
        let lower = HashKey::Header("x-user".to_owned());
        assert_eq!(HashKey::parse("header:X-User"), Ok(lower));
    }

    #[test]
    fn hash_keys_refuse_the_rest_in_words() {
        let header = format!("header:NAME, NAME being 1 to 256 {TOKEN_CHARS}");
        let cookie = format!("cookie:NAME, NAME being 1 to 256 {TOKEN_CHARS}");
        let long = format!("header:{}", "n".repeat(257));
        let table = [
            ("", HASH_KEY_WANT),
            ("IP", HASH_KEY_WANT),
            ("ip:", HASH_KEY_WANT),
            ("path:/x", HASH_KEY_WANT),
            ("url", HASH_KEY_WANT),
            ("header", HASH_KEY_WANT),
            ("cookie", HASH_KEY_WANT),
            ("Header:x", HASH_KEY_WANT),
            (":x", HASH_KEY_WANT),
            ("header:", &header),
            ("header: x", &header),
            ("header:x:y", &header),
            ("header:x\r\nHost", &header),
            ("header:\u{e9}", &header),
            ("header:a/b", &header),
            (&long, &header),
            ("cookie:", &cookie),
            ("cookie:a=b", &cookie),
            ("cookie:a;b", &cookie),
            ("cookie:a,b", &cookie),
            ("cookie:\"a\"", &cookie),
        ];
        for (text, want) in table {
            assert_eq!(HashKey::parse(text), Err(Wrong::found(text, want)));
        }
        assert!(HashKey::parse(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn sticky_cookies_have_names_that_browsers_keep() {
        for text in ["SRV", "a", "_-.", "__host", "host-"] {
            assert_eq!(sticky_cookie(text), Ok(text.to_owned()));
        }
        for text in ["", "-a", "a=b", "a;b", "a b", "a\n", "\u{e9}", &"n".repeat(257)] {
            let want = format!("a name of 1 to 256 {TOKEN_CHARS}, the first no dash");
            assert_eq!(sticky_cookie(text), Err(Wrong::found(text, want)));
        }
        for text in ["__Host-srv", "__Secure-srv", "__HOST-"] {
            let want = "a name without that prefix, which is for https alone";
            assert_eq!(sticky_cookie(text), Err(Wrong::found(text, want)));
        }
    }

    #[test]
    fn own_paths_are_paths() {
        for text in ["/", "/health", "/a/b-c_d.e~%20:;,=&"] {
            assert_eq!(own_path(text), Ok(text.to_owned()));
        }
        let chars = "/PATH without spaces, '#' and control characters, others as %XX";
        let long = format!("/{}", "p".repeat(1024));
        let table = [
            ("", "/PATH, the path beginning with a slash"),
            ("health", "/PATH, the path beginning with a slash"),
            ("http://a/b", "/PATH, the path beginning with a slash"),
            ("//a/b", "/PATH without a host"),
            ("/a?b", "/PATH without a query"),
            ("/a b", chars),
            ("/a#b", chars),
            ("/a\r\n", chars),
            ("/\u{e9}", chars),
            (&long, "a path of at most 1024 bytes"),
        ];
        for (text, want) in table {
            assert_eq!(own_path(text), Err(Wrong::found(text, want)));
        }
        assert!(own_path(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn own_paths_differ() {
        let mut config = Config::defaults();
        config.listeners.push(Listen::parse("http://*:80").unwrap());
        config.service.stats_path = Some("/a".to_owned());
        assert_eq!(check_stats_path(&config), Ok(()));
        config.service.health_path = Some("/b".to_owned());
        assert_eq!(check_stats_path(&config), Ok(()));
        config.service.health_path = Some("/a".to_owned());
        let wrong = check_stats_path(&config).unwrap_err().to_string();
        assert_eq!(wrong, "found '/a' at service.health_path too, want two paths that differ");
    }

    #[test]
    fn one_http_listener_is_enough_for_what_needs_one() {
        let mut config = Config::defaults();
        let wrong = check_http_listener(&config).unwrap_err().to_string();
        assert!(wrong.starts_with("found no http:// listener, want at least one"), "{wrong}");
        config.listeners.push(Listen::parse("*:80").unwrap());
        assert!(check_http_listener(&config).is_err());
        config.listeners.push(Listen::parse("http://*:81").unwrap());
        assert_eq!(check_http_listener(&config), Ok(()));
    }

    #[test]
    fn hash_keys_need_an_algorithm_that_hashes_and_requests() {
        let listeners = |texts: &[&str]| -> Vec<Listen> {
            texts.iter().map(|text| Listen::parse(text).unwrap()).collect()
        };
        let mut config = Config::defaults();
        for row in Algorithm::ALL {
            config.pool.algorithm = row.algorithm;
            config.listeners = listeners(&["http://*:80", "http://*:81"]);
            for key in ["ip", "path", "header:x"] {
                config.pool.hash_key = HashKey::parse(key).unwrap();
                let hashes = ["ip-hash", "consistent-hash"].contains(&row.name);
                assert_eq!(check_hash_key(&config).is_ok(), hashes, "{}", row.name);
            }
        }
        config.pool.algorithm = Algorithm::IpHash;
        config.listeners = listeners(&["http://*:80", "*:81"]);
        let wrong = check_hash_key(&config).unwrap_err().to_string();
        assert!(wrong.starts_with("found 'header:x' with the TCP listener '0.0.0.0:81'"));
        config.pool.hash_key = HashKey::Ip;
        assert_eq!(check_hash_key(&config), Ok(()));
    }
}
