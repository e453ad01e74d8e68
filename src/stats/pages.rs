//! The statistics as pages: one is made at most so often, and all who ask for it share it.
//!
//! ```text
//!   asked for --- the newest is fresh ----------------------> read by one more
//!       \--- begin --- slices, a turn each --- finished ----> the newest
//! ```
//!
//! A reader that takes nothing keeps its page, but none of it is its own; and there are a few pages
//! at most: when one more is made, the oldest goes, and who still reads it is cut off. What is on a
//! page, and who reads it, is others' to know.

use std::time::Instant;

use crate::event::{Key, Slots};
use crate::limits::{STATS_PAGE_EVERY, STATS_PAGES_MAX};

use super::json::Writer;
use super::snapshot::Snapshot;

/// The pages that there are, and the one that is being made.
#[derive(Debug, Default)]
pub struct Pages {
    made: Slots<StatsPage>,
    newest: Option<Key>,
    making: Option<Making>,
}

#[derive(Debug)]
struct StatsPage {
    bytes: Vec<u8>,
    made_at: Instant,
    readers: usize,
}

/// A page that is not whole yet.
#[derive(Debug, Default)]
pub struct Making {
    /// What there is of it.
    pub bytes: Vec<u8>,
    /// What it is written from.
    pub from: PageFrom,
    /// How far it is written.
    pub writer: Writer,
    /// The pairs that wait for it.
    waiting: Vec<Key>,
}

/// What a page is written from.
#[derive(Debug, Default)]
pub enum PageFrom {
    /// It is not begun.
    #[default]
    Nothing,
    /// All rows of it, or those that were taken so far.
    Snapshot(Box<Snapshot>),
    /// It is written, and what it was written from is freed.
    Written,
}

impl Pages {
    /// The newest page, if it may still be shown, for one more reader.
    pub fn read_fresh(&mut self, now: Instant) -> Option<Key> {
        let made_at = self.made.get(self.newest?)?.made_at;
        if now.saturating_duration_since(made_at) >= STATS_PAGE_EVERY {
            return None;
        }
        self.read_newest()
    }

    /// The newest page, for one more reader.
    pub fn read_newest(&mut self) -> Option<Key> {
        let key = self.newest?;
        self.made.get_mut(key)?.readers += 1;
        Some(key)
    }

    /// What is on a page; nothing, if it had to go.
    pub fn bytes(&self, key: Key) -> Option<&[u8]> {
        self.made.get(key).map(|page| &*page.bytes)
    }

    /// One reader less.
    pub fn release(&mut self, key: Key) {
        let Some(page) = self.made.get_mut(key) else { return };
        page.readers = page.readers.saturating_sub(1);
        if page.readers == 0 && self.newest != Some(key) {
            self.made.remove(key);
        }
    }

    /// Whether a page is being made.
    pub fn is_making(&self) -> bool {
        self.making.is_some()
    }

    /// This pair waits for the page that is being made, which begins if there is none.
    pub fn wait(&mut self, pair: Key) {
        self.making.get_or_insert_default().waiting.push(pair);
    }

    /// The page that is being made, to go on with.
    pub fn take_making(&mut self) -> Option<Making> {
        self.making.take()
    }

    /// It is not whole yet.
    pub fn put_back(&mut self, making: Making) {
        self.making = Some(making);
    }

    /// It is whole, and the newest. Hands back who waited for it.
    pub fn finish(&mut self, making: Making, now: Instant) -> Vec<Key> {
        if let Some(before) = self.newest.take() {
            let unread = self.made.get(before).is_some_and(|page| page.readers == 0);
            if unread {
                self.made.remove(before);
            }
        }
        while self.made.len() >= STATS_PAGES_MAX {
            let oldest = self.made.iter().min_by_key(|(_, page)| page.made_at);
            let Some(oldest) = oldest.map(|(key, _)| key) else { break };
            self.made.remove(oldest);
        }
        let Making { mut bytes, waiting, .. } = making;
        bytes.shrink_to_fit();
        let page = StatsPage { bytes, made_at: now, readers: 0 };
        self.newest = Some(self.made.insert_with(|_| page));
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(pages: &mut Pages, text: &str, now: Instant) {
        let making = Making { bytes: text.into(), ..Making::default() };
        assert!(pages.finish(making, now).is_empty());
    }

    #[test]
    fn a_page_is_shared_as_long_as_it_is_fresh() {
        let now = Instant::now();
        let mut pages = Pages::default();
        assert_eq!(pages.read_fresh(now), None);
        make(&mut pages, "first", now);
        let [one, two] = [pages.read_fresh(now), pages.read_fresh(now)].map(Option::unwrap);
        assert_eq!(one, two);
        assert_eq!(pages.read_fresh(now + STATS_PAGE_EVERY), None);
        make(&mut pages, "second", now + STATS_PAGE_EVERY);
        assert_eq!(pages.bytes(one), Some(&b"first"[..]), "who reads it may go on");
        pages.release(one);
        assert!(pages.bytes(one).is_some(), "there is another reader");
        pages.release(two);
        assert_eq!(pages.bytes(one), None);
        assert_eq!(pages.made.len(), 1);
    }

    #[test]
    fn readers_that_take_nothing_hold_a_few_pages_at_most() {
        let now = Instant::now();
        let mut pages = Pages::default();
        let mut read = Vec::new();
        for number in 0..3 * STATS_PAGES_MAX {
            let at = now + STATS_PAGE_EVERY * number as u32;
            make(&mut pages, &number.to_string(), at);
            read.extend(pages.read_fresh(at));
        }
        let left: Vec<Key> =
            read.iter().copied().filter(|&key| pages.bytes(key).is_some()).collect();
        assert_eq!(left, read[2 * STATS_PAGES_MAX..], "the newest ones");
        read.into_iter().for_each(|key| pages.release(key));
        assert_eq!(pages.made.len(), 1);
    }
}
