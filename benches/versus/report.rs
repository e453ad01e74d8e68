//! What came of it: as a table for the eye, as JSON, and as the pages of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use pointsman::json;

use crate::contest::{Effort, Entry, Figure, Result};
use crate::statistics::estimate;

/// Whether a goal was met: the upper end of the interval says so.
fn verdict(entry: &Entry) -> String {
    match entry.goal {
        None if entry.errors > 0 => "FAILED".to_owned(),
        None => String::new(),
        Some(goal) if entry.errors > 0 => format!("{goal:.2} FAILED"),
        Some(goal) if entry.ratio.high <= goal => format!("{goal:.2} met"),
        Some(goal) if entry.ratio.high.is_finite() => format!("{goal:.2} missed"),
        Some(goal) => format!("{goal:.2} ?"),
    }
}

fn ratio(entry: &Entry) -> String {
    let it = entry.ratio;
    if !it.median.is_finite() {
        return "-".to_owned();
    }
    format!("{:.2} [{:.2}-{:.2}]", it.median, it.low, it.high)
}

fn cost(entry: &Entry) -> String {
    if entry.costs.is_empty() {
        return "-".to_owned();
    }
    let it = estimate(&entry.costs);
    format!("{} [{}-{}]", Figure(it.median), Figure(it.low), Figure(it.high))
}

fn counts(entry: &Entry) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |it| Figure(it).to_string());
    format!("{} / {}", number(entry.calls), number(entry.instructions))
}

/// The table of a row.
pub fn table(result: &Result, effort: Effort) -> String {
    let row = result.row;
    let mut text = format!("\n{}: {}\n", row.name, row.what);
    let counted = if effort.counts { "calls / instructions" } else { "" };
    // because: writing to a String cannot fail; so below.
    let _ = writeln!(
        text,
        "  {:<28}{:<36}{:<20}{:<14}{counted}",
        "",
        row.measure(),
        "ours / theirs",
        "goal"
    );
    for entry in &result.entries {
        let counts = if effort.counts { counts(entry) } else { String::new() };
        let _ = writeln!(
            text,
            "  {:<28}{:<36}{:<20}{:<14}{counts}{}{}",
            entry.peer,
            cost(entry),
            ratio(entry),
            verdict(entry),
            if counts.is_empty() { "" } else { "  " },
            entry.note
        );
        if entry.errors > 0 {
            let why = entry.error.as_deref().unwrap_or("no word of why");
            let _ = writeln!(text, "  {:<28}!! {} errors: {why}", "", entry.errors);
        }
    }
    if let Some(rate) = result.rate {
        let _ = writeln!(text, "  at {} {}s a second", Figure(rate), row.unit());
    }
    if is_disturbed(result) {
        let _ = writeln!(
            text,
            "  others had our processors for {:.1} % of the time: read this with care",
            result.foreign * 100.0
        );
    }
    text
}

/// All of it, for programs.
pub fn json(results: &[Result], effort: Effort) -> Vec<u8> {
    let mut out = Vec::new();
    json::object(&mut out, |top| {
        top.object("machine", |it| {
            for (name, value) in machine() {
                it.text(name, value);
            }
        });
        top.number("rounds", effort.rounds as u64);
        top.decimal("seconds", effort.time.as_secs_f64());
        top.list("rows", results, |it, result| {
            it.text("row", result.row.name);
            it.text("unit", result.row.measure());
            it.decimal("foreign_load", result.foreign);
            it.decimal("rate", result.rate.unwrap_or(f64::NAN));
            it.list("peers", &result.entries, |it, entry| {
                let cost = estimate(&entry.costs);
                it.text("peer", &entry.peer);
                it.decimal("cost", cost.median);
                it.decimal("cost_low", cost.low);
                it.decimal("cost_high", cost.high);
                it.decimal("ratio", entry.ratio.median);
                it.decimal("ratio_low", entry.ratio.low);
                it.decimal("ratio_high", entry.ratio.high);
                it.number("errors", entry.errors);
                let time = |index: usize| entry.times.map(|times| times[index]);
                for (name, value) in [
                    ("goal", entry.goal),
                    ("a_second", entry.speed),
                    ("p50_us", time(0)),
                    ("p99_us", time(1)),
                    ("p99_9_us", time(2)),
                    ("calls", entry.calls),
                    ("instructions", entry.instructions),
                ] {
                    it.decimal(name, value.unwrap_or(f64::NAN));
                }
            });
        });
    });
    out.push(b'\n');
    out
}

/// The results as a page: machine, versions, tables, configurations.
pub fn markdown(results: &[Result], versions: &[(String, String)], effort: Effort) -> String {
    let mut text = String::from("## The run\n\n| | |\n|---|---|\n");
    for (name, value) in machine() {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = writeln!(
        text,
        "| effort | {} rounds of {:.2} s a peer and row of work |",
        effort.rounds,
        effort.time.as_secs_f64()
    );
    for (peer, version) in versions {
        let _ = writeln!(text, "| {peer} | {version} |");
    }
    let _ = writeln!(text, "| foreign load | {} |", foreign(results));
    for result in results {
        let row = result.row;
        let _ = writeln!(text, "\n### {}\n\n{}.\n", row.name, upper(row.what));
        let counted = if effort.counts { " system calls / instructions |" } else { "" };
        let line = if effort.counts { "---|" } else { "" };
        let _ = writeln!(
            text,
            "| | {} | ours / theirs | goal |{counted} |\n|---|---|---|---|---|{line}",
            row.measure()
        );
        for entry in &result.entries {
            let counts =
                if effort.counts { format!(" {} |", counts(entry)) } else { String::new() };
            let wrong = match entry.errors {
                0 => String::new(),
                errors => format!(
                    " **{errors} errors**: {}",
                    entry.error.as_deref().unwrap_or("no word of why")
                ),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |{counts} {}{wrong} |",
                entry.peer,
                cost(entry),
                ratio(entry),
                verdict(entry),
                entry.note
            );
        }
        if let Some(rate) = result.rate {
            let _ = writeln!(text, "\nAt {} {}s a second.", Figure(rate), row.unit());
        }
        if is_disturbed(result) {
            let percent = result.foreign * 100.0;
            let _ =
                writeln!(text, "\nOthers had our processors for {percent:.1} % of the time.");
        }
    }
    text + &configurations(results)
}

/// Whether others ran for so long that the row has to say so.
fn is_disturbed(result: &Result) -> bool {
    result.foreign > result.row.foreign_noted()
}

/// Whether a run was disturbed, and which rows of it.
fn foreign(results: &[Result]) -> String {
    let disturbed = results.iter().filter(|it| is_disturbed(it));
    let said: Vec<String> =
        disturbed.map(|it| format!("{} {:.1} %", it.row.name, it.foreign * 100.0)).collect();
    if said.is_empty() { "none that matters".to_owned() } else { said.join(", ") }
}

/// Each peer's configuration, of the first row of each protocol that it played.
fn configurations(results: &[Result]) -> String {
    let mut text = String::from("\n## The configurations of this run\n");
    let mut told = Vec::new();
    for result in results {
        for entry in &result.entries {
            let key = (entry.peer.clone(), result.row.protocol());
            if entry.configuration.is_empty() || told.contains(&key) {
                continue;
            }
            let _ = write!(
                text,
                "\n{} ({:?}):\n\n```text\n{}\n```\n",
                entry.peer,
                result.row.protocol(),
                entry.configuration.trim_end()
            );
            told.push(key);
        }
    }
    text
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What it ran on.
pub fn machine() -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|it| it.trim_start_matches(['\t', ':', ' ']).to_owned());
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    vec![
        (
            "processors",
            format!("{} x {}", crate::stage::processors(), model.unwrap_or_default()),
        ),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("congestion control", congestion_control()),
        ("priority", crate::priority::said()),
        ("compiler", rustc.unwrap_or_default()),
    ]
}

/// Which one new connections get.
pub fn congestion_control() -> String {
    let path = "/proc/sys/net/ipv4/tcp_congestion_control";
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
