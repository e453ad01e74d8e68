//! What getopts cannot read, in our words; and what it would read as something else.
//!
//! Called by [`super::parse`].

use getopts::Fail;

use super::table::{Act, Flag};
use super::{UsageError, all_flags};
use crate::config::{Config, Wrong, closest, escaped};

/// `-listen x` would be read as `-l isten`, and the complaint would be about an address.
pub(super) fn refuse_long_flag_with_one_dash(args: &[String]) -> Result<(), UsageError> {
    for arg in args.iter().take_while(|arg| *arg != "--") {
        let name = arg.strip_prefix('-').and_then(|arg| arg.split('=').next());
        if let Some(flag) = all_flags().find(|flag| Some(flag.long) == name) {
            let shown = format!("-{}", flag.long);
            let want = format!("two: --{}", flag.long);
            return Err(UsageError::new(shown, Wrong::saying("one dash", want)));
        }
    }
    Ok(())
}

/// The complaints of getopts in our words.
pub(super) fn unreadable(fail: &Fail, args: &[String]) -> UsageError {
    match fail {
        Fail::ArgumentMissing(name) => {
            let (flag, wrong) = match find(name) {
                Some(flag) => (format!("--{}", flag.long), refusal_of_nothing(flag)),
                None => (dashed(name), Wrong::found("", "a value")),
            };
            UsageError::new(flag, wrong)
        }
        Fail::UnrecognizedOption(name) => unknown(name),
        Fail::OptionDuplicated(name) => {
            UsageError::new(dashed(name), Wrong::saying("twice", "it once"))
        }
        Fail::UnexpectedArgument(name) => {
            let start = format!("--{name}=");
            let value =
                args.iter().find_map(|arg| arg.strip_prefix(&start)).unwrap_or_default();
            let found = format!("the value '{}'", escaped(value));
            UsageError::new(dashed(name), Wrong::saying(found, "the flag alone"))
        }
        // because: no flag of the table is required by getopts, so that it cannot miss one.
        Fail::OptionMissing(name) => UsageError::new(dashed(name), Wrong::found("", "it once")),
    }
}

fn unknown(name: &str) -> UsageError {
    let near = closest(name, all_flags().map(|flag| flag.long));
    let hint = near.map(|near| format!("; did you mean --{near}?")).unwrap_or_default();
    let wrong = Wrong::saying("an unknown flag", format!("one that --help lists{hint}"));
    UsageError::new(dashed(name), wrong)
}

/// A flag without its value is as wrong as one with an empty value, and wants the same.
fn refusal_of_nothing(flag: &Flag) -> Wrong {
    match flag.act {
        Act::Value(take) | Act::Values(take) => take(&mut Config::defaults(), "").err(),
        Act::Switch(_) | Act::Answer(_) => None,
    }
    .unwrap_or_else(|| Wrong::found("", flag.value))
}

fn find(name: &str) -> Option<&'static Flag> {
    all_flags().find(|flag| flag.long == name || (flag.short == name && !name.is_empty()))
}

/// As it was typed; getopts takes the dashes off.
fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", escaped(name))
}
