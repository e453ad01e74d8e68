//! What to try the balancer with: three backends, a few clients, and a page that says what to do.
//!
//! This room is the event loop's counterpart, written the way servers were written first: **one
//! thread a connection, and every call may block**. Nothing here has a state machine; where a
//! connection stands is simply which line its thread is on. Read it beside `event_loop` to see
//! what one thread with one poll buys (no thread a client, no lock) and what it costs (every
//! pause has to be a state).
//!
//! - `server`: accepts, counts, starts the threads; can take a nap
//! - `upper`: a line in, the same line in capitals out
//! - `hello`: a small HTTP/1.1 server with a random delay
//!

pub mod hello;
pub mod server;
pub mod upper;
