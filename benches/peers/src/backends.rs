//! Fewest active connections: a counter for each backend, and a lease that counts while it lives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The backends, in the order of the command line.
#[derive(Debug)]
pub struct Backends {
    all: Vec<Backend>,
    /// Where the next search begins, so that equals take turns.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Backend {
    address: SocketAddr,
    active: AtomicUsize,
}

/// A connection or a request at a backend. It is counted until this is dropped.
#[derive(Debug)]
pub struct Lease {
    backends: Arc<Backends>,
    index: usize,
}

impl Backends {
    /// All of them idle. There is at least one, see [`Options`](crate::Options).
    pub fn new(addresses: &[SocketAddr]) -> Arc<Backends> {
        let idle = |&address| Backend { address, active: AtomicUsize::new(0) };
        Arc::new(Backends {
            all: addresses.iter().map(idle).collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// The one with the fewest connections. Threads that pick at the same moment may pick the
    /// same; that evens out with the next pick.
    pub fn pick(self: &Arc<Backends>) -> Lease {
        let first = self.next.fetch_add(1, Relaxed);
        let order = (0..self.all.len()).map(|step| (first + step) % self.all.len());
        let index =
            order.min_by_key(|&index| self.all[index].active.load(Relaxed)).unwrap_or(0);
        self.all[index].active.fetch_add(1, Relaxed);
        Lease { backends: Arc::clone(self), index }
    }
}

impl Lease {
    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.backends.all[self.index].address
    }

    /// Which one of the command line's backends it is.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backends.all[self.index].active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Arc<Backends> {
        Backends::new(&[1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))))
    }

    #[test]
    fn equals_take_turns() {
        let backends = three();
        let ports: Vec<u16> = (0..6).map(|_| backends.pick().address().port()).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn the_least_busy_is_picked() {
        let backends = three();
        let mut leases: Vec<Lease> = (0..9).map(|_| backends.pick()).collect();
        leases.retain(|lease| lease.index() != 1);
        let picked: Vec<usize> = (0..3)
            .map(|_| {
                leases.push(backends.pick());
                leases.last().map_or(9, Lease::index)
            })
            .collect();
        assert_eq!(picked, [1, 1, 1]);
    }
}
