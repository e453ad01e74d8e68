//! What operators and programs are told, and may change, while it runs: listeners of their own,
//! with the API over HTTP and the words of HAProxy's socket.
//!
//! It reads what the loop lends it, and returns what is to change; it changes nothing itself.

pub mod access;
pub mod answer;
pub mod api;
pub mod assets;
pub mod audit;
pub mod ban;
pub mod change;
pub mod client;
pub mod connection;
pub mod entry;
pub mod events;
pub mod haproxy;
pub mod incoming;
pub mod listener;
pub mod live;
pub mod look;
pub mod metrics;
pub mod place;
pub mod problem;
pub mod recorder;
pub mod registry;
pub mod remembered;
pub mod request;
pub mod socket;
pub mod users;
pub mod view;
