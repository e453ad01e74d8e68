//! What the admin listeners need of the system: sockets, certificates, tokens.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::config::{
    AdminListen, AdminSettings, Complaint, Listen, ListenerSettings, ListenerSpec, Protocol,
    SettingKey, Subject, Tokens, Wrong, io_words,
};
use crate::limits::TOKENS_BYTES_MAX;
use crate::net::file::read_bytes;
use crate::net::tls::server::ServerTls;
use crate::net::{Families, HandedSocket, Inlet, LocalListener, StreamListener};

/// All of it.
#[derive(Default)]
pub struct PreparedAdmin {
    /// One for each that is wanted.
    pub listeners: Vec<PreparedAdminListener>,
    /// Names by which they may be asked for.
    pub allowed_hosts: Vec<String>,
    /// Where heartbeats come in datagrams; a socket, if that is another place than before.
    pub heartbeats: Option<PreparedInlet>,
}

/// Where heartbeats come in datagrams.
pub struct PreparedInlet {
    /// Its socket, if it is new.
    pub socket: Option<Inlet>,
}

/// An admin listener that is wanted.
pub struct PreparedAdminListener {
    /// Where it is asked for.
    pub place: AdminListen,
    /// What is spoken there.
    pub speaks: Speaks,
    /// Its socket, if it is new.
    pub socket: Option<AdminBound>,
    /// What is shown where TLS is spoken.
    pub tls: Option<Arc<ServerTls>>,
}

/// What is spoken at an admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// The API.
    Api,
    /// HAProxy's commands.
    Haproxy,
    /// HTTP, for whoever reads metrics.
    Metrics,
}

/// A socket that is bound.
pub enum AdminBound {
    /// A UNIX socket.
    Local(LocalListener),
    /// TCP.
    Stream(StreamListener),
}

/// Where each is to be, and what is spoken there.
pub(super) fn places(admin: &AdminSettings) -> Vec<(AdminListen, Speaks, SettingKey)> {
    let api = admin.listen.iter().map(|it| (it.clone(), Speaks::Api, SettingKey::ADMIN_LISTEN));
    let haproxy = admin.haproxy_socket.iter().map(|path| {
        (AdminListen::Unix(path.clone()), Speaks::Haproxy, SettingKey::HAPROXY_SOCKET)
    });
    let metrics = admin
        .metrics
        .iter()
        .map(|address| (AdminListen::Http(*address), Speaks::Metrics, SettingKey::METRICS));
    api.chain(haproxy).chain(metrics).collect()
}

/// Listen there, or at what was handed over for it.
pub(super) fn bind(
    place: &AdminListen,
    key: SettingKey,
    mode: u32,
    handed: Option<&HandedSocket>,
) -> Result<AdminBound, Complaint> {
    let bound = match (place, handed) {
        (AdminListen::Unix(_), Some(handed)) => {
            LocalListener::adopt(handed).map(AdminBound::Local)
        }
        (AdminListen::Http(_) | AdminListen::Https(_), Some(handed)) => {
            StreamListener::adopt(handed).map(AdminBound::Stream)
        }
        (AdminListen::Unix(path), None) => {
            LocalListener::bind(Path::new(path), mode).map(AdminBound::Local)
        }
        (AdminListen::Http(address) | AdminListen::Https(address), None) => {
            StreamListener::bind(*address, Families::Both).map(AdminBound::Stream)
        }
    };
    bound.map_err(|error| {
        let why = match (error.kind(), place) {
            (io::ErrorKind::AddrInUse, AdminListen::Unix(_)) => {
                "another process listens there; stop it, or choose another path".to_owned()
            }
            (io::ErrorKind::AlreadyExists, _) => {
                "there is a file that is no socket; choose another path".to_owned()
            }
            (io::ErrorKind::NotFound, _) => {
                "its directory is not there; make it, or choose another path".to_owned()
            }
            (io::ErrorKind::AddrInUse, _) => {
                "the port is in use; choose another (0 lets the system choose)".to_owned()
            }
            _ => io_words(&error),
        };
        Complaint::of(key, place.to_string(), why).about(Subject::Process)
    })
}

/// A socket for heartbeats, if they are to come somewhere else than before.
pub(super) fn inlet(
    wanted: Option<SocketAddr>,
    before: Option<SocketAddr>,
    binds: bool,
    handed: Option<&HandedSocket>,
) -> Result<Option<PreparedInlet>, Complaint> {
    let Some(address) = wanted else { return Ok(None) };
    if before == wanted || !binds {
        return Ok(Some(PreparedInlet { socket: None }));
    }
    let complain = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; choose another (0 lets the system choose)".to_owned()
            }
            _ => io_words(&error),
        };
        Complaint::of(SettingKey::REGISTER_UDP, address.to_string(), why)
            .about(Subject::Process)
    };
    let socket = handed.map_or_else(|| Inlet::bind(address), Inlet::adopt).map_err(complain)?;
    Ok(Some(PreparedInlet { socket: Some(socket) }))
}

/// The file of tokens, if there is one.
pub(super) fn read_tokens(admin: &AdminSettings) -> Result<Option<Tokens>, Vec<Complaint>> {
    let Some(file) = &admin.tokens else { return Ok(None) };
    let complaint = |why: &str| {
        let what = format!("{file}: {why}");
        Complaint::new(SettingKey::ADMIN_TOKENS, what).about(Subject::Process)
    };
    let text = read_bytes(file, TOKENS_BYTES_MAX).map_err(|why| vec![complaint(&why)])?;
    let text = String::from_utf8(text).map_err(|_| vec![complaint("it is no UTF-8")])?;
    let line = |(at, wrong): &(usize, Wrong)| complaint(&format!("line {at}: {wrong}"));
    Tokens::parse(&text).map(Some).map_err(|wrong| wrong.iter().map(line).collect())
}

/// As a listener of traffic with the same certificates.
pub(super) fn as_listener(admin: &AdminSettings) -> Option<ListenerSpec> {
    admin.listen.iter().find(|it| is_tls(it))?;
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ListenerSettings { tls: admin.tls.clone(), ..ListenerSettings::DEFAULT };
    let listen = Listen::at(Protocol::Https, address);
    Some(ListenerSpec { name: "admin".to_owned(), listen, settings })
}

/// What is wrong with its certificates, by its own settings.
pub(super) fn renamed(complaint: Complaint) -> Complaint {
    let at = match complaint.at {
        SettingKey::CERT_KEY => SettingKey::ADMIN_KEY,
        SettingKey::CLIENT_CA => SettingKey::ADMIN_CLIENT_CA,
        _ => SettingKey::ADMIN_CERT,
    };
    complaint.at(at).about(Subject::Process)
}

/// Whether TLS is spoken there.
pub(super) fn is_tls(place: &AdminListen) -> bool {
    matches!(place, AdminListen::Https(_))
}
