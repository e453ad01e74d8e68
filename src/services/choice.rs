//! Which service takes a request: by its host, its path and conditions.
//!
//! ```text
//!   www.example.com     what is for that host
//!                         below the longest path that fits, else a shorter one, else any path
//!                         of those with one path: with the most conditions, all of which hold
//!                       else what is for *.example.com, then *.com: the longest that fits
//!                       else what is for any host
//! ```
//!
//! A host whose services do not fit leaves the request to the next less exact pattern. As in nginx
//! and HAProxy, `*.example.com` is every name below `example.com`, however deep, and not
//! `example.com` itself. A path ends at a slash: `/api` is not for `/apix`.
//!
//! Pure, and without allocation once it is made. A look-up hashes the host, the names above it of
//! which a pattern has as many labels, and the path cut at the slashes at which one may end: what a
//! client sends cannot make it more than the configuration has. The relays ask.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::config::{Condition, Facts, HostName, Match, Rank, RouteName};
use crate::limits::PATH_PREFIX_PARTS_MAX;

/// What to choose from, by which requests each is for. Where nothing tells two apart, the one that
/// was given first is chosen; `config::ties` finds those.
#[derive(Debug, Clone)]
pub struct Choice<T: Copy> {
    exact: HashMap<Box<[u8]>, Paths<T>>,
    /// By what follows the star and its dot.
    below: HashMap<Box<[u8]>, Paths<T>>,
    /// A bit for each number of labels that `below` has names of.
    below_labels: u128,
    any: Option<Paths<T>>,
    only: Option<T>,
}

/// What is for one host.
#[derive(Debug, Clone)]
struct Paths<T> {
    prefixes: HashMap<Box<[u8]>, Vec<Entry<T>>>,
    /// A bit for each number of parts that `prefixes` have, the lowest for one.
    parts: u32,
    /// Bytes of the longest of them.
    longest: usize,
    /// For every path.
    rest: Vec<Entry<T>>,
    /// What is for the host, if nothing else of a request is known.
    by_name: T,
    /// The rank of that, which is the lowest.
    least: Rank,
}

/// More conditions stand first.
#[derive(Debug, Clone)]
struct Entry<T> {
    conditions: Vec<Condition>,
    service: T,
}

impl<T: Copy> Choice<T> {
    /// From these, in any order.
    pub fn new(entries: impl IntoIterator<Item = (Match, T)>) -> Choice<T> {
        let mut entries: Vec<(Match, T)> = entries.into_iter().collect();
        entries.sort_by_key(|(matching, _)| Reverse(matching.rank()));
        let only = match &entries[..] {
            [(matching, service)] if *matching == Match::all() => Some(*service),
            _ => None,
        };
        let mut choice = Choice {
            exact: HashMap::new(),
            below: HashMap::new(),
            below_labels: 0,
            any: None,
            only,
        };
        for (matching, service) in entries {
            choice.add(matching, service);
        }
        choice
    }

    /// The service that takes the request, if any does.
    pub fn find(&self, facts: &impl Facts) -> Option<T> {
        if self.only.is_some() {
            return self.only;
        }
        let host = facts.host().and_then(HostName::of);
        let name = host.as_ref().map(HostName::bytes);
        self.hosts(name).find_map(|paths| paths.find(facts))
    }

    /// What is for a host of this name, as it is known from SNI: nothing else of the request is.
    /// Of several it is the one for every path, with the fewest conditions.
    pub fn find_name(&self, name: Option<&str>) -> Option<T> {
        let host = name.and_then(|name| HostName::of(name.as_bytes()));
        let name = host.as_ref().map(HostName::bytes);
        self.hosts(name).next().map(|paths| paths.by_name)
    }

    /// The service, if there is one that takes every request: nothing need be asked then.
    pub fn is_only(&self) -> Option<T> {
        self.only
    }

    /// Patterns that fit the host, the most exact first.
    fn hosts<'a>(&'a self, name: Option<&'a [u8]>) -> impl Iterator<Item = &'a Paths<T>> {
        let exact = name.and_then(|name| self.exact.get(name));
        let below = name.into_iter().flat_map(|name| self.hosts_below(name));
        exact.into_iter().chain(below).chain(&self.any)
    }

    fn hosts_below<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Paths<T>> {
        // Not even counted, if there is no such pattern.
        let name = if self.below.is_empty() { &[][..] } else { name };
        let is_dot = |byte: &u8| *byte == b'.';
        let mut labels = name.iter().filter(|byte| is_dot(byte)).count() as u32;
        let dots = name.iter().enumerate().filter(move |(_, byte)| is_dot(byte));
        dots.filter_map(move |(dot, _)| {
            // As many as there are behind this dot; a host is too short for 128.
            let bit = 1_u128.checked_shl(labels).unwrap_or(0);
            labels -= 1;
            let is_known = self.below_labels & bit != 0;
            if is_known { self.below.get(&name[dot + 1..]) } else { None }
        })
    }

    /// To be called in the order of ranks, the most exact first.
    fn add(&mut self, matching: Match, service: T) {
        let rank = matching.rank();
        let new = Paths {
            prefixes: HashMap::new(),
            parts: 0,
            longest: 0,
            rest: Vec::new(),
            by_name: service,
            least: rank,
        };
        let paths = match matching.host {
            RouteName::Exact(name) => self.exact.entry(name.into_bytes().into()).or_insert(new),
            RouteName::Below(name) => {
                let labels = name.split('.').count() as u32;
                self.below_labels |= 1_u128.checked_shl(labels).unwrap_or(0);
                self.below.entry(name.into_bytes().into()).or_insert(new)
            }
            RouteName::Others => self.any.get_or_insert(new),
        };
        if rank < paths.least {
            paths.by_name = service;
            paths.least = rank;
        }
        paths.add(matching.path, Entry { conditions: matching.conditions, service });
    }
}

impl<T: Copy> Paths<T> {
    fn find(&self, facts: &impl Facts) -> Option<T> {
        let below = if self.parts == 0 { None } else { self.find_below(facts) };
        below.or_else(|| fitting(&self.rest, facts))
    }

    fn find_below(&self, facts: &impl Facts) -> Option<T> {
        let path = facts.path();
        let most = (u32::BITS - self.parts.leading_zeros()) as usize;
        // Behind the longest prefix there is a slash or nothing; what comes then is not read.
        let near = path.get(..=self.longest).unwrap_or(path);
        let whole = (near.len() <= self.longest).then_some(near.len());
        let slashes = near.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        let mut cuts = [0; PATH_PREFIX_PARTS_MAX];
        let mut count = 0;
        for (cut, end) in cuts.iter_mut().take(most).zip(slashes.map(|(at, _)| at).chain(whole))
        {
            *cut = end;
            count += 1;
        }
        let longest_first = (0..count).rev().filter(|parts| self.parts & (1 << parts) != 0);
        longest_first
            .filter_map(|parts| self.prefixes.get(&path[..cuts[parts]]))
            .find_map(|entries| fitting(entries, facts))
    }

    fn add(&mut self, path: Option<String>, entry: Entry<T>) {
        let Some(path) = path else { return self.rest.push(entry) };
        let slashes = path.bytes().filter(|byte| *byte == b'/').count() as u32;
        self.parts |= 1_u32.checked_shl(slashes.saturating_sub(1)).unwrap_or(0);
        self.longest = self.longest.max(path.len());
        self.prefixes.entry(path.into_bytes().into()).or_default().push(entry);
    }
}

fn fitting<T: Copy>(entries: &[Entry<T>], facts: &impl Facts) -> Option<T> {
    let holds = |entry: &&Entry<T>| entry.conditions.iter().all(|it| it.holds(facts));
    entries.iter().find(holds).map(|entry| entry.service)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use fastrand::Rng;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    struct Request<'a> {
        host: Option<&'a str>,
        path: &'a str,
        method: &'a str,
        is_tls: bool,
    }

    impl Facts for Request<'_> {
        fn method(&self) -> &[u8] {
            self.method.as_bytes()
        }
        fn path(&self) -> &[u8] {
            self.path.as_bytes()
        }
        fn query(&self, _: &str) -> Option<&[u8]> {
            None
        }
        fn host(&self) -> Option<&[u8]> {
            self.host.map(str::as_bytes)
        }
        fn header(&self, _: &str) -> Option<&[u8]> {
            None
        }
        fn cookie(&self, _: &str) -> Option<&[u8]> {
            None
        }
        fn client(&self) -> IpAddr {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        fn sni(&self) -> Option<&str> {
            None
        }
        fn subject(&self) -> Option<&str> {
            None
        }
        fn listener(&self) -> &str {
            "main"
        }
        fn is_tls(&self) -> bool {
            self.is_tls
        }
    }

    fn get<'a>(host: &'a str, path: &'a str) -> Request<'a> {
        Request { host: Some(host), path, method: "GET", is_tls: false }
    }

    fn matching(host: &str, path: &str, conditions: &[&str]) -> Match {
        let name = match host.strip_prefix("*.") {
            Some(domain) => RouteName::Below(domain.to_owned()),
            None if host == "*" => RouteName::Others,
            None => RouteName::Exact(host.to_owned()),
        };
        Match {
            host: name,
            path: Match::parse_path(path).unwrap(),
            conditions: conditions.iter().map(|it| Condition::parse(it).unwrap()).collect(),
        }
    }

    /// Each service's number is its place in the list.
    fn choice(of: &[(&str, &str, &[&str])]) -> Choice<usize> {
        let all = of.iter().map(|(host, path, conditions)| matching(host, path, conditions));
        Choice::new(all.enumerate().map(|(number, it)| (it, number)))
    }

    #[test]
    fn the_most_exact_host_wins() {
        let choice = choice(&[
            ("*", "/", &[]),
            ("*.com", "/", &[]),
            ("*.example.com", "/", &[]),
            ("*.a.example.com", "/", &[]),
            ("example.com", "/", &[]),
            ("[::1]", "/", &[]),
            ("10.0.0.1", "/", &[]),
        ]);
        let table = [
            ("example.com", 4),
            ("EXAMPLE.com.:8080", 4),
            ("www.Example.com", 2),
            ("a.example.com", 2),
            ("b.c.example.com", 2),
            ("b.a.example.com:", 3),
            ("c.b.a.example.com", 3),
            ("wwwexample.com", 1),
            ("com", 0),
            ("example.org", 0),
            ("[::1]:8080", 5),
            ("[::1]", 5),
            ("[::2]", 0),
            ("10.0.0.1:80", 6),
            (&format!("{}.example.com", "a".repeat(241)), 2),
            (&format!("{}.example.com", "a".repeat(242)), 0),
            (&".".repeat(253), 0),
        ];
        for (host, number) in table {
            assert_eq!(choice.find(&get(host, "/")), Some(number), "{host}");
            assert_eq!(choice.find_name(Some(host)), Some(number), "{host}");
        }
        assert_eq!(choice.find(&Request { host: None, ..get("", "/") }), Some(0));
        assert_eq!(choice.find_name(None), Some(0));
    }

    #[test]
    fn the_longest_path_up_to_a_slash_wins() {
        let choice = choice(&[
            ("*", "/api", &[]),
            ("*", "/api/v1/users", &[]),
            ("*", "/b/c", &[]),
            ("*", "/b", &["method == 'PUT'"]),
        ]);
        let table = [
            ("/api", Some(0)),
            ("/api/", Some(0)),
            ("/api/x", Some(0)),
            ("/api//x", Some(0)),
            ("/apix", None),
            ("/ap", None),
            ("/API", None),
            ("//api", None),
            ("/", None),
            ("", None),
            ("*", None),
            ("/api/v1/user", Some(0)),
            ("/api/v1/users", Some(1)),
            ("/api/v1/usersx", Some(0)),
            ("/api/v1/users/7", Some(1)),
            ("/api/v1/users/7/8/9", Some(1)),
            ("/b/c/d", Some(2)),
            ("/b/d", None),
        ];
        for (path, number) in table {
            assert_eq!(choice.find(&get("a.example", path)), number, "{path}");
        }
        assert_eq!(choice.find(&Request { method: "PUT", ..get("", "/b/d") }), Some(3));
        assert_eq!(choice.is_only(), None);
    }

    #[test]
    fn who_does_not_fit_leaves_it_to_the_next_less_exact_one() {
        let choice = choice(&[
            ("a.b.example", "/api", &[]),
            ("*.b.example", "/", &["method == 'PUT'"]),
            ("*.b.example", "/", &["scheme == 'https'", "method == 'PUT'"]),
            ("*.example", "/x", &["method == 'GET'"]),
            ("*.example", "/x", &[]),
            ("*", "/", &["method != 'HEAD'"]),
        ]);
        let table = [
            ("/api", "GET", false, Some(0)),
            ("/x", "PUT", false, Some(1)),
            ("/x", "PUT", true, Some(2)),
            ("/x", "GET", false, Some(3)),
            ("/x", "HEAD", false, Some(4)),
            ("/y", "GET", true, Some(5)),
            ("/y", "HEAD", true, None),
        ];
        for (path, method, is_tls, number) in table {
            let request = Request { host: Some("a.b.example"), path, method, is_tls };
            assert_eq!(choice.find(&request), number, "{request:?}");
        }
    }

    #[test]
    fn by_name_alone_the_one_that_asks_for_least_is_found() {
        let choice = choice(&[
            ("a.example", "/", &["host", "sni"]),
            ("a.example", "/", &["sni"]),
            ("a.example", "/", &["host"]),
            ("a.example", "/api", &[]),
            ("b.example", "/api/v1", &[]),
            ("b.example", "/api", &[]),
            ("*.example", "/", &[]),
        ]);
        let table = [
            (Some("a.example"), Some(1)),
            (Some("b.example"), Some(5)),
            (Some("c.example"), Some(6)),
            (Some("example"), None),
            (None, None),
        ];
        for (name, number) in table {
            assert_eq!(choice.find_name(name), number, "{name:?}");
        }
    }

    #[test]
    fn the_only_one_for_everything_is_known() {
        assert_eq!(choice(&[("*", "/", &[])]).is_only(), Some(0));
        assert_eq!(choice(&[("*", "/", &[])]).find(&get("a", "/b")), Some(0));
        assert_eq!(choice(&[]).is_only(), None);
        assert_eq!(choice(&[]).find(&get("a", "/b")), None);
        assert_eq!(choice(&[]).find_name(Some("a")), None);
        let others: [&[(&str, &str, &[&str])]; 4] = [
            &[("a", "/", &[])],
            &[("*", "/a", &[])],
            &[("*", "/", &["host"])],
            &[("*", "/", &[]), ("a", "/", &[])],
        ];
        for of in others {
            assert_eq!(choice(of).is_only(), None, "{of:?}");
        }
    }

    /// Every match is scored, and the best one taken; of equal ones the first.
    fn plainly(matches: &[Match], request: &Request) -> Option<usize> {
        let host = request.host.map(|host| {
            let host = host.to_lowercase();
            let alone = host.strip_suffix(":80").unwrap_or(&host);
            alone.strip_suffix('.').unwrap_or(alone).to_owned()
        });
        let score = |matching: &Match| {
            let host = match (&matching.host, &host) {
                (RouteName::Others, _) => 0,
                (RouteName::Exact(name), Some(host)) if name == host => 1000,
                (RouteName::Below(name), Some(host)) if host.ends_with(&format!(".{name}")) => {
                    name.len()
                }
                _ => return None,
            };
            let below =
                |path: &str| format!("{}/", request.path).starts_with(&format!("{path}/"));
            let path = matching.path.as_deref().unwrap_or_default();
            if !below(path) || !matching.conditions.iter().all(|it| it.holds(request)) {
                return None;
            }
            Some((host, path.len(), matching.conditions.len()))
        };
        let scored =
            matches.iter().enumerate().filter_map(|(i, it)| Some((score(it)?, Reverse(i))));
        scored.max().map(|(_, Reverse(number))| number)
    }

    #[test]
    fn any_choice_is_the_best_of_all_matches() {
        let hosts = ["*", "*.a", "*.b.a", "*.a.b.a", "a", "b.a", "a.b.a", "a.a.b.a"];
        let paths = ["/", "/a", "/b", "/a/b", "/a/b/a", "/aa", "/a/a/a/a", "/b/a/b/a/b"];
        let conditions = ["method == 'GET'", "scheme == 'https'", "path ^= '/a'"];
        let mut random = Rng::with_seed(6);
        let mut found = [0, 0];
        for _ in 0..2_000 {
            let count = random.usize(..60);
            let one = |random: &mut Rng| {
                let asked = random.usize(..3);
                let conditions = random.choose_multiple(conditions, asked);
                let path = paths[random.usize(..paths.len())];
                matching(hosts[random.usize(..hosts.len())], path, &conditions)
            };
            let matches: Vec<Match> = (0..count).map(|_| one(&mut random)).collect();
            let numbered = matches.iter().cloned().enumerate();
            let choice = Choice::new(numbered.map(|(number, it)| (it, number)));
            for _ in 0..30 {
                let text = |random: &mut Rng, of: &[&str], most| -> String {
                    (0..random.usize(..most)).map(|_| of[random.usize(..of.len())]).collect()
                };
                let host = text(&mut random, &["a", ".", "b", ".a", "b.a", "A."], 5);
                let host = host + ["", ":80"][random.usize(..2)];
                let path = text(&mut random, &["/", "/a", "/b", "a", "/a/b"], 6);
                let request = Request {
                    host: (random.usize(..4) > 0).then_some(&host),
                    path: &format!("/{path}"),
                    method: ["GET", "PUT"][random.usize(..2)],
                    is_tls: random.bool(),
                };
                let wanted = plainly(&matches, &request);
                assert_eq!(choice.find(&request), wanted, "{request:?} {matches:?}");
                found[usize::from(wanted.is_some())] += 1;
            }
        }
        assert!(found.iter().all(|count| *count > 10_000), "{found:?}");
    }
}
