//! A command at several processes, one after the other: what each says stands under its place.

use std::io::Write;

use super::carry_out_at;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::reading::print;
use super::usage::Given;

/// It fails if any of them did; all of them are asked.
pub fn carry_out(clients: &[Client], given: &Given) -> Outcome {
    check(clients, given)?;
    let mut worst = Ok(());
    for client in clients {
        let place = client.place();
        // Programs read a document a line, in the order of the places.
        if !given.has("json") {
            print(&format!("{place}:\n"))?;
        }
        match carry_out_at(client, given) {
            Ok(()) => {}
            Err(Failure::Failed(lines)) => {
                complain(&place, &lines);
                worst = Err(Failure::Said);
            }
            Err(Failure::Said) => worst = Err(Failure::Said),
            // Nothing that another process would take in another way.
            Err(failure @ (Failure::Usage(_) | Failure::Closed)) => return Err(failure),
        }
    }
    worst
}

/// What can be said once alone.
fn check(clients: &[Client], given: &Given) -> Outcome {
    let places: Vec<String> = clients.iter().map(Client::place).collect();
    let twice = places.iter().enumerate().find(|(at, it)| places[..*at].contains(it));
    let wrong = |line: String| Err(Failure::Usage(line));
    if let Some((_, place)) = twice {
        return wrong(format!("--admin: found {place} twice, want each once"));
    }
    match given.command.name {
        "events" => {
            wrong("events: found several --admin, want one, for it never ends".to_owned())
        }
        "config" if given.words.get(1).is_some_and(|it| it == "-") => {
            wrong("config: found - for several --admin, want a file".to_owned())
        }
        _ => Ok(()),
    }
}

fn complain(place: &str, lines: &[String]) {
    let mut stderr = std::io::stderr();
    for line in lines {
        // Who cannot be reached is named already.
        let line = line.strip_prefix(&format!("{place}: ")).unwrap_or(line);
        let _ = writeln!(stderr, "pointsman ctl: {place}: {line}");
    }
}
