//! `pointsman ctl`: asks and changes a pointsman that runs, over its admin API.
//!
//! A plain client that blocks, in a process of its own; nothing here is used by the balancer.
//!
//! ```text
//!   args --usage--> a command --reading, backends, process--> client --> table, lines | JSON
//! ```

pub mod answer;
mod backends;
pub mod client;
pub mod failure;
mod guard;
pub mod heartbeat;
mod names;
mod picks;
mod process;
pub mod reading;
mod several;
pub mod table;
mod usage;

use std::io::Write;
use std::process::ExitCode;

use client::Client;
use failure::{Failure, Outcome};
use usage::{Asked, Given};
pub use usage::{COMMANDS, Command, Flag};

/// The word that asks for it.
pub const WORD: &str = "ctl";

/// Do what the arguments behind [`WORD`] ask for.
pub fn run(args: &[String]) -> ExitCode {
    let outcome = match usage::parse(args) {
        Ok(Asked::Help(text)) => reading::print(&text),
        Ok(Asked::Command(given)) => carry_out(&given),
        Err(failure) => Err(failure),
    };
    let complain = |line: &str| {
        // Mistakes in a configuration say by themselves what they are.
        let begin = if line.starts_with("error: ") { "" } else { "pointsman ctl: " };
        let _ = writeln!(std::io::stderr(), "{begin}{line}");
    };
    failure::end(outcome, complain)
}

/// At the process that is meant, or at each of several.
fn carry_out(given: &Given) -> Outcome {
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let mut places = given.values("admin");
    if places.is_empty() {
        let usual = || client::USUAL_PLACE.to_owned();
        places.push(variable("POINTSMAN_ADMIN").unwrap_or_else(usual));
    }
    let token = given.value("token").or_else(|| variable("POINTSMAN_TOKEN"));
    let reason = if given.has("reason") { given.value("reason") } else { None };
    let client = |place: &String| Client::at(place, token.clone(), reason.clone());
    // All of them can be meant before the first is asked.
    let clients: Vec<Client> = places.iter().map(client).collect::<Outcome<_>>()?;
    match &clients[..] {
        [one] => carry_out_at(one, given),
        several => several::carry_out(several, given),
    }
}

fn carry_out_at(client: &Client, given: &Given) -> Outcome {
    let is_whole = given.words.is_empty();
    match given.command.name {
        "show" if given.words.first().is_some_and(|it| it == "backend") => {
            let Some(name) = given.words.get(1) else {
                let line = "show backend: found no name, want show backend POOL/NAME";
                return Err(Failure::Usage(line.to_owned()));
            };
            let named = backends::Named::find(client, name)?;
            reading::show_one(client, &named.path(), given)
        }
        "show" => reading::show(client, given),
        "add" => backends::add(client, given),
        "remove" => backends::remove(client, given),
        "drain" if is_whole => {
            if given.has("deadline") || given.has("wait") {
                let line = "drain: --deadline and --wait are of a backend, want POOL/NAME";
                return Err(Failure::Usage(line.to_owned()));
            }
            process::begin(client, given, "drain")
        }
        word @ ("drain" | "ready" | "maint") => backends::set_admin(client, given, word),
        "weight" => backends::weight(client, given),
        "close" => backends::close(client, given),
        word @ ("reload" | "undrain" | "stop") => process::begin(client, given, word),
        "config" => process::config(client, given),
        "overrides" => process::overrides(client, given),
        "events" => reading::events(client, given),
        "guard" => guard::rules(client, given),
        "names" => names::list(client, given),
        "bans" => guard::bans(client, given),
        "ban" => guard::ban(client, given),
        "unban" => guard::unban(client, given),
        "picks" => picks::picks(client, given),
        "explain" => picks::explain(client, given),
        _ => reading::health(client, given),
    }
}
