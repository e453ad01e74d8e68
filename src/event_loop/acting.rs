//! Step 3 of the turn: who is queued acts, class by class, as far as the turn's time goes.

use crate::context::Context;
use crate::event::{Class, Key, Owner, RunQueue};
use crate::limits::{
    ACTING_TIME, CLASS_TIME, MIRROR_TIME, OWNERS_PER_TURN, STATS_ROWS_PER_TURN, STATS_TIME,
};
use crate::relay::{Client, Pair, Reason, Verdict};
use crate::status;

use super::EventLoop;

impl EventLoop {
    /// Everybody who waited when the turn began acts once. Who is left over stays in the queue, and
    /// accepts, timers and probes come in between.
    pub(super) fn act(&mut self) {
        self.cx.retire_idle_with_events();
        self.busy = false;
        // Counted before anybody acts: who goes behind in this turn is not to act once more in it.
        let waiting = self.cx.run_queue.lens();
        for (&class, &waiting) in Class::ALL.iter().zip(&waiting) {
            if waiting > 0 {
                self.act_of(class, waiting);
            }
        }
        self.send_answers();
    }

    fn act_of(&mut self, class: Class, waiting: usize) {
        let most = waiting.min(OWNERS_PER_TURN);
        let mut share = match class {
            Class::Mirrors => self.pace.share(MIRROR_TIME, most),
            _ => self.pace.share_of(self.cx.now, ACTING_TIME, CLASS_TIME, most),
        };
        let mut acted = 0;
        while share.allows(&mut self.pace) && !(class == Class::Flows && self.udp.is_spent()) {
            let Some(owner) = self.cx.run_queue.pop(class) else { break };
            acted += 1;
            if self.act_as(owner) {
                share.note_large();
            }
        }
        // Whom no client waits for does not make us busy.
        self.busy |= acted < waiting && class != Class::Mirrors;
    }

    /// Says whether that may have taken long.
    pub(super) fn act_as(&mut self, owner: Owner) -> bool {
        match owner {
            Owner::Pair(key) => {
                if let Some(pair) = self.pairs.get_mut(key) {
                    let client = &mut pair.client;
                    client.queued = false;
                    client.goes_behind = false;
                }
                return self.with_pair(key, Pair::act);
            }
            Owner::Probe(id, _) => self.health.act(id, &mut self.cx),
            Owner::Flow(key) => self.udp.answer(key, &mut self.cx),
            Owner::Mirror(key) => return self.mirrors.act(key, &mut self.cx),
            Owner::Line(key) => self.resolver.act(key, &mut self.cx),
            _ => {}
        }
        false
    }

    /// A slice of the page of statistics that is being made. Who waited for it acts in the next
    /// turn.
    pub(super) fn make_page(&mut self) {
        if !self.cx.pages.is_making() {
            return;
        }
        let mut share = self.pace.share(STATS_TIME, STATS_ROWS_PER_TURN);
        let pace = &mut self.pace;
        for key in status::make_statistics(|| share.allows(pace), &mut self.cx) {
            if let Some(pair) = self.pairs.get_mut(key) {
                queue(&mut self.cx.run_queue, &mut pair.client);
            }
        }
    }

    /// Let a pair act, and carry out what comes of it. Says whether it may have taken as long as
    /// several: it has work left over, or began to connect, and where most local ports are taken
    /// the kernel looks for one for 2 ms or more.
    pub(super) fn with_pair(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Pair, &mut Context) -> Verdict,
    ) -> bool {
        let Some(pair) = self.pairs.get_mut(key) else { return false };
        if pair.client.closing.is_some() {
            return false;
        }
        let mut verdict = act(pair, &mut self.cx);
        let mut connected = false;
        loop {
            connected |= std::mem::take(&mut self.cx.began_to_connect);
            match verdict {
                // We are stopping, and it needs nothing more.
                Verdict::Keep if self.cx.draining && pair.may_end_at_stop(&self.cx) => {
                    verdict = Verdict::Close(Reason::Finished);
                }
                Verdict::Keep => return connected,
                Verdict::Again => {
                    pair.client.goes_behind |= pair.has_used_its_turn();
                    queue(&mut self.cx.run_queue, &mut pair.client);
                    return true;
                }
                Verdict::Become(successor) => verdict = pair.follow(successor, &mut self.cx),
                Verdict::Close(reason) => {
                    self.close(key, reason);
                    return connected;
                }
            }
        }
    }
}

/// A pair is to act, before or behind the others.
pub(super) fn queue(run_queue: &mut RunQueue, client: &mut Client) {
    let owner = Owner::Pair(client.key);
    if client.goes_behind {
        run_queue.push_behind(owner, &mut client.queued);
    } else {
        run_queue.push(owner, &mut client.queued);
    }
}
