//! What is added to the heads of messages, by whose they are.

use super::{Context, Home, Services};
use crate::backends::Backends;
use crate::http::added::{Added, Proto};

impl Context {
    /// What is added to heads for clients that are there and speak so.
    pub fn added(&self, home: Home, proto: Proto) -> Added<'_> {
        added(&self.services, &self.backends, home, proto)
    }
}

/// What is added to heads by a service and by its pool, for clients that speak so.
pub fn added<'a>(
    services: &'a Services,
    backends: &'a Backends,
    home: Home,
    proto: Proto,
) -> Added<'a> {
    let service = home.service.and_then(|id| services.get(id));
    let cookie = backends.pool(home.pool).and_then(|pool| pool.cookie());
    match service {
        Some(service) => Added::of(&service.settings, cookie, proto),
        None => Added::NONE,
    }
}
