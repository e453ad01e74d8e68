//! What survives a restart: when it is saved, and how a start goes on from it.
//!
//! ```text
//!   change 1 s, flip 10 s, counters 60 s --timer--> Saving, in pieces: open, write, rename
//! ```

use std::collections::HashSet;
use std::io;
use std::time::{Instant, SystemTime};

use log::{info, warn};

use crate::backends::ServerState;
use crate::config::{Cidr, io_words};
use crate::control::state::{HealthHint, SavedCounts, Saving, State, ban_json, name_json};
use crate::guard::bans::Bans;
use crate::limits::{
    BANS_SAVED_PER_STEP, NAMES_SAVED_PER_STEP, STATE_AFTER_CHANGE, STATE_AFTER_FLIP,
    STATE_NAMES_BYTES_MAX, STATE_PAUSE, STEP_TIME,
};
use crate::resolver::Resolver;
use crate::stats::LogThrottle;

use super::EventLoop;
use super::stopped::Run;

/// What is being saved, and when that is next.
pub(super) struct Keeping {
    path: Option<String>,
    saving: Option<Box<Saving>>,
    /// The bans that are to be saved with the rest, as far as they are written.
    gathering: Option<Gathering>,
    /// When the timer fires.
    due: Option<Instant>,
    /// How often bans had changed.
    bans_noticed: u64,
    /// The generation that was noticed last, and whether the process was drained then.
    noticed: (u64, bool),
    /// What the process had counted when it was saved last.
    totals: Vec<(String, u64)>,
    /// Something beside the counters is to be saved.
    is_changed: bool,
    warnings: LogThrottle,
    /// What was read of backends that are not there yet.
    unplaced: Unplaced,
    /// Backends of which the other process knew where they are, by pool; members of sets by theirs.
    known_before: HashSet<(String, String)>,
    /// This run, apart from those before.
    pub run: Run,
}

/// What another process saved of backends.
#[derive(Default)]
struct Unplaced {
    counts: Vec<SavedCounts>,
    health: Vec<HealthHint>,
}

/// Those that were not down are somewhere.
fn known_before(counts: &[SavedCounts], health: &[HealthHint]) -> HashSet<(String, String)> {
    let down = health.iter().filter(|it| !it.is_up).map(|it| (&*it.pool, &*it.backend));
    let down: HashSet<(&str, &str)> = down.collect();
    let is_up = |it: &&SavedCounts| !down.contains(&(&*it.pool, &*it.backend));
    let name = |it: &SavedCounts| {
        let set = it.backend.rsplit_once('/').map_or(&*it.backend, |(set, _)| set);
        (it.pool.clone(), set.to_owned())
    };
    counts.iter().filter(is_up).map(name).collect()
}

impl Keeping {
    pub fn new(path: Option<String>, now: Instant) -> Keeping {
        Keeping {
            path,
            saving: None,
            gathering: None,
            due: None,
            bans_noticed: 0,
            noticed: Default::default(),
            totals: Vec::new(),
            is_changed: false,
            warnings: LogThrottle::default(),
            unplaced: Unplaced::default(),
            known_before: HashSet::new(),
            run: Run::new(now),
        }
    }

    /// Another process does it from now on.
    pub fn give_up(&mut self) {
        self.path = None;
        self.saving = None;
        self.gathering = None;
    }

    /// Whether another process knew where this backend, or a member of this set, is.
    pub fn was_known(&self, pool: &str, backend: &str) -> bool {
        self.known_before.contains(&(pool.to_owned(), backend.to_owned()))
    }

    /// Whether a state is being written.
    pub fn is_saving(&self) -> bool {
        self.saving.is_some() || self.gathering.is_some()
    }
}

/// Names and bans, written as lists, some in each step.
#[derive(Default)]
pub(super) struct Gathering {
    pub names: String,
    pub bans: String,
    /// Names at places below this one are written, or all of them.
    place: usize,
    has_all_names: bool,
    /// The last ban that is written.
    last: Option<Cidr>,
}

impl Gathering {
    /// Some more. Says whether there may be others.
    pub fn step(&mut self, resolver: &Resolver, bans: &Bans) -> bool {
        self.gather_names(resolver) || self.gather_bans(bans)
    }

    fn gather_names(&mut self, resolver: &Resolver) -> bool {
        if self.has_all_names {
            return false;
        }
        let mut addresses = 0;
        let now = Instant::now();
        let wall = SystemTime::now();
        while addresses < NAMES_SAVED_PER_STEP {
            if self.place >= resolver.places() {
                end_list(&mut self.names);
                self.has_all_names = true;
                return false;
            }
            let name = resolver.at(self.place);
            self.place += 1;
            let Some((name, good)) = name.and_then(|it| Some((it, it.last_good()?))) else {
                continue;
            };
            addresses += name.endpoints().len();
            let at = wall.checked_sub(now.saturating_duration_since(good.at));
            let at = at.unwrap_or(SystemTime::UNIX_EPOCH);
            let row = name_json(name.wanted(), at, &good.name, name.endpoints());
            if self.names.len() + row.len() < STATE_NAMES_BYTES_MAX {
                begin_row(&mut self.names, &row);
            }
        }
        true
    }

    fn gather_bans(&mut self, bans: &Bans) -> bool {
        for _ in 0..BANS_SAVED_PER_STEP {
            let Some((network, ban)) = bans.behind(self.last).next() else {
                end_list(&mut self.bans);
                return false;
            };
            self.last = Some(network);
            begin_row(&mut self.bans, &ban_json(network, ban).to_string());
        }
        true
    }
}

fn begin_row(list: &mut String, row: &str) {
    list.push(if list.is_empty() { '[' } else { ',' });
    list.push_str(row);
}

fn end_list(list: &mut String) {
    list.push_str(if list.is_empty() { "[]" } else { "]" });
}

impl EventLoop {
    /// Go on from what another process saved. What is laid over the configuration is there already.
    pub fn restore(&mut self, state: State) {
        let State {
            generation,
            is_drained,
            health,
            counts,
            totals,
            sums,
            registrations,
            names,
            bans,
            ..
        } = state;
        self.directory.generation = self.directory.generation.saturating_add(generation);
        self.cx.stats.add_totals(&totals);
        self.add_sums(&sums);
        self.keeping.run.go_on_from(&self.cx.stats);
        if is_drained {
            self.drain(true);
        }
        self.recall_names(&names);
        self.keeping.known_before = known_before(&counts, &health);
        self.keeping.unplaced = Unplaced { counts, health };
        self.place_saved();
        self.restore_registrations(&registrations);
        self.restore_bans(&bans);
        let told = self.directory.overlay.iter().count();
        if told > 0 {
            info!("what was told of backends before the restart holds: {told}");
        }
    }

    /// What was saved of backends goes to those that are there. Members of sets come once their
    /// names are known.
    pub(super) fn place_saved(&mut self) {
        let Unplaced { counts, health } = std::mem::take(&mut self.keeping.unplaced);
        let mut known = HashSet::new();
        for saved in counts {
            match self.server_named(&saved.pool, &saved.backend) {
                // One server may be a backend of many pools.
                Some(id) if known.insert(id) => self.cx.backends.add_counts(id, saved.counts),
                Some(_) => {}
                None => self.keeping.unplaced.counts.push(saved),
            }
        }
        for hint in health.into_iter().filter(|it| !it.is_up) {
            match self.server_named(&hint.pool, &hint.backend) {
                Some(id) => self.cx.backends.start_down(id, self.cx.now),
                None => self.keeping.unplaced.health.push(hint),
            }
        }
    }

    /// All names were looked up: what is not there now is gone.
    pub(super) fn place_saved_at_last(&mut self) {
        self.place_saved();
        self.keeping.unplaced = Unplaced::default();
        self.forget_names();
    }

    /// Look whether there is something to be saved, and go on with what is being saved.
    pub(super) fn keep_state(&mut self) {
        if self.keeping.path.is_none() || self.waits_for_place() {
            return;
        }
        let noticed = (self.directory.generation, self.admin.is_drained);
        if std::mem::replace(&mut self.keeping.noticed, noticed) != noticed {
            self.keeping.is_changed = true;
            self.save_by(self.cx.now + STATE_AFTER_CHANGE);
        }
        let bans = self.cx.guard.banning.changes;
        if std::mem::replace(&mut self.keeping.bans_noticed, bans) != bans {
            self.note_flips();
        }
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        while self.keeping.is_saving() && share.allows(&mut self.pace) {
            self.save_some();
            share.note_large();
        }
        if self.keeping.due.is_none() {
            self.save_by(self.cx.now + STATE_PAUSE);
        }
    }

    /// Somebody told of a ban.
    pub(super) fn note_told_ban(&mut self) {
        if self.keeping.path.is_some() {
            self.keeping.is_changed = true;
            self.save_by(self.cx.now + STATE_AFTER_CHANGE);
        }
    }

    /// Somebody went up or down, or was banned for strikes, or a name leads elsewhere.
    pub(super) fn note_flips(&mut self) {
        if self.keeping.path.is_some() {
            self.keeping.is_changed = true;
            self.save_by(self.cx.now + STATE_AFTER_FLIP);
        }
    }

    fn save_by(&mut self, at: Instant) {
        if self.keeping.due.is_none_or(|due| at < due) {
            self.keeping.due = Some(at);
            self.cx.timers.arm(self.chores.state, at);
        }
    }

    /// Its time has come. One that is under way goes first.
    pub(super) fn begin_to_save(&mut self) {
        self.keeping.due = None;
        if self.keeping.is_saving() {
            return self.save_by(self.cx.now + STATE_AFTER_CHANGE);
        }
        if self.keeping.path.is_none() {
            return;
        }
        let totals = self.cx.stats.totals();
        if !self.keeping.is_changed && totals == self.keeping.totals {
            return;
        }
        self.keeping.gathering = Some(Gathering::default());
        self.keeping.is_changed = false;
        self.keeping.totals = totals;
    }

    fn save_some(&mut self) {
        if let Some(mut gathering) = self.keeping.gathering.take() {
            if gathering.step(&self.resolver, &self.cx.guard.banning.bans) {
                self.keeping.gathering = Some(gathering);
                return;
            }
            let Gathering { names, bans, .. } = gathering;
            let state = State { names, bans, ..self.state_now() };
            let path = self.keeping.path.as_deref().unwrap_or_default();
            let saving = Saving::begin(path, state.into_body());
            self.keeping.saving = Some(Box::new(saving));
            return;
        }
        let Some(mut saving) = self.keeping.saving.take() else { return };
        if saving.step() {
            self.keeping.saving = Some(saving);
        } else {
            self.end_saving(saving.outcome);
        }
    }

    fn end_saving(&mut self, outcome: io::Result<()>) {
        let Err(error) = outcome else { return };
        self.cx.stats.state_failures += 1;
        self.keeping.is_changed = true;
        if self.keeping.warnings.allows(self.cx.now, STATE_PAUSE) {
            let path = self.keeping.path.as_deref().unwrap_or_default();
            let why = io_words(&error);
            warn!("cannot save the state to {path}, the one before stays: {why}");
        }
    }

    /// It is the end: all of it in one go.
    pub(super) fn save_at_once(&mut self) {
        if self.is_handed_over() {
            return;
        }
        while self.keeping.is_saving() {
            self.save_some();
        }
        self.keeping.is_changed = true;
        self.begin_to_save();
        while self.keeping.is_saving() {
            self.save_some();
        }
    }

    pub(super) fn state_now(&mut self) -> State {
        let sums = self.sums_now();
        let directory = &self.directory;
        let mut health = Vec::new();
        let mut counts = Vec::new();
        let pools = (0..directory.pools.len()).filter_map(|at| directory.pool_at(at));
        for pool in pools {
            let all = 0..pool.spec.backends.len();
            for it in all.filter_map(|at| directory.backend_at(pool, at)) {
                let Some(server) = self.cx.backends.get(it.server) else { continue };
                let place = || (pool.spec.name.clone(), it.spec.name.clone());
                let is_up = match server.state {
                    ServerState::Up(_) => Some(true),
                    ServerState::Down(_) => Some(false),
                    ServerState::Unknown => None,
                };
                if let Some(is_up) = is_up {
                    let (pool, backend) = place();
                    health.push(HealthHint { pool, backend, is_up });
                }
                let (pool, backend) = place();
                counts.push(SavedCounts { pool, backend, counts: server.counts });
            }
        }
        State {
            generation: directory.generation,
            is_drained: self.admin.is_drained,
            overlay: directory.overlay.clone(),
            health,
            counts,
            totals: self.cx.stats.totals(),
            sums,
            registrations: self.saved_registrations(),
            names: String::new(),
            bans: String::new(),
        }
    }
}
