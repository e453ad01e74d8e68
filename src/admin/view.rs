//! What the loop lends to whoever answers: everything, to be read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::config::{Desired, PoolSpec, duration_text, time_text};
use crate::context::Context;
use crate::control::Directory;
use crate::event::{ServerId, Slots};
use crate::relay::Pair;
use crate::relay::udp::Udp;
use crate::resolver::Resolver;

use super::events::Events;
use super::haproxy::certificates::Shelf;
use super::haproxy::ids::Ids;
use super::live::Live;
use super::place::Place;
use super::recorder::Recorder;
use super::registry::Registry;
use super::users::connections_of;

/// What is there now.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The numbers, and what they are of.
    pub cx: &'a Context,
    /// The names.
    pub directory: &'a Directory,
    /// Clients, each with what it has of a backend.
    pub pairs: &'a Slots<Pair>,
    /// Flows of datagrams.
    pub udp: &'a Udp,
    /// What happened.
    pub events: &'a Events,
    /// Names that are looked up.
    pub resolver: &'a Resolver,
    /// Servers that registered themselves.
    pub registry: &'a Registry,
    /// Backends that were told to go and have connections yet.
    pub leaving: &'a [Leaving],
    /// What the process is up to.
    pub state: ProcessState,
    /// Writes a configuration as the file has it.
    pub print: fn(&Desired) -> String,
    /// Writes the backends of a pool in the same way.
    pub print_backends: fn(&PoolSpec) -> String,
    /// Numbers by which HAProxy's tools know things.
    pub ids: &'a Ids,
    /// Certificates that are told and not shown yet.
    pub shelf: &'a Shelf,
    /// Services whose listeners let nobody in.
    pub disabled: &'a BTreeSet<String>,
    /// What was, if it is recorded.
    pub recorder: Option<&'a Recorder>,
    /// What is, for those who watch.
    pub live: &'a Live,
    /// How the last reload went, if there was one.
    pub reloaded: Option<Reloaded>,
    /// The clock of the wall.
    pub wall: SystemTime,
}

/// How a reload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloaded {
    /// It did what was asked.
    pub ok: bool,
    /// When it was over.
    pub at: SystemTime,
    /// When one last did what was asked; `None` if none did since the start.
    pub succeeded: Option<SystemTime>,
}

/// A backend that was told to go and has connections yet.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// Which one.
    pub place: Place,
    /// The server that it is.
    pub server: ServerId,
    /// When it was told.
    pub since: Instant,
}

/// What the process is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// Clients are not let in yet: names are looked up, or another process serves.
    Starting,
    /// It serves, and says so.
    Serving,
    /// It serves, and tells whoever asks to send nobody here.
    Drained,
    /// It stops: no new clients.
    Stopping,
}

impl ProcessState {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            ProcessState::Starting => "starting",
            ProcessState::Serving => "serving",
            ProcessState::Drained => "drained",
            ProcessState::Stopping => "stopping",
        }
    }
}

impl View<'_> {
    /// A moment of this process as others write it: RFC 3339, UTC, in seconds.
    pub fn time(&self, at: Instant) -> String {
        time_text(self.wall - self.cx.now.saturating_duration_since(at))
    }

    /// How far a backend is that was told to go; nothing if it is gone, or was never there.
    pub fn leaving(&self, pool: &str, name: &str) -> Option<Value> {
        let is_it = |it: &&Leaving| it.place.pool == pool && it.place.name == name;
        let id = self.directory.pool(pool).map(|it| it.id);
        let left = |it: &Leaving| connections_of(it.server, id, self.cx, self.pairs, self.udp);
        let all = || self.leaving.iter().filter(is_it).filter(|it| left(it) > 0);
        let last = all().next_back()?;
        let active: u64 = all().map(left).sum();
        let oldest = all().filter_map(|it| self.cx.oldest_connection(it.server)).min();
        Some(json!({
            "name": name,
            "pool": pool,
            "state": "leaving",
            "active": active,
            "oldest_connection": oldest.map(|at| duration_text(whole_seconds(self.ago(at)))),
            "since": self.time(last.since),
        }))
    }

    /// How long ago that was.
    pub fn ago(&self, at: Instant) -> Duration {
        self.cx.now.saturating_duration_since(at)
    }
}

/// Nobody reads its milliseconds.
pub fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}
