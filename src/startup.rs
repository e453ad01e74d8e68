//! From a configuration to a loop that is ready to run: what can fail for want of a file, a name, a
//! port or a descriptor fails here, in one line each that names the setting, all at once.

mod advice;
mod takeover;

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use log::{Level, debug, info, log, warn};

use crate::config::{
    AccessLogPlace, Address, AdminListen, BackendSpec, Complaint, Config, Desired, Listen,
    ListenerSpec, MAIN, Match, PoolSpec, ProcessSettings, RouteName, ServiceSpec, SettingKey,
    Shared, Spelling, advice_on_limits, counted, io_words,
};
use crate::control::history_file;
use crate::control::state::{self, State};
use crate::control::{self, Ground, Layers, Prepared, PreparedListener};
use crate::demo::stage::{self, Stage};
use crate::demo::{self, Demo};
use crate::event::signals::Signals;
use crate::event_loop::{
    EventLoop, Logs, Parts, Reading, Reread, Rereading, Tell, Telling, share_descriptors,
};
use crate::file;
use crate::limits::{
    BACKENDS_SAID, DEMO_ADMIN, DEMO_CLIENTS, DEMO_PICKS, DESCRIPTORS_LEAST, LISTENERS_SAID,
    MEMBERS_SAID,
};
use crate::logging::LogSink;
use crate::net::HandedSockets;
use crate::net::descriptors;
use crate::privileges::{self, Sockets};
use crate::resolver;
use crate::service_manager::ServiceManager;
use crate::terminal;
use crate::wanted::{self, Told};
use takeover::Taking;

/// What is to run, and who asked for it.
pub struct Start {
    /// All of it.
    pub desired: Desired,
    /// What can be meant, but hardly is: lines, said once the start has succeeded.
    pub warnings: Vec<String>,
    /// Warnings that are found out while it starts, as lines in the words of who asked for it.
    pub tell: Tell,
    /// Reads it again, if it may be another by then.
    pub reread: Option<Reread>,
    /// Reads and writes configurations that are told.
    pub telling: Option<Telling>,
    /// Sockets that were handed over to this process.
    pub handed: HandedSockets,
    /// The path of an admin UNIX socket of the process in whose place this one is to be.
    pub takeover: Option<String>,
}

/// What runs.
pub struct Started {
    /// Ready for its first turn.
    pub looping: EventLoop,
    /// The demo's picture, which has the terminal until it is dropped.
    pub stage: Option<Stage>,
}

/// Why the program could not begin to serve.
#[derive(Debug)]
pub enum StartError {
    /// What was asked for cannot be had.
    Settings(Vec<Complaint>),
    /// The place of another process cannot be had.
    Takeover(Complaint),
    /// The system has no poll, or no memory.
    EventLoop(io::Error),
    /// There are too few descriptors for a client to come in: so many are needed.
    Descriptors(String),
}

/// Everything up to the first turn. The real listen addresses are printed on standard output. What
/// cannot be read, bound or found is told all at once.
pub fn start(
    start: Start,
    spelling: Spelling,
    mut signals: Signals,
    log: LogSink,
) -> Result<Started, StartError> {
    let Start { mut desired, warnings, tell, reread, telling, handed, takeover } = start;
    let mut errors: Vec<Complaint> = Vec::new();
    let mut taking = takeover.as_deref().map(|it| Taking::begin(it, &desired)).transpose()?;
    let seed = desired.process.seed.or(taking.as_ref().map(Taking::seed));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let demo = desired.process.demo.then(|| start_demo(seed)).transpose();
    let demo = demo.map_err(|error| errors.push(error)).ok().flatten();
    let draws = demo.is_some() && terminal::is_usable() && can_draw(&desired);
    if let Some(demo) = &demo {
        signals.belong_to_terminal();
        join_demo(demo, &mut desired);
        place_demo(&mut desired, draws);
    }
    let history = desired.process.admin.history_file.as_deref();
    errors.extend(history.and_then(history_file::mistake));
    let (state, notes) = match &mut taking {
        Some(taking) => (taking.state(), Vec::new()),
        None => read_state(&desired, &mut errors),
    };
    let laid = state.overlay.over(&desired);
    let written = Arc::new(desired.clone());
    let layers = Layers { written, base: desired, overlay: laid.overlay };
    let desired = laid.desired;
    let prepared = prepare(taking.as_ref().map_or(&handed, Taking::sockets), desired);
    let prepared = prepared.map_err(|more| errors.extend(more)).ok();
    let Some(prepared) = prepared.filter(|_| errors.is_empty()) else {
        if let Some(taking) = taking {
            taking.give_up("what it is to serve cannot be had");
        }
        return Err(StartError::Settings(errors));
    };
    info!("seed {seed}");
    let addresses = addresses(&prepared);
    let more = tell(&advice::advice(&prepared));
    warn_of([&warnings, &more, &notes, &laid.notes]);
    let share = share_descriptors(&prepared.desired.process, spelling, prepared.needs);
    say_backends(&prepared);
    let logs = Logs { log: log.clone(), spelling };
    let manager = taking.as_mut().and_then(Taking::manager);
    let manager = manager.unwrap_or_else(ServiceManager::from_environment);
    let parts = Parts { seed, signals, share, logs, reread, telling, manager, handed };
    let process = prepared.desired.process.clone();
    let stats_path =
        prepared.desired.services.iter().find_map(|it| it.settings.stats_path.clone());
    let taken = taking.as_ref().map(|it| it.taken(&prepared.adoption));
    let sockets = given(&prepared.desired.listeners);
    let mut looping = EventLoop::new(&process, parts).map_err(StartError::EventLoop)?;
    looping.apply_layers(prepared, layers).map_err(StartError::EventLoop)?;
    let taking = look_for_room(taking)?;
    give_up_privileges(sockets);
    looping.restore(state);
    looping.restore_history();
    if let Some((taking, taken)) = taking.zip(taken) {
        taking.finish(takeover.as_deref().unwrap_or_default(), &taken, &mut looping)?;
    }
    announce(&addresses);
    let mut stage = None;
    if let Some(demo) = demo {
        let log = draws.then_some(log);
        let places = looping.admin_places();
        stage = show_demo(&demo, &addresses, stats_path.as_deref(), &places, log);
    }
    Ok(Started { looping, stage })
}

/// What may surprise, once the start has succeeded.
fn warn_of(lines: [&Vec<String>; 4]) {
    lines.into_iter().flatten().flat_map(|it| it.lines()).for_each(|line| warn!("{line}"));
}

/// All that it takes to run what is wanted, at the sockets that are there already.
fn prepare(handed: &HandedSockets, desired: Desired) -> Result<Prepared, Vec<Complaint>> {
    let known = resolver::known_by_file(desired.process.dns.families);
    Ground::with_nothing(&known, |ground| {
        let ground = Ground { handed, ..*ground };
        control::prepare(&ground, desired)
    })
}

/// Where the listeners really are.
fn addresses(prepared: &Prepared) -> Vec<Listen> {
    let real = |(spec, it): (&ListenerSpec, &PreparedListener)| Listen {
        protocol: spec.listen.protocol,
        address: it.address.clone(),
    };
    prepared.desired.listeners.iter().zip(&prepared.listeners).map(real).collect()
}

fn given(listeners: &[ListenerSpec]) -> Sockets {
    let has_owner = |it: &ListenerSpec| it.settings.socket_owner.is_some();
    if listeners.iter().any(has_owner) { Sockets::Given } else { Sockets::Own }
}

/// All is open that the start opens: a client has to find room.
fn look_for_room(taking: Option<Taking>) -> Result<Option<Taking>, StartError> {
    let limit = descriptors::raise_limit().now;
    let Some(needed) = descriptors::needed_for(limit, DESCRIPTORS_LEAST) else {
        return Ok(taking);
    };
    if let Some(taking) = taking {
        taking.give_up("it has too few descriptors");
    }
    Err(StartError::Descriptors(format!(
        "no client could come in: the limit of open files is {limit}, and it takes {needed} at \
         least; raise it with LimitNOFILE= in the unit, or ulimit -n in a shell"
    )))
}

/// All is bound that the start binds.
fn give_up_privileges(sockets: Sockets) {
    match privileges::give_up(sockets) {
        Ok(None) => debug!("no privileges are given up: this system has no capabilities"),
        Ok(Some(kept)) if kept.is_empty() => debug!("no privileges are kept"),
        Ok(Some(kept)) => info!("privileges: {} and no more", kept.join(", ")),
        Err(error) => warn!("cannot give up privileges: {}", io_words(&error)),
    }
}

/// The picture needs an API to ask and somebody to be served, and nobody else may write where it
/// is drawn.
fn can_draw(desired: &Desired) -> bool {
    let process = &desired.process;
    let has_api = process.admin.listen.iter().any(|it| matches!(it, AdminListen::Http(_)));
    let is_served = desired.listeners.iter().any(|it| !it.listen.protocol.is_udp());
    has_api && is_served && process.access_log != Some(AccessLogPlace::Stdout)
}

/// On a terminal the demo's picture says what its table would, and its API is where a browser may
/// find it again. Elsewhere, and where that port is taken, the system chooses one. The dashboard
/// shows why each pick was made.
fn place_demo(desired: &mut Desired, draws: bool) {
    desired.process.demo = !draws;
    let admin = &mut desired.process.admin;
    if draws && admin.picks == 0 {
        admin.picks = DEMO_PICKS;
    }
    let listen = &mut admin.listen;
    if *listen == [AdminListen::Http(DEMO_ADMIN)]
        && !(draws && TcpListener::bind(DEMO_ADMIN).is_ok())
    {
        *listen = vec![AdminListen::Http(SocketAddr::new(DEMO_ADMIN.ip(), 0))];
    }
}

/// What is known from before, and lines about what is wrong with it.
fn read_state(desired: &Desired, errors: &mut Vec<Complaint>) -> (State, Vec<String>) {
    let Some(path) = &desired.process.state_file else { return Default::default() };
    errors.extend(state::saving_mistake(path));
    let found = state::read(path);
    (found.state.unwrap_or_default(), found.notes)
}

/// What the backends are, and where what a client asks for leads.
fn say_backends(prepared: &Prepared) {
    let servers = prepared.wanted().iter().zip(&prepared.servers);
    for (count, (wanted, server)) in servers.enumerate() {
        let addresses = server.plan.as_ref().map_or(&[][..], |plan| &plan.addresses);
        let weight = wanted.spec.weight;
        let spec = wanted.spec;
        let at = if addresses.is_empty() { spec.at.to_string() } else { places(addresses) };
        let level = if count < BACKENDS_SAID { Level::Info } else { Level::Debug };
        log!(level, "backend {} at {at}, weight {weight}", spec.name);
    }
    if let Some(more @ 1..) = prepared.servers.len().checked_sub(BACKENDS_SAID) {
        info!("and {} more", counted(more, "backend"));
    }
    // Where rules lead is said by none of their lines.
    let services = prepared.desired.services.iter();
    for service in services.filter(|it| it.pool.is_some() || it.rules.is_empty()) {
        let pool =
            prepared.desired.pools.iter().find(|it| Some(&it.name) == service.pool.as_ref());
        let to = pool.map_or_else(|| "nobody".to_owned(), some_members);
        for it in &service.matches {
            info!("route {}{} to {to}", it.host, it.path.as_deref().unwrap_or_default());
        }
    }
}

/// The first backends of a pool, and how many there are more.
fn some_members(pool: &PoolSpec) -> String {
    let all = &pool.backends;
    let names: Vec<&str> = all.iter().take(MEMBERS_SAID).map(|it| &*it.name).collect();
    let names = names.join(", ");
    match all.len().saturating_sub(MEMBERS_SAID) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// With a log it draws; where that cannot be it says what there is to try, and the log goes on.
fn show_demo(
    demo: &Demo,
    addresses: &[Listen],
    stats_path: Option<&str>,
    admin: &[AdminListen],
    log: Option<LogSink>,
) -> Option<Stage> {
    let is_udp = |listen: &&Listen| listen.protocol.is_udp();
    let at = |listen: &Listen| listen.address.socket_address();
    let udp = addresses.iter().find(is_udp).and_then(at);
    let stream = addresses.iter().filter(|listen| !is_udp(listen)).find_map(at)?;
    let crowd = demo::start_traffic(stream, DEMO_CLIENTS);
    let http = admin.iter().find_map(|it| match it {
        AdminListen::Http(address) => Some(*address),
        _ => None,
    });
    if let (Some(log), Some(admin)) = (log, http) {
        match stage::start(demo.clone(), crowd, admin, log) {
            Ok(stage) => return Some(stage),
            Err(error) => warn!("the demo cannot draw: {}", io_words(&error)),
        }
    }
    let admin = admin.first().map(AdminListen::to_string);
    say(&demo::banner(stream, udp, stats_path, admin.as_deref(), demo));
    None
}

/// Reads what the command line and its file say, once more.
pub fn rereading(config: Config) -> Reread {
    Box::new(move || {
        Box::new(RereadWanted {
            reading: wanted::Reading::begin(&config),
            config: config.clone(),
        })
    })
}

/// Reads configurations that are told, beside what the command line says of the process.
pub fn telling(config: Config) -> Telling {
    let read = Box::new(move |text: String| -> Box<dyn Rereading> {
        let config = of_process(&config);
        let reading = wanted::Reading::of_text(&config, TOLD, &text);
        Box::new(RereadWanted { reading, config })
    });
    Telling { read, print: file::print_running, print_backends: file::print_backends }
}

/// What a command line says of the process alone: a configuration that is told says all the rest.
fn of_process(config: &Config) -> Config {
    let is_of_process = |key: &&SettingKey| {
        **key != SettingKey::DEMO && ["global", "admin"].contains(&key.scope())
    };
    // The demo's backends stand in what is told as any others.
    let process = ProcessSettings { demo: false, ..config.process.clone() };
    Config {
        process,
        given: config.given.iter().filter(is_of_process).copied().collect(),
        file: Some(TOLD.to_owned()),
        ..Config::defaults()
    }
}

/// What a configuration that is told is called in messages.
const TOLD: &str = "body";

struct RereadWanted {
    config: Config,
    reading: wanted::Reading,
}

impl Rereading for RereadWanted {
    fn step(&mut self) -> bool {
        self.reading.step()
    }

    fn finish(self: Box<Self>) -> Result<Reading, Vec<String>> {
        let config = self.config;
        let mut wanted = self.reading.finish().map_err(Told::lines)?;
        wanted.warnings.iter().flat_map(|it| it.lines()).for_each(|line| warn!("{line}"));
        let more = wanted.tell("warning", &advice_on_limits(&wanted.desired), &config);
        more.lines().iter().for_each(|line| warn!("{line}"));
        let desired = std::mem::replace(&mut wanted.desired, Desired::nothing());
        let tell =
            Box::new(move |wrong: &[Complaint]| wanted.tell("error", wrong, &config).lines());
        Ok(Reading { desired, tell })
    }
}

fn start_demo(seed: u64) -> Result<Demo, Complaint> {
    demo::start(seed).map_err(|error| {
        let why = format!("cannot start its backends: {}", io_words(&error));
        Complaint::new(SettingKey::DEMO, why)
    })
}

/// The demo's backends are those of the command line's pool; a second service, for one path of the
/// same ports, has the first of them alone.
fn join_demo(demo: &Demo, desired: &mut Desired) {
    let Some(pool) = desired.pools.iter_mut().find(|pool| pool.name == MAIN) else { return };
    for (name, address) in &demo.backends {
        let spec = BackendSpec::parse(&address.to_string());
        pool.backends
            .extend(spec.map(|spec| Shared::from(BackendSpec { name: name.clone(), ..spec })));
    }
    let Some(first) = pool.backends.first().cloned() else { return };
    let name = first.name.clone();
    let own =
        PoolSpec { name: name.clone(), settings: pool.settings.clone(), backends: vec![first] };
    let Some(main) = desired.services.iter().find(|it| it.name == MAIN).cloned() else {
        return;
    };
    let http = desired.listeners.iter().filter(|it| it.listen.protocol.is_http());
    let listeners: Vec<String> = http.map(|it| it.name.clone()).collect();
    if listeners.is_empty() {
        return;
    }
    let path = Some(demo::OWN_PATH.to_owned());
    let matches = vec![Match { host: RouteName::Others, path, conditions: Vec::new() }];
    let pool = Some(name.clone());
    desired.services.push(ServiceSpec { name, listeners, matches, pool, ..main });
    desired.pools.push(own);
}

/// The address in use, and those that may take its place.
fn places(addresses: &[Address]) -> String {
    let [first, others @ ..] = addresses else { return "nowhere".to_owned() };
    let others: Vec<String> = others.iter().map(Address::to_string).collect();
    match others.is_empty() {
        true => first.to_string(),
        false => format!("{first} (or {})", others.join(", ")),
    }
}

/// On standard output a line for each, for programs. People who look at both have one line.
fn announce(listeners: &[Listen]) {
    let shown = |it: &Listen| format!("{}://{}", it.protocol, it.address);
    let names: Vec<String> = listeners.iter().map(shown).collect();
    let said = listening(&names);
    info!("{said}");
    if names.len() > LISTENERS_SAID {
        names.iter().for_each(|name| debug!("listening on {name}"));
    }
    let terminal = log::log_enabled!(log::Level::Info)
        && io::stdout().is_terminal()
        && io::stderr().is_terminal();
    if !terminal {
        names.iter().for_each(|name| say(&format!("listening on {name}\n")));
    }
}

/// All of them; of very many, how many and the first.
fn listening(names: &[String]) -> String {
    match names.len() <= LISTENERS_SAID {
        true => format!("listening on {}", names.join(", ")),
        false => {
            let first = names[..LISTENERS_SAID - 1].join(", ");
            let more = names.len() + 1 - LISTENERS_SAID;
            format!("listening on {} addresses: {first} and {more} more", names.len())
        }
    }
}

/// Whoever started us may have closed the standard output: that is no reason not to serve.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_listeners_is_one_line() {
        let names =
            |count| -> Vec<String> { (1..=count).map(|it| format!("tcp://a:{it}")).collect() };
        assert_eq!(listening(&names(1)), "listening on tcp://a:1");
        assert_eq!(
            listening(&names(5)),
            "listening on tcp://a:1, tcp://a:2, tcp://a:3, tcp://a:4, tcp://a:5"
        );
        let first = "tcp://a:1, tcp://a:2, tcp://a:3, tcp://a:4";
        let wanted = format!("listening on 2000 addresses: {first} and 1996 more");
        assert_eq!(listening(&names(2000)), wanted);
    }
}
