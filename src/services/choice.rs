//! Which service takes a client or a request of a listener: by the host that it asks for.
//!
//! As in nginx and HAProxy, `*.example.com` is every name below `example.com`, however deep, and
//! not `example.com` itself. Names come in lower case and without a dot at their end. Pure; the
//! relays ask.

use std::collections::HashMap;

use crate::config::{Match, RouteName};

/// What there is to choose from.
#[derive(Debug)]
pub struct Choice<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows the star and its dot.
    below: HashMap<Box<str>, T>,
    others: Option<T>,
}

impl<T: Copy> Choice<T> {
    /// Of these; of two that are for the same host the first.
    pub fn new(entries: impl IntoIterator<Item = (Match, T)>) -> Choice<T> {
        let mut choice = Choice { exact: HashMap::new(), below: HashMap::new(), others: None };
        for (entry, to) in entries {
            match entry.host {
                RouteName::Exact(name) => {
                    choice.exact.entry(name.into()).or_insert(to);
                }
                RouteName::Below(name) => {
                    choice.below.entry(name.into()).or_insert(to);
                }
                RouteName::Others => choice.others = choice.others.or(Some(to)),
            }
        }
        choice
    }

    /// The only one, if there is nothing to choose from.
    pub fn is_only(&self) -> Option<T> {
        self.others.filter(|_| self.exact.is_empty() && self.below.is_empty())
    }

    /// Where a client goes that asks for this name, or for none.
    pub fn find_name(&self, name: Option<&str>) -> Option<T> {
        let found =
            name.and_then(|name| self.exact.get(name).or_else(|| self.find_below(name)));
        found.copied().or(self.others)
    }

    fn find_below(&self, name: &str) -> Option<&T> {
        if self.below.is_empty() {
            return None;
        }
        let dots = name.match_indices('.');
        dots.map(|(at, _)| &name[at + 1..]).find_map(|rest| self.below.get(rest))
    }
}
