//! The command line: getopts over one table, `--help` out of the same table, errors of one line
//! each, all at once.
//!
//! Owns the order in which things are complained about: first what getopts cannot read, then
//! single values, then what is missing or does not go together. What follows from a mistake that
//! was named already is not complained about. `main` calls [`parse`] and prints;
//! nothing here does I/O.

mod http;
mod manual;
mod table;
mod tls;
mod together;
mod typed;
mod udp;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;

use getopts::{HasArg, Matches, Occur, Options};

use crate::config::{Check, Config, Wrong, escaped, is_udp_alone, quoted};
use table::{Act, Flag, GROUPS};
use together::{complete, go_together};

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
pub struct UsageError {
    /// As typed, dashes and all; or the flags that are missing.
    flag: String,
    wrong: Wrong,
}

/// Everything that is wrong with a command line, told at once: to mend one thing and hear of the
/// next at the next try is no way to learn flags.
#[derive(Debug, Default)]
struct Complaints {
    errors: Vec<UsageError>,
    /// What has a complaint already, by its long name: what depends on it cannot be judged.
    failed: Vec<&'static str>,
    /// The value of a flag was the next flag.
    has_swallowed: bool,
}

/// The arguments without the program's name, as text.
pub fn arguments(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, Vec<UsageError>> {
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    for arg in args.skip(1) {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => {
                let shown = quoted(&arg.to_string_lossy());
                let wrong = Wrong::saying("bytes that are no text", "UTF-8");
                errors.push(UsageError::new(shown, wrong));
            }
        }
    }
    if errors.is_empty() { Ok(texts) } else { Err(errors) }
}

/// Read the arguments that follow the program's name. At least one complaint, if it cannot be done.
pub fn parse(args: &[String]) -> Result<Command, Vec<UsageError>> {
    let mut complaints = Complaints::default();
    let matches = typed::read(args, &options(), &mut complaints);
    if complaints.errors.is_empty() {
        for flag in all_flags() {
            if let Act::Answer(answer) = flag.act
                && matches.opt_count(flag.long) == 1
            {
                return Ok(answer());
            }
        }
    }
    let mut config = Config::defaults();
    for flag in all_flags() {
        apply(flag, &matches, &mut config, &mut complaints);
    }
    // A flag that swallowed the next one left that one's value behind.
    let free = if complaints.has_swallowed { &[][..] } else { &matches.free[..] };
    for free in free {
        let wrong = Wrong::saying(
            "an argument that belongs to no flag",
            "a flag before it such as --listen or --backend",
        );
        complaints.add(UsageError::new(format!("'{}'", escaped(free)), wrong));
    }
    if is_udp_alone(&config) && !matches.opt_present("check") {
        config.check = Check::None;
    }
    complete(&mut config, &mut complaints);
    go_together(&config, &matches, &mut complaints);
    if complaints.errors.is_empty() {
        Ok(Command::Run(Box::new(config)))
    } else {
        Err(complaints.errors)
    }
}

/// Every flag as (letter or empty, name), for the tests that look whether the documentation has
/// them all.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    all_flags().map(|flag| (flag.short, flag.long))
}

fn all_flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// That a flag is given once is looked at in [`apply`]: getopts would stop there.
fn options() -> Options {
    let mut options = Options::new();
    for flag in all_flags() {
        let has_arg = match flag.act {
            Act::Value(_) | Act::Values(_) => HasArg::Yes,
            Act::Switch(_) | Act::Answer(_) => HasArg::No,
        };
        options.opt(flag.short, flag.long, flag.says, flag.value, has_arg, Occur::Multi);
    }
    options
}

fn apply(flag: &Flag, matches: &Matches, config: &mut Config, complaints: &mut Complaints) {
    if !matches!(flag.act, Act::Values(_)) && matches.opt_count(flag.long) > 1 {
        return complaints.of(flag.long, Wrong::saying("twice", "it once"));
    }
    match flag.act {
        Act::Value(take) | Act::Values(take) => {
            for text in matches.opt_strs(flag.long) {
                let taken = take(config, &text);
                complaints.has_swallowed |= taken.is_err() && text.starts_with('-');
                complaints.check(flag.long, &[], taken);
            }
        }
        Act::Switch(switch) if matches.opt_present(flag.long) => switch(config),
        Act::Switch(_) | Act::Answer(_) => {}
    }
}

impl Complaints {
    fn add(&mut self, error: UsageError) {
        self.errors.push(error);
    }

    fn of(&mut self, long: &'static str, wrong: Wrong) {
        self.failed.push(long);
        self.add(UsageError::of(long, wrong));
    }

    /// Complain of this, unless something that it follows from has a complaint itself.
    fn check(&mut self, long: &'static str, needs: &[&str], checked: Result<(), Wrong>) {
        match checked {
            Err(wrong) if !needs.iter().any(|flag| self.has_failed(flag)) => {
                self.of(long, wrong);
            }
            _ => {}
        }
    }

    fn has_failed(&self, long: &str) -> bool {
        self.failed.contains(&long)
    }
}

impl UsageError {
    fn new(flag: String, wrong: Wrong) -> UsageError {
        UsageError { flag, wrong }
    }

    fn of(long: &str, wrong: Wrong) -> UsageError {
        UsageError::new(format!("--{long}"), wrong)
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.wrong)
    }
}

impl std::error::Error for UsageError {}
