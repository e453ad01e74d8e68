//! What is owed after the fact: it is written down whatever the law says, for it is spent already.

use super::{ClientKey, Place, TAT, Table};

impl Table {
    /// This client owes so much more, in the unit of `now`.
    pub fn charge(&mut self, key: ClientKey, more: u64, now: u64) {
        let bucket = self.bucket_of(key);
        let at = match self.place(bucket, key, now) {
            Place::Own(at) => at,
            Place::Free(at) => return self.put(at, key, now.saturating_add(more), 0),
            Place::Full(_) => {
                self.counts.shared += 1;
                self.shared_of(key)
            }
        };
        let tat = &mut self.slots[at][TAT];
        *tat = (*tat).max(now).saturating_add(more);
    }

    /// How much it owes, perhaps with its neighbours.
    pub fn owed(&self, key: ClientKey, now: u64) -> u64 {
        let at = match self.place(self.bucket_of(key), key, now) {
            Place::Own(at) => at,
            Place::Free(_) => return 0,
            Place::Full(_) => self.shared_of(key),
        };
        self.slots[at][TAT].saturating_sub(now)
    }
}
