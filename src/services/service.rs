//! A service: what is done for those clients or requests that are its own, and the pool that they
//! go to.
//!
//! A listener's [`Choice`](super::Choice) says which of them that is. A service that is removed
//! takes nothing new; it stays for as long as clients are its own, who are served as it says.

use std::sync::Arc;

use crate::config::ServiceSettings;
use crate::event::PoolId;

use super::Rules;

/// One service.
#[derive(Debug)]
pub struct Service {
    /// What logs call it.
    pub name: Box<str>,
    /// Its timeouts and limits, and how it speaks HTTP.
    pub settings: ServiceSettings,
    /// What is done to its requests first, if anything is.
    pub rules: Option<Arc<Rules>>,
    /// The port to which requests in the clear are redirected, if they are.
    pub redirect_to: Option<u16>,
    /// Where its clients go; without a pool they are refused.
    pub pool: Option<PoolId>,
    /// Clients that are its own; they keep it from being freed.
    users: u64,
}

impl Service {
    /// A service without clients.
    pub fn new(name: &str, settings: ServiceSettings, pool: Option<PoolId>) -> Service {
        Service { name: name.into(), settings, rules: None, redirect_to: None, pool, users: 0 }
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
