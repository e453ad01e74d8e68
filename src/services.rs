//! What clients meet before a backend: listeners, where they come in, and services, which say what
//! is done for them; and which service takes whom.

mod choice;
mod listener;
mod rules;
mod service;

pub use choice::Choice;
pub use listener::{Accepting, Listener, ListenerPlan, ListenerSocket, Receiving};
pub use rules::{Act, Decided, Decision, Page, ReadyRule, Rules};
pub use service::Service;
