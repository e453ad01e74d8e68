//! Who may ask and change what runs.

/// Longest path of a UNIX socket, in bytes: `sun_path` of Linux has 108, one of them for the end.
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// Permission of the file of a listener's UNIX socket: everybody of this machine may connect, as at
/// a port of TCP.
pub const SOCKET_MODE_DEFAULT: u32 = 0o666;

/// Most tokens of a file. All are walked for each request, at about 50 ns.
pub const TOKENS_MAX: usize = 1024;

/// Longest name of a token, in bytes: every audit line has one.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;

/// Shortest key of signatures, in bytes: 128 bits are not guessed.
pub const HMAC_KEY_BYTES_MIN: usize = 16;

/// Longest key of signatures, in bytes: more than SHA-256's block is hashed down to 32 anyway.
pub const HMAC_KEY_BYTES_MAX: usize = 64;

/// How far the clock of who signs may be from ours, in seconds: with NTP it is less than one, and
/// who listens may repeat a registration for so long.
pub const SIGNED_SECONDS_MAX: u64 = 30;

/// Bytes of `X-Reason`, and of any other text of a stranger's, that an audit line takes over.
pub const REASON_BYTES_MAX: usize = 256;
