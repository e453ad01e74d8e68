//! What a server says of how it is: the words of HAProxy's agent check, and some of ours, which
//! HAProxy passes over.
//!
//! ```text
//!   75%  weight:75%  weight:40   ready  drain  maint   up  down  fail  stopped#why   maxconn:200
//!   load:0.42  ttl:5s
//! ```
//!
//! What a report does not mention stays as the one before said.

use std::fmt;
use std::time::Duration;

use crate::config::{AdminState, BackendSpec, closest, duration, quoted};
use crate::limits::{CONNECTIONS_MAX, TTL_MAX, TTL_MIN, WEIGHT_MAX};

/// Words, understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    weight: Option<Share>,
    admin: Option<AdminState>,
    vote: Option<Vote>,
    /// Zero for as many as come.
    max_connections: Option<u32>,
    /// How busy it is.
    pub load: Option<f64>,
    /// How long this holds.
    pub ttl: Option<Duration>,
}

/// Whether it says that it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// It does.
    Up,
    /// It does not, for this reason.
    Down(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Percent(u32),
    Weight(u32),
}

impl Report {
    /// Words with spaces, tabs or commas between them; all that is wrong at once.
    pub fn parse(text: &str) -> Result<Report, Vec<String>> {
        let mut report = Report::default();
        let mut wrong = Vec::new();
        // As in HAProxy only the first line counts.
        let line = text.lines().next().unwrap_or_default();
        let (words, free) = match line.split_once('#') {
            Some((words, free)) => (words, free.trim()),
            None => (line, ""),
        };
        let words = words.split([' ', '\t', ',']).filter(|it| !it.is_empty());
        for word in words {
            if let Err(why) = report.take(word, free) {
                wrong.push(why);
            }
        }
        if wrong.is_empty() { Ok(report) } else { Err(wrong) }
    }

    fn take(&mut self, word: &str, free: &str) -> Result<(), String> {
        let lower = word.to_ascii_lowercase();
        let bad = |want: &str| format!("found {}, want {want}", quoted(word));
        match &*lower {
            "ready" => self.admin = Some(AdminState::Ready),
            "drain" => self.admin = Some(AdminState::Drain),
            "maint" => self.admin = Some(AdminState::Maint),
            "up" => self.vote = Some(Vote::Up),
            "down" | "fail" | "stopped" => self.vote = Some(Vote::Down(free.to_owned())),
            _ => {
                if let Some(percent) = lower.strip_suffix('%') {
                    let text = percent.strip_prefix("weight:").unwrap_or(percent);
                    let share = number(text, 0..=PERCENT_MAX);
                    let want = "a percentage from 0% to 25600%";
                    self.weight = Some(Share::Percent(share.ok_or_else(|| bad(want))?));
                    return Ok(());
                }
                return match lower.split_once(':') {
                    Some((name, value)) => self.take_value(name, value, bad),
                    None => Err(format!("{}{}", bad(WORDS), hint(&lower))),
                };
            }
        }
        Ok(())
    }

    fn take_value(
        &mut self,
        name: &str,
        value: &str,
        bad: impl Fn(&str) -> String,
    ) -> Result<(), String> {
        match name {
            "weight" => {
                let weight = number(value, 0..=WEIGHT_MAX);
                let want = "weight:N or weight:N%, N being a whole number";
                self.weight = Some(Share::Weight(weight.ok_or_else(|| bad(want))?));
            }
            "maxconn" => {
                let most = number(value, 0..=CONNECTIONS_MAX);
                let want = "maxconn:N, N being a whole number, 0 for no limit";
                self.max_connections = Some(most.ok_or_else(|| bad(want))?);
            }
            "load" => {
                let load = value.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0);
                self.load = Some(load.ok_or_else(|| bad("load:N, N being 0 or more"))?);
            }
            "ttl" => {
                let ttl = duration(value, TTL_MIN).ok().filter(|it| *it <= TTL_MAX);
                self.ttl = Some(ttl.ok_or_else(|| bad("ttl:DURATION, from 2s to 5m"))?);
            }
            // Proposed words that mean nothing here yet.
            "conns" | "queue" => {}
            _ => return Err(format!("{}{}", bad(WORDS), hint(name))),
        }
        Ok(())
    }

    /// What holds after another one came.
    pub fn then(&self, later: &Report) -> Report {
        Report {
            weight: later.weight.or(self.weight),
            admin: later.admin.or(self.admin),
            vote: later.vote.clone().or_else(|| self.vote.clone()),
            max_connections: later.max_connections.or(self.max_connections),
            load: later.load.or(self.load),
            ttl: later.ttl,
        }
    }

    /// What it makes of a backend. A percentage is of the weight that it registered with, and
    /// above 0 it is never less than 1.
    pub fn apply(&self, spec: &mut BackendSpec) {
        match self.weight {
            Some(Share::Percent(0)) => spec.weight = 0,
            Some(Share::Percent(percent)) => {
                let share = u64::from(spec.weight) * u64::from(percent) / 100;
                spec.weight = share.clamp(1, WEIGHT_MAX.into()) as u32;
            }
            Some(Share::Weight(weight)) => spec.weight = weight,
            None => {}
        }
        if let Some(admin) = self.admin {
            spec.admin = admin;
        }
        if matches!(self.vote, Some(Vote::Down(_))) && spec.admin != AdminState::Maint {
            spec.admin = AdminState::Maint;
        }
        if let Some(most) = self.max_connections {
            spec.max_connections = (most > 0).then_some(most);
        }
    }
}

impl fmt::Display for Report {
    /// Words that are read back to the same, but for how long it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        match self.weight {
            Some(Share::Percent(percent)) => words.push(format!("{percent}%")),
            Some(Share::Weight(weight)) => words.push(format!("weight:{weight}")),
            None => {}
        }
        words.extend(self.admin.map(|admin| admin.word().to_owned()));
        words.extend(self.max_connections.map(|most| format!("maxconn:{most}")));
        words.extend(self.load.map(|load| format!("load:{load}")));
        match &self.vote {
            Some(Vote::Up) => words.push("up".to_owned()),
            Some(Vote::Down(why)) => words.push(format!("down#{why}")),
            None => {}
        }
        f.write_str(&words.join(" "))
    }
}

const WORDS: &str = "NN%, weight:N, ready, drain, maint, up, down, fail, stopped, maxconn:N, \
                     load:N or ttl:DURATION";

/// HAProxy's weights go up to 256 times the configured one.
const PERCENT_MAX: u32 = 25_600;

fn hint(word: &str) -> String {
    let known =
        ["ready", "drain", "maint", "down", "fail", "stopped", "weight", "maxconn", "load"];
    closest(word, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|it| is_digits && range.contains(it))
}
