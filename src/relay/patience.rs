//! Whether a direction that streams may wait for a large piece of its source, instead of taking
//! each small one as soon as it comes.
//!
//! ```text
//!            credit, earned by large pieces
//!   eager --------------------------------------> patient
//!     ^                                              |
//!     +---- from one recheck to the next nothing <----+
//!           came: the last piece was delayed for
//!           nothing, and that costs credit
//! ```
//!
//! An eager direction takes a stream in the smallest pieces there are, sleeps before each of
//! them, and pays more for the sleep than for the bytes. A patient one waits for a pipe's
//! worth: it sleeps a sixteenth as often, and as long as more comes, bytes wait for nothing but
//! the rest of their piece. Only the last piece before a pause has nothing behind it: it is
//! late by a recheck or two. A client that asks for messages and waits for each of them must
//! not meet that. So patience begins behind the longest of such messages: 9 MiB after the last
//! small piece the other way, which is what a question looks like; or 1 MiB, once a run was of
//! 64 MiB. And a wait for nothing is paid for: with full credit, that 64 MiB earn, or by a debt
//! of four times as much.
//!
//! No clock and no socket is here: [`super::pump`] asks and tells, and the owner of the timer calls
//! the recheck.

use crate::limits::{
    PATIENCE_CREDIT_MAX, PATIENCE_DEBT, PATIENCE_KNOWN_CREDIT, PATIENT_FROM_CREDIT,
    SPLICE_READ_BYTES_MIN,
};

/// What is known of a direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    credit: i16,
    /// Something came since the last recheck.
    fed: bool,
    /// It had full credit, and has waited for nothing only with that.
    is_known: bool,
}

impl Patience {
    /// Whether to wait for a large piece.
    pub fn is_granted(&self) -> bool {
        self.credit >= PATIENT_FROM_CREDIT
    }

    /// So many bytes came in one piece.
    pub fn took(&mut self, count: usize) {
        let earned = i16::try_from(count / SPLICE_READ_BYTES_MIN).unwrap_or(i16::MAX);
        self.credit = self.credit.saturating_add(earned).min(PATIENCE_CREDIT_MAX);
        self.fed = true;
        self.is_known |= self.credit == PATIENCE_CREDIT_MAX;
    }

    /// The end of what comes is known, so that nobody will wait for more than there is: a few large
    /// pieces are enough, unless there is debt.
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

    /// The timer fired while a piece is waited for. `false` if nothing came since the last time.
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

    /// What came last is found by the first look, and nothing by the second.
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
