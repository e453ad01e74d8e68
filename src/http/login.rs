//! Whether a message binds a login to its connection.
//!
//! NTLM and Negotiate authenticate a connection, not a request: all later requests on it are
//! answered as for the user that logged in. Other schemes send credentials with each request.

use super::fields::{FieldKind, Fields};
use super::scan::{TOKEN, all};

/// The schemes that authenticate the connection.
const SCHEMES: [&[u8]; 2] = [b"ntlm", b"negotiate"];

impl Fields {
    /// Whether the message asks for such a login, or has credentials for one, so that its
    /// connection must not be shared with other clients.
    #[inline]
    pub fn bind_a_login(&self, bytes: &[u8]) -> bool {
        (self.has(FieldKind::Challenge) || self.has(FieldKind::Authorization))
            && self.names_binding_scheme(bytes)
    }

    /// Challenges are a list whose members contain lists, with quotes. Any token in it is taken for
    /// a scheme: one too many costs a connection, one too few lets a client act as another.
    #[cold]
    fn names_binding_scheme(&self, bytes: &[u8]) -> bool {
        let binds = |word: &[u8]| SCHEMES.iter().any(|it| word.eq_ignore_ascii_case(it));
        let words = |value: &[u8]| {
            value.split(|byte| !all(std::slice::from_ref(byte), TOKEN)).any(binds)
        };
        let first =
            |value: &[u8]| value.split(u8::is_ascii_whitespace).next().is_some_and(binds);
        self.of_kind(FieldKind::Challenge).any(|field| words(field.value.of(bytes)))
            || self.of_kind(FieldKind::Authorization).any(|field| first(field.value.of(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_that_bind_a_login() {
        let table = [
            ("WWW-Authenticate: NTLM", true),
            ("www-authenticate: Negotiate YII=", true),
            ("WWW-Authenticate: Basic realm=\"a, b\",nTLM", true),
            ("WWW-Authenticate: Basic realm=\"a\"\tNegotiate", true),
            ("Proxy-Authenticate: Digest qop=\"auth\" , negotiate", true),
            ("WWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM", true),
            ("WWW-Authenticate: Basic realm=\"no NTLM here\"", true),
            ("WWW-Authenticate: Basic realm=\"NTLMv2\"", false),
            ("WWW-Authenticate: Basic realm=x\r\nX-Other: NTLM", false),
            ("WWW-Authenticate:", false),
            ("Authorization: NTLM TlRMTVNTUA==", true),
            ("Authorization: negotiate YII=", true),
            ("Authorization: Negotiate", true),
            ("Proxy-Authorization: NTLM TlRMTVNTUA==", true),
            ("Authorization: Basic NTLM", false),
            ("Authorization: Bearer Negotiate", false),
            ("Authorization:", false),
        ];
        for (lines, binds) in table {
            let bytes = format!("{lines}\r\n\r\n");
            let mut fields = Fields::new();
            fields.parse(bytes.as_bytes(), 0).expect("well formed").expect("whole");
            assert_eq!(fields.bind_a_login(bytes.as_bytes()), binds, "{lines}");
        }
    }
}
