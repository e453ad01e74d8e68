//! What no table can know by itself: names that lead nowhere, services that tie, and what does not
//! go together.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::config::{
    self, Complaint, Complaints, Config, Desired, ListenerSpec, Match, Origin, RouteName,
    ServiceSpec, SettingKey, Spot, Subject, closest, quoted, ties,
};
use crate::limits::{self, HINTS_MAX};
use crate::settings;

use super::SPELLING;
use super::mistake::Mistake;
use super::reader::Reader;

impl Reader<'_> {
    /// What is left once every service was looked at.
    pub(super) fn check_rest(&mut self) {
        self.check_certificates();
        self.check_size();
        self.check_admin();
    }

    fn check_admin(&mut self) {
        for complaint in config::check_admin(&self.desired.process.admin) {
            let at = self.given_at(&Subject::Process, complaint.at);
            let says = complaint.spelled(SPELLING);
            self.mistakes.push(Mistake { at, says, hint: None });
        }
    }

    fn check_size(&mut self) {
        let backends: usize = self.desired.pools.iter().map(|pool| pool.backends.len()).sum();
        let services = self.desired.services.len();
        for (count, most, what) in [
            (backends, limits::BACKENDS_MAX, "backends"),
            (services, limits::ROUTES_MAX, "services"),
        ] {
            if count > most {
                let says = format!("found {count} {what}, want at most {most}");
                self.mistakes.push(Mistake { at: None, says, hint: None });
            }
        }
        if services == 0 && self.mistakes.is_empty() {
            let says = "no service, want one such as [service.web]".to_owned();
            self.mistakes.push(Mistake { at: None, says, hint: None });
        }
    }

    /// Every name leads somewhere, and everything that has one is used.
    pub(super) fn check_uses(&mut self) {
        let used: HashSet<&Subject> = self.uses.iter().map(|(subject, _)| subject).collect();
        let lost = self.uses.iter().filter(|(subject, _)| !self.named.contains_key(subject));
        let mut wrong = Vec::new();
        for (subject, at) in lost {
            let (kind, name) = kind_and_name(subject);
            let mistake = Mistake::at(*at, format!("there is no {kind} {}", quoted(name)));
            // Nobody reads so many hints, and to find them takes longest.
            let near = (wrong.len() < HINTS_MAX).then(|| self.nearest(kind, name)).flatten();
            wrong.push(match near {
                Some(near) => mistake.hint(format!("did you mean {near}?")),
                None => mistake.hint(format!("want a table [{kind}.{name}]")),
            });
        }
        for (subject, at) in &self.named {
            let (kind, name) = kind_and_name(subject);
            if kind != "service" && !used.contains(subject) {
                let says = format!("no service uses the {kind} {}", quoted(name));
                self.warnings.push(Mistake::at(*at, says));
            }
        }
        self.mistakes.append(&mut wrong);
    }

    /// What has a name like this one; of several the first.
    fn nearest(&self, kind: &str, name: &str) -> Option<&str> {
        let named = self.named.keys().map(kind_and_name).filter(|(it, _)| *it == kind);
        let mut known: Vec<&str> = named.map(|(_, name)| name).collect();
        known.sort_unstable();
        closest(name, known)
    }

    /// No address twice.
    pub(super) fn check_addresses(&mut self) {
        let listens: Vec<config::Listen> =
            self.desired.listeners.iter().map(|it| it.listen.clone()).collect();
        if config::check_listeners(&listens).is_ok() {
            return;
        }
        // The later one is told: the last of the fewest that do not go together.
        let places: Vec<usize> = (0..listens.len()).collect();
        let is_good = |&at: &usize| config::check_listeners(&listens[..=at]).is_ok();
        let last = places.partition_point(is_good);
        if let Err(wrong) = config::check_listeners(&listens[..=last]) {
            let name = self.desired.listeners[last].name.clone();
            let at = self.spot_of(&Subject::Listener(name), SettingKey::LISTEN);
            let says = wrong.spelled(SPELLING);
            self.mistakes.push(Mistake { at, says, hint: None });
        }
    }

    /// Two services of a listener that both take a request, and none is more exact.
    pub(super) fn check_ties(&mut self, listener: usize) {
        let listener = &self.desired.listeners[listener];
        if !listener.listen.protocol.hears_names() {
            let second = self.second_service(listener);
            return self.mistakes.extend(second);
        }
        let services = self.desired.services.iter();
        let services = services.filter(|it| it.listeners.contains(&listener.name));
        let all = services.flat_map(|it| it.all_matches().map(|found| (&*it.name, found)));
        let all: Vec<(&str, Match)> = all.collect();
        let entries: Vec<(&str, &Match)> = all.iter().map(|(name, it)| (*name, it)).collect();
        for tie in ties(&entries) {
            let at = self.named.get(&Subject::Service(tie.second.to_owned())).copied();
            let says = format!("{}, at {}", tie.wrong().spelled(SPELLING), listener.name);
            self.mistakes.push(Mistake { at, says, hint: None });
        }
    }

    /// Where clients say nothing that tells one service from another, there is one.
    fn second_service(&self, listener: &ListenerSpec) -> Option<Mistake> {
        let services = self.desired.services.iter();
        let second = services.filter(|it| it.listeners.contains(&listener.name)).nth(1)?;
        let says = format!(
            "a second service at {}: {} says nothing by which to choose one",
            listener.name, listener.listen.protocol
        );
        let at = self.named.get(&Subject::Service(second.name.clone())).copied();
        Some(Mistake { at, says, hint: None })
    }

    /// Pools that some service leads connections to.
    pub(super) fn pools_of_streams(&self) -> HashSet<String> {
        let Desired { listeners, services, .. } = &self.desired;
        let streams = listeners.iter().filter(|it| !it.listen.protocol.is_udp());
        let streams: HashSet<&str> = streams.map(|it| &*it.name).collect();
        let leads = |it: &&ServiceSpec| it.listeners.iter().any(|it| streams.contains(&**it));
        let pools = services.iter().filter(leads).flat_map(ServiceSpec::pools);
        pools.map(str::to_owned).collect()
    }

    /// What the command line asks of its one service is asked of each one here.
    pub(super) fn check_service(&mut self, service: usize, probed: &HashSet<String>) {
        let services = std::mem::take(&mut self.desired.services);
        self.check_together(&services[service], probed);
        self.desired.services = services;
    }

    fn check_together(&mut self, service: &ServiceSpec, probed: &HashSet<String>) {
        let own = service.pool.as_deref();
        if let Some(mut view) = self.view(service, own) {
            self.check_requests(service, &view);
            self.check_names(service, &view);
            self.fill_in(own, &mut view, probed);
            self.check_view(service, own, &view, |_| true);
        }
        // Of pools that rules lead to what is asked is what is asked of the pool itself.
        let others: BTreeSet<&str> = service.pools().filter(|it| Some(*it) != own).collect();
        for pool in others {
            if let Some(mut view) = self.view(service, Some(pool)) {
                let is_its = |it: &Complaint| ["pool", "backend"].contains(&it.at.scope());
                self.fill_in(Some(pool), &mut view, probed);
                self.check_view(service, Some(pool), &view, is_its);
            }
        }
    }

    fn check_view(
        &mut self,
        service: &ServiceSpec,
        pool: Option<&str>,
        view: &Config,
        counts: impl Fn(&Complaint) -> bool,
    ) {
        let mut complaints = Complaints::default();
        // Of certificates each listener is asked by itself.
        complaints.note_failed(SettingKey::CERT);
        config::check_whole(view, &mut complaints);
        for complaint in complaints.take().into_iter().filter(&counts) {
            let mistake = self.mistake(&complaint, service, pool);
            self.mistakes.push(mistake);
        }
        for complaint in config::advice_on_pool(view).into_iter().filter(&counts) {
            let mistake = self.mistake(&complaint, service, pool);
            self.warnings.push(mistake);
        }
    }

    /// Where datagrams alone come in, nothing is probed unless that was asked for.
    fn fill_in(&mut self, pool: Option<&str>, view: &mut Config, probed: &HashSet<String>) {
        config::fill_in(view, &Complaints::default());
        let Some(name) = pool.filter(|name| !probed.contains(*name)) else { return };
        let pools = &mut self.desired.pools;
        if let Ok(at) = pools.binary_search_by(|it| (*it.name).cmp(name)) {
            pools[at].settings.check = view.pool.check.clone();
        }
    }

    /// What can be asked of a client at all, and done for it.
    fn check_requests(&mut self, service: &ServiceSpec, view: &Config) {
        let has_more = |it: &Match| it.path.is_some() || !it.conditions.is_empty();
        let hears_no_request = |it: &&config::Listen| !it.protocol.is_http();
        let Some(listen) = view.listeners.iter().find(hears_no_request) else { return };
        for (is_there, what) in [
            (service.matches.iter().any(has_more), "a path or a condition"),
            (!service.rules.is_empty(), "rules or maintenance"),
            (!service.error_pages.is_empty(), "error pages"),
            (service.mirror.is_some(), "a mirror"),
        ] {
            if is_there {
                let at = self.named.get(&Subject::Service(service.name.clone())).copied();
                let says = format!(
                    "{what} at {}, want http:// and https:// listeners alone: others have no \
                     requests",
                    listen.name()
                );
                self.mistakes.push(Mistake { at, says, hint: None });
            }
        }
    }

    /// A service for some names has all clients of a listener at which none is said.
    fn check_names(&mut self, service: &ServiceSpec, view: &Config) {
        let hears_none = |it: &&config::Listen| !it.protocol.hears_names();
        let Some(listen) = view.listeners.iter().find(hears_none) else { return };
        if service.matches.iter().all(|it| it.host == RouteName::Others) {
            return;
        }
        let subject = Subject::Service(service.name.clone());
        let at = self.spot_of(&subject, SettingKey::MATCH);
        let says = format!(
            "a host at {}, want listeners where clients say one: http, https, sni or tls",
            listen.name()
        );
        self.mistakes.push(Mistake { at, says, hint: None });
    }

    /// The flat view that a service has of one of its pools: its listeners, the pool.
    fn view(&self, service: &ServiceSpec, pool: Option<&str>) -> Option<Config> {
        let listeners: Vec<&config::ListenerSpec> = self
            .desired
            .listeners
            .iter()
            .filter(|it| service.listeners.contains(&it.name))
            .collect();
        // They are sorted by their names.
        let pools = &self.desired.pools;
        let place = |name: &str| pools.binary_search_by(|it| (*it.name).cmp(name)).ok();
        let found = pool.and_then(place).map(|at| &pools[at]);
        let first = listeners.iter().find(|it| it.listen.protocol.is_tls());
        let first = first.or(listeners.first())?;
        let mut view = Config::defaults();
        view.listener = first.settings.clone();
        view.listeners = listeners.iter().map(|it| it.listen.clone()).collect();
        view.service = service.settings.clone();
        if let Some(pool) = found {
            view.pool = pool.settings.clone().into_own();
            view.backends = pool.backends.iter().map(|it| (**it).clone()).collect();
        }
        let listeners = service.listeners.iter().cloned().map(Subject::Listener);
        let pool = pool.iter().map(|&name| Subject::Pool(name.to_owned()));
        let own = [Subject::Service(service.name.clone())];
        let subjects = listeners.chain(pool).chain(own);
        let mut given: BTreeSet<SettingKey> =
            subjects.flat_map(|it| self.origins.given(&it).collect::<Vec<_>>()).collect();
        if self.origins.is_given(&Subject::Defaults, SettingKey::CHECK) {
            given.insert(SettingKey::CHECK);
        }
        let says = |key: &SettingKey| says_something(*key, &view, &self.plain);
        view.given = given.into_iter().filter(says).collect();
        Some(view)
    }

    /// Listeners that end TLS have something to show.
    fn check_certificates(&mut self) {
        let mut wrong = Vec::new();
        for listener in &self.desired.listeners {
            let protocol = listener.listen.protocol;
            if !protocol.is_tls() || !listener.settings.tls.certificates.is_empty() {
                continue;
            }
            let subject = Subject::Listener(listener.name.clone());
            let at = self.spot_of(&subject, SettingKey::LISTEN);
            let says = format!("{} without a certificate", listener.listen.name());
            let hint =
                "want certificates = [{ cert = \"FILE\", key = \"FILE\" }] at the listener";
            wrong.push(Mistake { at, says, hint: Some(hint.to_owned()) });
        }
        self.mistakes.append(&mut wrong);
    }

    /// A complaint about one of the things that a service has, at its place.
    fn mistake(
        &self,
        complaint: &Complaint,
        service: &ServiceSpec,
        pool: Option<&str>,
    ) -> Mistake {
        let subjects: Vec<Subject> = match complaint.at.scope() {
            "listener" => service.listeners.iter().cloned().map(Subject::Listener).collect(),
            "pool" | "backend" => pool.iter().map(|&it| Subject::Pool(it.to_owned())).collect(),
            "global" | "admin" => vec![Subject::Process],
            _ => vec![Subject::Service(service.name.clone())],
        };
        let backend = || {
            let item = complaint.item().filter(|_| complaint.at == SettingKey::BACKEND)?;
            let subject = Subject::Backend { pool: pool?.to_owned(), name: item.to_owned() };
            self.given_at(&subject, SettingKey::BACKEND)
        };
        let setting =
            || subjects.iter().find_map(|subject| self.given_at(subject, complaint.at));
        let given = backend().or_else(setting);
        let given = given.or_else(|| self.given_at(&Subject::Defaults, complaint.at));
        let named = || subjects.iter().find_map(|subject| self.named.get(subject).copied());
        let own = || self.named.get(&Subject::Service(service.name.clone())).copied();
        let at = given.or_else(named).or_else(own);
        Mistake { at, says: complaint.spelled(SPELLING), hint: None }
    }

    fn given_at(&self, subject: &Subject, key: SettingKey) -> Option<Spot> {
        match self.origins.of(subject, key) {
            Origin::File(spot) => Some(spot),
            Origin::Default | Origin::Flag => None,
        }
    }

    fn spot_of(&self, subject: &Subject, key: SettingKey) -> Option<Spot> {
        self.given_at(subject, key).or_else(|| self.named.get(subject).copied())
    }
}

/// Whether a value is another one than holds by default, so that whoever gave it wants something.
/// The question of probes depends on the listeners where none is given.
fn says_something(key: SettingKey, view: &Config, plain: &Config) -> bool {
    if [SettingKey::CHECK, SettingKey::BACKEND].contains(&key) {
        return true;
    }
    let shown = |config: &Config| settings::of(key).and_then(|it| (it.show)(config));
    shown(view) != shown(plain)
}

/// What a subject is called in a file.
fn kind_and_name(subject: &Subject) -> (&'static str, &str) {
    match subject {
        Subject::Listener(name) => ("listener", name),
        Subject::Service(name) => ("service", name),
        Subject::Pool(name) => ("pool", name),
        Subject::Backend { name, .. } => ("backend", name),
        Subject::Process | Subject::Defaults => ("global", ""),
    }
}

/// Mistakes in the places where complaints about a running state belong.
pub fn mistakes_of(complaints: &[Complaint], origins: &config::Origins) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut at: HashMap<&Subject, Spot> = HashMap::new();
    for (subject, _, origin) in origins.iter() {
        if let Origin::File(spot) = origin {
            let known = at.entry(subject).or_insert(*spot);
            *known = (*known).min(*spot);
        }
    }
    for complaint in complaints {
        let own = complaint.of.as_ref();
        let named = own.zip(complaint.file());
        let named = named.and_then(|(subject, file)| origins.file(subject, complaint.at, file));
        let exact = own.map(|subject| origins.of(subject, complaint.at));
        let spot = match (named, exact) {
            (Some(spot), _) | (None, Some(Origin::File(spot))) => Some(spot),
            _ => own.and_then(|subject| at.get(subject).copied()),
        };
        let says = match spot {
            Some(_) => complaint.says(SPELLING),
            None => complaint.spelled(SPELLING),
        };
        found.push(Mistake { at: spot, says, hint: None });
    }
    found.sort_by_key(|mistake| mistake.at);
    found
}
