//! The text of a condition, read from left to right; complaints say at which character.

use std::net::IpAddr;

use super::Expression;
use super::glob::Glob;
use super::term::{
    Comparison, Constant, OPERATORS, PLAIN_TERMS, Term, Test, key_objection, term_words,
    terms_want, token_objection,
};
use crate::config::cidr::Cidr;
use crate::config::complaint::Wrong;
use crate::config::text::{escaped, quoted};
use crate::config::value::closest;
use crate::limits::{CONDITION_DEPTH_MAX, CONDITION_PIECE_BYTES_MAX};

const OPERATOR_WANT: &str = "==, !=, ^=, $=, *=, ~ or in";
const JOIN_WANT: &str = "&&, || or the end";
const CLIENT_WANT: &str = "== or != with an address, or in with networks such as 10.0.0.0/8";
const TEXT_WANT: &str = "a text in quotes";
const ADDRESS_WANT: &str = "an address such as 10.0.0.1";
const NETWORK_WANT: &str = "a network such as 10.0.0.0/8 or fd00::/8, or an address";

/// What others write for our operators.
const OPERATOR_HINTS: [(&str, &str); 13] = [
    (",", "in [..., ...]"),
    ("===", "=="),
    ("=~", "~"),
    ("~~", "~"),
    ("=", "=="),
    ("<>", "!="),
    ("!~", "!(... ~ ...)"),
    ("&", "&&"),
    ("|", "||"),
    ("and", "&&"),
    ("or", "||"),
    ("not", "!"),
    ("contains", "*="),
];

/// The whole text is a condition.
pub fn parse(text: &str) -> Result<Expression, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::found("", "a condition such as header(\"X-Beta\") == \"yes\""));
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.any()?;
    parser.skip_spaces();
    match parser.rest() {
        "" => Ok(expression),
        _ => Err(parser.wrong(format!("{JOIN_WANT}{}", parser.operator_hint()))),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Index of the first byte that is not read yet.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expression, Wrong> {
        let list = self.list("||", Parser::all)?;
        Ok(one_or(list, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, Wrong> {
        let list = self.list("&&", Parser::not)?;
        Ok(one_or(list, Expression::All))
    }

    fn list(
        &mut self,
        word: &str,
        part: fn(&mut Parser<'a>) -> Result<Expression, Wrong>,
    ) -> Result<Vec<Expression>, Wrong> {
        let mut list = vec![part(self)?];
        while self.take(word) {
            list.push(part(self)?);
        }
        Ok(list)
    }

    /// A parenthesis right behind a `!` nests no deeper than the `!` does.
    fn not(&mut self) -> Result<Expression, Wrong> {
        self.skip_spaces();
        let is_not = self.rest().starts_with('!');
        if !is_not && !self.rest().starts_with('(') {
            return self.test();
        }
        if self.depth == CONDITION_DEPTH_MAX {
            let found = format!("{} nested {} deep", self.token(), self.depth + 1);
            return Err(self.wrong_at(self.at, &found, format!("at most {}", self.depth)));
        }
        self.depth += 1;
        let expression = match (self.take("!"), self.take("(")) {
            (true, true) => Expression::Not(Box::new(self.group()?)),
            (true, false) => Expression::Not(Box::new(self.not()?)),
            (false, _) => self.group()?,
        };
        self.depth -= 1;
        Ok(expression)
    }

    /// Behind a parenthesis, up to the one that closes it.
    fn group(&mut self) -> Result<Expression, Wrong> {
        let expression = self.any()?;
        if self.take(")") {
            return Ok(expression);
        }
        Err(self.wrong(format!("&&, || or a closing ){}", self.operator_hint())))
    }

    fn test(&mut self) -> Result<Expression, Wrong> {
        self.skip_spaces();
        let start = self.at;
        let word = self.word();
        if word == "client" {
            self.at += word.len();
            return self.client();
        }
        let plain = PLAIN_TERMS.iter().find(|(known, _)| *known == word);
        let term = match (plain, word) {
            (Some((_, term)), _) => {
                self.at += word.len();
                term.clone()
            }
            (None, "header") => Term::Header(self.named(word, token_objection)?.to_lowercase()),
            (None, "cookie") => Term::Cookie(self.named(word, token_objection)?),
            (None, "query") => Term::Query(self.named(word, key_objection)?),
            _ => return Err(self.no_term(word)),
        };
        let comparison = self.comparison(&term)?;
        if comparison == Comparison::Present && !term.may_be_missing() {
            let found = format!("{} alone", quoted(&term.to_string()));
            let want = format!("{OPERATOR_WANT} behind it, for it is always there");
            return Err(self.wrong_at(start, &found, want));
        }
        Ok(Expression::Test(Test { term, comparison }))
    }

    /// The name in parentheses and quotes behind a word.
    fn named(
        &mut self,
        word: &str,
        objection: fn(&str) -> Option<String>,
    ) -> Result<String, Wrong> {
        self.at += word.len();
        let want = || format!("(\"name\") behind {word}");
        if !self.take("(") {
            return Err(self.wrong(want()));
        }
        let start = self.next();
        let name = self.quoted_text(&want())?;
        if let Some(want) = objection(&name) {
            return Err(self.wrong_at(start, &quoted(&name), want));
        }
        match self.take(")") {
            true => Ok(name),
            false => Err(self.wrong("a closing )")),
        }
    }

    fn no_term(&self, word: &str) -> Wrong {
        let lower = word.to_ascii_lowercase();
        let near = match &*lower {
            "not" => Some("!"),
            "ip" | "src" | "remote_addr" | "address" => Some("client"),
            "uri" | "url" => Some("path"),
            "proto" | "protocol" => Some("scheme"),
            "subject" => Some("tls.subject"),
            _ => closest(&lower, term_words()),
        };
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        self.wrong(format!("{}{hint}", terms_want()))
    }

    fn comparison(&mut self, term: &Term) -> Result<Comparison, Wrong> {
        if let Some((_, operator)) = OPERATORS.iter().find(|(word, _)| self.take(word)) {
            let text = self.constant(term, operator.constant())?;
            return Ok(Comparison::Text(*operator, text));
        }
        if self.take("~") {
            let start = self.next();
            let text = self.constant(term, Constant::Pattern)?;
            return Glob::parse(&text).map(Comparison::Like).ok_or_else(|| {
                let most = CONDITION_PIECE_BYTES_MAX;
                let want = format!("at most {most} bytes between two stars where there is a ?");
                self.wrong_at(start, &quoted(&text), want)
            });
        }
        if self.take_word("in") {
            return self.texts(term);
        }
        if self.is_over() {
            return Ok(Comparison::Present);
        }
        let hint = self.operator_hint();
        // What is always there cannot stand alone.
        Err(self.wrong(match term.may_be_missing() {
            true => format!("{OPERATOR_WANT}, {JOIN_WANT}{hint}"),
            false => format!("{OPERATOR_WANT}{hint}"),
        }))
    }

    /// A term may end here.
    fn is_over(&mut self) -> bool {
        self.skip_spaces();
        let ends = [")", "&&", "||"];
        self.rest().is_empty() || ends.iter().any(|end| self.rest().starts_with(end))
    }

    /// `["a", "b"]`
    fn texts(&mut self, term: &Term) -> Result<Comparison, Wrong> {
        const WANT: &str = "a list such as [\"a\", \"b\"]";
        if !self.take("[") {
            return Err(self.wrong(WANT));
        }
        let mut texts = vec![self.constant(term, Constant::Whole)?];
        while self.take(",") {
            texts.push(self.constant(term, Constant::Whole)?);
        }
        match self.take("]") {
            true => Ok(Comparison::OneOf(texts)),
            false => Err(self.wrong("a comma or a closing ]")),
        }
    }

    fn constant(&mut self, term: &Term, constant: Constant) -> Result<String, Wrong> {
        let start = self.next();
        let text = self.quoted_text(TEXT_WANT)?;
        term.constant(constant, &text)
            .map_err(|want| self.wrong_at(start, &quoted(&text), want))
    }

    /// Behind `client`. What is not an address is not in any network.
    fn client(&mut self) -> Result<Expression, Wrong> {
        if self.take("==") {
            return self.client_is();
        }
        if self.take("!=") {
            return Ok(Expression::Not(Box::new(self.client_is()?)));
        }
        if !self.take_word("in") {
            return Err(self.wrong(CLIENT_WANT));
        }
        if !self.take("[") {
            return Ok(Expression::ClientIn(vec![self.network()?]));
        }
        let mut networks = vec![self.network()?];
        while self.take(",") {
            networks.push(self.network()?);
        }
        match self.take("]") {
            true => Ok(Expression::ClientIn(networks)),
            false => Err(self.wrong("a comma or a closing ]")),
        }
    }

    fn client_is(&mut self) -> Result<Expression, Wrong> {
        let start = self.next();
        let text = self.address(ADDRESS_WANT)?;
        if text.parse::<IpAddr>().is_err() && Cidr::parse(&text).is_ok() {
            let want = format!("an address; did you mean client in {}?", escaped(&text));
            return Err(self.wrong_at(start, &quoted(&text), want));
        }
        self.at = start;
        Ok(Expression::ClientIn(vec![self.network()?]))
    }

    fn network(&mut self) -> Result<Cidr, Wrong> {
        let start = self.next();
        let text = self.address(NETWORK_WANT)?;
        Cidr::parse(&text).map_err(|wrong| wrong.at_character(self.character(start)))
    }

    /// An address or a network, with or without quotes.
    fn address(&mut self, want: &str) -> Result<String, Wrong> {
        self.skip_spaces();
        if self.rest().starts_with(['"', '\'']) {
            return self.quoted_text(want);
        }
        let in_address = |c: char| c.is_ascii_alphanumeric() || ".:/%".contains(c);
        let length = self.rest().find(|c| !in_address(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.wrong(want));
        }
        let text = self.rest()[..length].to_owned();
        self.at += length;
        Ok(text)
    }

    /// Between quotes of either kind; a backslash takes the next quote or backslash as it is.
    fn quoted_text(&mut self, want: &str) -> Result<String, Wrong> {
        self.skip_spaces();
        let Some(quote @ ('"' | '\'')) = self.rest().chars().next() else {
            let word = self.word();
            let hint = match word {
                "" => String::new(),
                _ if want == TEXT_WANT => format!("; did you mean \"{}\"?", escaped(word)),
                _ => String::new(),
            };
            return Err(self.wrong(format!("{want}{hint}")));
        };
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\'' | '\\'))) => text.push(c),
                    _ => {
                        let want = "\\\", \\' or \\\\: other characters need no backslash";
                        return Err(self.wrong_at(self.at + index, "a backslash", want));
                    }
                },
                _ if c == quote => {
                    self.at += index + 1;
                    return Ok(text);
                }
                _ => text.push(c),
            }
        }
        let end = self.text.len();
        Err(self.wrong_at(end, "the end", format!("a closing {quote}")))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_ascii_start().len();
    }

    /// The index of what comes next.
    fn next(&mut self) -> usize {
        self.skip_spaces();
        self.at
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip_spaces();
        let is_there = self.rest().starts_with(symbol);
        if is_there {
            self.at += symbol.len();
        }
        is_there
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        self.word() == word && self.take(word)
    }

    /// The word that begins here; it may be empty.
    fn word(&self) -> &'a str {
        word_of(self.rest())
    }

    /// What stands here, for a complaint: a word, an operator, or a character.
    fn token(&self) -> String {
        let rest = self.rest().trim_ascii_start();
        let symbols = rest.find(|c| !"=!<>&|~^$*".contains(c)).unwrap_or(rest.len());
        let one = rest.chars().next().map_or(0, char::len_utf8);
        match word_of(rest).len().max(symbols).max(one) {
            0 => "the end".to_owned(),
            length => quoted(&rest[..length]),
        }
    }

    /// What of ours somebody may have meant with what stands here.
    fn operator_hint(&self) -> String {
        let rest = self.rest().to_ascii_lowercase();
        let word = self.word().to_ascii_lowercase();
        let is_it = |known: &str| match word.is_empty() {
            true => rest.starts_with(known),
            false => word == known,
        };
        let hint = OPERATOR_HINTS.iter().find(|(known, _)| is_it(known));
        hint.map(|(_, ours)| format!("; did you mean {ours}?")).unwrap_or_default()
    }

    /// What stands here is wrong.
    fn wrong(&self, want: impl Into<String>) -> Wrong {
        self.wrong_at(
            self.text.len() - self.rest().trim_ascii_start().len(),
            &self.token(),
            want,
        )
    }

    fn wrong_at(&self, index: usize, found: &str, want: impl Into<String>) -> Wrong {
        let found = format!("{found} at character {}", self.character(index));
        Wrong::saying(found, want.into())
    }

    /// Counted from one.
    fn character(&self, index: usize) -> usize {
        self.text[..index].chars().count() + 1
    }
}

fn word_of(text: &str) -> &str {
    let in_word = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    &text[..text.find(|c| !in_word(c)).unwrap_or(text.len())]
}

/// A list of one is that one.
fn one_or(mut list: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        last => {
            list.extend(last);
            many(list)
        }
    }
}
