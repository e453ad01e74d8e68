//! What listeners that speak TLS show: looked at daily.

use std::time::SystemTime;

use log::warn;

use crate::limits::CERTIFICATE_REVIEW;

use super::EventLoop;

impl EventLoop {
    /// Warn of those that are near their end, now and once a day.
    pub(super) fn review_certificates(&mut self) {
        let store = &self.directory.store;
        if store.certificates() == 0 {
            return;
        }
        let now = SystemTime::now();
        let certificates = store.servers().flat_map(|server| server.certificates());
        certificates.filter_map(|it| it.warning(now)).for_each(|line| warn!("{line}"));
        self.cx.timers.arm(self.chores.certificates, self.cx.now + CERTIFICATE_REVIEW);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{CertificatePair, Config, Listen};
    use crate::event::{Chore, Owner};
    use crate::event_loop::tests::loop_for;
    use crate::net::tls::files::tests::Files;

    /// From the start on, once a day, however long it runs.
    #[test]
    fn certificates_are_looked_at_daily() {
        let files = Files::new("daily");
        let mut config = Config::defaults();
        let (cert, key) = files.pair("a.test", Duration::from_secs(24 * 3600));
        config.listener.tls.certificates.push(CertificatePair { cert, key });
        config.listeners.push(Listen::parse("https://127.0.0.1:0").unwrap());
        let mut this = loop_for(config.desired().unwrap());
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
