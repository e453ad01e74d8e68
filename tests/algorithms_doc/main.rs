//! `docs/algorithms.md` shows how to add an algorithm in under 60 lines. Here that is held to be
//! true: the file it shows is the one beside this test, which compiles and works in the real trait;
//! what its edits replace or hang on is in the sources; and all lines together are fewer than 60.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Instant;

use pointsman::balance::{Ask, Balance, Candidate, Candidates};
use pointsman::limits::WEIGHT_ONE;

const LINES_MAX: usize = 60;

mod config {
    //! What the example's own tests name; its variant is in no other enum.

    #[derive(Clone, Copy)]
    pub enum Algorithm {
        Failover,
    }
}

mod tests {
    //! As `src/balance/tests.rs`, for one algorithm.

    use super::{Balance, Candidates, config::Algorithm, failover::Failover};

    pub struct Model {
        set: Candidates,
        balance: Failover,
    }

    impl Model {
        pub fn new(algorithm: Algorithm, weights: &[u32]) -> Model {
            let Algorithm::Failover = algorithm;
            let mut set = Candidates::default();
            for &weight in weights {
                set.join(super::candidate(weight));
            }
            let mut balance = Failover;
            (0..set.seats()).for_each(|seat| balance.joined(&set, seat));
            Model { set, balance }
        }

        pub fn set_connections(&mut self, connections: &[u32]) {
            for (index, &connections) in connections.iter().enumerate() {
                self.set.candidate_mut(index).connections = connections;
                self.balance.changed(&self.set, index);
            }
        }

        pub fn set_eligible(&mut self, index: usize, eligible: bool) {
            self.set.candidate_mut(index).eligible = eligible;
            self.balance.changed(&self.set, index);
        }

        pub fn pick(&mut self) -> Option<usize> {
            self.balance.pick(&self.set, &super::ask())
        }
    }
}

mod failover;

fn candidate(weight: u32) -> Candidate {
    Candidate {
        name: "backend".into(),
        weight,
        effective_weight: weight * WEIGHT_ONE,
        connections: 0,
        eligible: weight > 0,
    }
}

fn ask() -> Ask {
    Ask { client: IpAddr::V4(Ipv4Addr::LOCALHOST), key: None, now: Instant::now() }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a language in the document, without the fences.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let after = document.split(opening.as_str()).skip(1);
    after.map(|rest| rest.split_once("```").expect("a closing fence").0).collect()
}

#[test]
fn the_file_shown_is_the_file_that_works() {
    let document = read("docs/algorithms.md");
    assert_eq!(blocks(&document, "rust"), [read("tests/algorithms_doc/failover.rs")]);
}

/// What the edits replace or hang on is in the source, word for word and in one piece.
#[test]
fn the_edits_shown_fit_the_sources() {
    let document = read("docs/algorithms.md");
    for block in blocks(&document, "diff") {
        let (path, edits) = block.split_once('\n').expect("a path");
        let source = read(path.strip_prefix("+++ ").expect("a path"));
        for edit in edits.split("@@\n") {
            let old: String = edit
                .split_inclusive('\n')
                .filter_map(|line| line.strip_prefix([' ', '-']))
                .collect();
            assert!(!old.is_empty() && source.contains(&old), "not in {path}:\n{old}");
        }
    }
}

#[test]
fn all_lines_together_are_fewer_than_60() {
    let document = read("docs/algorithms.md");
    let file: usize = blocks(&document, "rust").iter().map(|block| block.lines().count()).sum();
    let edits = blocks(&document, "diff").join("");
    let added = edits.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++"));
    let total = file + added.count();
    assert!(total < LINES_MAX, "{total} lines");
}
