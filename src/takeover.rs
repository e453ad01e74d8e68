//! A new process in the place of the one that runs, without a lost connection: what the two say to
//! each other. Pure: bytes and sockets go in and out by who calls; nothing is opened here.
//!
//! The new process (`startup::takeover`) speaks first, over an admin UNIX socket of the old one
//! (`event_loop::handover`): an ordinary request of the API, `POST /api/v1/takeover` with
//! `Upgrade: pointsman-takeover`. A refusal is an ordinary answer with its reason. From the 101 on
//! both send frames:
//!
//! ```text
//!   new process                                         old process
//!   check the whole configuration
//!   POST /api/v1/takeover  ------------------------->   who is it (SO_PEERCRED), is it a good time
//!                          <-------------------------   101, or a problem with its reason
//!   Hello                  ------------------------->
//!                          <-------------------------   Sockets ... 253 descriptors each
//!                          <-------------------------   State ... in pieces, as its file
//!                          <-------------------------   Offered
//!   match, bind the rest, open everything
//!   Ready (what it has)    ------------------------->   reads no datagram any more
//!                          <-------------------------   Flows ... with the sockets to the backends
//!                          <-------------------------   Tails, Yours
//!   take them in
//!   Taken                  ------------------------->
//!                          <-------------------------   Counts ... since the state
//!                          <-------------------------   Go
//!   serves
//!   Serves                 ------------------------->   accepts nobody any more, and drains;
//!                                                       MAINPID= to the service manager
//!                          <-------------------------   Over: READY=1 to the service manager
//!                          <-------------------------   Counts ... each second until it ends
//! ```
//!
//! Up to `Serves` the old process serves, and a connection that ends, a `No` or a silence of
//! [`crate::limits::TAKEOVER_TIME`] has it go on as if nothing had been: what was sent are copies.
//! While datagrams wait, from `Ready` on, it is a silence of [`crate::limits::TAKEOVER_HELD`].
//! Clients that come meanwhile wait in the queues of the sockets, which are the same for both, and
//! datagrams in their buffers.
//!
//! Between `Go` and `Serves` clients of streams are let in by whichever is first, and counted
//! there. Should the new process end there, or say nothing, the old one goes on; should it wake up
//! later, it hears `No` and gives back what it has. A process whose `Hello` or `Offered` does not
//! say that it confirms is of an older version: then the old one is over with `Go`.
//!
//! Should the old process die behind `Offered`, the new one has what it takes and goes on by
//! itself. That it died is asked of the system: one that only hung up serves.
//!
//! A *tail* is the connection to a process that still drains: counts come over it. Who is itself
//! replaced passes its tails on, so that each process may end with its last connection and the
//! sums are with the one that serves.

mod codec;
mod frame;

pub use codec::{Wrong, decode, encode, sums_from_json, sums_json};
pub use frame::{Frame, Frames, frame};

use std::net::SocketAddr;

use crate::config::Address;

/// The version of all of this: two processes of which one does not know the other's go on as they
/// are.
pub const PROTOCOL: u64 = 1;

/// The protocol that is asked for in `Upgrade`.
pub const UPGRADE: &str = "pointsman-takeover";

/// Where it is asked for.
pub const PATH: &str = "/api/v1/takeover";

/// What one process says to the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Who asks.
    Hello(Hello),
    /// Listening sockets, in the order of their descriptors.
    Sockets(Vec<SocketRow>),
    /// A piece of what a state file would have.
    State(Vec<u8>),
    /// That was all that is needed to open everything.
    Offered(Offered),
    /// Everything is open. The places of those sockets that were taken, in the order in which they
    /// were sent.
    Ready(Vec<u32>),
    /// Flows of UDP, in the order of their sockets.
    Flows(Vec<FlowRow>),
    /// Connections to processes that drain, in the order of their descriptors.
    Tails(Vec<TailRow>),
    /// What was counted since it was told last.
    Counts(Counts),
    /// That was all.
    Yours,
    /// It was taken in.
    Taken,
    /// The new process may serve.
    Go,
    /// It does.
    Serves,
    /// The old one does not any more.
    Over,
    /// It is given up, and why.
    No(String),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of the protocol.
    pub protocol: u64,
    /// The version of the program.
    pub version: String,
    /// It says that it serves, once it does.
    pub confirms: bool,
}

/// What else a process goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Who is to be told that it serves.
    pub manager: Option<Manager>,
    /// Which process it was; the kernel names the one that began to listen.
    pub pid: i32,
    /// Of its random choices: by the same one, hashes lead to the same backends.
    pub seed: u64,
    /// It is to be told that the new one serves, and says then that it does so no more.
    pub confirms: bool,
}

/// The service manager, which tells the processes that it started alone where it hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// As `NOTIFY_SOCKET` has it.
    pub place: String,
    /// How often it is to be told that the loop turns, in microseconds.
    pub beat: Option<u64>,
}

/// What comes to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Connections.
    Stream,
    /// Datagrams.
    Datagram,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRow {
    /// What comes to it.
    pub way: Way,
    /// As it was asked for: with port 0, the system chose one.
    pub asked: Address,
    /// Where it is.
    pub at: Address,
    /// Device and inode of its file, where it is a UNIX socket whose file is ours to remove.
    pub file: Option<(u64, u64)>,
    /// Somebody else made it, such as the service manager, and has it open as well.
    pub is_shared: bool,
}

/// A flow of UDP. Times are in microseconds before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// Where its client writes to: the place of that socket among all.
    pub listener: u32,
    /// Where its datagrams come from.
    pub peer: SocketAddr,
    /// Which of our addresses it wrote to, where there are several.
    pub local: Option<std::net::IpAddr>,
    /// The client, where the peer is a proxy.
    pub client: Option<SocketAddr>,
    /// The next datagram of its client is to go with it: not where it waits for answers alone.
    pub is_current: bool,
    /// The pool of its backend.
    pub pool: String,
    /// Its backend.
    pub backend: String,
    /// When it began.
    pub age: u64,
    /// Datagrams of the client.
    pub requests: u64,
    /// Datagrams of the backend.
    pub answers: u64,
    /// Bytes to the backend.
    pub sent: u64,
    /// Bytes from it.
    pub received: u64,
    /// What precedes each datagram to the backend.
    pub ahead: Vec<u8>,
}

/// A connection over which counts come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailRow {
    /// The process at its other end.
    pub pid: i32,
    /// What was read of it, and is no whole message yet.
    pub begun: Vec<u8>,
}

/// What was counted since it was told last. What stayed as it was is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the process, by name.
    pub totals: Vec<(String, u64)>,
    /// Of backends.
    pub backends: Vec<BackendRow>,
    /// Of all else.
    pub sums: Vec<SumRow>,
}

/// What was counted of a service, of a pool, of a rule or of what else there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumRow {
    /// What it is: `service`. A process that knows no such thing leaves it out.
    pub of: String,
    /// Its name, with those of what it is in.
    pub names: Vec<String>,
    /// By name.
    pub counts: Vec<(String, u64)>,
}

/// What was counted of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendRow {
    /// Its pool's name.
    pub pool: String,
    /// Its own.
    pub name: String,
    /// By name.
    pub counts: Vec<(String, u64)>,
}

impl Counts {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty() && self.backends.is_empty() && self.sums.is_empty()
    }
}

#[cfg(test)]
mod tests;
