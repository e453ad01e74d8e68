//! Every constant of the program in one place: its unit in its name, the reason beside it.
//!
//! What an operator may want to change is a flag (see `flags`) and has only its default here.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

// ---- The turn -------------------------------------------------------------------------------

/// Events taken from one poll. HAProxy takes 200: more favours throughput, fewer latency.
pub const EVENTS_PER_TURN: usize = 256;

/// Connections accepted from one listener in one turn. Small batches win: the relays in between
/// free slots and warm caches (HAProxy's `maxaccept 4` measured 27 % above 64 on one thread).
pub const ACCEPTS_PER_TURN: usize = 4;

/// Timers fired in one turn; what is left is due at once in the next one.
pub const TIMERS_PER_TURN: usize = 256;

/// Bytes one direction of a pair may move in one turn before it goes to the back of the queue.
/// About 0.1 ms of copying: nobody waits longer than that for each streaming neighbour.
pub const BYTES_PER_DIRECTION_PER_TURN: usize = 512 * 1024;

// ---- Bytes ----------------------------------------------------------------------------------

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
/// read](SPLICE_READ_BYTES_MIN) that counts as one), and more for larger ones: half a MiB at least.
pub const PATIENT_FROM_CREDIT: i16 = 16;

/// What a wait in vain costs: it takes 16 MiB at least to earn that.
pub const PATIENCE_LOSS_CREDIT: i16 = 512;

/// Most credit, and most debt: a stream that stalls now and then stays patient, and one that always
/// does is not asked again for 64 MiB.
pub const PATIENCE_CREDIT_MAX: i16 = 2048;

/// How often it is looked whether something came meanwhile: what a patient direction waits for in
/// vain is late by this or twice this. Streams slower than a pipe in this time (4 Gbit/s) are
/// hardly ever patient.
pub const PATIENCE_LOOK: Duration = Duration::from_millis(2);

/// The same where the end is known: the last byte is never waited for in vain, so that what may be
/// late is the middle of a message of which the rest is not here either.
pub const PATIENCE_LOOK_COUNTED: Duration = Duration::from_millis(20);

/// Wanted capacity of a pipe. The kernel moves at most one pipe's worth a call.
pub const PIPE_BYTES: usize = 1024 * 1024;

/// A pipe the kernel gave less than this (its per-user quota is used up) is not worth a splice.
pub const PIPE_BYTES_MIN: usize = 64 * 1024;

/// Pipes alive at once, each two descriptors; directions beyond that copy.
pub const PIPES_MAX: usize = 128;

/// Free pipes kept for reuse.
pub const FREE_PIPES_MAX: usize = 16;

// ---- TLS ------------------------------------------------------------------------------------

/// The largest record that can come, header and all (TLS 1.2 allows for 2048 bytes of expansion).
pub const TLS_RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2048;

/// Bytes of a handshake that are kept until a message is whole: a message has 64 KiB at most, in
/// records that may be small. More is not a certificate chain but an attack on our memory.
pub const TLS_INLET_BYTES_MAX: usize = 256 * 1024;

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

/// Longest time that browsers can be told to keep to HTTPS, in seconds: ten years. The list that
/// browsers come with asks for one.
pub const HSTS_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// At most one line in this time about backends with which TLS fails.
pub const TLS_WARNINGS: Duration = Duration::from_secs(10);

/// Sessions with one backend that are kept to be resumed.
pub const TLS_BACKEND_SESSIONS: usize = 32;

/// Largest file of certificates or keys that is read: system roots are a quarter of a megabyte.
pub const PEM_BYTES_MAX: u64 = 16 * 1024 * 1024;

// ---- Sockets --------------------------------------------------------------------------------

/// Backlog asked for; the kernel cuts it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4096;

/// How long a listener rests after the process or the system ran out of descriptors or memory
/// (HAProxy rests as long).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// At most one line of log in this time about accepts that failed, and one about probes that could
/// not be begun.
pub const EXHAUSTION_WARNINGS: Duration = Duration::from_secs(1);

/// Descriptors kept back for what is not a pair: standard streams, poll, signals, log.
pub const RESERVED_DESCRIPTORS: usize = 32;

// ---- UDP ------------------------------------------------------------------------------------

/// A flow that carried an answer within this time is never pushed out by a new one.
pub const FLOW_PROTECTED: Duration = Duration::from_secs(1);

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

/// Flows opened in one turn for datagrams that were about to go to a backend that refused others.
pub const REROUTES_PER_TURN: u32 = 64;

/// While stopping, how often it is looked which flows have had their answers.
pub const DRAIN_LOOKS: Duration = Duration::from_millis(100);

/// nginx and HAProxy keep flows for 10 m and 1 m; the kernel's own tracking for 30 s.
pub const UDP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Most that `--udp-requests` and `--udp-responses` can ask for; beyond, it is no limit any more.
pub const UDP_COUNT_MAX: u32 = 1_000_000;

/// Longest text of a `udp:` probe, in bytes: a datagram that every network carries whole.
pub const UDP_CHECK_BYTES_MAX: usize = 512;

// ---- Backends -------------------------------------------------------------------------------

/// Largest weight an operator can give (nginx and Envoy take more, HAProxy 256).
pub const WEIGHT_MAX: u32 = 65_535;

/// One unit of configured weight in the fixed-point weights the algorithms see, so that slow
/// start can ramp a weight of 1 in 256 steps.
pub const WEIGHT_ONE: u32 = 256;

/// Slow start begins at this share of the weight (Envoy's default), in percent.
pub const SLOW_START_PERCENT_MIN: u32 = 10;

/// Steps of a slow-start ramp.
pub const SLOW_START_STEPS: u32 = 20;

/// Backends at most; tests and the cost of a pick are measured up to here.
pub const BACKENDS_MAX: usize = 10_000;

/// Routes at most: as many as backends, and a pool's number is kept in 16 bits.
pub const ROUTES_MAX: usize = 10_000;

// ---- Probes ---------------------------------------------------------------------------------

/// Longest answer to a `load:` probe, in bytes, terminator not counted.
pub const LOAD_ANSWER_BYTES_MAX: usize = 100;

/// Longest text of a `load:` probe, in bytes.
pub const LOAD_TEXT_BYTES_MAX: usize = 100;

/// Longest status line an `http:` probe reads, in bytes.
pub const STATUS_LINE_BYTES_MAX: usize = 1024;

/// Bytes of an answer to a `udp:` probe that are shown when it is not what was expected.
pub const DATAGRAM_SHOWN_BYTES: usize = 32;

// ---- Logs -----------------------------------------------------------------------------------

/// Log bytes kept while standard error would block; lines beyond that are dropped and counted.
pub const LOG_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the access log kept while its file takes none; lines beyond that are dropped and
/// counted.
pub const ACCESS_LOG_BYTES_MAX: usize = 1024 * 1024;

/// When so much of it has come together it is written within the turn.
pub const ACCESS_LOG_FLUSH_BYTES: usize = 64 * 1024;

/// At most one line in this time about lines of the access log that were dropped.
pub const ACCESS_LOG_WARNINGS: Duration = Duration::from_secs(10);

/// How soon the log is tried again after it would have blocked.
pub const LOG_RETRY: Duration = Duration::from_millis(100);

// ---- TLS ------------------------------------------------------------------------------------

/// Longest ClientHello that is read for its server name, with its header: what one record holds.
/// Those with keys for the time after quantum computers have 2 KiB; HAProxy and nginx take as much.
pub const CLIENT_HELLO_BYTES_MAX: usize = 16 * 1024;

/// The same with the headers of its records: the longest still fits in pieces of 32 bytes, and no
/// client makes us keep more before we know where it goes.
pub const CLIENT_HELLO_WIRE_BYTES_MAX: usize = 20 * 1024;

// ---- What flags may say ---------------------------------------------------------------------

/// Longest duration a flag takes, 365 days: more is a slip of the unit, and adding it to a clock
/// must never overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Shortest time between two probes of a backend. Faster ones cost more than they tell.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Shortest timeout where zero makes no sense: the resolution of the poll.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Most results in a row `--rise` and `--fall` can ask for; beyond, a flip is hours away.
pub const RISE_FALL_MAX: u32 = 1000;

/// Most other backends tried for one connection. Every try is a connect timeout of waiting.
pub const RETRIES_MAX: u32 = 100;

/// Largest limit on connections. No kernel holds more, and products with weights stay in 64 bits.
pub const CONNECTIONS_MAX: u32 = 1_000_000_000;

/// Longest name given to a backend, in characters: a log line shows several of them.
pub const BACKEND_NAME_CHARS_MAX: usize = 64;

/// Longest host name, in bytes, and longest label of one: what DNS can carry (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;
/// See [`HOST_BYTES_MAX`].
pub const HOST_LABEL_BYTES_MAX: usize = 63;

/// Longest path of an `http:` probe or an answer of our own, in bytes: a request of one packet.
pub const CHECK_PATH_BYTES_MAX: usize = 1024;

// ---- Defaults of flags ----------------------------------------------------------------------

/// HAProxy's interval: notices a dead backend within `fall` times this.
pub const CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// Below the interval, so that a backend's probes never overlap; far above a healthy answer.
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// HAProxy's numbers: slower to take a backend out than to take it back.
pub const RISE_DEFAULT: u32 = 2;
/// See [`RISE_DEFAULT`].
pub const FALL_DEFAULT: u32 = 3;

/// Envoy's: a SYN and its repeats after 1 s and 3 s fit in. nginx's 60 s outlasts people.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Between the 5 s of HAProxy's examples and Envoy's 15 s; nginx waits 30 s for a ClientHello.
pub const TLS_HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// HAProxy's number, but each on a different backend.
pub const RETRIES_DEFAULT: u32 = 3;

/// Envoy's, for TCP: databases keep quiet connections for long, yet none may stay for ever.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);

/// HAProxy's manual has 30 s in its example: long for a last answer, short for a forgotten peer.
pub const HALF_CLOSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Off, as everywhere in the field: it surprises who did not ask for it.
pub const SLOW_START_DEFAULT: Duration = Duration::ZERO;

/// Below the 90 s after which systemd kills, and what Kubernetes grants by default.
pub const DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Weight of a backend that says none, the field's convention.
pub const WEIGHT_DEFAULT: u32 = 1;

/// Where the demo listens unless told: loopback, so that nobody else sees it, on a port that needs
/// no rights.
pub const DEMO_LISTEN: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8000));

/// Where the demo says whether there is a backend.
pub const DEMO_HEALTH_PATH: &str = "/health";

/// Where the demo says what it counts.
pub const DEMO_STATS_PATH: &str = "/stats";

// ---- The demo -------------------------------------------------------------------------------

/// Longest datagram: what IPv4 carries.
pub const DEMO_DATAGRAM_BYTES: usize = 65_535;

/// Connections a demo backend serves at once, each on a thread; more are closed unanswered.
pub const DEMO_CLIENTS_MAX: usize = 4096;

/// Stack of a demo backend's connection thread. The default of 2 MiB buys nothing here.
pub const DEMO_STACK_BYTES: usize = 256 * 1024;

/// A demo backend or client waits so long for the other side to say or take something.
pub const DEMO_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest text that `upper` answers, in bytes, terminator not counted: a `load:` probe fits.
pub const DEMO_TEXT_BYTES_MAX: usize = LOAD_TEXT_BYTES_MAX;

/// Longest head of a request that `hello` reads, in bytes.
pub const DEMO_HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Bytes of a refused request that `hello` still reads, so that the refusal arrives.
pub const DEMO_LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// How long `hello` waits for each of them.
pub const DEMO_LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long `/nap` lasts unless told otherwise: five probes at the default interval, so that the
/// backend is seen to go down and to come back.
pub const DEMO_NAP_SECONDS: u64 = 10;

/// Longest nap.
pub const DEMO_NAP_SECONDS_MAX: u64 = 3600;

/// Longest `--delay`.
pub const DEMO_DELAY_MAX: Duration = Duration::from_secs(3600);

/// How long the demo's threads pause after a failure, so that none of them spins.
pub const DEMO_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause of a demo client between an answer and its next question.
pub const DEMO_THINK_MS_MAX: u64 = 20;

/// Clients that keep asking in the demo, so that the table shows something.
pub const DEMO_CLIENTS: usize = 12;

/// How often the demo's table is shown.
pub const DEMO_STATUS_INTERVAL: Duration = Duration::from_secs(3);

// ---- Balancing ------------------------------------------------------------------------------

/// Key of every hash that places clients, the same in every instance so that all agree: the first
/// digits of pi, since nobody can have chosen those.
pub const HASH_KEY: (u64, u64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

/// So often `ip-hash` hashes again when the backend it met takes nobody (nginx: as often).
pub const REHASHES_MAX: u32 = 20;

/// Slots of a Maglev table, the smallest that fits: primes, so that every walk meets every slot.
pub const MAGLEV_SLOTS: [usize; 5] = [65_537, 131_071, 262_147, 524_309, 1_048_583];

/// Slots wanted for each backend: keeps shares within about 1 % (Maglev, section 5.3).
pub const MAGLEV_SLOTS_PER_BACKEND: usize = 100;

/// Slots looked at after the client's own when its backend takes nobody: misses about one time in
/// a thousand with 95 % of the backends down, and costs about a microsecond then.
pub const MAGLEV_PROBES_MAX: usize = 128;

/// A reported load older than this is no longer believed: two and a half default probes.
pub const LOAD_TTL: Duration = Duration::from_secs(5);

/// Once the newest report of all is older than this, loads are not compared any more.
pub const LOADS_FORGOTTEN_AFTER: Duration = Duration::from_secs(15);

/// How often a backend without a believable report is set to the median again.
pub const LOAD_REVIEW_INTERVAL: Duration = Duration::from_secs(1);

/// Outdated reports looked at in one pick; the others wait for the next.
pub const LOAD_REVIEWS_PER_PICK: usize = 8;

/// Larger reports count as this, so that sums and products of loads stay finite.
pub const LOAD_MAX: f64 = 1e15;

/// How far the load of one connection may lie from what is typical of the set, as a factor.
pub const LOAD_SLOPE_RANGE: f64 = 8.0;

/// Within this time a connect time loses 63 % of its say (Finagle's default).
pub const CONNECT_TIME_DECAY: Duration = Duration::from_secs(10);

/// A failed connect counts as one that took at least this long, so that failing fast does not
/// attract traffic.
pub const CONNECT_FAILED_PENALTY: Duration = Duration::from_secs(1);

/// A connect time never decays below this, so that connections still count.
pub const CONNECT_TIME_MIN: Duration = Duration::from_micros(1);

// ---- HTTP -----------------------------------------------------------------------------------

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

/// Longest name of a header or a cookie that a flag takes, in bytes: leaves room in the head.
pub const TOKEN_BYTES_MAX: usize = 256;

/// nginx's and Envoy's idea of passive health, Envoy's number.
pub const EJECT_AFTER_DEFAULT: u32 = 5;

/// Most bad answers in a row `--eject-after` can ask for, as [`RISE_FALL_MAX`].
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

/// Room kept free in the scratch buffer when a message is read, for what we add to it: a host is
/// said twice, a space is put between cookies, and neither makes a head more than twice as long.
pub const HTTP_FRAMING_ROOM: usize = HTTP_HEAD_BYTES_MAX + 4 * 1024;

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

/// How long a client that waits for its answer is not watched by the poll: who asks once and closes
/// never is.
pub const HTTP_UNWATCHED: Duration = Duration::from_secs(1);

/// How long a client is heard out after our last answer, so that a reset does not overtake it
/// (nginx: `lingering_timeout`).
pub const LINGER: Duration = Duration::from_secs(5);

/// How much it may say in that time.
pub const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// In the time that an idle connection is kept, so often it is looked whether the time is over.
pub const IDLE_LOOKS: u32 = 4;

/// How long a backend is left out for its bad answers, times the number of times (Envoy's
/// `base_ejection_time`).
pub const EJECTION: Duration = Duration::from_secs(30);

/// But never longer than this (Envoy's `max_ejection_time`).
pub const EJECTION_MAX: Duration = Duration::from_secs(300);

/// After so long in good order, the next time is counted as the first.
pub const EJECTION_FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
