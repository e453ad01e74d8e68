//! What operators and programs are told, and may change, while it runs: listeners of their own,
//! with the API over HTTP and the words of HAProxy's socket.
//!
//! It reads what the loop lends it, and returns what is to change; it changes nothing itself.

pub mod access;
pub mod haproxy;
