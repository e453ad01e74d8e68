//! The process's signals as events of the loop: a handler writes to a pipe that the poll watches.

use std::io;

use mio::{Interest, Registry};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::owner::Owner;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// SIGTERM or SIGINT: finish.
    Stop,
    /// SIGUSR1: write the status page to the log.
    Status,
    /// SIGHUP: open the access log anew.
    Reopen,
}

/// The source of [`Wish`]es.
pub struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
}

impl Signals {
    /// Take over the signals of this process.
    pub fn new(registry: &Registry) -> io::Result<Signals> {
        let mut inner =
            signal_hook_mio::v1_0::Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP])?;
        registry.register(&mut inner, Owner::Signals.into(), Interest::READABLE)?;
        Ok(Signals { inner })
    }

    /// What was asked for since the last call.
    pub fn pending(&mut self) -> impl Iterator<Item = Wish> + '_ {
        self.inner.pending().map(|signal| match signal {
            SIGUSR1 => Wish::Status,
            SIGHUP => Wish::Reopen,
            _ => Wish::Stop,
        })
    }
}
