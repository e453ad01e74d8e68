//! A loop made by hand, and driven turn by turn.

#[cfg(debug_assertions)]
mod churn;
mod flows;
#[cfg(debug_assertions)]
mod mirror;
mod named;
mod names;
#[cfg(debug_assertions)]
mod pipelining;
mod reload;
mod reloading;
mod ruled;

use super::*;
use crate::config::{Desired, Spelling};
use crate::event::signals::Signals;
use crate::logging::LogSink;
use crate::net::descriptors::{self, Needs};
use crate::service_manager::ServiceManager;

/// A loop that serves this.
pub fn loop_for(desired: Desired) -> EventLoop {
    let needs = Needs { streams: 1, ..Needs::default() };
    let share = descriptors::share(1000, needs);
    let log = LogSink::default();
    let signals = Signals::install().unwrap();
    let logs = Logs { log, spelling: Spelling::PATHS };
    let manager = ServiceManager::default();
    let handed = crate::net::HandedSockets::default();
    let parts =
        Parts { seed: 1, signals, share, logs, reread: None, telling: None, manager, handed };
    let mut this = EventLoop::new(&desired.process, parts).unwrap();
    let prepared = this.prepare(desired).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    this.apply(prepared).unwrap();
    this
}
