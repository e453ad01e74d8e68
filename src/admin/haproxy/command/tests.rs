//! Commands are read, or refused in HAProxy's words.

use super::*;

fn read(line: &str) -> Result<Command, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    parse(&words, None, Level::Admin)
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_haproxy() {
    let table = [
        ("get weight web", "Require 'backend/server'."),
        ("set weight web/a", "Require <weight> or <weight%>."),
        ("set weight web/a 300", "Absolute weight can only be between 0 and 256 inclusive."),
        ("set weight web/a x", "Empty weight string empty or preceded by garbage"),
        ("set server web/a foo", USAGE),
        ("set server web/a state up", STATES),
        ("set server web/a health up!", HEALTHS),
        ("set server web/a addr zz", "Invalid addr 'zz' by 'stats socket command'"),
        ("set maxconn server web/a x", "maxconn string empty or preceded by garbage"),
        ("add server web/c", "'server' expects <name> and <addr>[:<port>] as arguments."),
        ("add server web/c 1.1.1.1:1 foo", "unknown keyword 'foo'"),
        (
            "add server web/c 1.1.1.1:1 wieght 2",
            "unknown keyword 'wieght'; did you mean 'weight' maybe ?",
        ),
    ];
    for (line, wanted) in table {
        assert_eq!(read(line).unwrap_err(), wanted, "{line}");
    }
}

#[test]
fn a_new_server_begins_in_maintenance() {
    let Ok(Command::AddServer(target, spec)) =
        read("add server web/c 127.0.0.1:80 check weight 7 maxconn 9 backup")
    else {
        panic!("it is a command")
    };
    assert_eq!((&*target.backend, &*target.server), ("web", "c"));
    assert_eq!(spec.admin, AdminState::Maint);
    assert_eq!((spec.weight, spec.max_connections, spec.backup), (7, Some(9), true));
}

#[test]
fn near_misses_are_listed_with_what_always_helps() {
    let text = read("shwo stat").unwrap_err();
    assert!(text.starts_with("Unknown command, but maybe one"), "{text}");
    let line = format!("\n  {:<40}: report counters", "show stat [json|no-maint|typed|up]*");
    assert!(text.contains(&line), "{text}");
    assert!(!text.contains("  add server") && text.contains("\n  quit "), "{text}");
    let all = read("").unwrap_err();
    assert!(all.starts_with("Unknown command. Please enter one of the following"), "{all}");
}

#[test]
fn every_verb_of_the_help_is_understood() {
    let own = ["help", "prompt", "quit", "user", "operator"];
    let about_itself = ["severity-output", "timeout", "level"];
    for verb in super::super::verbs::VERBS {
        let is_own = own.contains(&verb.words[0])
            || verb.words.iter().any(|it| about_itself.contains(it));
        let line = format!("{} a/b 1 1", verb.words.join(" "));
        let text = read(&line).err().unwrap_or_default();
        assert!(is_own || !text.starts_with("Unknown command"), "{line}: {text}");
    }
}

#[test]
fn times_have_units() {
    let table =
        [("5", Some(5000)), ("2s", Some(2000)), ("7ms", Some(7)), ("x", None), ("2x", None)];
    for (text, wanted) in table {
        assert_eq!(time(text, 1000), wanted.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn a_session_is_named_as_it_is_shown() {
    assert_eq!(session_number("0x2a00000007"), Some(0x2a_0000_0007));
    assert_eq!(session_number("7"), Some(7));
    assert_eq!(session_number("0xx"), None);
}
