//! What names stood for, as JSON and back. They are written one by one, for there may be thousands,
//! some with thousands of addresses.

use std::net::SocketAddr;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::time_text;
use crate::dns::Name;
use crate::dns::lookup::{Endpoint, Wanted};
use crate::dns::search::Written;
use crate::dns::watched::Known;

use super::{Corrupt, list, text};

/// What a name stood for when it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedName {
    /// What was looked up.
    pub wanted: Wanted,
    /// When the last good answer came, by the clock on the wall.
    pub at: SystemTime,
    /// What it said.
    pub known: Known,
}

/// A name as the state has it. Nothing in it has to be escaped but what JSON itself does.
pub fn name_json(wanted: &Wanted, at: SystemTime, found: &Name, all: &[Endpoint]) -> String {
    let (written, port) = match wanted {
        Wanted::Addresses(written, port) => (written, Some(*port)),
        Wanted::Services(written) => (written, None),
    };
    let row = |it: &Endpoint| {
        let target = it.target.as_str();
        json!([it.address.to_string(), target, it.priority, it.weight]).to_string()
    };
    let rows: Vec<String> = all.iter().map(row).collect();
    format!(
        "{{\"host\":{},\"port\":{},\"at\":{},\"found\":{},\"endpoints\":[{}]}}",
        json!(written.text()),
        json!(port),
        json!(time_text(at)),
        json!(found.as_str()),
        rows.join(",")
    )
}

/// The reverse, of a list in JSON. Whether somebody can be at the addresses is not asked here.
pub fn names_of(list: &Value) -> Result<Vec<SavedName>, Corrupt> {
    match list {
        // A version before knew nothing of it.
        Value::Null => Ok(Vec::new()),
        Value::Array(all) => all.iter().map(name_of).collect(),
        _ => Err(Corrupt("names are no list".to_owned())),
    }
}

fn name_of(row: &Value) -> Result<SavedName, Corrupt> {
    let corrupt = |what: &str| Corrupt(format!("{what} of a name is none"));
    let name = |text: &str, what: &str| Name::new(text).map_err(|_| corrupt(what));
    let written = Written::new(&text(row, "host")?).map_err(|_| corrupt("the host"))?;
    let small = |value: &Value| value.as_u64().and_then(|it| u16::try_from(it).ok());
    let wanted = match &row["port"] {
        Value::Null => Wanted::Services(written),
        port => Wanted::Addresses(written, small(port).ok_or_else(|| corrupt("the port"))?),
    };
    let at: jiff::Timestamp = text(row, "at")?.parse().map_err(|_| corrupt("the time"))?;
    let endpoint = |it: &Value| {
        let address: Option<SocketAddr> = it[0].as_str().and_then(|it| it.parse().ok());
        let weight = match &it[3] {
            Value::Null => None,
            it => Some(small(it).ok_or_else(|| corrupt("a weight"))?),
        };
        Ok(Endpoint {
            address: address.ok_or_else(|| corrupt("an address"))?,
            target: name(it[1].as_str().unwrap_or_default(), "a target")?,
            priority: small(&it[2]).ok_or_else(|| corrupt("a priority"))?,
            weight,
        })
    };
    let endpoints: Result<_, Corrupt> = list(row, "endpoints")?.iter().map(endpoint).collect();
    let found = name(&text(row, "found")?, "the complete form")?;
    Ok(SavedName {
        wanted,
        at: SystemTime::from(at),
        known: Known { name: found, endpoints: endpoints? },
    })
}
