//! Whether a direction that streams waits until its source has a large piece to read, instead of
//! reading each small one as soon as it comes.
//!
//! ```text
//!            credit, earned by large pieces
//!   eager --------------------------------------> patient
//!     ^                                              |
//!     +---- from one recheck to the next nothing <----+
//!           came: the last piece was delayed
//!           without need, and that costs credit
//! ```
//!
//! An eager direction reads a stream in the smallest pieces, polls before each of them, and spends
//! more on the poll than on the bytes. A patient one waits until a pipe can be filled: it polls a
//! sixteenth as often, and while the stream goes on, bytes wait only until their piece is full. But
//! nothing fills the last piece before a pause: it is late by a recheck or two. That must not
//! happen to a client that requests messages and waits for each of them. So patience is granted
//! only where no message is expected to end: 9 MiB after the last small piece in the other
//! direction, which is what a request looks like; or after 1 MiB, if a run of 64 MiB came before. A
//! piece that was delayed without need uses up the credit of such a run; with less credit than that
//! it makes a debt of 256 MiB.
//!
//! There is no clock and no socket here: [`super::pump`] asks and reports, and the owner of the
//! timer calls the recheck.

use crate::limits::{
    PATIENCE_CREDIT_MAX, PATIENCE_DEBT, PATIENCE_KNOWN_CREDIT, PATIENT_FROM_CREDIT,
    SPLICE_READ_BYTES_MIN,
};

/// What the reads of a direction have shown so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// In large pieces; negative is debt. At most [`PATIENCE_CREDIT_MAX`].
    credit: i16,
    /// Bytes came since the last recheck.
    fed: bool,
    /// It reached full credit, and no piece was delayed without need at less.
    is_known: bool,
}

impl Patience {
    /// Whether to wait for a large piece.
    pub fn is_granted(&self) -> bool {
        self.credit >= PATIENT_FROM_CREDIT
    }

    /// `count` bytes were read at once.
    pub fn took(&mut self, count: usize) {
        let earned = i16::try_from(count / SPLICE_READ_BYTES_MIN).unwrap_or(i16::MAX);
        self.credit = self.credit.saturating_add(earned).min(PATIENCE_CREDIT_MAX);
        self.fed = true;
        self.is_known |= self.credit == PATIENCE_CREDIT_MAX;
    }

    /// The length of the message is known, so that its last piece is not waited for: two large
    /// pieces are proof enough, unless there is debt.
    pub fn trust(&mut self) {
        if self.credit >= 0 {
            self.credit = self.credit.max(PATIENT_FROM_CREDIT - 2);
        }
    }

    /// These are messages that are answered, not a stream; or it cannot be spliced.
    pub fn doubt(&mut self) {
        let most = if self.is_known { PATIENCE_KNOWN_CREDIT } else { 0 };
        self.credit = self.credit.min(most);
    }

    /// The timer fired while a large piece is waited for. `false` if nothing came since the last
    /// recheck.
    pub fn recheck(&mut self) -> bool {
        let fed = std::mem::take(&mut self.fed);
        if !fed {
            self.is_known = self.credit == PATIENCE_CREDIT_MAX;
            self.credit = if self.is_known { PATIENCE_KNOWN_CREDIT } else { -PATIENCE_DEBT };
        }
        fed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = SPLICE_READ_BYTES_MIN;

    /// How many large pieces it takes until it is patient.
    fn feed(patience: &mut Patience) -> i16 {
        let mut count = 0;
        while !patience.is_granted() {
            patience.took(LARGE);
            count += 1;
        }
        count
    }

    /// What came last is found by the first recheck, and nothing by the second.
    fn starve(patience: &mut Patience) {
        patience.took(1);
        assert!(patience.recheck());
        assert!(!patience.recheck());
    }

    #[test]
    fn a_wait_for_nothing_has_to_be_earned_anew() {
        let mut patience = Patience::default();
        assert_eq!(feed(&mut patience), PATIENT_FROM_CREDIT);
        for _ in 0..3 {
            starve(&mut patience);
            assert_eq!(feed(&mut patience), PATIENCE_DEBT + PATIENT_FROM_CREDIT);
        }
    }

    #[test]
    fn a_long_stream_has_paid_for_its_pause() {
        let mut patience = Patience::default();
        for _ in 0..3 {
            (0..PATIENCE_CREDIT_MAX).for_each(|_| patience.took(LARGE));
            starve(&mut patience);
            assert_eq!(feed(&mut patience), PATIENT_FROM_CREDIT - PATIENCE_KNOWN_CREDIT);
            patience.doubt();
            assert_eq!(feed(&mut patience), PATIENT_FROM_CREDIT - PATIENCE_KNOWN_CREDIT);
        }
        (1..PATIENCE_CREDIT_MAX - PATIENT_FROM_CREDIT).for_each(|_| patience.took(LARGE));
        starve(&mut patience);
        assert_eq!(feed(&mut patience), PATIENCE_DEBT + PATIENT_FROM_CREDIT);
        patience.doubt();
        assert_eq!(feed(&mut patience), PATIENT_FROM_CREDIT, "no longer known");
    }

    #[test]
    fn small_pieces_earn_nothing_and_large_ones_what_they_are_worth() {
        let mut patience = Patience::default();
        for _ in 0..10_000 {
            patience.took(LARGE - 1);
        }
        assert!(!patience.is_granted());
        patience.took(LARGE * PATIENT_FROM_CREDIT as usize);
        assert!(patience.is_granted());
        patience.doubt();
        assert!(!patience.is_granted());
        patience.took(usize::MAX);
        assert!(patience.is_granted());
    }

    #[test]
    fn who_knows_the_end_needs_little_proof_unless_there_is_debt() {
        let mut patience = Patience::default();
        patience.trust();
        assert_eq!(feed(&mut patience), 2);
        patience.trust();
        assert!(patience.is_granted(), "nothing is taken away");
        starve(&mut patience);
        patience.trust();
        assert_eq!(feed(&mut patience), PATIENCE_DEBT + PATIENT_FROM_CREDIT);
    }
}
