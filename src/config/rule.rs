//! The rules of a service: what is done to a request before it goes to a pool, and whether it goes
//! to another one, or to none.
//!
//! Rules are asked in their order. One whose condition holds edits the head; the first of them that
//! also decides ends it. Where none decides the service's own pool serves. Pure text to value;
//! `services::rules` asks them.

use std::fmt;

use super::complaint::Wrong;
use super::condition::Condition;
use super::edit::{HeadEdit, location, redirect_status};
use super::template::Template;
use super::text::quoted;
use super::value::digits;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// All of these must hold; none: it is for every request.
    pub when: Vec<Condition>,
    /// What it does to heads.
    pub edit: HeadEdit,
    /// What it decides, if anything.
    pub action: Option<Action>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes to this pool.
    Pool(String),
    /// Of all clients some go to other pools; the rules behind it are for the rest.
    Split(Vec<Share>),
    /// It is answered with a redirect.
    Redirect(RedirectTo),
    /// It is answered here.
    Respond(Respond),
}

/// Where a share of the clients goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The pool.
    pub pool: String,
    /// How many of 10,000 clients, at least one.
    pub of_ten_thousand: u32,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTo {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where to.
    pub to: Template,
}

/// An answer that is given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// The file with its body, read when the configuration is; without one a line says the status.
    pub file: Option<String>,
}

/// All clients.
pub const WHOLE: u32 = 10_000;

impl RedirectTo {
    /// `CODE TARGET`, the target a path or a URL with placeholders.
    pub fn parse(text: &str) -> Result<RedirectTo, Wrong> {
        const WANT: &str = "CODE TARGET such as \"301 https://www.example.com{uri}\"";
        let (status, to) = text.split_once(' ').ok_or_else(|| Wrong::found(text, WANT))?;
        Ok(RedirectTo { status: redirect_status(status)?, to: location(to.trim())? })
    }
}

impl Respond {
    /// `CODE [FILE]`.
    pub fn parse(text: &str) -> Result<Respond, Wrong> {
        let (status, file) = match text.split_once(' ') {
            Some((status, file)) => (status, Some(file.trim())),
            None => (text, None),
        };
        let number = digits(status).and_then(|status| u16::try_from(status).ok());
        let status = number.filter(|status| (200..=599).contains(status)).ok_or_else(|| {
            Wrong::found(text, "CODE [FILE], CODE being from 200 to 599, such as \"403\"")
        })?;
        if file == Some("") {
            return Err(Wrong::found(text, "a file behind the code, or the code alone"));
        }
        Ok(Respond { status, file: file.map(str::to_owned) })
    }
}

/// A share of the clients: `5%`, `0.5%`; of ten thousand.
pub fn share(text: &str) -> Result<u32, Wrong> {
    const WANT: &str = "a share such as \"5%\" or \"0.25%\", from 0.01% to 100%";
    let wrong = || Wrong::found(text, WANT);
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 2 {
        return Err(wrong());
    }
    let whole = digits(whole).filter(|whole| *whole <= 100).ok_or_else(wrong)? as u32;
    let parts = digits(fraction).ok_or_else(wrong)? as u32;
    let parts = if fraction.len() == 1 { parts * 10 } else { parts };
    let all = whole * 100 + parts;
    if (1..=WHOLE).contains(&all) { Ok(all) } else { Err(wrong()) }
}

/// A share as [`share`] reads it.
pub fn share_text(of_ten_thousand: u32) -> String {
    let whole = of_ten_thousand / 100;
    match of_ten_thousand % 100 {
        0 => format!("{whole}%"),
        parts => format!("{whole}.{parts:02}%"),
    }
}

/// What is wrong with shares that are more than all.
pub fn check_shares(shares: &[Share]) -> Result<(), Wrong> {
    let sum: u32 = shares.iter().map(|share| share.of_ten_thousand).sum();
    if sum <= WHOLE {
        return Ok(());
    }
    let found = format!("shares of {} in all", quoted(&share_text(sum)));
    Err(Wrong::saying(found, "at most 100%"))
}

impl fmt::Display for RedirectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.to)
    }
}

impl fmt::Display for Respond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{} {file}", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_shown_alike() {
        for (text, parts) in [("5%", 500), ("0.25%", 25), ("100%", 10_000), ("0.01%", 1)] {
            assert_eq!(share(text), Ok(parts), "{text}");
            assert_eq!(share_text(parts), text);
        }
        assert_eq!(share("1.5%"), Ok(150));
        for text in ["5", "0%", "100.01%", "1.234%", "-1%", "%", ".5%", "5.%", "a%"] {
            assert!(share(text).is_err(), "{text}");
        }
        let half = Share { pool: "a".to_owned(), of_ten_thousand: 6_000 };
        let wrong = check_shares(&[half.clone(), half]).unwrap_err().to_string();
        assert!(wrong.contains("shares of '120%' in all"), "{wrong}");
    }

    #[test]
    fn actions_are_read_and_shown_alike() {
        for text in ["301 https://a.test{uri}", "307 /x", "302 {path}"] {
            assert_eq!(RedirectTo::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "301", "200 /x", "301 ftp://x", "https://x"] {
            assert!(RedirectTo::parse(text).is_err(), "{text}");
        }
        for text in ["403", "503 /a b.html", "200 x"] {
            assert_eq!(Respond::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "199", "600", "abc", "200 ", "20x"] {
            assert!(Respond::parse(text).is_err(), "{text}");
        }
    }
}
