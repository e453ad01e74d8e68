//! Bans, as JSON and back. They are written one by one, for there may be tens of thousands.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::{Cidr, time_text};
use crate::guard::bans::Ban;

use super::{Corrupt, text};

/// A ban that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedBan {
    /// Of this network.
    pub network: Cidr,
    /// Until then, by the clock on the wall.
    pub ends: SystemTime,
    /// Since when.
    pub since: SystemTime,
    /// For people.
    pub why: String,
    /// Who said so.
    pub by: String,
}

/// A ban as the state has it.
pub fn ban_json(network: Cidr, ban: &Ban) -> Value {
    json!({
        "network": network.to_string(),
        "until": time_text(ban.ends),
        "since": time_text(ban.since),
        "why": ban.why,
        "by": ban.by,
    })
}

/// The reverse, of a list in JSON.
pub fn bans_of(list: &Value) -> Result<Vec<SavedBan>, Corrupt> {
    let list = match list {
        Value::Null => &[],
        Value::Array(list) => list.as_slice(),
        _ => return Err(Corrupt("bans are no list".to_owned())),
    };
    let time = |of: &Value, name: &str| {
        let at: jiff::Timestamp =
            text(of, name)?.parse().map_err(|_| Corrupt("a time that is none".to_owned()))?;
        Ok(SystemTime::from(at))
    };
    let bans = list.iter().map(|it| {
        let network = Cidr::parse(&text(it, "network")?);
        Ok(SavedBan {
            network: network.map_err(|wrong| Corrupt(wrong.to_string()))?,
            ends: time(it, "until")?,
            since: time(it, "since")?,
            why: text(it, "why")?,
            by: text(it, "by")?,
        })
    });
    bans.collect()
}
