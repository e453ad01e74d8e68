//! Which pool a client is led to: by the name of a host, whoever read it and wherever.
//!
//! ```text
//!   www.example.com     the route of that name
//!                       else of *.example.com, else of *.com: the longest that fits
//!                       else of *; else the backends that belong to no route; else nobody
//! ```
//!
//! As in nginx and HAProxy, `*.example.com` is every name below `example.com`, however deep, and
//! not `example.com` itself. Names come in lower case and without a dot at their end. Pure; the
//! relays ask.

use std::collections::HashMap;

use crate::event::PoolId;

/// Where a route leads may be nowhere: the client is refused.
#[derive(Debug, Default)]
pub struct Routes {
    exact: HashMap<Box<str>, Option<PoolId>>,
    /// By what follows the star and its dot.
    below: HashMap<Box<str>, Option<PoolId>>,
    others: Option<PoolId>,
}

impl Routes {
    /// No route: all go there, or nowhere.
    pub fn new(others: Option<PoolId>) -> Routes {
        Routes { others, ..Routes::default() }
    }

    /// This name leads there.
    pub fn add(&mut self, name: &str, to: Option<PoolId>) {
        self.exact.insert(name.into(), to);
    }

    /// Every name below this one leads there.
    pub fn add_below(&mut self, name: &str, to: Option<PoolId>) {
        self.below.insert(name.into(), to);
    }

    /// Nothing leads to this pool any more: who was led there is refused.
    pub fn forget(&mut self, pool: PoolId) {
        let all = self.exact.values_mut().chain(self.below.values_mut());
        for to in all.chain([&mut self.others]) {
            if *to == Some(pool) {
                *to = None;
            }
        }
    }

    /// Where a client goes that asks for this name, or for none; `None` if nobody serves it.
    pub fn find(&self, name: Option<&str>) -> Option<PoolId> {
        let found =
            name.and_then(|name| self.exact.get(name).or_else(|| self.find_below(name)));
        found.map_or(self.others, |&to| to)
    }

    fn find_below(&self, name: &str) -> Option<&Option<PoolId>> {
        if self.below.is_empty() {
            return None;
        }
        let dots = name.match_indices('.');
        dots.map(|(at, _)| &name[at + 1..]).find_map(|rest| self.below.get(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(index: u32) -> Option<PoolId> {
        Some(PoolId::for_tests(index))
    }

    #[test]
    fn the_most_special_route_wins() {
        let mut routes = Routes::new(None);
        routes.add("example.com", pool(1));
        routes.add("www.example.com", pool(2));
        routes.add_below("example.com", pool(3));
        routes.add_below("a.example.com", pool(4));
        routes.add_below("com", pool(5));
        routes.add("closed.example.com", None);
        let table = [
            ("example.com", pool(1)),
            ("www.example.com", pool(2)),
            ("other.example.com", pool(3)),
            ("b.c.example.com", pool(3)),
            ("a.example.com", pool(3)),
            ("b.a.example.com", pool(4)),
            ("c.b.a.example.com", pool(4)),
            ("example2.com", pool(5)),
            ("wwwexample.com", pool(5)),
            ("closed.example.com", None),
            ("com", None),
            ("example.org", None),
            ("localhost", None),
        ];
        for (name, to) in table {
            assert_eq!(routes.find(Some(name)), to, "{name}");
        }
        assert_eq!(routes.find(None), None);
    }

    #[test]
    fn the_others_go_where_others_go() {
        let mut routes = Routes::new(pool(0));
        routes.add("a.example", pool(1));
        routes.add("closed.example", None);
        assert_eq!(routes.find(Some("b.example")), pool(0));
        assert_eq!(routes.find(None), pool(0));
        assert_eq!(routes.find(Some("a.example")), pool(1));
        assert_eq!(routes.find(Some("closed.example")), None, "told apart from the others");
    }
    #[test]
    fn nobody_is_led_to_a_pool_that_left() {
        let mut routes = Routes::new(pool(0));
        routes.add("a.example", pool(1));
        routes.add_below("a.example", pool(0));
        routes.forget(pool(0).unwrap());
        let found = ["a.example", "b.a.example", "c.example"].map(|it| routes.find(Some(it)));
        assert_eq!(found, [pool(1), None, None]);
    }
}
