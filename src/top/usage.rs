//! The command line of `top`.

use std::time::Duration;

use getopts::{Fail, Options, ParsingStyle};

use crate::config::{closest, quoted};
use crate::ctl::client::{Client, USUAL_PLACE};
use crate::ctl::failure::{Failure, Outcome};
use crate::limits::{
    TOP_CONNECT_PATIENCE, TOP_INTERVAL, TOP_INTERVAL_MAX, TOP_INTERVAL_MIN, TOP_SOCKETS_MAX,
};

/// What is kept in the audit log beside a change.
const REASON: &str = "top";

/// What the command line asks for.
pub enum Asked {
    /// Text to print.
    Help(String),
    /// To look.
    Look(Given),
}

/// Which processes are watched, and how it is shown.
pub struct Given {
    /// The processes, in the order in which they were named.
    pub clients: Vec<Client>,
    /// One table and out.
    pub once: bool,
    /// One document and out.
    pub json: bool,
    /// Between two looks.
    pub interval: Duration,
}

/// All that is said of it.
pub const HELP: &str = "\
pointsman top: watches a pointsman that runs, in place, at its admin socket

usage: pointsman top [SOCKET...] [FLAGS]

A SOCKET is a path, unix:PATH or http://HOST:PORT; several are summed, and shown each.
Without any it is POINTSMAN_ADMIN, else unix:/run/pointsman/api.sock.

  --once            one plain table, and out; so it is too where the output is no
                    terminal, with NO_COLOR and with TERM=dumb
  --json            one document, and out: a list of them for several sockets
  --interval TIME   between two looks, 200ms to 60s [1s]
  --token TOKEN     who asks, where tokens are wanted [POINTSMAN_TOKEN]
  -h, --help        this

Keys: q quits, ? shows all others. Changes (drain, ready, maintenance, weight) are asked
about, go through the API, and are in its audit log with the reason \"top\".

Exit codes: 0 done, 1 refused or not there, 2 a command line that means nothing.
";

const FLAGS: [&str; 5] = ["once", "json", "interval", "token", "help"];

/// Read what follows `top`.
pub fn parse(args: &[String]) -> Outcome<Asked> {
    parse_with(args, |name| std::env::var(name).ok().filter(|it| !it.is_empty()))
}

fn parse_with(args: &[String], variable: impl Fn(&str) -> Option<String>) -> Outcome<Asked> {
    let mut options = Options::new();
    options.parsing_style(ParsingStyle::FloatingFrees);
    options.optflagmulti("", "once", "").optflagmulti("", "json", "");
    options.optflagmulti("h", "help", "");
    options.optopt("", "interval", "", "TIME").optopt("", "token", "", "TOKEN");
    let matches = options.parse(args).map_err(|fail| Failure::Usage(unread(&fail)))?;
    if matches.opt_present("help") {
        return Ok(Asked::Help(HELP.to_owned()));
    }
    let mut places = matches.free.clone();
    if places.is_empty() {
        places.push(variable("POINTSMAN_ADMIN").unwrap_or_else(|| USUAL_PLACE.to_owned()));
    }
    if places.len() > TOP_SOCKETS_MAX {
        let found = places.len();
        return Err(Failure::Usage(format!(
            "found {found} sockets, want {TOP_SOCKETS_MAX} at most"
        )));
    }
    if let Some(twice) = places.iter().enumerate().find(|(at, it)| places[..*at].contains(it)) {
        let line = format!("{}: found twice, want each socket once", quoted(twice.1));
        return Err(Failure::Usage(line));
    }
    let token = matches.opt_str("token").or_else(|| variable("POINTSMAN_TOKEN"));
    let client = |place: &String| client(place, token.clone());
    Ok(Asked::Look(Given {
        clients: places.iter().map(client).collect::<Outcome<_>>()?,
        once: matches.opt_present("once"),
        json: matches.opt_present("json"),
        interval: matches.opt_str("interval").map_or(Ok(TOP_INTERVAL), |it| interval(&it))?,
    }))
}

fn client(text: &str, token: Option<String>) -> Outcome<Client> {
    let has_scheme = text.starts_with("unix:") || text.contains("://");
    let place = if has_scheme { text.to_owned() } else { format!("unix:{text}") };
    let client = Client::at(&place, token, Some(REASON.to_owned()));
    match client {
        Ok(client) => Ok(client.impatient(TOP_CONNECT_PATIENCE)),
        // It is no flag here.
        Err(Failure::Usage(line)) => {
            let line = line.strip_prefix("--admin: ").or(line.strip_prefix("--admin "));
            let line = line.unwrap_or("a token: found a control character, want one line");
            Err(Failure::Usage(line.replace("ctl speaks", "top speaks")))
        }
        Err(failure) => Err(failure),
    }
}

fn interval(text: &str) -> Outcome<Duration> {
    let found = crate::config::duration(text, TOP_INTERVAL_MIN).ok();
    found.filter(|it| (TOP_INTERVAL_MIN..=TOP_INTERVAL_MAX).contains(it)).ok_or_else(|| {
        let line = format!("--interval: found {}, want 200ms to 60s", quoted(text));
        Failure::Usage(line)
    })
}

fn unread(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) => match closest(name, FLAGS) {
            Some(near) => format!("unknown flag --{name}; did you mean --{near}?"),
            None => format!("unknown flag --{name}; pointsman top --help has them all"),
        },
        Fail::ArgumentMissing(name) => format!("--{name}: found no value, want one behind it"),
        Fail::OptionDuplicated(name) => format!("--{name}: found twice, want it once"),
        Fail::UnexpectedArgument(name) => format!("--{name}: found a value, want none"),
        Fail::OptionMissing(name) => format!("--{name} is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str, admin: Option<&str>) -> Outcome<Asked> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse_with(&args, |name| admin.filter(|_| name == "POINTSMAN_ADMIN").map(str::to_owned))
    }

    fn places(line: &str, admin: Option<&str>) -> Vec<String> {
        match asked(line, admin) {
            Ok(Asked::Look(given)) => given.clients.iter().map(Client::place).collect(),
            _ => panic!("{line} means nothing"),
        }
    }

    #[test]
    fn sockets_are_paths_or_places_or_those_of_ctl() {
        assert_eq!(places("", None), [USUAL_PLACE]);
        assert_eq!(places("", Some("unix:/x")), ["unix:/x"]);
        let all = places("a.sock unix:/b http://127.0.0.1:1", Some("unix:/x"));
        assert_eq!(all, ["unix:a.sock", "unix:/b", "http://127.0.0.1:1"]);
    }

    #[test]
    fn what_means_nothing_is_told_with_what_may_be_meant() {
        for (line, says) in [
            ("--onec", "did you mean --once?"),
            ("--interval 1ms", "--interval: found '1ms', want 200ms to 60s"),
            ("--interval", "found no value"),
            ("a a", "found twice"),
            ("https://a:1", "top speaks no TLS"),
            ("http://a", "found 'http://a', want unix:PATH or http://HOST:PORT"),
        ] {
            match asked(line, None) {
                Err(Failure::Usage(found)) => {
                    assert!(found.contains(says), "{line}: {found}");
                    assert!(!found.contains("--admin"), "{line}: {found}");
                }
                _ => panic!("{line} can be meant"),
            }
        }
    }

    #[test]
    fn every_flag_is_in_the_help() {
        assert!(FLAGS.iter().all(|flag| HELP.contains(&format!("--{flag}"))));
        assert!(HELP.lines().all(|line| line.chars().count() <= 90));
        assert!(matches!(asked("a --help", None), Ok(Asked::Help(_))));
    }
}
