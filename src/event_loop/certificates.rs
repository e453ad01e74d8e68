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
    use std::time::Duration;

    use super::*;
    use crate::config::{CertificatePair, Config};
    use crate::event::{Chore, Owner};
    use crate::event_loop::Listeners;
    use crate::event_loop::tests::idle_loop;
    use crate::net::tls::files::tests::Files;

    /// From the start on, once a day, however long it runs.
    #[test]
    fn certificates_are_looked_at_daily() {
        let files = Files::new("daily");
        let mut config = Config::defaults();
        let (cert, key) = files.pair("a.test", Duration::from_secs(24 * 3600));
        config.listener.tls.certificates.push(CertificatePair { cert, key });
        let server_tls = ServerTls::load(&config.listener.tls, SystemTime::now()).unwrap();
        let listeners = Listeners { server_tls: Some(server_tls), ..Listeners::default() };
        let mut this = idle_loop(&config, listeners);
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
