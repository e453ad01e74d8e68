//! Whether two conditions can never both be true, as far as that is easily seen.
//!
//! Each part of one is compared with each of the other at most once.

use super::Expression::{self, All, Any, ClientIn, Not};
use crate::config::Cidr;

/// Whether certainly nothing fulfils both.
pub fn excludes(one: &Expression, other: &Expression) -> bool {
    match (one, other) {
        (Not(part), it) | (it, Not(part)) if implies(it, part) => true,
        // What is one of several must be none of them, so these come first.
        (Any(parts), _) => parts.iter().all(|part| excludes(part, other)),
        (_, Any(parts)) => parts.iter().all(|part| excludes(one, part)),
        (All(parts), _) => parts.iter().any(|part| excludes(part, other)),
        (_, All(parts)) => parts.iter().any(|part| excludes(one, part)),
        (ClientIn(these), ClientIn(those)) => {
            !these.iter().any(|one| those.iter().any(|other| overlap(one, other)))
        }
        (Expression::Test(one), Expression::Test(other)) => one.excludes(other),
        _ => false,
    }
}

/// Whether the second is certainly true where the first is.
fn implies(one: &Expression, other: &Expression) -> bool {
    match (one, other) {
        (Expression::Test(one), Expression::Test(other)) => one.implies(other),
        (ClientIn(these), ClientIn(those)) => {
            these.iter().all(|inner| those.iter().any(|outer| is_within(inner, outer)))
        }
        _ => one == other,
    }
}

fn overlap(one: &Cidr, other: &Cidr) -> bool {
    one.contains(other.address) || other.contains(one.address)
}

fn is_within(inner: &Cidr, outer: &Cidr) -> bool {
    outer.prefix <= inner.prefix && outer.contains(inner.address)
}
