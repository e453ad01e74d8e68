//! What TLS reads from files: the certificates that clients are shown, the roots that certificates
//! of backends must lead to, and the certificate that backends are shown. Listeners with the same
//! settings share theirs, and so do pools.
//!
//! At a reload the certificates are read again; sessions that were begun before go on.

use std::sync::Arc;
use std::time::SystemTime;

use crate::config::{
    BackendTls, BackendVerify, CertificatePair, Complaint, Desired, ListenerTls, SettingKey,
    Subject,
};
use crate::net::tls::client::{Identity, Roots};
use crate::net::tls::files::FileError;
use crate::net::tls::server::ServerTls;

/// What was read, by the settings that ask for it.
#[derive(Debug, Default, Clone)]
pub struct TlsStore {
    listeners: Vec<(ListenerTls, Arc<ServerTls>)>,
    identities: Vec<(CertificatePair, Arc<Identity>)>,
    roots: Vec<(BackendTls, Roots)>,
}

impl TlsStore {
    /// What the desired state needs; of this store what is there already, its certificates read
    /// again. Complains of every file that is not good.
    pub fn renewed(
        &self,
        desired: &Desired,
        now: SystemTime,
        errors: &mut Vec<Complaint>,
    ) -> TlsStore {
        let mut store = TlsStore::default();
        let mut broken: Vec<&ListenerTls> = Vec::new();
        for listener in &desired.listeners {
            let settings = &listener.settings.tls;
            let is_new = store.server(settings).is_none() && !broken.contains(&settings);
            if listener.listen.protocol.is_tls() && is_new {
                let loaded = match self.server(settings) {
                    Some(before) => before.reload(now),
                    None => ServerTls::load(settings, now),
                };
                match loaded {
                    Ok(loaded) => store.listeners.push((settings.clone(), Arc::new(loaded))),
                    Err(wrong) => {
                        let subject = Subject::Listener(listener.name.clone());
                        let about = |it| Complaint::from(it).about(subject.clone());
                        errors.extend(wrong.iter().map(about));
                        broken.push(settings);
                    }
                }
            }
        }
        for pool in &desired.pools {
            let dials = pool.backends.iter().any(|spec| spec.tls.is_some())
                || pool.settings.check.kind.is_https();
            if dials {
                let known = errors.len();
                store.add_roots(&pool.settings.tls, self, now, errors);
                for complaint in errors.split_off(known) {
                    errors.push(complaint.about(Subject::Pool(pool.name.clone())));
                }
            }
        }
        store
    }

    fn add_roots(
        &mut self,
        settings: &BackendTls,
        before: &TlsStore,
        now: SystemTime,
        errors: &mut Vec<Complaint>,
    ) {
        if self.roots(settings).is_some() {
            return;
        }
        let identity = match self.add_identity(&settings.identity, before, now) {
            Ok(identity) => identity,
            Err(error) => {
                errors.push(Complaint::from(&error));
                None
            }
        };
        if let Some(known) = before.roots(settings) {
            return self.roots.push((settings.clone(), known.clone()));
        }
        let roots = match settings.verify {
            BackendVerify::Required => Roots::read(settings.ca.as_deref()),
            BackendVerify::None => Roots::unverified(),
        };
        match roots {
            Ok(roots) => {
                let roots = match identity {
                    Some(identity) => roots.identify(identity),
                    None => roots,
                };
                self.roots.push((settings.clone(), roots));
            }
            Err(error) => errors.push(Complaint::from(&error)),
        }
    }

    /// What is shown to backends; of one that is known its files are read, and
    /// [`TlsStore::show_identities`] puts them in place.
    fn add_identity(
        &mut self,
        files: &CertificatePair,
        before: &TlsStore,
        now: SystemTime,
    ) -> Result<Option<Arc<Identity>>, FileError> {
        let find = |list: &[(CertificatePair, Arc<Identity>)]| {
            let found = list.iter().find(|(known, _)| known == files);
            found.map(|(_, identity)| Arc::clone(identity))
        };
        if files.cert.is_empty() {
            return Ok(None);
        }
        if let Some(known) = find(&self.identities) {
            return Ok(Some(known));
        }
        let identity = match find(&before.identities) {
            Some(known) => {
                known.reload(now)?;
                known
            }
            None => Identity::load(files, now)?,
        };
        self.identities.push((files.clone(), Arc::clone(&identity)));
        Ok(Some(identity))
    }

    /// The certificates for backends, as they are in their files now, are shown from now on. Says
    /// how many.
    pub fn show_identities(&self, now: SystemTime) -> usize {
        let fresh = |(_, it): &(CertificatePair, Arc<Identity>)| match it.reload(now) {
            Ok(key) => {
                it.show(key);
                1
            }
            // because: it was good when it was prepared, in this very turn.
            Err(_) => 0,
        };
        self.identities.iter().map(fresh).sum()
    }

    /// What listeners with these settings show.
    pub fn server(&self, settings: &ListenerTls) -> Option<&Arc<ServerTls>> {
        let found = self.listeners.iter().find(|(known, _)| known == settings);
        found.map(|(_, server)| server)
    }

    /// The roots that pools with these settings trust.
    pub fn roots(&self, settings: &BackendTls) -> Option<&Roots> {
        self.roots.iter().find(|(known, _)| known == settings).map(|(_, roots)| roots)
    }

    /// What all listeners show.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<ServerTls>> {
        self.listeners.iter().map(|(_, server)| server)
    }

    /// What there is to be said of certificates that no client is ever shown, each of the first
    /// listener that has them.
    pub fn never_shown(&self, desired: &Desired) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (settings, server) in &self.listeners {
            let whose = desired.listeners.iter().find(|it| it.settings.tls == *settings);
            let Some(listener) = whose else { continue };
            let subject = Subject::Listener(listener.name.clone());
            let about = |it: Complaint| it.about(subject.clone());
            complaints.extend(server.never_shown().into_iter().map(about));
        }
        complaints
    }

    /// How many certificates clients may be shown.
    pub fn certificates(&self) -> usize {
        self.servers().map(|server| server.certificates().len()).sum()
    }

    /// The setting that is meant where a name is missing for TLS.
    pub const NAME: SettingKey = SettingKey::BACKEND_SNI;
}
