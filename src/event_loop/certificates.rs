//! What listeners that speak TLS show: read again at SIGHUP, looked at daily.
//!
//! The files are small and read in one go, which is the only time that the loop waits for a disk.

use std::sync::Arc;
use std::time::SystemTime;

use log::{info, warn};
use rustls::sign::CertifiedKey;

use crate::limits::CERTIFICATE_REVIEW;
use crate::net::tls::files::FileError;
use crate::net::tls::server::ServerTls;

use super::EventLoop;

/// What listeners show, and what backends are shown.
type ReadAgain = (Option<ServerTls>, Option<Arc<CertifiedKey>>);

impl EventLoop {
    /// The certificates as they are in their files now; if anything is wrong with one of them, all
    /// stay as they were. Connections go on with what they began with.
    pub(super) fn reload_certificates(&mut self) {
        let now = SystemTime::now();
        let (server_tls, identity) = match self.read_certificates(now) {
            Ok(read) => read,
            Err(errors) => {
                for error in errors {
                    warn!("the certificates stay as they were: {error}");
                }
                return;
            }
        };
        if let Some(server_tls) = server_tls {
            info!("read {} certificates again", server_tls.certificates().len());
            for unused in server_tls.never_shown() {
                warn!("{}", unused.spelled(self.cx.spelling));
            }
            self.cx.server_tls = Some(server_tls);
            self.review_certificates();
        }
        if let (Some(shown), Some(identity)) = (identity, &self.identity) {
            info!("read the certificate for backends again");
            identity.show(shown);
        }
    }

    /// All of them before any is put in place.
    fn read_certificates(&self, now: SystemTime) -> Result<ReadAgain, Vec<FileError>> {
        let server_tls = self.cx.server_tls.as_ref().map(|it| it.reload(now)).transpose()?;
        let identity = self.identity.as_ref().map(|it| it.reload(now)).transpose();
        let identity = identity.map_err(|error| vec![error])?;
        Ok((server_tls, identity))
    }

    /// Warn of those that are near their end, now and once a day.
    pub(super) fn review_certificates(&mut self) {
        let Some(server_tls) = &self.cx.server_tls else { return };
        let now = SystemTime::now();
        let lines = server_tls.certificates().iter().filter_map(|it| it.warning(now));
        lines.for_each(|line| warn!("{line}"));
        self.cx.timers.arm(self.chores.certificates, self.cx.now + CERTIFICATE_REVIEW);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::backends::{Backends, Policy, PoolPlan, RiseFall, Routes};
    use crate::balance;
    use crate::config::{Algorithm, AllDown, CertificatePair, Config, Spelling};
    use crate::event::signals::Signals;
    use crate::event::{Chore, Owner};
    use crate::event_loop::{Listeners, Logs, Parts};
    use crate::logging::LogSink;
    use crate::net::descriptors::{self, Needs};
    use crate::net::tls::files::tests::Files;

    /// A loop that nobody comes to, with a certificate to show.
    fn event_loop(config: &Config) -> EventLoop {
        let policy = Policy {
            rise_fall: RiseFall { rise: 1, fall: 1 },
            probed: false,
            all_down: AllDown::Refuse,
            slow_start: Duration::ZERO,
            eject_after: 0,
        };
        let pool = PoolPlan::of_first(0, balance::build(Algorithm::First, 1));
        let backends = Backends::new(Vec::new(), vec![pool], policy, Instant::now());
        let server_tls = ServerTls::load(&config.listener.tls, SystemTime::now()).unwrap();
        let fronts = Listeners { server_tls: Some(server_tls), ..Listeners::default() };
        let needs = Needs { streams: 1, ..Needs::default() };
        let share = descriptors::share(1000, needs);
        let log = LogSink::default();
        let signals = Signals::install().unwrap();
        let logs = Logs { log, access_log: None, spelling: Spelling::PATHS };
        let routes = Routes::default();
        let parts = Parts { seed: 1, signals, fronts, backends, routes, share, logs };
        EventLoop::new(config, parts).unwrap()
    }

    /// From the start on, once a day, however long it runs.
    #[test]
    fn certificates_are_looked_at_daily() {
        let files = Files::new("daily");
        let mut config = Config::defaults();
        let (cert, key) = files.pair("a.test", Duration::from_secs(24 * 3600));
        config.listener.tls.certificates.push(CertificatePair { cert, key });
        let mut this = event_loop(&config);
        let second = Duration::from_secs(1);
        for _ in 0..30 {
            let due = this.cx.now + CERTIFICATE_REVIEW;
            assert_eq!(this.cx.timers.pop_due(due - second), None);
            this.cx.now = due;
            let owner = this.cx.timers.pop_due(due);
            assert_eq!(owner, Some(Owner::Chore(Chore::Certificates)));
            this.do_chore(Chore::Certificates);
        }
    }
}
