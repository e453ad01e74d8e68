//! What the balancer says of itself, as the picture needs it.

use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;

use super::api;
use crate::config::MAIN;

/// The demo's pool at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Who gets the next request.
    pub algorithm: String,
    /// In the order of the pool.
    pub backends: Vec<SeenBackend>,
}

/// A backend as the balancer sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeenBackend {
    /// As in the configuration.
    pub name: String,
    /// `up`, `down` and so on.
    pub state: String,
    /// Why it is not up.
    pub reason: Option<String>,
    /// Requests that it works on.
    pub active: u64,
    /// Requests that it was given since the start.
    pub requests: u64,
}

/// Asks for it.
pub fn look(admin: SocketAddr) -> io::Result<Seen> {
    let pool = api::get(admin, &format!("/api/v1/pools/{MAIN}"))?;
    let backends = api::get(admin, &format!("/api/v1/pools/{MAIN}/backends"))?;
    read(&pool, &backends).ok_or_else(|| Error::new(ErrorKind::InvalidData, "not understood"))
}

fn read(pool: &Value, backends: &Value) -> Option<Seen> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let backend = |it: &Value| {
        Some(SeenBackend {
            name: text(&it["name"])?,
            state: text(&it["state"])?,
            reason: text(&it["reason"]),
            active: it["active"].as_u64()?,
            requests: it["totals"]["requests"].as_u64()?,
        })
    };
    Some(Seen {
        algorithm: text(&pool["algorithm"])?,
        backends: backends["items"].as_array()?.iter().map(backend).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_api_says_is_understood() {
        let pool = json!({"name": "main", "algorithm": "first"});
        let backends = json!({"items": [{
            "name": "fast", "state": "down", "reason": "a connect refused", "active": 3,
            "totals": {"requests": 7},
        }]});
        let seen = Seen {
            algorithm: "first".to_owned(),
            backends: vec![SeenBackend {
                name: "fast".to_owned(),
                state: "down".to_owned(),
                reason: Some("a connect refused".to_owned()),
                active: 3,
                requests: 7,
            }],
        };
        assert_eq!(read(&pool, &backends), Some(seen));
        assert_eq!(read(&pool, &json!({"items": [{"name": 5}]})), None);
        assert_eq!(read(&json!({}), &backends), None);
    }
}
