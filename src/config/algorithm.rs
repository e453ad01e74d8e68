//! The balancing algorithms: what each is called, what it equalises, what it needs.
//!
//! One row each in [`Algorithm::ALL`]; the flags, the manual and the log read it.

use std::fmt;

use super::Check;
use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::text::quoted;
use super::value::closest;

/// The balancing algorithms by the field's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Fewest active connections for its weight.
    LeastConnections,
    /// Smooth weighted round robin.
    RoundRobin,
    /// Two weighted draws, the one with fewer connections wins.
    Random,
    /// By the client's address.
    IpHash,
    /// By the client's address over a Maglev table.
    ConsistentHash,
    /// The first with room.
    First,
    /// The lowest load reported to `load:` probes.
    LeastLoad,
    /// Peak EWMA of the connect time.
    LeastTime,
}

/// What an algorithm is called, and what it is for.
#[derive(Debug)]
pub struct AlgorithmRow {
    /// Which one.
    pub algorithm: Algorithm,
    /// Its name here.
    pub name: &'static str,
    /// Its names elsewhere, accepted as well.
    pub aliases: &'static [&'static str],
    /// What comes out equal among the backends, for their weights, and where that is poor.
    pub equalises: &'static str,
}

impl Algorithm {
    /// Every algorithm. A new one gets its row here; flags and manual follow.
    pub const ALL: &'static [AlgorithmRow] = &[
        AlgorithmRow {
            algorithm: Algorithm::LeastConnections,
            name: "least-connections",
            aliases: &[
                "leastconn",
                "least_conn",
                "least-conn",
                "least_connections",
                "lc",
                "wlc",
            ],
            equalises: "connections open at once. Poor where a backend fails fast: \
                        it looks idle.",
        },
        AlgorithmRow {
            algorithm: Algorithm::RoundRobin,
            name: "round-robin",
            aliases: &["roundrobin", "round_robin", "rr", "wrr"],
            equalises: "connections started. Poor where some cost far more than others, \
                        or a backend is slow.",
        },
        AlgorithmRow {
            algorithm: Algorithm::Random,
            name: "random",
            aliases: &["p2c", "random-two", "random_two", "two-choices"],
            equalises: "connections open at once, nearly: two draws, the one with fewer wins. \
                        For several balancers that do not know of each other.",
        },
        AlgorithmRow {
            algorithm: Algorithm::IpHash,
            name: "ip-hash",
            aliases: &["ip_hash", "iphash", "source", "source-hash"],
            equalises: "client addresses; each stays with its backend. Poor where many clients \
                        share one address.",
        },
        AlgorithmRow {
            algorithm: Algorithm::ConsistentHash,
            name: "consistent-hash",
            aliases: &["consistent_hash", "consistent", "maglev"],
            equalises: "client addresses, as ip-hash; few of them move when a backend comes or \
                        goes, and every balancer agrees on where.",
        },
        AlgorithmRow {
            algorithm: Algorithm::First,
            name: "first",
            aliases: &["first-available", "first_available"],
            equalises: "nothing: it fills one backend after the other, so that few are in use. \
                        Poor without max-connections=N.",
        },
        AlgorithmRow {
            algorithm: Algorithm::LeastLoad,
            name: "least-load",
            aliases: &["least_load", "leastload"],
            equalises: "the load that backends report; needs load:TEXT as its check. Poor where \
                        they report wrongly or late.",
        },
        AlgorithmRow {
            algorithm: Algorithm::LeastTime,
            name: "least-time",
            aliases: &["least_time", "leasttime", "peak-ewma", "peak_ewma", "ewma"],
            equalises: "the wait to be connected. Poor with little traffic: there is little to \
                        learn from.",
        },
    ];

    /// By its name or an alias, lower-case.
    pub fn parse(text: &str) -> Result<Algorithm, Wrong> {
        let named = |word: &str| {
            Algorithm::ALL.iter().find(|row| row.name == word || row.aliases.contains(&word))
        };
        if let Some(row) = named(text) {
            return Ok(row.algorithm);
        }
        let names: Vec<&str> = Algorithm::ALL.iter().map(|row| row.name).collect();
        let aliases = Algorithm::ALL.iter().flat_map(|row| row.aliases.iter().copied());
        let near = closest(text, names.iter().copied().chain(aliases)).and_then(named);
        let hint = near.map(|row| format!("; did you mean {}?", row.name)).unwrap_or_default();
        Err(Wrong::found(text, format!("one of {}{hint}", names.join(", "))))
    }

    /// Its name, as the manual and the log have it.
    pub fn name(self) -> &'static str {
        self.row().map_or("?", |row| row.name)
    }

    /// What comes out equal among the backends, for their weights, and where that is poor.
    pub fn equalises(self) -> &'static str {
        self.row().map_or("?", |row| row.equalises)
    }

    fn row(self) -> Option<&'static AlgorithmRow> {
        Algorithm::ALL.iter().find(|row| row.algorithm == self)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An algorithm that lives on reports needs the probe that brings them.
pub fn check_algorithm(algorithm: Algorithm, check: &Check) -> Result<(), Wrong> {
    match (algorithm, check) {
        (
            Algorithm::LeastLoad,
            Check::None
            | Check::Tcp
            | Check::Text(_)
            | Check::Http(_)
            | Check::Https(_)
            | Check::Udp(_),
        ) => {
            let found = Phrase::from(format!("'{algorithm}' with "));
            let found = found.setting(SettingKey::CHECK, quoted(&check.to_string()));
            let want = Phrase::default().setting(SettingKey::CHECK, "load:TEXT");
            Err(Wrong::saying(found, want.text(" with it, which asks for the load")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_known_by_all_their_names() {
        let mut seen = Vec::new();
        for row in Algorithm::ALL {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert_eq!(Algorithm::parse(name), Ok(row.algorithm));
                assert_eq!(name.to_lowercase(), **name);
                assert!(!seen.contains(name), "{name} is in the table twice");
                seen.push(name);
            }
            assert_eq!(row.algorithm.to_string(), row.name);
            assert_eq!(row.algorithm.equalises(), row.equalises);
        }
        // Fails to compile when an algorithm is added, as a reminder of its row.
        let rows = Algorithm::ALL.iter().filter(|row| match row.algorithm {
            Algorithm::LeastConnections | Algorithm::RoundRobin | Algorithm::Random => true,
            Algorithm::IpHash | Algorithm::ConsistentHash | Algorithm::First => true,
            Algorithm::LeastLoad | Algorithm::LeastTime => true,
        });
        assert_eq!(rows.count(), 8);
    }

    #[test]
    fn an_unknown_algorithm_is_answered_with_the_names() {
        let names = "one of least-connections, round-robin, random, ip-hash, consistent-hash, \
                     first, least-load, least-time";
        let table = [
            ("", ""),
            ("fastest", ""),
            ("lestconn", "; did you mean least-connections?"),
            ("RoundRobin", "; did you mean round-robin?"),
            ("magleb", "; did you mean consistent-hash?"),
            ("least-tme", "; did you mean least-time?"),
        ];
        for (text, hint) in table {
            let wrong = Wrong::found(text, format!("{names}{hint}"));
            assert_eq!(Algorithm::parse(text), Err(wrong));
        }
    }

    #[test]
    fn least_load_needs_reports() {
        let load = Check::Load("x".to_owned());
        for check in [Check::None, Check::Tcp, Check::parse("http:/").unwrap()] {
            let wrong = check_algorithm(Algorithm::LeastLoad, &check).unwrap_err().to_string();
            assert!(
                wrong.starts_with("found 'least-load' with pool.check.kind = '"),
                "{wrong}"
            );
            assert!(wrong.contains("want pool.check.kind = load:TEXT"), "{wrong}");
            assert_eq!(check_algorithm(Algorithm::Random, &check), Ok(()));
        }
        for row in Algorithm::ALL {
            assert_eq!(check_algorithm(row.algorithm, &load), Ok(()));
        }
    }
}
