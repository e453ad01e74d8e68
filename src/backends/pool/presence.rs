//! Who of a pool is up and is to have work, and what it means that nobody is.

use std::time::Instant;

use log::{error, info};

use super::super::seat::Presence;
use super::Pool;
use crate::config::{AllDown, SettingKey, Spelling};

impl Pool {
    /// Its server went up or down.
    pub(in super::super) fn on_presence(
        &mut self,
        index: usize,
        presence: Presence,
        spelling: Spelling,
        now: Instant,
    ) {
        let none_was_up = self.up == 0;
        let had_anybody = self.has_anybody();
        self.set_presence(index, presence);
        self.end_ramp(index);
        if presence == Presence::Up {
            self.begin_ramp(index, now);
        }
        let lost_all =
            if none_was_up { had_anybody && !self.has_anybody() } else { self.up == 0 };
        if lost_all {
            self.say_nobody_is_left(spelling);
        } else if none_was_up && self.up > 0 {
            self.say_there_again(index);
        }
        if presence != Presence::Up {
            self.recall_if_nobody_serves();
        }
        self.update(index);
        self.follow_presence(none_was_up);
    }

    /// What a server is to this pool from now on. One that only clients call down is tried on
    /// where it was the last one, until a probe says the same or another one is up; elsewhere it is
    /// down.
    pub(super) fn set_presence(&mut self, index: usize, presence: Presence) {
        let Some(seat) = &mut self.seats[index] else { return };
        let was_last = self.up == 1 && seat.serves || seat.presence == Presence::Suspected;
        let presence = match presence {
            Presence::Suspected if !was_last => Presence::Down,
            other => other,
        };
        let before = std::mem::replace(&mut seat.presence, presence);
        let change = |what| (usize::from(presence == what), usize::from(before == what));
        let (is_suspected, was_suspected) = change(Presence::Suspected);
        self.suspected = self.suspected + is_suspected - was_suspected;
        self.recount_up(index);
        if self.up > 0 && self.suspected > 0 {
            self.give_up_suspected();
        }
    }

    /// Whether it is one of those that are up and are to have work may be another matter now.
    pub(super) fn recount_up(&mut self, index: usize) {
        let has_weight = self.candidates[index].weight > 0;
        let Some(seat) = &mut self.seats[index] else { return };
        let serves = seat.is_up() && seat.is_ready() && has_weight;
        let served = std::mem::replace(&mut seat.serves, serves);
        self.up = self.up + usize::from(serves) - usize::from(served);
    }

    fn give_up_suspected(&mut self) {
        for seat in self.seats.iter_mut().flatten() {
            if seat.presence == Presence::Suspected {
                seat.presence = Presence::Down;
            }
        }
        self.suspected = 0;
    }

    pub(super) fn say_there_again(&self, index: usize) {
        let name = &self.candidates[index].name;
        info!("{}: backend {name} is there again", self.label());
    }

    /// The last one of the pool went down, or was told to have no work.
    pub(super) fn say_nobody_is_left(&self, words: Spelling) {
        let label = self.label();
        let count = self.len();
        let down = self.taken().filter(|(_, seat)| !seat.is_up()).count();
        let others = if down == count { "" } else { " and the others are to have no work" };
        let so = match self.settings.all_down {
            AllDown::Spread => {
                let spread = (words.with_value)(SettingKey::ALL_DOWN, "spread");
                format!(", and all of them are tried ({spread})")
            }
            AllDown::Refuse if self.suspected > 0 => {
                ", and the last one is tried until a probe says it, too".to_owned()
            }
            AllDown::Refuse => String::new(),
        };
        error!("{label}: nobody is left: {down} of {count} backends are down{others}{so}");
    }

    /// Whether anybody is up decides who else is worth a try.
    pub(super) fn follow_presence(&mut self, none_was_up: bool) {
        if none_was_up != (self.up == 0) {
            (0..self.seats.len()).for_each(|index| self.update(index));
        }
    }
}
