//! The command line: getopts over one table, `--help` out of the same table, errors of one line
//! each, all at once.
//!
//! Owns the order in which things are complained about: first what getopts cannot read, then
//! single values, then what is missing or does not go together. What follows from a mistake that
//! was named already is not complained about. `main` calls [`parse`] and prints;
//! nothing here does I/O.

mod manual;
mod typed;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;

use getopts::{HasArg, Matches, Occur, Options};

use crate::config::{self, Complaint, Config, SettingKey, Spelling, Wrong, escaped, quoted};
use crate::settings::{Act, Answer, GROUPS, OPTIONS, Setting};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To run. With `demo` the backends are still to be filled in.
    Run(Box<Config>),
    /// To show this manual.
    Help(String),
    /// To show this version line.
    Version(String),
}

/// What is wrong with the command line: one line that names the flag, what was found and what
/// would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

/// Everything that is wrong with a command line, told at once: to mend one thing and hear of the
/// next at the next try is no way to learn flags.
#[derive(Debug, Default)]
struct FlagComplaints {
    errors: Vec<UsageError>,
    /// About settings.
    settings: config::Complaints,
    /// The value of a flag was the next flag.
    has_swallowed: bool,
}

/// How settings are written on the command line.
pub const SPELLING: Spelling = Spelling {
    name: |key| match all_flags().find(|flag| flag.key() == Some(key)) {
        Some(flag) => format!("--{}", flag.long),
        None => option(key).map_or_else(|| key.to_string(), str::to_owned),
    },
    with_value: |key, value| match option(key) {
        Some(option) => format!("{option}={value}"),
        None => format!("{} {value}", (SPELLING.name)(key)),
    },
    backend_of: |pool| match pool {
        config::MAIN => SettingKey::BACKEND,
        _ => SettingKey::ROUTE,
    },
};

/// What is said of a backend behind its address.
fn option(key: SettingKey) -> Option<&'static str> {
    OPTIONS.iter().find(|option| option.0 == key).map(|option| option.1)
}

/// The arguments without the program's name, as text.
pub fn arguments(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, Vec<UsageError>> {
    let mut texts = Vec::new();
    let mut errors = Vec::new();
    for arg in args.skip(1) {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => {
                let shown = quoted(&arg.to_string_lossy());
                let wrong = Wrong::saying("bytes that are no text", "UTF-8");
                errors.push(UsageError::new(shown, &wrong));
            }
        }
    }
    if errors.is_empty() { Ok(texts) } else { Err(errors) }
}

/// Read the arguments that follow the program's name. At least one complaint, if it cannot be done.
pub fn parse(args: &[String]) -> Result<Command, Vec<UsageError>> {
    let mut complaints = FlagComplaints::default();
    let matches = typed::read(args, &options(), &mut complaints);
    if complaints.errors.is_empty() {
        for flag in all_flags() {
            if let Act::Answer(answer) = flag.act
                && matches.opt_count(flag.long) == 1
            {
                return self::answer(answer, args, &matches.free);
            }
        }
    }
    let mut config = Config::defaults();
    for flag in all_flags() {
        apply(flag, &matches, &mut config, &mut complaints);
    }
    complaints.spell();
    // A flag that swallowed the next one left that one's value behind.
    let free = if complaints.has_swallowed { &[][..] } else { &matches.free[..] };
    for free in free {
        let wrong = Wrong::saying(
            "an argument that belongs to no flag",
            "a flag before it such as --listen or --backend",
        );
        complaints.add(UsageError::new(format_args!("'{}'", escaped(free)), &wrong));
    }
    // With a file the command line need not say what is served.
    if config.file.is_none() || config.serves_itself() || config.process.demo {
        config::fill_in(&mut config, &complaints.settings);
        complaints.miss(&config::missing(&config, &complaints.settings));
        config::check_whole(&config, &mut complaints.settings);
    }
    // Beside a file, what that says of it counts as well: it is looked at then.
    if config.file.is_none() {
        config::complain_of_admin(&config.process.admin, &mut complaints.settings);
    }
    complaints.spell();
    if complaints.errors.is_empty() {
        Ok(Command::Run(Box::new(config)))
    } else {
        Err(complaints.errors)
    }
}

/// What is said instead of running. getopts takes `-h` and `--help` for the same.
fn answer(
    answer: Answer,
    args: &[String],
    free: &[String],
) -> Result<Command, Vec<UsageError>> {
    let is_long = args.iter().any(|arg| arg.trim_start_matches('-') == "help");
    match (answer, free) {
        (Answer::Version, _) => Ok(Command::Version(manual::version())),
        (Answer::Help, _) if !is_long => Ok(Command::Help(manual::screen())),
        (Answer::Help, []) => Ok(Command::Help(manual::text())),
        (Answer::Help, [topic, ..]) => {
            manual::chapter(topic).map(Command::Help).ok_or_else(|| {
                let want = format!("a flag's name, or {}", manual::topics().join(", "));
                let wrong = Wrong::saying(format!("no chapter {}", quoted(topic)), want);
                vec![UsageError::new("--help", &wrong)]
            })
        }
    }
}

/// A flag as documents show it: `docs/flags.md` is made of these.
#[derive(Debug, Clone)]
pub struct Row {
    /// Title of the group that it belongs to.
    pub group: &'static str,
    /// One letter, or empty.
    pub short: &'static str,
    /// Its name, without dashes.
    pub long: &'static str,
    /// What stands for the value; empty for a flag without one.
    pub value: &'static str,
    /// What the manual says.
    pub says: &'static str,
    /// The default in words, of a flag with a value.
    pub default: Option<String>,
}

/// Every flag, in the order of the manual.
pub fn rows() -> impl Iterator<Item = Row> {
    let defaults = Config::defaults();
    let flags =
        GROUPS.iter().flat_map(|group| group.flags.iter().map(move |flag| (group, flag)));
    flags.map(move |(group, flag)| Row {
        group: group.title,
        short: flag.short,
        long: flag.long,
        value: flag.value,
        says: flag.says,
        default: match flag.act {
            Act::Value(..) | Act::Values(..) => Some((flag.default)(&defaults)),
            Act::Switch(..) | Act::Answer(_) => None,
        },
    })
}

fn all_flags() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// That a flag is given once is looked at in [`apply`]: getopts would stop there.
fn options() -> Options {
    let mut options = Options::new();
    for flag in all_flags() {
        let has_arg = match flag.act {
            Act::Value(..) | Act::Values(..) => HasArg::Yes,
            Act::Switch(..) | Act::Answer(_) => HasArg::No,
        };
        options.opt(flag.short, flag.long, flag.says, flag.value, has_arg, Occur::Multi);
    }
    options
}

fn apply(
    flag: &Setting,
    matches: &Matches,
    config: &mut Config,
    complaints: &mut FlagComplaints,
) {
    let count = matches.opt_count(flag.long);
    if !matches!(flag.act, Act::Values(..)) && count > 1 {
        let twice = Wrong::saying("twice", "it once");
        return match flag.key() {
            Some(key) => complaints.settings.of(key, twice),
            None => {
                complaints.spell();
                complaints.add(UsageError::of(flag, &twice));
            }
        };
    }
    config.given.extend(flag.key().filter(|_| count > 0));
    match flag.act {
        Act::Value(key, take) | Act::Values(key, take, _) => {
            for text in matches.opt_strs(flag.long) {
                let taken = take(config, &text);
                complaints.has_swallowed |= taken.is_err() && text.starts_with('-');
                complaints.settings.check(key, &[], taken);
            }
        }
        Act::Switch(_, switch) if count > 0 => switch(config, true),
        Act::Switch(..) | Act::Answer(_) => {}
    }
}

impl FlagComplaints {
    fn add(&mut self, error: UsageError) {
        self.errors.push(error);
    }

    /// What was found out about settings, in the words of flags.
    fn spell(&mut self) {
        self.errors.extend(self.settings.take().iter().map(UsageError::from));
    }

    /// The line that is short of something is often the first that is tried.
    fn miss(&mut self, keys: &[SettingKey]) {
        if keys.is_empty() {
            return;
        }
        let example = |&key: &SettingKey| match key {
            SettingKey::LISTEN => "--listen 127.0.0.1:8000",
            SettingKey::ROUTE => "--route www.example.com=127.0.0.1:8443",
            _ => "--backend 127.0.0.1:8001",
        };
        let names: Vec<String> = keys.iter().map(|&key| (SPELLING.name)(key)).collect();
        let examples: Vec<&str> = keys.iter().map(example).collect();
        let examples = examples.join(" ");
        let want = format!("at least one such as {examples}, or --demo; see --help");
        self.add(UsageError::new(names.join(" and "), &Wrong::found("", want)));
        keys.iter().for_each(|&key| self.settings.note_failed(key));
    }
}

impl UsageError {
    fn new(flag: impl fmt::Display, wrong: &Wrong) -> UsageError {
        UsageError(format!("{flag}: {}", wrong.spelled(SPELLING)))
    }

    fn of(flag: &Setting, wrong: &Wrong) -> UsageError {
        UsageError::new(format_args!("--{}", flag.long), wrong)
    }
}

impl From<&Complaint> for UsageError {
    fn from(complaint: &Complaint) -> UsageError {
        UsageError(complaint.spelled(SPELLING))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
