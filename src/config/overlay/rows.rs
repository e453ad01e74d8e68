//! What was told and differs from the base, as a table.

use super::{Mark, Told};

/// A row of what differs from the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideRow<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The backend's.
    pub backend: &'a str,
    /// `weight`, `address` ..., or `backend` if it is there or not as a whole.
    pub member: &'static str,
    /// As the base has it.
    pub configured: String,
    /// As it was told.
    pub told: String,
    /// Who told it.
    pub mark: &'a Mark,
}

impl Told {
    /// What differs of a backend, a row each.
    pub fn rows<'a>(&'a self, pool: &'a str, backend: &'a str) -> Vec<OverrideRow<'a>> {
        let whole = |configured: String, told: String, mark| {
            vec![OverrideRow { pool, backend, member: "backend", configured, told, mark }]
        };
        match self {
            Told::Added { spec, mark, .. } => {
                whole("none".to_owned(), spec.at.to_string(), mark)
            }
            Told::Removed { configured, mark } => {
                whole(configured.at.to_string(), "removed".to_owned(), mark)
            }
            Told::Changed { configured, told, marks } => marks
                .iter()
                .map(|(member, mark)| OverrideRow {
                    pool,
                    backend,
                    member: member.word(),
                    configured: member.text(configured),
                    told: member.text(told),
                    mark,
                })
                .collect(),
        }
    }
}
