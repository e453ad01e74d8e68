//! Whether a message binds a login to its connection.
//!
//! NTLM and Negotiate log a connection in, not a request: what comes on it afterwards is answered
//! as whoever logged in, without another word. All other schemes are said anew with each request.

use super::fields::{FieldKind, Fields};
use super::scan::{TOKEN, all};

/// The schemes that do so.
const SCHEMES: [&[u8]; 2] = [b"ntlm", b"negotiate"];

impl Fields {
    /// Whether the connection of the message is, or may soon be, somebody's own: it asks for such a
    /// login, or makes one.
    #[inline]
    pub fn bind_a_login(&self, bytes: &[u8]) -> bool {
        (self.has(FieldKind::Challenge) || self.has(FieldKind::Authorization))
            && self.names_binding_scheme(bytes)
    }

    /// Challenges are a list whose members have lists of their own, with quotes. Any word is taken
    /// for a scheme: one too many costs a connection, one too few an identity.
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
