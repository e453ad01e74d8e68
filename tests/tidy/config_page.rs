//! `docs/configuration.md`: its tables of keys are made of the table of settings, and its examples
//! are configurations.

/// Where the page is made and no longer written by hand.
const KEYS: &str = "\n## All keys\n";

/// The page with its tables as they should be.
pub fn page(found: &str) -> String {
    let (words, _) = found.split_once(KEYS).expect("docs/configuration.md has keys");
    format!("{words}{KEYS}{}", pointsman::file::page())
}

/// The examples, with the line that each begins at.
pub fn examples(page: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut inside = None;
    for (line, text) in page.lines().enumerate() {
        match (&mut inside, text) {
            (None, "```toml") => inside = Some((line + 2, String::new())),
            (Some(_), "```") => examples.extend(inside.take()),
            (Some((_, example)), _) => {
                example.push_str(text);
                example.push('\n');
            }
            (None, _) => {}
        }
    }
    examples
}

#[test]
fn examples_are_found_with_their_lines() {
    let page = "# A\n```toml\na = 1\n```\n```sh\nb\n```\n\n```toml\nc = 2\nd = 3\n```\n";
    let found = examples(page);
    assert_eq!(found, [(3, "a = 1\n".to_owned()), (10, "c = 2\nd = 3\n".to_owned())]);
}
