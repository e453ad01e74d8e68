//! What probes and connects say of servers: who goes down, and who comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, info};

use crate::balance::Observation;
use crate::config::Spelling;
use crate::event::ServerId;
use crate::net::Fault;
use crate::stats::BackendCounts;

use super::pool::{Pool, SeatPlace};
use super::seat::Presence;
use super::{Backends, Course, Flip, RiseFall, Server, ServerState};

/// By whose word a result is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToldBy {
    Probe,
    Clients,
}

impl Backends {
    /// Mention settings as the operator writes them.
    pub fn spell(&mut self, spelling: Spelling) {
        self.spelling = spelling;
    }

    /// The address that this attempt is at took a connection, or passed a probe: it is in use from
    /// now on.
    pub fn settle(&mut self, id: ServerId, course: Course) {
        let Some(server) = self.servers.get_mut(id).filter(|_| course.has_turned()) else {
            return;
        };
        let before = server.address().cloned();
        if server.addresses.settle(course)
            && let Some((address, before)) = server.address().zip(before)
        {
            let name = &server.name;
            info!(
                "backend {name}: {address} is used from now on, for {before} does not answer"
            );
        }
    }

    /// The address refused datagrams. Says whether its server has another one that did not, and
    /// whoever comes next is sent there.
    pub fn address_refused(&mut self, id: ServerId, address: SocketAddr) -> bool {
        let Some(server) = self.servers.get_mut(id) else { return false };
        let before = server.address().cloned();
        let has_others = server.addresses.refuse(&address.into());
        let name = &server.name;
        if let Some((now_used, before)) = server.address().zip(before)
            && *now_used != before
        {
            info!("backend {name}: {now_used} is used from now on, for {before} refuses");
        }
        has_others
    }

    /// It took a connection after so long.
    pub fn connected(&mut self, id: ServerId, took: Duration, now: Instant) {
        self.observe(id, Observation::Connected(took), now);
    }

    /// It refused a connection, or did not answer: that counts as a failed probe. Without probes
    /// it does not, for nothing would bring the server up again; nor where it is the last one that
    /// is up in each of its pools: the next probes decide that.
    pub fn connect_failed(&mut self, id: ServerId, fault: Fault, took: Duration, now: Instant) {
        self.observe(id, Observation::Failed(took), now);
        let Some(server) = self.servers.get_mut(id) else { return };
        server.counts.failures += 1;
        let probed = server.is_probed();
        self.change_seats(id, |pool, seat| pool.rest(seat, now));
        if probed && !self.is_last_everywhere(id) {
            self.result(id, Err(&format!("a connect {fault}")), ToldBy::Clients, now);
        }
    }

    fn is_last_everywhere(&self, id: ServerId) -> bool {
        let Some(server) = self.servers.get(id) else { return true };
        let is_last = |place: &SeatPlace| {
            let pool = self.pools.get(place.pool);
            pool.is_some_and(|pool| pool.is_last(place.index as usize))
        };
        server.state.is_up() && server.seats.iter().all(is_last)
    }

    /// Its machine refused a client's datagram, or there is no way to it: so it is said, but who
    /// says it can be anybody. It asks for a probe now, and counts for nothing by itself. Without
    /// probes, so many in a row leave it out for a while, slowly and while no answer comes: who
    /// answers nothing looks idle.
    pub fn datagram_failed(&mut self, id: ServerId, fault: Fault, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        debug!("backend {}: a datagram {fault}", server.name);
        server.counts.failures += 1;
        if server.is_probed() {
            if !std::mem::replace(&mut server.probe_wanted, true) {
                self.probes_wanted.push(id);
            }
            return;
        }
        let limit = server.check.rise_fall.fall;
        self.change_seats(id, |pool, seat| pool.on_refusal(seat, limit, now));
    }

    /// Whether probes are wanted before their time.
    pub fn wants_probes(&self) -> bool {
        !self.probes_wanted.is_empty()
    }

    /// Whose probes are wanted before their time, since the last call.
    pub fn take_probes_wanted(&mut self) -> Vec<ServerId> {
        let wanted = std::mem::take(&mut self.probes_wanted);
        for &id in &wanted {
            if let Some(server) = self.servers.get_mut(id) {
                server.probe_wanted = false;
            }
        }
        wanted
    }

    /// The first answer of a flow came from it, after so long.
    pub fn datagram_answered(&mut self, id: ServerId, took: Duration, now: Instant) {
        if let Some(server) = self.servers.get_mut(id) {
            server.addresses.answered();
        }
        self.connected(id, took, now);
    }

    /// Answers came from it by datagram.
    pub fn datagram_heard(&mut self, id: ServerId, now: Instant) {
        self.each_seat(id, |pool, seat| pool.on_heard(seat, now));
    }

    /// It said how busy it is, otherwise than to a probe.
    pub fn report_load(&mut self, id: ServerId, load: f64, now: Instant) {
        if let Some(server) = self.servers.get_mut(id) {
            server.load = Some(load);
            self.observe(id, Observation::Load(load), now);
        }
    }

    /// A probe was answered well, perhaps with a load.
    pub fn probe_passed(&mut self, id: ServerId, load: Option<f64>, now: Instant) {
        if let Some(load) = load {
            if let Some(server) = self.servers.get_mut(id) {
                server.load = Some(load);
            }
            self.observe(id, Observation::Load(load), now);
        }
        self.result(id, Ok(()), ToldBy::Probe, now);
    }

    /// A probe failed, for a reason in words.
    pub fn probe_failed(&mut self, id: ServerId, reason: &str, now: Instant) {
        self.result(id, Err(reason), ToldBy::Probe, now);
    }

    /// It was down when another process looked at it last: it starts so, and is probed at once.
    /// Without probes nothing would bring it up.
    pub fn start_down(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if !server.is_probed() {
            return;
        }
        let fall = server.check.rise_fall.fall;
        if !std::mem::replace(&mut server.probe_wanted, true) {
            self.probes_wanted.push(id);
        }
        let is_down = |it: &Backends| matches!(it[id].state, ServerState::Down(_));
        for _ in 0..fall {
            if !is_down(self) {
                self.probe_failed(id, "it was down before the restart", now);
            }
        }
    }

    /// What another process counted of it before.
    pub fn add_counts(&mut self, id: ServerId, counts: BackendCounts) {
        if let Some(server) = self.servers.get_mut(id) {
            server.counts.add(counts);
        }
    }

    /// An operator says that it is up, or down: as many probes at once as it takes. The next ones
    /// may say otherwise.
    pub fn told(&mut self, id: ServerId, is_up: bool, now: Instant) {
        let can_be = |it: &&Server| it.check.probed && it.is_found();
        let Some(server) = self.servers.get(id).filter(can_be) else { return };
        let RiseFall { rise, fall } = server.check.rise_fall;
        for _ in 0..if is_up { rise } else { fall } {
            let result = if is_up { Ok(()) } else { Err("an operator says so") };
            self.result(id, result, ToldBy::Probe, now);
        }
    }

    /// Whether somebody went up or down since they were taken.
    pub fn has_flips(&self) -> bool {
        !self.flips.is_empty()
    }

    /// Who went up or down since the last call.
    pub fn take_flips(&mut self) -> Vec<(ServerId, Flip)> {
        std::mem::take(&mut self.flips)
    }

    /// How long the shortest steps of the slow starts under way are; `None` if there are none.
    pub fn ramp_step(&self) -> Option<Duration> {
        self.pools.restless().filter_map(Pool::ramp_step).min()
    }

    /// Raise the weights of those in a slow start to where they belong now.
    pub fn step_ramps(&mut self, now: Instant) {
        self.pools.change_restless(|pool| pool.step_ramps(now));
    }

    /// One result. That it is down is known for sure once a probe says so.
    fn result(&mut self, id: ServerId, result: Result<(), &str>, word: ToldBy, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let before = server.view().presence;
        let down_until_now = server.downtime(now);
        server.counts.check_failures += u64::from(result.is_err() && word == ToldBy::Probe);
        let flip = server.state.observe(result.is_ok(), server.check.rise_fall);
        match (flip, result, word) {
            (Some(Flip::Down), _, ToldBy::Clients) => server.is_suspected = true,
            (_, Err(_), ToldBy::Probe) | (Some(Flip::Up), _, _) => server.is_suspected = false,
            _ => {}
        }
        let presence = server.view().presence;
        if let Some(flip) = flip {
            let lasted = now.saturating_duration_since(server.since).as_secs_f64();
            server.since = now;
            server.was_down = down_until_now;
            server.counts.downs += u64::from(flip == Flip::Down);
            match (flip, result) {
                (Flip::Down, Err(reason)) => {
                    server.down_reason = reason.into();
                    info!("backend {} is down after {lasted:.1} s up: {reason}", server.name);
                }
                _ => info!("backend {} is up after {lasted:.1} s down", server.name),
            }
            self.flips.push((id, flip));
        }
        if flip.is_none() && presence == Presence::Down && before == Presence::Suspected {
            // Now it is down for those pools as well that went on with it.
            self.flips.push((id, Flip::Down));
        }
        if presence != before {
            let spelling = self.spelling;
            self.change_seats(id, |pool, seat| pool.on_presence(seat, presence, spelling, now));
        }
    }
}
