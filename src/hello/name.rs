//! The server name of a client, in the one form in which names are compared.

use std::net::IpAddr;

use crate::limits::{HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX};

/// These bytes are no valid host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidName;

/// The name in lower case, without a dot at its end. An address is no name (RFC 6066, section 3),
/// but some clients send one: `None`, as if they had sent no name.
pub fn normalise(said: &[u8]) -> Result<Option<Box<str>>, InvalidName> {
    let name = std::str::from_utf8(said).map_err(|_| InvalidName)?;
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(InvalidName);
    }
    Ok(Some(name.to_ascii_lowercase().into_boxed_str()))
}

fn is_label(label: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=HOST_LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(in_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let long = ["a23456789"; 25].join(".");
        let table = [
            ("example.com", "example.com"),
            ("EXAMPLE.Com", "example.com"),
            ("example.com.", "example.com"),
            ("localhost", "localhost"),
            ("a_b.xn--bcher-kva.example", "a_b.xn--bcher-kva.example"),
            ("-.example", "-.example"),
            ("127.0.0.1.example", "127.0.0.1.example"),
            (&long, &long),
        ];
        for (said, name) in table {
            assert_eq!(normalise(said.as_bytes()), Ok(Some(name.into())), "{said}");
        }
    }

    #[test]
    fn addresses_are_no_names() {
        for said in ["127.0.0.1", "::1", "2001:DB8::1", "::ffff:10.0.0.1"] {
            assert_eq!(normalise(said.as_bytes()), Ok(None), "{said}");
        }
    }

    #[test]
    fn the_rest_is_refused() {
        let label = "a".repeat(64);
        let long = ["a2345678"; 29].join(".");
        let texts = [
            ".",
            "..",
            ".example",
            "a..b",
            "example.com..",
            "*.example",
            "a b",
            "a:443",
            "[::1]",
            "a\0b",
            "b\u{fc}cher.example",
            "a/b",
            &label,
            &long,
        ];
        for said in texts {
            assert_eq!(normalise(said.as_bytes()), Err(InvalidName), "{said}");
        }
        assert_eq!(normalise(b"\xff.example"), Err(InvalidName));
    }
}
