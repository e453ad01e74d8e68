//! When a rule applies: a small language of comparisons, parsed when it is read and asked of each
//! request without allocation.
//!
//! ```text
//!   condition   all || all ...            all   not && not ...
//!   not         !not | (condition) | test
//!   test        TERM                      it is there
//!               TERM == "text"            != is not, ^= begins, $= ends, *= contains
//!               TERM ~ "text with * ?"    * any bytes, ? one byte
//!               TERM in ["a", "b"]
//!               client in 10.0.0.0/8      or in [10.0.0.0/8, fd00::/8]; client == 10.0.0.1
//! ```
//!
//! What is missing equals nothing, so only `!=` is true of it. There are no regular expressions and
//! no loops but over the fields of the request. Of several fields of one name the first counts.
//! Pure; [`Facts`] says what is asked of a request.

mod excludes;
mod facts;
mod glob;
mod parse;
mod term;
#[cfg(test)]
mod tests;

use std::fmt;

use super::cidr::Cidr;
use super::complaint::Wrong;
use crate::limits::CONDITION_BYTES_MAX;
pub use facts::Facts;
pub use glob::Glob;
use term::{Comparison, Operator, Term, Test};

/// When something applies. Shown as [`Condition::parse`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(Expression);

/// Lists have two members at least.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    /// In one of these, at least one.
    ClientIn(Vec<Cidr>),
    Test(Test),
}

impl Condition {
    /// As the file's head says.
    pub fn parse(text: &str) -> Result<Condition, Wrong> {
        check_length(text.len())?;
        Condition::new(parse::parse(text)?)
    }

    /// The method is this one.
    pub fn method(name: &str) -> Result<Condition, Wrong> {
        Condition::is(Term::Method, name)
    }

    /// There is such a field, and the first of them has this value.
    pub fn header_is(name: &str, value: &str) -> Result<Condition, Wrong> {
        objected(name, term::token_objection(name))?;
        Condition::is(Term::Header(name.to_ascii_lowercase()), value)
    }

    /// The query has such a parameter, and the first of them has this value.
    pub fn query_is(key: &str, value: &str) -> Result<Condition, Wrong> {
        objected(key, term::key_objection(key))?;
        Condition::is(Term::Query(key.to_owned()), value)
    }

    /// There is such a cookie, and the first of them has this value.
    pub fn cookie_is(name: &str, value: &str) -> Result<Condition, Wrong> {
        objected(name, term::token_objection(name))?;
        Condition::is(Term::Cookie(name.to_owned()), value)
    }

    /// The client's address is in this network.
    pub fn client_in(network: Cidr) -> Condition {
        Condition(Expression::ClientIn(vec![network]))
    }

    /// Whether a request fulfils it.
    pub fn holds(&self, facts: &impl Facts) -> bool {
        self.0.holds(facts)
    }

    /// Whether certainly no request fulfils both. It is seen where both compare one thing, with
    /// different texts or networks; `false` says nothing.
    pub fn excludes(&self, other: &Condition) -> bool {
        excludes::excludes(&self.0, &other.0)
    }

    fn is(term: Term, value: &str) -> Result<Condition, Wrong> {
        let operator = Operator::Is;
        let text = term
            .constant(operator.constant(), value)
            .map_err(|want| Wrong::found(value, want))?;
        let comparison = Comparison::Text(operator, text);
        Condition::new(Expression::Test(Test { term, comparison }))
    }

    /// What was short as it was written may be too long with the spaces that it is shown with.
    fn new(expression: Expression) -> Result<Condition, Wrong> {
        let condition = Condition(expression);
        check_length(condition.to_string().len())?;
        Ok(condition)
    }
}

fn check_length(bytes: usize) -> Result<(), Wrong> {
    if bytes <= CONDITION_BYTES_MAX {
        return Ok(());
    }
    let found = format!("a condition of {bytes} bytes");
    Err(Wrong::saying(found, format!("at most {CONDITION_BYTES_MAX}")))
}

fn objected(found: &str, want: Option<String>) -> Result<(), Wrong> {
    want.map_or(Ok(()), |want| Err(Wrong::found(found, want)))
}

impl Expression {
    fn holds(&self, facts: &impl Facts) -> bool {
        match self {
            Expression::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Expression::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Expression::Not(part) => !part.holds(facts),
            Expression::Test(test) => test.holds(facts),
            Expression::ClientIn(networks) => {
                let client = facts.client();
                networks.iter().any(|network| network.contains(client))
            }
        }
    }

    /// Joined by a word; lists in it have parentheses if they need them.
    fn show_list(
        f: &mut fmt::Formatter<'_>,
        parts: &[Expression],
        word: &str,
        needs: fn(&Expression) -> bool,
    ) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                write!(f, " {word} ")?;
            }
            if needs(part) {
                write!(f, "({part})")?;
            } else {
                write!(f, "{part}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// With as many parentheses as are needed, so that it is nested no deeper than it was written.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Any(parts) => {
                let needs = |part: &Expression| matches!(part, Expression::Any(_));
                Expression::show_list(f, parts, "||", needs)
            }
            Expression::All(parts) => {
                let needs =
                    |part: &Expression| matches!(part, Expression::Any(_) | Expression::All(_));
                Expression::show_list(f, parts, "&&", needs)
            }
            Expression::Not(part) => match &**part {
                Expression::Not(_) => write!(f, "!{part}"),
                Expression::Test(test) if test.comparison == Comparison::Present => {
                    write!(f, "!{part}")
                }
                _ => write!(f, "!({part})"),
            },
            Expression::Test(test) => test.fmt(f),
            Expression::ClientIn(networks) => match &networks[..] {
                [network] => write!(f, "client in {network}"),
                _ => {
                    let networks: Vec<String> = networks.iter().map(Cidr::to_string).collect();
                    write!(f, "client in [{}]", networks.join(", "))
                }
            },
        }
    }
}
