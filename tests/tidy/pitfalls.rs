//! The rule that `docs/pitfalls.md` and those who cite it by number agree.

use std::collections::BTreeMap;

use super::pages::Page;
use super::source::{Source, words};
use super::{Breach, breach};

/// What an entry without a test says instead.
const NO_TEST: &str = "none with this number";

/// Where one number is spoken of: the first place, and the tests that carry it.
#[derive(Default)]
struct Cited {
    path: String,
    line: usize,
    tests: Vec<String>,
}

/// An entry of the page.
struct Entry<'a> {
    line: usize,
    text: &'a str,
}

/// Every number that is cited has an entry, every entry is cited, and its tests are those that
/// carry its number.
pub fn pitfalls(page: &Page, sources: &[Source]) -> Vec<Breach> {
    let cited = cited(sources);
    let entries = entries(page);
    let mut found = Vec::new();
    for (number, cited) in &cited {
        if !entries.contains_key(number) {
            let what = format!("pitfall {number} is cited");
            found.push(breach(
                &cited.path,
                cited.line,
                what,
                format!("an entry in {}", page.path),
            ));
        }
    }
    for (number, entry) in &entries {
        let Some(cited) = cited.get(number) else {
            let what = format!("pitfall {number} is cited by no source");
            found.push(breach(
                &page.path,
                entry.line,
                what,
                "a comment or a test with the number",
            ));
            continue;
        };
        for test in cited.tests.iter().filter(|test| !entry.text.contains(test.as_str())) {
            let what = format!("pitfall {number} does not name {test}");
            found.push(breach(&page.path, entry.line, what, "all tests with its number"));
        }
        if cited.tests.is_empty() != entry.text.contains(NO_TEST) {
            let what = format!("pitfall {number} has {} tests", cited.tests.len());
            found.push(breach(&page.path, entry.line, what, format!("{NO_TEST:?} if none")));
        }
    }
    found
}

/// In comments `pitfall 3` or `pitfalls 1 and 2`, in code `pitfall_03_...`.
fn cited(sources: &[Source]) -> BTreeMap<u32, Cited> {
    let mut found: BTreeMap<u32, Cited> = BTreeMap::new();
    for source in sources {
        for word in ["pitfall", "pitfalls"] {
            for at in words(&source.comments, word) {
                for number in numbers(&source.comments[at + word.len()..]) {
                    found.entry(number).or_default().note(source, at);
                }
            }
        }
        for (at, prefix) in source.code.match_indices("fn pitfall_") {
            let Some(number) = number(&source.code[at + prefix.len()..]) else { continue };
            let name = source.code[at + 3..].split('(').next().unwrap_or_default();
            let cited = found.entry(number).or_default();
            cited.note(source, at);
            cited.tests.push(format!("{}::{name}", source.path));
        }
    }
    found
}

impl Cited {
    fn note(&mut self, source: &Source, at: usize) {
        if self.path.is_empty() {
            self.path = source.path.clone();
            self.line = source.line_of(at);
        }
    }
}

/// The numbers at the beginning of a text, perhaps on the next line of the comment.
fn numbers(text: &str) -> Vec<u32> {
    let next = |text: &str| text.trim_start_matches(['/', '!', ' ', '\n']).to_owned();
    let mut rest = next(text);
    let mut found = Vec::new();
    while let Some(number) = number(&rest) {
        found.push(number);
        rest = next(rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let Some(behind) = ["and", "or", ","].iter().find_map(|word| rest.strip_prefix(word))
        else {
            break;
        };
        rest = next(behind);
    }
    found
}

fn number(text: &str) -> Option<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// `### 3. Title`, up to the next heading.
fn entries(page: &Page) -> BTreeMap<u32, Entry<'_>> {
    let mut found = BTreeMap::new();
    for (at, _) in page.text.match_indices("\n### ") {
        let rest = &page.text[at + 5..];
        let text = rest.split("\n#").next().unwrap_or_default();
        if let Some(number) = number(rest) {
            found.insert(
                number,
                Entry { line: super::source::line_of(&page.text, at + 1), text },
            );
        }
    }
    found
}

#[test]
fn citations_without_an_entry_and_entries_without_a_citation_are_found() {
    let code = "// (pitfall 1) and pitfalls 2 and\n// 3\nfn pitfall_04_a() {}\n";
    let sources = [Source::new("src/a.rs", code)];
    let found = |text: &str| -> Vec<String> {
        let page = Page::new("docs/pitfalls.md", text);
        pitfalls(&page, &sources).iter().map(|breach| breach.what.clone()).collect()
    };
    let none = format!("Tests: {NO_TEST}.");
    let good = format!(
        "# P\n### 1. A\n{none}\n### 2. B\n{none}\n### 3. C\n{none}\n\
         ### 4. D\n`src/a.rs::pitfall_04_a`\n"
    );
    assert_eq!(found(&good), [""; 0]);
    let bad = format!(
        "# P\n### 1. A\n{none}\n### 3. C\nTests?\n### 4. D\n{none}\n### 5. E\n{none}\n"
    );
    assert_eq!(
        found(&bad),
        [
            "pitfall 2 is cited",
            "pitfall 3 has 0 tests",
            "pitfall 4 does not name src/a.rs::pitfall_04_a",
            "pitfall 4 has 1 tests",
            "pitfall 5 is cited by no source",
        ]
    );
}
