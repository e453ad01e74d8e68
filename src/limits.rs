//! Every constant of the program: its unit in its name, the reason beside it.
//!
//! Here are those of the turn, of sockets and of logs; the others lie in a file for each trade, and
//! all are used as `limits::NAME`. What an operator may want to change is a flag (see `flags`) and
//! has only its default here.

mod access;
mod admin;
mod backends;
mod balance;
mod bytes;
mod demo;
mod dns;
mod flags;
mod guard;
mod handed;
mod http;
mod lists;
mod proxy_header;
mod service_manager;
mod state;
mod takeover;
mod tls;
mod top;
mod udp;

use std::time::Duration;

pub use access::*;
pub use admin::*;
pub use backends::*;
pub use balance::*;
pub use bytes::*;
pub use demo::*;
pub use dns::*;
pub use flags::*;
pub use guard::*;
pub use handed::*;
pub use http::*;
pub use lists::*;
pub use proxy_header::*;
pub use service_manager::*;
pub use state::*;
pub use takeover::*;
pub use tls::*;
pub use top::*;
pub use udp::*;

// ---- The turn -----------------------------------------------------------------------------------

/// Events taken from one poll. HAProxy takes 200; here marking costs little, who is marked waits in
/// the run queue, and it is there that a new client is told from one that only ever wants answers
/// of ours.
pub const EVENTS_PER_TURN: usize = 1024;

/// Owners of one class of the run queue that act in one turn.
pub const OWNERS_PER_TURN: usize = 1024;

/// Time in which the owners of a turn act. A turn is to stay below 10 ms with all its steps, and
/// what a turn costs beside its owners, a few microseconds, is little against this.
pub const ACTING_TIME: Duration = Duration::from_millis(2);

/// Time that each class of the run queue has in each turn, whatever those before it took: a fifth
/// of a turn for those that come last.
pub const CLASS_TIME: Duration = Duration::from_micros(500);

/// Time for each of the other steps: timers, accepts, reaping.
pub const STEP_TIME: Duration = Duration::from_millis(1);

/// Items of a step between two looks at the clock. An item takes 0.3 ms at most: two directions at
/// full budget through TLS.
pub const ITEMS_PER_LOOK: usize = 8;

/// Connections looked at in one turn for those of a backend that went down: about 0.1 ms.
pub const SWEPT_PER_TURN: usize = 4096;

/// A turn that takes longer, or a sleep that ends later by so much, was our own lateness: no
/// backend is judged by it.
pub const LONG_TURN: Duration = Duration::from_millis(10);

/// Connections accepted from one listener in one turn. Small batches win: the relays in between
/// free slots and warm caches (HAProxy's `maxaccept 4` measured 27 % above 64 on one thread).
pub const ACCEPTS_PER_TURN: usize = 4;

/// The same in a turn that had not the time for all owners, or after one that took longer than
/// [`ACTING_TIME`]: such turns are few a second, and who comes new is not to wait for the many who
/// are here, or come beside it.
pub const ACCEPTS_PER_BUSY_TURN: usize = 16;

/// Timers fired in one turn; what is left is due at once in the next one.
pub const TIMERS_PER_TURN: usize = 256;

/// Bytes one direction of a pair may move in one turn before it goes to the back of the queue.
/// About 0.1 ms of copying: nobody waits longer than that for each streaming neighbour.
pub const BYTES_PER_DIRECTION_PER_TURN: usize = 512 * 1024;

/// What a read counts at least against that, however little it brings: its system call and that of
/// the write take as long as some thousands of bytes.
pub const READ_WORK_BYTES: usize = 4 * 1024;

/// What a chunk counts beside its bytes: to take apart and to gather one takes 20 ns, as copying a
/// hundred bytes does.
pub const CHUNK_WORK_BYTES: usize = 100;

/// What is read at once of a body whose chunks are that small: a full scratch buffer has 20,000 of
/// them.
pub const FINE_READ_BYTES: usize = 8 * 1024;

// ---- Sockets ------------------------------------------------------------------------------------

/// Clients beyond `--max-connections` until those that give way to them are closed, at the end of
/// the turn: less than the descriptors kept back.
pub const OVERLAP_MAX: usize = 16;

/// Clients that rest longest of which a list is kept, once there is no room.
pub const RESTING_KEPT: usize = 1024;

/// For so long a client that has not asked for anything yet keeps its place at `--max-connections`:
/// the first bytes come with the connection or a round trip later. Whoever only fills places can
/// hold all of them for so long, and no longer.
pub const FIRST_WORD: Duration = Duration::from_millis(500);

/// How soon it is looked again whether a client rests, after none did.
pub const ROOM_LOOKS: Duration = Duration::from_millis(50);

/// Backlog asked for; the kernel cuts it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4096;

/// How long a listener rests after the process or the system ran out of descriptors or memory
/// (HAProxy rests as long).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections to backends that have keepalive set in one turn, at four system calls each.
pub const TCP_KEEPALIVES_PER_TURN: usize = 64;

/// If there are more, the next turn comes after this: the resolution of the timers.
pub const KEEPALIVE_PAUSE: Duration = Duration::from_millis(1);

/// Accepts in a row that fail by a client's trouble: more of them, and the trouble is the
/// listener's (a sandbox that forbids to accept), which then rests instead of keeping us busy.
pub const ACCEPT_TROUBLES_MAX: u32 = 256;

/// At most one line of log in this time about accepts that failed, and one about probes that could
/// not be begun.
pub const EXHAUSTION_WARNINGS: Duration = Duration::from_secs(1);

/// So many connections that nobody uses are closed for one descriptor that is wanted: the first may
/// have been what another process of the machine waited for.
pub const GIVE_WAY_TRIES: usize = 4;

/// Descriptors kept back for what is not a pair: standard streams, poll, signals, log.
pub const RESERVED_DESCRIPTORS: usize = 32;

/// Fewer connections than this by the limit of open files are warned of: nobody means that.
pub const PAIRS_FEW: usize = 64;

/// The descriptors that have to be free when all listens: those of one pair, and one for a probe or
/// a look-up.
pub const DESCRIPTORS_LEAST: usize = 3;

// ---- Logs ---------------------------------------------------------------------------------------

/// Log bytes kept while standard error would block; lines beyond that are dropped and counted.
pub const LOG_BYTES_MAX: usize = 256 * 1024;
/// So many listeners are named in the line that says where we listen; more would hide it.
pub const LISTENERS_SAID: usize = 5;
/// So many backends have a line at the start; those beyond have one for debugging.
pub const BACKENDS_SAID: usize = 100;
/// So many backends of a pool are named in a line that says where a route leads.
pub const MEMBERS_SAID: usize = 10;

/// Bytes of the access log kept while its file takes none; lines beyond that are dropped and
/// counted.
pub const ACCESS_LOG_BYTES_MAX: usize = 1024 * 1024;

/// When so much of it has come together it is written within the turn.
pub const ACCESS_LOG_FLUSH_BYTES: usize = 64 * 1024;

/// Variables in a format of one's own for it: each can be a head long.
pub const ACCESS_LOG_VARIABLES_MAX: usize = 100;

/// At most one line in this time about lines of the access log that were dropped.
pub const ACCESS_LOG_WARNINGS: Duration = Duration::from_secs(10);

/// How soon the log is tried again after it would have blocked.
pub const LOG_RETRY: Duration = Duration::from_millis(100);
