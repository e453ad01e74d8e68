//! What listeners that speak TLS show: put around new clients, read again at SIGHUP, looked at
//! daily.
//!
//! The files are small and read in one go, which is the only time that the loop waits for a disk.

use std::time::SystemTime;

use log::{info, warn};

use crate::config::Protocol;
use crate::event::Key;
use crate::limits::{CERTIFICATE_REVIEW, CERTIFICATE_WARNING};
use crate::net::Fault;
use crate::net::tls::Trouble;
use crate::net::tls::server::Inside;
use crate::relay::{Reason, Stage};

use super::EventLoop;

impl EventLoop {
    /// The client speaks TLS, and is served once it has shaken hands.
    pub(super) fn begin_tls(&mut self, key: Key, protocol: Protocol) {
        let inside = if protocol.is_http() { Inside::Http } else { Inside::Bytes };
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let begun = match &self.terminator {
            Some(terminator) => pair.client.begin_tls(terminator.config(inside)),
            // because: the flags are refused where a listener speaks TLS without certificates.
            None => Err(Fault::Tls(Trouble::Other)),
        };
        match begun {
            Ok(()) => pair.stage = Stage::Handshaking,
            Err(fault) => self.close(key, Reason::ClientBroke(fault)),
        }
    }

    /// The certificates as they are in their files now; if anything is wrong with one of them, all
    /// stay as they were. Connections go on with what they began with.
    pub(super) fn reload_certificates(&mut self) {
        let Some(terminator) = &self.terminator else { return };
        match terminator.reload(SystemTime::now()) {
            Ok(terminator) => {
                info!("read {} certificates again", terminator.certificates().len());
                self.terminator = Some(terminator);
                self.review_certificates();
            }
            Err(error) => warn!("the certificates stay as they were: {error}"),
        }
    }

    /// Warn of those that are near their end, now and once a day.
    pub(super) fn review_certificates(&mut self) {
        let Some(terminator) = &self.terminator else { return };
        let now = SystemTime::now();
        for certificate in terminator.certificates() {
            let left = certificate.time_left(now);
            if left.is_zero() {
                warn!("{}: the certificate is expired", certificate.file());
            } else if left < CERTIFICATE_WARNING {
                let (file, day) = (certificate.file(), certificate.last_day());
                let days = left.as_secs() / (24 * 3600);
                warn!("{file}: the certificate ends in {days} days, on {day}");
            }
        }
        self.cx.timers.arm(self.chores.certificates, self.cx.now + CERTIFICATE_REVIEW);
    }
}
