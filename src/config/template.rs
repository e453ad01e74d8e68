//! Text with placeholders for what a request says: `https://{host}{uri}`.
//!
//! Pure text to value: what a placeholder stands for is known where a request is at hand, in
//! `http::expand`. Used by the edits of heads and by redirects.

use std::fmt;

use super::complaint::Wrong;
use super::http::{TOKEN_CHARS, is_token};
use super::text::escaped;
use super::value::closest;
use crate::limits;

const BRACE_WANT: &str = "{{ or }} for a brace that is meant itself";

/// Text with placeholders. It holds no line end and no other control character but tabs, and no
/// blanks at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// No text is empty, and none follows another.
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What is written as it stands.
    Text(String),
    /// What the request decides.
    Value(Placeholder),
}

/// What a request says of itself, as it came: nothing that was edited before shows here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// The host without a port; with the port it is `{header:host}`.
    Host,
    /// The path without the query; `/` if the request is about the server as a whole (`*`).
    Path,
    /// The query without the question mark before it.
    Query,
    /// Path and query.
    Uri,
    /// `http` or `https`: what the client speaks with us.
    Scheme,
    /// The client's address, without a port.
    Client,
    /// The method.
    Method,
    /// The value of the first field of this name, which is in lower case.
    Header(String),
    /// The value of the first cookie of this name.
    Cookie(String),
}

impl Placeholder {
    const PLAIN: &[(&str, Placeholder)] = &[
        ("host", Placeholder::Host),
        ("path", Placeholder::Path),
        ("query", Placeholder::Query),
        ("uri", Placeholder::Uri),
        ("scheme", Placeholder::Scheme),
        ("client", Placeholder::Client),
        ("method", Placeholder::Method),
    ];

    /// What stands between braces.
    fn parse(text: &str, whole: &str) -> Result<Placeholder, Wrong> {
        let shown = format!("{{{text}}}");
        if let Some((_, known)) = Placeholder::PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(known.clone());
        }
        match text.split_once(':') {
            Some(("header", name)) if is_token(name) => {
                Ok(Placeholder::Header(name.to_ascii_lowercase()))
            }
            Some(("cookie", name)) if is_token(name) => {
                Ok(Placeholder::Cookie(name.to_owned()))
            }
            Some((kind @ ("header" | "cookie"), _)) => {
                let most = limits::TOKEN_BYTES_MAX;
                let want = format!("{{{kind}:NAME}}, NAME being 1 to {most} {TOKEN_CHARS}");
                Err(Wrong::found_in(&shown, whole, want))
            }
            _ => {
                let want = Placeholder::want(text);
                Err(Wrong::found_in(&shown, whole, want))
            }
        }
    }

    fn want(text: &str) -> String {
        let plain = Placeholder::PLAIN.iter().map(|(name, _)| *name);
        let list: Vec<String> = plain.clone().map(|name| format!("{{{name}}}")).collect();
        let list = list.join(", ");
        let kind = text.split_once(':').map_or(text, |(kind, _)| kind);
        let near = closest(kind, plain.chain(["header", "cookie"]));
        let hint = match (near, text.split_once(':')) {
            (Some(near @ ("header" | "cookie")), Some((_, name))) => {
                format!("; did you mean {{{near}:{}}}?", escaped(name))
            }
            (Some(near @ ("header" | "cookie")), None) => {
                format!("; did you mean {{{near}:NAME}}?")
            }
            (Some(near), _) => format!("; did you mean {{{near}}}?"),
            (None, _) => String::new(),
        };
        format!("{list}, {{header:NAME}} or {{cookie:NAME}}, {BRACE_WANT}{hint}")
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placeholder::Header(name) => write!(f, "{{header:{name}}}"),
            Placeholder::Cookie(name) => write!(f, "{{cookie:{name}}}"),
            plain => {
                let known = Placeholder::PLAIN.iter().find(|(_, known)| known == plain);
                write!(f, "{{{}}}", known.map_or("?", |(name, _)| name))
            }
        }
    }
}

impl Template {
    /// Text, `{host}` and the like, `{{` and `}}`.
    pub fn parse(text: &str) -> Result<Template, Wrong> {
        let most = limits::TEMPLATE_BYTES_MAX;
        if text.is_empty() || text.len() > most {
            return Err(Wrong::found(text, format!("text of 1 to {most} bytes")));
        }
        if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
            return Err(Wrong::found(text, "text without blanks at its ends"));
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Wrong::found(text, "text without line ends and control characters"));
        }
        let mut template = Template { pieces: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            template.add_text(&rest[..at]);
            let from = &rest[at..];
            if let Some(brace) = ["{{", "}}"].into_iter().find(|it| from.starts_with(it)) {
                template.add_text(&brace[1..]);
                rest = &from[2..];
                continue;
            }
            let inside = from.strip_prefix('{').and_then(|it| it.split_once('}'));
            let Some((name, behind)) = inside else {
                return Err(Wrong::found_in(&from[..1], text, BRACE_WANT));
            };
            template.pieces.push(Piece::Value(Placeholder::parse(name, text)?));
            rest = behind;
        }
        template.add_text(rest);
        Ok(template)
    }

    fn add_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Its parts in their order, at least one.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text, if it has no placeholder.
    pub fn plain(&self) -> Option<&str> {
        match &*self.pieces {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text that it begins with; empty if that is a placeholder.
    pub fn start(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// All text that is written as it stands.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(&**text),
            Piece::Value(_) => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Value(placeholder) => placeholder.fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn templates_are_read_and_shown_alike() {
        use Placeholder::*;
        let value = Piece::Value;
        let table = [
            ("a b\tc", vec![text("a b\tc")]),
            ("{host}", vec![value(Host)]),
            ("https://{host}{uri}", vec![text("https://"), value(Host), value(Uri)]),
            ("{path}?{query}", vec![value(Path), text("?"), value(Query)]),
            (
                "{scheme} {client} {method}",
                vec![value(Scheme), text(" "), value(Client), text(" "), value(Method)],
            ),
            ("{header:x-a}", vec![value(Header("x-a".to_owned()))]),
            ("{cookie:SID}", vec![value(Cookie("SID".to_owned()))]),
            ("{{host}}", vec![text("{host}")]),
            ("{{{host}}}", vec![text("{"), value(Host), text("}")]),
            ("a{{{{b}}", vec![text("a{{b}")]),
            ("gr\u{fc}n", vec![text("gr\u{fc}n")]),
        ];
        for (written, pieces) in table {
            let template = Template::parse(written).unwrap();
            assert_eq!(template.pieces(), pieces, "{written}");
            assert_eq!(template.to_string(), written);
        }
        let lower = Template::parse("{header:X-A}").unwrap();
        assert_eq!(lower.to_string(), "{header:x-a}");
    }

    #[test]
    fn what_cannot_stand_in_a_head_is_refused() {
        let long = "x".repeat(limits::TEMPLATE_BYTES_MAX + 1);
        let ends = "text without blanks at its ends";
        let control = "text without line ends and control characters";
        let length = "text of 1 to 1024 bytes";
        let table = [
            ("", length),
            (&*long, length),
            (" a", ends),
            ("a\t", ends),
            ("a\r\nb", control),
            ("a\nb", control),
            ("a\0b", control),
            ("a\x7fb", control),
            ("a\u{85}b", control),
        ];
        for (written, want) in table {
            assert_eq!(Template::parse(written), Err(Wrong::found(written, want)));
        }
        assert!(Template::parse(&long[1..]).is_ok());
    }

    #[test]
    fn braces_hold_what_is_known() {
        for (written, part) in [("a{", "{"), ("}a", "}"), ("{host", "{"), ("{host}}", "}")] {
            let wrong = Wrong::found_in(part, written, BRACE_WANT);
            assert_eq!(Template::parse(written), Err(wrong));
        }
        let table = [
            ("{}", ""),
            ("{x}", ""),
            ("{hots}", "; did you mean {host}?"),
            ("{Host}", "; did you mean {host}?"),
            ("{headr:x-a}", "; did you mean {header:x-a}?"),
            ("{header}", "; did you mean {header:NAME}?"),
            ("{cookies}", "; did you mean {cookie:NAME}?"),
            ("{something}", ""),
        ];
        for (written, hint) in table {
            let wrong = Template::parse(written).unwrap_err().to_string();
            let end = format!("for a brace that is meant itself{hint}");
            assert!(wrong.ends_with(&end), "{wrong}");
            assert!(wrong.contains("want {host}, {path}, {query}, {uri}, "), "{wrong}");
        }
        for written in ["{header:}", "{header:a b}", "{cookie:a=b}", "{cookie:\u{e9}}"] {
            let wrong = Template::parse(written).unwrap_err().to_string();
            assert!(wrong.contains(":NAME}, NAME being 1 to 256 letters"), "{wrong}");
        }
    }
}
