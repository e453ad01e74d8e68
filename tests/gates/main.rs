//! What must not get worse, as numbers, and what takes so much of the machine that it would
//! disturb them. All take turns; `.ci/run` runs them again in a release build.

#[path = "../common/mod.rs"]
mod common;

mod guard;
mod http;
mod idle;
mod names;
mod shipped;
mod tcp;
mod udp;
mod udp_many;
mod udp_tools;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test as long as it runs.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // The gate before may have failed, but it is over.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
