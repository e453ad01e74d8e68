//! Rules for what a page claims of the sources beyond that something is there: `a -> b` in a code
//! span says that the code of `a` names `b`, and `limits::X = 2048` what a constant comes to.

use std::collections::BTreeMap;

use super::pages::{Page, Sources, defines, item};
use super::source::{Source, body, is_word, words};
use super::{Breach, breach};

/// `src/a.rs::Type::act -> begin`, or longer: each but the last is a citation, and its code names
/// the next one.
pub fn edges(page: &Page, sources: &Sources<'_>) -> Vec<Breach> {
    let mut found = Vec::new();
    for (number, span) in page.code_spans() {
        if !span.starts_with("src/") || !span.contains(" -> ") {
            continue;
        }
        let parts: Vec<&str> = span.split(" -> ").collect();
        for hop in parts.windows(2) {
            let Err(what) = edge(hop[0], hop[1], sources) else { continue };
            found.push(breach(&page.path, number, what, "a call or a use that is there"));
        }
    }
    found
}

fn edge(from: &str, to: &str, sources: &Sources<'_>) -> Result<(), String> {
    let code = cited(from, sources).ok_or_else(|| format!("{from} is not there"))?;
    if to.starts_with("src/") && cited(to, sources).is_none() {
        return Err(format!("{to} is not there"));
    }
    let last = to.rsplit("::").next().unwrap_or(to);
    let name = last.rsplit('/').find(|part| *part != "mod.rs").unwrap_or(last);
    let name = name.strip_suffix(".rs").unwrap_or(name);
    match words(code, name).next() {
        Some(_) => Ok(()),
        None => Err(format!("{from} does not name {name}")),
    }
}

/// The code of what is cited: a file, or an item or member in it.
fn cited<'a>(citation: &str, sources: &Sources<'a>) -> Option<&'a str> {
    let (file, symbol) = citation.split_once("::").unwrap_or((citation, ""));
    let source: &'a Source = sources.get(file)?;
    if symbol.is_empty() {
        return Some(&source.code);
    }
    if !defines(source, symbol) {
        return None;
    }
    let inner = match symbol.split_once("::") {
        None => return Some(whole(&source.code, item(&source.code, symbol)?)),
        Some(parts) => parts,
    };
    let impls = ["impl", "trait"].into_iter().flat_map(|kind| words(&source.code, kind));
    impls.into_iter().find_map(|start| {
        let (open, close) = body(&source.code, start)?;
        words(&source.code[start..open], inner.0).next()?;
        let block = &source.code[open + 1..close];
        Some(whole(block, item(block, inner.1)?))
    })
}

/// An item from its name to its end.
fn whole(code: &str, start: usize) -> &str {
    let end = match body(code, start) {
        Some((_, close)) => close + 1,
        None => code[start..].find(';').map_or(code.len(), |at| start + at),
    };
    &code[start..end]
}

/// `limits::X = 2048`, `= 64 KiB`, `= 100 ms`: what the constant comes to.
pub fn numbers(page: &Page, sources: &[Source]) -> Vec<Breach> {
    let constants = constants(sources);
    let mut found = Vec::new();
    for (number, span) in page.code_spans() {
        let Some((name, claimed)) =
            span.strip_prefix("limits::").and_then(|rest| rest.split_once(" = "))
        else {
            continue;
        };
        let real = constants.get(name).and_then(|text| value(text, &constants));
        match (value(claimed, &constants), real) {
            (_, None) => {
                let what = format!("limits::{name} is no number");
                found.push(breach(&page.path, number, what, "a constant of src/limits"));
            }
            (claimed, real) if claimed == real => {}
            _ => {
                let what = format!("limits::{name} is not {claimed}");
                found.push(breach(&page.path, number, what, constants[name].clone()));
            }
        }
    }
    found
}

/// The constants of `src/limits`, each with the text of its value.
fn constants(sources: &[Source]) -> BTreeMap<String, String> {
    let limits = sources.iter().filter(|source| source.path.starts_with("src/limits"));
    let mut found = BTreeMap::new();
    for source in limits {
        for start in words(&source.code, "const") {
            let text = source.code[start + 5..].split(';').next().unwrap_or_default();
            if let (Some((name, _)), Some((_, value))) =
                (text.split_once(':'), text.split_once('='))
            {
                found.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
    found
}

/// Sums and products of whole numbers, durations in microseconds; `None` for anything else.
fn value(text: &str, constants: &BTreeMap<String, String>) -> Option<u64> {
    let text = text.trim();
    if let Some((left, right)) = text.split_once("<<") {
        return value(left, constants)?.checked_shl(value(right, constants)? as u32);
    }
    if let Some((left, right)) = text.rsplit_once('+') {
        return Some(value(left, constants)? + value(right, constants)?);
    }
    if let Some((left, right)) = text.rsplit_once(" - ") {
        return value(left, constants)?.checked_sub(value(right, constants)?);
    }
    if let Some(call) = text.strip_prefix("Duration::from_") {
        let (unit, count) = call.strip_suffix(')')?.split_once('(')?;
        let unit = match unit {
            "secs" => 1_000_000,
            "millis" => 1000,
            "micros" => 1,
            _ => return None,
        };
        return Some(unit * value(count, constants)?);
    }
    if let Some((left, right)) = text.rsplit_once('*') {
        return Some(value(left, constants)? * value(right, constants)?);
    }
    atom(text, constants)
}

fn atom(text: &str, constants: &BTreeMap<String, String>) -> Option<u64> {
    if text.starts_with(|c: char| c.is_alphabetic()) {
        let name = text.rsplit("::").next()?;
        return name.chars().all(is_word).then(|| value(constants.get(name)?, constants))?;
    }
    let (count, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit: u64 = match unit {
        "" | "us" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "ms" => 1000,
        "s" => 1_000_000,
        _ => return None,
    };
    Some(unit * count.replace('_', "").parse::<u64>().ok()?)
}

#[test]
fn edges_that_are_not_there_are_found() {
    let code = "use super::b;\nfn run() { b::begin(); act() }\nfn act() { end() }\n\
                struct Flow { held: Held }\nimpl Flow { fn pump(&self) { self.flush() } }\n";
    let a = Source::new("src/a.rs", code);
    let b = Source::new("src/b/mod.rs", "fn begin() {}\n");
    let sources = Sources::from([("src/a.rs", &a), ("src/b/mod.rs", &b)]);
    let found = |text: &str| edges(&Page::new("docs/a.md", text), &sources).len();
    for good in [
        "src/a.rs::run -> act",
        "src/a.rs::run -> src/a.rs::act -> end",
        "src/a.rs::run -> src/b/mod.rs::begin",
        "src/a.rs::Flow::pump -> flush",
        "src/a.rs::Flow -> Held",
        "src/a.rs -> src/b/mod.rs",
    ] {
        assert_eq!(found(&format!("`{good}`")), 0, "{good}");
    }
    for bad in [
        "src/a.rs::run -> end",
        "src/a.rs::run -> src/b/mod.rs::act",
        "src/a.rs::walk -> act",
        "src/a.rs::Flow::pump -> begin",
        "src/a.rs::act -> run -> end",
    ] {
        assert!(found(&format!("`{bad}`")) > 0, "{bad}");
    }
}

#[test]
fn numbers_that_are_others_are_found() {
    let code = "pub const A: usize = 64 * 1024 + 320;\npub const B: u64 = 1 << 20;\n\
                pub const C: Duration = Duration::from_millis(100);\n\
                pub const D: usize = 2 * A;\npub const E: &str = \"x\";\n";
    let sources = [Source::new("src/limits/a.rs", code)];
    let found = |text: &str| numbers(&Page::new("a.md", &format!("`{text}`")), &sources).len();
    for good in ["A = 65_856", "A = 64 KiB + 320", "B = 1 MiB", "C = 100 ms", "D = 131712"] {
        assert_eq!(found(&format!("limits::{good}")), 0, "{good}");
    }
    for bad in ["A = 256", "B = 1 KiB", "C = 1 s", "D = many", "E = 1", "F = 1"] {
        assert_eq!(found(&format!("limits::{bad}")), 1, "{bad}");
    }
}
