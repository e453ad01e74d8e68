//! A name, until its addresses are known: all its questions.
//!
//! ```text
//!   dns://db:5432      db.a.example: A, AAAA   neither there? then  db: A, AAAA
//!   srv://_http._tcp.x SRV -> targets; those without addresses beside it: A, AAAA of each
//! ```
//!
//! Whoever has the sockets calls [`Lookup::next`] until it says `Wait` or `Done`, and again when
//! the time comes or something was heard:
//!
//! ```text
//!   loop { match lookup.next(now) {
//!       Send { server, transport, bytes } => to the socket of that server,
//!       Wait { until }                    => a timer, and back to the poll,
//!       Done(result)                      => Watched::told, and the sockets are closed } }
//! ```
//!
//! A name that is not there under one domain of the search list is looked for under the next; but
//! where a server fails, so does the look-up: going on, as the libc does, would give the clients of
//! one name to the backends of another.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::answer::{Said, Service};
use super::ask::{Ask, Match, Phase, Transport, Trouble, What};
use super::framing::framed;
use super::hosts::Hosts;
use super::question::{Kind, Question};
use super::resolv_conf::ResolvConf;
use super::search::Written;
use super::{Name, Random};
use crate::limits::{
    DNS_ENDPOINTS_MAX, DNS_HOSTS_TTL, DNS_QUESTIONS_AT_ONCE, DNS_STRANGERS_MAX,
    DNS_TARGETS_ASKED_MAX,
};

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The addresses of a host, at this port.
    Addresses(Written, u16),
    /// The services of a name.
    Services(Written),
}

/// Which addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Families {
    /// Both, asked for at once.
    #[default]
    Both,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

/// One address of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// The host that has the address: the name itself, or a service's target.
    pub target: Name,
    /// Of a service: the lowest are used as long as there are any.
    pub priority: u16,
    /// Of a service: its share among those of its priority.
    pub weight: Option<u16>,
}

/// What a name is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// How long that is good, as the records say.
    pub ttl: Duration,
    /// The complete name that it was found under.
    pub name: Name,
    /// Of these hosts nobody said what addresses of this family they have: what was known of them
    /// before is still good.
    pub unheard: Vec<(Name, Kind)>,
    /// Addresses and targets that were too many.
    pub left_out: usize,
}

/// Why a look-up found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// There is no such name, nor under the search list; and how long that is good.
    NoSuchName(Name, Option<Duration>),
    /// The name is there, but has nothing of what is wanted.
    Nothing(Name, Option<Duration>),
    /// Its service is not offered, it says.
    NotOffered(Name),
    /// None of the targets of its services has an address.
    NoTargets(Name),
    /// Nobody answered a question; what the last server did.
    NoAnswer(Question, Trouble),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This goes out, and then comes the next step.
    Send {
        /// The server that it is for.
        server: SocketAddr,
        /// By UDP or TCP.
        transport: Transport,
        /// For TCP with its length.
        bytes: Vec<u8>,
    },
    /// Nothing, until something is heard, or until then.
    Wait {
        /// When a server's time is over.
        until: Instant,
    },
    /// That was it.
    Done(Result<Answer, Failure>),
}

/// What the questions under way are for.
#[derive(Debug)]
enum Stage {
    Addresses,
    Services,
    Targets { services: Vec<Service>, ttl: Duration, left_out: usize },
}

/// A look-up under way.
#[derive(Debug)]
pub struct Lookup {
    conf: ResolvConf,
    families: Families,
    port: u16,
    /// The names still to be tried, the next at the end.
    candidates: Vec<Name>,
    name: Name,
    stage: Stage,
    asks: Vec<Ask>,
    /// The server that answered last: the next question begins there.
    good: usize,
    /// A candidate that is there, though without what is wanted.
    empty: Option<(Name, Option<Duration>)>,
    strangers: u32,
    random: Random,
    done: Option<Result<Answer, Failure>>,
}

impl Lookup {
    /// Begins one. What `hosts` knows is not asked for. Nothing has been sent yet.
    pub fn new(
        wanted: &Wanted,
        families: Families,
        conf: &ResolvConf,
        hosts: &Hosts,
        mut random: Random,
    ) -> Lookup {
        let (written, port, stage) = match wanted {
            Wanted::Addresses(written, port) => (written, *port, Stage::Addresses),
            Wanted::Services(written) => (written, 0, Stage::Services),
        };
        let mut candidates = written.candidates(&conf.search, conf.ndots);
        candidates.reverse();
        let name = candidates.pop().unwrap_or_else(|| written.name().clone());
        let servers = conf.servers.len() as u64;
        let good = if conf.rotate { random.below(servers) as usize } else { 0 };
        let mut lookup = Lookup {
            conf: conf.clone(),
            families,
            port,
            candidates,
            name,
            stage,
            asks: Vec::new(),
            good,
            empty: None,
            strangers: 0,
            random,
            done: None,
        };
        lookup.ask();
        if matches!(lookup.stage, Stage::Addresses) {
            lookup.done = lookup.of_hosts(written.name(), hosts);
        }
        lookup
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Instant) -> Step {
        loop {
            if let Some(done) = &self.done {
                return Step::Done(done.clone());
            }
            self.tick(now);
            if let Some(step) = self.send(now) {
                return step;
            }
            let waiting = self.asks.iter().filter_map(|ask| match ask.phase() {
                Phase::Waiting(until) => Some(*until),
                _ => None,
            });
            match waiting.min() {
                Some(until) => return Step::Wait { until },
                None => self.conclude(),
            }
        }
    }

    /// Takes a message that came from this address, of TCP without its length. What nobody waits
    /// for changes nothing, and is counted.
    pub fn heard(&mut self, from: SocketAddr, transport: Transport, message: &[u8]) {
        let found = self.server(from).is_some_and(|server| {
            let conf = &self.conf;
            let taken = self
                .asks
                .iter_mut()
                .any(|ask| ask.heard(conf, server, transport, message) == Match::Taken);
            if taken {
                self.good = server;
            }
            taken
        });
        if !found {
            self.strangers = self.strangers.saturating_add(1);
            if self.strangers == DNS_STRANGERS_MAX {
                self.asks.iter_mut().for_each(Ask::insist_on_tcp);
            }
        }
    }

    /// The system says that a server cannot be reached, or that its connection was closed.
    pub fn failed(&mut self, server: SocketAddr, transport: Transport, why: &str) {
        if let Some(server) = self.server(server) {
            for ask in &mut self.asks {
                ask.failed(&self.conf, server, transport, why);
            }
        }
    }

    /// Messages so far that nobody waited for.
    pub fn strangers(&self) -> u32 {
        self.strangers
    }

    /// Which of the servers; the flow and the zone that the kernel tells are no part of it.
    fn server(&self, from: SocketAddr) -> Option<usize> {
        let is = |it: &SocketAddr| it.ip() == from.ip() && it.port() == from.port();
        self.conf.servers.iter().position(is)
    }

    fn kinds(&self) -> &'static [Kind] {
        match self.families {
            Families::Both => &[Kind::A, Kind::Aaaa],
            Families::Ipv4 => &[Kind::A],
            Families::Ipv6 => &[Kind::Aaaa],
        }
    }

    fn is_wanted(&self, address: &IpAddr) -> bool {
        match self.families {
            Families::Both => true,
            Families::Ipv4 => address.is_ipv4(),
            Families::Ipv6 => address.is_ipv6(),
        }
    }

    fn of_hosts(&self, name: &Name, hosts: &Hosts) -> Option<Result<Answer, Failure>> {
        let mut addresses = hosts.addresses(name);
        addresses.retain(|address| self.is_wanted(address));
        if addresses.is_empty() {
            return None;
        }
        let endpoints = addresses.iter().map(|&ip| self.endpoint(ip, name)).collect();
        let none = || Failure::Nothing(name.clone(), Some(DNS_HOSTS_TTL));
        Some(answer(endpoints, DNS_HOSTS_TTL, name, Vec::new(), 0).ok_or_else(none))
    }

    /// Asks for the name that is next.
    fn ask(&mut self) {
        let kinds = match self.stage {
            Stage::Services => &[Kind::Srv][..],
            _ => self.kinds(),
        };
        let ask = |&kind: &Kind| Ask::new(Question { name: self.name.clone(), kind });
        self.asks = kinds.iter().map(ask).collect();
    }

    fn tick(&mut self, now: Instant) {
        for ask in &mut self.asks {
            ask.tick(&self.conf, now);
        }
        // Who was silent to one question will be silent to those that have not been sent.
        let silent = self.asks.iter().find_map(|ask| match ask.phase() {
            Phase::Over(Err(trouble)) if matches!(trouble.what, What::Silent(_)) => {
                Some(trouble.clone())
            }
            _ => None,
        });
        if let Some(trouble) = silent {
            let fresh = self.asks.iter_mut().filter(|ask| ask.is_fresh());
            fresh.for_each(|ask| ask.give_up(trouble.clone()));
        }
    }

    fn send(&mut self, now: Instant) -> Option<Step> {
        let is_waiting = |ask: &&Ask| matches!(ask.phase(), Phase::Waiting(_));
        let waiting = self.asks.iter().filter(is_waiting).count();
        if waiting >= DNS_QUESTIONS_AT_ONCE {
            return None;
        }
        let only_tcp = self.strangers >= DNS_STRANGERS_MAX;
        let due = self.asks.iter_mut().filter(|ask| *ask.phase() == Phase::ToSend);
        for ask in due {
            let sent = ask.send(&self.conf, self.good, only_tcp, now, &mut self.random);
            if let Some((server, transport, bytes)) = sent {
                let bytes = if transport == Transport::Tcp { framed(&bytes) } else { bytes };
                return Some(Step::Send { server, transport, bytes });
            }
        }
        None
    }
}

/// What is made of the answers.
impl Lookup {
    /// All questions are over: what they say together, or the next that have to be asked.
    fn conclude(&mut self) {
        let done = match &self.stage {
            Stage::Addresses => self.conclude_addresses(),
            Stage::Services => self.conclude_services(),
            Stage::Targets { .. } => Some(self.conclude_targets()),
        };
        self.done = done;
    }

    fn conclude_addresses(&mut self) -> Option<Result<Answer, Failure>> {
        let mut found = Found::of(&self.asks);
        let ttl = found.ttl;
        let addresses = found.addresses.remove(&self.name).unwrap_or_default();
        let endpoints = addresses.iter().map(|&ip| self.endpoint(ip, &self.name)).collect();
        if let Some(answer) = answer(endpoints, ttl, &self.name, found.unheard, 0) {
            return Some(Ok(answer));
        }
        match found.failure {
            Some(failure) => Some(Err(failure)),
            // At none of these is a server: what is blocked has 0.0.0.0.
            None if !addresses.is_empty() => {
                Some(Err(Failure::Nothing(self.name.clone(), Some(ttl))))
            }
            None => self.next_candidate(),
        }
    }

    fn conclude_services(&mut self) -> Option<Result<Answer, Failure>> {
        let over = self.asks.first().map(|ask| (ask.question().clone(), ask.phase().clone()));
        let (mut services, ttl) = match over {
            Some((_, Phase::Over(Ok(Said::Services(services, ttl))))) => (services, ttl),
            Some((_, Phase::Over(Ok(Said::NotOffered(_))))) => {
                return Some(Err(Failure::NotOffered(self.name.clone())));
            }
            Some((question, Phase::Over(Err(trouble)))) => {
                return Some(Err(Failure::NoAnswer(question, trouble)));
            }
            _ => return self.next_candidate(),
        };
        let mut missing = Vec::new();
        for service in &mut services {
            service.addresses.retain(|address| self.is_wanted(address));
            if service.addresses.is_empty() {
                missing.push(service.target.clone());
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let left_out = missing.len().saturating_sub(DNS_TARGETS_ASKED_MAX);
        missing.truncate(DNS_TARGETS_ASKED_MAX);
        let kinds = self.kinds();
        let questions = missing.into_iter().flat_map(|name| {
            kinds.iter().map(move |&kind| Question { name: name.clone(), kind })
        });
        self.asks = questions.map(Ask::new).collect();
        self.stage = Stage::Targets { services, ttl, left_out };
        None
    }

    fn conclude_targets(&self) -> Result<Answer, Failure> {
        let Stage::Targets { services, ttl, left_out } = &self.stage else {
            return Err(Failure::NoTargets(self.name.clone()));
        };
        let found = Found::of(&self.asks);
        let mut endpoints = Vec::new();
        for service in services {
            let asked = found.addresses.get(&service.target);
            let came_along = !service.addresses.is_empty();
            let addresses = if came_along { Some(&service.addresses) } else { asked };
            endpoints.extend(addresses.into_iter().flatten().map(|&ip| Endpoint {
                address: SocketAddr::new(ip, service.port),
                target: service.target.clone(),
                priority: service.priority,
                weight: Some(service.weight),
            }));
        }
        let ttl = found.ttl.min(*ttl);
        let none = || found.failure.unwrap_or_else(|| Failure::NoTargets(self.name.clone()));
        answer(endpoints, ttl, &self.name, found.unheard, *left_out).ok_or_else(none)
    }

    /// Goes on to the next name of the search list; a failure, if there is none.
    fn next_candidate(&mut self) -> Option<Result<Answer, Failure>> {
        let mut longest: Option<Duration> = None;
        for ask in &self.asks {
            match ask.phase() {
                Phase::Over(Ok(Said::Nothing(ttl))) => {
                    self.empty.get_or_insert((self.name.clone(), *ttl));
                }
                Phase::Over(Ok(Said::NoName(ttl))) => longest = longest.max(*ttl),
                _ => {}
            }
        }
        if let Some(name) = self.candidates.pop() {
            self.name = name;
            self.ask();
            return None;
        }
        Some(Err(match self.empty.take() {
            Some((name, ttl)) => Failure::Nothing(name, ttl),
            None => Failure::NoSuchName(self.name.clone(), longest),
        }))
    }

    fn endpoint(&self, ip: IpAddr, target: &Name) -> Endpoint {
        let address = SocketAddr::new(ip, self.port);
        Endpoint { address, target: target.clone(), priority: 0, weight: None }
    }
}

/// What questions about addresses brought.
struct Found {
    addresses: HashMap<Name, Vec<IpAddr>>,
    ttl: Duration,
    unheard: Vec<(Name, Kind)>,
    failure: Option<Failure>,
}

impl Found {
    fn of(asks: &[Ask]) -> Found {
        let mut found = Found {
            addresses: HashMap::new(),
            ttl: Duration::MAX,
            unheard: Vec::new(),
            failure: None,
        };
        for ask in asks {
            let question = ask.question();
            match ask.phase() {
                Phase::Over(Ok(Said::Addresses(addresses, ttl))) => {
                    found.ttl = found.ttl.min(*ttl);
                    found.addresses.entry(question.name.clone()).or_default().extend(addresses);
                }
                Phase::Over(Err(trouble)) => {
                    found.unheard.push((question.name.clone(), question.kind));
                    found.failure.get_or_insert_with(|| {
                        Failure::NoAnswer(question.clone(), trouble.clone())
                    });
                }
                _ => {}
            }
        }
        found
    }
}

/// Whether a server can be at an address: not where everybody listens, which is this machine, nor
/// where many hear, nor at a link that is not said.
pub fn is_of_a_server(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local())
        }
    }
}

/// `None` if there is no server at any of them.
fn answer(
    mut endpoints: Vec<Endpoint>,
    ttl: Duration,
    name: &Name,
    unheard: Vec<(Name, Kind)>,
    left_out: usize,
) -> Option<Answer> {
    let all = endpoints.len();
    endpoints.retain(|it| is_of_a_server(it.address.ip()));
    let left_out = left_out + all - endpoints.len().min(DNS_ENDPOINTS_MAX);
    // Servers shuffle: which are left out is not to change each time.
    endpoints.sort_by_key(|endpoint| (endpoint.priority, endpoint.address));
    endpoints.truncate(DNS_ENDPOINTS_MAX);
    let answer = Answer { endpoints, ttl, name: name.clone(), unheard, left_out };
    (!answer.endpoints.is_empty()).then_some(answer)
}

impl Failure {
    /// How long the server says that there is nothing, where it says that.
    pub fn good_for(&self) -> Option<Duration> {
        match self {
            Failure::NoSuchName(_, ttl) | Failure::Nothing(_, ttl) => *ttl,
            Failure::NotOffered(_) | Failure::NoTargets(_) | Failure::NoAnswer(..) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoSuchName(name, _) => write!(f, "there is no name {name}"),
            Failure::Nothing(name, _) => {
                write!(f, "the name {name} is there, but without what is looked for")
            }
            Failure::NotOffered(name) => write!(f, "{name} says that it is not offered"),
            Failure::NoTargets(name) => write!(f, "no target of {name} has an address"),
            Failure::NoAnswer(question, trouble) => {
                write!(f, "no answer for {question}: {trouble}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
