//! Who of a pool is ejected for a while, by the pool's own rules and the answers of all clients.
//!
//! Each pool judges for itself: one that can do without a server ejects it, another one of which it
//! is the last goes on with it. Answers are facts of the server, so every pool that it sits in
//! hears of all of them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::balance::Observation;
use crate::limits::{EJECT_ANSWERS_MIN, EJECT_LOOKS};

use super::super::eject::{EjectCause, Grade, Outlier, Tally, may_spare, stands_out};
use super::Pool;

/// An answer of a server.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Answer {
    /// What its status says.
    pub grade: Grade,
    /// Whether it is among the answers that were counted already.
    pub tally: Tallied,
    /// Whose request it was for.
    pub client: IpAddr,
    /// How long it took.
    pub took: Duration,
}

/// Whether an answer was counted before: its head came, and it broke behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Tallied {
    Before,
    Now,
}

impl Pool {
    /// It answered.
    #[inline]
    pub(in super::super) fn on_answer(&mut self, index: usize, answer: &Answer, now: Instant) {
        let seen = match answer.grade {
            Grade::Good | Grade::Unsaid => Observation::Connected(answer.took),
            Grade::Bad | Grade::Faulty => Observation::Failed(answer.took),
        };
        self.observe(index, seen, now);
        if self.settings.eject_after == 0 {
            return;
        }
        self.crowd.see(answer.client, now);
        let Some(seat) = &mut self.seats[index] else { return };
        if answer.tally == Tallied::Now {
            seat.outlier.tally(now);
        }
    }

    /// Whether it is ejected for that answer, which was counted.
    #[cold]
    pub(in super::super) fn judge(&mut self, index: usize, answer: &Answer, now: Instant) {
        match answer.grade {
            Grade::Faulty if self.settings.eject_after > 0 => {
                self.on_fault(index, answer.client, now);
            }
            Grade::Bad if self.settings.eject_after > 0 => {
                self.on_bad(index, answer.client, now);
            }
            _ => {}
        }
    }

    /// An answer of it was whole, and if it had a status, that was below 500.
    pub(in super::super) fn on_good(&mut self, index: usize) {
        if let Some(seat) = &mut self.seats[index] {
            seat.outlier.good();
        }
    }

    /// Its machine, or who claims to be that, refused a datagram: so many in a row are too many.
    pub(in super::super) fn on_refusal(&mut self, index: usize, limit: u32, now: Instant) {
        let Some(seat) = &mut self.seats[index] else { return };
        if seat.outlier.refused(limit, now) {
            self.eject(index, EjectCause::Refusals(limit), now);
        }
    }

    /// Datagrams came from it.
    pub(in super::super) fn on_heard(&mut self, index: usize, now: Instant) {
        if let Some(seat) = &mut self.seats[index] {
            seat.outlier.heard(now);
        }
    }

    /// It cannot serve, or what it said is no answer. Once too often, it is ejected.
    fn on_bad(&mut self, index: usize, client: IpAddr, now: Instant) {
        let needed = self.crowd.needed(now);
        let Some(seat) = &mut self.seats[index] else { return };
        match seat.outlier.bad(client, needed, self.settings.eject_after) {
            Some(count) => self.eject(index, EjectCause::BadAnswers(count), now),
            None => self.on_fault(index, client, now),
        }
    }

    /// Another answer of it did not serve its client: it is ejected if those of the others do.
    fn on_fault(&mut self, index: usize, client: IpAddr, now: Instant) {
        let needed = self.crowd.needed(now);
        let Some(seat) = &mut self.seats[index] else { return };
        seat.outlier.tally_fault(client);
        let too_soon = self.compared_at.is_some_and(|at| now < at + EJECT_LOOKS);
        if too_soon || !seat.outlier.is_faulty(needed, self.settings.eject_after) {
            return;
        }
        let own = seat.outlier.lately(now);
        if own.answers < EJECT_ANSWERS_MIN {
            return;
        }
        self.compared_at = Some(now);
        let mut rest = Tally::default();
        for (other, seat) in self.seats.iter_mut().enumerate() {
            if let Some(seat) = seat.as_mut().filter(|_| other != index) {
                rest = rest + seat.outlier.lately(now);
            }
        }
        if stands_out(own, rest) {
            self.eject(index, EjectCause::Faults(own, rest), now);
        }
    }

    /// Leave it out, if the pool can do without: never the last one that takes requests, and never
    /// more than half of those that are up. If all answer badly, the fault is not with one of them.
    fn eject(&mut self, index: usize, cause: EjectCause, now: Instant) {
        let able = || self.taken().filter(|&(at, _)| self.is_able(at));
        let out = able().filter(|(_, seat)| seat.outlier.is_out()).count();
        if !self.is_able(index) || !may_spare(able().count(), out) {
            return;
        }
        let Some(seat) = &mut self.seats[index] else { return };
        let seconds = seat.outlier.eject(cause, now).as_secs();
        self.ejected += 1;
        let name = &self.candidates[index].name;
        warn!("{}backend {name} is ejected for {seconds} s: {cause}", self.prefix());
        self.update(index);
    }

    /// Whether it is up and wanted, ejected or not.
    fn is_able(&self, index: usize) -> bool {
        let up = self.seat(index).is_some_and(|seat| seat.is_up() && seat.is_ready());
        up && self.candidates[index].weight > 0
    }

    /// If nobody takes requests any more, those that are ejected are better than nobody.
    pub(super) fn recall_if_nobody_serves(&mut self) {
        let serves =
            |(at, seat): (usize, &super::Seat)| self.is_able(at) && !seat.outlier.is_out();
        if self.ejected > 0 && !self.taken().any(serves) {
            self.take_back_those(Outlier::recall, None);
        }
    }

    /// When the next one that is ejected may come back.
    pub(in super::super) fn next_return(&self) -> Option<Instant> {
        if self.ejected == 0 {
            return None;
        }
        self.taken().filter_map(|(_, seat)| seat.outlier.out_until()).min()
    }

    /// Take back in those whose time is over: each begins slowly, as one that was down does.
    pub(in super::super) fn take_back(&mut self, now: Instant) {
        if self.ejected > 0 {
            self.take_back_those(|outlier| outlier.come_back(now), Some(now));
        }
    }

    /// The weights of those that return grow from `slowly_from` on; without that they have all of
    /// it at once, for nobody else is there to carry the load meanwhile.
    fn take_back_those(
        &mut self,
        returns: impl Fn(&mut Outlier) -> bool,
        slowly_from: Option<Instant>,
    ) {
        for index in 0..self.seats.len() {
            let Some(seat) = &mut self.seats[index] else { continue };
            if returns(&mut seat.outlier) {
                self.ejected -= 1;
                let name = &self.candidates[index].name;
                info!("{}backend {name} is no longer ejected", self.prefix());
                if let Some(now) = slowly_from.filter(|_| self.is_able(index)) {
                    self.end_ramp(index);
                    self.begin_ramp(index, now);
                }
                self.update(index);
            }
        }
    }

    /// Forget that it was ejected, for it leaves.
    pub(super) fn recall_one(&mut self, index: usize) {
        let Some(seat) = &mut self.seats[index] else { return };
        self.ejected -= usize::from(seat.outlier.recall());
    }
}
