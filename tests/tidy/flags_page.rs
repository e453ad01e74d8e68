//! `docs/flags.md`, made of the table of flags.

use std::fmt::Write;

use pointsman::flags::Row;

const COLUMNS: usize = 130;

const TOP: &str = "\
# The flags

<!-- Made of src/flags/ by tests/tidy/flags_page.rs; changes here are lost. -->

The same as `pointsman --help` says. A DURATION is a number with its unit, `ms`, `s`, `m` or `h`:
`500ms`, `1.5h`. What the algorithms of `--balance` are for is in [algorithms.md](algorithms.md).
";

/// The whole page.
pub fn page(rows: impl Iterator<Item = Row>) -> String {
    let mut out = TOP.to_owned();
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = row.group;
            let _ = write!(out, "\n## {group}\n");
        }
        let short = match row.short {
            "" => String::new(),
            letter => format!("`-{letter}`, "),
        };
        let long = format!("--{} {}", row.long, row.value);
        let _ = write!(out, "\n{short}**`{}`**\\\n", long.trim_end());
        let default = row.default.map(|default| format!(" *Default: {}.*", marked(&default)));
        wrap(&mut out, &format!("{}{}", marked(row.says), default.unwrap_or_default()));
    }
    out
}

/// As Markdown: flags as code, and nothing that would be read as its marks.
fn marked(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let inner = word.trim_end_matches([',', '.', ';', ':', ')']);
        match inner.strip_prefix("--") {
            Some(_) => format!("`{inner}`{}", &word[inner.len()..]),
            None => word.replace('\\', "\\\\").replace('*', "\\*").replace('_', "\\_"),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn wrap(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

#[test]
fn a_flag_becomes_a_paragraph() {
    let row = Row {
        group: "Traffic",
        short: "l",
        long: "listen",
        value: "ADDR",
        says: "Where. See --backend, *.DOMAIN.",
        default: Some("none".to_owned()),
    };
    let switch = Row { short: "", long: "demo", value: "", default: None, ..row.clone() };
    let page = page([row, switch].into_iter());
    let wanted = "\n## Traffic\n\n`-l`, **`--listen ADDR`**\\\n\
                  Where. See `--backend`, \\*.DOMAIN. *Default: none.*\n\n\
                  **`--demo`**\\\nWhere. See `--backend`, \\*.DOMAIN.\n";
    assert_eq!(page.strip_prefix(TOP), Some(wanted));
}
