//! HAProxy's command socket: its words, its answers to the letter, for the tools that speak them.
//!
//! ```text
//!   bytes --conversation--> command --acting--> an answer, rows in pieces, or what the loop is
//!                                               asked for
//! ```

pub mod acting;
pub mod certificates;
pub mod columns;
pub mod command;
pub mod connection;
pub mod conversation;
pub mod describing;
pub mod frontends;
pub mod ids;
pub mod info;
pub mod listing;
pub mod rows;
pub mod sessions;
pub mod step;
pub mod verbs;
