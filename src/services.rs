//! What is served, and where: the listeners. Called by the loop, and read by everybody who serves a
//! client of theirs.

pub mod listener;

pub use listener::{Accepting, Listener, ListenerSocket, Receiving};
