//! A server that registers itself: says again and again that it is there, and at last that it goes.
//!
//! Called by the demo's server; what it does is what a script with curl does, see
//! `docs/registration.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Body, Client, encoded};
use super::failure::{Failure, Outcome};

/// What is said, and to whom.
pub struct Heartbeat {
    client: Client,
    path: String,
    address: String,
    ttl: Duration,
}

/// How often it is looked whether the end has come.
const LOOK: Duration = Duration::from_millis(50);

impl Heartbeat {
    /// Of a server at this address, for a pool of the balancer whose API is at a place.
    pub fn new(
        place: &str,
        token: Option<String>,
        (pool, name): (&str, &str),
        address: String,
        ttl: Duration,
    ) -> Result<Heartbeat, String> {
        let client = Client::at(place, token, None).map_err(|it| line(&it))?;
        let path = format!("/api/v1/registrations/{}/{}", encoded(pool), encoded(name));
        Ok(Heartbeat { client, path, address, ttl })
    }

    /// Say so every third of the ttl until the end has come, then goodbye; who is being served is
    /// served on for another third.
    pub fn beat(&self, ends: &Arc<AtomicBool>) {
        let mut next = Instant::now();
        let mut told: Option<String> = None;
        while !ends.load(Ordering::Relaxed) {
            if next <= Instant::now() {
                next += self.ttl / 3;
                let failed = self.say("PUT").err().map(|it| line(&it));
                // Once, and not with each heartbeat.
                if failed != told {
                    match &failed {
                        Some(why) => log::warn!("cannot register: {why}"),
                        None => log::info!("registered at {}", self.path),
                    }
                    told = failed;
                }
            }
            thread::sleep(LOOK);
        }
        if let Err(why) = self.say("DELETE") {
            log::warn!("cannot say goodbye: {}", line(&why));
        }
        thread::sleep(self.ttl / 3);
    }

    fn say(&self, method: &str) -> Outcome {
        let millis = self.ttl.as_millis();
        let body = json!({
            "address": self.address,
            "ttl": format!("{millis}ms"),
            "report": "up ready",
        });
        let body = if method == "PUT" { Body::Json(body) } else { Body::None };
        self.client.ask(method, &self.path, body).map(|_| ())
    }
}

fn line(failure: &Failure) -> String {
    match failure {
        Failure::Usage(line) => line.clone(),
        Failure::Failed(lines) => lines.join("; "),
        Failure::Said | Failure::Closed => String::new(),
    }
}
