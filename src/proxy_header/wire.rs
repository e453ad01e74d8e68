//! The bytes of headers, by the names that the protocol's text has for them (haproxy.org,
//! `proxy-protocol.txt`, section 2.2).

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
pub(super) const VERSION_2: u8 = 0x20;
pub(super) const COMMAND_LOCAL: u8 = 0;
pub(super) const COMMAND_PROXY: u8 = 1;
pub(super) const UNSPECIFIED: u8 = 0;
pub(super) const FAMILY_INET: u8 = 0x10;
pub(super) const FAMILY_INET6: u8 = 0x20;
pub(super) const FAMILY_UNIX: u8 = 0x30;

pub(super) const TYPE_ALPN: u8 = 0x01;
pub(super) const TYPE_AUTHORITY: u8 = 0x02;
pub(super) const TYPE_CRC32C: u8 = 0x03;
pub(super) const TYPE_UNIQUE_ID: u8 = 0x05;
pub(super) const TYPE_SSL: u8 = 0x20;
pub(super) const SUBTYPE_SSL_VERSION: u8 = 0x21;
pub(super) const SUBTYPE_SSL_CN: u8 = 0x22;
pub(super) const SUBTYPE_SSL_CIPHER: u8 = 0x23;

pub(super) const CLIENT_SSL: u8 = 0x01;
pub(super) const CLIENT_CERT_CONN: u8 = 0x02;
pub(super) const CLIENT_CERT_SESS: u8 = 0x04;

/// The bytes before the addresses: signature, version and command, family, length.
pub(super) const FIXED_BYTES: usize = 16;

/// What the client came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Stream = 1,
    /// UDP.
    Datagram = 2,
}
