//! What an operator told of the process while it runs, by name: frontends that let nobody in, and
//! how many clients there may be. It holds over reloads, as far as these leave room for it; what a
//! listener does follows from it, and not the other way round.
//!
//! ```text
//!   disable frontend --> a name --hold--> its listeners: Open --> Closing --> Closed
//!   a reload ---------------^   (who waits is let in first)
//! ```

use std::collections::BTreeSet;
use std::io;

use log::warn;

use crate::admin::haproxy::frontends;
use crate::event::ListenerId;
use crate::services::{Intake, Listener};

use super::EventLoop;

/// Not kept over a restart.
#[derive(Debug, Default)]
pub(super) struct ToldProcess {
    /// Clients at once, fewer than were configured.
    pub max_connections: Option<usize>,
    /// Services whose listeners let nobody in.
    pub disabled: BTreeSet<String>,
}

impl EventLoop {
    /// So many clients at once, at most as many as were configured.
    pub(super) fn tell_max_connections(&mut self, most: usize) {
        let hard = self.cx.settings.hard_max_connections;
        self.admin.told_process.max_connections = Some(most).filter(|it| *it < hard);
        self.hold_max_connections();
    }

    /// What was told of it holds, unless less was configured since.
    pub(super) fn hold_max_connections(&mut self) {
        let settings = &mut self.cx.settings;
        let told = self.admin.told_process.max_connections;
        settings.max_connections = told
            .map_or(settings.hard_max_connections, |it| it.min(settings.hard_max_connections));
    }

    /// The listeners of a service let clients in, or nobody.
    pub(super) fn tell_frontend(&mut self, name: String, open: bool) -> io::Result<()> {
        if !open {
            self.admin.told_process.disabled.insert(name);
            return self.hold_frontends();
        }
        self.admin.told_process.disabled.remove(&name);
        let outcome = self.hold_frontends();
        if outcome.is_err() {
            // Disabled as before, so that it can be tried again.
            self.admin.told_process.disabled.insert(name);
            let _ = self.hold_frontends();
        }
        outcome
    }

    /// Listeners are as services are told to be, by the names that there are now.
    pub(super) fn hold_frontends(&mut self) -> io::Result<()> {
        let directory = &self.directory;
        let mut closed: Vec<ListenerId> = Vec::new();
        self.admin.told_process.disabled.retain(|name| {
            match frontends::own_listeners(name, directory) {
                Ok(own) => closed.extend(own),
                Err(why) => {
                    warn!("service {name} was disabled, and is not any more: {why}");
                    return false;
                }
            }
            true
        });
        let mut outcome = Ok(());
        for id in self.accepting.clone() {
            let Some(accepting) = self.cx.listeners.get_mut(id).and_then(Listener::accepting)
            else {
                continue;
            };
            match (accepting.intake, closed.contains(&id)) {
                (Intake::Open, true) => accepting.intake = Intake::Closing,
                (Intake::Closing, false) => accepting.intake = Intake::Open,
                (Intake::Closed, false) => match accepting.listener.reopen() {
                    Ok(()) => accepting.intake = Intake::Open,
                    Err(error) => {
                        let name = &self.cx.listeners[id].stats.name;
                        warn!("{name} does not listen again: {error}");
                        outcome = Err(error);
                    }
                },
                (Intake::Open, false) | (Intake::Closing | Intake::Closed, true) => continue,
            }
            self.queue_listener(id);
        }
        self.close_intakes();
        outcome
    }

    /// Those at which nobody waits any more, or would wait for nothing, refuse clients.
    pub(super) fn close_intakes(&mut self) {
        let may_accept = self.may_accept();
        let mut closing = 0;
        for &id in &self.accepting {
            let Some(accepting) = self.cx.listeners[id].accepting() else { continue };
            if accepting.intake != Intake::Closing {
                continue;
            }
            if may_accept && accepting.listener.is_ready() && !accepting.is_paused {
                closing += 1;
                continue;
            }
            accepting.intake = Intake::Closed;
            if let Err(error) = accepting.listener.shut() {
                // because: nobody is accepted, and clients wait until they give up.
                warn!("cannot shut {}: {error}", self.cx.listeners[id].stats.name);
            }
        }
        self.intakes_closing = closing;
    }
}
