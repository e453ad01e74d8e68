//! Listeners, where clients come in; services, which hold the settings for them and their requests;
//! and how a request finds its service.

mod choice;
mod listener;
mod rules;
mod service;

pub use choice::Choice;
pub use listener::{Accepting, Intake, Listener, ListenerPlan, ListenerSocket, Receiving};
pub use rules::{Act, Decided, Decision, Page, ReadyRule, Rules};
pub use service::Service;
