//! Names that are looked up: messages, servers, and how long an answer is good.

use std::time::Duration;

/// Bytes of a datagram that a server may answer with (EDNS0): with less than that nothing on the
/// way has to cut it into fragments, which are easy to forge (the DNS flag day of 2020).
pub const DNS_DATAGRAM_BYTES: u16 = 1232;

/// Bytes of a question: its head, one name, its type, and EDNS0.
pub const DNS_QUESTION_BYTES_MAX: usize = 12 + 255 + 4 + 11;

/// Records of one message that are read, in all sections: a set of 1,000 with the addresses of
/// their targets, and as many again.
pub const DNS_RECORDS_MAX: usize = 4096;

/// Pointers that the names of one message may follow, in all: a set of 1,000 needs some thousands,
/// and so many are less than a millisecond.
pub const DNS_POINTERS_MAX: usize = 65_536;

/// Addresses of one set; what comes behind them is left out, and how many is told.
pub const DNS_ENDPOINTS_MAX: usize = 2048;

/// Aliases from the name that was asked to the one with addresses. Resolvers follow 8 to 16.
pub const DNS_ALIASES_MAX: usize = 12;

/// Targets of a set of services whose addresses did not come with it and are asked for: each is two
/// questions.
pub const DNS_TARGETS_ASKED_MAX: usize = 256;

/// Questions of one look-up that wait for an answer at a time: a resolver of the house takes so
/// many from one client without holding it for an attack.
pub const DNS_QUESTIONS_AT_ONCE: usize = 16;

/// Servers that are used of `/etc/resolv.conf`, as the libc does (`MAXNS`).
pub const DNS_SERVERS_MAX: usize = 3;

/// Domains of the search list; old libcs take 6, no human needs more than this.
pub const DNS_SEARCH_MAX: usize = 16;

/// Names that one look-up tries: those of the search list, and the name itself.
pub const DNS_CANDIDATES_MAX: usize = DNS_SEARCH_MAX + 1;

/// Highest `ndots`, as of the libc (`RES_MAXNDOTS`).
pub const DNS_NDOTS_MAX: u8 = 15;

/// What a server has to answer in, where nothing is said: the libc's.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The most of that, the libc's (`RES_MAXRETRANS`).
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// How often each server is asked, where nothing is said: the libc's.
pub const DNS_ATTEMPTS_DEFAULT: u8 = 2;

/// The most of that, the libc's (`RES_MAXRETRY`).
pub const DNS_ATTEMPTS_MAX: u8 = 5;

/// Messages with a wrong id or from a wrong place after which a look-up goes on by TCP: whoever
/// sends them is guessing, and cannot guess there.
pub const DNS_STRANGERS_MAX: u32 = 64;

/// Bytes of `/etc/hosts` that are read: lists that block advertisers have some megabytes.
pub const DNS_FILE_BYTES_MAX: usize = 8 << 20;

/// Lines of `/etc/hosts` that are kept: the ten longest lists that are handed around have fewer.
pub const DNS_HOSTS_MAX: usize = 200_000;

/// Bytes of a line of it; a longer one is left out.
pub const DNS_HOSTS_LINE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of it that are read in one turn: less than a millisecond.
pub const DNS_HOSTS_PIECE_BYTES: usize = 16 * 1024;

/// Names of it that are forgotten in one turn.
pub const DNS_HOSTS_FORGOTTEN: usize = 2048;

/// How long what `/etc/hosts` says is taken for good without another look.
pub const DNS_HOSTS_TTL: Duration = Duration::from_secs(30);

/// The shortest time between two look-ups of a name, whatever its records say.
pub const DNS_TTL_MIN_DEFAULT: Duration = Duration::from_secs(1);

/// The longest, where nothing is said: what moved for good is followed within minutes.
pub const DNS_TTL_MAX_DEFAULT: Duration = Duration::from_secs(300);

/// After the first failed look-up the next comes so soon, then after twice that, and so on.
pub const DNS_BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// The longest between two look-ups while they fail: what came back is seen within this.
pub const DNS_BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The next look-up comes earlier or later by at most this share of its time, in percent, so that
/// the names of one answer, and the instances of one fleet, do not all ask in the same second.
pub const DNS_JITTER_PERCENT: u32 = 10;

/// Highest weight that a record gives: those of a set are brought down to it together where one is
/// more (records go to 65,535).
pub const DNS_WEIGHT_MAX: u32 = 256;

/// Where a server of names listens (RFC 1035, 4.2).
pub const DNS_PORT: u16 = 53;

/// Look-ups under way at a time, of names that were prompt, of those that were slow, and of new
/// ones, each; the others wait for a place.
pub const DNS_LOOKUPS_AT_ONCE: usize = 32;

/// A look-up that takes longer leaves its place to others: a resolver that has to ask others first
/// takes some hundredths of a second.
pub const DNS_PROMPT: Duration = Duration::from_millis(250);

/// Look-ups that left their places and are not over.
pub const DNS_LATE_LOOKUPS_MAX: usize = 128;

/// All look-ups under way.
pub const DNS_LOOKUPS_MAX: usize = 3 * DNS_LOOKUPS_AT_ONCE + DNS_LATE_LOOKUPS_MAX;

/// Messages of one server that are read in one turn.
pub const DNS_MESSAGES_PER_TURN: usize = 4;

/// How often it is looked whether `/etc/resolv.conf` and `/etc/hosts` are others, at most.
pub const DNS_FILE_LOOK: Duration = Duration::from_secs(5);

/// Bytes of `/etc/resolv.conf` that are read. An `/etc/hosts` of more is not a matter of a moment,
/// and is read again at a reload alone.
pub const DNS_FILE_SMALL: u64 = 64 * 1024;

/// Of a name, and of what names bring about, there is a line in so much time.
pub const DNS_LINES: Duration = Duration::from_secs(10);

/// Lines of all names in that time, of each level.
pub const DNS_LINES_AT_ONCE: usize = 20;

/// At the start clients wait for so long at most until all names were looked up once.
pub const DNS_START_WAIT: Duration = Duration::from_secs(3);

/// So many names that are not known are told in one line.
pub const DNS_NAMES_SAID: usize = 5;

/// Names that the API lists at once: those that fail first.
pub const NAMES_SHOWN_MAX: usize = 1000;
