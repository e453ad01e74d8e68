//! A handover of all sockets from one process to the next.

use std::time::Duration;

/// A process that asked for the sockets of another, and one that gives its own, wait so long for
/// each answer. Until then both have done what it takes to go on as if nothing had been.
pub const TAKEOVER_TIME: Duration = Duration::from_secs(10);

/// So much of a reason is heard.
pub const TAKEOVER_WHY_BYTES: usize = 1024;

/// While datagrams wait for the new process, that one is given up so long after it took something
/// last: their senders ask again, and the buffers of the sockets fill up.
pub const TAKEOVER_HELD: Duration = Duration::from_secs(1);

/// And so much later for each flow that it was told and takes in: ten times what that takes.
pub const TAKEOVER_HELD_FLOW: Duration = Duration::from_micros(25);

/// A process that asks for our place while a change is under way waits so long for its end. It
/// hears why it is refused before it takes this for silence.
pub const TAKEOVER_PATIENCE: Duration = Duration::from_secs(5);

/// A process that was killed is over so soon after its sockets are closed.
pub const TAKEOVER_DEATH: Duration = Duration::from_secs(1);

/// Descriptors in one message: Linux takes no more (SCM_MAX_FD).
pub const TAKEOVER_DESCRIPTORS_MAX: usize = 253;

/// Flows of UDP in one message: to write them down takes 0.1 ms.
pub const TAKEOVER_FLOWS: usize = 64;

/// A message is no longer: one of listeners has 253 paths of 100 bytes, one of counts a thousand
/// backends.
pub const TAKEOVER_MESSAGE_MAX: usize = 1024 * 1024;

/// An answer that refuses is a few lines of JSON.
pub const TAKEOVER_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Backends whose counts are looked at in a step, and told in one message: some 50 us.
pub const TAKEOVER_COUNTED: usize = 256;

/// The same of services, pools and rules: each has some forty numbers.
pub const TAKEOVER_SUMMED: usize = 32;

/// Bytes that wait to be sent before the next message is written.
pub const TAKEOVER_WAITING_BYTES: usize = 64 * 1024;

/// Time for a handover in each turn.
pub const TAKEOVER_STEP: Duration = Duration::from_millis(1);

/// So often the old process tells what it counted while its connections end.
pub const TAKEOVER_COUNTS: Duration = Duration::from_secs(1);

/// Once another process serves, kept connections on which nothing was asked for so long are closed.
/// Earlier, a request might be on its way, which would find its connection reset.
pub const TAKEOVER_RESTED: Duration = Duration::from_secs(5);

/// Where too many descriptors are on their way for the system, it is tried again so much later.
pub const TAKEOVER_RETRY: Duration = Duration::from_millis(5);
