//! Of the admin listeners, the API and what is told while it runs.

use std::time::Duration;

/// Time that the admin connections have in each turn, after all traffic.
pub const ADMIN_TIME: Duration = Duration::from_micros(500);

/// Admin connections at once. A thousand slow readers cost 16 MiB; who comes then gets the
/// place of one that rests.
pub const ADMIN_CONNECTIONS_MAX: usize = 1200;

/// Those of them at a listener for metrics, which may be open to strangers.
pub const SCRAPERS_MAX: usize = 100;

/// Connections accepted at one admin listener in one turn.
pub const ADMIN_ACCEPTS_PER_TURN: usize = 8;

/// A body of a batch or of a configuration: 1,000 backends have 200 KiB. It is parsed in one turn,
/// which a hostile one makes as long as 0.3 s; so it takes an admin.
pub const ADMIN_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Any other body: one backend has 200 bytes. At most 2 ms of parsing.
pub const ADMIN_SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

/// What is read of an admin connection in one turn.
pub const ADMIN_READ_BYTES: usize = 64 * 1024;

/// An answer that is written in pieces goes on once less than this waits to be sent.
pub const ADMIN_PIECE_BYTES: usize = 8 * 1024;

/// A request has to be here whole, and an answer to be taken, within this time of no progress.
pub const ADMIN_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A reader that takes nothing of an answer for so long is closed.
pub const ADMIN_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection may rest between two requests.
pub const ADMIN_IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Events that are kept for who was away.
pub const ADMIN_EVENTS_KEPT: usize = 1000;

/// A comment is sent on a stream of events in this time, so that nobody in between takes it for
/// dead.
pub const ADMIN_EVENTS_PAUSE: Duration = Duration::from_secs(15);

/// Between two answers to wrong tokens: 100 guesses in a second, however many connections guess.
pub const REFUSAL_STEP: Duration = Duration::from_millis(10);

/// Changes that wait for those before them.
pub const ADMIN_CHANGES_WAITING: usize = 1200;

/// Changes in one batch.
pub const ADMIN_BATCH_MAX: usize = 10_000;

/// Edits of a change that are laid over what is configured at once. More are cut into turns.
pub const EDITS_AT_ONCE: usize = 4;

/// Known names that are compared with an unknown one for what may have been meant: 0.3 ms.
pub const CLOSEST_LOOKED_AT: usize = 1000;

/// Mistakes in a body that are told; of more there is only the number.
pub const MISTAKES_TOLD: usize = 100;

/// An answer to a POST is remembered for so long under its Idempotency-Key.
pub const IDEMPOTENCY_TIME: Duration = Duration::from_secs(600);

/// So many of them.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1000;

/// Each key has so many bytes at most.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// And each answer; a longer one is not kept.
pub const IDEMPOTENCY_BYTES_MAX: usize = 16 * 1024;

/// A wrong token is answered after this time, so that guessing is slow.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// A file of tokens: some ten thousand.
pub const TOKENS_BYTES_MAX: u64 = 1024 * 1024;

/// After the last answer so long is waited for the client to close, for what it still sends would
/// reset the connection otherwise.
pub const ADMIN_PARTING_TIME: Duration = Duration::from_secs(2);

/// A server that registers itself says so at least this often; a third of it is how often it is
/// sent.
pub const TTL_MIN: Duration = Duration::from_secs(2);

/// And at most for so long it is believed.
pub const TTL_MAX: Duration = Duration::from_secs(300);

/// Where none is said.
pub const TTL_DEFAULT: Duration = Duration::from_secs(15);

/// A silent server is forgotten after so many times its ttl, once it is idle.
pub const REGISTRATION_FORGOTTEN_TTLS: u32 = 10;

/// And not before this, whatever its ttl.
pub const REGISTRATION_FORGOTTEN_MIN: Duration = Duration::from_secs(60);

/// From so many registered servers of a pool on, more than half of which fell silent at once, it is
/// taken for our own trouble.
pub const REGISTRATIONS_HELD_MIN: usize = 3;

/// Sequences that are remembered: of those that are here, and of some that were.
pub const SEQUENCES_MAX: usize = 20_000;

/// How soon it is looked again whether registered servers are silent, whatever is due.
pub const REGISTRATION_LOOK: Duration = Duration::from_millis(500);

/// A line of commands on HAProxy's socket, as there.
pub const HAPROXY_LINE_BYTES_MAX: usize = 16 * 1024;

/// What follows a command after `<<`, as in HAProxy 3: a chain of certificates.
pub const HAPROXY_PAYLOAD_BYTES_MAX: usize = 128 * 1024;

/// Words of a command, as in HAProxy.
pub const HAPROXY_WORDS_MAX: usize = 64;

/// How long a conversation on HAProxy's socket may rest, unless it says otherwise.
pub const HAPROXY_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that it may say, and that `wait` takes.
pub const HAPROXY_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `wait` looks again after this time.
pub const HAPROXY_WAIT_STEP: Duration = Duration::from_millis(50);

/// Rows of a list that are written in one piece, however short they are.
pub const HAPROXY_ROWS_PER_PIECE: usize = 32;

/// Places for clients that are looked at for one piece of a list of sessions: most may be empty.
pub const HAPROXY_PLACES_PER_PIECE: usize = 1024;

/// Heartbeats in datagrams that are heard in one turn.
pub const HEARTBEATS_PER_TURN: usize = 64;

/// A heartbeat in a datagram: one that no network cuts.
pub const HEARTBEAT_BYTES_MAX: usize = 512;

/// At most one line in this time about those that are not heard.
pub const HEARTBEAT_WARNINGS: Duration = Duration::from_secs(10);

/// Certificates of a listener that the API shows.
pub const ADMIN_CERTIFICATES_SHOWN: usize = 100;

/// Names of one of them.
pub const ADMIN_NAMES_SHOWN: usize = 100;

/// Certificates that are told on HAProxy's socket and not committed yet: a deploy hook has one, and
/// none is larger than a payload.
pub const CERTIFICATE_TRANSACTIONS_MAX: usize = 64;

/// One that is not committed within this time is forgotten: it has a private key.
pub const CERTIFICATE_TRANSACTION_TIME: Duration = Duration::from_secs(60 * 60);

/// Places for certificates that nothing shows, of `new ssl cert`.
pub const CERTIFICATE_STORES_MAX: usize = 64;

/// The longest name of one, as of a path.
pub const CERTIFICATE_NAME_BYTES_MAX: usize = 4096;

/// Memory for what was, where nothing else is asked for: a thousand backends and a few pools.
pub const HISTORY_BYTES_DEFAULT: u64 = 32 << 20;

/// The most that may be asked for.
pub const HISTORY_BYTES_MAX: u64 = 4 << 30;

/// Time that each of these has in a turn: to record, to write what is recorded, to look for those
/// who watch.
pub const OBSERVING_TIME: Duration = Duration::from_micros(150);

/// Dashboards that may watch at once.
pub const LIVE_WATCHERS_MAX: usize = 32;

/// Seconds that one of them may be behind before it is shown all of it again.
pub const LIVE_DELTAS_KEPT: usize = 8;

/// Rows of a list of who is here.
pub const TOP_MAX: usize = 100;

/// Minutes that a file of history keeps: a day, as much as there is of backends.
pub const HISTORY_FILE_MINUTES: u64 = 24 * 60;

/// Minutes that may be in it before it is written anew: two days.
pub const HISTORY_MINUTES_IN_FILE: usize = 2 * 24 * 60;

/// As much of one is read: two days of 10,000 backends.
pub const HISTORY_FILE_BYTES_MAX: u64 = 512 << 20;

/// How often as much as there is of one is read in search of records: sums of those that are torn
/// are sums of what follows, too.
pub const HISTORY_FILE_READS: usize = 4;

/// Picks that can be kept: some 90 MB of them.
pub const PICKS_MAX: usize = 100_000;

/// Bytes of method and path, or of a server name, that are kept of what asked for a pick.
pub const PICK_ASKED_BYTES_MAX: usize = 96;

/// Picks that one answer lists, if it is not asked for less.
pub const PICKS_LISTED: usize = 100;

/// Picks that are looked at for a piece of an answer: some 50 us.
pub const PICKS_PER_PIECE: usize = 256;
