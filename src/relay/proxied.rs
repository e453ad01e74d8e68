//! What came of a PROXY header, for those who know nothing of how it is read.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

use crate::access_log::InFront;
use crate::net::Peer;
use crate::proxy_header::read::{Ends, Heard, Why};

/// What is wrong with a client from whom a header is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault {
    /// What came is none.
    Bad(Why),
    /// It ended before it was whole.
    CutShort,
    /// It was not whole in time.
    TooLate,
}

/// What a header said, for as long as its client is here.
#[derive(Debug, Clone)]
pub struct Proxied {
    /// The proxy in front.
    pub peer: Peer,
    /// Between whom the connection is there, if it is a client's.
    pub ends: Option<Ends>,
    /// What else was said.
    pub heard: Heard,
}

impl Proxied {
    /// What the access log says of it. Ids of other programs may be any bytes.
    pub fn for_the_log(&self) -> InFront<'_> {
        let unique_id = self.heard.unique_id.as_deref().map(|id| match str::from_utf8(id) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Cow::Borrowed(text),
            _ => Cow::Owned(in_hexadecimal(id)),
        });
        InFront { peer: self.peer.address(), unique_id }
    }
}

fn in_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // because: writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::Bad(why) => why.fmt(f),
            HeaderFault::CutShort => f.write_str("the connection ended within it"),
            HeaderFault::TooLate => f.write_str("not whole within 3s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_text_or_hexadecimal() {
        let logged = |id: &[u8]| {
            let heard = Heard { unique_id: Some(id.into()), ..Heard::default() };
            let peer: std::net::SocketAddr = "10.0.0.1:7".parse().unwrap();
            let proxied = Proxied { peer: peer.into(), ends: None, heard };
            proxied.for_the_log().unique_id.unwrap().into_owned()
        };
        assert_eq!(logged(b"4f-a:1"), "4f-a:1");
        assert_eq!(logged(b"a b"), "612062");
        assert_eq!(logged(&[0, 255]), "00ff");
    }
}
