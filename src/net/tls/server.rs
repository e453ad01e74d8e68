//! TLS towards clients: certificates, who may come, which sessions go on, what is spoken inside.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoClientAuth, NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier,
};
use rustls::{Error, RootCertStore, ServerConfig};

use crate::config::{CertificatePair, ClientCert, Complaint, ListenerTls, SettingKey};

use super::chain::Bounded;
use super::chooser::{self, Chooser};
use super::files::{self, Certificate, FileError, Keys};
use super::provider::provider;
use super::tickets::TicketKeys;

/// How rustls says that no certificate was found.
const NO_CERTIFICATE: &str = "no server certificate chain resolved";

/// The TLS side of all listeners: certificates, sessions, which clients to let in.
pub struct ServerTls {
    settings: ListenerTls,
    tickets: Tickets,
    verifier: Arc<dyn ClientCertVerifier>,
    certificates: Vec<Arc<Certificate>>,
    chooser: Arc<Chooser>,
    http: Arc<ServerConfig>,
    bytes: Arc<ServerConfig>,
}

/// What session tickets are made with.
#[derive(Clone)]
enum Tickets {
    /// Keys that nobody else has, drawn anew by rustls in time.
    Drawn(Arc<dyn ProducesTickets>),
    /// Those of a file.
    OfFile(Arc<TicketKeys>),
}

/// What is spoken inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// HTTP/1.1, or 1.0 for clients that know no other: what ALPN answers.
    Http,
    /// Anything.
    Bytes,
}

/// What the settings of a listener name, as it is read: a file of them may be one of thousands.
pub struct Loading {
    settings: ListenerTls,
    /// Those of before.
    tickets: Option<Tickets>,
    now: SystemTime,
    /// How many certificates were read.
    read: usize,
    certificates: Vec<Arc<Certificate>>,
    errors: Vec<FileError>,
}

impl Loading {
    /// Of everything; of a listener that was there `before` sessions that were begun go on.
    pub fn begin(
        settings: &ListenerTls,
        before: Option<&ServerTls>,
        now: SystemTime,
    ) -> Loading {
        Loading {
            settings: settings.clone(),
            tickets: before.map(|it| it.tickets.clone()),
            now,
            read: 0,
            certificates: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The next certificate. Says whether there is more to do.
    pub fn step(&mut self) -> bool {
        let Some(pair) = self.settings.certificates.get(self.read) else { return false };
        self.read += 1;
        match Certificate::load(Keys::LISTENERS, pair, self.now) {
            Ok(certificate) => self.certificates.push(Arc::new(certificate)),
            Err(error) => {
                let key = files::check_key(Keys::LISTENERS, pair, &error);
                self.errors.extend([Some(error), key].into_iter().flatten());
            }
        }
        true
    }

    /// All of it, or all that is wrong.
    pub fn finish(self) -> Result<ServerTls, Vec<FileError>> {
        let Loading { settings, tickets, certificates, mut errors, .. } = self;
        let tickets = Tickets::of(&settings, tickets);
        let verifier = client_verifier(&settings);
        match (tickets, verifier) {
            (Ok(tickets), Ok(verifier)) if errors.is_empty() => {
                let built = ServerTls::build(settings, tickets, verifier, certificates);
                built.map_err(|error| vec![error])
            }
            (tickets, verifier) => {
                errors.extend(verifier.err());
                errors.extend(tickets.err());
                Err(errors)
            }
        }
    }
}

impl Tickets {
    /// Those of the file, which is read; without one those of before, or new ones.
    fn of(settings: &ListenerTls, before: Option<Tickets>) -> Result<Tickets, FileError> {
        match (&settings.ticket_keys, before) {
            (Some(file), _) => TicketKeys::read(file).map(Arc::new).map(Tickets::OfFile),
            (None, Some(drawn)) => Ok(drawn),
            (None, None) => aws_lc_rs::Ticketer::new()
                .map(Tickets::Drawn)
                .map_err(|error| FileError::new(SettingKey::CERT, "TLS", &error.to_string())),
        }
    }

    fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        match self {
            Tickets::Drawn(drawn) => Arc::clone(drawn),
            Tickets::OfFile(keys) => Arc::clone(keys) as _,
        }
    }

    fn warning(&self) -> Option<&str> {
        match self {
            Tickets::Drawn(_) => None,
            Tickets::OfFile(keys) => keys.warning(),
        }
    }
}

impl ServerTls {
    fn build(
        settings: ListenerTls,
        tickets: Tickets,
        verifier: Arc<dyn ClientCertVerifier>,
        certificates: Vec<Arc<Certificate>>,
    ) -> Result<ServerTls, FileError> {
        let chooser = Arc::new(Chooser::new(&certificates, settings.unknown_name));
        let config = |inside| -> Result<Arc<ServerConfig>, FileError> {
            let builder = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| FileError::new(SettingKey::CERT, "TLS", &error.to_string()))?;
            let builder = builder.with_client_cert_verifier(Arc::clone(&verifier));
            let mut config = builder.with_cert_resolver(Arc::clone(&chooser) as _);
            resume(&mut config, settings.client_cert, &tickets);
            config.alpn_protocols = match inside {
                Inside::Http => vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()],
                Inside::Bytes => settings.alpn.iter().map(|it| it.clone().into()).collect(),
            };
            Ok(Arc::new(config))
        };
        let http = config(Inside::Http)?;
        let bytes = config(Inside::Bytes)?;
        Ok(ServerTls { settings, tickets, verifier, certificates, chooser, http, bytes })
    }

    /// The same with this certificate in the place of those of its file; sessions that were begun
    /// go on, and nothing is read. Nothing, if it shows none of that file, or this one already.
    pub fn showing(&self, told: &Arc<Certificate>) -> Result<Option<ServerTls>, FileError> {
        let is_its = |it: &Arc<Certificate>| it.file() == told.file();
        let is_old = |it: &Arc<Certificate>| is_its(it) && !Arc::ptr_eq(it, told);
        if !self.certificates.iter().any(is_old) {
            return Ok(None);
        }
        let renewed = |it: &Arc<Certificate>| Arc::clone(if is_its(it) { told } else { it });
        ServerTls::build(
            self.settings.clone(),
            self.tickets.clone(),
            Arc::clone(&self.verifier),
            self.certificates.iter().map(renewed).collect(),
        )
        .map(Some)
    }

    /// What a new connection begins with.
    pub fn config(&self, inside: Inside) -> &Arc<ServerConfig> {
        match inside {
            Inside::Http => &self.http,
            Inside::Bytes => &self.bytes,
        }
    }

    /// What there is to be said of certificates that no client is ever shown, and of who may read
    /// the keys of tickets.
    pub fn advice(&self) -> Vec<Complaint> {
        let unused = chooser::never_shown(&self.certificates);
        let line = |(certificate, before): &(&Certificate, &Certificate)| {
            let why = format!(
                "it is never shown: {} comes before it and is for the same names, with a key of \
                 the same kind",
                before.file()
            );
            let complaint = Complaint::of(SettingKey::CERT, certificate.file(), why);
            complaint.in_file(certificate.file())
        };
        let tickets = self.tickets.warning();
        let tickets =
            tickets.map(|text| Complaint::new(SettingKey::TICKET_KEYS, text.to_owned()));
        unused.iter().map(line).chain(tickets).collect()
    }

    /// Whether a client that asks for the one name and a request for the other host (with or
    /// without a port) are shown the same certificate.
    pub fn shows_the_same(&self, name: &str, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let host = match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        };
        self.chooser.is_same(name, host)
    }

    /// Their files, and those of their keys.
    pub fn files(&self) -> &[CertificatePair] {
        &self.settings.certificates
    }

    /// When the first of the certificates expires.
    pub fn first_end(&self) -> Option<SystemTime> {
        self.certificates.iter().map(|it| it.ends()).min()
    }

    /// The certificates, in the order in which they were asked for.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A session that goes on takes the place of a certificate that was verified when it began, and
/// would outlive it and the trust in who signed it. So there is none where clients show one.
fn resume(config: &mut ServerConfig, client_cert: ClientCert, tickets: &Tickets) {
    match client_cert {
        ClientCert::None => config.ticketer = tickets.ticketer(),
        ClientCert::Optional | ClientCert::Required => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
}

/// Whether this says that a client asked for a name that nobody serves.
pub(super) fn is_unknown_name(error: &Error) -> bool {
    matches!(error, Error::General(text) if text == NO_CERTIFICATE)
}

fn client_verifier(settings: &ListenerTls) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let Some(file) = &settings.client_ca else { return Ok(Arc::new(NoClientAuth)) };
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(SettingKey::CLIENT_CA, file)? {
        let added = roots.add(certificate);
        added.map_err(|error| {
            FileError::new(SettingKey::CLIENT_CA, file, &files::reason(&error))
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let builder = match settings.client_cert {
        ClientCert::Optional => builder.allow_unauthenticated(),
        ClientCert::Required | ClientCert::None => builder,
    };
    let built = builder.build();
    let built = built
        .map_err(|error| FileError::new(SettingKey::CLIENT_CA, file, &error.to_string()))?;
    Ok(Arc::new(Bounded(built)))
}
