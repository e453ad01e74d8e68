//! From a configuration to a loop that is ready to run: what can fail for want of a file, a name, a
//! port or a descriptor fails here, in one line each that names the flag, all at once.

mod own;

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use log::{info, warn};

use crate::access_log::AccessLog;
use crate::backends::{
    Backend, Backends, Member, Policy, PoolId, PoolPlan, RiseFall, Routes, StickyKey,
};
use crate::balance;
use crate::config::{
    self, BackendSpec, BackendVerify, Check, Config, Listen, Protocol, RouteName, Sticky,
    dials_tls, duration_text, io_words,
};
use crate::demo::{self, Demo};
use crate::event::signals::Signals;
use crate::event_loop::{EventLoop, Fronts};
use crate::limits::{
    BACKEND_ADDRESSES_MAX, CHECK_TIMEOUT_DEFAULT, DEMO_CLIENTS, PORTS_FOR_FLOWS_PERCENT,
};
use crate::logging::LogSink;
use crate::net::descriptors::{self, Needs};
use crate::net::tls::client::{Dial, Identity, Trust};
use crate::net::tls::files::{self, FileError};
use crate::net::tls::server::Terminator;
use crate::net::{DatagramListener, Listener, ports};

/// Why the program could not begin to serve: one line, for people.
#[derive(Debug)]
pub struct StartError {
    what: String,
    why: String,
}

/// Everything up to the first turn. The real listen addresses are printed on standard output. What
/// cannot be read, bound or found is told all at once.
pub fn start(
    config: &Config,
    mut signals: Signals,
    log: LogSink,
) -> Result<EventLoop, Vec<StartError>> {
    let mut errors = Vec::new();
    let files = Files::read(config, &mut errors);
    let seed = config.seed.unwrap_or_else(|| fastrand::u64(..));
    let demo = noted(config.demo.then(|| start_demo(seed)).transpose(), &mut errors).flatten();
    if demo.is_some() {
        signals.belong_to_terminal();
    }
    let (mut fronts, addresses) = bind_all(config, &mut errors);
    let (mut backends, routes) = match &demo {
        Some(demo) => (demo_backends(demo, config, seed), Routes::default()),
        None => backends_and_routes(config, files.trust.as_ref(), seed, &mut errors)
            .unwrap_or_else(|| (no_backends(config), Routes::default())),
    };
    errors.extend(own::listeners_among(&backends, config, &addresses));
    if !errors.is_empty() {
        return Err(errors);
    }
    info!("seed {seed}");
    advise(config);
    if let Some(key) = &files.sticky_key {
        backends.make_tokens(key);
    }
    let share = share_descriptors(config, &fronts, backends.len());
    for (_, backend) in backends.iter() {
        info!("backend {} at {}, weight {}", backend.name, places(backend), backend.weight);
    }
    let destinations = (backends, routes);
    fronts.terminator = files.terminator;
    fronts.identity = files.identity;
    let logs = (log, files.access_log);
    let looping = EventLoop::new(config, seed, signals, fronts, destinations, share, logs)
        .map_err(|error| vec![StartError::new("cannot start the event loop", &error)])?;
    announce(&addresses);
    let is_udp = |&&(_, protocol): &&(SocketAddr, Protocol)| protocol == Protocol::Udp;
    let udp = addresses.iter().find(is_udp).map(|front| front.0);
    let stream = addresses.iter().find(|front| !is_udp(front));
    if let (Some(demo), Some(front)) = (demo, stream) {
        say(&demo::banner(front.0, udp, config.stats_path.as_deref(), &demo));
        demo::start_traffic(front.0, DEMO_CLIENTS);
    }
    Ok(looping)
}

fn open_access_log(config: &Config) -> Result<Option<AccessLog>, StartError> {
    let Some(place) = &config.access_log else { return Ok(None) };
    let opened = AccessLog::open(place, config.access_log_format, Instant::now());
    let what = format!("--access-log {place}");
    opened.map(Some).map_err(|error| StartError::new(&what, &error))
}

/// What the sticky cookie is made with, if there is one.
fn sticky_key(config: &Config) -> Result<Option<StickyKey>, StartError> {
    const FLAG: &str = "--sticky-key";
    match &config.sticky {
        Sticky { cookie: None, .. } => Ok(None),
        Sticky { key: None, .. } => StickyKey::random().map(Some).map_err(|why| StartError {
            what: "--sticky-cookie".to_owned(),
            why: why.to_owned(),
        }),
        Sticky { key: Some(file), .. } => {
            let text = files::read(FLAG, file).map_err(|error| StartError::file(&error))?;
            let key = StickyKey::from_text(&text);
            key.map(Some).map_err(|why| StartError::file(&FileError::new(FLAG, file, &why)))
        }
    }
}

/// What is read or opened before anything is bound or said.
#[derive(Default)]
struct Files {
    trust: Option<Trust>,
    identity: Option<Arc<Identity>>,
    terminator: Option<Terminator>,
    access_log: Option<AccessLog>,
    sticky_key: Option<StickyKey>,
}

impl Files {
    fn read(config: &Config, errors: &mut Vec<StartError>) -> Files {
        Files {
            trust: noted(load_trust(config), errors).flatten(),
            identity: noted(load_identity(config), errors).flatten(),
            terminator: load_certificates(config, errors),
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
fn noted<T>(result: Result<T, StartError>, errors: &mut Vec<StartError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn load_certificates(config: &Config, errors: &mut Vec<StartError>) -> Option<Terminator> {
    if config.tls.certificates.is_empty() {
        return None;
    }
    match Terminator::load(&config.tls, SystemTime::now()) {
        Ok(loaded) => {
            loaded.never_shown().iter().for_each(|line| warn!("{line}"));
            Some(loaded)
        }
        Err(wrong) => {
            errors.extend(wrong.iter().map(StartError::file));
            None
        }
    }
}

fn load_identity(config: &Config) -> Result<Option<Arc<Identity>>, StartError> {
    let files = &config.tls.backend_identity;
    if files.cert.is_empty() {
        return Ok(None);
    }
    let identity = Identity::load(files, SystemTime::now());
    identity.map(Some).map_err(|error| StartError::file(&error))
}

/// What can be meant, but hardly is.
fn advise(config: &Config) {
    if config.check_timeout > config.check_interval
        && config.check_timeout != CHECK_TIMEOUT_DEFAULT
        && config.check != Check::None
    {
        warn!(
            "--check-timeout: found {}, which is above --check-interval {}: a probe that waits so \
             long puts the next one off, want at most the interval",
            duration_text(config.check_timeout),
            duration_text(config.check_interval)
        );
    }
    let backends = &config.backends;
    if backends.is_empty() {
        return;
    }
    if backends.iter().all(|backend| backend.weight == 0) {
        warn!(
            "--backend: found weight=0 at each, so that none takes a new connection, want another \
             weight at one at least"
        );
    } else if backends.iter().all(|backend| backend.backup) {
        warn!(
            "--backend: found backup at each, which is the same as at none, want one at least \
             without it"
        );
    }
}

fn start_demo(seed: u64) -> Result<Demo, StartError> {
    demo::start(seed)
        .map_err(|error| StartError::new("--demo: cannot start its backends", &error))
}

fn demo_backends(demo: &Demo, config: &Config, seed: u64) -> Backends {
    let members: Vec<Member> = demo.backends.iter().map(demo_member).collect();
    let pool = PoolPlan::of_first(members.len(), balance::build(config.algorithm, seed));
    Backends::new(members, vec![pool], policy(config), Instant::now())
}

/// Everybody's name is looked up; each pool has an algorithm of its own.
fn backends_and_routes(
    config: &Config,
    trust: Option<&Trust>,
    seed: u64,
    errors: &mut Vec<StartError>,
) -> Option<(Backends, Routes)> {
    let plan = config::plan(config)
        .map_err(|wrong| StartError { what: "--route".to_owned(), why: wrong.to_string() });
    let plan = noted(plan, errors)?;
    let of_no_route = plan.pools[0].1.len();
    let flag = |index: usize| if index < of_no_route { "--backend" } else { "--route" };
    let members = plan.backends.iter().enumerate();
    let resolve = |spec, flag| resolve(spec, trust, config, flag);
    let members = members.map(|(index, spec)| noted(resolve(spec, flag(index)), errors));
    // All are looked up before the first that cannot be found ends it.
    let members: Vec<Option<Member>> = members.collect();
    let members = members.into_iter().collect::<Option<Vec<_>>>()?;
    let others = plan.others();
    let pools = plan.pools.into_iter().enumerate().map(|(index, (name, members))| {
        let seed = seed.wrapping_add(index as u64);
        PoolPlan { name, members, balance: balance::build(config.algorithm, seed) }
    });
    let backends = Backends::new(members, pools.collect(), policy(config), Instant::now());
    let pool = |place: Option<usize>| backends.pool_ids().nth(place?);
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
    Some((backends, routes))
}

/// In the place of those that cannot be found.
fn no_backends(config: &Config) -> Backends {
    let pool = PoolPlan::of_first(0, balance::build(config.algorithm, 0));
    Backends::new(Vec::new(), vec![pool], policy(config), Instant::now())
}

fn destination(backends: &Backends, pool: Option<PoolId>) -> String {
    let Some(pool) = pool else { return "nobody".to_owned() };
    let members = backends.pool(pool).members();
    members.map(|id| &*backends[id].name).collect::<Vec<_>>().join(", ")
}

fn demo_member((name, address): &(String, SocketAddr)) -> Member {
    let (name, addresses) = (name.clone(), vec![*address]);
    Member {
        check_host: address.to_string(),
        name,
        addresses,
        weight: 1,
        max_connections: None,
        backup: false,
        check_port: None,
        dial: None,
        probe_dial: None,
    }
}

/// The address in use, and those that may take its place.
fn places(backend: &Backend) -> String {
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
    trust: Option<&Trust>,
    config: &Config,
    flag: &str,
) -> Result<Member, StartError> {
    let what = format!("{flag} {}:{}", spec.host, spec.port);
    let (dial, probe_dial) = dials(spec, trust, config).ok_or_else(|| StartError {
        what: what.clone(),
        why: format!("'{}' is no name for TLS; ,sni=NAME gives one", spec.host),
    })?;
    let found = (spec.host.as_str(), spec.port).to_socket_addrs();
    let found = found.map_err(|error| StartError {
        what: what.clone(),
        why: format!("cannot find the host '{}': {error}", spec.host),
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        let why = format!("the host '{}' has no address", spec.host);
        return Err(StartError { what, why });
    }
    if addresses.len() > BACKEND_ADDRESSES_MAX {
        let count = addresses.len();
        warn!(
            "backend {} has {count} addresses: the first {BACKEND_ADDRESSES_MAX} are used",
            spec.name
        );
        addresses.truncate(BACKEND_ADDRESSES_MAX);
    }
    Ok(Member {
        name: spec.name.clone(),
        addresses,
        weight: spec.weight,
        max_connections: spec.max_connections,
        backup: spec.backup,
        check_port: spec.check_port,
        check_host: probe_host(spec, probe_dial.is_some(), config),
        dial,
        probe_dial,
    })
}

/// What probes of HTTP say of their host: what the operator wrote of the backend, with the port
/// they go to unless it is the usual one.
fn probe_host(spec: &BackendSpec, tls: bool, config: &Config) -> String {
    if let Some(host) = &config.check_host {
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
    trust: Option<&Trust>,
    config: &Config,
) -> Option<(Option<Dial>, Option<Dial>)> {
    let Some(trust) = trust else { return Some((None, None)) };
    let dial = match &spec.tls {
        Some(name) => Some(trust.dial(name, &config.tls.alpn)?),
        None => None,
    };
    let probe_dial = match &config.check {
        Check::None | Check::Tcp | Check::Udp(_) => None,
        Check::Text(_) | Check::Load(_) => dial.clone().map(Dial::without_client),
        Check::Http(_) => dial.clone(),
        Check::Https(_) if dial.is_none() => Some(trust.dial(&spec.host, &[])?),
        Check::Https(_) => dial.clone(),
    };
    Some((dial, probe_dial))
}

/// Whom we believe that a backend is the right one; nothing, if no backend is spoken to in TLS.
fn load_trust(config: &Config) -> Result<Option<Trust>, StartError> {
    if !dials_tls(config) {
        return Ok(None);
    }
    let trust = match config.tls.backend_verify {
        BackendVerify::Required => Trust::roots(config.tls.backend_ca.as_deref()),
        BackendVerify::None => {
            warn!(
                "--backend-verify none: the certificates of backends are not verified, and \
                 whoever stands between us and them can read and change everything"
            );
            Trust::anybody()
        }
    };
    trust.map(Some).map_err(|error| StartError::file(&error))
}

/// All listeners, and where they really are in the order in which they were asked for.
fn bind_all(
    config: &Config,
    errors: &mut Vec<StartError>,
) -> (Fronts, Vec<(SocketAddr, Protocol)>) {
    let listens = &*config.listeners;
    let (mut fronts, mut addresses) = (Fronts::default(), Vec::new());
    for listen in listens {
        let address = if listen.protocol == Protocol::Udp {
            let bound = noted(bind(listen, listens, DatagramListener::bind), errors);
            bound.map(|listener| {
                let address = listener.address();
                fronts.datagrams.push(listener);
                address
            })
        } else {
            let bound = noted(bind(listen, listens, Listener::bind), errors);
            bound.map(|listener| {
                if !config.tcp_keepalive.is_zero() {
                    listener.set_keepalive(config.tcp_keepalive);
                }
                let address = listener.address();
                fronts.streams.push((listener, listen.protocol));
                address
            })
        };
        addresses.extend(address.map(|address| (address, listen.protocol)));
    }
    (fronts, addresses)
}

/// `[::]` takes IPv4 clients too, unless another listener has the same port for them.
fn bind<T>(
    listen: &Listen,
    all: &[Listen],
    bind: fn(SocketAddr, bool) -> io::Result<T>,
) -> Result<T, StartError> {
    let (address, is_udp) = (listen.address, listen.protocol == Protocol::Udp);
    let taken = |listen: &Listen| {
        listen.address.is_ipv4()
            && (listen.protocol == Protocol::Udp) == is_udp
            && listen.address.port() == address.port()
            && address.port() != 0
    };
    let only_v6 = address.ip() == IpAddr::from([0u16; 8]) && all.iter().any(taken);
    bind(address, only_v6).map_err(|error| {
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
        StartError { what: format!("--listen {scheme}{address}"), why }
    })
}

fn share_descriptors(
    config: &Config,
    listeners: &Fronts,
    backends: usize,
) -> descriptors::Share {
    let limit = descriptors::raise_limit();
    if limit.now != limit.before {
        info!("raised the limit of open files from {} to {}", limit.before, limit.now);
    }
    let probes = if config.check == Check::None { 0 } else { backends };
    let (streams, datagrams) = (listeners.streams.len(), listeners.datagrams.len());
    let mut share = descriptors::share(limit.now, Needs { streams, datagrams, probes });
    if datagrams > 0 {
        share.flows = share_ports(config, limit.now, share.flows);
    }
    if streams == 0 {
        return share;
    }
    match config.max_connections {
        Some(wanted) if wanted > share.pairs => warn!(
            "--max-connections {wanted} is more than the limit of {} open files allows, about {}",
            limit.now, share.pairs
        ),
        Some(_) => {}
        None => {
            info!("at most {} connections at once, by the limit of open files", share.pairs);
        }
    }
    share
}

/// A flow needs a descriptor and a port: as many as there can be of both.
fn share_ports(config: &Config, limit: u64, by_descriptors: usize) -> usize {
    let ports = ports();
    let by_ports = ports * PORTS_FOR_FLOWS_PERCENT / 100;
    let (flows, what) = if by_ports < by_descriptors {
        (by_ports, format!("the system's {ports} local ports"))
    } else {
        (by_descriptors, format!("the limit of {limit} open files"))
    };
    match config.udp.max_flows {
        Some(wanted) if wanted > flows => {
            warn!("--max-flows {wanted} is more than {what} allows, about {flows}");
        }
        Some(_) => {}
        None => info!("at most {flows} flows at once, by {what}"),
    }
    flows
}

fn policy(config: &Config) -> Policy {
    Policy {
        rise_fall: RiseFall { rise: config.rise, fall: config.fall },
        probed: config.check != Check::None,
        all_down: config.all_down,
        slow_start: config.slow_start,
        eject_after: config.eject_after,
    }
}

fn announce(fronts: &[(SocketAddr, Protocol)]) {
    for (front, protocol) in fronts {
        say(&format!("listening on {protocol}://{front}\n"));
        info!("listening on {protocol}://{front}");
    }
}

/// Whoever started us may have closed the standard output: that is no reason not to serve.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

impl StartError {
    fn file(error: &FileError) -> StartError {
        StartError { what: error.flag().to_owned(), why: error.to_string() }
    }

    fn new(what: &str, error: &io::Error) -> StartError {
        StartError { what: what.to_string(), why: io_words(error) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for StartError {}
