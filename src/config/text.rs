//! Text from outside, made fit to be shown in a line of ours.
//!
//! Pure. Used wherever a complaint, a log line or a page repeats what somebody else wrote.

/// Text from outside in quotes, [`escaped`].
pub fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("'{}'", escaped(text)) }
}

/// Text from outside: on one line whatever it holds, and cut where nobody reads on.
pub fn escaped(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    let mut out = String::new();
    for c in text.chars().take(CHARS_MAX) {
        match c {
            // A quote in the text is no danger; escaping it would only hide what was typed.
            '\'' | '"' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        out.push_str("...");
    }
    out
}

/// `1 listener`, `2 listeners`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_said_as_one() {
        let says = [0, 1, 2, 11].map(|count| counted(count, "flow"));
        assert_eq!(says, ["0 flows", "1 flow", "2 flows", "11 flows"]);
    }

    #[test]
    fn text_from_outside_stays_on_one_line() {
        assert_eq!(quoted(""), "nothing");
        assert_eq!(quoted("it's"), "'it's'");
        assert_eq!(quoted("a\nb\r\0\u{2028}\x1b["), r"'a\nb\r\0\u{2028}\u{1b}['");
        assert_eq!(quoted(&"x".repeat(101)), format!("'{}...'", "x".repeat(100)));
    }
}
