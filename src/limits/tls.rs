//! TLS: records, handshakes, certificates, and the ClientHello that is read for its name.

use std::time::Duration;

// ---- TLS --------------------------------------------------------------------------------------

/// The largest record that can come, header and all (TLS 1.2 allows for 2048 bytes of expansion).
pub const TLS_RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2048;

/// Bytes of a handshake that are kept until a message is whole, once the two have agreed on a
/// version: the longest that rustls takes, the headers of its records, and a record behind it.
/// Before that it is [`CLIENT_HELLO_WIRE_BYTES_MAX`].
pub const TLS_INLET_BYTES_MAX: usize = 64 * 1024 + 2 * TLS_RECORD_BYTES_MAX;

/// Certificates that a peer may show, its own included: a path to a root has two or three, with
/// cross-signed ones five. Each one more may cost us a signature to check at each step.
pub const TLS_CHAIN_CERTIFICATES_MAX: usize = 8;

/// Of these, those behind its own that may have the same subject: one, and the same cross-signed by
/// another authority. Each one more doubles the paths that are tried, each with its signatures.
pub const TLS_CHAIN_NAMESAKES_MAX: usize = 2;

/// The bytes of those behind the peer's own: seven of the largest RSA keys need half of it. Its own
/// may have a thousand names.
pub const TLS_CHAIN_BYTES_MAX: usize = 32 * 1024;

/// Bytes that may come in one read without a byte of payload in them. Keys and tickets are small.
pub const TLS_BARREN_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are encrypted for one write: four full records, a write of which is worth its cost.
pub const TLS_SEAL_BYTES: usize = 64 * 1024;

/// What encrypting adds to so many bytes at most, a change of keys and an alert included.
pub const TLS_SEAL_ROOM: usize = 1024;

/// What lies in several places is copied together up to here, to go out as one record.
pub const TLS_GATHER_BYTES: usize = 16 * 1024;

/// Handshakes worked on in one turn, the others wait for the next: a signature costs as much as
/// forty requests, and the relays go in between.
pub const HANDSHAKES_PER_TURN: usize = 4;

/// From here on a certificate's end is warned of: two weeks to order another one, and half of the
/// time in which automatic ones should have been renewed.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// How often the ends of the certificates are looked at.
pub const CERTIFICATE_REVIEW: Duration = Duration::from_secs(24 * 3600);

/// Longest name of a protocol in ALPN, in bytes (RFC 7301: its length is one byte).
pub const ALPN_NAME_BYTES_MAX: usize = 255;

/// Longest time that browsers can be told to keep to HTTPS, in seconds: ten years. The list that
/// browsers come with asks for one.
pub const HSTS_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// At most one line in this time about backends with which TLS fails.
pub const TLS_WARNINGS: Duration = Duration::from_secs(10);

/// Longest subject of a client's certificate that backends are told, in bytes: those of people and
/// machines have a hundred, and a certificate could name 60 KiB.
pub const CLIENT_SUBJECT_BYTES_MAX: usize = 1024;

/// Sessions with one backend that are kept to be resumed.
pub const TLS_BACKEND_SESSIONS: usize = 32;

/// Largest file of certificates or keys that is read: system roots are a quarter of a megabyte.
pub const PEM_BYTES_MAX: u64 = 16 * 1024 * 1024;

// ---- TLS --------------------------------------------------------------------------------------

/// Longest ClientHello that is read for its server name, with its header: what one record holds.
/// Those with keys for the time after quantum computers have 2 KiB; HAProxy and nginx take as much.
pub const CLIENT_HELLO_BYTES_MAX: usize = 16 * 1024;

/// The same with the headers of its records: the longest still fits in pieces of 32 bytes, and no
/// client makes us keep more before we know where it goes.
pub const CLIENT_HELLO_WIRE_BYTES_MAX: usize = 20 * 1024;

// ---- tickets ----------------------------------------------------------------------------------

/// Bytes of a key of session tickets, as a file has it: as strong as AES-256; or as many as nginx
/// and HAProxy take, so that their files may be used.
pub const TICKET_KEY_BYTES: [usize; 3] = [32, 48, 80];

/// Keys in a file: one for new tickets, one to come, and a day's old ones at one an hour would be
/// more than anybody rotates.
pub const TICKET_KEYS_MAX: usize = 16;

/// Largest file of such keys: sixteen lines with comments.
pub const TICKET_KEYS_BYTES_MAX: u64 = 64 * 1024;

/// How long clients are told to keep a ticket, as rustls says it of keys that are drawn.
pub const TICKET_LIFETIME_SECONDS: u32 = 12 * 3600;
