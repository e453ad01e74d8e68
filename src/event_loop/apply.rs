//! The one place where what is there is changed: what `control` has prepared is carried out between
//! two turns, in an order in which nothing refers to what is not there.
//!
//! ```text
//!   1 sockets of new listeners are registered: the last that can fail, and nothing has changed yet
//!   2 pools      come, change           4 services   come, change
//!   3 servers    come, change, go       5 listeners  change, get their services, go
//!                                       6 services and pools go
//! ```

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use log::warn;

use crate::access_log::AccessLog;
use crate::backends::{Backends, Joins, PoolPlan, SeatPlan, StickyKey};
use crate::balance;
use crate::config::{
    Action, BackendSpec, Desired, ListenerSpec, Match, OnRemoved, Overlay, PoolSpec, Protocol,
    Redirect, Rule, ServiceSpec, Share, Shared, UdpSettings, WHOLE,
};
use crate::control::{
    Diff, Directory, Fate, Layers, PoolChange, Prepared, PreparedListener, PreparedServer,
    ReadFiles, Receipt, ServerList, ServerWanted, Servers, Socket, TlsStore,
};
use crate::event::{ListenerId, PoolId, ServerId, ServiceId};
use crate::limits::BALANCE_SEED_STEP;
use crate::services::{Act, Choice, ListenerPlan, Page, ReadyRule, Rules, Service};

use super::EventLoop;

/// What is being applied.
struct Change<'a> {
    old: &'a Directory,
    new: &'a Desired,
    server_list: &'a ServerList,
    diff: &'a Diff,
    /// The ids of what is new, as far as it is there.
    pools: Vec<PoolId>,
    pool_ids: HashMap<&'a str, PoolId>,
    services: Vec<ServiceId>,
    /// The names of pools that were there before.
    old_pools: HashSet<&'a str>,
    members: HashMap<&'a str, PoolChange>,
    /// The pools that close the connections of members that go.
    closing: HashSet<&'a str>,
}

impl EventLoop {
    /// Carry out what is prepared, of which nothing was told. If a socket cannot be registered,
    /// nothing has changed.
    pub fn apply(&mut self, prepared: Prepared) -> io::Result<Receipt> {
        let base = prepared.desired.clone();
        let written = Arc::new(base.clone());
        self.apply_layers(prepared, Layers { written, base, overlay: Overlay::default() })
    }

    /// The same, with what it is made of.
    pub fn apply_layers(&mut self, prepared: Prepared, layers: Layers) -> io::Result<Receipt> {
        let began = Instant::now();
        let Prepared { desired, server_list, diff, store, listeners, servers, needs, .. } =
            prepared;
        let old = std::mem::replace(&mut self.directory, Directory::empty());
        let ids = match self.open_listeners(&desired, &diff, listeners, &old) {
            Ok(ids) => ids,
            Err(error) => {
                self.directory = old;
                return Err(error);
            }
        };
        let mut change = Change {
            old: &old,
            new: &desired,
            server_list: &server_list,
            diff: &diff,
            pools: Vec::new(),
            pool_ids: HashMap::new(),
            services: Vec::new(),
            old_pools: old.desired.pools.iter().map(|pool| &*pool.name).collect(),
            members: HashMap::new(),
            closing: closing(&desired),
        };
        self.apply_pools(&mut change, prepared.sticky_keys);
        let server_ids = self.apply_servers(&mut change, servers);
        self.apply_services(&mut change, &prepared.files);
        self.apply_listeners(&change, &ids, &store, &prepared.files);
        self.remove_rest(&change);
        let mut receipt = receipt(&change, self.pairs.len());
        let Change { pools, services, .. } = change;
        let generation = old.generation + 1;
        prepared.access_log.into_iter().for_each(|log| self.change_access_log(log));
        let Layers { written, base, overlay } = layers;
        let revisions = revisions(&old, &desired, generation);
        let epoch = if generation == 1 { epoch() } else { old.epoch };
        self.directory = Directory {
            generation,
            epoch,
            revisions,
            written,
            base,
            overlay,
            desired,
            server_list,
            needs,
            listeners: ids,
            services,
            pools,
            servers: server_ids,
            store,
            files: prepared.files,
        };
        if generation == 1 {
            self.cx.backends.finish_work();
        } else {
            let process = self.directory.desired.process.clone();
            let before = (&old.desired.process, old.needs);
            receipt.notes = self.change_process(before, (&process, needs));
            self.outdated = Some(Box::new(old));
        }
        self.apply_admin(prepared.admin);
        self.note_unwanted(prepared.adoption.unwanted);
        self.review_certificates();
        self.follow_names();
        if self.is_resolving() {
            self.place_saved();
        }
        Ok(Receipt { generation, took: began.elapsed(), ..receipt })
    }

    /// 1: the ids of all listeners that are wanted; those that are new have no service yet.
    fn open_listeners(
        &mut self,
        desired: &Desired,
        diff: &Diff,
        prepared: Vec<PreparedListener>,
        old: &Directory,
    ) -> io::Result<Vec<ListenerId>> {
        let mut ids = Vec::new();
        let mut opened = Vec::new();
        let all = desired.listeners.iter().zip(&diff.listeners.wanted).zip(prepared);
        for ((spec, fate), prepared) in all {
            let id = match (fate.before(), prepared.socket) {
                (Some(at), _) => {
                    self.keep_socket(old.listeners[at], spec, prepared.file);
                    Ok(old.listeners[at])
                }
                (None, Some(socket)) => self.open_listener(desired, spec, socket),
                // because: one that is new has a socket.
                (None, None) => Err(io::ErrorKind::NotFound.into()),
            };
            match id {
                Ok(id) => ids.push(id),
                Err(error) => {
                    opened.into_iter().for_each(|id| self.remove_listener(id));
                    return Err(error);
                }
            }
            if *fate == Fate::Added {
                opened.extend(ids.last().copied());
            }
        }
        Ok(ids)
    }

    fn open_listener(
        &mut self,
        desired: &Desired,
        spec: &ListenerSpec,
        socket: Socket,
    ) -> io::Result<ListenerId> {
        let plan = ListenerPlan {
            name: spec.name.clone(),
            protocol: spec.listen.protocol,
            settings: spec.settings.clone(),
            tls: None,
            choice: Choice::new([]),
        };
        match socket {
            Socket::Stream(listener) => {
                let keepalive = desired.process.tcp_keepalive;
                if !keepalive.is_zero() {
                    listener.set_keepalive(keepalive);
                }
                self.add_listener(listener, plan)
            }
            Socket::Datagram(listener) => {
                let udp = udp_settings(desired, spec);
                self.add_datagram_listener(listener, plan, udp)
            }
        }
    }

    /// 2: pools, without their members.
    fn apply_pools<'a>(
        &mut self,
        change: &mut Change<'a>,
        mut keys: HashMap<String, Option<StickyKey>>,
    ) {
        let seed = self.seed;
        for (at, (spec, fate)) in
            change.new.pools.iter().zip(&change.diff.pools.wanted).enumerate()
        {
            let seed = seed.wrapping_add(BALANCE_SEED_STEP * at as u64);
            let build = || balance::build(spec.settings.algorithm, seed);
            let key = keys.remove(&spec.name);
            let id = match *fate {
                // The file of its key may have another one by now.
                Fate::Kept(before) => {
                    let id = change.old.pools[before];
                    if let Some(key) = key {
                        self.cx.backends.change_cookie(id, key);
                    }
                    id
                }
                Fate::Added => self.add_pool(PoolPlan {
                    name: spec.name.clone(),
                    balance: build(),
                    settings: spec.settings.clone().into_own(),
                    sticky_key: key.flatten(),
                }),
                Fate::Changed(before) => {
                    let id = change.old.pools[before];
                    let algorithm = change.old.desired.pools[before].settings.algorithm;
                    let other = algorithm != spec.settings.algorithm;
                    let balance = other.then(build);
                    self.cx.backends.change_pool(id, &spec.settings, balance, key);
                    id
                }
            };
            change.pools.push(id);
            change.pool_ids.insert(&spec.name, id);
        }
    }

    /// 3: servers and their seats.
    fn apply_servers<'a>(
        &mut self,
        change: &mut Change<'a>,
        prepared: Vec<PreparedServer>,
    ) -> Vec<ServerId> {
        let before = change.old.wanted();
        let wanted = Servers::new(change.new, change.server_list);
        let mut ids = Vec::new();
        let mut outdated = HashSet::new();
        for ((wanted, fate), prepared) in
            wanted.iter().zip(&change.diff.servers.wanted).zip(prepared)
        {
            let old = fate.before().map(|at| before.at(at));
            let id = match (fate.before(), prepared.plan) {
                (Some(at), None) => change.old.servers[at],
                (Some(at), Some(plan)) => {
                    let id = change.old.servers[at];
                    self.change_server(id, plan, wanted.facts.check);
                    outdated.extend(prepared.is_outdated.then_some(id));
                    note_changed(change, &wanted);
                    id
                }
                (None, Some(plan)) => self.add_server(plan, wanted.facts.check),
                // because: of one that is new everything is prepared.
                (None, None) => continue,
            };
            let rested = self.cx.backends.is_in_maintenance(id);
            self.seat(id, old, &wanted, change);
            self.follow_maintenance(id, rested);
            ids.push(id);
        }
        self.cx.outdate(&outdated);
        for &at in &change.diff.servers.removed {
            let id = change.old.servers[at];
            let connections = connections_of(&self.cx.backends, id);
            for pool in before.at(at).pools() {
                if let Some((name, _)) = change.pool_ids.get_key_value(pool) {
                    let members = members(&mut change.members, name);
                    members.counted.removed += 1;
                    members.connections += connections;
                    members.closes = change.closing.contains(name);
                }
            }
            self.remove_server(id);
        }
        ids
    }

    /// Somebody begins to work on a server, or is done with it.
    fn follow_maintenance(&mut self, id: ServerId, rested: bool) {
        match (rested, self.cx.backends.is_in_maintenance(id)) {
            (false, true) => {
                self.cx.retire_idle(id);
                self.health.pause(id, &self.cx);
            }
            (true, false) => self.cx.backends.want_probe(id),
            _ => {}
        }
    }

    /// The seats of a server as they are wanted.
    fn seat<'a>(
        &mut self,
        id: ServerId,
        old: Option<ServerWanted<'_>>,
        wanted: &ServerWanted<'a>,
        change: &mut Change<'a>,
    ) {
        let now = self.cx.now;
        let backends = &mut self.cx.backends;
        // Looked up: a server may sit in thousands of pools.
        let old_seats: HashMap<&str, SeatPlan> =
            old.iter().flat_map(ServerWanted::seats).collect();
        for (pool, plan) in wanted.seats() {
            let pool_id = change.pool_ids[pool];
            let before = old_seats.get(pool).copied();
            let Some(before) = before.filter(|_| backends.sits_in(id, pool_id)) else {
                let joins =
                    if change.is_new(pool) { Joins::AtOnce } else { Joins::Slowly(now) };
                backends.join(id, pool_id, plan, joins);
                members(&mut change.members, pool).counted.added += 1;
                continue;
            };
            if before == plan {
                continue;
            }
            if before.weight != plan.weight {
                backends.reweigh(id, pool_id, plan.weight, now);
            }
            if before.backup != plan.backup {
                backends.set_backup(id, pool_id, plan.backup);
            }
            if before.admin != plan.admin {
                backends.set_admin(id, pool_id, plan.admin, now);
            }
            members(&mut change.members, pool).counted.changed += 1;
        }
        let kept: HashSet<&str> = wanted.pools().collect();
        let old_pools = old.iter().flat_map(ServerWanted::pools);
        for pool in old_pools.filter(|pool| !kept.contains(pool)) {
            if let Some((name, &pool_id)) = change.pool_ids.get_key_value(pool) {
                backends.leave(id, pool_id);
                let members = members(&mut change.members, name);
                members.counted.removed += 1;
                members.connections += connections_of(backends, id);
                members.closes = change.closing.contains(name);
            }
        }
    }

    /// 4: services.
    fn apply_services(&mut self, change: &mut Change<'_>, files: &ReadFiles) {
        self.cx.guard.begin_change(&change.new.process, self.cx.now);
        for (spec, fate) in change.new.services.iter().zip(&change.diff.services.wanted) {
            let pool = spec.pool.as_deref().and_then(|name| change.pool_ids.get(name).copied());
            let id = match fate.before() {
                Some(at) => change.old.services[at],
                None => self.cx.services.insert(Service::new(
                    &spec.name,
                    spec.settings.clone(),
                    pool,
                )),
            };
            let rules = rules(spec, &change.pool_ids, &files.pages);
            let mirror = spec.mirror.as_ref();
            let mirror = mirror.and_then(|it| change.pool_ids.get(&*it.pool).copied());
            if let Some(service) = self.cx.services.get_mut(id) {
                let lists = files.access.get(&spec.settings.access);
                service.guard.follow_lists(&spec.name, lists, &mut self.cx.guard.book);
                service.guard.follow(&spec.name, &spec.settings, &mut self.cx.guard.book);
                service.pool = pool;
                service.rules = rules;
                service.mirror = mirror;
                service.mirror_share =
                    spec.mirror.as_ref().map_or(WHOLE, |it| it.of_ten_thousand);
                if service.settings != spec.settings {
                    service.settings = spec.settings.clone();
                }
            }
            change.services.push(id);
        }
    }

    /// 5: which services are behind which listener, and what listeners have.
    fn apply_listeners(
        &mut self,
        change: &Change<'_>,
        ids: &[ListenerId],
        store: &TlsStore,
        files: &ReadFiles,
    ) {
        let mut behind: HashMap<&str, Vec<(Match, ServiceId)>> = HashMap::new();
        for (spec, &id) in change.new.services.iter().zip(&change.services) {
            for listener in &spec.listeners {
                let entries = behind.entry(listener).or_default();
                entries.extend(spec.all_matches().map(|it| (it, id)));
            }
        }
        for (spec, &id) in change.new.listeners.iter().zip(ids) {
            let entries = behind.remove(&*spec.name).unwrap_or_default();
            let Some(listener) = self.cx.listeners.get_mut(id) else { continue };
            listener.choose_by(Choice::new(entries));
            listener.rename(&spec.name, spec.listen.protocol);
            let lists = files.access.get(&spec.settings.access);
            listener.guard.follow_lists(&spec.name, lists, &mut self.cx.guard.book);
            listener.guard.follow(&spec.name, &spec.settings, &mut self.cx.guard.book);
            let shows = spec.listen.protocol.is_tls();
            let tls = store.server(&spec.settings.tls).filter(|_| shows);
            listener.tls = tls.cloned();
            if listener.settings != spec.settings {
                listener.settings = spec.settings.clone();
            }
        }
        self.cx.guard.book.end_change();
        for name in self.cx.guard.book.unknown_tries() {
            warn!("guard: no rule is called {name}, so none of that name is only tried");
        }
        for (spec, &id) in change.new.listeners.iter().zip(ids) {
            if spec.listen.protocol.is_udp() {
                self.change_datagram_listener(id, udp_settings(change.new, spec));
            }
        }
        for (spec, &id) in change.new.services.iter().zip(&change.services) {
            let port = self.https_port(change.new, ids, spec);
            if let Some(service) = self.cx.services.get_mut(id) {
                service.redirect_to = port;
            }
        }
        for &at in &change.diff.listeners.removed {
            self.remove_listener(change.old.listeners[at]);
        }
    }

    /// The port of the service's first listener of HTTPS, if it redirects there.
    fn https_port(
        &self,
        desired: &Desired,
        ids: &[ListenerId],
        service: &ServiceSpec,
    ) -> Option<u16> {
        let redirects = service.settings.redirect == Redirect::Https;
        let is_it = |spec: &ListenerSpec| {
            spec.listen.protocol == Protocol::Https && service.listeners.contains(&spec.name)
        };
        let found = desired.listeners.iter().position(|it| redirects && is_it(it))?;
        self.cx.listeners.get(ids[found])?.stats.port.parse().ok()
    }

    /// 6: what nothing leads to any more.
    fn remove_rest(&mut self, change: &Change<'_>) {
        for &at in &change.diff.services.removed {
            self.cx.services.leave(change.old.services[at]);
        }
        for &at in &change.diff.pools.removed {
            self.remove_pool(change.old.pools[at]);
        }
        self.lose_members(change);
    }
}

impl EventLoop {
    /// What waits for the old one is written, or counted as lost with what was lost before.
    fn change_access_log(&mut self, log: Option<AccessLog>) {
        let before = std::mem::replace(&mut self.cx.access_log, log.map(Box::new));
        if let Some(mut before) = before {
            before.finish(self.cx.now);
            if let Some(log) = &mut self.cx.access_log {
                log.follow(&before);
            }
        }
    }

    /// Those that are no member any more, as their pools want it.
    fn lose_members(&mut self, change: &Change<'_>) {
        let old = &change.old.desired;
        let closes = |it: &PoolSpec| it.settings.on_removed == OnRemoved::Close;
        if !old.pools.iter().chain(&change.new.pools).any(closes) {
            return;
        }
        let ids: HashMap<&str, PoolId> = old
            .pools
            .iter()
            .map(|pool| &*pool.name)
            .zip(change.old.pools.iter().copied())
            .collect();
        for (before, &id) in change.old.wanted().iter().zip(&change.old.servers) {
            for pool in before.pools() {
                if let Some(&pool) = ids.get(pool) {
                    self.lose(id, pool);
                }
            }
        }
    }
}

impl Change<'_> {
    fn is_new(&self, pool: &str) -> bool {
        !self.old_pools.contains(pool)
    }
}

/// What holds for flows at a listener: its service says it.
fn udp_settings<'a>(desired: &'a Desired, listener: &ListenerSpec) -> &'a UdpSettings {
    static DEFAULT: UdpSettings = UdpSettings::DEFAULT;
    let mut services = desired.services.iter();
    let found = services.find(|it| it.listeners.contains(&listener.name));
    found.map_or(&DEFAULT, |service| &service.settings.udp)
}

/// The rules of a service, with the pools that are there.
fn rules(
    spec: &ServiceSpec,
    pools: &HashMap<&str, PoolId>,
    pages: &HashMap<String, Arc<Page>>,
) -> Option<Arc<Rules>> {
    let pool = |name: &str| pools.get(name).copied();
    let page = |file: &str| pages.get(file).cloned();
    let ready = |rule: &Rule| {
        let act = rule.action.as_ref().map(|action| match action {
            Action::Pool(name) => Act::Pool(pool(name)),
            Action::Split(shares) => {
                let share = |it: &Share| (pool(&it.pool), it.of_ten_thousand);
                Act::Split(shares.iter().map(share).collect())
            }
            Action::Redirect(to) => Act::Redirect(to.clone()),
            Action::Respond(it) => Act::Respond(it.status, it.file.as_deref().and_then(page)),
        });
        (ReadyRule { when: rule.when.clone(), act }, rule.edit.clone())
    };
    let own = spec.error_pages.iter().filter_map(|(status, file)| Some((*status, page(file)?)));
    Rules::new(spec.rules.iter().map(ready).collect(), own.collect())
}

fn closing(desired: &Desired) -> HashSet<&str> {
    let closes = |it: &&PoolSpec| it.settings.on_removed == OnRemoved::Close;
    desired.pools.iter().filter(closes).map(|pool| &*pool.name).collect()
}

fn connections_of(backends: &Backends, id: ServerId) -> usize {
    usize::try_from(backends.connections(id)).unwrap_or(usize::MAX)
}

fn note_changed<'a>(change: &mut Change<'a>, wanted: &ServerWanted<'a>) {
    for pool in wanted.pools() {
        members(&mut change.members, pool).counted.changed += 1;
    }
}

fn members<'m, 'a>(
    all: &'m mut HashMap<&'a str, PoolChange>,
    pool: &'a str,
) -> &'m mut PoolChange {
    let new = || PoolChange { name: pool.to_owned(), ..PoolChange::default() };
    all.entry(pool).or_insert_with(new)
}

fn receipt(change: &Change<'_>, connections: usize) -> Receipt {
    let mut members: Vec<PoolChange> = change.members.values().cloned().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Receipt { connections, members, ..Receipt::of_diff(change.diff) }
}

/// In which generation each backend was changed last.
fn revisions(
    old: &Directory,
    new: &Desired,
    generation: u64,
) -> HashMap<String, HashMap<String, u64>> {
    let mut revisions = old.revisions.clone();
    if generation == 1 {
        return revisions;
    }
    let before: HashMap<&str, &PoolSpec> =
        old.desired.pools.iter().map(|it| (&*it.name, it)).collect();
    for pool in &new.pools {
        let old = before.get(&*pool.name).map_or(&[][..], |it| &it.backends);
        if old == pool.backends {
            continue;
        }
        let old: HashMap<&str, &Shared<BackendSpec>> =
            old.iter().map(|it| (&*it.name, it)).collect();
        let all = revisions.entry(pool.name.clone()).or_default();
        for spec in pool.backends.iter().filter(|it| old.get(&*it.name) != Some(it)) {
            all.insert(spec.name.clone(), generation);
        }
    }
    revisions
}

/// By which the generations of this process are told from those of another.
fn epoch() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |it| it.as_secs())
}
