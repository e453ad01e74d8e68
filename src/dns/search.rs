//! Under which complete names a name is looked for, in order, as the libc does.
//!
//! ```text
//!   search a.example b.example, ndots 1
//!   db         ->  db.a.example  db.b.example  db
//!   db.eu      ->  db.eu  db.eu.a.example  db.eu.b.example
//!   db.eu.     ->  db.eu
//! ```

use super::{Name, name};
use crate::limits::DNS_CANDIDATES_MAX;

/// A name as an operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Written {
    name: Name,
    /// Whether it has a dot at its end.
    is_complete: bool,
}

impl Written {
    /// Reads one.
    pub fn new(text: &str) -> Result<Written, name::Why> {
        Ok(Written { name: Name::new(text)?, is_complete: text.ends_with('.') })
    }

    /// Without a dot at its end.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// As it was written, in lower case.
    pub fn text(&self) -> String {
        format!("{}{}", self.name, if self.is_complete { "." } else { "" })
    }

    /// The names that are asked for one after the other until one is there. Never empty.
    pub fn candidates(&self, search: &[Name], ndots: u8) -> Vec<Name> {
        if self.is_complete {
            return vec![self.name.clone()];
        }
        let mut candidates: Vec<Name> =
            search.iter().filter_map(|domain| self.name.under(domain)).collect();
        candidates.truncate(DNS_CANDIDATES_MAX - 1);
        let is_first = self.name.dots() >= usize::from(ndots);
        let at = if is_first { 0 } else { candidates.len() };
        candidates.insert(at, self.name.clone());
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_looked_for_under_the_search_list_first() {
        let search = ["a.example", "b.example"].map(|text| Name::new(text).unwrap());
        let table: [(&str, u8, &[&str]); 6] = [
            ("db", 1, &["db.a.example", "db.b.example", "db"]),
            ("db", 0, &["db", "db.a.example", "db.b.example"]),
            ("db.eu", 1, &["db.eu", "db.eu.a.example", "db.eu.b.example"]),
            ("db.eu", 5, &["db.eu.a.example", "db.eu.b.example", "db.eu"]),
            ("db.eu.", 5, &["db.eu"]),
            ("db.", 1, &["db"]),
        ];
        for (text, ndots, want) in table {
            let candidates = Written::new(text).unwrap().candidates(&search, ndots);
            let candidates: Vec<&str> = candidates.iter().map(Name::as_str).collect();
            assert_eq!(candidates, want, "{text} with ndots {ndots}");
        }
    }

    #[test]
    fn a_domain_that_would_make_a_name_too_long_is_left_out() {
        let long = ["a".repeat(60).as_str(); 4].join(".");
        let search = [Name::new(&long).unwrap()];
        let written = Written::new("a-rather-long-label").unwrap();
        assert_eq!(written.candidates(&search, 1), [written.name().clone()]);
    }
}
