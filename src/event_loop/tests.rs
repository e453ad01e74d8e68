//! A loop made by hand, and driven turn by turn.

#[cfg(debug_assertions)]
mod churn;

use super::*;
use crate::backends::{Backends, PoolOf, PoolPlan, Routes};
use crate::balance;
use crate::config::{Algorithm, Config, Spelling};
use crate::event::signals::Signals;
use crate::logging::LogSink;
use crate::net::descriptors::{self, Needs};

/// A loop with these listeners and a pool without members.
pub fn idle_loop(config: &Config, listeners: Listeners) -> EventLoop {
    let mut backends = Backends::default();
    let pool = backends.add_pool(PoolPlan {
        name: "pool".to_owned(),
        of: PoolOf::Listeners,
        balance: balance::build(Algorithm::First, 1),
        settings: config.pool.clone(),
    });
    let needs = Needs { streams: 1, ..Needs::default() };
    let share = descriptors::share(1000, needs);
    let log = LogSink::default();
    let signals = Signals::install().unwrap();
    let logs = Logs { log, access_log: None, spelling: Spelling::PATHS };
    let routes = Routes::default();
    let parts = Parts { seed: 1, signals, listeners, backends, pool, routes, share, logs };
    EventLoop::new(config, parts).unwrap()
}
