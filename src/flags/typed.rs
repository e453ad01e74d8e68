//! What getopts cannot read, in our words; and what it would read as something else.
//!
//! Called by [`super::parse`].

use getopts::{Fail, Matches, Options};

use super::{FlagComplaints, UsageError, all_flags};
use crate::config::{Config, Wrong, closest, escaped};
use crate::settings::{Act, Setting};

/// What people write who come from another program, and what stands in its place here.
const FOREIGN: &[(&[&str], &str)] = &[
    (&["health-check", "healthcheck", "health", "probe"], "did you mean --check?"),
    (&["conf", "configuration", "c", "f", "file"], "did you mean --config?"),
    (&["test", "validate", "dry-run"], "did you mean --check-config?"),
    (&["bind", "port", "p", "address", "frontend"], "did you mean --listen?"),
    (&["server", "upstream", "target", "s"], "did you mean --backend?"),
    (&["algorithm", "algo", "strategy", "policy", "lb"], "did you mean --balance?"),
    (&["v"], "did you mean --version, or --log-level debug?"),
    (&["verbose", "debug", "d"], "did you mean --log-level debug?"),
    (&["quiet", "q"], "did you mean --log-level error?"),
    (&["daemon", "daemonize", "background"], "it stays in the foreground, for a supervisor"),
    (&["certificate", "crt", "ssl-cert", "tls-cert"], "did you mean --cert?"),
    (&["ssl-key", "tls-key", "private-key"], "did you mean --key?"),
    (
        &["timeout"],
        "did you mean --idle-timeout, --connect-timeout, --server-timeout or --check-timeout?",
    ),
    (&["interval"], "did you mean --check-interval?"),
    (&["maxconn", "max-conn"], "did you mean --max-connections?"),
    (&["cookie", "sticky", "session-cookie"], "did you mean --sticky-cookie?"),
    (
        &["weight", "backup"],
        "it is an option of a backend, such as --backend db1:5432,weight=3",
    ),
];

/// What getopts makes of the arguments, once all that it cannot read is complained of and out.
pub(super) fn read(
    args: &[String],
    options: &Options,
    complaints: &mut FlagComplaints,
) -> Matches {
    let mut args = with_two_dashes(args, complaints);
    check_alone(&mut args);
    loop {
        match options.parse(&args) {
            Ok(matches) => return matches,
            Err(fail) => {
                complaints.add(unreadable(&fail, &args));
                if let Fail::ArgumentMissing(name) = &fail
                    && let Some(flag) = find(name)
                {
                    flag.key().into_iter().for_each(|key| complaints.settings.note_failed(key));
                }
                take_out(&fail, &mut args);
            }
        }
    }
}

/// Beside `--config`, a `--check` without a value asks for the check of the file.
fn check_alone(args: &mut [String]) {
    let names_file = |arg: &String| arg == "--config" || arg.starts_with("--config=");
    if !args.iter().any(names_file) {
        return;
    }
    for at in 0..args.len() {
        let has_value = args.get(at + 1).is_some_and(|next| !next.starts_with('-'));
        if args[at] == "--check" && !has_value {
            args[at] = "--check-config".to_owned();
        }
    }
}

/// Each time there is less to read, so that it comes to an end.
fn take_out(fail: &Fail, args: &mut Vec<String>) {
    match fail {
        Fail::UnrecognizedOption(name) => match place_of(name, args) {
            Some(at) => {
                let has_value = !args[at].contains('=')
                    && args.get(at + 1).is_some_and(|next| !next.starts_with('-'));
                args.drain(at..=at + usize::from(has_value));
            }
            None => args.clear(),
        },
        Fail::UnexpectedArgument(name) => {
            let start = format!("--{name}=");
            match args.iter_mut().find(|arg| arg.starts_with(&start)) {
                Some(arg) => arg.truncate(start.len() - 1),
                None => args.clear(),
            }
        }
        // The flag without its value is the last one.
        Fail::ArgumentMissing(_) | Fail::OptionDuplicated(_) | Fail::OptionMissing(_) => {
            args.pop();
        }
    }
}

/// Where a flag stands that nobody knows; not what looks like it and is another one's value.
fn place_of(name: &str, args: &[String]) -> Option<usize> {
    let mut at = 0;
    while at < args.len() && args[at] != "--" {
        let mut takes_next = false;
        if let Some(long) = args[at].strip_prefix("--") {
            let (word, value) =
                long.split_once('=').map_or((long, None), |(word, value)| (word, Some(value)));
            if word == name {
                return Some(at);
            }
            takes_next = value.is_none() && find(word).is_some_and(takes_value);
        } else if let Some(letters) = args[at].strip_prefix('-') {
            for (index, letter) in letters.char_indices() {
                let known = find(letter.encode_utf8(&mut [0; 4]));
                if known.is_none() && name.chars().eq([letter]) {
                    return Some(at);
                }
                if known.is_some_and(takes_value) {
                    takes_next = index + letter.len_utf8() == letters.len();
                    break;
                }
            }
        }
        at += 1 + usize::from(takes_next);
    }
    None
}

fn takes_value(flag: &Setting) -> bool {
    matches!(flag.act, Act::Value(..) | Act::Values(..))
}

/// `-listen x` would be read as `-l isten`, and the complaint would be about an address.
fn with_two_dashes(args: &[String], complaints: &mut FlagComplaints) -> Vec<String> {
    let mut args = args.to_vec();
    for arg in args.iter_mut().take_while(|arg| *arg != "--") {
        let name = arg.strip_prefix('-').and_then(|arg| arg.split('=').next());
        if let Some(flag) = all_flags().find(|flag| Some(flag.long) == name) {
            let shown = format!("-{}", flag.long);
            let want = format!("two: --{}", flag.long);
            complaints.add(UsageError::new(shown, &Wrong::saying("one dash", want)));
            arg.insert(0, '-');
        }
    }
    args
}

/// The complaints of getopts in our words.
fn unreadable(fail: &Fail, args: &[String]) -> UsageError {
    match fail {
        Fail::ArgumentMissing(name) => {
            let (flag, wrong) = match find(name) {
                Some(flag) => (format!("--{}", flag.long), refusal_of_nothing(flag)),
                None => (dashed(name), Wrong::found("", "a value")),
            };
            UsageError::new(flag, &wrong)
        }
        Fail::UnrecognizedOption(name) => unknown(name),
        Fail::OptionDuplicated(name) => {
            UsageError::new(dashed(name), &Wrong::saying("twice", "it once"))
        }
        Fail::UnexpectedArgument(name) => {
            let start = format!("--{name}=");
            let value =
                args.iter().find_map(|arg| arg.strip_prefix(&start)).unwrap_or_default();
            let found = format!("the value '{}'", escaped(value));
            UsageError::new(dashed(name), &Wrong::saying(found, "the flag alone"))
        }
        // because: no flag of the table is required by getopts, so that it cannot miss one.
        Fail::OptionMissing(name) => {
            UsageError::new(dashed(name), &Wrong::found("", "it once"))
        }
    }
}

fn unknown(name: &str) -> UsageError {
    let lower = name.to_lowercase();
    let foreign = FOREIGN.iter().find(|(names, _)| names.contains(&&*lower));
    let near = || closest(name, all_flags().map(|flag| flag.long));
    let hint = match foreign {
        Some((_, hint)) => format!("; {hint}"),
        None => near().map(|near| format!("; did you mean --{near}?")).unwrap_or_default(),
    };
    let wrong = Wrong::saying("an unknown flag", format!("one that --help lists{hint}"));
    UsageError::new(dashed(name), &wrong)
}

/// A flag without its value is as wrong as one with an empty value, and wants the same.
fn refusal_of_nothing(flag: &Setting) -> Wrong {
    match flag.act {
        Act::Value(_, take) | Act::Values(_, take, _) => {
            take(&mut Config::defaults(), "").err()
        }
        Act::Switch(..) | Act::Answer(_) => None,
    }
    .unwrap_or_else(|| Wrong::found("", flag.value))
}

fn find(name: &str) -> Option<&'static Setting> {
    all_flags().find(|flag| flag.long == name || (flag.short == name && !name.is_empty()))
}

/// As it was typed; getopts takes the dashes off.
fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", escaped(name))
}
