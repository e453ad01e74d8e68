//! What probes and connects say of the backends: who goes down, who comes back, and how gently.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, error, info};

use crate::balance::Observation;
use crate::config::{AllDown, Key, Spelling};
use crate::limits::{SLOW_START_PERCENT_MIN, SLOW_START_STEPS, WEIGHT_ONE};
use crate::net::Fault;

use super::{BackendId, Backends, Cause, Course, Flip, Place, PoolId};

impl Backends {
    /// Mention settings as the operator writes them.
    pub fn spell(&mut self, spelling: Spelling) {
        self.spelling = spelling;
    }

    /// The address that this attempt is at took a connection, or passed a probe: it is in use from
    /// now on.
    pub fn settle(&mut self, id: BackendId, course: Course) {
        let backend = &mut self.list[id.0 as usize];
        let before = backend.address();
        if course.has_turned() && backend.addresses.settle(course) {
            let (name, address) = (&backend.name, backend.address());
            info!(
                "backend {name}: {address} is used from now on, for {before} does not answer"
            );
        }
    }

    /// The address refused datagrams. Says whether its backend has another one that did not, and
    /// whoever comes next is sent there.
    pub fn address_refused(&mut self, id: BackendId, address: SocketAddr) -> bool {
        let backend = &mut self.list[id.0 as usize];
        let before = backend.address();
        let has_others = backend.addresses.refuse(address);
        let (name, now_used) = (&backend.name, backend.address());
        if now_used != before {
            info!("backend {name}: {now_used} is used from now on, for {before} refuses");
        }
        has_others
    }

    /// It took a connection after so long.
    pub fn connected(&mut self, id: BackendId, took: Duration, now: Instant) {
        self.observe(id, Observation::Connected(took), now);
    }

    /// It refused a connection, or did not answer: that counts as a failed probe. Without probes
    /// it does not, for nothing would bring the backend up again; and what clients ran into never
    /// takes down the last backend of a pool that is up: the next probes decide that.
    pub fn connect_failed(
        &mut self,
        id: BackendId,
        fault: Fault,
        took: Duration,
        now: Instant,
    ) {
        self.failed(id, &format!("a connect {fault}"), took, now);
    }

    /// Its machine refused a client's datagram, or there is no way to it: so it is said, but who
    /// says it can be anybody. It asks for a probe now, and counts for nothing by itself. Without
    /// probes, so many in a row leave it out for a while, slowly and while no answer comes: who
    /// answers nothing looks idle.
    pub fn datagram_failed(&mut self, id: BackendId, fault: Fault, now: Instant) {
        let backend = &mut self.list[id.0 as usize];
        debug!("backend {}: a datagram {fault}", backend.name);
        backend.counts.failures += 1;
        if self.policy.probed {
            if !std::mem::replace(&mut backend.probe_wanted, true) {
                self.probes_wanted.push(id);
            }
            return;
        }
        let limit = self.policy.rise_fall.fall;
        if backend.conduct.refused(limit, now) {
            self.eject(id, Cause::Refusals(limit), now);
        }
    }

    /// Whether probes are wanted before their time.
    pub fn wants_probes(&self) -> bool {
        !self.probes_wanted.is_empty()
    }

    /// Whose probes are wanted before their time, since the last call.
    pub fn take_probes_wanted(&mut self) -> Vec<BackendId> {
        let wanted = std::mem::take(&mut self.probes_wanted);
        wanted.iter().for_each(|id| self.list[id.0 as usize].probe_wanted = false);
        wanted
    }

    /// The first answer of a flow came from it, after so long.
    pub fn datagram_answered(&mut self, id: BackendId, took: Duration, now: Instant) {
        self.list[id.0 as usize].addresses.answered();
        self.connected(id, took, now);
    }

    /// Answers came from it by datagram.
    pub fn datagram_heard(&mut self, id: BackendId, now: Instant) {
        self.list[id.0 as usize].conduct.heard(now);
    }

    /// A probe was answered well, perhaps with a load.
    pub fn probe_passed(&mut self, id: BackendId, load: Option<f64>, now: Instant) {
        if let Some(load) = load {
            self.list[id.0 as usize].load = Some(load);
            self.observe(id, Observation::Load(load), now);
        }
        self.result(id, Ok(()), now);
    }

    /// A probe failed, for a reason in words.
    pub fn probe_failed(&mut self, id: BackendId, reason: &str, now: Instant) {
        self.result(id, Err(reason), now);
    }

    /// Whether somebody went up or down since they were taken.
    pub fn has_flips(&self) -> bool {
        !self.flips.is_empty()
    }

    /// Who went up or down since the last call.
    pub fn take_flips(&mut self) -> Vec<(BackendId, Flip)> {
        std::mem::take(&mut self.flips)
    }

    /// How long the steps of the slow starts under way are; `None` if there are none.
    pub fn ramp_step(&self) -> Option<Duration> {
        (self.ramping > 0).then(|| self.policy.slow_start / SLOW_START_STEPS)
    }

    /// Raise the weights of those in a slow start to where they belong now.
    pub fn step_ramps(&mut self, now: Instant) {
        for index in 0..self.list.len() {
            if self.list[index].ramp_from.is_some() {
                self.step_ramp(index, now);
                self.refresh(index);
            }
        }
    }

    /// The weight in force of one in a slow start; the caller tells its pools.
    pub(super) fn step_ramp(&mut self, index: usize, now: Instant) {
        let backend = &mut self.list[index];
        let Some(from) = backend.ramp_from else { return };
        let weight = backend.weight * WEIGHT_ONE;
        let passed = now.saturating_duration_since(from);
        let share = passed.as_secs_f64() / self.policy.slow_start.as_secs_f64();
        let floor = f64::from(SLOW_START_PERCENT_MIN) / 100.0;
        if share >= 1.0 {
            backend.ramp_from = None;
            self.ramping -= 1;
        }
        let ramped = (f64::from(weight) * share.clamp(floor, 1.0)) as u32;
        backend.effective_weight = ramped.max(1);
    }

    fn failed(&mut self, id: BackendId, reason: &str, took: Duration, now: Instant) {
        self.list[id.0 as usize].counts.failures += 1;
        self.observe(id, Observation::Failed(took), now);
        let is_only = |place: &Place| self.pools[usize::from(place.pool.0)].up == 1;
        let last_one = self[id].state.is_up() && self[id].places.iter().any(is_only);
        if self.policy.probed && !last_one {
            self.result(id, Err(reason), now);
        }
    }

    /// One result, of a probe or a connect.
    fn result(&mut self, id: BackendId, result: Result<(), &str>, now: Instant) {
        let backend = &mut self.list[id.0 as usize];
        let Some(flip) = backend.state.observe(result.is_ok(), self.policy.rise_fall) else {
            return;
        };
        let lasted = now.saturating_duration_since(backend.since).as_secs_f64();
        backend.since = now;
        match (flip, result) {
            (Flip::Down, Err(reason)) => {
                backend.down_reason = reason.into();
                info!("backend {} is down after {lasted:.1} s up: {reason}", backend.name);
            }
            _ => info!("backend {} is up after {lasted:.1} s down", backend.name),
        }
        self.flips.push((id, flip));
        self.set_ramp(id.0 as usize, flip, now);
        let changed = self.count_flip(id, flip);
        changed.iter().for_each(|&pool| self.say_pool(pool, id, flip));
        if flip == Flip::Down {
            self.recall(id);
        }
        self.refresh(id.0 as usize);
        if self.policy.all_down == AllDown::Spread {
            changed.into_iter().for_each(|pool| self.refresh_pool(pool));
        }
    }

    /// The last one of a pool went down, or the first one is back.
    fn say_pool(&self, id: PoolId, backend: BackendId, flip: Flip) {
        let pool = self.pool(id);
        let route = if id == PoolId::default() { "" } else { "route " };
        let (name, count) = (&pool.name, pool.len());
        match (flip, self.policy.all_down) {
            (Flip::Up, _) => {
                error!("{route}{name}: backend {} is there again", self[backend].name);
            }
            (Flip::Down, AllDown::Refuse) => {
                error!("{route}{name}: nobody is left: {count} of {count} backends are down");
            }
            (Flip::Down, AllDown::Spread) => error!(
                "{route}{name}: nobody is left: {count} of {count} backends are down, and all of \
                 them are tried ({})",
                (self.spelling.with_value)(Key::ALL_DOWN, "spread")
            ),
        }
    }

    /// Says in which pools the first one came up, or the last one went down.
    fn count_flip(&mut self, id: BackendId, flip: Flip) -> Vec<PoolId> {
        let mut changed = Vec::new();
        for place in &self.list[id.0 as usize].places {
            let pool = &mut self.pools[usize::from(place.pool.0)];
            let none_was_up = pool.up == 0;
            pool.up = match flip {
                Flip::Up => pool.up + 1,
                Flip::Down => pool.up - 1,
            };
            if none_was_up != (pool.up == 0) {
                changed.push(place.pool);
            }
        }
        changed
    }

    /// A backend that comes back begins a slow start; one that goes down again ends it.
    fn set_ramp(&mut self, index: usize, flip: Flip, now: Instant) {
        let ramps = flip == Flip::Up
            && !self.policy.slow_start.is_zero()
            && self.list[index].weight > 0;
        self.ramping -= usize::from(self.list[index].ramp_from.is_some());
        self.ramping += usize::from(ramps);
        self.list[index].ramp_from = ramps.then_some(now);
        let weight = self.list[index].weight * WEIGHT_ONE;
        let percent = if ramps { SLOW_START_PERCENT_MIN } else { 100 };
        let effective = u64::from(weight) * u64::from(percent) / 100;
        self.list[index].effective_weight = effective as u32;
    }
}
