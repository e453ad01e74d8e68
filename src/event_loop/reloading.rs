//! SIGHUP: what is wanted is read again with the files of certificates, and what is different is
//! applied. If anything is wrong, all stays as it was.
//!
//! The files are small and read in one go, which is the only time that the loop waits for a disk.

use std::time::Instant;

use log::{error, info, warn};

use crate::config::{Complaint, Desired, counted};
use crate::control::{self, Ground, Prepared, Receipt};
use crate::services::{Listener, ListenerSocket};

use super::{EventLoop, Reading, RunState};

impl EventLoop {
    /// Read it all again.
    pub(super) fn reload(&mut self) {
        if self.state != RunState::Serving {
            return info!("it is stopping: what is wanted is not read again");
        }
        let began = Instant::now();
        let spelling = self.cx.spelling;
        match &mut self.reread {
            None => match self.prepare(self.directory.desired.clone()) {
                Ok(prepared) => self.apply_again(prepared, began),
                Err(complaints) => {
                    for complaint in complaints {
                        let says = complaint.says(spelling);
                        warn!("the certificates stay as they were: {says}");
                    }
                }
            },
            Some(reread) => {
                let lines = match reread() {
                    Ok(Reading { desired, tell }) => match self.prepare(desired) {
                        Ok(prepared) => return self.apply_again(prepared, began),
                        Err(complaints) => tell(&complaints),
                    },
                    Err(lines) => lines,
                };
                lines.iter().for_each(|line| error!("{line}"));
                error!("the configuration has mistakes: all stays as it was");
            }
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

    fn apply_again(&mut self, prepared: Prepared, began: Instant) {
        match self.apply(prepared) {
            Ok(receipt) => {
                let identities = self.directory.store.show_identities();
                let receipt = Receipt { took: began.elapsed(), ..receipt };
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
