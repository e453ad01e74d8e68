//! What the limits by client of all listeners and services have in common.

use std::hash::{BuildHasher, RandomState};

use super::key::Secret;
use super::terms::Terms;
use crate::config::{LimitBy, LimitSettings};
use crate::limits::LIMIT_WAYS;

/// What the limits of all listeners and services have in common.
#[derive(Debug)]
pub struct Common {
    /// What the operator asked for.
    pub settings: LimitSettings,
    /// When that was, as [`super::Guard::time`] has it.
    pub changed_at: u64,
    secret: Secret,
}

/// What cannot be changed of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub slots: usize,
    pub ipv6_prefix: u8,
}

impl Default for Common {
    /// Nothing was asked for yet. The secret is out of what the system gives at random: nothing
    /// else is made of it, so nobody learns anything of it.
    fn default() -> Common {
        let random = RandomState::new();
        let half = |n: u8| u128::from(random.hash_one(n));
        let secret = Secret::of(half(0) << 64 | half(1));
        Common { settings: LimitSettings::DEFAULT, changed_at: 0, secret }
    }
}

impl Common {
    /// Under which secret clients are hashed.
    pub(super) fn secret(&self) -> Secret {
        self.secret
    }

    /// The shape that a table has which is made now.
    pub(super) fn shape(&self, by: &LimitBy, terms: &Terms) -> Shape {
        let slots = match by {
            LimitBy::Service => LIMIT_WAYS,
            _ => self.settings.clients as usize,
        };
        Shape { slots, ipv6_prefix: terms.ipv6_prefix }
    }
}
