//! What was told while it runs, beside what flags or the file want: the base.
//!
//! ```text
//!   base  --over--+--> Desired, which runs
//!   Overlay ------+        \--> notes: what of the overlay does not hold any more
//! ```
//!
//! Beside each value that was told stands the one that was configured then. Where a later base has
//! another one there, somebody edited it meanwhile: the base wins, and a note says so. HAProxy's
//! server-state file keeps the told value alone, and brings it back over the edit in silence.
//!
//! Pure. The API, HAProxy's words and registrations edit it, `control` lays it over.

mod members;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use super::{AdminState, BackendSpec, Desired, PoolSpec, Shared, Target};
use crate::limits::BACKENDS_MAX;

pub use members::Member;
pub use rows::OverrideRow;

/// All that was told, by pool and backend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlay {
    pools: BTreeMap<String, BTreeMap<String, Shared<Told>>>,
}

/// What was told of a backend.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It is there, though the base has it not.
    Added {
        /// As it was told.
        spec: Shared<BackendSpec>,
        /// How it came.
        source: OverlaySource,
        /// Who told it.
        mark: Mark,
    },
    /// Some of what it has is other than in the base.
    Changed {
        /// As the base has it.
        configured: Shared<BackendSpec>,
        /// With what was told.
        told: Shared<BackendSpec>,
        /// What that is.
        marks: BTreeMap<Member, Mark>,
    },
    /// It is not there, though the base has it.
    Removed {
        /// As the base has it.
        configured: Shared<BackendSpec>,
        /// Who told it.
        mark: Mark,
    },
}

/// How a backend came that the base has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlaySource {
    /// Somebody put it there.
    Api,
    /// It registered itself.
    Registered,
}

/// Who told something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// In the words of the audit log.
    pub by: String,
    /// To the second.
    pub at: SystemTime,
}

/// Some of what a backend has; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Its share of the traffic.
    pub weight: Option<u32>,
    /// Whether it is to have work.
    pub admin: Option<AdminState>,
    /// Connections at most, or as many as come.
    pub max_connections: Option<Option<u32>>,
    /// Whether it waits for the others to be gone.
    pub backup: Option<bool>,
    /// Where it is.
    pub address: Option<Target>,
    /// After this time its connections are closed; not kept here.
    pub deadline: Option<Duration>,
}

/// Why something cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untold {
    /// No pool has this name.
    NoPool,
    /// No backend of the pool has it.
    NoBackend,
    /// There would be too many.
    TooMany,
}

/// A base with an overlay over it.
#[derive(Debug)]
pub struct Laid {
    /// What is to run.
    pub desired: Desired,
    /// What of the overlay holds.
    pub overlay: Overlay,
    /// Lines about what does not.
    pub notes: Vec<String>,
}

impl Overlay {
    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// What was told of a backend.
    pub fn told(&self, pool: &str, name: &str) -> Option<&Told> {
        self.pools.get(pool)?.get(name).map(|it| &**it)
    }

    /// All that was told, by the names of pools and backends.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Told)> {
        self.pools.iter().flat_map(|(pool, all)| {
            all.iter().map(move |(name, told)| (pool.as_str(), name.as_str(), &**told))
        })
    }

    /// The same behind this pool and backend, or from the first on.
    pub fn behind<'a>(
        &'a self,
        last: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Told)> {
        let from = last.map_or("", |(pool, _)| pool);
        let pools = self.pools.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        pools.flat_map(move |(pool, all)| {
            let from = match last {
                Some((last, name)) if last == pool => Bound::Excluded(name),
                _ => Bound::Unbounded,
            };
            let all = all.range::<str, _>((from, Bound::Unbounded));
            all.map(move |(name, told)| (pool.as_str(), name.as_str(), &**told))
        })
    }

    /// Of which backends something was told.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(pool, name, _)| (pool, name))
    }

    /// It was told before: as it is read from a state file.
    pub fn insert(&mut self, pool: &str, name: &str, told: impl Into<Shared<Told>>) {
        // Looked up first: a name is copied only for a pool that is new here.
        match self.pools.get_mut(pool) {
            Some(all) => drop(all.insert(name.to_owned(), told.into())),
            None => {
                let all = BTreeMap::from([(name.to_owned(), told.into())]);
                self.pools.insert(pool.to_owned(), all);
            }
        }
    }

    /// This backend is to be there, like this. The same twice is one.
    pub fn put(
        &mut self,
        base: &Desired,
        pool: &str,
        spec: BackendSpec,
        source: OverlaySource,
        mark: Mark,
    ) -> Result<(), Untold> {
        let configured = self.configured(base, pool, &spec.name)?;
        let before = self.told(pool, &spec.name);
        let told = match (configured, before) {
            (Some(configured), before) => changed(configured, spec.into(), before, &mark),
            (None, Some(Told::Added { spec: old, source: old_source, .. }))
                if **old == spec && *old_source == source =>
            {
                return Ok(());
            }
            (None, before) => {
                let is_new = before.is_none();
                if is_new && self.count(base, pool) >= BACKENDS_MAX {
                    return Err(Untold::TooMany);
                }
                Some(Told::Added { spec: spec.into(), source, mark })
            }
        };
        let name = match &told {
            Some(Told::Added { spec, .. }) => spec.name.clone(),
            Some(Told::Changed { told, .. }) => told.name.clone(),
            Some(Told::Removed { configured, .. }) => configured.name.clone(),
            None => configured.map(|it| it.name.clone()).unwrap_or_default(),
        };
        self.set(pool, &name, told);
        Ok(())
    }

    /// Some of what a backend has is to be other.
    pub fn patch(
        &mut self,
        base: &Desired,
        pool: &str,
        name: &str,
        patch: &Patch,
        mark: Mark,
    ) -> Result<(), Untold> {
        let configured = self.configured(base, pool, name)?;
        let told = match (self.told(pool, name), configured) {
            (Some(Told::Added { spec, source, mark: old }), None) => {
                let mut new = spec.clone();
                patch.apply(&mut new);
                let mark = if new == *spec { old.clone() } else { mark };
                Some(Told::Added { spec: new, source: *source, mark })
            }
            (Some(Told::Removed { .. }), _) | (_, None) => return Err(Untold::NoBackend),
            (before, Some(configured)) => {
                let mut new = match before {
                    Some(Told::Changed { told, .. }) => told.clone(),
                    _ => configured.clone(),
                };
                patch.apply(&mut new);
                changed(configured, new, before, &mark)
            }
        };
        self.set(pool, name, told);
        Ok(())
    }

    /// A backend is to go. Says whether it was there.
    pub fn remove(
        &mut self,
        base: &Desired,
        pool: &str,
        name: &str,
        mark: Mark,
    ) -> Result<bool, Untold> {
        let configured = self.configured(base, pool, name)?;
        let before = self.told(pool, name);
        let was_there = match before {
            Some(Told::Removed { .. }) => return Ok(false),
            Some(_) => true,
            None => configured.is_some(),
        };
        let told = configured.map(|it| Told::Removed { configured: it.clone(), mark });
        self.set(pool, name, told);
        Ok(was_there)
    }

    /// What was told of a backend is given up. Says whether anything was.
    pub fn clear(&mut self, pool: &str, name: &str) -> bool {
        let had = self.told(pool, name).is_some();
        self.set(pool, name, None);
        had
    }

    /// Lay it over a base.
    pub fn over(&self, base: &Desired) -> Laid {
        let mut laid =
            Laid { desired: base.clone(), overlay: Overlay::default(), notes: Vec::new() };
        for (name, told) in &self.pools {
            let found = laid.desired.pools.iter_mut().find(|it| it.name == *name);
            match found {
                Some(pool) => over_pool(pool, told, &mut laid.overlay, &mut laid.notes),
                None => laid.notes.push(format!(
                    "pool {name} is not configured any more: what was told of its backends is \
                     dropped"
                )),
            }
        }
        laid
    }

    /// What the base says of a backend.
    fn configured<'a>(
        &self,
        base: &'a Desired,
        pool: &str,
        name: &str,
    ) -> Result<Option<&'a Shared<BackendSpec>>, Untold> {
        let pool = base.pools.iter().find(|it| it.name == pool).ok_or(Untold::NoPool)?;
        Ok(pool.backends.iter().find(|it| it.name == name))
    }

    fn count(&self, base: &Desired, pool: &str) -> usize {
        let configured = base.pools.iter().find(|it| it.name == pool);
        let mut count = configured.map_or(0, |it| it.backends.len());
        for told in self.pools.get(pool).into_iter().flat_map(BTreeMap::values) {
            match &**told {
                Told::Added { .. } => count += 1,
                Told::Removed { .. } => count = count.saturating_sub(1),
                Told::Changed { .. } => {}
            }
        }
        count
    }

    fn set(&mut self, pool: &str, name: &str, told: Option<Told>) {
        match told {
            Some(told) => self.insert(pool, name, told),
            None => {
                let Some(all) = self.pools.get_mut(pool) else { return };
                all.remove(name);
                if all.is_empty() {
                    self.pools.remove(pool);
                }
            }
        }
    }
}

/// What is told of a configured backend that is to be like this; nothing, if it is so already.
fn changed(
    configured: &Shared<BackendSpec>,
    told: Shared<BackendSpec>,
    before: Option<&Told>,
    mark: &Mark,
) -> Option<Told> {
    let mut marks = BTreeMap::new();
    for member in Member::ALL {
        if member.is_same(configured, &told) {
            continue;
        }
        let old = match before {
            Some(Told::Changed { told: old, marks, .. }) if member.is_same(old, &told) => {
                marks.get(&member)
            }
            _ => None,
        };
        marks.insert(member, old.unwrap_or(mark).clone());
    }
    (!marks.is_empty()).then(|| Told::Changed { configured: configured.clone(), told, marks })
}

fn over_pool(
    pool: &mut PoolSpec,
    told: &BTreeMap<String, Shared<Told>>,
    holds: &mut Overlay,
    notes: &mut Vec<String>,
) {
    let places: HashMap<String, usize> =
        pool.backends.iter().enumerate().map(|(at, it)| (it.name.clone(), at)).collect();
    let sets = pool.set_names();
    let mut removed = HashSet::new();
    for (name, told) in told {
        let of = &pool.name;
        let mut note = |why: String| notes.push(format!("pool {of}, backend {name}: {why}"));
        let all = &mut pool.backends;
        let kept = match (places.get(name), &**told) {
            // DNS may tell of it again.
            (None, Told::Changed { .. } | Told::Removed { .. }) if is_of(name, &sets) => {
                Some(told.clone())
            }
            (None, _) => over_nothing(told, all, &mut note),
            (Some(&at), Told::Removed { configured, .. })
                if *configured == all[at] || all[at].member_of.is_some() =>
            {
                removed.insert(at);
                Some(told.clone())
            }
            (Some(&at), _) => over_backend(told, &mut all[at], &mut note),
        };
        if let Some(told) = kept {
            holds.insert(of, name, told);
        }
    }
    let mut at = 0;
    pool.backends.retain(|_| {
        at += 1;
        !removed.contains(&(at - 1))
    });
}

/// Whether a name is that of a member of one of these sets, there or not.
fn is_of(name: &str, sets: &HashSet<String>) -> bool {
    name.rsplit_once('/').is_some_and(|(set, _)| sets.contains(set))
}

/// Put what was told where the configuration has nothing. Gives back what of it holds.
fn over_nothing(
    told: &Shared<Told>,
    all: &mut Vec<Shared<BackendSpec>>,
    note: &mut impl FnMut(String),
) -> Option<Shared<Told>> {
    match &**told {
        Told::Added { .. } if all.len() >= BACKENDS_MAX => {
            note(format!("it is dropped, for {BACKENDS_MAX} are there already"));
            None
        }
        Told::Added { spec, .. } => {
            all.push(spec.clone());
            Some(told.clone())
        }
        Told::Removed { .. } => None,
        Told::Changed { .. } => {
            note("it is not configured any more; what was told of it is dropped".to_owned());
            None
        }
    }
}

/// Put what was told over what is configured now. Gives back what of it holds.
fn over_backend(
    told: &Shared<Told>,
    spec: &mut Shared<BackendSpec>,
    note: &mut impl FnMut(String),
) -> Option<Shared<Told>> {
    match &**told {
        Told::Added { spec: added, mark, .. } => {
            // If it is the same, it was made permanent.
            if added != spec {
                note(format!("it is configured now; what {} told is dropped", mark.said()));
            }
            None
        }
        Told::Changed { configured, told: new, .. } if configured == spec => {
            *spec = new.clone();
            Some(told.clone())
        }
        Told::Changed { configured, told, marks } => {
            hold(configured, told, marks, spec, note).map(Shared::from)
        }
        Told::Removed { mark, .. } => {
            let who = mark.said();
            note(format!("it is configured anew; that {who} removed it is dropped"));
            None
        }
    }
}

/// The same member by member, where that is what it was.
fn hold(
    configured: &BackendSpec,
    told: &BackendSpec,
    marks: &BTreeMap<Member, Mark>,
    spec: &mut Shared<BackendSpec>,
    note: &mut impl FnMut(String),
) -> Option<Told> {
    let now = spec.clone();
    let mut kept = BTreeMap::new();
    for (member, mark) in marks {
        if member.is_same(configured, &now) {
            member.copy(told, spec);
            kept.insert(*member, mark.clone());
        } else if !member.is_same(told, &now) {
            note(format!(
                "{} is {} in the configuration now, and was {}; the {} of {} is dropped",
                member.word(),
                member.text(&now),
                member.text(configured),
                member.text(told),
                mark.said()
            ));
        }
    }
    let told = spec.clone();
    (!kept.is_empty()).then_some(Told::Changed { configured: now, told, marks: kept })
}

impl Mark {
    /// Now, to the second.
    pub fn now(by: &str) -> Mark {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        Mark { by: by.to_owned(), at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    /// `uid 0 (pid 12) at 2026-11-26T20:00:00Z`.
    pub fn said(&self) -> String {
        format!("{} at {}", self.by, time_text(self.at))
    }
}

/// RFC 3339, UTC, in seconds.
pub fn time_text(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    // because: no clock is behind the year 9999.
    jiff::Timestamp::from_second(seconds as i64)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

impl Patch {
    fn apply(&self, spec: &mut BackendSpec) {
        if let Some(weight) = self.weight {
            spec.weight = weight;
        }
        if let Some(admin) = self.admin {
            spec.admin = admin;
        }
        if let Some(most) = self.max_connections {
            spec.max_connections = most;
        }
        if let Some(backup) = self.backup {
            spec.backup = backup;
        }
        if let Some(at) = &self.address {
            // A certificate for the host that it had is one for the host that it has.
            if spec.tls.as_deref() == spec.at.name_for_tls()
                && let Some(name) = at.name_for_tls()
            {
                spec.tls = spec.tls.is_some().then(|| name.to_owned());
            }
            spec.at = at.clone();
        }
    }
}

impl Told {
    /// Where the backend comes from: `configuration`, `api`, `registered`.
    pub fn origin(&self) -> &'static str {
        match self {
            Told::Added { source: OverlaySource::Api, .. } => "api",
            Told::Added { source: OverlaySource::Registered, .. } => "registered",
            Told::Changed { .. } | Told::Removed { .. } => "configuration",
        }
    }

    /// The weight that the base has.
    pub fn configured_weight(&self, now: u32) -> u32 {
        match self {
            Told::Changed { configured, .. } => configured.weight,
            Told::Added { .. } | Told::Removed { .. } => now,
        }
    }

    /// The weight that was told in its place.
    pub fn told_weight(&self) -> Option<u32> {
        match self {
            Told::Changed { told, marks, .. } => {
                marks.contains_key(&Member::Weight).then_some(told.weight)
            }
            Told::Added { .. } | Told::Removed { .. } => None,
        }
    }
}
