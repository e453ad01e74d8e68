//! Bounds on headers of the PROXY protocol.

use std::time::Duration;

/// Longest value of a type in a header that we send, in bytes; a longer one is left out. Four of
/// them fit in the 4 KiB that receivers take.
pub const PROXY_TLV_SENT_BYTES_MAX: usize = 1000;

/// Longest line of version 1 with its CR LF, in bytes, as the protocol has it.
pub const PROXY_LINE_BYTES_MAX: usize = 107;

/// Longest header of version 2 behind its first 16 bytes: the paths of two sockets of Unix have 216
/// bytes, and there is room for names, ids and a certificate's subject.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;

/// Longest id in a header, in bytes, as the protocol has it.
pub const PROXY_UNIQUE_ID_BYTES_MAX: usize = 128;

/// Within this time from the accept a header has to be complete, which is the first that its sender
/// sends. The protocol's text asks for at least 3 s, so that one packet may be lost.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(3);

/// At most one line of log in this time about datagrams without the header that is required: each
/// would be one otherwise, and their senders can be forged.
pub const UNHEADED_TOLD: Duration = Duration::from_secs(10);
