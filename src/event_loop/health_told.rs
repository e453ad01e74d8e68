//! What operators say of a backend's health, and what they are told of it.

use std::time::SystemTime;

use serde_json::json;

use crate::admin::change::HealthTold;
use crate::admin::place::Place;
use crate::backends::Flip;
use crate::event::ServerId;

use super::EventLoop;

impl EventLoop {
    /// An operator knows better than the probes, until the next of them.
    pub(super) fn tell_health(&mut self, place: &Place, told: HealthTold) {
        let pool = self.directory.pool(&place.pool);
        let found = pool.and_then(|it| self.directory.backend(it, &place.name));
        let Some(server) = found.map(|it| it.server) else { return };
        let now = self.cx.now;
        match told {
            HealthTold::Up => self.cx.backends.told(server, true, now),
            HealthTold::Down => self.cx.backends.told(server, false, now),
            HealthTold::Checked => self.cx.backends.set_checked(server, true, now),
            HealthTold::Unchecked => {
                self.cx.backends.set_checked(server, false, now);
                self.health.pause(server, &self.cx);
            }
        }
    }

    /// Backends went up or down, for whoever listens.
    pub(super) fn tell_flips(&mut self, flips: &[(ServerId, Flip)]) {
        if self.admin.listeners.is_empty() {
            return;
        }
        for &(id, flip) in flips {
            let Some(server) = self.cx.backends.get(id) else { continue };
            let data = match flip {
                Flip::Up => json!({"backend": server.name, "health": "up"}),
                Flip::Down => json!({
                    "backend": server.name,
                    "health": "down",
                    "reason": server.down_reason,
                }),
            };
            self.admin.events.push("health", data, SystemTime::now());
        }
    }
}
