//! HTTP/1.1.

use std::time::Duration;

/// How long an idle connection to a backend is kept; Node.js closes after 5 s, nginx after 75 s.
pub const BACKEND_IDLE_DEFAULT: Duration = Duration::from_secs(60);

/// Idle connections kept to one backend.
pub const BACKEND_IDLE_CONNECTIONS_DEFAULT: usize = 100;

/// Most idle connections to one backend that can be asked for: more than ports to come from.
pub const BACKEND_IDLE_CONNECTIONS_MAX: usize = 100_000;

/// HAProxy's usual number: long for a person's line, short for who drips one byte a second.
pub const HEADER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Somewhat below nginx's 75 s: an idle client costs little here.
pub const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(60);

/// nginx's, and what most clients wait at most.
pub const SERVER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// Largest limit on the body of a request, a pebibyte: more is a slip of the unit.
pub const BODY_BYTES_MAX: u64 = 1 << 50;

/// A connection that a backend keeps for so many seconds, as its `Keep-Alive: timeout=` says, is
/// not used again this long before they are over, or after half of them: a request needs its time
/// to get there, and both clocks are started by different things.
pub const BACKEND_REST_MARGIN: Duration = Duration::from_secs(1);

/// Longest name of a header or a cookie that a flag takes, in bytes: leaves room in the head.
pub const TOKEN_BYTES_MAX: usize = 256;

/// Least bytes of the secret of sticky cookies: as many as its MAC is strong by.
pub const STICKY_KEY_BYTES_MIN: usize = 32;

/// nginx's and Envoy's idea of passive health, Envoy's number.
pub const EJECT_AFTER_DEFAULT: u32 = 5;

/// Most bad answers in a row `--eject-after` can ask for, as
/// [`RISE_FALL_MAX`](super::RISE_FALL_MAX).
pub const EJECT_AFTER_MAX: u32 = 1000;
/// Longest head of a message, start line and fields together: twice what browsers need, and what
/// HAProxy takes.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most fields of a head, and of a trailer section (HAProxy's `tune.http.maxhdr` is 101).
pub const HTTP_FIELDS_MAX: usize = 100;

/// Most options in the Connection fields of a head. Each unknown one is looked up among all fields,
/// and nobody needs five.
pub const HTTP_CONNECTION_OPTIONS_MAX: usize = 32;

/// Longest extension of one chunk, in bytes. They are dropped; reading them must not cost more than
/// the payload.
pub const HTTP_CHUNK_EXTENSION_BYTES_MAX: u16 = 256;

/// Longest trailer section, in bytes: it has to be kept until it is whole.
pub const HTTP_TRAILER_BYTES_MAX: u16 = 4096;

/// Passages of a message shorter than this are copied together rather than sent from where they
/// lie: an entry more in a vectored write costs more than the copy.
pub const HTTP_COPY_BYTES_BELOW: usize = 2048;

/// What `Retry-After` says when no backend is up, in seconds: about one probe's interval.
pub const HTTP_RETRY_AFTER_SECONDS: u32 = 2;

/// Most of an answer that is read while its head is looked for: a small answer is read whole, and
/// of a large one enough is left behind to be spliced rather than copied.
pub const HTTP_ANSWER_READ_BYTES: usize = 16 * 1024;

/// Longest template of an edit or of a redirect, as the operator writes it.
pub const TEMPLATE_BYTES_MAX: usize = 1024;

/// Most bytes that the edits of rules add to one head: a value repeats what a client sent, which
/// may be a whole head, and several may do so.
pub const HTTP_EDITS_BYTES_MAX: usize = 4 * 1024;

/// Longest host that is told in `Forwarded`, in bytes: a name and a port. Longer ones are no names,
/// and left out.
pub const HTTP_FORWARDED_HOST_BYTES_MAX: usize = super::HOST_BYTES_MAX + ":65535".len();

/// Room kept free in the scratch buffer when a message is read, for what we add to it: a host is
/// said twice, a space is put between cookies, and neither makes a head more than twice as long;
/// trailers; edits; and our own fields, which `http::added` lists and counts.
pub const HTTP_FRAMING_ROOM: usize =
    HTTP_HEAD_BYTES_MAX + HTTP_TRAILER_BYTES_MAX as usize + HTTP_EDITS_BYTES_MAX + 4 * 1024;

/// Requests that are over leave their memory to so many others, if it is no more than
/// [`HTTP_SPARE_BYTES_MAX`] each: 256 KiB at most.
pub const HTTP_SPARES_MAX: usize = 128;

/// See [`HTTP_SPARES_MAX`]. Few requests without a body are longer.
pub const HTTP_SPARE_BYTES_MAX: usize = 2 * 1024;

/// Pieces of a vectored write; a message of more is copied together first.
pub const HTTP_PIECES_MAX: usize = 32;

/// Pipelined requests answered in one turn before the others have theirs.
pub const HTTP_REQUESTS_PER_TURN: usize = 8;

/// Looks at the head of an answer in one turn: each may bring an interim one, without an end.
pub const HTTP_ANSWER_HEADS_PER_TURN: usize = 8;

/// Interim answers (100, 103) that a backend may give to one request: two are of use, and one that
/// never comes to an answer would keep its client for ever, for each of them is a sign of life.
pub const HTTP_INTERIM_ANSWERS_MAX: u8 = 32;

/// How long a client that waits for its answer is not watched by the poll: who asks once and closes
/// never is. So long, too, one that has finished sending is served all the same (`printf | nc`).
/// A quarter of a second is longer than most answers take, and shorter than it pays to go on for a
/// client that is gone.
pub const HTTP_UNWATCHED: Duration = Duration::from_millis(250);

/// How long a client is heard out after our last answer, so that a reset does not overtake it
/// (nginx: `lingering_timeout`).
pub const LINGER: Duration = Duration::from_secs(5);

/// How much it may say in that time.
pub const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// In the time that an idle connection is kept, so often it is looked whether the time is over.
pub const IDLE_LOOKS: u32 = 4;

/// A page of statistics is made at most so often; who asks meanwhile gets the last one. People and
/// their tools look every second or more seldom.
pub const STATS_PAGE_EVERY: Duration = Duration::from_millis(250);

/// Pages of statistics at once: the newest, and those that are still being read. One has half a
/// kilobyte for each backend.
pub const STATS_PAGES_MAX: usize = 4;

/// With so many backends, a page is made when it is asked for: a fraction of a millisecond. That of
/// more is made in slices.
pub const STATS_BACKENDS_AT_ONCE: usize = 64;

/// Rows that are done at once for such a page. A backend has five: taken, twice by its address, its
/// own, and freed. What is left over is done in slices.
pub const STATS_ROWS_AT_ONCE: usize = 8 * STATS_BACKENDS_AT_ONCE;

/// Rows of a page of statistics, and of the status page, in a turn: of 0.5 us each, but of 5 us if
/// they go to the log.
pub const STATS_ROWS_PER_TURN: usize = 128;

/// Time for them, if they take longer.
pub const STATS_TIME: Duration = Duration::from_micros(300);

/// Names of a pool's backends that count as one row.
pub const STATS_NAMES_AT_ONCE: usize = 32;

/// Room for a backend in the page of statistics, from the start: some 550 bytes are usual. To grow
/// such a page means to copy it, 2 ms for 3 MB.
pub const STATS_ROW_BYTES: usize = 768;

/// A page of more bytes, and what it was written from, go back to the system in turns of their own:
/// some 0.1 ms for a MB.
pub const STATS_FREED_AT_ONCE_BYTES: usize = 256 * 1024;

/// So many backends with several addresses have a line of their own on the status page.
pub const STATUS_ADDRESSES_MAX: usize = 1000;

/// Longest text of a condition, in bytes, as it is written and as it is shown: some thirty terms,
/// each of which may cost a look at every field of a request.
pub const CONDITION_BYTES_MAX: usize = 1024;

/// Parentheses and `!` of a condition within each other. It is parsed, evaluated and dropped by
/// functions that call themselves, and who nests deeper than this cannot read it either.
pub const CONDITION_DEPTH_MAX: usize = 16;

/// Longest piece between two stars of a pattern, in bytes, if it has a `?`: the bits of a word.
pub const CONDITION_PIECE_BYTES_MAX: usize = u64::BITS as usize;

/// Longest beginning of a path that a service can be for, in bytes: longer ones than people write,
/// and hashed within a microsecond.
pub const PATH_PREFIX_BYTES_MAX: usize = 1024;

/// Most parts between the slashes of such a beginning, each of which may cost a look-up for each
/// request; and a bit is kept for each number of parts.
pub const PATH_PREFIX_PARTS_MAX: usize = 16;

/// Longest request of which a copy is sent elsewhere, head and body as they go to a backend, in
/// bytes: most have no body, and of the others most fit. Longer ones are not worth their memory.
pub const MIRROR_BYTES_MAX: usize = 64 * 1024;

/// Copies of requests at once, those that are being gathered among them: 16 MiB at most. There are
/// never more than a quarter as many as there may be clients.
pub const MIRRORS_MAX: usize = 256;

/// How long a copy may take in all, from its connect to the end of its answer.
pub const MIRROR_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in each turn for the copies to act, and as much for new ones to be begun: little, for no
/// client waits for any of them.
pub const MIRROR_TIME: Duration = Duration::from_micros(200);

/// Bytes of answers that one copy reads and drops in a turn.
pub const MIRROR_BYTES_PER_TURN: usize = 64 * 1024;

/// Longest id of a request that is passed on, in bytes: three times a UUID, as AWS's are with their
/// parts.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Traces of exchanges that are kept for the next ones: as many as a busy turn has.
pub const TRACES_SPARE_MAX: usize = 1024;
