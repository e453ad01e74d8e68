//! A name's life: what set it stands for, and when it is looked up again.
//!
//! ```text
//!   new --due--> look-up --told(Ok)--> good: due after its TTL, within bounds, give or take
//!                  ^   \                 |
//!                  |    told(Err)        due
//!                  |        \            v
//!                  +--due-- failing: the set stays; 1 s, 2 s, 4 s ... 60 s, give or take
//! ```
//!
//! A new one may recall what a process before was told: a set like that of a name that has been
//! failing since, until the first good answer. It is due at once all the same.
//!
//! A set never becomes empty by an answer: the last good one stays, for as long as it takes, and it
//! is told how old it is. Nor does it shrink by the part of an answer that did not come: where
//! nobody told the IPv6 addresses of a host, those that were known stay.

use std::time::{Duration, Instant};

use super::change::{Change, Member, difference, members};
use super::lookup::{Answer, Endpoint, Failure, Families, Wanted, is_of_a_server};
use super::question::Kind;
use super::{Name, Random};
use crate::limits::{
    DNS_BACKOFF_FIRST, DNS_BACKOFF_MAX, DNS_ENDPOINTS_MAX, DNS_JITTER_PERCENT,
    DNS_TTL_MAX_DEFAULT, DNS_TTL_MIN_DEFAULT,
};

/// Between which times an answer is good, whatever its records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least so long.
    pub min: Duration,
    /// At most so long.
    pub max: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { min: DNS_TTL_MIN_DEFAULT, max: DNS_TTL_MAX_DEFAULT }
    }
}

/// A name that is looked up again and again.
#[derive(Debug, Clone)]
pub struct Watched {
    wanted: Wanted,
    bounds: Bounds,
    /// What the last good answers said, by address.
    endpoints: Vec<Endpoint>,
    members: Vec<Member>,
    due: Instant,
    last_good: Option<Good>,
    /// The last good answer came to a process before.
    is_recalled: bool,
    failing: Option<Failing>,
    generation: u64,
}

/// What a process before was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Under which complete name.
    pub name: Name,
    /// Where it led to.
    pub endpoints: Vec<Endpoint>,
}

/// The last good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// When it came.
    pub at: Instant,
    /// Until when its records are good.
    pub until: Instant,
    /// Under which complete name it was found.
    pub name: Name,
    /// Addresses and targets that were too many.
    pub left_out: usize,
    /// Hosts of which a family did not come.
    pub unheard: usize,
}

/// What has been going on since the last good answer, or since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Instant,
    /// So many look-ups in a row.
    pub times: u32,
    /// The last one's reason.
    pub last: Failure,
}

impl Bounds {
    /// Never less than a second, whatever was asked for: a name with a TTL of 0 would be looked up
    /// without a pause.
    fn sane(self) -> Bounds {
        let min = self.min.max(DNS_TTL_MIN_DEFAULT);
        Bounds { min, max: self.max.max(min) }
    }
}

impl Watched {
    /// Not yet looked up, and due at once.
    pub fn new(wanted: Wanted, bounds: Bounds, now: Instant) -> Watched {
        Watched {
            wanted,
            bounds: bounds.sane(),
            endpoints: Vec::new(),
            members: Vec::new(),
            due: now,
            last_good: None,
            is_recalled: false,
            failing: None,
            generation: 0,
        }
    }

    /// What is looked up.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// When it is to be looked up; while a look-up is under way, the end of the one before.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// It is to be looked up at once, because an operator wants it or a backend of it fails; but
    /// not sooner after the last answer than records may be good for at least.
    pub fn hurry(&mut self, now: Instant) {
        let soonest = self.last_good.as_ref().map_or(now, |good| good.at + self.bounds.min);
        self.due = self.due.min(soonest.max(now));
    }

    /// Other bounds, after a reload: they hold for the answer that is there as well.
    pub fn bound(&mut self, bounds: Bounds, now: Instant) {
        self.bounds = bounds.sane();
        self.due = self.due.min(now + self.bounds.max);
    }

    /// The set, by address. Empty only as long as no answer was ever good.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Grows by one with each change of the set.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The last good answer.
    pub fn last_good(&self) -> Option<&Good> {
        self.last_good.as_ref()
    }

    /// What the last good answers said, by address.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Whether the last good answer came to a process before.
    pub fn is_recalled(&self) -> bool {
        self.is_recalled
    }

    /// What a process before was told at this time holds until there is an answer. Addresses are
    /// looked at as if they came from a stranger: a file may say anything.
    pub fn recall(&mut self, known: Known, families: Families, at: Instant) -> Change {
        let Known { name, mut endpoints } = known;
        endpoints.retain(|it| self.may_be_at(it, families));
        endpoints.truncate(DNS_ENDPOINTS_MAX);
        if self.last_good.is_some() || endpoints.is_empty() {
            return Change { stayed: self.members.len(), ..Change::default() };
        }
        self.last_good = Some(Good { at, until: at, name, left_out: 0, unheard: 0 });
        self.is_recalled = true;
        self.become_those(endpoints)
    }

    fn may_be_at(&self, it: &Endpoint, families: Families) -> bool {
        let is_wanted = match families {
            Families::Both => true,
            Families::Ipv4 => it.address.is_ipv4(),
            Families::Ipv6 => it.address.is_ipv6(),
        };
        let fits = match &self.wanted {
            Wanted::Addresses(_, port) => {
                it.address.port() == *port && it.priority == 0 && it.weight.is_none()
            }
            Wanted::Services(_) => it.address.port() > 0 && it.weight.is_some(),
        };
        is_wanted && fits && is_of_a_server(it.address.ip())
    }

    /// What is wrong, if the last look-up failed.
    pub fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// For how long the set has been older than its records allow; `None` if it is good.
    pub fn stale(&self, now: Instant) -> Option<Duration> {
        let good = self.last_good.as_ref()?;
        self.failing.as_ref()?;
        now.checked_duration_since(good.until)
    }

    /// A look-up is over: what became of the set.
    pub fn told(
        &mut self,
        result: Result<Answer, Failure>,
        now: Instant,
        random: &mut Random,
    ) -> Change {
        match result {
            Ok(answer) if !answer.endpoints.is_empty() => self.good(answer, now, random),
            Ok(answer) => self.failed(Failure::Nothing(answer.name, None), now, random),
            Err(failure) => self.failed(failure, now, random),
        }
    }

    fn good(&mut self, answer: Answer, now: Instant, random: &mut Random) -> Change {
        let ttl = answer.ttl.clamp(self.bounds.min, self.bounds.max);
        // What did not come is asked for like after a failure.
        let pause = if answer.unheard.is_empty() { ttl } else { ttl.min(DNS_BACKOFF_MAX) };
        self.due = now + jittered(pause, random).max(self.bounds.min);
        self.failing = None;
        self.last_good = Some(Good {
            at: now,
            until: now + ttl,
            name: answer.name.clone(),
            left_out: answer.left_out,
            unheard: answer.unheard.len(),
        });
        let mut endpoints = answer.endpoints;
        let kept = self.endpoints.iter().filter(|old| is_unheard(old, &answer.unheard));
        endpoints.extend(kept.cloned());
        endpoints.truncate(DNS_ENDPOINTS_MAX);
        self.is_recalled = false;
        self.become_those(endpoints)
    }

    fn become_those(&mut self, endpoints: Vec<Endpoint>) -> Change {
        let members = members(&endpoints);
        let change = difference(&self.members, &members);
        self.endpoints = endpoints;
        self.members = members;
        self.generation += u64::from(!change.is_none());
        change
    }

    fn failed(&mut self, failure: Failure, now: Instant, random: &mut Random) -> Change {
        let before = self.failing.take();
        let times = before.as_ref().map_or(1, |before| before.times.saturating_add(1));
        let since = before.map_or(now, |before| before.since);
        let doubled = DNS_BACKOFF_FIRST.saturating_mul(1 << (times - 1).min(16));
        // The server itself remembers for so long that there is nothing.
        let remembered = failure.good_for().unwrap_or_default();
        let pause = doubled.max(remembered).min(DNS_BACKOFF_MAX);
        self.due = now + jittered(pause, random).max(self.bounds.min);
        self.failing = Some(Failing { since, times, last: failure });
        Change { stayed: self.members.len(), ..Change::default() }
    }
}

/// A time, give or take a tenth.
fn jittered(time: Duration, random: &mut Random) -> Duration {
    let share = time * DNS_JITTER_PERCENT / 100;
    let span = u64::try_from(share.as_micros()).unwrap_or(u64::MAX).saturating_mul(2);
    time - share + Duration::from_micros(random.below(span.saturating_add(1)))
}

/// Whether nobody told in this answer what became of an address.
fn is_unheard(old: &Endpoint, unheard: &[(Name, Kind)]) -> bool {
    let kind = if old.address.is_ipv4() { Kind::A } else { Kind::Aaaa };
    unheard.iter().any(|(name, family)| *family == kind && *name == old.target)
}

#[cfg(test)]
mod tests;
