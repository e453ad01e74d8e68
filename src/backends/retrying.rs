//! Which requests may be tried again, by the budget of their pool.

use std::time::Instant;

use log::warn;

use crate::config::SettingKey;
use crate::event::PoolId;

use super::retry_budget::Spent;
use super::{Backends, Pool};

impl Backends {
    /// A backend of this pool is asked for a request, or for a connection of TCP; not again.
    #[inline]
    pub fn count_request(&mut self, pool: Option<PoolId>, now: Instant) {
        if let Some(pool) = pool.and_then(|id| self.pools.get_mut(id)) {
            pool.budget.request(now);
        }
    }

    /// A backend failed one of them, and another is to be tried: whether the pool has budget for
    /// that. If it has, there is one less from now on.
    pub fn may_retry(&mut self, pool: Option<PoolId>, now: Instant) -> bool {
        let words = self.spelling;
        let Some(pool) = pool.and_then(|id| self.pools.get_mut(id)) else { return true };
        let percent = pool.settings.retry_percent();
        if pool.budget.retry(percent, now) == Spent::Allowed {
            return true;
        }
        if pool.budget.is_to_be_told(now) {
            let label = pool.label();
            let count = pool.budget.refused;
            let setting = (words.name)(SettingKey::RETRY_BUDGET);
            warn!(
                "{label}: too many retries for its budget: {count} refused so far: {setting}"
            );
        }
        false
    }
}

impl Pool {
    /// How many retries there were, ever.
    pub fn retries(&self) -> u64 {
        self.budget.allowed
    }

    /// How many there were not, for want of budget.
    pub fn retries_over_budget(&self) -> u64 {
        self.budget.refused
    }
}
