//! Buffers, pipes, and how much one call moves.

use std::time::Duration;

/// The process-wide scratch buffer, and each pooled buffer that keeps what a slow target would
/// not take. Holds a 64 KiB message with room for framing, and stays inside a core's L2 cache.
pub const BUFFER_BYTES: usize = 128 * 1024;

/// Free buffers kept for reuse; the rest goes back to the allocator.
pub const FREE_BUFFERS_MAX: usize = 32;

/// A read of at least this much counts towards promotion to `splice`.
pub const SPLICE_READ_BYTES_MIN: usize = 32 * 1024;

/// So many large reads in a row promote a direction to `splice`.
pub const SPLICE_AFTER_READS: u8 = 2;

/// A message of which so much is still to come is spliced from its first byte: its length promises
/// what otherwise large reads have to show.
pub const SPLICE_MESSAGE_BYTES_MIN: u64 = 32 * 1024;

/// A splice that moves less than this counts towards demotion to plain reads.
pub const SPLICE_MOVE_BYTES_MIN: usize = 16 * 1024;

/// So many small splices in a row demote a direction to plain reads.
pub const SPLICE_UNTIL_SMALL: u8 = 2;

/// A direction that is patient (see `relay::patience`) hears of its source once so much is there:
/// as much as a pipe holds, which is the most that one call moves.
pub const PATIENT_BYTES: u32 = 1024 * 1024;

/// Less than this is not worth being waited for.
pub const PATIENT_BYTES_MIN: u32 = 128 * 1024;

/// A direction is patient with so much credit. It earns one for each large piece ([a
/// read](SPLICE_READ_BYTES_MIN) that counts as one), and more for larger ones: 9 MiB at least
/// without a small piece the other way. Whoever asks for messages of 8 MB or less never waits for
/// the last of one.
pub const PATIENT_FROM_CREDIT: i16 = 288;

/// The same behind a run of [64 MiB](PATIENCE_CREDIT_MAX): who asks for so much asks for more of
/// it, most likely. This is what is missing then, 1 MiB.
pub const PATIENCE_KNOWN_CREDIT: i16 = PATIENT_FROM_CREDIT - 32;

/// Most credit, which 64 MiB earn. A wait for nothing uses it up: it is late by a tenth of what
/// those take.
pub const PATIENCE_CREDIT_MAX: i16 = 2048;

/// What is owed after a wait for nothing with less credit than that: 256 MiB. Messages that nobody
/// answers are hardly ever waited for.
pub const PATIENCE_DEBT: i16 = 8192;

/// How often it is looked whether something came meanwhile: what a patient direction waits for in
/// vain is late by this or twice this. Streams slower than a pipe in this time (4 Gbit/s) are
/// hardly ever patient.
pub const PATIENCE_LOOK: Duration = Duration::from_millis(2);

/// The same where the end is known: then the last byte makes an event, and what may be late is the
/// middle of a message of which the rest is not here either.
pub const PATIENCE_LOOK_COUNTED: Duration = Duration::from_millis(20);

/// Wanted capacity of a pipe. The kernel moves at most one pipe's worth a call.
pub const PIPE_BYTES: usize = 1024 * 1024;

/// A pipe the kernel gave less than this (its per-user quota is used up) is not worth a splice.
pub const PIPE_BYTES_MIN: usize = 64 * 1024;

/// Pipes alive at once, each two descriptors; directions beyond that copy.
pub const PIPES_MAX: usize = 128;

/// Free pipes kept for reuse.
pub const FREE_PIPES_MAX: usize = 16;

/// Of those, so many stay when nobody needs them; the others are closed after a while.
pub const FREE_PIPES_KEPT: usize = 2;

/// How often it is looked whether there were more than that all the time.
pub const FREE_PIPES_LOOK: Duration = Duration::from_secs(10);

/// What the kernel may hold for us of a source that is spliced, and as much again for its own use:
/// what a client that stops reading leaves behind. A piece that a [patient](PATIENT_BYTES)
/// direction waits for, and half of the next one, which comes while that is moved; with less a
/// stream costs a tenth more. Left to itself, the kernel makes room for 20 to 30 MiB for who takes
/// much at once.
pub const STREAM_RECEIVE_BYTES: u32 = 1536 * 1024;

/// Sources that are farther than this need more room, or they would stand still until they hear
/// that there is some again: that is left to the kernel. At this distance it is 2.5 Gbit/s at
/// least.
pub const STREAM_NEAR: Duration = Duration::from_millis(5);

/// A direction that moved so much in large pieces is a stream, whose target is to have [no more
/// than this](STREAM_UNSENT_BYTES) waiting: until then an answer costs no call for it.
pub const STREAM_FROM_BYTES: u64 = 1024 * 1024;

/// What may wait in the kernel for the target of a stream beside what is on its way: a piece that
/// is moved at once. Left to itself the kernel takes in 4 MiB, and a reader that stops leaves them
/// behind. With half of it a stream costs a tenth more, for pieces are cut.
pub const STREAM_UNSENT_BYTES: u32 = 1024 * 1024;
