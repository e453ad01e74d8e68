//! A pool: seats, the algorithm that chooses among them, and the rules for all of them.
//!
//! A server may have seats in several pools. It is one server all the same: probed once, its
//! connections counted together. What a pool makes of that is its own: its rules say who is ejected
//! ([`outliers`]), how a weight grows after a return ([`ramps`]), and what happens while nobody is
//! up. A member keeps its seat for as long as it is in the pool; see [`Candidates`].
//!
//! ```text
//!   available = up, or nobody of the pool is and it is worth a try (--all-down spread, or it was
//!               the last one and only clients call it down); room for one more; weight above 0;
//!               ready, as its operator says; not ejected; not tried by this client just now
//!   eligible  = available, and no backup unless no other member is available
//! ```

pub(super) mod outliers;
pub(super) mod picture;
mod presence;
pub(super) mod preview;
mod ramps;
pub(super) mod rests;

use std::fmt;
use std::time::Instant;

use crate::balance::{Ask, Balance, Candidate, Candidates, Observation, Work};
use crate::config::{AdminState, AllDown, MAIN, PoolSettings, Spelling, StickyDrain};
use crate::event::{PoolId, ServerId};
use crate::http::added::Cookie;
use crate::limits::WEIGHT_ONE;
use crate::stats::traffic::Traffic;

use super::eject::Crowd;
use super::queue::Queue;
use super::retry_budget::RetryBudget;
use super::seat::{Presence, Seat, SeatPlan, View};
use super::sticky::{StickyKey, Tokens};
use super::{Server, Servers};

/// What is known of a pool before there is one.
pub struct PoolPlan {
    /// What logs call it.
    pub name: String,
    /// Who chooses.
    pub balance: Box<dyn Balance>,
    /// Its rules.
    pub settings: PoolSettings,
    /// What its sticky cookies are made with, if it has such.
    pub sticky_key: Option<StickyKey>,
}

/// A server's seat in one of its pools.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeatPlace {
    pub pool: PoolId,
    pub index: u32,
}

/// Seats, who chooses among them, and the rules for all of them.
pub struct Pool {
    /// What logs call it.
    pub name: Box<str>,
    /// Its rules.
    pub settings: PoolSettings,
    /// What was counted of it.
    pub traffic: Traffic,
    /// `None` is vacant; the same seats as in `candidates`.
    seats: Vec<Option<Seat>>,
    pub(super) candidates: Candidates,
    pub(super) balance: Box<dyn Balance>,
    /// How many are up and are to have work.
    up: usize,
    /// How many are tried although clients call them down.
    suspected: usize,
    /// Connections to all of them.
    busy: u64,
    /// How many are available and no backup.
    primaries: usize,
    /// How many are available.
    pub(super) available: usize,
    /// How many are in a slow start.
    ramping: usize,
    /// How many are ejected for their bad answers.
    ejected: usize,
    /// How many rest, for they did not take a connection.
    resting: usize,
    /// Clients that were here lately.
    crowd: Crowd,
    /// Its retries, and the requests that pay for them.
    pub(super) budget: RetryBudget,
    /// When the answers of its members were last compared.
    compared_at: Option<Instant>,
    /// Clients and flows that are its own; they keep it from being freed.
    pub(super) users: u64,
    /// Its sticky cookie.
    pub(super) tokens: Tokens,
    /// Clients that wait for one of its members.
    pub(super) queue: Queue,
}

impl Pool {
    /// A pool without members.
    pub(super) fn new(plan: PoolPlan) -> Pool {
        let tokens = Tokens::new(plan.sticky_key, &plan.settings.sticky);
        Pool {
            name: plan.name.into(),
            settings: plan.settings,
            traffic: Traffic::default(),
            seats: Vec::new(),
            candidates: Candidates::default(),
            balance: plan.balance,
            up: 0,
            suspected: 0,
            busy: 0,
            primaries: 0,
            available: 0,
            ramping: 0,
            ejected: 0,
            resting: 0,
            crowd: Crowd::default(),
            budget: RetryBudget::default(),
            compared_at: None,
            users: 0,
            tokens,
            queue: Queue::default(),
        }
    }

    /// Give a server a seat.
    pub(super) fn join(&mut self, id: ServerId, plan: SeatPlan, server: &Server) -> u32 {
        let view = server.view();
        let index = self.candidates.join(Candidate {
            name: server.name.clone(),
            weight: plan.weight,
            effective_weight: plan.weight * WEIGHT_ONE,
            connections: view.connections,
            eligible: false,
        });
        if index == self.seats.len() {
            self.seats.push(None);
        }
        self.seats[index] = Some(Seat::new(id, plan, view.has_room));
        self.tokens.add(index, &server.name);
        self.busy += u64::from(view.connections);
        let none_was_up = self.up == 0;
        self.set_presence(index, view.presence);
        self.balance.joined(&self.candidates, index);
        self.update(index);
        self.follow_presence(none_was_up);
        index as u32
    }

    /// The server on this seat is no member any more.
    pub(super) fn leave(&mut self, index: usize) {
        self.end_ramp(index);
        self.recall_one(index);
        self.forget_rest(index);
        let Some(seat) = &mut self.seats[index] else { return };
        // Whoever is gone is not available: that calls in the backups, if there is need of them.
        seat.has_room = false;
        self.update(index);
        self.busy -= u64::from(self.candidates[index].connections);
        let none_was_up = self.up == 0;
        self.set_presence(index, Presence::Down);
        if let Some(seat) = self.seats[index].take() {
            self.queue.mark(seat.server);
        }
        self.tokens.remove(index);
        self.candidates.leave(index);
        self.balance.left(&self.candidates, index);
        self.recall_if_nobody_serves();
        self.follow_presence(none_was_up);
    }

    /// It has another weight from now on. A slow start that it is in goes on.
    pub(super) fn reweigh(&mut self, index: usize, weight: u32, words: Spelling, now: Instant) {
        let candidate = self.candidates.candidate_mut(index);
        candidate.weight = weight;
        candidate.effective_weight = weight * WEIGHT_ONE;
        self.step_ramp(index, now);
        self.follow_operator(index, words);
    }

    /// The operator gave it work, or took it.
    fn follow_operator(&mut self, index: usize, words: Spelling) {
        let none_was_up = self.up == 0;
        self.recount_up(index);
        // Nobody is tried in its place any more.
        if self.seat(index).is_some_and(|it| it.presence == Presence::Suspected) {
            self.set_presence(index, Presence::Down);
        }
        self.update(index);
        self.recall_if_nobody_serves();
        self.balance.reweighed(&self.candidates, index);
        self.follow_presence(none_was_up);
        if !none_was_up && self.up == 0 {
            self.say_nobody_is_left(words);
        } else if none_was_up && self.up > 0 {
            self.say_there_again(index);
        }
    }

    /// It is a backup from now on, or none any more.
    pub(super) fn set_backup(&mut self, index: usize, backup: bool) {
        let had_primaries = self.primaries > 0;
        let Some(seat) = &mut self.seats[index] else { return };
        if seat.available && seat.backup != backup {
            self.primaries = if backup { self.primaries - 1 } else { self.primaries + 1 };
        }
        seat.backup = backup;
        self.follow_primaries(had_primaries);
        self.update_eligible(index);
        self.balance.reweighed(&self.candidates, index);
    }

    /// The operator says that it is to have work, or none. One that is ready again begins slowly,
    /// as one that is back.
    pub(super) fn set_admin(
        &mut self,
        index: usize,
        admin: AdminState,
        words: Spelling,
        now: Instant,
    ) {
        let Some(seat) = &mut self.seats[index] else { return };
        let was_ready = seat.is_ready();
        seat.admin = admin;
        let is_ready = seat.is_ready();
        if was_ready != is_ready {
            self.end_ramp(index);
            if is_ready && self.seat(index).is_some_and(Seat::is_up) {
                self.begin_ramp(index, now);
            }
        }
        self.follow_operator(index, words);
    }

    /// Its server has another name.
    pub(super) fn rename(&mut self, index: usize, name: &str) {
        self.candidates.candidate_mut(index).name = name.into();
        self.tokens.remove(index);
        self.tokens.add(index, name);
        self.balance.reweighed(&self.candidates, index);
    }

    /// A new member begins with a slow start, if it is up.
    pub(super) fn begin_slowly(&mut self, index: usize, now: Instant) {
        if self.seat(index).is_some_and(Seat::is_up) {
            self.begin_ramp(index, now);
            self.update(index);
        }
    }

    /// Its rules are these from now on.
    pub(super) fn change(&mut self, settings: PoolSettings) {
        self.settings = settings;
        // Whether those that are down are tried may be another matter now.
        (0..self.seats.len()).for_each(|index| self.update(index));
    }

    /// Its sticky cookie is made with this from now on, or there is none.
    pub(super) fn change_cookie(&mut self, key: Option<StickyKey>) {
        self.tokens = Tokens::new(key, &self.settings.sticky);
        for (index, candidate) in self.candidates.iter() {
            self.tokens.add(index, &candidate.name);
        }
    }

    /// Another algorithm chooses from now on.
    pub(super) fn change_balance(&mut self, balance: Box<dyn Balance>) {
        self.balance = balance;
        for index in 0..self.seats.len() {
            if self.seats[index].is_some() {
                self.balance.joined(&self.candidates, index);
            }
        }
    }

    /// A slice of what the algorithm put off when members changed.
    pub(super) fn work(&mut self, budget: usize) -> Work {
        self.balance.work(&self.candidates, budget)
    }

    /// Whether it is the one that the command line makes of its backends.
    pub fn is_main(&self) -> bool {
        &*self.name == MAIN
    }

    /// Its sticky cookie, if it has one.
    pub fn cookie(&self) -> Option<&Cookie> {
        self.tokens.cookie()
    }

    /// Who is in it.
    pub fn members(&self) -> impl Iterator<Item = ServerId> {
        self.taken().map(|(_, seat)| seat.server)
    }

    /// The seats that are taken.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, &Seat)> {
        let seats = self.seats.iter().enumerate();
        seats.filter_map(|(index, seat)| Some((index, seat.as_ref()?)))
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// How many of them are up and are to have work.
    pub fn up(&self) -> usize {
        self.up
    }

    /// Whether nobody is up, with work or without.
    pub(super) fn all_are_down(&self) -> bool {
        self.up == 0 && !self.taken().any(|(_, seat)| seat.is_up())
    }

    /// Whether the others of it are down, or have no work.
    pub(super) fn is_last(&self, index: usize) -> bool {
        self.up == 1 && self.seat(index).is_some_and(|seat| seat.serves)
    }

    /// Whether there is anybody to be tried: one that is up, or that only clients call down.
    pub fn has_anybody(&self) -> bool {
        self.up + self.suspected > 0
    }

    /// Connections open or being opened to all of them, whoever asked for them.
    pub fn connections(&self) -> u64 {
        self.busy
    }

    /// What logs call it, and what it is.
    pub(super) fn label(&self) -> String {
        if self.is_main() { "pool".to_owned() } else { format!("pool {}", self.name) }
    }

    /// What stands before a line about one of its members, where that may be a member of others.
    fn prefix(&self) -> String {
        if self.is_main() { String::new() } else { format!("pool {}: ", self.name) }
    }

    pub(super) fn pick(&mut self, ask: &Ask) -> Option<ServerId> {
        let picked = self.balance.pick(&self.candidates, ask);
        debug_assert!(picked.is_none_or(|index| self.candidates[index].eligible));
        self.seats[picked?].as_ref().map(|seat| seat.server)
    }

    pub(super) fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)?.as_ref()
    }

    /// Whether it could be picked now.
    pub(super) fn is_eligible(&self, index: usize) -> bool {
        self.candidates[index].eligible
    }

    /// Whether a client with its cookie may have it: it could be picked, or drains and keeps those.
    pub(super) fn keeps(&self, index: usize) -> bool {
        let drains = |seat: &Seat| {
            let keeps = self.settings.sticky.drain == StickyDrain::Keep;
            keeps && seat.admin == AdminState::Drain && self.is_good(seat) && seat.has_room
        };
        self.is_eligible(index)
            || self.seat(index).is_some_and(|seat| !seat.tried && drains(seat))
    }

    /// Whether it could be picked, or kept by a cookie, if it had room.
    pub(super) fn is_only_full(&self, index: usize) -> bool {
        let Some(seat) = self.seat(index) else { return false };
        let keeps = self.settings.sticky.drain == StickyDrain::Keep;
        let drains = keeps && seat.admin == AdminState::Drain && self.is_good(seat);
        let works = self.is_there(seat) && seat.is_ready() && self.candidates[index].weight > 0;
        let in_turn = !seat.backup || self.primaries == 0;
        !seat.has_room && (works && in_turn || drains)
    }

    /// The weight with which it is picked now, in units of 1 / [`WEIGHT_ONE`].
    pub(super) fn weight_in_force(&self, index: usize) -> u32 {
        let there = self.seat(index).is_some_and(|it| it.is_ready() && self.is_there(it));
        if there { self.candidates[index].effective_weight } else { 0 }
    }

    pub(super) fn observe(&mut self, index: usize, seen: Observation, now: Instant) {
        self.balance.observe(&self.candidates, index, seen, now);
    }

    /// The pick that comes leaves it out.
    pub(super) fn leave_out(&mut self, index: usize) {
        if let Some(seat) = &mut self.seats[index] {
            seat.tried = true;
        }
        self.update(index);
    }

    /// It may be picked again.
    pub(super) fn let_in(&mut self, index: usize) {
        if let Some(seat) = &mut self.seats[index] {
            seat.tried = false;
        }
        self.update(index);
    }

    /// Its server has so many connections now, and nothing else changed.
    pub(super) fn recount(&mut self, index: usize, connections: u32) {
        self.count(index, connections);
        self.balance.changed(&self.candidates, index);
    }

    /// The same where that server has a limit.
    pub(super) fn recount_limited(&mut self, index: usize, view: View) {
        self.count(index, view.connections);
        if let Some(seat) = &mut self.seats[index] {
            seat.has_room = view.has_room;
        }
        self.update(index);
    }

    fn count(&mut self, index: usize, connections: u32) {
        let candidate = self.candidates.candidate_mut(index);
        self.busy = self.busy + u64::from(connections) - u64::from(candidate.connections);
        candidate.connections = connections;
    }

    /// Whether it takes requests, or would with another weight or room for one.
    fn is_there(&self, seat: &Seat) -> bool {
        let last_resort = self.up == 0;
        let there = match seat.presence {
            Presence::Up => true,
            Presence::Suspected => last_resort,
            Presence::Down => false,
        };
        let spreads = last_resort && self.settings.all_down == AllDown::Spread;
        (there || spreads) && !seat.outlier.is_out()
    }

    /// Whether nothing speaks against it but the operator.
    fn is_good(&self, seat: &Seat) -> bool {
        seat.is_up() && !seat.outlier.is_out()
    }

    /// Work out anew whether it is available, and with it the backups, if the last of the others
    /// became unavailable or the first available.
    fn update(&mut self, index: usize) {
        let had_primaries = self.primaries > 0;
        let Some(seat) = &self.seats[index] else { return };
        let available = self.is_there(seat)
            && seat.is_ready()
            && seat.has_room
            && !seat.tried
            && !seat.rest.is_on()
            && self.candidates[index].weight > 0;
        let Some(seat) = &mut self.seats[index] else { return };
        if seat.available != available {
            self.available = if available { self.available + 1 } else { self.available - 1 };
        }
        if !seat.backup && seat.available != available {
            self.primaries = if available { self.primaries + 1 } else { self.primaries - 1 };
        }
        seat.available = available;
        self.update_eligible(index);
        self.follow_primaries(had_primaries);
    }

    /// Whether there are others decides about the backups.
    fn follow_primaries(&mut self, had_primaries: bool) {
        if had_primaries != (self.primaries > 0) {
            for index in 0..self.seats.len() {
                if self.seats[index].as_ref().is_some_and(|seat| seat.backup) {
                    self.update_eligible(index);
                }
            }
        }
    }

    fn update_eligible(&mut self, index: usize) {
        let Some(seat) = &self.seats[index] else { return };
        let eligible = seat.available && (!seat.backup || self.primaries == 0);
        self.candidates.candidate_mut(index).eligible = eligible;
        self.balance.changed(&self.candidates, index);
        if !self.queue.is_empty() {
            self.note_awaited(index);
        }
    }

    /// How many of its members change by the clock: if none does, no timer is needed for it.
    pub(super) fn unrest(&self) -> usize {
        self.ramping + self.ejected + self.resting
    }

    /// What this pool and its servers must agree on.
    pub(super) fn check_invariants(&self, id: PoolId, servers: &Servers) {
        let count = |is: fn(&Seat) -> bool| self.taken().filter(|(_, seat)| is(seat)).count();
        assert_eq!(self.up, count(|seat| seat.serves), "up");
        for (index, seat) in self.taken() {
            let is_wanted = seat.is_ready() && self.candidates[index].weight > 0;
            assert_eq!(seat.serves, seat.is_up() && is_wanted, "who serves");
        }
        let suspected = count(|seat| seat.presence == Presence::Suspected);
        assert_eq!(self.suspected, suspected, "suspected");
        assert_eq!(self.primaries, count(|seat| seat.available && !seat.backup), "primaries");
        assert_eq!(self.available, count(|seat| seat.available), "available");
        assert_eq!(self.ejected, count(|seat| seat.outlier.is_out()), "ejected");
        assert_eq!(self.resting, count(|seat| seat.rest.is_on()), "resting");
        assert_eq!(self.ramping, count(|seat| seat.ramp_from.is_some()), "slow starts");
        assert_eq!(count(|seat| seat.tried), 0, "tried outside a pick");
        assert_eq!(self.candidates.seats(), self.seats.len(), "seats");
        assert_eq!(self.candidates.len(), self.taken().count(), "vacant seats");
        self.check_queue();
        self.tokens.check_invariants(|index| self.seat(index).is_some());
        let mut busy = 0;
        for (index, seat) in self.taken() {
            let candidate = &self.candidates[index];
            let server = &servers[seat.server];
            let view = server.view();
            assert_eq!(candidate.connections, view.connections, "a server and its copy");
            let is_known = seat.presence == view.presence
                || seat.presence == Presence::Down && view.presence == Presence::Suspected;
            assert!(
                is_known && seat.has_room == view.has_room,
                "a server and what is known of it"
            );
            assert_eq!(candidate.name, server.name, "names");
            let is_this = |it: &SeatPlace| it.pool == id && it.index as usize == index;
            assert!(server.seats.iter().any(is_this), "a seat and its server");
            busy += u64::from(view.connections);
        }
        assert_eq!(self.busy, busy, "counts and their sum");
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("seats", &self.seats).finish()
    }
}
