//! From a configuration to a loop that is ready to run: what can fail for want of a file, a name, a
//! port or a descriptor fails here, in one line each that names the setting, all at once.

mod advice;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use log::{info, warn};

use crate::access_log::AccessLog;
use crate::backends::{
    Backends, CheckRules, IdleRules, PoolId, PoolOf, PoolPlan, RiseFall, Routes, SeatPlan,
    Server, ServerId, ServerPlan, StickyKey,
};
use crate::balance;
use crate::config::{
    self, BackendSpec, BackendVerify, Check, Complaint, Config, Listen, OwnListeners, Phrase,
    Protocol, RouteName, RoutePlan, SettingKey, Spelling, Sticky, dials_tls, io_words,
};
use crate::demo::{self, Demo};
use crate::event::signals::Signals;
use crate::event_loop::{EventLoop, Listeners, Logs, Parts};
use crate::limits::{BACKEND_ADDRESSES_MAX, DEMO_CLIENTS, PORTS_FOR_FLOWS_PERCENT};
use crate::logging::LogSink;
use crate::net::descriptors::{self, Needs};
use crate::net::tls::client::{ClientTls, Identity, Roots};
use crate::net::tls::files::{self, FileError};
use crate::net::tls::server::ServerTls;
use crate::net::{DatagramListener, Families, StreamListener, ports};

/// Why the program could not begin to serve.
#[derive(Debug)]
pub enum StartError {
    /// What was asked for cannot be had.
    Settings(Vec<Complaint>),
    /// The system has no poll, or no memory.
    EventLoop(io::Error),
}

/// Everything up to the first turn. The real listen addresses are printed on standard output. What
/// cannot be read, bound or found is told all at once.
pub fn start(
    config: &Config,
    spelling: Spelling,
    mut signals: Signals,
    log: LogSink,
) -> Result<EventLoop, StartError> {
    let mut errors: Vec<Complaint> = Vec::new();
    let files = Files::read(config, &mut errors);
    let seed = config.process.seed.unwrap_or_else(|| fastrand::u64(..));
    let demo =
        noted(config.process.demo.then(|| start_demo(seed)).transpose(), &mut errors).flatten();
    if demo.is_some() {
        signals.belong_to_terminal();
    }
    let (mut listeners, addresses) = bind_all(config, &mut errors);
    let resolved = match &demo {
        Some(_) => None,
        None => resolve_all(config, files.trust.as_ref(), &addresses, &mut errors),
    };
    if !errors.is_empty() {
        return Err(StartError::Settings(errors));
    }
    info!("seed {seed}");
    let Peopled { mut backends, pool, routes } = match (resolved, &demo) {
        (Some((plan, servers)), _) => people(config, seed, plan, servers),
        (None, Some(demo)) => people_with_demo(demo, config, seed),
        // because: what could not be resolved was an error.
        (None, None) => return Err(StartError::Settings(errors)),
    };
    let unused = files.server_tls.iter().flat_map(ServerTls::never_shown);
    for complaint in advice::advice(config, &backends).into_iter().chain(unused) {
        warn!("{}", complaint.spelled(spelling));
    }
    if let Some(key) = files.sticky_key {
        backends.make_tokens(key);
    }
    let share = share_descriptors(config, spelling, &listeners, backends.len());
    for (id, server) in backends.iter() {
        let weight = backends.share(id).weight;
        info!("backend {} at {}, weight {weight}", server.name, places(server));
    }
    listeners.server_tls = files.server_tls;
    listeners.identity = files.identity;
    let logs = Logs { log, access_log: files.access_log, spelling };
    let parts = Parts { seed, signals, listeners, backends, pool, routes, share, logs };
    let looping = EventLoop::new(config, parts).map_err(StartError::EventLoop)?;
    announce(&addresses);
    let is_udp = |listen: &&Listen| listen.protocol == Protocol::Udp;
    let udp = addresses.iter().find(is_udp).map(|listen| listen.address);
    let stream = addresses.iter().find(|listen| !is_udp(listen));
    if let (Some(demo), Some(stream)) = (demo, stream) {
        say(&demo::banner(stream.address, udp, config.service.stats_path.as_deref(), &demo));
        demo::start_traffic(stream.address, DEMO_CLIENTS);
    }
    Ok(looping)
}

fn open_access_log(config: &Config) -> Result<Option<AccessLog>, Complaint> {
    let Some(place) = &config.process.access_log else { return Ok(None) };
    let opened = AccessLog::open(place, config.process.access_log_format, Instant::now());
    opened.map(Some).map_err(|error| {
        Complaint::of(SettingKey::ACCESS_LOG, place.to_string(), io_words(&error))
    })
}

/// What the sticky cookie is made with, if there is one.
fn sticky_key(config: &Config) -> Result<Option<StickyKey>, Complaint> {
    match &config.pool.sticky {
        Sticky { cookie: None, .. } => Ok(None),
        Sticky { key: None, .. } => {
            let key = StickyKey::random().map(Some);
            key.map_err(|why| Complaint::new(SettingKey::STICKY_COOKIE, why))
        }
        Sticky { key: Some(file), .. } => {
            let setting = SettingKey::STICKY_KEY;
            let text = files::read(setting, file).map_err(|error| Complaint::from(&error))?;
            let key = StickyKey::from_text(&text);
            key.map(Some).map_err(|why| (&FileError::new(setting, file, &why)).into())
        }
    }
}

/// What is read or opened before anything is bound or said.
#[derive(Default)]
struct Files {
    trust: Option<Roots>,
    identity: Option<Arc<Identity>>,
    server_tls: Option<ServerTls>,
    access_log: Option<AccessLog>,
    sticky_key: Option<StickyKey>,
}

impl Files {
    fn read(config: &Config, errors: &mut Vec<Complaint>) -> Files {
        Files {
            trust: noted(load_trust(config), errors).flatten(),
            identity: noted(load_identity(config), errors).flatten(),
            server_tls: load_certificates(config, errors),
            access_log: noted(open_access_log(config), errors).flatten(),
            sticky_key: noted(sticky_key(config), errors).flatten(),
        }
        .identified()
    }

    fn identified(mut self) -> Files {
        if let Some(identity) = &self.identity {
            self.trust = self.trust.map(|trust| trust.identify(Arc::clone(identity)));
        }
        self
    }
}

/// Go on without it, to find what else is wrong.
fn noted<T>(result: Result<T, Complaint>, errors: &mut Vec<Complaint>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn load_certificates(config: &Config, errors: &mut Vec<Complaint>) -> Option<ServerTls> {
    if config.listener.tls.certificates.is_empty() {
        return None;
    }
    match ServerTls::load(&config.listener.tls, SystemTime::now()) {
        Ok(loaded) => Some(loaded),
        Err(wrong) => {
            errors.extend(wrong.iter().map(Complaint::from));
            None
        }
    }
}

fn load_identity(config: &Config) -> Result<Option<Arc<Identity>>, Complaint> {
    let files = &config.pool.tls.identity;
    if files.cert.is_empty() {
        return Ok(None);
    }
    let identity = Identity::load(files, SystemTime::now());
    identity.map(Some).map_err(|error| Complaint::from(&error))
}

fn start_demo(seed: u64) -> Result<Demo, Complaint> {
    demo::start(seed).map_err(|error| {
        let why = format!("cannot start its backends: {}", io_words(&error));
        Complaint::new(SettingKey::DEMO, why)
    })
}

/// Servers in their pools, and which way leads where.
struct Peopled {
    backends: Backends,
    /// The pool of those that belong to no route.
    pool: PoolId,
    routes: Routes,
}

fn people_with_demo(demo: &Demo, config: &Config, seed: u64) -> Peopled {
    let mut backends = Backends::default();
    let pool = backends.add_pool(pool_plan("pool", PoolOf::Listeners, config, seed));
    for (name, address) in &demo.backends {
        let plan = demo_server(name, *address, config);
        let id = backends.add_server(plan, Instant::now());
        backends.join(id, pool, SeatPlan { weight: 1, backup: false });
    }
    backends.finish_work();
    Peopled { backends, pool, routes: Routes::default() }
}

/// Everybody's name is looked up, before the first that cannot be found ends it.
fn resolve_all(
    config: &Config,
    trust: Option<&Roots>,
    listeners: &[Listen],
    errors: &mut Vec<Complaint>,
) -> Option<(RoutePlan, Vec<ServerPlan>)> {
    let plan = config::plan(config).map_err(|wrong| Complaint::new(SettingKey::ROUTE, wrong));
    let plan = noted(plan, errors)?;
    let check = &config.pool.check.kind;
    let own = OwnListeners { listeners, check, is_of_this_machine };
    let of_no_route = plan.pools[0].1.len();
    let mut members = Vec::new();
    for (index, spec) in plan.backends.iter().enumerate() {
        let setting = if index < of_no_route { SettingKey::BACKEND } else { SettingKey::ROUTE };
        if let Some(member) = noted(resolve(spec, trust, config, setting), errors) {
            let mut addresses = member.addresses.iter();
            errors.extend(addresses.find_map(|&at| own.complaint(setting, spec, at)));
            members.push(member);
        }
    }
    (members.len() == plan.backends.len()).then_some((plan, members))
}

/// Only what is an address of this machine can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Each pool has an algorithm of its own.
fn people(config: &Config, seed: u64, plan: RoutePlan, servers: Vec<ServerPlan>) -> Peopled {
    let mut backends = Backends::default();
    let others = plan.others();
    let now = Instant::now();
    let add = |server| backends.add_server(server, now);
    let ids: Vec<ServerId> = servers.into_iter().map(add).collect();
    let mut pools = Vec::new();
    for (index, (name, members)) in plan.pools.iter().enumerate() {
        let of = if index == 0 { PoolOf::Listeners } else { PoolOf::Route };
        let seed = seed.wrapping_add(index as u64);
        let pool = backends.add_pool(pool_plan(name, of, config, seed));
        for &member in members {
            let BackendSpec { weight, backup, .. } = plan.backends[member];
            backends.join(ids[member], pool, SeatPlan { weight, backup });
        }
        pools.push(pool);
    }
    backends.finish_work();
    let pool = |place: Option<usize>| place.map(|place| pools[place]);
    let mut routes = Routes::new(pool(others));
    for (name, to) in plan.routes {
        info!("route {name} to {}", destination(&backends, pool(to)));
        match name {
            RouteName::Exact(name) => routes.add(&name, pool(to)),
            RouteName::Below(name) => routes.add_below(&name, pool(to)),
            // In the plan's `others` already.
            RouteName::Others => {}
        }
    }
    Peopled { pool: pools[0], backends, routes }
}

fn pool_plan(name: &str, of: PoolOf, config: &Config, seed: u64) -> PoolPlan {
    let balance = balance::build(config.pool.algorithm, seed);
    PoolPlan { name: name.to_owned(), of, balance, settings: config.pool.clone() }
}

fn destination(backends: &Backends, pool: Option<PoolId>) -> String {
    let Some(pool) = backends.pool(pool) else { return "nobody".to_owned() };
    pool.members().map(|id| backends.name(id)).collect::<Vec<_>>().join(", ")
}

fn demo_server(name: &str, address: SocketAddr, config: &Config) -> ServerPlan {
    ServerPlan {
        check_host: address.to_string(),
        name: name.to_owned(),
        addresses: vec![address],
        max_connections: None,
        check_port: None,
        dial: None,
        probe_dial: None,
        check: check_rules(config),
        idle_rules: idle_rules(config),
    }
}

fn check_rules(config: &Config) -> CheckRules {
    let check = &config.pool.check;
    let rise_fall = RiseFall { rise: check.rise, fall: check.fall };
    CheckRules { rise_fall, probed: check.kind != Check::None }
}

fn idle_rules(config: &Config) -> IdleRules {
    let connections = config.pool.backend_idle_connections;
    IdleRules { connections, time: config.pool.backend_idle }
}

/// The address in use, and those that may take its place.
fn places(backend: &Server) -> String {
    let others = backend.addresses.all().iter().filter(|&&it| it != backend.address());
    let others: Vec<String> = others.map(SocketAddr::to_string).collect();
    match others.is_empty() {
        true => backend.address().to_string(),
        false => format!("{} (or {})", backend.address(), others.join(", ")),
    }
}

/// Look the host's name up, once and for all. All its addresses are candidates.
fn resolve(
    spec: &BackendSpec,
    trust: Option<&Roots>,
    config: &Config,
    setting: SettingKey,
) -> Result<ServerPlan, Complaint> {
    let complaint = |why: Phrase| {
        let written = format!("{}:{}", spec.host, spec.port);
        Complaint::of(setting, written, why)
    };
    let (dial, probe_dial) = dials(spec, trust, config).ok_or_else(|| {
        let why = Phrase::from(format!("'{}' is no name for TLS; ,", spec.host));
        complaint(why.setting(SettingKey::BACKEND_SNI, "NAME").text(" gives one"))
    })?;
    let found = (spec.host.as_str(), spec.port).to_socket_addrs();
    let found = found.map_err(|error| {
        complaint(format!("cannot find the host '{}': {error}", spec.host).into())
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(complaint(format!("the host '{}' has no address", spec.host).into()));
    }
    if addresses.len() > BACKEND_ADDRESSES_MAX {
        let count = addresses.len();
        warn!(
            "backend {} has {count} addresses: the first {BACKEND_ADDRESSES_MAX} are used",
            spec.name
        );
        addresses.truncate(BACKEND_ADDRESSES_MAX);
    }
    Ok(ServerPlan {
        name: spec.name.clone(),
        addresses,
        max_connections: spec.max_connections,
        check_port: spec.check_port,
        check_host: probe_host(spec, probe_dial.is_some(), config),
        dial,
        probe_dial,
        check: check_rules(config),
        idle_rules: idle_rules(config),
    })
}

/// What probes of HTTP say of their host: what the operator wrote of the backend, with the port
/// they go to unless it is the usual one.
fn probe_host(spec: &BackendSpec, tls: bool, config: &Config) -> String {
    if let Some(host) = &config.pool.check.host {
        return host.clone();
    }
    // The zone of a link-local address is of use on this machine alone.
    let name = spec.host.split('%').next().unwrap_or_default();
    let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let port = spec.check_port.unwrap_or(spec.port);
    let usual = if tls { 443 } else { 80 };
    if port == usual { host } else { format!("{host}:{port}") }
}

/// What it takes to speak TLS with a backend, for clients and for probes; nothing at all if it has
/// no name for it.
fn dials(
    spec: &BackendSpec,
    trust: Option<&Roots>,
    config: &Config,
) -> Option<(Option<ClientTls>, Option<ClientTls>)> {
    let Some(trust) = trust else { return Some((None, None)) };
    let dial = match &spec.tls {
        Some(name) => Some(trust.dial(name, &config.listener.tls.alpn)?),
        None => None,
    };
    let probe_dial = match &config.pool.check.kind {
        Check::None | Check::Tcp | Check::Udp(_) => None,
        Check::Text(_) | Check::Load(_) => dial.clone().map(ClientTls::without_client),
        Check::Http(_) => dial.clone(),
        Check::Https(_) if dial.is_none() => Some(trust.dial(&spec.host, &[])?),
        Check::Https(_) => dial.clone(),
    };
    Some((dial, probe_dial))
}

/// Whom we believe that a backend is the right one; nothing, if no backend is spoken to in TLS.
fn load_trust(config: &Config) -> Result<Option<Roots>, Complaint> {
    if !dials_tls(config) {
        return Ok(None);
    }
    let trust = match config.pool.tls.verify {
        BackendVerify::Required => Roots::read(config.pool.tls.ca.as_deref()),
        BackendVerify::None => Roots::anybody(),
    };
    trust.map(Some).map_err(|error| Complaint::from(&error))
}

/// All listeners, and where they really are in the order in which they were asked for.
fn bind_all(config: &Config, errors: &mut Vec<Complaint>) -> (Listeners, Vec<Listen>) {
    let listens = &*config.listeners;
    let mut found = Listeners::default();
    let mut addresses = Vec::new();
    for listen in listens {
        let address = if listen.protocol == Protocol::Udp {
            let bound = noted(bind(listen, listens, DatagramListener::bind), errors);
            bound.map(|listener| {
                let address = listener.address();
                found.datagrams.push(listener);
                address
            })
        } else {
            let bound = noted(bind(listen, listens, StreamListener::bind), errors);
            bound.map(|listener| {
                if !config.process.tcp_keepalive.is_zero() {
                    listener.set_keepalive(config.process.tcp_keepalive);
                }
                let address = listener.address();
                found.streams.push((listener, listen.protocol));
                address
            })
        };
        let protocol = listen.protocol;
        addresses.extend(address.map(|address| Listen { protocol, address }));
    }
    (found, addresses)
}

/// `[::]` takes IPv4 clients too, unless another listener has the same port for them.
fn bind<T>(
    listen: &Listen,
    all: &[Listen],
    bind: fn(SocketAddr, Families) -> io::Result<T>,
) -> Result<T, Complaint> {
    let address = listen.address;
    let is_udp = listen.protocol == Protocol::Udp;
    let taken = |listen: &Listen| {
        listen.address.is_ipv4()
            && (listen.protocol == Protocol::Udp) == is_udp
            && listen.address.port() == address.port()
            && address.port() != 0
    };
    let is_shared = address.ip() == IpAddr::from([0u16; 8]) && all.iter().any(taken);
    let families = if is_shared { Families::V6 } else { Families::Both };
    bind(address, families).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; stop who uses it, or choose another (0 lets the system choose)"
                    .to_string()
            }
            io::ErrorKind::PermissionDenied => format!(
                "not allowed to use port {}; ports below 1024 need CAP_NET_BIND_SERVICE, or choose \
                 a higher one",
                address.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have that address; 0.0.0.0 or [::] listens on all it has"
                    .to_string()
            }
            _ => io_words(&error),
        };
        let scheme = if is_udp { "udp://" } else { "" };
        Complaint::of(SettingKey::LISTEN, format!("{scheme}{address}"), why)
    })
}

fn share_descriptors(
    config: &Config,
    spelling: Spelling,
    listeners: &Listeners,
    backends: usize,
) -> descriptors::DescriptorShare {
    let limit = descriptors::raise_limit();
    if limit.now != limit.before {
        info!("raised the limit of open files from {} to {}", limit.before, limit.now);
    }
    let probes = if config.pool.check.kind == Check::None { 0 } else { backends };
    let streams = listeners.streams.len();
    let datagrams = listeners.datagrams.len();
    let mut share = descriptors::share(limit.now, Needs { streams, datagrams, probes });
    if datagrams > 0 {
        share.flows = share_ports(config, spelling, limit.now, share.flows);
    }
    if streams == 0 {
        return share;
    }
    match config.process.max_connections {
        Some(wanted) if wanted > share.pairs => warn!(
            "{} is more than the limit of {} open files allows, about {}",
            (spelling.with_value)(SettingKey::MAX_CONNECTIONS, &wanted.to_string()),
            limit.now,
            share.pairs
        ),
        Some(_) => {}
        None => {
            info!("at most {} connections at once, by the limit of open files", share.pairs);
        }
    }
    share
}

/// A flow needs a descriptor and a port: as many as there can be of both.
fn share_ports(
    config: &Config,
    spelling: Spelling,
    limit: u64,
    by_descriptors: usize,
) -> usize {
    let ports = ports();
    let by_ports = ports * PORTS_FOR_FLOWS_PERCENT / 100;
    let (flows, what) = if by_ports < by_descriptors {
        (by_ports, format!("the system's {ports} local ports"))
    } else {
        (by_descriptors, format!("the limit of {limit} open files"))
    };
    match config.process.max_flows {
        Some(wanted) if wanted > flows => {
            let asked = (spelling.with_value)(SettingKey::MAX_FLOWS, &wanted.to_string());
            warn!("{asked} is more than {what} allows, about {flows}");
        }
        Some(_) => {}
        None => info!("at most {flows} flows at once, by {what}"),
    }
    flows
}

fn announce(listeners: &[Listen]) {
    for Listen { protocol, address } in listeners {
        say(&format!("listening on {protocol}://{address}\n"));
        info!("listening on {protocol}://{address}");
    }
}

/// Whoever started us may have closed the standard output: that is no reason not to serve.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

impl StartError {
    /// A line each, in a front-end's words.
    pub fn lines(&self, spelling: Spelling) -> Vec<String> {
        match self {
            StartError::Settings(wrong) => {
                wrong.iter().map(|it| it.spelled(spelling)).collect()
            }
            StartError::EventLoop(error) => {
                vec![format!("cannot start the event loop: {}", io_words(error))]
            }
        }
    }
}
