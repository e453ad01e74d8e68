//! Conversations, in whatever pieces they come.

use super::*;

/// What is answered to these bytes, where each command is answered with its own text.
fn said(input: &str) -> String {
    said_in_pieces(input, input.len().max(1))
}

fn said_in_pieces(input: &str, size: usize) -> String {
    let mut it = Conversation::new(Level::Admin);
    let mut out = Vec::new();
    let mut pieces = input.as_bytes().chunks(size);
    loop {
        match it.next(&mut out) {
            Next::Ask(asked) => {
                out.extend_from_slice(format!("<{}>\n", asked.text).as_bytes());
                it.end(&mut out);
            }
            Next::Answered => {}
            Next::More => match pieces.next() {
                Some(piece) => it.feed(piece),
                None => it.finish(),
            },
            Next::Close => return String::from_utf8(out).unwrap(),
        }
    }
}

#[test]
fn one_line_has_as_many_answers_as_commands_and_then_it_is_over() {
    let table = [
        ("show backend\n", "<show backend>\n\n"),
        ("show backend;show version\r\n", "<show backend>\n\n<show version>\n\n"),
        ("show backend", "<show backend>\n\n"),
        ("show backend\nshow version\n", "<show backend>\n\n"),
        ("@1 show backend\n", "<show backend>\n\n"),
        ("quit;show backend\n", ""),
        ("enable server a/b\\;c\n", "<enable server a/b;c>\n\n"),
        ("show cli level\n", "admin\n\n"),
        ("user;show cli level;enable server a/b\n", "\nuser\n\nPermission denied\n\n"),
        ("operator;show table;user;operator;show cli level\n", "\n<show table>\n\n\n"),
    ];
    for (input, wanted) in table {
        let said = said(input);
        assert!(said.starts_with(wanted), "{input:?}: {said:?}");
    }
}

#[test]
fn a_prompt_comes_after_each_answer_until_quit() {
    let said_of = said("prompt\nshow backend\n\nset timeout cli 60\nquit\nshow version\n");
    assert!(said_of.starts_with("\n> <show backend>\n\n> Unknown command. Please enter"));
    assert!(said_of.ends_with("\n\n> \n> "), "{said_of:?}");
    assert_eq!(
        said("prompt i\nshow backend\nshow version\n"),
        "\n<show backend>\n\n<show version>\n\n"
    );
}

#[test]
fn a_payload_ends_with_an_empty_line_or_its_own() {
    let table = [
        ("show table <<\na\nb\n\n", "<show table>\n\n"),
        ("show table <<END\na\n\nb\nEND\n", "<show table>\n\n"),
        ("show table <<END\na\n", ""),
    ];
    for (input, wanted) in table {
        assert_eq!(said(input), wanted, "{input:?}");
    }
    assert_eq!(said("prompt\nshow table <<\na\n\n"), "\n> + + <show table>\n\n> ");
}

#[test]
fn messages_have_their_severity_once_that_is_asked_for() {
    let input = "set severity-output number;enable server x\n";
    assert_eq!(said(input), "\n[3]: Require 'backend/server'.\n\n");
    let input = "set severity-output string;enable server x\n";
    assert_eq!(said(input), "\n[err]: Require 'backend/server'.\n\n");
}

#[test]
fn what_is_too_long_is_refused_and_ends_it() {
    let line = "a".repeat(HAPROXY_LINE_BYTES_MAX + 2);
    assert_eq!(said(&line), "The line is too long.\n\n");
    let payload = format!("show table <<\n{}", "aaaa\n".repeat(HAPROXY_PAYLOAD_BYTES_MAX / 4));
    assert_eq!(said(&payload), "The payload is too long.\n\n");
    let words = format!("show table{}\n", " a".repeat(HAPROXY_WORDS_MAX));
    assert_eq!(said(&words), "Too many words in this command.\n\n");
}

/// A command behind one with a payload waits for that, though it came first.
#[test]
fn it_does_not_matter_in_which_pieces_it_comes() {
    let input =
        "prompt\nset server a/b state drain <<;show version\none\ntwo\n\nshow backend\n";
    let whole = said(input);
    assert!(whole.ends_with("<show version>\n\n> <show backend>\n\n> "), "{whole}");
    for size in 1..input.len() {
        assert_eq!(said_in_pieces(input, size), whole, "in pieces of {size}");
    }
}
