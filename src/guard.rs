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

pub mod access;
mod bandwidth;
pub mod banning;
pub mod bans;
pub mod common;
mod datagrams;
mod editions;
pub mod gcra;
pub mod key;
pub mod limits;
pub mod lists;
mod pace;
pub mod ranges;
pub mod refusal;
pub mod rules;
pub mod strikes;
pub mod table;
mod terms;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Condition, ListenerSettings, ProcessSettings, ServiceSettings};
use crate::limits::TARPIT_SHARE;

use access::Access;
pub use bandwidth::BandwidthLimit;
use banning::Banning;
pub use datagrams::{DatagramGuard, FlowCount};
pub use pace::Pace;
use ranges::Ranges;

pub use common::Common;
pub use gcra::{Decision, Gcra};
pub use key::{ClientKey, Secret};
pub use limits::{Admission, Fill, ListenerLimits, Quota, ServiceLimits};
pub use refusal::{Refusal, RefusalKind};
pub use rules::{Refused, Rule, RuleBook, RuleCounts, RuleId, Scope};
pub use table::{Table, TableCounts};
pub use terms::Terms;

/// What holds for everybody, and the rules of all.
#[derive(Debug)]
pub struct Guard {
    /// All rules, with what they counted.
    pub book: RuleBook,
    /// Who is banned.
    pub banning: Banning,
    started: Instant,
    /// Who is held in the tarpit now.
    held: usize,
}

/// What a listener asks of a client before anything is read of it, or right behind its PROXY
/// header.
#[derive(Debug, Default)]
pub struct ListenerGuard {
    /// How much each client is sent.
    pub bandwidth: Option<BandwidthLimit>,
    /// What each client may send in datagrams.
    pub datagrams: DatagramGuard,
    /// Its lists.
    pub access: Access,
    /// How much each client may do.
    pub limits: ListenerLimits,
    /// On which terms they hold.
    pub terms: Arc<Terms>,
}

/// What a service asks of a client or of a request.
#[derive(Debug, Default)]
pub struct ServiceGuard {
    /// Its lists.
    pub access: Access,
    /// How often it may be asked.
    pub limits: ServiceLimits,
    /// On which terms they hold.
    pub terms: Arc<Terms>,
}

/// Who asks a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// The client that is meant: behind trusted proxies the one that they name.
    pub client: IpAddr,
}

impl ListenerGuard {
    /// Go by these lists from now on, if there are any.
    pub fn follow_lists(
        &mut self,
        name: &str,
        lists: Option<&Arc<Ranges>>,
        book: &mut RuleBook,
    ) {
        self.access.follow(&Scope::Listener(name.into()), lists, book);
    }

    /// How full the tables of its limits are.
    pub fn fills(&self, now: u64) -> impl Iterator<Item = Fill> {
        let bandwidth = self.bandwidth.iter().map(move |it| it.fill(now));
        self.limits.fills(now).chain(self.datagrams.fills(now)).chain(bandwidth)
    }

    /// What the tables of its limits counted.
    pub fn tables(&self) -> impl Iterator<Item = (RuleId, TableCounts)> {
        let bandwidth = self.bandwidth.iter().map(BandwidthLimit::table);
        self.limits.tables().chain(self.datagrams.tables()).chain(bandwidth)
    }

    /// Have the rules that these settings of the listener ask for; what they know stays.
    pub fn follow(&mut self, name: &str, settings: &ListenerSettings, book: &mut RuleBook) {
        let before = self.bandwidth.take();
        let scope = Scope::Listener(name.into());
        let terms = &mut self.terms;
        *terms = Arc::new(Terms::new(&settings.terms, &book.common.settings));
        self.datagrams.follow(&settings.datagrams, terms, &scope, book);
        self.bandwidth = settings
            .bandwidth
            .map(|share| BandwidthLimit::follow(before, share, terms, &scope, book));
        self.limits.follow(name, &settings.limits, terms, book);
    }
}

impl ServiceGuard {
    /// Go by these lists from now on, if there are any.
    pub fn follow_lists(
        &mut self,
        name: &str,
        lists: Option<&Arc<Ranges>>,
        book: &mut RuleBook,
    ) {
        self.access.follow(&Scope::Service(name.into()), lists, book);
    }

    /// Whether it has any rule.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.access.is_on() || self.limits.is_on()
    }

    /// Have the rules that these settings of the service ask for; what they know stays.
    pub fn follow(&mut self, name: &str, settings: &ServiceSettings, book: &mut RuleBook) {
        self.terms = Arc::new(Terms::new(&settings.terms, &book.common.settings));
        self.limits.follow(name, &settings.request_limits, &self.terms, book);
    }
}

impl Guard {
    /// One without rules; times are counted from `started`. The key is a secret.
    pub fn new(started: Instant, key: (u64, u64)) -> Guard {
        Guard { book: RuleBook::default(), banning: Banning::new(key), started, held: 0 }
    }

    /// Another configuration begins to be carried out.
    pub fn begin_change(&mut self, settings: &ProcessSettings, now: Instant) {
        self.book.begin_change(&settings.guard_dry_run);
        self.book.common.settings = settings.client_limits.clone();
        self.book.common.changed_at = self.time(now);
        self.banning.follow(&settings.bans, now, &mut self.book);
    }

    /// The reverse of [`Guard::time`].
    pub fn instant(&self, time: u64) -> Instant {
        self.started + Duration::from_nanos(time)
    }

    /// Whether a service has anything to ask of a request.
    #[inline]
    pub fn asks(&self, service: &ServiceGuard) -> bool {
        self.banning.is_on() || service.is_on()
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
    ) -> Result<Admission, Refusal> {
        if self.banning.is_on() {
            self.banning.check(client, 1, self.instant(now), &mut self.book)?;
        }
        listener.access.check(client, 1, &mut self.book)?;
        listener.limits.connect(client, now, &mut self.book)
    }

    /// Whether this client is banned, or denied by the lists of a listener: nobody needs to make
    /// room for it. Nothing is counted.
    pub fn bars(&self, client: IpAddr, listener: &ListenerGuard, now: Instant) -> bool {
        self.banning.bars(client, now, &self.book) || listener.access.bars(client, &self.book)
    }

    /// Why this client would not be let in, in words: by bans, or by the lists of a listener or a
    /// service. Nothing is counted.
    pub fn why(&self, client: IpAddr, lists: &Access, now: Instant) -> Option<String> {
        if self.banning.bars(client, now, &self.book) {
            let (network, ban) = self.banning.bans.find(client, now)?;
            return Some(format!("{network} is banned by {}", ban.by));
        }
        let why = lists.why(client).filter(|_| lists.bars(client, &self.book))?;
        Some(format!("denied: {why}"))
    }

    /// Whether a service takes this connection, of which no requests are known.
    pub fn connection(
        &mut self,
        client: IpAddr,
        count: u64,
        service: &mut ServiceGuard,
    ) -> Result<(), Refusal> {
        service.access.check(client, count, &mut self.book)
    }

    /// Whether these datagrams of a client without a flow may open one.
    pub fn datagrams(
        &mut self,
        client: IpAddr,
        count: u64,
        listener: &mut ListenerGuard,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.banning.is_on() {
            self.banning.check(client, count, now, &mut self.book)?;
        }
        listener.access.check(client, count, &mut self.book)
    }

    /// Whether a service takes this request, which has fields of these names, and for which
    /// such conditions hold; `now` is of [`Guard::time`].
    pub fn request<'a>(
        &mut self,
        asking: &Asking,
        field: impl Fn(&str, usize) -> Option<&'a [u8]>,
        holds: impl Fn(&Condition) -> bool,
        service: &mut ServiceGuard,
        now: u64,
    ) -> Result<(), Refusal> {
        if self.banning.is_on() {
            self.banning.check(asking.client, 1, self.instant(now), &mut self.book)?;
        }
        service.access.check(asking.client, 1, &mut self.book)?;
        service.limits.request(asking.client, field, holds, now, &mut self.book)
    }

    /// Whether one more may be held in the tarpit, where there may be so many connections; it is
    /// counted until [`Guard::release_held`].
    pub fn hold(&mut self, connections_max: usize) -> bool {
        let may = self.held < (connections_max / TARPIT_SHARE).max(1);
        self.held += usize::from(may);
        may
    }

    /// One is not held any more.
    pub fn release_held(&mut self) {
        debug_assert!(self.held > 0, "more went than came");
        self.held = self.held.saturating_sub(1);
    }

    /// How many are held in the tarpit.
    pub fn held(&self) -> usize {
        self.held
    }
}
