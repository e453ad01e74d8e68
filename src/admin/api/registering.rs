//! Servers that register themselves: what a heartbeat says, and what it is answered.

use serde_json::{Map, Value};

use crate::config::duration;
use crate::limits::{TTL_DEFAULT, TTL_MAX, TTL_MIN};

use super::super::place::Place;
use super::super::problem::{Mistakes, Problem};
use super::super::registry::{Heartbeat, Report};
use super::super::request::Request;
use super::reading::{self, Members, finish};

const KNOWN: &[&str] = &[
    "address",
    "ttl",
    "sequence",
    "report",
    "weight",
    "max_connections",
    "backup",
    "check_port",
    "proxy",
    "proxy_tlvs",
    "tls",
    "sni",
];

/// Members that are the registration's own, and not the backend's.
const OWN: [&str; 3] = ["ttl", "sequence", "report"];

const WANT_SEQUENCE: &str = "found none, want a number that rises, such as the time in \
                             milliseconds: without it what was signed could be sent again";

/// What a server says of itself.
pub(super) fn heartbeat(request: &Request, place: Place) -> Result<Heartbeat, Problem> {
    let value = reading::parse(&request.body)?;
    let mut mistakes = Mistakes::default();
    let heartbeat = read(&value, request, place, &mut mistakes);
    finish(heartbeat, mistakes)
}

/// What is signed says goodbye once: the key and the sequence of it.
pub(super) fn goodbye(request: &Request) -> Result<Option<(String, u64)>, Problem> {
    if !request.is_signed {
        return Ok(None);
    }
    let value = reading::parse(&request.body)?;
    let mut mistakes = Mistakes::default();
    let sequence = Members::of(&value, "", &["sequence"], &mut mistakes).and_then(|mut it| {
        let sequence = it.number("sequence", 0..=u64::MAX);
        if sequence.is_none() {
            it.complain("sequence", WANT_SEQUENCE);
        }
        sequence
    });
    let sequence = finish(sequence, mistakes)?;
    Ok(Some((request.who.name.clone(), sequence)))
}

fn read(
    value: &Value,
    request: &Request,
    place: Place,
    mistakes: &mut Mistakes,
) -> Option<Heartbeat> {
    let mut members = Members::of(value, "", KNOWN, mistakes)?;
    let ttl = match members.text("ttl") {
        None => TTL_DEFAULT,
        Some(text) => match duration(text, TTL_MIN) {
            Ok(ttl) if ttl <= TTL_MAX => ttl,
            Ok(_) => {
                members.complain("ttl", format!("found {text}, want at most 5m"));
                TTL_DEFAULT
            }
            Err(wrong) => {
                members.complain("ttl", wrong.to_string());
                TTL_DEFAULT
            }
        },
    };
    let sequence = members.number("sequence", 0..=u64::MAX);
    if request.is_signed && sequence.is_none() {
        members.complain("sequence", WANT_SEQUENCE);
    }
    let report = members.text("report").map_or(Ok(Report::default()), Report::parse);
    let report = report.unwrap_or_else(|wrong| {
        wrong.into_iter().for_each(|it| members.complain("report", it));
        Report::default()
    });
    let backend = match value {
        Value::Object(all) => {
            let own = |name: &str| OWN.contains(&name);
            let rest = all.iter().filter(|(name, _)| !own(name) && KNOWN.contains(&&***name));
            rest.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        _ => Map::new(),
    };
    let spec = reading::backend_at(&place.name, &Value::Object(backend), "", mistakes)?;
    Some(Heartbeat { place, spec, ttl, sequence, by: request.who.name.clone(), report })
}
