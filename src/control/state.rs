//! What survives a restart, as a file of its own.
//!
//! ```text
//!   pointsman-state 1 LENGTH      name of the format, its version, how long the next part is
//!   {"generation": ...}           so many bytes of JSON
//!   crc32c 1a2b3c4d               CRC-32C of them
//! ```
//!
//! Nothing of it is needed to start: whatever is wrong with it is said, and it is left alone.

mod bans;
mod body;
mod files;
mod names;
mod told;

pub use bans::{SavedBan, ban_json, bans_of};
pub use body::{Body, Pieces};
pub use files::{Found, Saving, read, saving_mistake};
pub use names::{SavedName, name_json, names_of};
pub use told::{spec_json, spec_of};

use std::fmt;

use serde_json::{Map, Value, json};

use crate::config::Overlay;
use crate::limits::STATE_BYTES_MAX;
use crate::stats::BackendCounts;
use crate::takeover::{SumRow, sums_from_json, sums_json};

use body::{FORMAT, VERSION};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// How often what runs was changed.
    pub generation: u64,
    /// Whoever asks is told to send nobody here.
    pub is_drained: bool,
    /// What was told while it ran, beside what was configured then.
    pub overlay: Overlay,
    /// Backends that were up or down: where they start, until a probe has spoken.
    pub health: Vec<HealthHint>,
    /// What was counted of backends.
    pub counts: Vec<SavedCounts>,
    /// What the process counted, by name.
    pub totals: Vec<(String, u64)>,
    /// What was counted of services, of pools and of all else, by name.
    pub sums: Vec<SumRow>,
    /// Who registered; the loop reads it.
    pub registrations: Value,
    /// What names stood for: a list in JSON, written before, or empty.
    pub names: String,
    /// Who is banned: the same.
    pub bans: String,
}

/// How a backend was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthHint {
    /// Its pool's name.
    pub pool: String,
    /// Its own.
    pub backend: String,
    /// Rather than down.
    pub is_up: bool,
}

/// What was counted of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedCounts {
    /// Its pool's name.
    pub pool: String,
    /// Its own.
    pub backend: String,
    /// The numbers.
    pub counts: BackendCounts,
}

/// Why a state cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl State {
    /// As it stands in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_body().whole()
    }

    /// As it stands in the file, between its first line and its last.
    pub fn into_body(self) -> Body {
        let health = self.health.iter().map(|it| {
            let state = if it.is_up { "up" } else { "down" };
            json!({"pool": it.pool, "backend": it.backend, "state": state})
        });
        let counts = self.counts.iter().map(|it| {
            let mut row = Map::new();
            row.insert("pool".to_owned(), json!(it.pool));
            row.insert("backend".to_owned(), json!(it.backend));
            let mut counts = it.counts;
            for (name, count) in counts.numbers() {
                row.insert(name.to_owned(), json!(*count));
            }
            Value::Object(row)
        });
        let totals: Map<String, Value> =
            self.totals.iter().map(|(name, it)| (name.clone(), json!(it))).collect();
        let mut body = json!({
            "generation": self.generation,
            "drained": self.is_drained,
            "overrides": told::to_json(&self.overlay),
            "health": health.collect::<Vec<_>>(),
            "backends": counts.collect::<Vec<_>>(),
            "totals": totals,
            "sums": sums_json(&self.sums),
            "registrations": self.registrations,
        })
        .to_string();
        body.pop();
        body += ",\"names\":";
        let list = |it: String| if it.is_empty() { b"[]".to_vec() } else { it.into_bytes() };
        let between = b",\"bans\":".to_vec();
        let [names, bans] = [self.names, self.bans].map(list);
        Body([body.into_bytes(), names, between, bans, b"}".to_vec()])
    }

    /// What a file says. The newline at its end may be missing.
    pub fn parse(bytes: &[u8]) -> Result<State, Corrupt> {
        let body = checked(bytes)?;
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Corrupt(error.to_string()))?;
        let number = |of: &Value, name: &str| {
            of[name].as_u64().ok_or_else(|| Corrupt(format!("{name} is no number")))
        };
        let health = list(&value, "health")?.iter().map(|it| {
            let is_up = match it["state"].as_str() {
                Some("up") => true,
                Some("down") => false,
                _ => return Err(Corrupt("a state that is neither up nor down".to_owned())),
            };
            Ok(HealthHint { pool: text(it, "pool")?, backend: text(it, "backend")?, is_up })
        });
        let counts = list(&value, "backends")?.iter().map(|it| {
            let mut counts = BackendCounts::default();
            // One that an older version did not count begins at 0.
            for (name, count) in
                counts.numbers().into_iter().filter(|(at, _)| !it[at].is_null())
            {
                *count = number(it, name)?;
            }
            Ok(SavedCounts { pool: text(it, "pool")?, backend: text(it, "backend")?, counts })
        });
        let totals = value["totals"].as_object();
        let totals = totals.ok_or_else(|| Corrupt("totals are no object".to_owned()))?;
        let is_drained = value["drained"].as_bool();
        Ok(State {
            generation: number(&value, "generation")?,
            is_drained: is_drained
                .ok_or_else(|| Corrupt("drained is no truth value".to_owned()))?,
            overlay: told::from_json(list(&value, "overrides")?)?,
            health: health.collect::<Result<_, Corrupt>>()?,
            counts: counts.collect::<Result<_, Corrupt>>()?,
            totals: totals
                .iter()
                .map(|(name, _)| Ok((name.clone(), number(&value["totals"], name)?)))
                .collect::<Result<_, Corrupt>>()?,
            sums: sums_from_json(&value["sums"]).map_err(|wrong| Corrupt(wrong.0))?,
            registrations: value["registrations"].clone(),
            names: match names_of(&value["names"])?.is_empty() {
                true => String::new(),
                false => value["names"].to_string(),
            },
            bans: match bans_of(&value["bans"])?.is_empty() {
                true => String::new(),
                false => value["bans"].to_string(),
            },
        })
    }
}

/// What is between the first and the last line, if these say that it is whole.
fn checked(bytes: &[u8]) -> Result<&[u8], Corrupt> {
    let corrupt = |why: &str| Corrupt(why.to_owned());
    if bytes.len() as u64 > STATE_BYTES_MAX {
        return Err(corrupt("it is too large"));
    }
    let end = bytes.iter().position(|&it| it == b'\n');
    let (first, rest) = bytes.split_at(end.ok_or_else(|| corrupt("it is cut off"))?);
    let rest = &rest[1..];
    let first = std::str::from_utf8(first).map_err(|_| corrupt("its first line is no text"))?;
    let words: Vec<&str> = first.split(' ').collect();
    let length = match words[..] {
        [FORMAT, VERSION, length] => length,
        [FORMAT, version, _] => {
            return Err(Corrupt(format!("its version is {version}, want {VERSION}")));
        }
        _ => return Err(corrupt("its first line is not that of a state file")),
    };
    let count: usize = length.parse().map_err(|_| corrupt("its length is no number"))?;
    if count.to_string() != length {
        return Err(corrupt("its length is no plain number"));
    }
    let body = rest.get(..count).ok_or_else(|| corrupt("it is cut off"))?;
    let last = &rest[count..];
    let sum = format!("\ncrc32c {:08x}", crc32c::crc32c(body));
    let last = last.strip_suffix(b"\n").unwrap_or(last);
    if last != sum.as_bytes() {
        return Err(corrupt("its checksum does not fit"));
    }
    Ok(body)
}

fn list<'a>(of: &'a Value, name: &str) -> Result<&'a [Value], Corrupt> {
    let found = of[name].as_array();
    found.map(Vec::as_slice).ok_or_else(|| Corrupt(format!("{name} is no list")))
}

fn text(of: &Value, name: &str) -> Result<String, Corrupt> {
    let found = of[name].as_str();
    found.map(str::to_owned).ok_or_else(|| Corrupt(format!("{name} is no text")))
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
