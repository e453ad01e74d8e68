//! SIGHUP: what is wanted is read again with the files of certificates, and what is different is
//! applied. If anything is wrong, all stays as it was.
//!
//! ```text
//!   Reading ----> Preparing ----> apply, in one turn ----> receipt
//!      |              |
//!      +-- mistakes --+-- what cannot be had ----> all stays
//! ```
//!
//! Reading and preparing go on for a little in each turn, so that nobody waits for a large file.
//! Each piece may wait for a disk, and for the name of a backend that is new.

use std::time::{Duration, Instant};

use log::{error, info, warn};

use crate::config::{Complaint, Desired, counted};
use crate::control::{self, Ground, Prepared, Preparing, Receipt};
use crate::limits::RELOAD_TIME;
use crate::services::{Listener, ListenerSocket};

use super::{EventLoop, Reading, Rereading, RunState, Tell};

/// A reload that is under way.
pub(super) struct Reload {
    stage: Stage,
    /// Another one was asked for meanwhile.
    again: bool,
    /// How long it has taken.
    took: Duration,
    /// In so many turns.
    turns: u32,
}

enum Stage {
    Reading(Box<dyn Rereading>),
    Preparing(Box<Preparing>, Tell),
    /// It is done. To free what is of no use any more takes its time, too.
    Forgetting {
        _told: Tell,
    },
}

/// What comes of a piece.
enum Progress {
    Going(Stage),
    Ready(Box<Prepared>, Tell),
    /// Lines that say what is wrong.
    Refused(Vec<String>),
    Over,
}

impl Stage {
    fn step(self, looping: &EventLoop) -> Progress {
        match self {
            Stage::Reading(mut reading) => {
                if reading.step() {
                    return Progress::Going(Stage::Reading(reading));
                }
                match reading.finish() {
                    Ok(Reading { desired, tell }) => {
                        let preparing = Box::new(Preparing::to_run(desired));
                        Progress::Going(Stage::Preparing(preparing, tell))
                    }
                    Err(lines) => Progress::Refused(lines),
                }
            }
            Stage::Preparing(mut preparing, tell) => {
                if looping.on_ground(|ground| preparing.step(ground)) {
                    return Progress::Going(Stage::Preparing(preparing, tell));
                }
                match preparing.finish() {
                    Ok(prepared) => Progress::Ready(Box::new(prepared), tell),
                    Err(complaints) => Progress::Refused(tell(&complaints)),
                }
            }
            Stage::Forgetting { .. } => Progress::Over,
        }
    }
}

impl EventLoop {
    /// Read it all again.
    pub(super) fn reload(&mut self) {
        if self.state != RunState::Serving {
            return info!("it is stopping: what is wanted is not read again");
        }
        if let Some(reload) = &mut self.reloading {
            // What was read of the files so far may be older than this.
            reload.again = true;
            return;
        }
        let stage = match &mut self.reread {
            Some(reread) => Stage::Reading(reread()),
            None => {
                let spelling = self.cx.spelling;
                let says = move |it: &Complaint| it.spelled(spelling);
                let tell: Tell = Box::new(move |wrong| wrong.iter().map(says).collect());
                let desired = self.directory.desired.clone();
                Stage::Preparing(Box::new(Preparing::to_run(desired)), tell)
            }
        };
        let reload = Reload { stage, again: false, took: Duration::ZERO, turns: 0 };
        self.reloading = Some(Box::new(reload));
    }

    /// A few pieces more of a reload, and at its end what it does.
    #[cold]
    pub(super) fn go_on_reloading(&mut self) {
        let Some(reload) = self.reloading.take() else { return };
        if self.state != RunState::Serving {
            self.outdated = None;
            // One that was applied is over but for what it leaves to be freed.
            if !matches!(reload.stage, Stage::Forgetting { .. }) {
                info!("it is stopping: what is wanted is not read again");
            }
            return;
        }
        let began = Instant::now();
        let Reload { mut stage, again, took, turns } = *reload;
        let turns = turns + 1;
        loop {
            stage = match stage.step(self) {
                Progress::Going(stage) if began.elapsed() < RELOAD_TIME => stage,
                Progress::Going(stage) => {
                    let took = took + began.elapsed();
                    return self.reloading = Some(Reload { stage, again, took, turns }.into());
                }
                Progress::Ready(prepared, tell) => {
                    self.apply_again(*prepared, began - took, turns);
                    let stage = Stage::Forgetting { _told: tell };
                    return self.reloading = Some(Reload { stage, again, took, turns }.into());
                }
                Progress::Refused(lines) => {
                    self.say_refused(&lines);
                    return self.reload_if(again);
                }
                Progress::Over => {
                    self.outdated = None;
                    return self.reload_if(again);
                }
            };
        }
    }

    fn reload_if(&mut self, again: bool) {
        if again {
            self.reload();
        }
    }

    fn say_refused(&self, lines: &[String]) {
        if self.reread.is_some() {
            lines.iter().for_each(|line| error!("{line}"));
            error!("the configuration has mistakes: all stays as it was");
        } else {
            lines
                .iter()
                .for_each(|line| warn!("all files stay as they were read before: {line}"));
        }
    }

    /// What leads from what runs to what is wanted; nothing has changed yet.
    pub fn prepare(&self, desired: Desired) -> Result<Prepared, Vec<Complaint>> {
        self.on_ground(|ground| control::prepare(ground, desired))
    }

    /// Something that needs to know what runs.
    fn on_ground<T>(&self, then: impl FnOnce(&Ground<'_>) -> T) -> T {
        let listeners = &self.cx.listeners;
        let address = |at: usize| {
            let listener = listeners.get(*self.directory.listeners.get(at)?)?;
            Some(listener.address)
        };
        let holds = |port: u16, is_udp: bool| {
            let has_it = |it: &Listener| {
                let is_such = match it.socket {
                    ListenerSocket::Stream(_) => !is_udp,
                    ListenerSocket::Datagram(_) => is_udp,
                    ListenerSocket::Closed => false,
                };
                is_such && it.address.port() == port
            };
            listeners.iter().any(|(_, it)| has_it(it))
        };
        then(&Ground {
            servers: self.directory.wanted(),
            store: &self.directory.store,
            address: &address,
            holds: &holds,
            known: &|host, port| self.cx.backends.addresses_of(host, port),
        })
    }

    /// `since` is when it would have begun in one go.
    fn apply_again(&mut self, prepared: Prepared, since: Instant, turns: u32) {
        match self.apply(prepared) {
            Ok(receipt) => {
                let identities = self.directory.store.show_identities();
                let receipt = Receipt { took: since.elapsed(), turns, ..receipt };
                self.say_reloaded(&receipt, identities);
            }
            Err(error) => error!("cannot register a listener, all stays as it was: {error}"),
        }
    }

    fn say_reloaded(&self, receipt: &Receipt, identities: usize) {
        let store = &self.directory.store;
        let certificates = store.certificates();
        if certificates > 0 {
            info!("read {} again", counted(certificates, "certificate"));
        }
        for unused in store.never_shown(&self.directory.desired) {
            warn!("{}", unused.spelled(self.cx.spelling));
        }
        if identities > 0 {
            info!("read the certificate for backends again");
        }
        receipt.notes.iter().for_each(|note| warn!("{note}"));
        if self.reread.is_some() {
            info!("{receipt}");
        }
    }
}
