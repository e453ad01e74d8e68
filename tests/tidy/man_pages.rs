//! The man pages in `docs/deploy`, made of the tables of flags and of the commands of `ctl`.

use std::fmt::Write;

use pointsman::config::Algorithm;
use pointsman::ctl::COMMANDS;

use super::words::{self, Flag};

const COLUMNS: usize = 78;

/// Each with its path.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/deploy/pointsman.8", of_the_process()),
        ("docs/deploy/pointsman-ctl.8", of_ctl()),
        ("docs/deploy/pointsman-top.8", of_top()),
    ]
}

/// What stands above all; the date is that of the version in the list of changes.
fn head(name: &str, says: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let versions = super::changes::versions();
    let (_, date) = versions.first().expect("CHANGELOG.md has a version with its date");
    format!(
        ".\\\" Made of the tables of flags by tests/tidy/man_pages.rs; changes here are lost.\n\
         .TH {} 8 {} \"pointsman {version}\" \"System administration\"\n\
         .SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        date,
        escaped(name),
        escaped(says),
    )
}

fn of_the_process() -> String {
    let mut out = head("pointsman", "load balancer for TCP, HTTP, HTTPS and UDP");
    let synopsis = [
        ("pointsman", "--listen ADDR:PORT --backend HOST:PORT [--backend HOST:PORT]..."),
        ("pointsman", "--config FILE [--check-config|--print-config]"),
        ("pointsman", "--demo"),
        ("pointsman ctl", "COMMAND [WORDS] [FLAGS]"),
        ("pointsman top", "[SOCKET...] [FLAGS]"),
    ];
    synopsis_of(&mut out, &synopsis);
    section(&mut out, "DESCRIPTION");
    paragraph(
        &mut out,
        "pointsman takes clients at its listeners and gives each connection, request or flow of \
         datagrams to the backend that can take it: one process, one thread, one event loop. TLS \
         ends here, or is passed through by its server name. Flags say one service; a file of \
         --config says many. A DURATION is a number with its unit, ms, s, m or h, such as 500ms \
         or 1.5h.",
    );
    out.push_str(".PP\n");
    paragraph(
        &mut out,
        "One that runs is asked and changed by pointsman-ctl(8), and watched by \
         pointsman-top(8).",
    );
    section(&mut out, "OPTIONS");
    let mut group = "";
    for (row, flag) in pointsman::flags::rows().zip(words::flags()) {
        if row.group != group {
            group = row.group;
            let _ = writeln!(out, ".SS {}", escaped(group));
        }
        let default = row.default.map(|it| format!(" Default: {it}.")).unwrap_or_default();
        option(&mut out, &flag, &default);
        if flag.long == "balance" {
            algorithms(&mut out);
        }
    }
    section(&mut out, "SIGNALS");
    terms(&mut out, &words::chapter("signals"));
    section(&mut out, "EXIT STATUS");
    terms(&mut out, &words::chapter("exit-codes"));
    section(&mut out, "ENVIRONMENT");
    terms(&mut out, &words::chapter("environment"));
    section(&mut out, "FILES");
    for (path, says) in FILES {
        term(&mut out, path, says);
    }
    section(&mut out, "EXAMPLES");
    literally(&mut out, &words::chapter("examples"));
    section(&mut out, "SEE ALSO");
    paragraph(
        &mut out,
        "pointsman-ctl(8), pointsman-top(8), systemd.service(5), systemd.socket(5), logrotate(8)",
    );
    out
}

const FILES: [(&str, &str); 4] = [
    ("/etc/pointsman/pointsman.toml", "The configuration that the unit of systemd names."),
    ("/run/pointsman/api.sock", "Where the admin API usually listens."),
    ("/var/lib/pointsman", "Where the unit keeps what --state-file and --history-file name."),
    ("/var/log/pointsman", "Where the unit lets it write the access log."),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    ("POINTSMAN_ADMIN", "Where the process is, unless a flag or a word says so."),
    ("POINTSMAN_TOKEN", "Who asks, where tokens are wanted."),
];

fn of_ctl() -> String {
    let mut out = head("pointsman-ctl", "ask and change a pointsman that runs");
    synopsis_of(&mut out, &[("pointsman ctl", "COMMAND [WORDS] [FLAGS]")]);
    section(&mut out, "DESCRIPTION");
    paragraph(
        &mut out,
        "It speaks to the admin API of a process, at the place that --admin names. A backend is \
         POOL/NAME, or NAME alone if only one pool has it; the pool of a process without a file \
         is main.",
    );
    section(&mut out, "COMMANDS");
    let last = COMMANDS.last().expect("there are commands");
    let common = |flag: &Flag| ["admin", "token", "json", "help"].contains(&flag.long.as_str());
    for command in COMMANDS {
        let heading = format!("{} {}", command.name, command.takes);
        let _ = writeln!(out, ".SS {}", escaped(heading.trim_end()));
        paragraph(&mut out, &format!("{}.", capital(command.says)));
        if !command.more.is_empty() {
            paragraph(&mut out, command.more);
        }
        let flags = words::flags_of(command);
        flags.iter().filter(|it| !common(it)).for_each(|flag| option(&mut out, flag, ""));
    }
    section(&mut out, "OPTIONS");
    paragraph(&mut out, "These are of all commands:");
    let flags = words::flags_of(last);
    flags.iter().filter(|it| common(it)).for_each(|flag| option(&mut out, flag, ""));
    the_end(&mut out, "pointsman(8), pointsman-top(8)");
    out
}

fn of_top() -> String {
    let mut out = head("pointsman-top", "watch a pointsman that runs, in place");
    synopsis_of(&mut out, &[("pointsman top", "[SOCKET...] [FLAGS]")]);
    section(&mut out, "DESCRIPTION");
    let help = pointsman::top::HELP;
    let part = |begin: &str| {
        let at = help.find(begin).unwrap_or_else(|| panic!("top says nothing of {begin}"));
        help[at..].split("\n\n").next().unwrap_or_default().to_owned()
    };
    paragraph(&mut out, &part("A SOCKET is"));
    out.push_str(".PP\n");
    paragraph(&mut out, &part("Keys:"));
    section(&mut out, "OPTIONS");
    words::flags_of_top().iter().for_each(|flag| option(&mut out, flag, ""));
    the_end(&mut out, "pointsman(8), pointsman-ctl(8)");
    out
}

/// What both clients have.
fn the_end(out: &mut String, others: &str) {
    section(out, "EXIT STATUS");
    term(out, "0", "Done.");
    term(out, "1", "Refused or not there.");
    term(out, "2", "A command line that means nothing.");
    section(out, "ENVIRONMENT");
    for (name, says) in ENVIRONMENT {
        term(out, name, says);
    }
    section(out, "SEE ALSO");
    paragraph(out, others);
}

fn section(out: &mut String, title: &str) {
    let _ = writeln!(out, ".SH {title}");
}

fn synopsis_of(out: &mut String, lines: &[(&str, &str)]) {
    section(out, "SYNOPSIS");
    for (index, (command, rest)) in lines.iter().enumerate() {
        if index > 0 {
            out.push_str(".br\n");
        }
        let _ = writeln!(out, ".B {}\n{}", escaped(command), escaped(rest));
    }
}

fn option(out: &mut String, flag: &Flag, default: &str) {
    let short = match flag.short.as_str() {
        "" => String::new(),
        letter => format!("\\fB\\-{letter}\\fR, "),
    };
    let value = match flag.value.as_str() {
        "" => String::new(),
        value => format!(" \\fI{}\\fR", escaped(value)),
    };
    let long = escaped(&flag.long);
    let _ = writeln!(out, ".TP\n{short}\\fB\\-\\-{long}\\fR{value}");
    paragraph(out, &format!("{}{default}", flag.says));
}

fn algorithms(out: &mut String) {
    out.push_str(".RS\n");
    for row in Algorithm::ALL {
        term(out, row.name, &format!("{} Also {}.", row.equalises, row.aliases.join(", ")));
    }
    out.push_str(".RE\n");
}

fn term(out: &mut String, name: &str, says: &str) {
    let _ = writeln!(out, ".TP\n.B {}", escaped(name));
    paragraph(out, says);
}

/// A chapter whose terms stand at the third column, and their texts behind them or below.
fn terms(out: &mut String, chapter: &str) {
    let mut text = String::new();
    for line in chapter.lines().chain(["  "]) {
        if line.starts_with("   ") {
            text.push_str(line);
            continue;
        }
        if !text.is_empty() {
            paragraph(out, &text);
            text.clear();
        }
        let (name, rest) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
        if !name.is_empty() {
            let _ = writeln!(out, ".TP\n.B {}", escaped(name));
            text.push_str(rest);
        }
    }
}

fn literally(out: &mut String, text: &str) {
    out.push_str(".nf\n");
    for line in text.lines() {
        let line = line.strip_prefix("  ").unwrap_or(line);
        let _ = writeln!(out, "{}", escaped(line));
    }
    out.push_str(".fi\n");
}

/// Lines of words, flags in bold.
fn paragraph(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let shown = marked(word);
        if width > 0 && width + 1 + shown.len() > COLUMNS {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        // A line that begins so would be a request.
        if width == 0 && shown.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        out.push_str(&shown);
        width += shown.len();
    }
    out.push('\n');
}

fn marked(word: &str) -> String {
    let inner = word.trim_end_matches([',', '.', ';', ':', ')']);
    match inner.strip_prefix("--") {
        Some(name) if !name.is_empty() => {
            format!("\\fB{}\\fR{}", escaped(inner), escaped(&word[inner.len()..]))
        }
        _ => escaped(word),
    }
}

/// What groff would read as its own, or show as another character.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c => out.push(c),
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[test]
fn what_groff_reads_as_its_own_is_escaped() {
    assert_eq!(escaped(r"it's \x --a"), r"it\(aqs \ex \-\-a");
    let mut out = String::new();
    paragraph(&mut out, ".so it is, see --listen.");
    assert_eq!(out, "\\&.so it is, see \\fB\\-\\-listen\\fR.\n");
    let mut out = String::new();
    terms(&mut out, "  0     Good.\n  A, B\n        Bad,\n        or not.\n");
    assert_eq!(out, ".TP\n.B 0\nGood.\n.TP\n.B A, B\nBad, or not.\n");
}
