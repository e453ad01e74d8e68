//! A file in pieces: each listener, service and pool by itself, so that none takes long to read.
//!
//! ```text
//!   include = ["sites/*.toml"]     the top
//!   [global]                       global
//!   [service.web]                  service web --+
//!   listen = ["public"]                          |  one piece, in two runs of bytes
//!   [pool.web]                     pool web      |
//!   [service.web.log]              ... web ------+
//! ```
//!
//! The tables of two pieces have nothing in common but the tables above them, which their headers
//! alone make. So TOML says of the pieces what it says of the whole; a file for which that is not
//! so (`service.web = {}` or `[service]`) stays whole.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, Error};
use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

use crate::config::Spot;

/// What of a file is read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub file: usize,
    /// What there may be in it, if that is one kind of things.
    pub kind: Option<Kind>,
    text: String,
    /// Where the runs of its bytes begin: in it, and in the file.
    runs: Vec<(usize, usize)>,
}

/// What there may be in a piece, in the order in which they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// What stands above the first header, `[global]`, `[defaults.pool]`, or what means nothing.
    Top,
    Listener,
    Pool,
    Service,
}

/// Tables whose tables are pieces of their own.
const NAMED: [(&str, Kind); 3] =
    [("listener", Kind::Listener), ("pool", Kind::Pool), ("service", Kind::Service)];

impl Piece {
    /// A file as one piece.
    pub fn whole(file: usize, text: &str) -> Piece {
        let all = 0..text.len();
        Piece::new(file, None, text, &[all])
    }

    /// Whether there may be something of this kind in it.
    pub fn has(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|it| it == kind)
    }

    /// What TOML makes of it, and what is wrong with that; bytes are counted in the piece.
    pub fn parse(&self) -> (Spanned<DeTable<'_>>, Vec<Error>) {
        DeTable::parse_recoverable(&self.text)
    }

    /// Where bytes of it are in its file.
    pub fn spot(&self, span: Range<usize>) -> Spot {
        let place = |at: usize| {
            let run = self.runs.partition_point(|&(begin, _)| begin <= at).saturating_sub(1);
            let (begin, in_file) = self.runs.get(run).copied().unwrap_or_default();
            in_file + (at - begin)
        };
        // The end is of the byte before it: the next run may be elsewhere.
        let start = place(span.start);
        let end = if span.is_empty() { start } else { place(span.end - 1) + 1 };
        Spot { file: self.file, start, end }
    }

    fn new(file: usize, kind: Option<Kind>, text: &str, parts: &[Range<usize>]) -> Piece {
        let mut piece = Piece { file, kind, text: String::new(), runs: Vec::new() };
        for part in parts {
            piece.runs.push((piece.text.len(), part.start));
            piece.text += &text[part.clone()];
        }
        piece
    }
}

/// The pieces of a file, in the order in which they begin.
pub(super) fn cut(file: usize, text: &str) -> Vec<Piece> {
    match groups(text) {
        Some(groups) => {
            let new = |it: &Group| Piece::new(file, Some(it.kind), text, &it.parts);
            groups.iter().filter(|it| !it.parts.is_empty()).map(new).collect()
        }
        None => vec![Piece::whole(file, text)],
    }
}

/// What belongs together.
struct Group {
    kind: Kind,
    parts: Vec<Range<usize>>,
}

/// The first key of a header, and the second one if that makes a piece of its own.
type Name<'t> = (&'t str, Option<&'t str>);

/// `None` for what has to stay whole.
fn groups(text: &str) -> Option<Vec<Group>> {
    let tokens = Source::new(text).lex().into_vec();
    let mut groups = vec![Group { kind: Kind::Top, parts: Vec::new() }];
    let mut places: HashMap<Name<'_>, usize> = HashMap::new();
    let mut now = 0;
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        let (statement, behind) = rest.split_at(statement_length(rest)?);
        rest = behind;
        let start = statement[0].span().start();
        let end = behind.first().map_or(text.len(), |token| token.span().start());
        match first_word(statement).map(Token::kind) {
            Some(TokenKind::LeftSquareBracket) => {
                let (kind, name) = named(&header(statement)?, text)?;
                now = *places.entry(name).or_insert(groups.len());
                if now == groups.len() {
                    groups.push(Group { kind, parts: Vec::new() });
                }
                groups[now].parts.push(start..end);
                continue;
            }
            Some(_) if now == 0 && !is_apart(statement, text) => return None,
            _ => {}
        }
        match groups[now].parts.last_mut() {
            Some(part) => part.end = end,
            None => groups[now].parts.push(start..end),
        }
    }
    Some(groups)
}

/// How many tokens a header has, or a key with its value, or an empty line; with the end of the
/// line. `None` if its brackets do not close.
fn statement_length(tokens: &[Token]) -> Option<usize> {
    let mut depth: usize = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.checked_sub(1)?;
            }
            TokenKind::Newline if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    (depth == 0).then_some(tokens.len())
}

fn is_word(token: &Token) -> bool {
    use TokenKind::{Comment, Eof, Newline, Whitespace};
    !matches!(token.kind(), Whitespace | Comment | Newline | Eof)
}

fn first_word(statement: &[Token]) -> Option<&Token> {
    statement.iter().find(|token| is_word(token))
}

/// The keys of a header, if it is a good one: `[service.web.log]`, `[[service.web.rules]]`.
fn header(statement: &[Token]) -> Option<Vec<Token>> {
    let words: Vec<Token> = statement.iter().copied().filter(is_word).collect();
    let is_open = |token: &&Token| token.kind() == TokenKind::LeftSquareBracket;
    let is_close = |token: &&Token| token.kind() == TokenKind::RightSquareBracket;
    let opened = words.iter().take_while(is_open).count();
    let closed = words.iter().rev().take_while(is_close).count();
    let inner = words.get(opened..words.len() - closed)?;
    let is_dot = |token: &Token| token.kind() == TokenKind::Dot;
    let keys_and_dots = |(at, token): (usize, &Token)| is_dot(token) == (at % 2 == 1);
    let is_good = (1..=2).contains(&opened)
        && opened == closed
        && inner.len() % 2 == 1
        && inner.iter().enumerate().all(keys_and_dots);
    is_good.then(|| inner.iter().copied().step_by(2).collect())
}

/// To which piece a header leads. `None` if it has no name where one is due, or one that is not
/// spelled as it is meant.
fn named<'t>(keys: &[Token], text: &'t str) -> Option<(Kind, Name<'t>)> {
    let first = key(keys.first()?, text)?;
    match NAMED.iter().find(|(word, _)| *word == first) {
        Some(&(_, kind)) => Some((kind, (first, Some(key(keys.get(1)?, text)?)))),
        None => Some((Kind::Top, (first, None))),
    }
}

fn key<'t>(token: &Token, text: &'t str) -> Option<&'t str> {
    let text = &text[token.span().start()..token.span().end()];
    match token.kind() {
        TokenKind::Atom => Some(text),
        TokenKind::BasicString | TokenKind::LiteralString => {
            let inner = text.get(1..text.len().checked_sub(1)?)?;
            (!inner.contains('\\')).then_some(inner)
        }
        _ => None,
    }
}

/// Whether what stands above all headers says nothing about tables that headers are for.
fn is_apart(statement: &[Token], text: &str) -> bool {
    let first = first_word(statement).filter(|token| token.kind() == TokenKind::Atom);
    let Some(first) = first.and_then(|token| key(token, text)) else { return false };
    let mut words =
        ["global", "admin", "defaults"].into_iter().chain(NAMED.map(|(word, _)| word));
    words.all(|word| word != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Option<Kind>, String)> {
        cut(0, text).into_iter().map(|it| (it.kind, it.text)).collect()
    }

    #[test]
    fn each_name_is_a_piece() {
        let text = r#"# a file
include = [
  "[pool.x]",
]
[global]
seed = 1
[pool.a]
backends = [
  # [pool.no]
  "a:1"]
[service."a"]
pool = """
[pool.b]
"""
[ pool . 'b' ] # that
[[service.a.rules]]
pool = "a"
"#;
        let top = "# a file\ninclude = [\n  \"[pool.x]\",\n]\n";
        let first = "[pool.a]\nbackends = [\n  # [pool.no]\n  \"a:1\"]\n";
        let service = "[service.\"a\"]\npool = \"\"\"\n[pool.b]\n\"\"\"\n\
                       [[service.a.rules]]\npool = \"a\"\n";
        let expected = [
            (Kind::Top, top),
            (Kind::Top, "[global]\nseed = 1\n"),
            (Kind::Pool, first),
            (Kind::Service, service),
            (Kind::Pool, "[ pool . 'b' ] # that\n"),
        ];
        assert_eq!(kinds(text), expected.map(|(kind, text)| (Some(kind), text.to_owned())));
    }

    #[test]
    fn what_the_pieces_share_leaves_a_file_whole() {
        for text in [
            "pool.a.backends = []\n[pool.b]\n",
            "\"pool\" = 1\n[global]\n",
            "[pool]\na = {}\n",
            "[[pool]]\n",
            "[pool.a\nx = 1\n[pool.b]\n",
            "[pool.\"\\u0061\"]\n",
            "[pool.a]\nx = [\n[pool.b]\n",
            "[pool.a]\nx = ]\n[pool.b]\n",
            "[pool.a] x = 1\n",
            "[]\n",
            "[pool.]\n",
            "[pool.a.]\n",
        ] {
            assert_eq!(kinds(text), [(None, text.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_byte_of_a_piece_has_its_place_in_the_file() {
        let text = "[pool.a]\nx = 1\n[pool.b]\n[pool.a.y]\nz = 2\n";
        let pieces = cut(3, text);
        let piece = pieces.iter().find(|it| it.text.contains("z = 2")).unwrap();
        for word in ["x", "1", "[pool.a.y]", "z = 2"] {
            let at = piece.text.find(word).unwrap();
            let spot = piece.spot(at..at + word.len());
            assert_eq!((spot.file, &text[spot.start..spot.end]), (3, word));
        }
        let end = piece.text.find("[pool.a.y]").unwrap();
        assert_eq!(piece.spot(0..end).end, text.find("[pool.b]").unwrap());
        assert_eq!(Piece::whole(0, "").spot(0..0), Spot { file: 0, start: 0, end: 0 });
    }
}
