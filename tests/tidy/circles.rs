//! The rule that no files of one room use each other in a circle.
//!
//! An arrow leads from a file to each file that its code names, in a `use` or in a path. What a
//! file takes of its own parent is no arrow: the words of its parent are its own, and it is the
//! parent that put it there.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, is_word};
use super::{Breach, breach};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// No circle in any room.
pub fn no_circles(sources: &[Source]) -> Vec<Breach> {
    let named = sources.iter().filter_map(|source| Some((module_of(&source.path)?, source)));
    let modules: BTreeMap<String, &Source> = named.collect();
    let mut arrows: Arrows = BTreeMap::new();
    for (module, source) in &modules {
        let to = arrows.entry(module.clone()).or_default();
        for (at, path) in paths(&source.code) {
            if source.is_test(at) {
                continue;
            }
            let used = resolve(module, &path).and_then(|path| file_of(&path, &modules));
            to.extend(
                used.filter(|used| room(used) == room(module) && !is_inside(module, used)),
            );
        }
    }
    strip(&mut arrows);
    arrows
        .iter()
        .map(|(module, to)| {
            let path = &modules[module].path;
            let names: Vec<&str> = to.iter().map(String::as_str).collect();
            let what = format!("{module} is in a circle, by way of {}", names.join(", "));
            breach(path, 1, what, "what they need of each other in a file below both")
        })
        .collect()
}

/// `src/relay/http/mod.rs` is `relay::http`.
fn module_of(path: &str) -> Option<String> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let stands_above = ["lib", "main"].contains(&inner) || inner.starts_with("bin/");
    (!stands_above).then(|| inner.replace('/', "::"))
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// Whether `module` is `other`, or stands inside it.
fn is_inside(module: &str, other: &str) -> bool {
    module == other || module.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"))
}

/// The file with the longest name at the beginning of a path.
fn file_of(path: &[String], modules: &BTreeMap<String, &Source>) -> Option<String> {
    let lengths = (1..=path.len()).rev();
    lengths.map(|length| path[..length].join("::")).find(|name| modules.contains_key(name))
}

/// A path as seen from the top of the crate. One that begins with a plain name may mean a child.
fn resolve(module: &str, path: &[String]) -> Option<Vec<String>> {
    let mut base: Vec<String> = module.split("::").map(str::to_owned).collect();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        _ => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
    }
    Some(base.into_iter().chain(rest.iter().cloned()).collect())
}

/// Every path of two names or more, groups in braces unfolded, with where it begins.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(from) = code[at..].find(is_word).map(|offset| at + offset) {
        let word: String = code[from..].chars().take_while(|&c| is_word(c)).collect();
        at = from + word.len();
        if code[at..].starts_with("::") {
            let mut names = Vec::new();
            let end = unfold(&code[from..], &mut Vec::new(), &mut names);
            found.extend(names.into_iter().map(|path| (from, path)));
            at = from + end;
        }
    }
    found
}

/// Read `a::b::{c, d::e}` at the beginning of `code`; says how long it is.
fn unfold(code: &str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = before.len();
    let mut at = 0;
    loop {
        let rest = &code[at..];
        let word: String = rest.chars().take_while(|&c| is_word(c)).collect();
        if !word.is_empty() {
            at += word.len();
            before.push(word);
        } else if rest.starts_with('{') {
            at += unfold_group(rest, before, found);
            break;
        } else {
            break;
        }
        if !code[at..].starts_with("::") {
            found.push(before.clone());
            break;
        }
        at += 2;
    }
    before.truncate(depth);
    at
}

fn unfold_group(code: &str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 1;
    while let Some(c) = code[at..].chars().next() {
        match c {
            '}' => return at + 1,
            c if is_word(c) => at += unfold(&code[at..], before, found).max(1),
            c => at += c.len_utf8(),
        }
    }
    at
}

/// Take away what leads nowhere, and what nothing leads to, until only circles are left.
fn strip(arrows: &mut Arrows) {
    loop {
        let led_to: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        let count = arrows.len();
        arrows.retain(|module, to| !to.is_empty() && led_to.contains(module));
        if arrows.len() == count {
            return;
        }
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        arrows.values_mut().for_each(|to| to.retain(|module| left.contains(module)));
    }
}

#[test]
fn circles_are_found_and_parents_are_none() {
    let circle = |files: &[(&str, &str)]| {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        let found = no_circles(&sources);
        found.into_iter().map(|breach| breach.path).collect::<Vec<_>>()
    };
    let a = "src/room/a.rs";
    let b = "src/room/b.rs";
    let c = "src/room/c.rs";
    assert_eq!(circle(&[(a, "use super::b::B;"), (b, "use super::a::A;")]), [a, b]);
    assert_eq!(circle(&[(a, "use super::{b, c};"), (b, "use super::c;"), (c, "")]), [""; 0]);
    let long = [(a, "use super::{x::Y, b::{self, B}};"), (b, "fn f() { crate::room::c::g() }")];
    assert_eq!(circle(&[long[0], long[1], (c, "use super::a;")]), [a, b, c]);
    let tested = "#[cfg(test)]\nuse super::b;";
    assert_eq!(circle(&[(a, tested), (b, "use super::a;")]), [""; 0]);
    let room = "src/room/mod.rs";
    assert_eq!(circle(&[(room, "mod a; use a::A;"), (a, "use super::Word;")]), [""; 0]);
    assert_eq!(
        circle(&[(room, "a::run();"), (a, "use super::b;"), (b, "use crate::room::a::A;")]),
        [a, b]
    );
    let other = "src/other.rs";
    assert_eq!(circle(&[(other, "use crate::room::a;"), (a, "use crate::other;")]), [""; 0]);
}
