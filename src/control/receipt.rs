//! What a change did, for the log: how many of each kind were kept, opened, changed and closed, and
//! what became of each pool.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::config::{BackendSpec, Desired, PoolSpec, Shared, counted};

use super::diff::{Diff, Fate, Fates};

/// What one change did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Counted up with each change; the start is the first.
    pub generation: u64,
    /// Listeners that stayed as they are, sockets and all.
    pub kept: usize,
    /// Listeners that are new.
    pub opened: usize,
    /// Listeners that were changed in place.
    pub changed: usize,
    /// Listeners that take nobody new any more.
    pub closed: usize,
    /// Services that are new, changed or gone.
    pub services: Counted,
    /// Pools that are new, changed or gone, their members apart.
    pub pools: Counted,
    /// Connections that were open, and still are.
    pub connections: usize,
    /// What became of the members of those pools that are not as before.
    pub members: Vec<PoolChange>,
    /// Lines about what cannot be changed while it runs, or may surprise.
    pub notes: Vec<String>,
    /// How long it took; at a reload with the reading of files and the looking up of names.
    pub took: Duration,
    /// In how many turns.
    pub turns: u32,
}

/// So many came, changed and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// New.
    pub added: usize,
    /// Changed in place.
    pub changed: usize,
    /// Gone.
    pub removed: usize,
}

/// What became of the members of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolChange {
    /// The pool's name.
    pub name: String,
    /// Its members.
    pub counted: Counted,
    /// Connections to those that went.
    pub connections: usize,
    /// They are closed, and not left to end.
    pub closes: bool,
}

impl Receipt {
    /// What a change to another state does, as far as that is known before: not to connections.
    pub fn of(old: &Desired, new: &Desired, diff: &Diff) -> Receipt {
        let before: HashMap<&str, &PoolSpec> =
            old.pools.iter().map(|it| (&*it.name, it)).collect();
        let change = |pool: &PoolSpec| {
            let old = before.get(&*pool.name).map_or(&[][..], |it| &it.backends);
            let counted = Counted::between(old, &pool.backends);
            let name = pool.name.clone();
            (!counted.is_nothing()).then(|| PoolChange { name, counted, ..Default::default() })
        };
        Receipt {
            members: new.pools.iter().filter_map(change).collect(),
            ..Self::of_diff(diff)
        }
    }

    /// What is different, the members of pools apart.
    pub fn of_diff(diff: &Diff) -> Receipt {
        let is_kept = |fate| matches!(fate, Fate::Kept(_));
        let is_changed = |fate| matches!(fate, Fate::Changed(_));
        let is_added = |fate| fate == Fate::Added;
        let counted = |fates: &Fates| Counted {
            added: fates.count(is_added),
            changed: fates.count(is_changed),
            removed: fates.removed.len(),
        };
        let Diff { listeners, services, pools, .. } = diff;
        Receipt {
            kept: listeners.count(is_kept),
            opened: listeners.count(is_added),
            changed: listeners.count(is_changed),
            closed: listeners.removed.len(),
            services: counted(services),
            pools: counted(pools),
            ..Receipt::default()
        }
    }
}

impl Counted {
    fn between(old: &[Shared<BackendSpec>], new: &[Shared<BackendSpec>]) -> Counted {
        let before: HashMap<&str, &Shared<BackendSpec>> =
            old.iter().map(|it| (&*it.name, it)).collect();
        let mut counted = Counted::default();
        let mut kept = 0;
        for spec in new {
            match before.get(&*spec.name) {
                None => counted.added += 1,
                Some(old) => {
                    kept += 1;
                    counted.changed += usize::from(*old != spec);
                }
            }
        }
        counted.removed = old.len() - kept;
        counted
    }

    /// Whether nothing came, changed or went.
    pub fn is_nothing(self) -> bool {
        self == Counted::default()
    }
}

impl fmt::Display for Counted {
    /// `+1 -1 ~1`, without what is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [('+', self.added), ('-', self.removed), ('~', self.changed)];
        let some = parts.iter().filter(|(_, count)| *count > 0);
        let texts: Vec<String> = some.map(|(sign, count)| format!("{sign}{count}")).collect();
        f.write_str(&if texts.is_empty() { "unchanged".to_owned() } else { texts.join(" ") })
    }
}

impl fmt::Display for PoolChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted { added, changed, removed } = self.counted;
        write!(f, "pool {}:", self.name)?;
        if added > 0 {
            write!(f, " +{added}")?;
        }
        if removed > 0 {
            write!(f, " -{removed}")?;
            if self.connections > 0 {
                let verb = if self.closes { "closing" } else { "draining" };
                write!(f, " ({verb}, {})", counted(self.connections, "connection"))?;
            }
        }
        if changed > 0 {
            write!(f, " ~{changed}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Receipt {
    /// `generation 42: 3 listeners kept, 1 opened, 812 connections kept; pool api: +1 -1; 3.1 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}: {} kept", self.generation, counted(self.kept, "listener"))?;
        for (count, word) in
            [(self.opened, "opened"), (self.changed, "changed"), (self.closed, "closed")]
        {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        write!(f, ", {} kept", counted(self.connections, "connection"))?;
        for (counted, word) in [(self.services, "services"), (self.pools, "pools")] {
            if !counted.is_nothing() {
                write!(f, "; {word} {counted}")?;
            }
        }
        for pool in self.members.iter().take(POOLS_SAID) {
            write!(f, "; {pool}")?;
        }
        if self.members.len() > POOLS_SAID {
            write!(f, "; {}", counted(self.members.len() - POOLS_SAID, "more pool"))?;
        }
        write!(f, "; {:.1} ms", self.took.as_secs_f64() * 1000.0)?;
        if self.turns > 1 {
            write!(f, " in {} turns", self.turns)?;
        }
        Ok(())
    }
}

/// So many pools are named in a line.
const POOLS_SAID: usize = 20;
