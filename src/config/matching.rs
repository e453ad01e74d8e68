//! Which requests a service takes: those for a host, below a path, under conditions; and which of
//! two services takes a request that both could.
//!
//! ```text
//!   the more exact host, else the longer path, else more conditions       (see Rank)
//! ```
//!
//! Two services of which neither comes before the other are a tie, which is said when the
//! configuration is checked. Pure; `services::choice` does the same for one request.

use std::collections::HashMap;
use std::fmt;

use super::complaint::Wrong;
use super::condition::Condition;
use super::route::RouteName;
use super::text::{escaped, quoted};
use crate::limits::{PATH_PREFIX_BYTES_MAX, PATH_PREFIX_PARTS_MAX};

const PATH_WANT: &str = "the beginning of a path such as /api, or / for all";

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// For which host.
    pub host: RouteName,
    /// Below which path, as [`Match::parse_path`] reads it; `None` is every path.
    pub path: Option<String>,
    /// What must hold as well, each of them.
    pub conditions: Vec<Condition>,
}

/// How exactly a match says what it wants: of two that fit a request, the greater one has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    host: HostRank,
    path_bytes: usize,
    conditions: usize,
}

/// Of two patterns with a star that fit one host, the longer one is within the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Any,
    Below(usize),
    Exact,
}

/// Two services that both take a request, of which neither is more exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie<'a> {
    /// The name of the service that comes first, in the order in which they were given.
    pub first: &'a str,
    /// The name of the other service.
    pub second: &'a str,
    /// What the second matches; the first has the same host and path.
    pub at: &'a Match,
}

impl Match {
    /// Every request.
    pub fn all() -> Match {
        Match { host: RouteName::Others, path: None, conditions: Vec::new() }
    }

    /// The beginning of a path, up to a slash or its end: `/api` is for `/api`, `/api/` and
    /// `/api/x`, not for `/apix`. `/api/` is the same; `/` is for all, and so `None`. Paths are
    /// compared as they are sent: in either case of letters, and nothing is decoded.
    pub fn parse_path(text: &str) -> Result<Option<String>, Wrong> {
        let Some(inside) = text.strip_prefix('/') else {
            return Err(Wrong::found(text, format!("{PATH_WANT}: it begins with a slash")));
        };
        let wrong = |want: String| Err(Wrong::found(text, want));
        if text.len() > PATH_PREFIX_BYTES_MAX {
            return wrong(format!("at most {PATH_PREFIX_BYTES_MAX} bytes"));
        }
        if text.contains(['?', '#']) {
            return wrong(format!("{PATH_WANT}, without a query"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong(format!("{PATH_WANT}, with escapes such as %20 as they are sent"));
        }
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        if let Some(before) = inside.strip_suffix('*') {
            let before = before.strip_suffix('/').unwrap_or(before);
            let hint = format!("did you mean /{}?", escaped(before));
            return wrong(format!("{PATH_WANT}: all below it is meant without a star; {hint}"));
        }
        if inside.is_empty() && text.len() <= 1 {
            return Ok(None);
        }
        if inside.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong(format!("{PATH_WANT}, without empty parts, . or .."));
        }
        if inside.split('/').count() > PATH_PREFIX_PARTS_MAX {
            return wrong(format!("at most {PATH_PREFIX_PARTS_MAX} parts between slashes"));
        }
        Ok(Some(format!("/{inside}")))
    }

    /// How exact it is.
    pub fn rank(&self) -> Rank {
        let host = match &self.host {
            RouteName::Exact(_) => HostRank::Exact,
            RouteName::Below(domain) => HostRank::Below(domain.len()),
            RouteName::Others => HostRank::Any,
        };
        let path_bytes = self.path.as_ref().map_or(0, String::len);
        Rank { host, path_bytes, conditions: self.conditions.len() }
    }

    fn excludes(&self, other: &Match) -> bool {
        let excludes = |one: &Condition| other.conditions.iter().any(|it| one.excludes(it));
        self.conditions.iter().any(excludes)
    }
}

/// Host and path; conditions are only counted.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path.as_deref().unwrap_or("/"))?;
        match self.conditions.len() {
            0 => Ok(()),
            1 => write!(f, " under a condition"),
            count => write!(f, " under {count} conditions"),
        }
    }
}

impl Tie<'_> {
    /// What is wrong with that.
    pub fn wrong(&self) -> Wrong {
        let first = quoted(self.first);
        let second = quoted(self.second);
        let found = format!("the services {first} and {second} both for {}", self.at);
        let want = match self.at.conditions.len() {
            0 => "another host, a longer path or a condition at one of them",
            _ => {
                "another host, a longer path or one condition more at one of them, or conditions \
                 that exclude each other, such as one thing compared with two texts"
            }
        };
        Wrong::saying(found, want)
    }
}

/// The ties between services, which are given by name with what each matches; a service may be
/// there several times. Of several ties of one match the first is told.
pub fn ties<'a>(matches: &[(&'a str, &'a Match)]) -> Vec<Tie<'a>> {
    let mut alike: HashMap<_, Vec<(&str, &Match)>> = HashMap::new();
    let mut ties = Vec::new();
    for &(second, at) in matches {
        let group = alike.entry((&at.host, &at.path, at.conditions.len())).or_default();
        let mut others = group.iter().filter(|(name, _)| *name != second);
        if let Some(&(first, _)) = others.find(|(_, other)| !at.excludes(other)) {
            ties.push(Tie { first, second, at });
        }
        group.push((second, at));
    }
    ties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(host: &str, path: &str, conditions: &[&str]) -> Match {
        Match {
            host: RouteName::parse(host).unwrap(),
            path: Match::parse_path(path).unwrap(),
            conditions: conditions.iter().map(|it| Condition::parse(it).unwrap()).collect(),
        }
    }

    #[test]
    fn paths_end_at_a_slash() {
        let table = [
            ("/", None),
            ("/api", Some("/api")),
            ("/api/", Some("/api")),
            ("/Api/v1.2/~a;b=c/%20", Some("/Api/v1.2/~a;b=c/%20")),
            ("/...", Some("/...")),
        ];
        for (text, path) in table {
            assert_eq!(Match::parse_path(text), Ok(path.map(str::to_owned)), "{text}");
        }
        let deep = "/a".repeat(PATH_PREFIX_PARTS_MAX);
        assert!(Match::parse_path(&format!("{deep}/")).is_ok());
        let table = [
            ("", "found nothing, want the beginning of a path such as /api, or / for all: it"),
            ("api", "it begins with a slash"),
            ("*", "it begins with a slash"),
            ("/api?x", "without a query"),
            ("/a b", "with escapes such as %20"),
            ("/\u{e9}", "with escapes such as %20"),
            ("/api/*", "did you mean /api?"),
            ("/api*", "did you mean /api?"),
            ("/*", "did you mean /?"),
            ("//", "without empty parts"),
            ("/api//", "without empty parts"),
            ("/api//v1", "without empty parts"),
            ("/a/../b", "without empty parts, . or .."),
            ("/./", "without empty parts, . or .."),
            (&format!("{deep}/b"), "at most 16 parts"),
            (&"/a".repeat(1000), "at most 1024 bytes"),
        ];
        for (text, says) in table {
            let wrong = Match::parse_path(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }

    #[test]
    fn the_host_comes_first_then_the_path_then_the_conditions() {
        let ranked = [
            matching("*", "/", &[]),
            matching("*", "/", &["host", "sni"]),
            matching("*", "/long/path", &[]),
            matching("*.com", "/", &[]),
            matching("*.example.com", "/", &[]),
            matching("*.example.com", "/a", &[]),
            matching("*.a.example.com", "/", &[]),
            matching("a.com", "/", &[]),
            matching("a.com", "/", &["host"]),
            matching("a.com", "/a", &[]),
        ];
        assert!(ranked.is_sorted_by(|less, more| less.rank() < more.rank()));
        let other = matching("other.example", "/b", &[]);
        assert_eq!(ranked[9].rank(), other.rank(), "the same, and for other requests");
    }

    #[test]
    fn services_that_nothing_tells_apart_are_a_tie() {
        let get = matching("*", "/", &["method == 'GET'"]);
        let put = matching("*", "/", &["method == 'PUT'"]);
        let beta = matching("*", "/", &["header('beta')"]);
        let more = matching("*", "/", &["header('beta')", "method == 'GET'"]);
        let more_put = matching("*", "/", &["method == 'PUT'", "header('beta')"]);
        let plain = matching("a.example", "/api", &[]);
        let same = matching("A.example.", "/api/", &[]);
        let other = matching("a.example", "/ap", &[]);
        let below = matching("*.example", "/api", &[]);
        type Case<'a> = (&'a [&'a Match], &'a [(usize, usize)]);
        let table: [Case<'_>; 9] = [
            (&[], &[]),
            (&[&get, &put, &more], &[]),
            (&[&get, &beta], &[(0, 1)]),
            (&[&get, &put, &get], &[(0, 2)]),
            (&[&get, &put, &beta], &[(0, 2)]),
            (&[&more, &more_put], &[]),
            (&[&more, &beta], &[]),
            (&[&plain, &other, &below, &same], &[(0, 3)]),
            (&[&plain, &same, &same], &[(0, 1), (0, 2)]),
        ];
        let names = ["0", "1", "2", "3"];
        for (matches, wanted) in table {
            let given: Vec<_> = names.into_iter().zip(matches.iter().copied()).collect();
            let found = ties(&given);
            let found: Vec<_> = found.iter().map(|tie| (tie.first, tie.second)).collect();
            let wanted: Vec<_> =
                wanted.iter().map(|&(one, two)| (names[one], names[two])).collect();
            assert_eq!(found, wanted, "{matches:?}");
        }
    }

    #[test]
    fn a_service_is_no_tie_with_itself() {
        let all = Match::all();
        assert_eq!(ties(&[("a", &all), ("a", &all)]), []);
        assert_eq!(ties(&[("a", &all), ("a", &all), ("b", &all)]).len(), 1);
    }

    #[test]
    fn ties_are_told_with_what_would_be_right() {
        let plain = matching("a.example", "/api", &[]);
        let tie = Tie { first: "a", second: "b", at: &plain };
        assert_eq!(
            tie.wrong().to_string(),
            "found the services 'a' and 'b' both for a.example/api, want another host, a longer \
             path or a condition at one of them"
        );
        let asked = matching("*.example", "/", &["host", "sni"]);
        let told = Tie { at: &asked, ..tie }.wrong().to_string();
        assert!(
            told.contains("both for *.example/ under 2 conditions, want another"),
            "{told}"
        );
    }

    /// With each compared with each, these would be 50 million.
    #[test]
    fn ten_thousand_services_are_compared_with_few() {
        let hosts: Vec<Match> =
            (0..10_000).map(|i| matching(&format!("h{i}.example"), "/", &[])).collect();
        let named: Vec<(String, &Match)> =
            hosts.iter().enumerate().map(|(i, it)| (i.to_string(), it)).collect();
        let given: Vec<(&str, &Match)> =
            named.iter().map(|(name, it)| (&**name, *it)).collect();
        assert_eq!(ties(&given), []);
        let all = Match::all();
        let same: Vec<(&str, &Match)> = given.iter().map(|(name, _)| (*name, &all)).collect();
        assert_eq!(ties(&same).len(), 9_999);
    }
}
