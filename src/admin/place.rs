//! A backend of a pool, by their names.

/// Which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The pool's name.
    pub pool: String,
    /// Its own.
    pub name: String,
}

impl Place {
    /// A backend of a pool.
    pub fn new(pool: &str, name: &str) -> Place {
        Place { pool: pool.to_owned(), name: name.to_owned() }
    }
}
