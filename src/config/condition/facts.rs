//! What conditions ask of a request.

use std::net::IpAddr;

/// A request, and where it came from. Everything is as it was sent: nothing is decoded.
pub trait Facts {
    /// The method.
    fn method(&self) -> &[u8];

    /// The path without the query.
    fn path(&self) -> &[u8];

    /// The value of the first parameter of the query with this name; empty if it has none.
    fn query(&self, key: &str) -> Option<&[u8]>;

    /// The host, with or without a port, in any case.
    fn host(&self) -> Option<&[u8]>;

    /// The value of the first field with this name, in any case.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// The value of the first cookie with this name.
    fn cookie(&self, name: &str) -> Option<&[u8]>;

    /// The address of the client.
    fn client(&self) -> IpAddr;

    /// The name that the client asked for in its TLS handshake, in lower case and without a dot at
    /// its end.
    fn sni(&self) -> Option<&str>;

    /// The subject of the client's certificate.
    fn subject(&self) -> Option<&str>;

    /// The name of the listener.
    fn listener(&self) -> &str;

    /// Whether the client speaks TLS.
    fn is_tls(&self) -> bool;
}
