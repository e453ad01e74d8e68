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
            if let Ok(own) = frontends::own_listeners(&name, &self.directory) {
                own.into_iter().try_for_each(|id| self.may_be_put_aside(id))?;
            }
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

    /// Whether the file of its socket can be put aside, as far as that is seen without doing it.
    fn may_be_put_aside(&mut self, id: ListenerId) -> io::Result<()> {
        let listener = self.cx.listeners.get_mut(id).and_then(Listener::accepting);
        let listener = listener.filter(|it| it.intake != Intake::Closed);
        listener.map_or(Ok(()), |it| it.listener.may_be_shut())
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
                (Intake::Closed, false) => {
                    if let Err(error) = self.open_intake(id) {
                        outcome = Err(error);
                    }
                }
                (Intake::Open, false) | (Intake::Closing | Intake::Closed, true) => continue,
            }
            self.queue_listener(id);
        }
        outcome.and(self.close_intakes())
    }

    fn open_intake(&mut self, id: ListenerId) -> io::Result<()> {
        let Some(accepting) = self.cx.listeners[id].accepting() else { return Ok(()) };
        let opened = match accepting.listener.has_lost_file() {
            true => self.make_socket_anew(id),
            false => accepting.listener.reopen(),
        };
        let listener = &mut self.cx.listeners[id];
        match &opened {
            Ok(()) => listener.accepting().into_iter().for_each(|it| it.intake = Intake::Open),
            Err(error) => warn!("{} does not listen again: {error}", listener.stats.name),
        }
        opened
    }

    /// Those at which nobody waits any more, or would wait for nothing, refuse clients. One whose
    /// file cannot be put aside goes on, and so does its frontend.
    pub(super) fn close_intakes(&mut self) -> io::Result<()> {
        let may_accept = self.may_accept();
        let mut closing = 0;
        let mut failed = Vec::new();
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
                let stays_open = accepting.listener.has_file();
                if stays_open {
                    accepting.intake = Intake::Open;
                    failed.push((id, error));
                } else {
                    // because: nobody is accepted, and clients wait until they give up.
                    warn!("cannot shut {}: {error}", self.cx.listeners[id].stats.name);
                }
            }
        }
        self.intakes_closing = closing;
        self.enable_again(failed)
    }

    /// These could not be shut: their frontends are not disabled.
    fn enable_again(&mut self, failed: Vec<(ListenerId, io::Error)>) -> io::Result<()> {
        let Some((id, error)) = failed.into_iter().next() else { return Ok(()) };
        warn!("{} goes on: {error}", self.cx.listeners[id].stats.name);
        let directory = &self.directory;
        self.admin.told_process.disabled.retain(|name| {
            !frontends::own_listeners(name, directory).is_ok_and(|own| own.contains(&id))
        });
        let _ = self.hold_frontends();
        Err(error)
    }
}
