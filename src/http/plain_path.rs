//! A path as it is compared: what is written in another way, and is the same to most servers, is
//! the same here.
//!
//! ```text
//!   /x/../%61dmin//a   -->   /admin/a
//! ```
//!
//! Letters, digits and `-._~` stand for themselves when they are percent-encoded, `.` and `..` are
//! taken out (RFC 3986, sections 6.2.2.2 and 6.2.2.3); an encoded slash is a slash and several are
//! one, as nginx has it, for otherwise an access list by path could be walked around. Other
//! escapes, the case of letters, and what stands behind a semicolon stay. What is sent on is the
//! path as it came.

use std::borrow::Cow;

use super::RequestHead;

/// The path to be compared; nearly all are that already.
pub fn plain_path(path: &[u8]) -> Cow<'_, [u8]> {
    let is_odd = |pair: &[u8]| matches!(pair, [b'%', _] | b"//" | b"/.");
    if path.first() != Some(&b'/') || !path.windows(2).any(is_odd) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(without_dots(&decoded(path)))
}

impl RequestHead {
    /// Its path without the query, to be compared. A URL that ends with its host has the path `/`
    /// (RFC 9112, section 3.2.1).
    pub fn plain_path<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let path = self.path_alone(bytes);
        if path.is_empty() { Cow::Borrowed(b"/") } else { plain_path(path.of(bytes)) }
    }
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, behind @ ..] = rest {
        let encoded = if *byte == b'%' { behind.first_chunk().and_then(escaped) } else { None };
        plain.push(encoded.unwrap_or(*byte));
        rest = if encoded.is_some() { &behind[2..] } else { behind };
    }
    plain
}

/// The byte of these two digits, if it stands for itself.
fn escaped(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = (digit(digits[0])? << 4 | digit(digits[1])?) as u8;
    (byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte)).then_some(byte)
}

/// Nothing is above the root.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => plain.truncate(plain.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            _ => {
                plain.push(b'/');
                plain.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            plain.push(b'/');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_compared_as_the_same() {
        let table = [
            ("/", "/"),
            ("*", "*"),
            ("/admin", "/admin"),
            ("/admin/", "/admin/"),
            ("/x/../admin", "/admin"),
            ("/./admin", "/admin"),
            ("/admin/.", "/admin/"),
            ("/admin/x/..", "/admin/"),
            ("//admin", "/admin"),
            ("/admin//", "/admin/"),
            ("/%61dmin", "/admin"),
            ("/%2e%2E/admin", "/admin"),
            ("/admin%2fx", "/admin/x"),
            ("/x%2F..%2fadmin", "/admin"),
            ("/../../..", "/"),
            ("/..", "/"),
            ("/a%20b", "/a%20b"),
            ("/%", "/%"),
            ("/%6", "/%6"),
            ("/%zz/.well-known", "/%zz/.well-known"),
            ("/%2561", "/%2561"),
            ("/...", "/..."),
            ("/Admin;x", "/Admin;x"),
        ];
        for (path, plain) in table {
            let found = plain_path(path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), plain, "{path}");
        }
    }

    #[test]
    fn a_plain_path_is_its_own() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let bytes = (0..random.usize(..12)).map(|_| *random.choice(b"/.%2eE6f1a").unwrap());
            let path: Vec<u8> = std::iter::once(b'/').chain(bytes).collect();
            let plain = plain_path(&path).into_owned();
            assert!(plain.starts_with(b"/") && plain.len() <= path.len());
            let segments = plain.split(|&byte| byte == b'/').skip(1);
            let count = segments.clone().count();
            for (at, segment) in segments.enumerate() {
                assert!(segment != b"." && segment != b"..");
                assert!(!segment.is_empty() || at == count - 1);
            }
        }
    }
}
