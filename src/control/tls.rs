//! What TLS reads from files: the certificates that clients are shown, the roots that certificates
//! of backends must lead to, and the certificate that backends are shown. Listeners with the same
//! settings share theirs, and so do pools.
//!
//! At a reload the certificates are read again; sessions that were begun before go on.

use std::sync::Arc;
use std::time::SystemTime;

use crate::config::{
    BackendTls, BackendVerify, CertificatePair, Complaint, Desired, ListenerSpec, ListenerTls,
    PoolSpec, SettingKey, Subject,
};
use crate::net::tls::client::{Identity, Renewal, Roots};
use crate::net::tls::files::{Certificate, FileError};
use crate::net::tls::server::{Loading, ServerTls};

/// What was read, by the settings that ask for it.
#[derive(Debug, Default, Clone)]
pub struct TlsStore {
    listeners: Vec<(ListenerTls, Arc<ServerTls>)>,
    identities: Vec<KnownIdentity>,
    roots: Vec<(BackendTls, Roots)>,
    /// Whose files are not good.
    broken: Vec<ListenerTls>,
}

/// What some pools show to their backends.
#[derive(Debug, Clone)]
struct KnownIdentity {
    files: CertificatePair,
    identity: Arc<Identity>,
    /// What its files have now, or what was told, until that is shown.
    fresh: Option<Renewal>,
}

impl TlsStore {
    /// Begin to read what a listener shows, unless that is known; if it is there in the store
    /// before, its certificates are read again.
    pub(super) fn begin_listener(
        &self,
        listener: &ListenerSpec,
        before: &TlsStore,
        now: SystemTime,
    ) -> Option<Loading> {
        let settings = &listener.settings.tls;
        let is_known = self.server(settings).is_some() || self.broken.contains(settings);
        if !listener.listen.protocol.is_tls() || is_known {
            return None;
        }
        let before = before.server(settings).map(|it| &**it);
        Some(Loading::begin(settings, before, now))
    }

    /// It was read. Complains of every file that is not good, of each once.
    pub(super) fn add_listener(
        &mut self,
        listener: &ListenerSpec,
        read: Loading,
        errors: &mut Vec<Complaint>,
    ) {
        let settings = &listener.settings.tls;
        match read.finish() {
            Ok(loaded) => self.listeners.push((settings.clone(), Arc::new(loaded))),
            Err(wrong) => {
                let subject = Subject::Listener(listener.name.clone());
                let about = |it| Complaint::from(it).about(subject.clone());
                errors.extend(wrong.iter().map(about));
                self.broken.push(settings.clone());
            }
        }
    }

    /// Listeners with these settings show a certificate that was told in the place of those of its
    /// file; no file is read.
    pub(super) fn show(
        &mut self,
        settings: &ListenerTls,
        told: &Arc<Certificate>,
        errors: &mut Vec<Complaint>,
    ) {
        let found = self.listeners.iter_mut().find(|(known, _)| known == settings);
        let Some((_, server)) = found else { return };
        match server.showing(told) {
            Ok(Some(renewed)) => *server = Arc::new(renewed),
            Ok(None) => {}
            Err(error) => errors.push(Complaint::from(&error)),
        }
    }

    /// The same to backends, once [`TlsStore::show_identities`] puts it in place.
    pub(super) fn show_to_backends(&mut self, told: &Arc<Certificate>) {
        for known in self.identities.iter_mut().filter(|it| it.files.cert == told.file()) {
            known.fresh = Some(Renewal(Arc::clone(told)));
        }
    }

    /// The roots that a pool trusts, and the client certificate that it shows to its backends.
    pub(super) fn renew_pool(
        &mut self,
        pool: &PoolSpec,
        before: &TlsStore,
        now: SystemTime,
        errors: &mut Vec<Complaint>,
    ) {
        let dials = pool.backends.iter().any(|spec| spec.tls.is_some())
            || pool.settings.check.kind.is_https();
        if dials {
            let known = errors.len();
            self.add_roots(&pool.settings.tls, before, now, errors);
            for complaint in errors.split_off(known) {
                errors.push(complaint.about(Subject::Pool(pool.name.clone())));
            }
        }
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
        // Those of the system are read once: they take longest, and change with it alone.
        let known = before.roots(settings);
        if let Some(known) = known.filter(|_| settings.ca.is_none()) {
            return self.roots.push((settings.clone(), known.clone()));
        }
        let roots = match settings.verify {
            BackendVerify::Required => Roots::read(settings.ca.as_deref()),
            BackendVerify::None => Roots::unverified(),
        };
        match roots {
            Ok(roots) => {
                let roots = match identity {
                    // With the sessions that were begun by them.
                    _ if known.is_some_and(|known| known.is_like(&roots)) => {
                        known.cloned().unwrap_or(roots)
                    }
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
        if files.cert.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.identity(files) {
            return Ok(Some(Arc::clone(known)));
        }
        let (identity, fresh) = match before.identity(files) {
            Some(known) => (Arc::clone(known), Some(known.reload(now)?)),
            None => (Identity::load(files, now)?, None),
        };
        let files = files.clone();
        self.identities.push(KnownIdentity { files, identity: Arc::clone(&identity), fresh });
        Ok(Some(identity))
    }

    fn identity(&self, files: &CertificatePair) -> Option<&Arc<Identity>> {
        let found = self.identities.iter().find(|known| known.files == *files);
        found.map(|known| &known.identity)
    }

    /// The certificates for backends, as they were when this store was made, are shown from now on.
    /// Says how many.
    pub fn show_identities(&mut self) -> usize {
        let mut shown = 0;
        for KnownIdentity { identity, fresh, .. } in &mut self.identities {
            if let Some(key) = fresh.take() {
                identity.show(key);
                shown += 1;
            }
        }
        shown
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

    /// What is shown of this file, to clients or to backends.
    pub fn certificate(&self, file: &str) -> Option<Arc<Certificate>> {
        let mut shown = self.servers().flat_map(|it| it.certificates());
        let to_clients = shown.find(|it| it.file() == file).map(Arc::clone);
        to_clients.or_else(|| {
            let known = self.identities.iter().find(|known| known.files.cert == file)?;
            Some(known.identity.certificate())
        })
    }

    /// The file of the certificate whose key is in this one, and in no other.
    pub fn certificate_of_key(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs();
        pairs.find(|it| it.key == key && it.cert != key).map(|it| &*it.cert)
    }

    /// The files of all that is shown, one for each who shows it.
    pub fn pairs(&self) -> impl Iterator<Item = &CertificatePair> {
        let to_clients = self.servers().flat_map(|it| it.files());
        to_clients.chain(self.identities.iter().map(|known| &known.files))
    }

    /// What there is to be said of certificates that no client is ever shown, and of keys of
    /// tickets, each of the first listener that has them.
    pub fn advice(&self, desired: &Desired) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (settings, server) in &self.listeners {
            let whose = desired.listeners.iter().find(|it| it.settings.tls == *settings);
            let Some(listener) = whose else { continue };
            let subject = Subject::Listener(listener.name.clone());
            let about = |it: Complaint| it.about(subject.clone());
            complaints.extend(server.advice().into_iter().map(about));
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
