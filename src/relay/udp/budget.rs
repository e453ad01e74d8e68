//! What a turn may still do for the datagrams at one listener.

use crate::limits::{DATAGRAM_WORK_PER_TURN, FLOW_OPENING_WORK, SLOTS};

// because: a turn that is not over finds a free slot.
const _: () = assert!(DATAGRAM_WORK_PER_TURN <= SLOTS);

/// Work that is left, where a message of a known flow is one: see [`DATAGRAM_WORK_PER_TURN`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// A turn's.
    pub(super) fn of_a_turn() -> Budget {
        Budget { left: DATAGRAM_WORK_PER_TURN }
    }

    /// So many messages were received. They are here, and will be handled whatever it costs.
    pub(super) fn received(&mut self, messages: usize) {
        self.left = self.left.saturating_sub(messages);
    }

    /// A socket was made for a new flow, for better or worse.
    pub(super) fn opened(&mut self) {
        self.left = self.left.saturating_sub(FLOW_OPENING_WORK);
    }

    /// Whether the rest has to wait for the next turn.
    pub(super) fn is_spent(self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MESSAGES_PER_CALL;

    /// The batches that a turn takes, if in each so many messages begin a flow.
    fn batches(new: usize) -> usize {
        let mut budget = Budget::of_a_turn();
        let mut batches = 0;
        while !budget.is_spent() {
            budget.received(MESSAGES_PER_CALL);
            (0..new).for_each(|_| budget.opened());
            batches += 1;
        }
        batches
    }

    #[test]
    fn a_turn_takes_the_fewer_datagrams_the_more_flows_they_begin() {
        assert_eq!(batches(0), SLOTS / MESSAGES_PER_CALL, "known flows fill all slots");
        assert_eq!(batches(MESSAGES_PER_CALL), 1);
        let most = (0..=MESSAGES_PER_CALL).map(|new| new * batches(new)).max();
        assert!(most < Some(2 * MESSAGES_PER_CALL), "{most:?} flows");
    }
}
