//! What a condition compares, and how: a term, and a constant of the kind that the term can have.
//!
//! Pure, and without allocation once it is parsed. Whether a constant makes sense is asked here, so
//! that a comparison that could never be true is refused when it is written.

use std::fmt;

use super::facts::Facts;
use super::glob::{Glob, contains};
use crate::config::host_name::{HostName, host_alone};
use crate::config::http::{TOKEN_CHARS, is_token};
use crate::config::text::escaped;
use crate::config::value::{alternatives, closest};
use crate::limits::TOKEN_BYTES_MAX;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub term: Term,
    pub comparison: Comparison,
}

/// A part of a request, or a fact about it. The address of a client is no text, so it is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    Method,
    Path,
    Query(String),
    Host,
    /// In lower case.
    Header(String),
    Cookie(String),
    Sni,
    Subject,
    Listener,
    Scheme,
}

/// What the value of a term is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// It is there.
    Present,
    Text(Operator, String),
    Like(Glob),
    OneOf(Vec<String>),
}

/// How a value is compared with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Is,
    IsNot,
    Begins,
    Ends,
    Contains,
}

/// What a constant stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constant {
    Whole,
    Beginning,
    Part,
    Pattern,
}

/// The terms without a name behind them, by their words.
pub const PLAIN_TERMS: [(&str, Term); 7] = [
    ("method", Term::Method),
    ("path", Term::Path),
    ("host", Term::Host),
    ("sni", Term::Sni),
    ("tls.subject", Term::Subject),
    ("listener", Term::Listener),
    ("scheme", Term::Scheme),
];

/// The operators that compare with one text, by their words.
pub const OPERATORS: [(&str, Operator); 5] = [
    ("==", Operator::Is),
    ("!=", Operator::IsNot),
    ("^=", Operator::Begins),
    ("$=", Operator::Ends),
    ("*=", Operator::Contains),
];

/// The methods that everybody writes in capitals, as they are sent.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

const SCHEMES: [&str; 2] = ["http", "https"];

impl Test {
    pub fn holds(&self, facts: &impl Facts) -> bool {
        let value = match &self.term {
            Term::Method => Some(facts.method()),
            Term::Path => Some(facts.path()),
            Term::Query(key) => facts.query(key),
            Term::Header(name) => facts.header(name),
            Term::Cookie(name) => facts.cookie(name),
            Term::Sni => facts.sni().map(str::as_bytes),
            Term::Subject => facts.subject().map(str::as_bytes),
            Term::Listener => Some(facts.listener().as_bytes()),
            Term::Scheme if facts.is_tls() => Some(&b"https"[..]),
            Term::Scheme => Some(&b"http"[..]),
            Term::Host => {
                let name = facts.host().and_then(HostName::of);
                return self.comparison.fits(name.as_ref().map(HostName::bytes));
            }
        };
        self.comparison.fits(value)
    }

    /// Whether no value fits both, as far as that is easily seen.
    pub fn excludes(&self, other: &Test) -> bool {
        self.term == other.term && self.comparison.excludes(&other.comparison)
    }

    /// Whether each value that fits this one fits the other, as far as that is easily seen.
    pub fn implies(&self, other: &Test) -> bool {
        let fits = |constants: &[String]| {
            constants.iter().all(|text| other.comparison.fits(Some(text.as_bytes())))
        };
        let is_there = !matches!(self.comparison, Comparison::Text(Operator::IsNot, _));
        self.term == other.term
            && (self == other
                || other.comparison == Comparison::Present && is_there
                || self.comparison.constants().is_some_and(fits))
    }
}

impl Term {
    /// Whether a request may be without it. What each of them has is no condition by itself.
    pub fn may_be_missing(&self) -> bool {
        match self {
            Term::Query(_) | Term::Header(_) | Term::Cookie(_) => true,
            Term::Host | Term::Sni | Term::Subject => true,
            Term::Method | Term::Path | Term::Listener | Term::Scheme => false,
        }
    }

    /// A text as the values of this term are compared with it, or what would be right.
    pub fn constant(&self, constant: Constant, text: &str) -> Result<String, String> {
        if text.chars().any(char::is_control) {
            return Err("a text without control characters, which no request has".to_owned());
        }
        let is_whole = constant == Constant::Whole;
        let want = match self {
            Term::Path => path_objection(constant, text),
            Term::Method if is_whole => method_objection(text),
            Term::Scheme if is_whole => scheme_objection(text),
            Term::Host | Term::Sni if is_whole => host_objection(text),
            _ => None,
        };
        match (want, self) {
            (Some(want), _) => Err(want),
            (None, Term::Host | Term::Sni) => Ok(text.to_ascii_lowercase()),
            (None, _) => Ok(text.to_owned()),
        }
    }
}

fn path_objection(constant: Constant, text: &str) -> Option<String> {
    let first = text.chars().next();
    let begins_well = match constant {
        Constant::Whole => first == Some('/') || text == "*",
        Constant::Beginning => first == Some('/'),
        Constant::Pattern => matches!(first, Some('/' | '*' | '?')),
        Constant::Part => true,
    };
    if !begins_well {
        return Some("a path, which begins with a slash".to_owned());
    }
    let has_query = constant != Constant::Pattern && text.contains('?');
    has_query.then(|| "a path without its query, which is query(\"name\")".to_owned())
}

fn method_objection(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&&*upper) && text != upper {
        return Some(format!("\"{upper}\": methods are compared as they are written"));
    }
    (!is_token(text)).then(|| "a method such as \"GET\"".to_owned())
}

fn scheme_objection(text: &str) -> Option<String> {
    if SCHEMES.contains(&text) {
        return None;
    }
    let near = closest(text, SCHEMES).map(|near| format!("; did you mean \"{near}\"?"));
    Some(format!("\"http\" or \"https\"{}", near.unwrap_or_default()))
}

fn host_objection(text: &str) -> Option<String> {
    let alone = host_alone(text.as_bytes());
    if alone == text.as_bytes() && !alone.is_empty() {
        return None;
    }
    match std::str::from_utf8(alone) {
        Ok(alone) if !alone.is_empty() => {
            Some(format!("\"{}\", without a port or a dot at its end", escaped(alone)))
        }
        _ => Some("a host such as \"www.example.com\"".to_owned()),
    }
}

/// Whether a field or a cookie may have this name; if not, what would be right.
pub fn token_objection(name: &str) -> Option<String> {
    let want = || format!("a name of 1 to {TOKEN_BYTES_MAX} {TOKEN_CHARS}");
    (!is_token(name)).then(want)
}

/// Whether a parameter of a query may have this name, as it is written; if not, what would be
/// right.
pub fn key_objection(name: &str) -> Option<String> {
    let in_key = |byte: u8| byte.is_ascii_graphic() && !b"&=#".contains(&byte);
    let is_key = !name.is_empty() && name.bytes().all(in_key);
    let want = "the name of a parameter as it is sent, without & = # or spaces";
    (!is_key).then(|| want.to_owned())
}

/// The words that a term can begin with.
pub fn term_words() -> impl Iterator<Item = &'static str> {
    let plain = PLAIN_TERMS.iter().map(|(word, _)| *word);
    plain.chain(["client", "query", "header", "cookie"])
}

/// What is wanted where a term is.
pub fn terms_want() -> String {
    let mut words: Vec<&str> = vec!["client"];
    words.extend(PLAIN_TERMS.iter().map(|(word, _)| *word));
    words.extend(["header(\"Name\")", "cookie(\"name\")", "query(\"name\")"]);
    alternatives(&words)
}

impl Comparison {
    pub fn fits(&self, value: Option<&[u8]>) -> bool {
        let Some(value) = value else {
            return matches!(self, Comparison::Text(Operator::IsNot, _));
        };
        match self {
            Comparison::Present => true,
            Comparison::Like(glob) => glob.fits(value),
            Comparison::OneOf(texts) => texts.iter().any(|text| text.as_bytes() == value),
            Comparison::Text(operator, text) => operator.fits(value, text.as_bytes()),
        }
    }

    /// The texts that a value is one of, if it fits.
    fn constants(&self) -> Option<&[String]> {
        match self {
            Comparison::Text(Operator::Is, text) => Some(std::slice::from_ref(text)),
            Comparison::OneOf(texts) => Some(texts),
            _ => None,
        }
    }

    fn excludes(&self, other: &Comparison) -> bool {
        let none_fits = |constants: &[String], comparison: &Comparison| {
            !constants.iter().any(|text| comparison.fits(Some(text.as_bytes())))
        };
        if let Some(constants) = self.constants() {
            return none_fits(constants, other);
        }
        if let Some(constants) = other.constants() {
            return none_fits(constants, self);
        }
        let (Comparison::Text(one, text), Comparison::Text(two, other)) = (self, other) else {
            return false;
        };
        match (one, two) {
            (Operator::Begins, Operator::Begins) => {
                !text.starts_with(other.as_str()) && !other.starts_with(text.as_str())
            }
            (Operator::Ends, Operator::Ends) => {
                !text.ends_with(other.as_str()) && !other.ends_with(text.as_str())
            }
            _ => false,
        }
    }
}

impl Operator {
    pub fn constant(self) -> Constant {
        match self {
            Operator::Is | Operator::IsNot => Constant::Whole,
            Operator::Begins => Constant::Beginning,
            Operator::Ends | Operator::Contains => Constant::Part,
        }
    }

    fn fits(self, value: &[u8], text: &[u8]) -> bool {
        match self {
            Operator::Is => value == text,
            Operator::IsNot => value != text,
            Operator::Begins => value.starts_with(text),
            Operator::Ends => value.ends_with(text),
            Operator::Contains => contains(text, value),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)?;
        match &self.comparison {
            Comparison::Present => Ok(()),
            Comparison::Text(operator, text) => {
                let word =
                    OPERATORS.iter().find(|(_, it)| it == operator).map_or("", |it| it.0);
                write!(f, " {word} {}", Literal(text))
            }
            Comparison::Like(glob) => write!(f, " ~ {}", Literal(&glob.to_string())),
            Comparison::OneOf(texts) => {
                let texts: Vec<String> =
                    texts.iter().map(|text| Literal(text).to_string()).collect();
                write!(f, " in [{}]", texts.join(", "))
            }
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Query(key) => write!(f, "query({})", Literal(key)),
            Term::Header(name) => write!(f, "header({})", Literal(name)),
            Term::Cookie(name) => write!(f, "cookie({})", Literal(name)),
            plain => {
                let word = PLAIN_TERMS.iter().find(|(_, term)| term == plain);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}

/// A text in double quotes.
struct Literal<'a>(&'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
