//! The command line: getopts over one table, `--help` out of the same table, errors of one line.
//!
//! Owns the order in which things are complained about: first what getopts cannot read, then
//! single values, then what is missing or does not go together. `main` calls [`parse`] and prints;
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
use typed::{refuse_long_flag_with_one_dash, unreadable};

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

/// The arguments without the program's name, as text.
pub fn arguments(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, UsageError> {
    let as_text = |arg: OsString| {
        arg.into_string().map_err(|arg| {
            let shown = quoted(&arg.to_string_lossy());
            UsageError::new(shown, Wrong::saying("bytes that are no text", "UTF-8"))
        })
    };
    args.skip(1).map(as_text).collect()
}

/// Read the arguments that follow the program's name.
pub fn parse(args: &[String]) -> Result<Command, UsageError> {
    refuse_long_flag_with_one_dash(args)?;
    let matches = options().parse(args).map_err(|fail| unreadable(&fail, args))?;
    for flag in all_flags() {
        if let Act::Answer(answer) = flag.act
            && matches.opt_present(flag.long)
        {
            return Ok(answer());
        }
    }
    let mut config = Config::defaults();
    for flag in all_flags() {
        apply(flag, &matches, &mut config)?;
    }
    if let Some(free) = matches.free.first() {
        let wrong = Wrong::saying(
            "an argument that belongs to no flag",
            "a flag before it such as --listen or --backend",
        );
        return Err(UsageError::new(format!("'{}'", escaped(free)), wrong));
    }
    if is_udp_alone(&config) && !matches.opt_present("check") {
        config.check = Check::None;
    }
    complete(&mut config)?;
    go_together(&config, &matches)?;
    Ok(Command::Run(Box::new(config)))
}

/// Every flag as (letter or empty, name), for the tests that look whether the documentation has
/// them all.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    all_flags().map(|flag| (flag.short, flag.long))
}

fn all_flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

fn options() -> Options {
    let mut options = Options::new();
    for flag in all_flags() {
        let (has_arg, occur) = match flag.act {
            Act::Value(_) => (HasArg::Yes, Occur::Optional),
            Act::Values(_) => (HasArg::Yes, Occur::Multi),
            Act::Switch(_) | Act::Answer(_) => (HasArg::No, Occur::Optional),
        };
        options.opt(flag.short, flag.long, flag.says, flag.value, has_arg, occur);
    }
    options
}

fn apply(flag: &Flag, matches: &Matches, config: &mut Config) -> Result<(), UsageError> {
    match flag.act {
        Act::Value(take) | Act::Values(take) => {
            for text in matches.opt_strs(flag.long) {
                take(config, &text).map_err(|wrong| UsageError::of(flag.long, wrong))?;
            }
        }
        Act::Switch(switch) if matches.opt_present(flag.long) => switch(config),
        Act::Switch(_) | Act::Answer(_) => {}
    }
    Ok(())
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
