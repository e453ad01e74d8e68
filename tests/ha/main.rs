//! More than one pointsman, on machines of their own: network namespaces with keepalived and BIRD,
//! whose configurations are those of `docs/deploy/ha`. All take turns: they judge by the clock.

#[path = "../common/mod.rs"]
mod common;

mod active;
mod lab;
mod load;
mod ports;
mod shared_port;
mod standby;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test as long as it runs.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // The test before may have failed, but it is over.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
