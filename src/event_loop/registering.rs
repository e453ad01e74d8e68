//! Servers that register themselves: heartbeats, goodbyes, and what silence brings.

use std::net::SocketAddr;
use std::time::Duration;

use log::{info, warn};
use serde_json::{Value, json};

use crate::admin::change::{self, Change, Done, Edit, Ends, Only, What};
use crate::admin::place::Place;
use crate::admin::problem::{Kind, Problem};
use crate::admin::registry::datagram;
use crate::admin::registry::{Heartbeat, SavedRegistration, Stale, Wanted};
use crate::config::{OnLapse, OverlaySource, Told, quoted};
use crate::control::PreparedInlet;
use crate::control::state::{spec_json, spec_of};
use crate::event::{Key, Owner};
use crate::limits::{
    HEARTBEAT_BYTES_MAX, HEARTBEAT_WARNINGS, HEARTBEATS_PER_TURN, REGISTRATION_LOOK, TTL_MAX,
    TTL_MIN,
};

use super::EventLoop;
use super::changing::Asker;

/// Who tells what follows from silence, in the audit.
const REGISTRY: &str = "the registry";

impl EventLoop {
    /// A server says that it is there. Most heartbeats change nothing, and are answered at once.
    pub(super) fn hear_heartbeat(&mut self, key: Key, heartbeat: Heartbeat) {
        match self.take_heartbeat(heartbeat) {
            Ok(Some(change)) => self.begin_change(Asker::Admin(key), change),
            Ok(None) => self.answer_admin(key, Ok(Done::Same)),
            Err(problem) => self.answer_admin(key, Err(problem)),
        }
    }

    /// The same in datagrams, which nobody is answered; some in a turn.
    pub(super) fn hear_datagrams(&mut self) {
        for _ in 0..HEARTBEATS_PER_TURN {
            let Some(inlet) = &mut self.admin.heartbeats else { return };
            if !inlet.is_ready() {
                return;
            }
            // One byte more: what is longer is known by it.
            let mut buffer = [0; HEARTBEAT_BYTES_MAX + 1];
            let Some((bytes, from)) = inlet.receive(&mut buffer) else { continue };
            let tokens = self.directory.files.tokens.as_ref();
            let read = match (bytes.len(), tokens) {
                (length, _) if length > HEARTBEAT_BYTES_MAX => Err("it is too long"),
                (_, Some(tokens)) => datagram::read(bytes, tokens),
                (_, None) => Err("nobody has a key"),
            };
            self.cx.stats.heartbeats += 1;
            let taken = match read {
                Ok(heartbeat) => {
                    self.take_heartbeat(heartbeat).map_err(|it| it.detail().to_owned())
                }
                Err(why) => Err(why.to_owned()),
            };
            match taken {
                Ok(Some(change)) => self.begin_change(Asker::Registry, change),
                Ok(None) => {}
                Err(why) => self.refuse_datagram(&why, from),
            }
        }
    }

    fn refuse_datagram(&mut self, why: &str, from: SocketAddr) {
        self.cx.stats.heartbeats_refused += 1;
        if self.admin.heartbeat_warnings.allows(self.cx.now, HEARTBEAT_WARNINGS) {
            warn!("a heartbeat from {from} is not heard: {why}");
        }
    }

    /// What a server wants, or its silence brings, cannot be had.
    pub(super) fn complain_of_registered(&mut self, why: &str) {
        if self.admin.heartbeat_warnings.allows(self.cx.now, HEARTBEAT_WARNINGS) {
            warn!("a registered server cannot be changed: {why}");
        }
    }

    /// Where heartbeats come in datagrams from now on.
    pub(super) fn open_inlet(&mut self, prepared: Option<PreparedInlet>) {
        let is_kept = prepared.as_ref().is_some_and(|it| it.socket.is_none());
        if let Some(mut old) = self.admin.heartbeats.take_if(|_| !is_kept) {
            old.deregister(&self.cx.registry);
        }
        let Some(mut inlet) = prepared.and_then(|it| it.socket) else { return };
        let at = inlet.address();
        match inlet.register(&self.cx.registry, Owner::Heartbeats) {
            Ok(()) => info!("heartbeats at udp://{at}"),
            Err(error) => warn!("cannot hear heartbeats at udp://{at}: {error}"),
        }
        self.admin.heartbeats = Some(inlet);
    }

    /// A server says that it is there: what is to change, if anything is.
    fn take_heartbeat(&mut self, heartbeat: Heartbeat) -> Result<Option<Change>, Problem> {
        let place = heartbeat.place.clone();
        self.may_register(&place)?;
        let by = heartbeat.by.clone();
        let load = heartbeat.report.load;
        let heard = self.admin.registry.hear(heartbeat, self.cx.now);
        let spec = heard.map_err(|stale| problem_of(&stale))?;
        self.arm_registry();
        let pool = self.directory.pool(&place.pool);
        let found = pool.and_then(|pool| self.directory.backend(pool, &place.name));
        if let Some((load, backend)) = load.zip(found) {
            self.cx.backends.report_load(backend.server, load, self.cx.now);
        }
        if found.is_some_and(|it| *it.spec == spec) {
            return Ok(None);
        }
        let what = What::Put(spec, OverlaySource::Registered);
        Ok(Some(Change::one(Edit { place, what, only: Only::Always }, &by)))
    }

    /// A server that registered itself goes: nothing new, and its connections end by themselves.
    pub(super) fn hear_goodbye(
        &mut self,
        key: Key,
        place: Place,
        signed: Option<(String, u64)>,
    ) {
        if let Some((by, sequence)) = signed
            && let Err(stale) = self.admin.registry.pass(by, &place, sequence)
        {
            return self.answer_admin(key, Err(problem_of(&stale)));
        }
        if !self.admin.registry.goodbye(&place) {
            return self.answer_admin(key, Ok(Done::Same));
        }
        let what = What::Remove(Ends::Themselves);
        let change = Change::one(Edit { place, what, only: Only::Always }, REGISTRY);
        self.begin_change(Asker::Admin(key), change);
    }

    fn may_register(&self, place: &Place) -> Result<(), Problem> {
        let Place { pool, name } = place;
        let entry = self.directory.pool(pool);
        let entry = entry.ok_or_else(|| change::no_pool(pool, &self.directory))?;
        if !entry.spec.settings.register {
            let detail = format!("no server may register itself in the pool {}", quoted(pool));
            return Err(Problem::new(Kind::NOT_FOUND, detail));
        }
        change::may_be_put(place, &self.directory)?;
        let base = self.directory.base.pools.iter().find(|it| it.name == *pool);
        let is_configured =
            base.is_some_and(|it| it.backends.iter().any(|it| it.name == *name));
        let told = self.directory.overlay.told(pool, name);
        let is_put = matches!(told, Some(Told::Added { source: OverlaySource::Api, .. }));
        if is_configured || is_put {
            let how = if is_put { "was put there by the API" } else { "is configured" };
            let detail = format!("a backend {} {how}: register by another name", quoted(name));
            return Err(Problem::new(Kind::CONFLICT, detail));
        }
        Ok(())
    }

    /// The time of some is over.
    pub(super) fn lapse_registrations(&mut self) {
        let now = self.cx.now;
        let directory = &self.directory;
        let backends = &self.cx.backends;
        let policy = |pool: &str| {
            directory.pool(pool).map_or(OnLapse::Keep, |it| it.spec.settings.on_lapse)
        };
        let idle = |place: &Place| {
            let pool = directory.pool(&place.pool);
            let found = pool.and_then(|pool| directory.backend(pool, &place.name));
            found.is_none_or(|it| backends.connections(it.server) == 0)
        };
        self.admin.registry.forget(|place| directory.pool(&place.pool).is_none());
        let lapses = self.admin.registry.lapse(now, policy, idle);
        lapses.lines.iter().for_each(|line| warn!("{line}"));
        let edit = |wanted: Wanted| match wanted {
            Wanted::Put(place, spec) => {
                let what = What::Put(spec, OverlaySource::Registered);
                Edit { place, what, only: Only::IfThere }
            }
            Wanted::Remove(place) => {
                let what = What::Remove(Ends::Themselves);
                Edit { place, what, only: Only::Always }
            }
        };
        // Each by itself: one that is gone meanwhile keeps no other from being changed.
        for wanted in lapses.wanted {
            let change = Change::one(edit(wanted), REGISTRY);
            self.begin_change(Asker::Registry, change);
        }
        self.arm_registry();
    }

    /// What a later process has to know of them.
    pub(super) fn saved_registrations(&self) -> Value {
        let registry = &self.admin.registry;
        let entries = registry.saved();
        let entries = entries.iter().map(|it| {
            json!({
                "pool": it.place.pool,
                "ttl_ms": it.ttl.as_millis() as u64,
                "report": it.report,
                "backend": spec_json(&it.spec),
            })
        });
        let entries: Vec<Value> = entries.collect();
        let sequences = registry.sequences().map(|(key, place, seen)| {
            json!({"key": key, "pool": place.pool, "backend": place.name, "seen": seen})
        });
        json!({"entries": entries, "sequences": sequences.collect::<Vec<_>>()})
    }

    /// Those of a process before: each has its whole time to be heard, and gets no work until then.
    pub(super) fn restore_registrations(&mut self, saved: &Value) {
        let list = |name: &str| saved[name].as_array().cloned().unwrap_or_default();
        let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
        for it in list("sequences") {
            let place = Place::new(&text(&it, "pool"), &text(&it, "backend"));
            let seen = it["seen"].as_u64().unwrap_or(0);
            self.admin.registry.restore_sequence(&text(&it, "key"), place, seen);
        }
        for it in list("entries") {
            let Ok(spec) = spec_of(&it["backend"]) else { continue };
            let place = Place::new(&text(&it, "pool"), &spec.name);
            let told = self.directory.overlay.told(&place.pool, &place.name);
            let registered = OverlaySource::Registered;
            if !matches!(told, Some(Told::Added { source, .. }) if *source == registered) {
                continue;
            }
            let ttl = Duration::from_millis(it["ttl_ms"].as_u64().unwrap_or(0));
            let ttl = ttl.clamp(TTL_MIN, TTL_MAX);
            let saved = SavedRegistration {
                place: place.clone(),
                spec,
                ttl,
                report: text(&it, "report"),
            };
            let wanted = self.admin.registry.restore(saved, self.cx.now);
            let what = What::Put(wanted, registered);
            let change = Change::one(Edit { place, what, only: Only::IfThere }, REGISTRY);
            self.begin_change(Asker::Registry, change);
        }
        self.arm_registry();
    }

    /// Not more often than twice a second, whatever is due.
    fn arm_registry(&mut self) {
        if let Some(at) = self.admin.registry.next_at() {
            let soon = self.cx.now + REGISTRATION_LOOK;
            self.cx.timers.arm(self.chores.registrations, at.max(soon));
        }
    }
}

fn problem_of(Stale::Sequence(seen): &Stale) -> Problem {
    let detail = format!("a later one was heard: the sequence has to pass {seen}");
    Problem::new(Kind::CONFLICT, detail)
}
