//! DNS without sockets: what is asked, what an answer means, when to ask again.
//!
//! ```text
//!   /etc/resolv.conf ----> Servers, Search          /etc/hosts ----> Hosts
//!                                  \                  /
//!   Watched (a name's life)  due    v                v
//!     set of endpoints  ---------> Lookup::new(Wanted, ...)
//!            ^                       |  next(now) -> Send{server, transport, bytes} --> network
//!            |                       |               Wait{until}
//!            |                       |  heard(from, transport, message, now)       <-- network
//!            |                       |  failed(server, transport, now)             <-- network
//!            |                       v
//!          told(result, now) <---- Done(Ok(Answer) | Err(Failure))
//!            |
//!            v
//!        Change: added, gone, changed, how many stayed
//! ```
//!
//! [`question`] and [`answer`] are the messages, [`ask`] one question and its attempts, [`lookup`]
//! all the questions of a name, [`watched`] what becomes of a set from look-up to look-up.
//!
//! Whoever joins it to the network opens a UDP socket of its own, from a port that the kernel picks
//! at random, for each look-up and server, and one TCP connection where `Send` asks for that
//! ([`framing`] cuts what arrives there). All are closed when the look-up is done.
//!
//! Against forgery: a random id and random capitals in each question, a random port, the sender,
//! the question echoed; guesses are counted, and after some of them the look-up goes on by TCP.
//! What is not about the name that was asked, or an alias of it, is not looked at. There is no
//! cache and no DNSSEC: the resolver is trusted, as by the libc.

pub mod answer;
pub mod ask;
pub mod change;
mod effort;
pub mod framing;
pub mod hosts;
pub mod lookup;
pub mod name;
pub mod question;
pub mod random;
pub mod resolv_conf;
pub mod search;
pub mod watched;

pub use name::Name;
pub use random::Random;
