//! Which of the tables that a limit has had counts somebody: the number of the table is kept beside
//! each who is counted, in a byte, for there are many.
//!
//! A table is replaced where a reload gives it another shape. Who was counted by the one before is
//! not taken off the one after: so no number is given again while somebody has it.

/// The numbers of the tables of one limit.
#[derive(Debug, Default)]
pub struct Editions {
    /// The number of the table that is there now, if there is one.
    current: Option<u8>,
    /// How many are counted by it.
    open: u32,
    /// Those of tables before by which somebody is still counted, and how many.
    former: Vec<(u8, u32)>,
}

impl Editions {
    /// The first number: those before are no tables.
    const FIRST: u8 = 2;

    /// The table goes.
    pub fn retire(&mut self) {
        if let Some(number) = self.current.take().filter(|_| self.open > 0) {
            self.former.push((number, self.open));
        }
        self.open = 0;
    }

    /// Another table comes, after the one before was retired. `false` if there is no number left
    /// for it: somebody is counted by each of 254 tables before.
    #[must_use]
    pub fn begin(&mut self) -> bool {
        let is_free = |number: &u8| self.former.iter().all(|(former, _)| former != number);
        self.current = (Editions::FIRST..=u8::MAX).find(is_free);
        self.current.is_some()
    }

    /// Somebody more is counted, under this number.
    pub fn count(&mut self) -> Option<u8> {
        self.open += u32::from(self.current.is_some());
        self.current
    }

    /// Whether this is the number of the table that is there now.
    pub fn is_current(&self, number: u8) -> bool {
        self.current == Some(number)
    }

    /// Somebody is gone who was counted under this number. Says whether that is the table which is
    /// there now.
    pub fn end(&mut self, number: u8) -> bool {
        if self.is_current(number) {
            debug_assert!(self.open > 0, "more ended than began");
            self.open = self.open.saturating_sub(1);
            return true;
        }
        if let Some(at) = self.former.iter().position(|(former, _)| *former == number) {
            self.former[at].1 -= 1;
            if self.former[at].1 == 0 {
                self.former.swap_remove(at);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_again_while_somebody_has_it() {
        let mut editions = Editions::default();
        assert!(editions.begin());
        let held = editions.count().expect("a number");
        for _ in 0..1000 {
            editions.retire();
            assert!(editions.begin());
            let number = editions.count().expect("a number");
            assert_ne!(number, held);
            assert!(editions.end(number));
        }
        assert!(!editions.end(held), "its table is gone");
        assert!(editions.former.is_empty());
        let held: Vec<u8> = std::iter::from_fn(|| {
            editions.retire();
            editions.begin().then(|| editions.count())?
        })
        .collect();
        assert_eq!(held.len(), 254);
        editions.end(held[7]);
        assert!(editions.begin() && editions.is_current(held[7]));
    }
}
