//! What the turn is made of: who an event is for, what is ready, what is due, whose turn it is.
//!
//! Nothing here does input or output on a connection; [`crate::event_loop`] drives all of it.

pub mod alarm;
pub mod id;
pub mod key;
pub mod owner;
pub mod pace;
pub mod readiness;
pub mod roster;
pub mod run_queue;
pub mod signals;
pub mod slots;
pub mod timers;

pub use alarm::Alarm;
pub use id::{CheckId, ListenerId, PoolId, ProbeId, ServerId, ServiceId};
pub use key::{Generation, Key};
pub use owner::{Chore, Owner};
pub use pace::{Pace, TimeShare};
pub use readiness::Readiness;
pub use roster::Roster;
pub use run_queue::{Class, RunQueue};
pub use slots::Slots;
pub use timers::{TimerKey, Timers};
