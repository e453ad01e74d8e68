//! A mistake in a file: what was found, what would be right, and where.

use crate::config::Spot;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes that are wrong; `None` if it is none in particular.
    pub at: Option<Spot>,
    /// What is wrong: one line, without a place.
    pub says: String,
    /// What would be right, if that can be said below the place.
    pub hint: Option<String>,
}

impl Mistake {
    /// This is wrong there.
    pub fn at(at: Spot, says: impl Into<String>) -> Mistake {
        Mistake { at: Some(at), says: says.into(), hint: None }
    }

    /// The same, and that would be right.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Mistake {
        Mistake { hint: Some(hint.into()), ..self }
    }
}
