//! What a change needs of the system, before the first thing is changed: sockets, files, names.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::access_log::AccessLog;
use crate::backends::{ServerPlan, StickyKey};
use crate::config::{
    AccessLogPlace, BackendSpec, Check, Complaint, Desired, Listen, OwnListeners, PoolSpec,
    ProcessSettings, SettingKey, Sticky, Subject, io_words,
};
use crate::http::answer::content_type;
use crate::limits::PAGE_BYTES_MAX;
use crate::net::descriptors::Needs;
use crate::net::tls::files::{self, FileError};
use crate::net::{DatagramListener, Families, StreamListener};
use crate::services::Page;

use super::diff::Diff;
use super::resolve;
use super::servers::{ServerWanted, servers};
use super::tls::TlsStore;

/// What runs now.
pub struct Ground<'a> {
    /// As it was wanted.
    pub desired: &'a Desired,
    /// What TLS read for it.
    pub store: &'a TlsStore,
    /// Where its listeners really are, in the order of their list.
    pub addresses: &'a [SocketAddr],
    /// Whether a listener of ours that has not been closed yet has this port, for datagrams or not.
    pub holds: &'a dyn Fn(u16, bool) -> bool,
    /// The addresses of a host that runs already, by its name and port.
    pub known: &'a dyn Fn(&str, u16) -> Option<Vec<SocketAddr>>,
}

impl<'a> Ground<'a> {
    /// Nothing runs: the desired state and the store are empty ones.
    pub fn nothing(desired: &'a Desired, store: &'a TlsStore) -> Ground<'a> {
        Ground { desired, store, addresses: &[], holds: &|_, _| false, known: &|_, _| None }
    }
}

/// All that a change needs. To drop it undoes it: its sockets are closed, nothing has changed.
pub struct Prepared {
    /// What is wanted.
    pub desired: Desired,
    /// What is different.
    pub diff: Diff,
    /// Files, read anew.
    pub store: TlsStore,
    /// One for each listener that is wanted, in order.
    pub listeners: Vec<PreparedListener>,
    /// One for each server that is wanted, in order.
    pub servers: Vec<PreparedServer>,
    /// Keys of sticky cookies for pools that are new or want another, by the pool's name.
    pub sticky_keys: HashMap<String, Option<StickyKey>>,
    /// Bodies of answers of our own, by the names of their files.
    pub pages: HashMap<String, Arc<Page>>,
    /// Another access log than before, or none; `None` if it stays as it is.
    pub access_log: Option<Option<AccessLog>>,
    /// Who will need descriptors.
    pub needs: Needs,
}

/// A listener that is wanted.
pub struct PreparedListener {
    /// Where it really is.
    pub address: SocketAddr,
    /// Its socket, if it is new.
    pub socket: Option<Socket>,
}

/// A socket that is bound.
pub enum Socket {
    /// For connections.
    Stream(StreamListener),
    /// For datagrams.
    Datagram(DatagramListener),
}

/// A server that is wanted; of one that runs as it is wanted nothing is needed.
pub struct PreparedServer {
    /// What is known of it, if it is new or changed.
    pub plan: Option<ServerPlan>,
}

/// Everything that leads from what runs to what is wanted. If anything cannot be had, all of that
/// is told at once, and nothing has changed.
pub fn prepare(ground: &Ground<'_>, desired: Desired) -> Result<Prepared, Vec<Complaint>> {
    let mut errors = Vec::new();
    let diff = Diff::between(ground.desired, &desired);
    let store = ground.store.renewed(&desired, SystemTime::now(), &mut errors);
    noted(check_access_log(ground.desired, &desired), &mut errors);
    let sticky_keys = sticky_keys(ground.desired, &desired, &diff, &mut errors);
    let pages = read_pages(&desired, &mut errors);
    let listeners = bind_all(ground, &desired, &diff, &mut errors);
    let servers = plan_all(ground, &desired, &diff, &store, &listeners, &mut errors);
    // Last, for it makes its file: what is refused leaves nothing behind.
    let is_good = errors.is_empty();
    let access_log = is_good.then(|| access_log(ground.desired, &desired));
    let access_log = access_log.and_then(|opened| noted(opened, &mut errors)).flatten();
    if !errors.is_empty() {
        return Err(errors);
    }
    let needs = needs(&desired, servers.len());
    Ok(Prepared {
        diff,
        store,
        listeners,
        servers,
        sticky_keys,
        pages,
        access_log,
        needs,
        desired,
    })
}

/// What could not be had of this, without binding anything or opening the access log.
pub fn check(desired: &Desired) -> Vec<Complaint> {
    let mut errors = Vec::new();
    let nothing = Desired::nothing();
    let store = TlsStore::default();
    let ground = Ground::nothing(&nothing, &store);
    let diff = Diff::between(&nothing, desired);
    let store = ground.store.renewed(desired, SystemTime::now(), &mut errors);
    sticky_keys(&nothing, desired, &diff, &mut errors);
    read_pages(desired, &mut errors);
    let as_wanted = |it: &crate::config::ListenerSpec| PreparedListener {
        address: it.listen.address,
        socket: None,
    };
    let listeners: Vec<PreparedListener> = desired.listeners.iter().map(as_wanted).collect();
    plan_all(&ground, desired, &diff, &store, &listeners, &mut errors);
    noted(check_access_log(&nothing, desired), &mut errors);
    errors
}

/// Go on without it, to find what else is wrong.
fn noted<T>(result: Result<T, Complaint>, errors: &mut Vec<Complaint>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn needs(desired: &Desired, servers: usize) -> Needs {
    let is_udp = |listen: &Listen| listen.protocol.is_udp();
    let datagrams = desired.listeners.iter().filter(|it| is_udp(&it.listen)).count();
    let is_probed = |pool: &PoolSpec| pool.settings.check.kind != Check::None;
    let probes = if desired.pools.iter().any(is_probed) { servers } else { 0 };
    Needs { streams: desired.listeners.len() - datagrams, datagrams, probes }
}

/// Another one is opened where its file or its format is another.
fn access_log(old: &Desired, new: &Desired) -> Result<Option<Option<AccessLog>>, Complaint> {
    if !logs_anew(old, new) {
        return Ok(None);
    }
    let Some(place) = &new.process.access_log else { return Ok(Some(None)) };
    let opened = AccessLog::open(place, new.process.access_log_format, Instant::now());
    opened.map(|log| Some(Some(log))).map_err(|error| cannot_log(place, &error))
}

/// What is wrong with it that can be seen without making its file.
fn check_access_log(old: &Desired, new: &Desired) -> Result<(), Complaint> {
    let place = new.process.access_log.as_ref().filter(|_| logs_anew(old, new));
    let Some(place) = place else { return Ok(()) };
    AccessLog::check(place).map_err(|error| cannot_log(place, &error))
}

fn logs_anew(old: &Desired, new: &Desired) -> bool {
    let asked = |it: &ProcessSettings| (it.access_log.clone(), it.access_log_format);
    asked(&old.process) != asked(&new.process)
}

fn cannot_log(place: &AccessLogPlace, error: &io::Error) -> Complaint {
    let why = io_words(error);
    Complaint::of(SettingKey::ACCESS_LOG, place.to_string(), why).about(Subject::Process)
}

/// The files of rules and error pages, each once.
fn read_pages(desired: &Desired, errors: &mut Vec<Complaint>) -> HashMap<String, Arc<Page>> {
    let mut pages: HashMap<String, Arc<Page>> = HashMap::new();
    for service in &desired.services {
        for file in service.files() {
            if pages.contains_key(file) {
                continue;
            }
            match files::read_bytes(file, PAGE_BYTES_MAX) {
                Ok(body) => {
                    let page = Page { content_type: content_type(file), body };
                    pages.insert(file.to_owned(), Arc::new(page));
                }
                Err(why) => {
                    let subject = Subject::Service(service.name.clone());
                    let complaint = Complaint::new(SettingKey::PAGE, format!("{file}: {why}"));
                    errors.push(complaint.about(subject).in_file(file));
                }
            }
        }
    }
    pages
}

/// A pool keeps a key that was drawn for as long as it asks for one; files are read anew.
fn sticky_keys(
    old: &Desired,
    new: &Desired,
    diff: &Diff,
    errors: &mut Vec<Complaint>,
) -> HashMap<String, Option<StickyKey>> {
    let mut keys = HashMap::new();
    for (pool, fate) in new.pools.iter().zip(&diff.pools.wanted) {
        let is_drawn = |it: &Sticky| it.cookie.is_some() && it.key.is_none();
        let before = fate.before().map(|at| &old.pools[at].settings.sticky);
        if !(before.is_some_and(is_drawn) && is_drawn(&pool.settings.sticky)) {
            let key = noted(sticky_key(pool), errors).flatten();
            keys.insert(pool.name.clone(), key);
        }
    }
    keys
}

/// What the sticky cookie is made with, if there is one.
fn sticky_key(pool: &PoolSpec) -> Result<Option<StickyKey>, Complaint> {
    let sticky = &pool.settings.sticky;
    let about = |complaint: Complaint| complaint.about(Subject::Pool(pool.name.clone()));
    match (&sticky.cookie, &sticky.key) {
        (None, _) => Ok(None),
        (Some(_), None) => {
            let key = StickyKey::random().map(Some);
            key.map_err(|why| about(Complaint::new(SettingKey::STICKY_COOKIE, why)))
        }
        (Some(_), Some(file)) => {
            let setting = SettingKey::STICKY_KEY;
            let read = files::read(setting, file);
            let text = read.map_err(|error| about(Complaint::from(&error)))?;
            let key = StickyKey::from_text(&text);
            key.map(Some).map_err(|why| about((&FileError::new(setting, file, &why)).into()))
        }
    }
}

/// Sockets for all listeners that are new, and where all of them really are. Of one that cannot be
/// had the address is as it was asked for.
fn bind_all(
    ground: &Ground<'_>,
    desired: &Desired,
    diff: &Diff,
    errors: &mut Vec<Complaint>,
) -> Vec<PreparedListener> {
    let all: Vec<&Listen> = desired.listeners.iter().map(|it| &it.listen).collect();
    let mut prepared = Vec::new();
    for (listener, fate) in desired.listeners.iter().zip(&diff.listeners.wanted) {
        let listen = &listener.listen;
        let before = fate.before().and_then(|at| ground.addresses.get(at).copied());
        let about =
            |complaint: Complaint| complaint.about(Subject::Listener(listener.name.clone()));
        let socket = match before {
            Some(_) => None,
            None => noted(bind(ground, listen, &all).map_err(about), errors),
        };
        let bound = socket.as_ref().map(Socket::address);
        let address = before.or(bound).unwrap_or(listen.address);
        prepared.push(PreparedListener { address, socket });
    }
    prepared
}

impl Socket {
    fn address(&self) -> SocketAddr {
        match self {
            Socket::Stream(listener) => listener.address(),
            Socket::Datagram(listener) => listener.address(),
        }
    }
}

/// `[::]` takes IPv4 clients too, unless another listener has the same port for them.
fn bind(ground: &Ground<'_>, listen: &Listen, all: &[&Listen]) -> Result<Socket, Complaint> {
    let address = listen.address;
    let is_udp = listen.protocol.is_udp();
    let taken = |listen: &&Listen| {
        listen.address.is_ipv4()
            && listen.protocol.is_udp() == is_udp
            && listen.address.port() == address.port()
            && address.port() != 0
    };
    let is_shared = address.ip() == IpAddr::from([0u16; 8]) && all.iter().any(taken);
    let families = if is_shared { Families::V6 } else { Families::Both };
    let bound = if is_udp {
        DatagramListener::bind(address, families).map(Socket::Datagram)
    } else {
        StreamListener::bind(address, families).map(Socket::Stream)
    };
    bound.map_err(|error| {
        let is_ours = (ground.holds)(address.port(), is_udp);
        cannot_listen(address, is_udp, is_ours, &error)
    })
}

fn cannot_listen(
    address: SocketAddr,
    is_udp: bool,
    is_ours: bool,
    error: &io::Error,
) -> Complaint {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse if is_ours => {
            "a listener of ours has the port until its clients or flows have come in or ended; \
             leave both out of one reload, and have this one in a later one"
                .to_owned()
        }
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop who uses it, or choose another (0 lets the system choose)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "not allowed to use port {}; ports below 1024 need CAP_NET_BIND_SERVICE, or choose \
             a higher one",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 or [::] listens on all it has"
                .to_owned()
        }
        _ => io_words(error),
    };
    let scheme = if is_udp { "udp://" } else { "" };
    Complaint::of(SettingKey::LISTEN, format!("{scheme}{address}"), why)
}

/// What is needed of each server. Names that run already are not looked up again.
fn plan_all(
    ground: &Ground<'_>,
    desired: &Desired,
    diff: &Diff,
    store: &TlsStore,
    listeners: &[PreparedListener],
    errors: &mut Vec<Complaint>,
) -> Vec<PreparedServer> {
    let before = servers(ground.desired);
    let own = Own::new(desired, listeners);
    let mut prepared = Vec::new();
    for (wanted, fate) in servers(desired).iter().zip(&diff.servers.wanted) {
        let is_same =
            |&at: &usize| before[at].facts == wanted.facts && before[at].key() == wanted.key();
        let plan = if fate.before().as_ref().is_some_and(is_same) {
            None
        } else {
            let known = (ground.known)(&wanted.spec.host, wanted.spec.port);
            let plan = resolve::plan(wanted, known.as_deref(), store);
            noted(plan.map_err(|it| it.about(subject(wanted))), errors)
        };
        let addresses = match &plan {
            Some(plan) => plan.addresses.clone(),
            None => known_name(ground, wanted),
        };
        errors.extend(addresses.into_iter().find_map(|at| own.complaint(wanted, at)));
        prepared.push(PreparedServer { plan });
    }
    prepared
}

/// Where a server that stays is, if it has a name: what an address alone tells was asked before.
fn known_name(ground: &Ground<'_>, wanted: &ServerWanted<'_>) -> Vec<SocketAddr> {
    let host = &wanted.spec.host;
    let has_name = host.parse::<IpAddr>().is_err();
    let known = has_name.then(|| (ground.known)(host, wanted.spec.port)).flatten();
    known.unwrap_or_default()
}

fn subject(wanted: &ServerWanted<'_>) -> Subject {
    let pool = wanted.seats.first().map_or_else(String::new, |(pool, _)| (*pool).to_owned());
    Subject::Backend { pool, name: wanted.spec.name.clone() }
}

/// Where we listen ourselves, and which listeners lead to which pool.
struct Own<'a> {
    all: Vec<Listen>,
    feeding: HashMap<&'a str, Vec<Listen>>,
}

impl<'a> Own<'a> {
    fn new(desired: &'a Desired, listeners: &[PreparedListener]) -> Own<'a> {
        let real = |at: usize| Listen {
            protocol: desired.listeners[at].listen.protocol,
            address: listeners[at].address,
        };
        let place: HashMap<&str, usize> =
            desired.listeners.iter().enumerate().map(|(at, it)| (&*it.name, at)).collect();
        let mut feeding: HashMap<&str, Vec<Listen>> = HashMap::new();
        for service in &desired.services {
            for pool in service.pools() {
                let places = service.listeners.iter().filter_map(|name| place.get(&**name));
                feeding.entry(pool).or_default().extend(places.map(|&at| real(at)));
            }
        }
        Own { all: (0..listeners.len()).map(real).collect(), feeding }
    }

    fn complaint(&self, wanted: &ServerWanted<'_>, address: SocketAddr) -> Option<Complaint> {
        let spec: &BackendSpec = wanted.spec;
        wanted.seats.iter().find_map(|(pool, _)| {
            let own = OwnListeners {
                feeding: self.feeding.get(pool).map_or(&[], Vec::as_slice),
                listeners: &self.all,
                check: &wanted.facts.check.kind,
                is_of_this_machine,
            };
            own.complaint(SettingKey::BACKEND, spec, address)
                .map(|it| it.about(subject(wanted)))
        })
    }
}

/// Only what is an address of this machine can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
