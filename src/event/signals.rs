//! The process's signals as events of the loop: a handler writes to a pipe that the poll watches.
//!
//! ```text
//!   install --- starting: files, names, ports --- watch --- serving
//!      SIGTERM, SIGINT    end it at once            \------> an event
//!      SIGUSR1, SIGHUP    wait in the pipe ----------------> an event of the first turn
//! ```
//!
//! What has no handler ends the process, even SIGHUP and SIGUSR1: so they are installed before all
//! else. A start may hang for long in a look-up of a name, and nobody is served yet: whoever wants
//! it to stop then need not wait. SIGXFSZ has a handler for another reason: a log that reaches the
//! limit on the size of files (`ulimit -f`) is then an error of the write, as a full disk is, and
//! not the end of everybody's connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Interest, Registry};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

use super::owner::Owner;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// SIGTERM or SIGINT: finish.
    Stop,
    /// SIGUSR1: write the status page to the log.
    Status,
    /// SIGHUP: read all files again, open the access log anew.
    Reopen,
    /// SIGHUP to a program that belongs to its terminal: that is gone.
    Hangup,
}

/// The source of [`SignalRequest`]es.
pub struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    /// Nobody is served yet. Shared with the handlers, which run at any time.
    starting: Arc<AtomicBool>,
    /// What SIGHUP means.
    hangup: SignalRequest,
    /// Who started us asked that we outlive the terminal (`nohup`).
    outlives: bool,
}

impl Signals {
    /// Take over the signals of this process. Those that ask it to stop end it at once until the
    /// signals are watched.
    pub fn install() -> io::Result<Signals> {
        let outlives = ignores(SIGHUP);
        let starting = Arc::new(AtomicBool::new(true));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 0, Arc::clone(&starting))?;
        }
        flag::register(SIGXFSZ, Arc::default())?;
        let inner = signal_hook_mio::v1_0::Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP])?;
        Ok(Signals { inner, starting, hangup: SignalRequest::Reopen, outlives })
    }

    /// This program is for a terminal, and need not go on without it, unless that was asked for.
    pub fn belong_to_terminal(&mut self) {
        self.hangup = if self.outlives { SignalRequest::Reopen } else { SignalRequest::Hangup };
    }

    /// From now on they are events; those that came before are an event of the first poll.
    pub fn watch(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.inner, Owner::Signals.into(), Interest::READABLE)?;
        self.starting.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// What was asked for since the last call.
    pub fn pending(&mut self) -> impl Iterator<Item = SignalRequest> + '_ {
        let hangup = self.hangup;
        self.inner.pending().map(move |signal| match signal {
            SIGUSR1 => SignalRequest::Status,
            SIGHUP => hangup,
            _ => SignalRequest::Stop,
        })
    }
}

/// Whether this process ignores a signal; it is not, where nobody says so.
fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}
