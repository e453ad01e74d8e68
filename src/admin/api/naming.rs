//! The names of backends, and what DNS says of them.

use serde_json::{Value, json};

use super::super::view::View;
use crate::limits::NAMES_SHOWN_MAX;

/// Those that fail first, then in the order of the alphabet; of very many the first.
pub fn names(view: &View<'_>) -> Value {
    let mut all: Vec<_> = view.resolver.names().collect();
    let count = all.len();
    all.sort_unstable_by(|one, other| {
        let is_good = |it: &crate::resolver::NameNow<'_>| it.failing.is_none();
        is_good(one).cmp(&is_good(other)).then_with(|| one.name.cmp(other.name))
    });
    all.truncate(NAMES_SHOWN_MAX);
    let now = view.cx.now;
    let items: Vec<Value> = all
        .iter()
        .map(|it| {
            json!({
                "name": it.name,
                "members": it.members,
                "age_s": it.good_at.map(|at| now.saturating_duration_since(at).as_secs()),
                "from_state": it.is_recalled,
                "due_s": it.due.saturating_duration_since(now).as_secs(),
                "failing": it.failing,
            })
        })
        .collect();
    json!({"items": items, "count": count})
}
