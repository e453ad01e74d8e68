//! A service: what is done for those clients or requests that are its own, and the pool that they
//! go to.
//!
//! A listener's [`Choice`](super::Choice) says which of them that is. A service that is removed
//! takes nothing new; it stays for as long as clients are its own, who are served as it says.

use std::sync::Arc;

use crate::config::{ServiceSettings, WHOLE};
use crate::event::PoolId;
use crate::guard::ServiceGuard;
use crate::stats::traffic::Traffic;

use super::Rules;

/// One service.
#[derive(Debug)]
pub struct Service {
    /// What logs call it.
    pub name: Box<str>,
    /// Its timeouts and limits, and how it speaks HTTP.
    pub settings: ServiceSettings,
    /// What it asks of its clients and requests before all else.
    pub guard: ServiceGuard,
    /// What is done to its requests first, if anything is.
    pub rules: Option<Arc<Rules>>,
    /// The port to which requests in the clear are redirected, if they are.
    pub redirect_to: Option<u16>,
    /// Where its clients go; without a pool they are refused.
    pub pool: Option<PoolId>,
    /// The pool that gets a copy of each request as well, if one does; its answers are dropped.
    pub mirror: Option<PoolId>,
    /// Of how many of 10,000 requests.
    pub mirror_share: u32,
    /// How far it is to the next one of them, of 10,000.
    mirror_due: u32,
    /// Clients that are its own; they keep it from being freed.
    users: u64,
    /// What was done for them.
    pub traffic: Traffic,
}

impl Service {
    /// A service without clients.
    pub fn new(name: &str, settings: ServiceSettings, pool: Option<PoolId>) -> Service {
        let name = name.into();
        Service {
            name,
            settings,
            guard: ServiceGuard::default(),
            rules: None,
            redirect_to: None,
            pool,
            mirror: None,
            mirror_share: WHOLE,
            mirror_due: 0,
            users: 0,
            traffic: Traffic::default(),
        }
    }

    /// Whether no request is answered here, rules apart: each goes to a backend.
    #[inline]
    pub fn answers_nothing(&self) -> bool {
        let settings = &self.settings;
        settings.health_path.is_none()
            && settings.stats_path.is_none()
            && self.redirect_to.is_none()
    }

    /// The pool that gets a copy of this request: of a share the requests are spread evenly.
    #[inline]
    pub fn next_mirror(&mut self) -> Option<PoolId> {
        let pool = self.mirror?;
        self.mirror_due += self.mirror_share;
        if self.mirror_due < WHOLE {
            return None;
        }
        self.mirror_due -= WHOLE;
        Some(pool)
    }

    /// A client is its own from now on.
    pub fn enter(&mut self) {
        self.users += 1;
    }

    /// One is not any more. Says whether it was the last.
    pub fn exit(&mut self) -> bool {
        debug_assert!(self.users > 0, "more went than came");
        self.users = self.users.saturating_sub(1);
        self.users == 0
    }

    /// How many clients are its own.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// Whether nothing counts on it.
    pub fn is_free(&self) -> bool {
        self.users == 0
    }
}
