//! The host of a request as it is compared: in lower case, without a port and without the dot that
//! may stand at its end.
//!
//! Pure, and without allocation: conditions and the choice of a service ask on each request.

use crate::limits::HOST_BYTES_MAX;

/// A host in the form in which hosts are compared.
#[derive(Debug, Clone, Copy)]
pub struct HostName {
    bytes: [u8; HOST_BYTES_MAX],
    length: usize,
}

impl HostName {
    /// Of a host as it was sent, be it with a port. `None` if it is empty, or longer than a name
    /// can be: it counts as none at all then.
    pub fn of(host: &[u8]) -> Option<HostName> {
        let host = host_alone(host);
        let mut name = HostName { bytes: [0; HOST_BYTES_MAX], length: host.len() };
        let bytes = name.bytes.get_mut(..host.len()).filter(|bytes| !bytes.is_empty())?;
        bytes.copy_from_slice(host);
        bytes.make_ascii_lowercase();
        Some(name)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A host without its port and without a dot at its end. An IPv6 address keeps its brackets.
pub fn host_alone(host: &[u8]) -> &[u8] {
    let end = match host {
        [b'[', inside @ ..] => inside.iter().position(|&byte| byte == b']').map(|at| at + 2),
        _ => host.iter().position(|&byte| byte == b':'),
    };
    let name = &host[..end.unwrap_or(host.len())];
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_loses_its_port_its_dot_and_its_capitals() {
        let table = [
            ("example.com", "example.com"),
            ("WWW.Example.COM:8443", "www.example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("example.com:", "example.com"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("[::1", "[::1"),
        ];
        for (host, name) in table {
            let found = HostName::of(host.as_bytes());
            assert_eq!(found.unwrap().bytes(), name.as_bytes(), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        assert!(HostName::of(b"").is_none());
        assert!(HostName::of(b":80").is_none());
        assert!(HostName::of(b".").is_none());
        assert!(HostName::of(&[b'a'; HOST_BYTES_MAX]).is_some());
        assert!(HostName::of(&[b'a'; HOST_BYTES_MAX + 1]).is_none());
    }
}
