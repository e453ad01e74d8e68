//! Where a client is: it is counted at its service and at its pool, and so is what is done for it.

use crate::event::{PoolId, ServerId, ServiceId};
use crate::services::Service;
use crate::stats::Moved;
use crate::stats::traffic::Traffic;

use super::Context;

/// Where a client is: which service it is of, and which pool it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Home {
    /// The service; `None` before it is known, or if it is gone.
    pub service: Option<ServiceId>,
    /// The pool that its backend is picked from; `None` as well.
    pub pool: Option<PoolId>,
}

impl Context {
    /// A client is of this service, and goes to this pool, from now on.
    pub fn enter(&mut self, home: Home) {
        self.lead(Home::default(), home);
    }

    /// The same for one that was counted there by another process.
    pub fn enter_again(&mut self, home: Home) {
        self.lead(home, home);
    }

    /// A client moves from one home to another.
    pub fn go_over(&mut self, from: Home, to: Home) {
        self.lead(from, to);
        self.exit(from);
    }

    /// It is counted where it has not been just now: a request may go to another pool than the one
    /// before, and is the same service's.
    fn lead(&mut self, from: Home, home: Home) {
        if let Some(service) = home.service.and_then(|id| self.services.get_mut(id)) {
            service.enter();
            service.traffic.counts.clients += u64::from(home.service != from.service);
        }
        self.backends.enter(home.pool);
        if let Some(traffic) = self.backends.traffic(home.pool) {
            traffic.counts.clients += u64::from(home.pool != from.pool);
        }
    }

    /// Bytes went to a backend and came from it, for a client that is there.
    pub fn moved(&mut self, home: Home, backend: ServerId, moved: Moved) {
        if moved == Moved::default() {
            return;
        }
        self.stats.relayed.add(moved);
        self.backends.moved(backend, moved);
        self.each_traffic(home, |it| it.moved(moved));
    }

    /// Counts something for the service and for the pool of a client.
    #[inline]
    pub fn each_traffic(&mut self, home: Home, mut count: impl FnMut(&mut Traffic)) {
        if let Some(service) = home.service.and_then(|id| self.services.get_mut(id)) {
            count(&mut service.traffic);
        }
        if let Some(traffic) = self.backends.traffic(home.pool) {
            count(traffic);
        }
    }

    /// It is not any more.
    pub fn exit(&mut self, home: Home) {
        let service = home.service.and_then(|id| self.services.get_mut(id));
        if service.is_some_and(Service::exit) {
            self.services.recheck();
        }
        self.backends.exit(home.pool);
    }
}
