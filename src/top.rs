//! `pointsman top`: watches one or more that run, over their admin sockets, in place.
//!
//! A plain client in a process of its own, as `ctl` is; nothing here is used by the balancer.
//!
//! ```text
//!   source (asks, never waits) --Told--> world (sums, rates) --\
//!   terminal (keys) -----------Key-----> ui (what is chosen) ---+--> view (a frame) --> terminal
//!   plain: one table or document, where nobody watches
//! ```

mod plain;
mod sample;
mod source;
mod ui;
mod usage;
mod view;
mod watch;
mod world;

use std::io::Write;
use std::process::ExitCode;

use crate::ctl::failure::{self, Outcome};
use crate::ctl::reading::print;
use crate::terminal::{self, Looks};

pub use usage::HELP;
use usage::{Asked, Given};

/// The word that asks for it.
pub const WORD: &str = "top";

/// Do what the arguments behind [`WORD`] ask for.
pub fn run(args: &[String]) -> ExitCode {
    let outcome = match usage::parse(args) {
        Ok(Asked::Help(text)) => print(&text),
        Ok(Asked::Look(given)) => look(given),
        Err(failure) => Err(failure),
    };
    let complain = |line: &str| {
        let _ = writeln!(std::io::stderr(), "pointsman top: {line}");
    };
    failure::end(outcome, complain)
}

fn look(given: Given) -> Outcome {
    if given.json {
        return plain::documents(&given.clients);
    }
    if given.once || !Looks::from_environment().colour || !terminal::is_usable() {
        return plain::table(&given.clients);
    }
    watch::run(given)
}
