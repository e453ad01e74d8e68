//! Rules for the documentation: what it cites is there, and what must be in it is.

use std::collections::BTreeMap;

use super::source::{Source, body, is_word, line_of, words};
use super::{Breach, breach};

/// No place at all; an empty list alone has no type where JSON is about.
#[cfg(test)]
const NONE: [usize; 0] = [];

/// Files that a page speaks of and that are not there, with the reason.
const NOT_THERE: &[(&str, &str)] = &[
    // The example of an algorithm to be added; tests/algorithms_doc holds it to be true.
    ("docs/algorithms.md", "src/balance/failover.rs"),
];

/// One Markdown file.
pub struct Page {
    pub path: String,
    pub text: String,
}

/// A file's symbols can be cited as `path.rs::symbol` or `path.rs::Type::symbol`.
pub type Sources<'a> = BTreeMap<&'a str, &'a Source>;

impl Page {
    pub fn new(path: &str, text: &str) -> Page {
        Page { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines outside fenced blocks, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut fenced = false;
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            if !fenced && !is_fence {
                lines.push((index + 1, line));
            }
        }
        lines
    }

    /// What stands between backticks, outside fenced blocks.
    pub fn code_spans(&self) -> Vec<(usize, &str)> {
        self.prose()
            .into_iter()
            .flat_map(|(number, line)| {
                line.split('`').skip(1).step_by(2).map(move |span| (number, span))
            })
            .collect()
    }
}

/// One title, so that a page is one thing.
pub fn one_title(page: &Page) -> Vec<Breach> {
    let titles: Vec<usize> = page
        .prose()
        .iter()
        .filter(|(_, line)| line.starts_with("# "))
        .map(|&(number, _)| number)
        .collect();
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![breach(&page.path, 1, "no title", "a line `# Title`")],
        [_, second, ..] => {
            vec![breach(&page.path, *second, "a second title", "one; `## ` for its parts")]
        }
    }
}

/// A link within the project leads somewhere.
pub fn links(page: &Page, exists: impl Fn(&str) -> bool) -> Vec<Breach> {
    let mut found = Vec::new();
    for (number, line) in page.prose() {
        for (_, rest) in line.match_indices("](").map(|(at, _)| line.split_at(at + 2)) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !is_outside && !file.is_empty() && !exists(&beside(&page.path, file)) {
                let what = format!("a link to {target}, which is not there");
                found.push(breach(&page.path, number, what, "a file of the project"));
            }
        }
    }
    found
}

/// A target as seen from a page, as a path from the top.
fn beside(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A cited file is there, and so is the symbol cited in it.
pub fn citations(
    page: &Page,
    sources: &Sources<'_>,
    exists: impl Fn(&str) -> bool,
) -> Vec<Breach> {
    let tops = ["src/", "tests/", "benches/", "docs/"];
    let mut found = Vec::new();
    for (number, span) in page.code_spans() {
        if !tops.iter().any(|top| span.starts_with(top)) || span.contains(char::is_whitespace) {
            continue;
        }
        let (file, symbol) = span.split_once("::").unwrap_or((span, ""));
        if NOT_THERE.contains(&(page.path.as_str(), file)) {
            continue;
        }
        if !exists(file.trim_end_matches('/')) {
            let what = format!("{file} is cited and not there");
            found.push(breach(&page.path, number, what, "the file's present name"));
        } else if !symbol.is_empty() && !sources.get(file).is_some_and(|s| defines(s, symbol)) {
            let what = format!("{file} has no {symbol}");
            found.push(breach(&page.path, number, what, "the symbol's present place"));
        }
    }
    found
}

/// An excerpt of Rust is in the sources, word for word and in one piece; indentation is free.
pub fn excerpts(page: &Page, sources: &[Source]) -> Vec<Breach> {
    let trimmed =
        |text: &str| text.lines().flat_map(|line| [line.trim(), "\n"]).collect::<String>();
    let all: Vec<String> = sources.iter().map(|source| trimmed(&source.text)).collect();
    let mut found = Vec::new();
    for (at, fence) in page.text.match_indices("```rust\n") {
        let rest = &page.text[at + fence.len()..];
        let excerpt = trimmed(rest.split("```").next().unwrap_or_default());
        if !all.iter().any(|text| text.contains(&excerpt)) {
            let line = line_of(&page.text, at);
            found.push(breach(
                &page.path,
                line,
                "an excerpt of no source",
                "the present lines",
            ));
        }
    }
    found
}

/// Whether a file defines `symbol`: an item, or `Type::member` with the member in the type's own
/// braces or in an `impl` of it.
pub fn defines(source: &Source, symbol: &str) -> bool {
    match symbol.split_once("::") {
        None => is_item(&source.code, symbol),
        Some((owner, member)) => {
            let blocks =
                ["struct", "enum", "trait", "mod", "impl"].into_iter().flat_map(|kind| {
                    words(&source.code, kind).filter_map(move |start| {
                        let (open, close) = body(&source.code, start)?;
                        let header = &source.code[start..open];
                        let named = words(header, owner).next().is_some();
                        named.then(|| (kind, &source.code[open + 1..close]))
                    })
                });
            blocks.into_iter().any(|(kind, inner)| match kind {
                "struct" | "enum" => words(inner, member).next().is_some(),
                _ => is_item(inner, member),
            })
        }
    }
}

fn is_item(code: &str, name: &str) -> bool {
    item(code, name).is_some()
}

/// Where the name of an item stands that the code defines.
pub fn item(code: &str, name: &str) -> Option<usize> {
    let kinds =
        ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!"];
    words(code, name).find(|&at| {
        let before = code[..at].trim_end();
        kinds.iter().any(|kind| {
            before
                .strip_suffix(kind)
                .is_some_and(|rest| !rest.chars().next_back().is_some_and(is_word))
        })
    })
}

/// Every package has a line that says why it is here.
pub fn dependencies(manifest: &str, page: &Page) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut in_packages = false;
    for (index, line) in manifest.lines().enumerate() {
        if let Some(section) = line.strip_prefix('[') {
            in_packages = section.trim_end_matches(']').ends_with("dependencies");
            continue;
        }
        let name: String = line.chars().take_while(|&c| is_word(c) || c == '-').collect();
        if !in_packages || name.is_empty() {
            continue;
        }
        let cell = format!("| `{name}` |");
        if !page.text.lines().any(|line| line.starts_with(&cell)) {
            let want = format!("a row `{cell} ...` in {}", page.path);
            found.push(breach(
                "Cargo.toml",
                index + 1,
                format!("{name} is not explained"),
                want,
            ));
        }
    }
    found
}

fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|breach| breach.line).collect()
}

#[test]
fn pages_without_one_title_are_found() {
    let titles = |text| lines(&one_title(&Page::new("a.md", text)));
    assert_eq!(titles("# A\n```\n# not this\n```\n## B\n"), NONE);
    assert_eq!(titles("## A\n"), [1]);
    assert_eq!(titles("# A\n\n# B\n"), [3]);
}

#[test]
fn links_to_nowhere_are_found() {
    let exists = |path: &str| ["docs/b.md", "README.md", "src"].contains(&path);
    let page = Page::new(
        "docs/a.md",
        "[b](b.md#x) [c](#here) [d](https://e.f/g)\n[h](../README.md) [i](gone.md)\n[j](../src/)\n",
    );
    assert_eq!(lines(&links(&page, exists)), [2]);
}

#[test]
fn citations_of_what_is_gone_are_found() {
    let code = "pub struct Flow { held: u8 }\nimpl Flow { pub fn pump() {} }\n\
                enum Step { Rest }\nfn act() { let gone = 1; }\n// fn old() {}\n\
                impl Socket for Flow { fn send() {} }\nconst MOST: u8 = 1;\n";
    let source = Source::new("src/a.rs", code);
    let sources = Sources::from([("src/a.rs", &source)]);
    let exists = |path: &str| ["src/a.rs", "src"].contains(&path);
    let cite = |text: &str| lines(&citations(&Page::new("docs/a.md", text), &sources, exists));
    for good in ["Flow", "Flow::pump", "Flow::held", "Flow::send", "Step::Rest", "act", "MOST"]
    {
        assert_eq!(cite(&format!("see `src/a.rs::{good}`")), NONE, "{good}");
    }
    for bad in ["Flo", "pump::Flow", "Flow::act", "Step::pump", "gone", "old", "Step::Pump"] {
        assert_eq!(cite(&format!("see\n`src/a.rs::{bad}`")), [2], "{bad}");
    }
    assert_eq!(cite("`src/a.rs`, `src/` and `src/b.rs`"), [1]);
    assert_eq!(cite("`src::act` `a/b.rs::c`\n```\n`src/b.rs`\n```\n"), NONE);
    assert_eq!(cite("`src/b.rs::act`"), [1]);
}

#[test]
fn excerpts_of_what_was_changed_are_found() {
    let sources = [Source::new("src/a.rs", "fn a() {\n    b();\n    c();\n}\n")];
    let text = "# A\n```rust\n  b();\n  c();\n```\n```rust\nc();\nb();\n```\n";
    assert_eq!(lines(&excerpts(&Page::new("a.md", text), &sources)), [6]);
}

#[test]
fn packages_without_a_reason_are_found() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# why\nlog = \"1\"\nmio = \"1\"\n\n\
                    [dev-dependencies]\nslab = \"1\"\n\n[lints.rust]\nunused = \"deny\"\n";
    let page = Page::new("docs/dependencies.md", "| `log` | why |\n`mio`\n");
    assert_eq!(lines(&dependencies(manifest, &page)), [7, 10]);
}
