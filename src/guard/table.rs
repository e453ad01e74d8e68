//! What is remembered of clients, in memory that no flood makes grow.
//!
//! ```text
//!   bucket = SipHash-1-3(key) : | 7 slots, each a client's | 1 slot that neighbours share |
//!   slot = key 16 bytes, tat 8 (see gcra), connections 4, spare 4
//! ```
//!
//! A slot whose `tat` is past and that has no connections is free: forgetting it loses nothing. So
//! a table needs room only for who owes something now. A newcomer takes a free slot of its bucket.
//! If there is none, its neighbours, all of its /24 or /48, have one shared slot: where it refuses
//! the newcomer, that is refused; else the newcomer takes the place of whom owes least. So a
//! neighbourhood is limited too much where the table is too small, and nobody too little: a flood
//! out of one network is, once it fills the table, limited as one client. A slot with connections
//! is never taken: they are found again by the client's address when they end.
//!
//! Pure; one allocation. The secret keeps attackers from choosing addresses of one bucket.

use std::ops::Range;

use siphasher::sip::SipHasher13;

use super::gcra::{Decision, Gcra};
use super::key::{ClientKey, Secret};
use crate::limits::{LIMIT_FILL_BUCKETS, LIMIT_WAYS};

/// Slots of a bucket that clients have for themselves.
const OWN_WAYS: usize = LIMIT_WAYS - 1;

/// Four words: the key's two halves, `tat`, and connections. An array of numbers, for the system
/// gives zeros for nothing: what is never used of a table takes no memory.
type Slot = [u64; 4];

const TAT: usize = 2;
const CONNECTIONS: usize = 3;

/// Clients, and what each owes.
pub struct Table {
    slots: Box<[Slot]>,
    hasher: SipHasher13,
    /// Connections that are counted in shared slots.
    shared_connections: u64,
    counts: TableCounts,
}

/// How well the clients fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Clients that owed something and were forgotten for another one.
    pub evicted: u64,
    /// How often a client was counted together with its neighbours.
    pub shared: u64,
}

impl TableCounts {
    /// Together with these.
    pub fn and(self, other: TableCounts) -> TableCounts {
        TableCounts {
            evicted: self.evicted.saturating_add(other.evicted),
            shared: self.shared.saturating_add(other.shared),
        }
    }
}

/// Where a client is in its bucket.
enum Place {
    /// It is there.
    Own(usize),
    /// It is not, but here is room.
    Free(usize),
    /// Neither; who owes least has no connections and is here, if there is such a one.
    Full(Option<usize>),
}

impl Table {
    /// Room for about so many clients: slots in all, of which one in eight is shared.
    pub fn new(slots: usize, secret: Secret) -> Table {
        let buckets = (slots / LIMIT_WAYS).max(1).next_power_of_two();
        let (first, second) = secret.halves();
        Table {
            slots: vec![[0; 4]; buckets * LIMIT_WAYS].into(),
            hasher: SipHasher13::new_with_keys(first, second),
            shared_connections: 0,
            counts: TableCounts::default(),
        }
    }

    /// Whether `units` more may come from this client, by this law; if so it is written down.
    #[inline]
    pub fn ask(&mut self, key: ClientKey, units: u32, law: &Gcra, now: u64) -> Decision {
        let bucket = self.bucket_of(key);
        match self.place(bucket, key, now) {
            Place::Own(at) => {
                let (decision, tat) = law.ask(self.slots[at][TAT], units, now);
                // Where it is refused that is what was there, unless a reload forgave some of it.
                self.slots[at][TAT] = tat;
                decision
            }
            Place::Free(at) => {
                let (decision, tat) = law.ask(now, units, now);
                if decision.admitted {
                    self.put(at, key, tat, 0);
                }
                decision
            }
            Place::Full(least) => self.ask_shared(bucket, key, (least, units), law, now),
        }
    }

    /// So many units were let in and did not come. What neighbours share stays as it is.
    #[cold]
    pub fn give_back(&mut self, key: ClientKey, units: u32, law: &Gcra) {
        let own = self.ways(self.bucket_of(key)).find(|&at| self.is_of(at, key));
        if let Some(at) = own {
            self.slots[at][TAT] = law.undo(self.slots[at][TAT], units);
        }
    }

    /// One connection more of this client, of which at most so many may be open at once. What was
    /// begun is to be given back by [`Table::end`].
    #[inline]
    pub fn begin(&mut self, key: ClientKey, most: u32, now: u64) -> bool {
        let bucket = self.bucket_of(key);
        match self.place(bucket, key, now) {
            Place::Own(at) if self.slots[at][CONNECTIONS] > 0 => self.count(at, most),
            // Its other connections may be counted in the shared slot: these here would be beside.
            _ if self.shared_connections > 0 && self.shares(key) => {
                self.begin_shared(key, most)
            }
            Place::Own(at) => self.count(at, most),
            Place::Free(at) | Place::Full(Some(at)) => {
                if most == 0 {
                    return false;
                }
                self.note_evicted(at, now);
                self.put(at, key, 0, 1);
                true
            }
            Place::Full(None) => self.begin_shared(key, most),
        }
    }

    /// A connection of this client is over that was begun here.
    pub fn end(&mut self, key: ClientKey) {
        let bucket = self.bucket_of(key);
        let own = self
            .ways(bucket)
            .find(|&at| self.is_of(at, key) && self.slots[at][CONNECTIONS] > 0);
        if let Some(at) = own {
            self.slots[at][CONNECTIONS] -= 1;
            return;
        }
        let at = self.shared_of(key);
        let open = self.slots[at][CONNECTIONS];
        debug_assert!(open > 0, "more ended than began");
        self.slots[at][CONNECTIONS] = open.saturating_sub(1);
        self.shared_connections = self.shared_connections.saturating_sub(1);
    }

    /// How many connections it has, perhaps with its neighbours'.
    pub fn connections(&self, key: ClientKey) -> u32 {
        let own = self.ways(self.bucket_of(key)).find(|&at| self.is_of(at, key));
        let at = own.unwrap_or_else(|| self.shared_of(key));
        u32::try_from(self.slots[at][CONNECTIONS]).unwrap_or(u32::MAX)
    }

    /// How well the clients fit.
    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// Slots that clients have for themselves.
    pub fn room(&self) -> usize {
        self.slots.len() / LIMIT_WAYS * OWN_WAYS
    }

    /// About how many of them are in use: as many as in a part of the table, for the hash spreads
    /// clients evenly.
    pub fn fill(&self, now: u64) -> usize {
        let buckets = self.slots.len() / LIMIT_WAYS;
        let looked = buckets.min(LIMIT_FILL_BUCKETS);
        let part = (0..looked).flat_map(|bucket| self.ways(bucket * LIMIT_WAYS));
        part.filter(|&at| !self.is_free(at, now)).count() * buckets / looked
    }

    /// A newcomer whose bucket is full of those who owe: its neighbours are asked too.
    #[cold]
    fn ask_shared(
        &mut self,
        bucket: usize,
        key: ClientKey,
        (least, units): (Option<usize>, u32),
        law: &Gcra,
        now: u64,
    ) -> Decision {
        debug_assert!(self.ways(bucket).all(|at| !self.is_free(at, now)));
        self.counts.shared += 1;
        let shared = self.shared_of(key);
        let (decision, tat) = law.ask(self.slots[shared][TAT], units, now);
        self.slots[shared][TAT] = tat;
        if let Some(at) = least.filter(|_| decision.admitted) {
            self.note_evicted(at, now);
            let (_, tat) = law.ask(now, units, now);
            self.put(at, key, tat, 0);
        }
        decision
    }

    #[cold]
    fn begin_shared(&mut self, key: ClientKey, most: u32) -> bool {
        self.counts.shared += 1;
        let at = self.shared_of(key);
        let begins = self.count(at, most);
        self.shared_connections += u64::from(begins);
        begins
    }

    fn count(&mut self, at: usize, most: u32) -> bool {
        let open = &mut self.slots[at][CONNECTIONS];
        let begins = *open < u64::from(most);
        *open += u64::from(begins);
        begins
    }

    /// Whether connections of its neighbours are counted in the slot that they share.
    #[cold]
    fn shares(&self, key: ClientKey) -> bool {
        self.slots[self.shared_of(key)][CONNECTIONS] > 0
    }

    fn note_evicted(&mut self, at: usize, now: u64) {
        self.counts.evicted += u64::from(self.slots[at][TAT] > now);
    }

    #[inline]
    fn place(&self, bucket: usize, key: ClientKey, now: u64) -> Place {
        let mut free = None;
        let mut least: Option<usize> = None;
        for at in self.ways(bucket) {
            if self.is_of(at, key) {
                return Place::Own(at);
            }
            if self.is_free(at, now) {
                free = Some(at);
            } else if self.slots[at][CONNECTIONS] == 0
                && least.is_none_or(|least| self.slots[at][TAT] < self.slots[least][TAT])
            {
                least = Some(at);
            }
        }
        free.map_or(Place::Full(least), Place::Free)
    }

    /// The first slot of its bucket.
    #[inline]
    fn bucket_of(&self, key: ClientKey) -> usize {
        let buckets = self.slots.len() / LIMIT_WAYS;
        (self.hasher.hash(&key.bytes()) as usize & (buckets - 1)) * LIMIT_WAYS
    }

    /// The slot that a client shares with its neighbours, the last of their bucket. Other
    /// neighbourhoods may have the same one: that limits them too much.
    fn shared_of(&self, key: ClientKey) -> usize {
        let neighbours = key.neighbours(self.bucket_of(key) / LIMIT_WAYS);
        self.bucket_of(neighbours) + OWN_WAYS
    }

    #[inline]
    fn ways(&self, bucket: usize) -> Range<usize> {
        bucket..bucket + OWN_WAYS
    }

    #[inline]
    fn is_of(&self, at: usize, key: ClientKey) -> bool {
        let [first, second, ..] = self.slots[at];
        (first, second) == key.words()
    }

    #[inline]
    fn is_free(&self, at: usize, now: u64) -> bool {
        let [.., tat, connections] = self.slots[at];
        tat <= now && connections == 0
    }

    #[inline]
    fn put(&mut self, at: usize, key: ClientKey, tat: u64, connections: u64) {
        let (first, second) = key.words();
        self.slots[at] = [first, second, tat, connections];
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} slots, {:?})", self.slots.len(), self.counts)
    }
}

mod debts;
#[cfg(test)]
mod tests;
