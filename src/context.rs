//! What a room may use while a pair or a probe acts, beside its own slab entry.
//!
//! The event loop owns it and lends it; the slab of pairs is not in it, so that a room can hold
//! `&mut` of its pair and of this at once.

use std::time::{Duration, Instant};

use mio::Registry;

use crate::backends::{BackendId, Backends};
use crate::config::{Config, OnDown};
use crate::event::{Key, RunQueue, Slots, Timers};
use crate::net::{BufferPool, PipePool, Stream, Supplies};
use crate::stats::Stats;

/// Everything shared, in one place, with one owner.
pub struct Context {
    /// The clock of this turn.
    pub now: Instant,
    /// Where sockets are registered.
    pub registry: Registry,
    /// All timers.
    pub timers: Timers,
    /// The scratch buffer and the pooled ones.
    pub buffers: BufferPool,
    /// Pipes for splicing.
    pub pipes: PipePool,
    /// The set of backends.
    pub backends: Backends,
    /// Connections to them.
    pub connections: Slots<BackendConnection>,
    /// Who acts next.
    pub run_queue: RunQueue,
    /// Counters.
    pub stats: Stats,
    /// The operator's times and limits.
    pub settings: Settings,
    /// Connections to be reaped at the end of this turn.
    retired: Vec<Key>,
}

/// A connection to a backend: a slot and a token of its own, for life.
#[derive(Debug)]
pub struct BackendConnection {
    /// Its socket.
    pub stream: Stream,
    /// Whom it leads to.
    pub backend: BackendId,
    /// The pair that uses it; `None` once it is retired.
    pub pair: Option<Key>,
    /// When the connect began.
    pub started_at: Instant,
}

/// The operator's times and limits that connections live by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Within this time a connect must succeed.
    pub connect_timeout: Duration,
    /// How many other backends are tried.
    pub retries: u32,
    /// A pair on which no byte moves for so long is closed.
    pub idle_timeout: Duration,
    /// The same once one side has finished.
    pub half_close_timeout: Duration,
    /// What happens to the connections of a backend that goes down.
    pub on_down: OnDown,
    /// How long connections may go on after a stop.
    pub drain_timeout: Duration,
    /// Pairs at once.
    pub max_connections: usize,
}

impl Context {
    /// A context at rest.
    pub fn new(
        registry: Registry,
        backends: Backends,
        pipes: PipePool,
        settings: Settings,
        now: Instant,
    ) -> Context {
        Context {
            now,
            registry,
            timers: Timers::new(now),
            buffers: BufferPool::default(),
            pipes,
            backends,
            connections: Slots::default(),
            run_queue: RunQueue::default(),
            stats: Stats::default(),
            settings,
            retired: Vec::new(),
        }
    }

    /// Take in a new connection for `pair`; it counts at its backend from now on.
    pub fn add_connection(
        &mut self,
        stream: Stream,
        backend: BackendId,
        pair: Key,
        started_at: Instant,
    ) -> Key {
        self.backends.opened(backend, self.now);
        let connection = BackendConnection { stream, backend, pair: Some(pair), started_at };
        self.connections.insert_with(|_| connection)
    }

    /// Nobody uses this connection any more: it does not count at its backend, and the end of the
    /// turn reaps it.
    pub fn retire(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.pair.take().is_some()
        {
            self.backends.closed(connection.backend);
            self.retired.push(key);
        }
    }

    /// Close the retired connections; only the reaping calls this.
    pub fn reap_connections(&mut self) {
        for key in self.retired.drain(..) {
            self.connections.remove(key);
        }
    }

    /// How many connections wait to be reaped.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// A connection beside what its pumps need.
    pub fn connection_and_supplies(
        &mut self,
        key: Option<Key>,
    ) -> (Option<&mut BackendConnection>, Supplies<'_>) {
        let connection = key.and_then(|key| self.connections.get_mut(key));
        (connection, Supplies { buffers: &mut self.buffers, pipes: &mut self.pipes })
    }
}

impl Settings {
    /// What the operator asked for, with the number of pairs that the descriptors allow.
    pub fn of(config: &Config, max_connections: usize) -> Settings {
        Settings {
            connect_timeout: config.connect_timeout,
            retries: config.retries,
            idle_timeout: config.idle_timeout,
            half_close_timeout: config.half_close_timeout,
            on_down: config.on_down,
            drain_timeout: config.drain_timeout,
            max_connections,
        }
    }
}
