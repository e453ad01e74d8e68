//! The rules by name, each with its counts.

use std::fmt;
use std::time::Instant;

use super::common::Common;
use super::table::TableCounts;
use crate::config::DryRun;
use crate::limits::GUARD_LINES;

/// Which rule: its place in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleId(u16);

/// What a rule is of. Rules of the same name at two listeners are two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Of all listeners.
    Process,
    /// Of the listener of this name.
    Listener(Box<str>),
    /// Of the service of this name.
    Service(Box<str>),
}

/// What a rule counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Clients, requests or datagrams that it refused.
    pub refused: u64,
    /// Those that it would have refused while it was only tried.
    pub would_refuse: u64,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name: `deny`, `connections`, or what the operator calls it.
    pub name: Box<str>,
    /// What it is of.
    pub scope: Scope,
    /// It refuses nobody, and only counts.
    pub is_dry: bool,
    /// What it counted.
    pub counts: RuleCounts,
    /// What the tables of other processes counted of it.
    pub elsewhere: TableCounts,
    /// When a line was written of it last.
    told_at: Option<Instant>,
    /// The configuration that is being carried out has it.
    is_wanted: bool,
}

/// What becomes of somebody whom a rule does not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Not let in.
    Really,
    /// Let in all the same: the rule is only tried.
    OnlyCounted,
}

/// All rules.
#[derive(Debug, Default)]
pub struct RuleBook {
    rules: Vec<Option<Rule>>,
    dry: DryRun,
    /// The last that would have refused somebody, until it is told.
    tried: Option<RuleId>,
    /// What the limits by client of all have in common.
    pub common: Common,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Process => write!(f, "{}", self.name),
            Scope::Listener(name) => write!(f, "{} of listener {name}", self.name),
            Scope::Service(name) => write!(f, "{} of service {name}", self.name),
        }
    }
}

impl Scope {
    /// The kind of thing that it is of, and its name.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Scope::Process => ("process", ""),
            Scope::Listener(name) => ("listener", name),
            Scope::Service(name) => ("service", name),
        }
    }
}

impl RuleBook {
    /// Another configuration begins to be carried out: what it does not [`enter`](Self::enter) is
    /// dropped at the [`end_change`](Self::end_change).
    pub fn begin_change(&mut self, dry: &DryRun) {
        self.dry = dry.clone();
        self.rules.iter_mut().flatten().for_each(|rule| rule.is_wanted = false);
    }

    /// The rule of this name, with what it counted before, or a new one.
    pub fn enter(&mut self, scope: &Scope, name: &str) -> RuleId {
        let is_dry = self.dry.holds_for(name);
        let mut known = self.rules.iter_mut().enumerate();
        let found = known.find_map(|(at, rule)| {
            let rule = rule.as_mut()?;
            (*rule.name == *name && rule.scope == *scope).then_some((at, rule))
        });
        if let Some((at, rule)) = found {
            rule.is_wanted = true;
            rule.is_dry = is_dry;
            return RuleId(at as u16);
        }
        let rule = Rule {
            name: name.into(),
            scope: scope.clone(),
            is_dry,
            counts: RuleCounts::default(),
            elsewhere: TableCounts::default(),
            told_at: None,
            is_wanted: true,
        };
        let vacant = self.rules.iter().position(Option::is_none);
        let at = vacant.unwrap_or(self.rules.len());
        match vacant {
            Some(at) => self.rules[at] = Some(rule),
            None => self.rules.push(Some(rule)),
        }
        // More rules than that share the last number, which nothing is counted by.
        RuleId(u16::try_from(at).unwrap_or(u16::MAX))
    }

    /// All rules of the configuration are entered.
    pub fn end_change(&mut self) {
        for place in &mut self.rules {
            place.take_if(|rule| !rule.is_wanted);
        }
    }

    /// Names of rules that are to be tried and are not there, which would be believed in.
    pub fn unknown_tries(&self) -> impl Iterator<Item = &str> {
        let is_there = |name: &str| self.iter().any(|rule| *rule.name == *name);
        self.dry.names().iter().map(String::as_str).filter(move |name| !is_there(name))
    }

    /// A rule does not let somebody in: count it.
    pub fn refuse(&mut self, id: RuleId) -> Refused {
        self.refuse_some(id, 1)
    }

    /// The same for several at once.
    pub fn refuse_some(&mut self, id: RuleId, count: u64) -> Refused {
        match self.rules.get_mut(usize::from(id.0)) {
            Some(Some(rule)) if rule.is_dry => {
                rule.counts.would_refuse += count;
                self.tried = Some(id);
                Refused::OnlyCounted
            }
            Some(Some(rule)) => {
                rule.counts.refused += count;
                Refused::Really
            }
            _ => Refused::Really,
        }
    }

    /// The rule that would have refused somebody since this was asked last.
    pub fn take_tried(&mut self) -> Option<RuleId> {
        self.tried.take()
    }

    /// Whether it refuses, and does not only count.
    pub fn is_in_force(&self, id: RuleId) -> bool {
        self.get(id).is_none_or(|rule| !rule.is_dry)
    }

    /// The rule, if a line of the log may be written of it now: once in a while for each.
    pub fn to_tell(&mut self, id: RuleId, now: Instant) -> Option<&Rule> {
        let rule = self.rules.get_mut(usize::from(id.0))?.as_mut()?;
        let since = |last: Instant| now.saturating_duration_since(last);
        let is_soon = rule.told_at.is_some_and(|last| since(last) < GUARD_LINES);
        if is_soon {
            return None;
        }
        rule.told_at = Some(now);
        Some(rule)
    }

    /// A rule.
    pub fn get(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(usize::from(id.0))?.as_ref()
    }

    /// The same, for whoever counts.
    pub fn get_mut(&mut self, id: RuleId) -> Option<&mut Rule> {
        self.rules.get_mut(usize::from(id.0))?.as_mut()
    }

    /// All of them with their places.
    pub fn entries(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        let places = self.rules.iter().enumerate();
        places.filter_map(|(at, rule)| Some((RuleId(u16::try_from(at).ok()?), rule.as_ref()?)))
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().flatten()
    }

    /// What all of them counted.
    pub fn total(&self) -> RuleCounts {
        self.iter().fold(RuleCounts::default(), |sum, rule| RuleCounts {
            refused: sum.refused + rule.counts.refused,
            would_refuse: sum.would_refuse + rule.counts.would_refuse,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_keeps_its_counts_for_as_long_as_it_is_wanted() {
        let mut book = RuleBook::default();
        let listener = Scope::Listener("web".into());
        book.begin_change(&DryRun::None);
        let deny = book.enter(&listener, "deny");
        let rate = book.enter(&Scope::Service("web".into()), "deny");
        book.end_change();
        assert_ne!(deny, rate);
        assert_eq!(book.refuse(deny), Refused::Really);
        book.begin_change(&DryRun::Rules(vec!["deny".to_owned()]));
        assert_eq!(book.enter(&listener, "deny"), deny);
        book.end_change();
        assert!(book.get(rate).is_none());
        assert_eq!(book.refuse_some(deny, 2), Refused::OnlyCounted);
        let counts = RuleCounts { refused: 1, would_refuse: 2 };
        assert_eq!(book.get(deny).map(|it| it.counts), Some(counts));
        assert_eq!(book.total(), counts);
        assert_eq!(book.enter(&Scope::Process, "ban"), rate, "its place is taken again");
    }

    #[test]
    fn of_each_rule_a_line_is_written_now_and_then() {
        let mut book = RuleBook::default();
        let now = Instant::now();
        let id = book.enter(&Scope::Process, "ban");
        assert_eq!(book.to_tell(id, now).map(|it| it.to_string()).as_deref(), Some("ban"));
        assert!(book.to_tell(id, now + GUARD_LINES / 2).is_none());
        assert!(book.to_tell(id, now + GUARD_LINES).is_some());
    }
}
