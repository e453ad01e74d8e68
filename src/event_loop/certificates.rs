//! What listeners that speak TLS show: looked at daily, and replaced by what is told.

use std::collections::BTreeMap;
use std::time::SystemTime;

use log::{info, warn};

use crate::admin::change::Done;
use crate::admin::haproxy::certificates::{Act, Clock, Commit, Committed};
use crate::admin::problem::{Kind, Problem};
use crate::event::Key;
use crate::limits::CERTIFICATE_REVIEW;

use super::EventLoop;
use super::changing::Asker;

impl EventLoop {
    /// Warn of those that are near their end, now and once a day.
    pub(super) fn review_certificates(&mut self) {
        self.admin.shelf.forget_old(self.cx.now);
        let store = &self.directory.store;
        if store.certificates() == 0 {
            return;
        }
        let now = SystemTime::now();
        let certificates = store.servers().flat_map(|server| server.certificates());
        certificates.filter_map(|it| it.warning(now)).for_each(|line| warn!("{line}"));
        self.cx.timers.arm(self.chores.certificates, self.cx.now + CERTIFICATE_REVIEW);
    }

    /// Something is told of a certificate.
    pub(super) fn tell_certificate(&mut self, key: Key, act: Act) {
        let shelf = &mut self.admin.shelf;
        let store = &self.directory.store;
        let now = self.cx.now;
        let outcome = match act {
            Act::Commit(name) => {
                match shelf.commit(&name, store, Clock { now, wall: SystemTime::now() }) {
                    Ok(Commit::Shows(committed)) => {
                        return self.begin_showing(Asker::Admin(key), committed);
                    }
                    Ok(Commit::Held) => Ok(Done::Begun),
                    Err(why) => Err(why),
                }
            }
            other => shelf.tell(other, store, now).map(Done::Said),
        };
        let outcome = outcome.map_err(|why| Problem::new(Kind::CONFLICT, why));
        self.answer_admin(key, outcome);
    }

    /// Files were read again: of a certificate that was told and is not the one that its file has
    /// somebody may wonder where it went.
    pub(super) fn warn_of_forgotten(&self) {
        let Some(before) = &self.outdated else { return };
        let told = before.store.servers().flat_map(|it| it.certificates());
        let told: BTreeMap<&str, _> =
            told.filter(|it| it.is_told()).map(|it| (it.file(), it)).collect();
        for (file, old) in told {
            let new = self.directory.store.certificate(file);
            if new.is_some_and(|it| !it.is_told() && it.key().cert != old.key().cert) {
                warn!("{file}: the file has another certificate than was told, and is shown");
            }
        }
    }

    /// It is shown from now on, and told no more.
    pub(super) fn note_shown(&mut self, committed: &Committed) {
        self.admin.shelf.finish(committed);
        let certificate = &committed.certificate;
        let names = certificate.names().join(", ");
        info!("{}: another certificate is shown, for {names}", certificate.file());
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
