//! Who comes in, how much, and how often: the rules that are asked before a backend is.
//!
//! ```text
//!   a client    --> Guard (bans) --> ListenerGuard: lists, connections ---+--> admitted
//!   a handshake --> ListenerGuard                                         |
//!   a request   --> ServiceGuard: lists, requests                         +--> Refusal, by a rule
//! ```
//!
//! Pure: addresses, numbers and the time are passed in, and what comes out is a word. Memory is
//! fixed when a rule is made; no traffic allocates. Each refusal is counted by its rule in the
//! [`RuleBook`], which also knows what is only tried (`--guard-dry-run`): that is counted, and
//! refused nobody. Carried out by [`crate::relay`] for connections and requests.

mod bandwidth;
mod datagrams;
pub mod gcra;
pub mod key;
mod pace;
pub mod rules;
pub mod table;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;

use crate::config::{ListenerSettings, ServiceSettings};

pub use bandwidth::BandwidthLimit;
pub use datagrams::{DatagramGuard, FlowCount};
pub use gcra::{Decision, Gcra};
pub use key::{ClientKey, Secret};
pub use pace::Pace;
pub use rules::{Refused, Rule, RuleBook, RuleCounts, RuleId, Scope};
pub use table::{Table, TableCounts};

/// What holds for everybody, and the rules of all.
#[derive(Debug)]
pub struct Guard {
    /// All rules, with what they counted.
    pub book: RuleBook,
    started: Instant,
}

/// What a listener asks of a client before anything is read of it, or right behind its PROXY
/// header.
#[derive(Debug, Default)]
pub struct ListenerGuard {
    /// How much each client is sent.
    pub bandwidth: Option<BandwidthLimit>,
    /// What each client may send in datagrams.
    pub datagrams: DatagramGuard,
}

/// What a service asks of a client or of a request.
#[derive(Debug, Default)]
pub struct ServiceGuard {}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// By this rule.
    pub rule: RuleId,
    /// What that says of it.
    pub kind: RefusalKind,
    /// In so many seconds it may be tried again, if that is known.
    pub retry_after: Option<NonZeroU32>,
}

/// What a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// That it may not, now or later: 403.
    Denied,
    /// That it was too much: 429.
    Limited,
}

/// Who asks a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// The client that is meant: behind trusted proxies the one that they name.
    pub client: IpAddr,
}

impl ListenerGuard {
    /// Have the rules that these settings of the listener ask for; what they know stays.
    pub fn follow(&mut self, name: &str, settings: &ListenerSettings, book: &mut RuleBook) {
        let before = self.bandwidth.take();
        let scope = Scope::Listener(name.into());
        self.datagrams.follow(&settings.datagrams, &scope, book);
        self.bandwidth =
            settings.bandwidth.map(|share| BandwidthLimit::follow(before, share, &scope, book));
    }
}

impl ServiceGuard {
    /// Whether it has any rule.
    #[inline]
    pub fn is_on(&self) -> bool {
        false
    }

    /// Have the rules that these settings of the service ask for; what they know stays.
    pub fn follow(&mut self, name: &str, settings: &ServiceSettings, book: &mut RuleBook) {
        let _ = (name, settings, book);
    }
}

impl Guard {
    /// One without rules; times are counted from `started`.
    pub fn new(started: Instant) -> Guard {
        Guard { book: RuleBook::default(), started }
    }

    /// A time as rules count it: nanoseconds since the start. 584 years of them fit.
    pub fn time(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.started).as_nanos() as u64
    }

    /// Whether this client may come in at a listener; `now` is of [`Guard::time`].
    pub fn admit(
        &mut self,
        client: IpAddr,
        listener: &mut ListenerGuard,
        now: u64,
    ) -> Result<(), Refusal> {
        let _ = (client, listener, now);
        Ok(())
    }

    /// Whether a service takes this request; `now` is of [`Guard::time`].
    pub fn request(
        &mut self,
        asking: &Asking,
        service: &mut ServiceGuard,
        now: u64,
    ) -> Result<(), Refusal> {
        let _ = (asking, service, now);
        Ok(())
    }

    /// A client that was admitted is gone.
    pub fn gone(&mut self, client: IpAddr, listener: &mut ListenerGuard, now: u64) {
        let _ = (client, listener, now);
    }
}
