//! Any text as a configuration file, and as the values in it that have a grammar of their own. What
//! is accepted is printed so that it reads back to the same; what is not is told.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use pointsman::config::{
    Condition, Match, Origins, PathEdit, RedirectTo, Respond, Subject, Template,
};
use pointsman::file::{Sources, parse, print};

/// Variables for `${NAME}`: what they hold is to be printed as carefully as what is written.
fn env(name: &str) -> Option<String> {
    match name {
        "API2" => Some("10.0.0.2:80".to_owned()),
        "ODD" => Some("a\"b'${c}\\\n".to_owned()),
        _ => None,
    }
}

fn as_file(text: &str) {
    let read = match parse("web.toml", text, &env) {
        Ok(loaded) => loaded,
        Err((mistakes, sources)) => {
            assert!(!mistakes.is_empty());
            for mistake in &mistakes {
                assert!(mistake.shown("error", &sources).starts_with("error: "));
            }
            return;
        }
    };
    for warning in &read.warnings {
        assert!(warning.shown("warning", &read.sources).starts_with("warning: "));
    }
    let printed = print(&read.desired, &read.origins, &read.sources);
    let again = match parse("web.toml", &printed, &|_| None) {
        Ok(again) => again,
        // What is said of all in [defaults] may be refused where it is said of one by name.
        Err(_) if read.origins.given(&Subject::Defaults).next().is_some() => return,
        Err((mistakes, sources)) => {
            panic!("{}\n{printed}", mistakes[0].shown("error", &sources))
        }
    };
    assert_eq!(again.desired, read.desired, "{printed}");
    // Without the places of the values, which are others.
    let plain = |desired| print(desired, &Origins::default(), &Sources::default());
    assert_eq!(plain(&again.desired), plain(&read.desired));
}

/// What a value is shown as means the same.
fn as_value<T: ToString + Debug + PartialEq, E: Debug>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) {
    if let Ok(value) = parse(text) {
        let shown = value.to_string();
        assert_eq!(parse(&shown).as_ref().ok(), Some(&value), "{text:?} as {shown:?}");
    }
}

fuzz_target!(|text: &str| {
    as_file(text);
    as_value(text, Condition::parse);
    as_value(text, Template::parse);
    as_value(text, RedirectTo::parse);
    as_value(text, Respond::parse);
    let path = Match::parse_path(text);
    if let Ok(Some(path)) = path {
        assert_eq!(Match::parse_path(&path).ok().flatten(), Some(path));
    }
    if let Ok(PathEdit::Rewrite(to)) = PathEdit::rewrite(text) {
        assert_eq!(PathEdit::rewrite(&to.to_string()).ok(), Some(PathEdit::Rewrite(to)));
    }
});
