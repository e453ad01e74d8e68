//! Who is there, who is in which pool, and with which weight: what may change while the program
//! runs.
//!
//! ```text
//!   add_server, add_pool --> here --remove--> leaving --reap, once nobody counts on it--> gone
//! ```
//!
//! A server that leaves a pool is not given to its clients any more, nor found by their cookies;
//! the connections that it has go on, and are counted as its own. One that is removed leaves all of
//! them. A pool that is removed goes on serving those clients that it has. What the algorithms put
//! off at a change is done in slices by [`Backends::work`].

use std::time::Instant;

use crate::balance::{Balance, Work};
use crate::config::{
    Address, AdminState, OnDown, OnRemoved, PoolSettings, ProxyTlv, SendProxy,
};
use crate::event::{PoolId, ProbeId, ServerId};

use super::pool::{Pool, PoolPlan, SeatPlace};
use super::seat::{Presence, SeatPlan};
use super::server::{Server, ServerPlan};
use super::{Backends, Flip, StickyKey, recount_all};

/// How a member joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joins {
    /// With all of its weight: its pool is new, too.
    AtOnce,
    /// With a slow start, as one that is back.
    Slowly(Instant),
}

impl Backends {
    /// A server that counts as up until its first result, and sits in no pool yet.
    pub fn add_server(&mut self, plan: ServerPlan, now: Instant) -> ServerId {
        self.shortest_idle = self.shortest_idle.min(plan.idle_rules.time);
        self.note_proxy(&plan);
        self.servers.insert(Server::new(plan, now))
    }

    fn note_proxy(&mut self, plan: &ServerPlan) {
        let tlvs = plan.proxy.map(SendProxy::tlvs).unwrap_or_default();
        self.say_authority |= tlvs.has(ProxyTlv::Authority);
    }

    /// Whether some server may be told which server name a client asks for, so that it is kept
    /// until the connection is begun.
    pub fn say_authority(&self) -> bool {
        self.say_authority
    }

    /// A pool without members.
    pub fn add_pool(&mut self, plan: PoolPlan) -> PoolId {
        self.pools.insert(Pool::new(plan))
    }

    /// The server is a member of this pool from now on; nothing happens if it was, or if one of
    /// them leaves.
    pub fn join(&mut self, id: ServerId, pool: PoolId, plan: SeatPlan, joins: Joins) {
        if self.servers.is_leaving(id) || self.place_in(id, pool).is_some() {
            return;
        }
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(joined) = self.pools.get_mut(pool) else { return };
        let index = joined.join(id, plan, server);
        server.seats.push(SeatPlace { pool, index });
        server.joined += 1;
        server.in_maintenance += usize::from(plan.admin == AdminState::Maint);
        if let Joins::Slowly(now) = joins {
            self.pools.change(pool, |pool| pool.begin_slowly(index as usize, now));
        }
        self.put_to_work(pool);
    }

    /// It is no member of this pool any more; nothing happens if it was none.
    pub fn leave(&mut self, id: ServerId, pool: PoolId) {
        let Some(place) = self.place_in(id, pool) else { return };
        let was_in_maintenance = self.admin(id, pool) == Some(AdminState::Maint);
        self.pools.change(pool, |pool| pool.leave(place.index as usize));
        if let Some(server) = self.servers.get_mut(id) {
            server.seats.retain(|place| place.pool != pool);
            server.in_maintenance -= usize::from(was_in_maintenance);
        }
        self.put_to_work(pool);
    }

    /// It has another weight in this pool from now on. A slow start that it is in goes on.
    pub fn reweigh(&mut self, id: ServerId, pool: PoolId, weight: u32, now: Instant) {
        let spelling = self.spelling;
        self.change_seat(id, pool, |pool, seat| pool.reweigh(seat, weight, spelling, now));
    }

    /// It is a backup in this pool from now on, or none any more.
    pub fn set_backup(&mut self, id: ServerId, pool: PoolId, backup: bool) {
        self.change_seat(id, pool, |pool, seat| pool.set_backup(seat, backup));
    }

    /// The operator says in this pool that it is to have work, or none.
    pub fn set_admin(&mut self, id: ServerId, pool: PoolId, admin: AdminState, now: Instant) {
        let Some(before) = self.admin(id, pool) else { return };
        if let Some(server) = self.servers.get_mut(id) {
            server.in_maintenance -= usize::from(before == AdminState::Maint);
            server.in_maintenance += usize::from(admin == AdminState::Maint);
        }
        let spelling = self.spelling;
        self.change_seat(id, pool, |pool, seat| pool.set_admin(seat, admin, spelling, now));
    }

    /// What the operator says of it in this pool.
    pub fn admin(&self, id: ServerId, pool: PoolId) -> Option<AdminState> {
        let place = self.place_in(id, pool)?;
        Some(self.pools.get(pool)?.seat(place.index as usize)?.admin)
    }

    /// Whether somebody works on it: it is asked nothing, for no pool of its wants it.
    pub fn is_in_maintenance(&self, id: ServerId) -> bool {
        self.servers.get(id).is_some_and(Server::is_in_maintenance)
    }

    /// It is to be asked soon how it is.
    pub fn want_probe(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if !std::mem::replace(&mut server.probe_wanted, true) {
            self.probes_wanted.push(id);
        }
    }

    /// Whether it is a member of this pool.
    pub fn sits_in(&self, id: ServerId, pool: PoolId) -> bool {
        self.place_in(id, pool).is_some()
    }

    /// Whether it may have connections of several pools' clients: it is a member of more than one,
    /// or was.
    pub fn is_shared(&self, id: ServerId) -> bool {
        self.servers.get(id).is_some_and(|server| server.joined > 1)
    }

    /// Its name means these addresses from now on, at least one. One that was not known counts as
    /// up until its first result. Says whether anything is another.
    pub fn place(&mut self, id: ServerId, addresses: Vec<Address>, now: Instant) -> bool {
        let Some(server) = self.servers.get_mut(id) else { return false };
        if addresses.is_empty() || server.addresses.are(&addresses) {
            return false;
        }
        let was_lost = !server.is_found();
        server.addresses.become_these(addresses);
        if was_lost && server.revive(now) {
            server.since = now;
            self.flips.push((id, Flip::Up));
            self.is_up_again(id, now);
            self.want_probe(id);
        }
        true
    }

    /// It is as this plan says from now on. What it counted, and what is known of it, stays.
    pub fn change_server(&mut self, id: ServerId, plan: ServerPlan, now: Instant) {
        self.shortest_idle = self.shortest_idle.min(plan.idle_rules.time);
        self.note_proxy(&plan);
        let Some(server) = self.servers.get_mut(id) else { return };
        let is_renamed = *server.name != *plan.name;
        let name = plan.name.clone();
        server.change(plan);
        let revives = !server.is_probed() && server.revive(now);
        recount_all(server, &mut self.pools);
        if is_renamed {
            self.rename(id, &name);
        }
        if revives {
            self.is_up_again(id, now);
        }
    }

    /// The operator wants no probes of it, whatever its pools say, or wants them again. Without
    /// them it counts as up.
    pub fn set_checked(&mut self, id: ServerId, checked: bool, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if std::mem::replace(&mut server.is_unchecked, !checked) != checked {
            return;
        }
        if checked {
            return self.want_probe(id);
        }
        if server.revive(now) {
            server.since = now;
            self.flips.push((id, Flip::Up));
            self.is_up_again(id, now);
        }
    }

    fn is_up_again(&mut self, id: ServerId, now: Instant) {
        let spelling = self.spelling;
        let up = Presence::Up;
        self.change_seats(id, |pool, seat| pool.on_presence(seat, up, spelling, now));
    }

    /// Its rules are these from now on, and perhaps its algorithm and its sticky cookie are others.
    pub fn change_pool(
        &mut self,
        id: PoolId,
        settings: &PoolSettings,
        balance: Option<Box<dyn Balance>>,
        sticky_key: Option<Option<StickyKey>>,
    ) {
        let mut sticky_key = sticky_key;
        self.pools.change(id, |pool| {
            pool.change(settings.clone());
            if let Some(key) = sticky_key.take() {
                pool.change_cookie(key);
            }
            if let Some(balance) = balance {
                pool.change_balance(balance);
            }
        });
        self.put_to_work(id);
    }

    /// Its sticky cookie is made with this key from now on, or there is none.
    pub fn change_cookie(&mut self, id: PoolId, key: Option<StickyKey>) {
        if let Some(pool) = self.pools.get_mut(id) {
            pool.change_cookie(key);
        }
    }

    /// Everybody calls it something else from now on.
    pub fn rename(&mut self, id: ServerId, name: &str) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.name = name.into();
        let pools: Vec<PoolId> = server.seats.iter().map(|place| place.pool).collect();
        for pool in pools {
            self.change_seat(id, pool, |pool, seat| pool.rename(seat, name));
        }
    }

    /// It is asked how it is by this probe, which keeps it from being freed; or by none.
    pub fn set_probe(&mut self, id: ServerId, probe: Option<ProbeId>) {
        if let Some(server) = self.servers.get_mut(id) {
            server.probe = probe;
            self.servers.recheck();
        }
    }

    /// It leaves all of its pools, and is freed once no connection and no probe is its. Says
    /// whether it was there and not leaving yet.
    pub fn remove_server(&mut self, id: ServerId) -> bool {
        if !self.servers.leave(id) {
            return false;
        }
        let seats = self.servers.get(id).map(|server| server.seats.clone());
        for place in seats.unwrap_or_default() {
            self.leave(id, place.pool);
        }
        true
    }

    /// No route leads there any more. It is freed, and its seats with it, once no client and no
    /// flow is its own. Says whether it was there and not leaving yet.
    pub fn remove_pool(&mut self, id: PoolId) -> bool {
        self.pools.leave(id)
    }

    /// A client or a flow is this pool's from now on.
    pub fn enter(&mut self, id: Option<PoolId>) {
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id)) {
            pool.users += 1;
        }
    }

    /// It is not any more.
    pub fn exit(&mut self, id: Option<PoolId>) {
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id)) {
            debug_assert!(pool.users > 0, "more went than came");
            pool.users = pool.users.saturating_sub(1);
            if pool.users == 0 {
                self.pools.recheck();
            }
        }
    }

    /// Whether a pool that it sits in closes the connections of a server that goes down.
    pub fn closes_on_down(&self, id: ServerId) -> bool {
        let Some(server) = self.servers.get(id) else { return false };
        server.seats.iter().any(|place| self.closes_in(id, Some(place.pool)))
    }

    /// Whether this pool does, and has given it up: one of which nobody else is up goes on with a
    /// server that only clients call down.
    pub fn closes_in(&self, id: ServerId, pool: Option<PoolId>) -> bool {
        let Some(id_of_pool) = pool else { return false };
        let Some(pool) = self.pools.get(id_of_pool) else { return false };
        let place = self.place_in(id, id_of_pool);
        let seat = place.and_then(|place| pool.seat(place.index as usize));
        let goes_on = pool.up() == 0 && seat.is_some_and(|seat| !seat.is_down());
        pool.settings.on_down == OnDown::Close && !goes_on
    }

    /// Whether this pool, of which it is no member any more, closes its connections.
    pub fn closes_removed(&self, id: ServerId, pool: Option<PoolId>) -> bool {
        let Some(id_of_pool) = pool else { return false };
        let Some(pool) = self.pools.get(id_of_pool) else { return false };
        let is_out = self.pools.is_leaving(id_of_pool) || !self.sits_in(id, id_of_pool);
        pool.settings.on_removed == OnRemoved::Close && is_out
    }

    /// Whether somebody that is leaving may be free now.
    pub fn is_to_be_reaped(&self) -> bool {
        self.servers.is_due() || self.pools.is_due()
    }

    /// Free those that left and on which nothing counts any more; the end of the turn does.
    #[cold]
    pub fn reap(&mut self) {
        let empty: Vec<PoolId> = self.pools.leaving().collect();
        for id in empty {
            if self.pools.get(id).is_some_and(|pool| pool.users == 0) {
                let members: Vec<ServerId> = self.pools[id].members().collect();
                members.into_iter().for_each(|member| self.leave(member, id));
            }
        }
        self.pools.reap(|pool| pool.users == 0, |_, _| {});
        self.servers.reap(Server::is_free, |_, _| {});
    }

    /// Whether [`Backends::work`] is to be called.
    pub fn has_work(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// A slice of what one of the algorithms put off: about so many small steps.
    pub fn work(&mut self, budget: usize) {
        let Some(&id) = self.at_work.front() else { return };
        let pool = self.pools.get_mut(id);
        if pool.is_none_or(|pool| pool.work(budget) == Work::Done) {
            self.at_work.pop_front();
        }
    }

    /// All of it: where nobody waits.
    pub fn finish_work(&mut self) {
        while self.has_work() {
            self.work(usize::MAX);
        }
    }

    fn change_seat(
        &mut self,
        id: ServerId,
        pool: PoolId,
        change: impl FnOnce(&mut Pool, usize),
    ) {
        let Some(place) = self.place_in(id, pool) else { return };
        self.pools.change(pool, |pool| change(pool, place.index as usize));
        self.put_to_work(pool);
    }

    fn put_to_work(&mut self, pool: PoolId) {
        if !self.at_work.contains(&pool) {
            self.at_work.push_back(pool);
        }
    }

    pub(super) fn place_in(&self, id: ServerId, pool: PoolId) -> Option<SeatPlace> {
        self.servers.get(id)?.seats.iter().find(|place| place.pool == pool).copied()
    }
}
