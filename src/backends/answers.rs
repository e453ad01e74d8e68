//! What answers say of a server: its counters, and what each of its pools makes of them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::{PoolId, ServerId};
use crate::stats::snapshot::Quantiles;
use crate::stats::traffic::Traffic;
use crate::stats::{Each, Failure, each_time};

use super::Backends;
use super::eject::{Came, Grade};
use super::pool::Pool;
use super::pool::outliers::{Answer, Tallied};

impl Backends {
    /// The head of an answer of it to this client came, so long after the request.
    pub fn answered(
        &mut self,
        id: ServerId,
        client: IpAddr,
        status: u16,
        took: Duration,
        now: Instant,
    ) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.counts.count_answer(status);
        server.times.record(took, now);
        let answer = Answer { grade: Grade::of(status), tally: Tallied::Now, client, took };
        self.on_answer(id, &answer, now);
    }

    /// What is done for the clients of this pool, if it is there.
    #[inline]
    pub fn traffic(&mut self, pool: Option<PoolId>) -> Option<&mut Traffic> {
        self.pools.get_mut(pool?).map(|pool| &mut pool.traffic)
    }

    /// All that is counted of this pool, by name.
    pub fn each_sum_of_pool(&mut self, id: PoolId, each: Each<'_>) {
        let Some(pool) = self.pools.get_mut(id) else { return };
        pool.traffic.each_sum(each);
        pool.queue.counts.each_sum(each);
        each("retries", &mut pool.budget.allowed);
        each("retries_over_budget", &mut pool.budget.refused);
    }

    /// For how long this server was down.
    pub fn each_sum_of_server(&mut self, id: ServerId, now: Instant, each: Each<'_>) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let before = server.downtime(now);
        let mut time = before;
        each_time("down_ns", &mut time, each);
        server.was_down += time.saturating_sub(before);
    }

    /// An answer was whole, and if it had a status, that was below 500.
    pub fn behaved(&mut self, id: ServerId) {
        self.each_seat(id, Pool::on_good);
    }

    /// A request to it came to nothing.
    pub fn unanswered(&mut self, id: ServerId, failure: Failure) {
        if let Some(server) = self.servers.get_mut(id) {
            server.counts.count_failure(failure);
        }
    }

    /// Nobody looks each second at what is done for the clients of pools.
    pub fn unwatch(&mut self) {
        self.pools.iter_mut().for_each(|(_, pool)| pool.traffic.unwatch());
    }

    /// Somebody went on to another one because it failed.
    pub fn moved_on(&mut self, id: ServerId) {
        if let Some(server) = self.servers.get_mut(id) {
            server.counts.moved_on += 1;
        }
    }

    /// Its response times of the last minute or two.
    pub fn response_times(&self, id: ServerId, now: Instant) -> Option<Quantiles> {
        let times = &self.servers.get(id)?.times;
        let [p50, p90, p99] = times.quantiles([0.5, 0.9, 0.99], now)?;
        Some(Quantiles { p50, p90, p99 })
    }

    /// It answered this client that it cannot serve, or with what is no answer, and so much of that
    /// `came`. Once too often, pools that can do without it eject it for a while.
    pub fn misbehaved(
        &mut self,
        id: ServerId,
        came: Came,
        client: IpAddr,
        took: Duration,
        now: Instant,
    ) {
        let tally = match came {
            Came::Head => Tallied::Before,
            Came::Nothing => Tallied::Now,
        };
        let answer = Answer { grade: Grade::Bad, tally, client, took };
        self.on_answer(id, &answer, now);
    }

    fn on_answer(&mut self, id: ServerId, answer: &Answer, now: Instant) {
        self.each_seat(id, |pool, seat| pool.on_answer(seat, answer, now));
        if matches!(answer.grade, Grade::Bad | Grade::Faulty) {
            self.change_seats(id, |pool, seat| pool.judge(seat, answer, now));
        }
    }

    /// When the next one that is ejected may come back.
    pub fn next_return(&self) -> Option<Instant> {
        let next = |pool: &Pool| pool.next_return().into_iter().chain(pool.next_rested()).min();
        self.pools.restless().filter_map(next).min()
    }

    /// Take back in those whose time is over.
    pub fn take_back(&mut self, now: Instant) {
        self.pools.change_restless(|pool| {
            pool.take_back(now);
            pool.end_rests(now);
        });
    }

    /// Let every pool act in which this server has a seat, where nobody begins or ends to change by
    /// the clock.
    pub(super) fn each_seat(&mut self, id: ServerId, mut act: impl FnMut(&mut Pool, usize)) {
        let Some(server) = self.servers.get(id) else { return };
        for place in &server.seats {
            if let Some(pool) = self.pools.get_mut(place.pool) {
                act(pool, place.index as usize);
            }
        }
    }

    /// The same where somebody may.
    pub(super) fn change_seats(&mut self, id: ServerId, mut act: impl FnMut(&mut Pool, usize)) {
        let Some(server) = self.servers.get(id) else { return };
        for place in &server.seats {
            self.pools.change(place.pool, |pool| act(pool, place.index as usize));
        }
    }
}
