//! Rules of a service out of its table, its error pages, and maintenance, which is a rule as well.

use std::collections::BTreeMap;

use crate::config::{
    Action, Cidr, Condition, FieldEdit, HeadEdit, HeadOf, PathEdit, RedirectTo, Respond, Rule,
    Share, Spot, Subject, WHOLE, Wrong, check_shares, share,
};
use crate::limits::RULES_MAX;

use super::mistake::Mistake;
use super::reader::Reader;
use super::section::{Section, Value};

const KEYS: [&str; 10] = [
    "when",
    "request",
    "response",
    "strip_prefix",
    "add_prefix",
    "rewrite",
    "pool",
    "split",
    "redirect",
    "respond",
];

/// Keys that decide; a rule has one at most.
const DECIDING: [&str; 4] = ["pool", "split", "redirect", "respond"];

/// Reads `NAME: VALUE`.
type ParseEdit = fn(&str, HeadOf) -> Result<FieldEdit, Wrong>;

impl Reader<'_> {
    /// The rules of a service, that of its maintenance first.
    pub(super) fn rules(&mut self, section: Section<'_>) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        if let Some(value) = section.get("maintenance") {
            rules.extend(self.maintenance(value));
        }
        let Some(value) = section.get("rules") else { return rules };
        for item in value.items() {
            match item.section() {
                Some(section) => rules.push(self.rule(section, item.at)),
                None => self.complain(item, "an array of tables such as [{ pool = \"NAME\" }]"),
            }
        }
        if rules.len() > RULES_MAX {
            let says = format!("found {} rules, want at most {RULES_MAX}", rules.len());
            self.mistakes.push(Mistake::at(value.at, says));
        }
        rules
    }

    fn rule(&mut self, section: Section<'_>, at: Spot) -> Rule {
        let mut rule = Rule::default();
        let mut deciding = Vec::new();
        let known = self.mistakes.len();
        for (key, at, value) in section.entries() {
            if DECIDING.contains(&key) {
                deciding.push(key);
            }
            match key {
                "when" => {
                    for (text, at) in self.texts(value) {
                        rule.when.extend(self.good(Condition::parse(&text), at));
                    }
                }
                "request" => rule.edit.request = self.edits(value, HeadOf::Request),
                "response" => rule.edit.response = self.edits(value, HeadOf::Response),
                "strip_prefix" | "add_prefix" | "rewrite" => {
                    self.path_edit(key, at, value, &mut rule.edit);
                }
                "pool" | "split" | "redirect" | "respond" => {
                    rule.action = self.action(key, value).or(rule.action);
                }
                _ => self.unknown(key, at, KEYS),
            }
        }
        if deciding.len() > 1 {
            let says = format!("a rule with `{}` and `{}`", deciding[0], deciding[1]);
            self.mistakes.push(Mistake::at(at, says).hint("want one of them in each rule"));
        }
        let does_nothing = rule.action.is_none() && rule.edit.is_empty() && deciding.is_empty();
        // What it was to do may be what is wrong.
        if does_nothing && self.mistakes.len() == known {
            let mistake = Mistake::at(at, "a rule that does nothing");
            self.mistakes.push(mistake.hint(format!("want one of {}", KEYS[1..].join(", "))));
        }
        rule
    }

    /// `{ set = { NAME = "VALUE" }, add = { ... }, remove = ["NAME"] }`.
    fn edits(&mut self, value: Value<'_>, of: HeadOf) -> Vec<FieldEdit> {
        const WANT: &str =
            "{ set = { NAME = \"VALUE\" }, add = { NAME = \"VALUE\" }, remove = [\"NAME\"] }";
        let mut edits = Vec::new();
        let Some(section) = value.section() else {
            self.complain(value, WANT);
            return edits;
        };
        for (key, at, _) in section.entries() {
            if !["set", "add", "remove"].contains(&key) {
                self.unknown(key, at, ["set", "add", "remove"]);
            }
        }
        // In this order: what is removed is what came, and what is added stands beside what is set.
        if let Some(value) = section.get("remove") {
            for (text, at) in self.texts(value) {
                edits.extend(self.good(FieldEdit::remove(&text, of), at));
            }
        }
        for (key, parse) in [("set", FieldEdit::set as ParseEdit), ("add", FieldEdit::add)] {
            let Some(value) = section.get(key) else { continue };
            let Some(fields) = value.section() else {
                self.complain(value, &format!("{key} = {{ NAME = \"VALUE\" }}"));
                continue;
            };
            for (name, _, value) in fields.entries() {
                for (text, at) in self.texts(value) {
                    edits.extend(self.good(parse(&format!("{name}: {text}"), of), at));
                }
            }
        }
        edits
    }

    fn path_edit(&mut self, key: &str, at: Spot, value: Value<'_>, edit: &mut HeadEdit) {
        if edit.path.is_some() {
            let mistake = Mistake::at(at, "a second edit of the path in one rule");
            return self.mistakes.push(mistake.hint("want a rule for each"));
        }
        let Some(text) = self.text(value, "a path such as \"/api\"") else { return };
        let parsed = match key {
            "strip_prefix" => PathEdit::strip_prefix(&text),
            "add_prefix" => PathEdit::add_prefix(&text),
            _ => PathEdit::rewrite(&text),
        };
        edit.path = self.good(parsed, value.at);
    }

    fn action(&mut self, key: &str, value: Value<'_>) -> Option<Action> {
        match key {
            "pool" => {
                let pool = self.text(value, "the name of a pool")?;
                self.uses.push((Subject::Pool(pool.clone()), value.at));
                Some(Action::Pool(pool))
            }
            "split" => self.split(value),
            "redirect" => {
                let text = self.text(value, "\"CODE TARGET\" such as \"301 /new{uri}\"")?;
                self.good(RedirectTo::parse(&text), value.at).map(Action::Redirect)
            }
            _ => {
                let text = match value.integer() {
                    Some(status) => status,
                    None => self.text(value, "\"CODE [FILE]\" such as \"403\"")?,
                };
                let respond = self.good(Respond::parse(&text), value.at)?;
                self.files.extend(respond.file.iter().map(|file| (file.clone(), value.at)));
                Some(Action::Respond(respond))
            }
        }
    }

    /// `{ canary = "5%" }`.
    fn split(&mut self, value: Value<'_>) -> Option<Action> {
        let Some(section) = value.section() else {
            self.complain(value, "{ POOL = \"5%\" }");
            return None;
        };
        let mut shares = Vec::new();
        for (pool, at, value) in section.entries() {
            let Some(text) = self.text(value, "a share such as \"5%\"") else { continue };
            let Some(parts) = self.good(share(&text), value.at) else { continue };
            self.uses.push((Subject::Pool(pool.to_owned()), at));
            shares.push(Share { pool: pool.to_owned(), of_ten_thousand: parts });
        }
        self.good(check_shares(&shares), value.at);
        Some(Action::Split(shares))
    }

    /// `true`, or `{ except = ["CIDR"], file = "FILE" }`: all but these clients get a 503.
    fn maintenance(&mut self, value: Value<'_>) -> Option<Rule> {
        if let Some(on) = value.value.as_bool() {
            let respond = Respond { status: 503, file: None };
            let action = Some(Action::Respond(respond));
            return on.then(|| Rule { action, ..Rule::default() });
        }
        let Some(section) = value.section() else {
            self.complain(value, "true, false or { except = [\"CIDR\"], file = \"FILE\" }");
            return None;
        };
        let mut when = Vec::new();
        let mut respond = Respond { status: 503, file: None };
        for (key, at, value) in section.entries() {
            match key {
                "except" => {
                    for (text, at) in self.texts(value) {
                        let Some(network) = self.good(Cidr::parse(&text), at) else { continue };
                        let condition = Condition::parse(&format!("!(client in {network})"));
                        when.extend(self.good(condition, at));
                    }
                }
                // As of `respond`: it is printed as one.
                "file" => {
                    let text = self.text(value, "the path of a file");
                    let parsed = text.map(|file| Respond::parse(&format!("503 {file}")));
                    let good = parsed.and_then(|parsed| self.good(parsed, value.at));
                    respond = good.unwrap_or(respond);
                    self.files.extend(respond.file.iter().map(|file| (file.clone(), value.at)));
                }
                _ => self.unknown(key, at, ["except", "file"]),
            }
        }
        let action = Some(Action::Respond(respond));
        Some(Rule { when, action, ..Rule::default() })
    }

    /// `{ pool = "NAME", share = "1%" }`, or the name alone for all requests.
    pub(super) fn mirror(&mut self, section: Section<'_>) -> Option<Share> {
        let value = section.get("mirror")?;
        let Some(section) = value.section() else {
            let pool = self.text(value, "{ pool = \"NAME\", share = \"1%\" }")?;
            self.uses.push((Subject::Pool(pool.clone()), value.at));
            return Some(Share { pool, of_ten_thousand: WHOLE });
        };
        let mut pool = None;
        let mut parts = WHOLE;
        for (key, at, value) in section.entries() {
            match key {
                "pool" => {
                    pool = self.text(value, "the name of a pool").map(|it| (it, value.at));
                }
                "share" => {
                    let text = self.text(value, "a share such as \"1%\"");
                    let read = text.and_then(|text| self.good(share(&text), value.at));
                    parts = read.unwrap_or(parts);
                }
                _ => self.unknown(key, at, ["pool", "share"]),
            }
        }
        let Some((pool, at)) = pool else {
            let mistake = Mistake::at(value.at, "a mirror without a `pool`");
            self.mistakes.push(mistake.hint("want pool = \"NAME\""));
            return None;
        };
        self.uses.push((Subject::Pool(pool.clone()), at));
        Some(Share { pool, of_ten_thousand: parts })
    }

    /// `{ 503 = "FILE" }`.
    pub(super) fn error_pages(&mut self, section: Section<'_>) -> BTreeMap<u16, String> {
        let mut pages = BTreeMap::new();
        let Some(value) = section.get("error_pages") else { return pages };
        let Some(section) = value.section() else {
            self.complain(value, "{ 503 = \"FILE\" }");
            return pages;
        };
        for (status, at, value) in section.entries() {
            let number = status.parse::<u16>().ok().filter(|it| (400..=599).contains(it));
            let Some(number) = number else {
                let mistake = Mistake::at(at, format!("no status: `{status}`"));
                self.mistakes.push(mistake.hint("want one from 400 to 599"));
                continue;
            };
            if let Some(file) = self.text(value, "the path of a file") {
                self.files.push((file.clone(), value.at));
                pages.insert(number, file);
            }
        }
        pages
    }
}
