//! Datagrams and their flows.

use std::time::Duration;

/// A flow that carried an answer within this time is never pushed out by a new one.
pub const FLOW_PROTECTED: Duration = Duration::from_secs(1);

/// When flows have to give way, those without an answer yet go first; but one in so many flows may
/// be such a one, at least one of all. At 25,000 flows and an answer within 20 ms, that lets 20,000
/// new clients a second have theirs before they give way to each other.
pub const FLOW_STRANGERS_KEPT: usize = 64;

/// While stopping, an answer that is owed is waited for so long: what DNS clients wait before they
/// ask again.
pub const FLOW_AWAITED: Duration = Duration::from_secs(5);

/// Room for what one receive brings: the largest datagram, or several that the kernel put together.
/// A little more than 64 KiB, so that the beginnings of slots do not all fall into the same cache
/// lines.
pub const SLOT_BYTES: usize = 64 * 1024 + 320;

/// Slots for the datagrams of one turn. Most hold small ones, and memory that is not touched is
/// none.
pub const SLOTS: usize = 512;

/// Work that a turn does at one listener for datagrams. A message of a known flow is one, so that
/// those alone may fill all slots.
pub const DATAGRAM_WORK_PER_TURN: usize = SLOTS;

/// Work that a new flow is beside its first message. Its socket is made, connected, registered,
/// sent on and closed again by a call for each, where a known flow's message has a fraction of one.
/// So a turn opens about as many flows as one call receives messages, and fewer than twice as many.
pub const FLOW_OPENING_WORK: usize = 16;

/// Turns' worth of datagrams that are taken in at once when we begin to stop: as many new clients
/// as there are slots. Whoever came before the signal gets in.
pub const LAST_TAKES: usize = SLOTS / MESSAGES_PER_CALL;

/// Messages received or sent by one system call.
pub const MESSAGES_PER_CALL: usize = 32;

/// Bytes after which no more datagrams are taken from a socket in the same turn: as a stream's.
pub const DATAGRAM_BYTES_PER_TURN: usize = 512 * 1024;

/// Receive buffer asked for at a listener, so that a burst waits instead of being lost; the kernel
/// cuts it to `net.core.rmem_max`.
pub const DATAGRAM_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The same at a flow's socket, once much came there.
pub const BUSY_BUFFER_BYTES: usize = 1024 * 1024;

/// Ports for sockets that ask for none, where the system does not say: those that IANA leaves free.
pub const PORTS_ASSUMED: usize = 16_384;

/// Of these ports, so many hundredths may be taken by flows: the machine's other programs, who look
/// up names perhaps, need some as well.
pub const PORTS_FOR_FLOWS_PERCENT: usize = 90;

/// Longest datagram of which several go out as one (GSO): what fits into an Ethernet frame, for
/// segments are never fragments.
pub const SEGMENT_BYTES_MAX: usize = 1452;

/// Datagrams in one such message; older kernels take no more.
pub const SEGMENTS_MAX: usize = 64;

/// Bytes in one such message: IP's length has 16 bits.
pub const SEGMENTED_BYTES_MAX: usize = 65_000;

/// Messages that a flow's socket is asked for at first; it is asked for more once more come.
pub const HEARD_AT_FIRST: usize = 4;

/// After so many answers a flow's socket lets the kernel put datagrams together and keep more of
/// them, which costs two system calls.
pub const HEARD_UNTIL_BUSY: u64 = 64;

/// Flows ended in one look for those that are idle; what is left is due at once.
pub const FLOWS_ENDED_PER_TURN: usize = 256;

/// Clients whose refusing backend is remembered.
pub const FLOWS_SHUNNED_MAX: usize = 10_000;

/// And for so long: longer than a client waits before it asks again (5 s for a resolver), and as
/// long as a backend is ejected at first. How long a flow may be idle says nothing of that, and
/// differs from listener to listener.
pub const FLOWS_SHUNNED_FOR: Duration = Duration::from_secs(30);

/// Flows opened in one turn for datagrams that were about to go to a backend that refused others.
pub const REROUTES_PER_TURN: u32 = 64;

/// While stopping, how often it is looked which flows have had their answers.
pub const DRAIN_LOOKS: Duration = Duration::from_millis(100);

/// nginx and HAProxy keep flows for 10 m and 1 m; the kernel's own tracking for 30 s.
pub const UDP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Most that `--udp-requests` and `--udp-responses` can ask for; beyond, it is no limit any more.
pub const UDP_COUNT_MAX: u32 = 1_000_000;
