//! What a rule says of somebody whom it does not let in.

use std::num::NonZeroU32;

use super::rules::RuleId;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// By this rule.
    pub rule: RuleId,
    /// What that says of it.
    pub kind: RefusalKind,
    /// Whether the limit counts this client alone. If others use it up as well, the refusal is no
    /// fault of this client, and no strike.
    pub is_own: bool,
    /// In so many seconds it may be tried again, if that is known.
    pub retry_after: Option<NonZeroU32>,
}

/// What a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// That it may not, now or later: 403.
    Denied,
    /// That it was too much: 429.
    Limited,
}
