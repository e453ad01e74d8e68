//! What a command comes to: an answer, or what the loop is asked for and what is said once it is
//! done.

use super::super::answer::Pieces;
use super::super::change::{Asked, Change, Edit, Ends, HealthTold, Only, What};
use super::super::place::Place;
use super::super::view::View;
use super::certificates::Act;
use super::command::{Command, Form, Target, Weight};
use super::conversation::Severity;
use super::describing;
use super::frontends;
use super::info;
use super::listing::ip_text;
use super::listing::{Servers, Stat};
use super::sessions::{self, Sessions};
use super::step::{Refusal, Step};
use crate::config::{
    AdminState, BackendSpec, Check, HaproxyLevel as Level, OverlaySource, Patch, Shared,
    time_text,
};
use crate::control::{BackendEntry, PoolEntry};
use crate::limits::WEIGHT_MAX;

const NO_BACKEND: &str = "No such backend.";
const NO_SERVER: &str = "No such server.";
const NOT_IN_MAINT: &str = "Only servers in maintenance mode can be deleted.";
const CONNECTED: &str = "Server still has connections attached to it, cannot remove it.";
const NO_PORT: &str = "A server at a UNIX socket has no port: say one.";
const NO_CHECK: &str = "Health check was not configured on this server, cannot enable.";
const NO_AGENT: &str = "Agent was not configured on this server, cannot enable.";

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// For the audit.
    pub name: &'a str,
    /// What it may see.
    pub level: Level,
}

/// What this comes to.
pub fn step(command: Command, who: Asker<'_>, view: &View<'_>) -> Step {
    tried(command, who, view).unwrap_or_else(|why| Step::Say(Severity::Error, why.to_owned()))
}

fn tried(command: Command, who: Asker<'_>, view: &View<'_>) -> Result<Step, Refusal> {
    Ok(match command {
        Command::ShowStat(query) => Step::Pieces(Box::new(Stat::new(query, who.level, view)?)),
        Command::ShowInfo(form) => Step::Lines(info::text(view, form)),
        Command::ShowServersState(name) => servers(name, true, view)?,
        Command::ShowServersConn(name) => servers(name, false, view)?,
        Command::ShowBackend => {
            let names = view.directory.desired.pools.iter().map(|it| format!("{}\n", it.name));
            Step::Lines(format!("# name\n{}", names.collect::<String>()))
        }
        Command::ShowVersion => Step::Lines(format!("{}\n", info::VERSION)),
        Command::ShowErrors => {
            Step::Lines(format!("Total events captured on [{}] : 0\n", time_text(view.wall)))
        }
        Command::ShowCliSockets => {
            let admin = &view.directory.desired.process.admin;
            let path = admin.haproxy_socket.as_deref().unwrap_or_default();
            Step::Lines(format!("# socket lvl processes\nunix@{path} admin all\n"))
        }
        Command::ShowSessions(which) => Step::Pieces(Box::new(Sessions::new(which, view)?)),
        Command::Frontend(name, open) => frontends::set(&name, open, view)?,
        Command::MaxConnections(most) => max_connections(most, view)?,
        Command::ShutdownSession(number) => {
            let key = sessions::find(number, view.pairs)?;
            Step::Ask(Box::new(Asked::CloseOne(key)), String::new())
        }
        Command::ShowTable | Command::ClearCounters => nothing(),
        Command::NoAgent => nothing(),
        Command::Wait(time, target) => {
            let place = target.map(|it| found(&it, view).map(|it| it.place)).transpose()?;
            Step::Wait(time, place)
        }
        Command::ShowCertificates(file) => {
            let store = &view.directory.store;
            Step::Lines(match file {
                Some(file) => describing::describe(&file, view.shelf, store)?,
                None => view.shelf.list(store),
            })
        }
        Command::ShowCertificateLists => Step::Lines(String::new()),
        Command::Certificate(act) => certificate(act),
        Command::AddServer(target, spec) => add(&target, *spec, who, view)?,
        other => of_server(other, who, view)?,
    })
}

fn nothing() -> Step {
    Step::Say(Severity::Info, String::new())
}

/// The loop says what came of it; to carry out a commit takes it some turns.
fn certificate(act: Act) -> Step {
    let says = match &act {
        Act::Commit(file) => format!("Committing {file}.\nSuccess!\n"),
        _ => String::new(),
    };
    Step::AskForLines(Box::new(Asked::Certificate(act)), says)
}

fn servers(name: Option<String>, is_state: bool, view: &View<'_>) -> Result<Step, Refusal> {
    let only = match name {
        Some(name) => {
            let pool = pool(&name, view).ok_or("Can't find backend.")?;
            Some(pool.spec.name.clone())
        }
        None => None,
    };
    Ok(Step::Pieces(Box::new(Servers::new(only, is_state))))
}

/// A pool, by its name or `#id`.
fn pool<'a>(name: &str, view: &View<'a>) -> Option<PoolEntry<'a>> {
    let directory = view.directory;
    match name.strip_prefix('#').map(str::parse::<u32>) {
        Some(Ok(id)) => {
            let pools = &directory.desired.pools;
            let at = pools.iter().position(|it| view.ids.backend(&it.name) == id)?;
            directory.pool_at(at)
        }
        _ => directory.pool(name),
    }
}

/// A server that was named.
struct Found<'a> {
    place: Place,
    pool: PoolEntry<'a>,
    entry: BackendEntry<'a>,
}

fn found<'a>(target: &Target, view: &View<'a>) -> Result<Found<'a>, Refusal> {
    let directory = view.directory;
    let pool = pool(&target.backend, view).ok_or(NO_BACKEND)?;
    let entry = match target.server.strip_prefix('#').map(str::parse::<u32>) {
        Some(Ok(id)) => {
            let is_it =
                |it: &Shared<BackendSpec>| view.ids.server(&pool.spec.name, &it.name) == id;
            let at = pool.spec.backends.iter().position(is_it).ok_or(NO_SERVER)?;
            directory.backend_at(pool, at)
        }
        _ => directory.backend(pool, &target.server),
    };
    let entry = entry.ok_or(NO_SERVER)?;
    Ok(Found { place: Place::new(&pool.spec.name, &entry.spec.name), pool, entry })
}

fn add(
    target: &Target,
    spec: BackendSpec,
    who: Asker<'_>,
    view: &View<'_>,
) -> Result<Step, Refusal> {
    let pool = pool(&target.backend, view).ok_or(NO_BACKEND)?;
    if view.directory.backend(pool, &spec.name).is_some() {
        return Err("Already exists a server with the same name in backend.");
    }
    let place = Place::new(&pool.spec.name, &spec.name);
    let what = What::Put(spec, OverlaySource::Api);
    let change = Change::one(Edit { place, what, only: Only::IfNew }, who.name);
    Ok(Step::Ask(Box::new(Asked::Change(change)), "New server registered.".to_owned()))
}

/// What is about one server.
fn of_server(command: Command, who: Asker<'_>, view: &View<'_>) -> Result<Step, Refusal> {
    let patch = |found: Found<'_>, patch: Patch| {
        let edit = Edit { place: found.place, what: What::Patch(patch), only: Only::IfThere };
        Step::Ask(Box::new(Asked::Change(Change::one(edit, who.name))), String::new())
    };
    Ok(match command {
        Command::GetWeight(target) => {
            let found = found(&target, view)?;
            let now = found.entry.spec.weight;
            let first = initial(&found, view);
            Step::Lines(format!("{now} (initial {first})\n"))
        }
        Command::SetWeight(target, weight) => {
            let found = found(&target, view)?;
            let weight = match weight {
                Weight::Absolute(weight) => weight,
                Weight::Percent(percent) => {
                    let weight = u64::from(initial(&found, view)) * u64::from(percent) / 100;
                    // As there, only an absolute one has an end.
                    weight.min(u64::from(WEIGHT_MAX)) as u32
                }
            };
            patch(found, Patch { weight: Some(weight), ..Patch::default() })
        }
        Command::SetState(target, admin) => {
            patch(found(&target, view)?, Patch { admin: Some(admin), ..Patch::default() })
        }
        Command::MaxServer(target, most) => {
            let max_connections = Some(Some(most).filter(|it| *it > 0));
            patch(found(&target, view)?, Patch { max_connections, ..Patch::default() })
        }
        Command::SetAddress(target, ip, port) => {
            address(found(&target, view)?, ip, port, who, view)
        }
        Command::Health(target, told) => health(&found(&target, view)?, told, view)?,
        Command::EnableAgent(target) => found(&target, view).and(Err(NO_AGENT))?,
        Command::DelServer(target) => {
            let found = found(&target, view)?;
            removable(&found.place, view)?;
            let what = What::Remove(Ends::Themselves);
            let edit = Edit { place: found.place, what, only: Only::IfThere };
            let asked = Asked::Change(Change::one(edit, who.name));
            Step::Ask(Box::new(asked), "Server deleted.".to_owned())
        }
        Command::ShutdownSessions(target) => {
            Step::Ask(Box::new(Asked::Close(found(&target, view)?.place)), String::new())
        }
        _ => nothing(),
    })
}

fn health(found: &Found<'_>, told: HealthTold, view: &View<'_>) -> Result<Step, Refusal> {
    let is_checked = found.pool.spec.settings.check.kind != Check::None;
    match told {
        HealthTold::Checked if !is_checked => return Err(NO_CHECK),
        HealthTold::Unchecked | HealthTold::Up | HealthTold::Down
            if !view.cx.backends[found.entry.server].check.probed =>
        {
            // Nothing is said of it, and nothing happens.
            return Ok(Step::Lines(String::new()));
        }
        _ => {}
    }
    Ok(Step::Ask(Box::new(Asked::Health(found.place.clone(), told)), String::new()))
}

/// As many as were configured, for 0.
fn max_connections(most: u32, view: &View<'_>) -> Result<Step, Refusal> {
    let hard = view.cx.settings.hard_max_connections;
    let most = if most == 0 { hard } else { most as usize };
    if most > hard {
        return Err("Value out of range.");
    }
    Ok(Step::Ask(Box::new(Asked::MaxConnections(most)), String::new()))
}

/// The weight that was configured.
fn initial(found: &Found<'_>, view: &View<'_>) -> u32 {
    let told = view.directory.overlay.told(&found.place.pool, &found.place.name);
    let now = found.entry.spec.weight;
    told.map_or(now, |told| told.configured_weight(now))
}

fn address(
    found: Found<'_>,
    ip: String,
    port: Option<u16>,
    who: Asker<'_>,
    view: &View<'_>,
) -> Step {
    let spec = found.entry.spec;
    // A UNIX socket has neither, and may get both.
    let old = ip_text(view.cx.backends[found.entry.server].address());
    let old_port = spec.at.port();
    let mut text = if old == ip {
        "no need to change the addr".to_owned()
    } else {
        format!("IP changed from '{old}' to '{ip}'")
    };
    match port {
        Some(port) if Some(port) != old_port => {
            let old = old_port.unwrap_or_default();
            text += &format!(", port changed from '{old}' to '{port}'");
        }
        Some(_) => text += ", no need to change the port",
        None => {}
    }
    text += " by 'stats socket command'";
    let Some(port) = port.or(old_port) else {
        return Step::Say(Severity::Error, NO_PORT.to_owned());
    };
    if old == ip && Some(port) == old_port {
        return Step::Say(Severity::Info, text);
    }
    let patch = Patch {
        address: Some(crate::config::Target::Host { host: ip, port }),
        ..Patch::default()
    };
    let edit = Edit { place: found.place, what: What::Patch(patch), only: Only::IfThere };
    Step::Ask(Box::new(Asked::Change(Change::one(edit, who.name))), text)
}

/// Whether a server may be removed, or why not.
pub fn removable(place: &Place, view: &View<'_>) -> Result<(), Refusal> {
    let target = Target { backend: place.pool.clone(), server: place.name.clone() };
    let found = found(&target, view)?;
    if found.entry.spec.admin != AdminState::Maint {
        return Err(NOT_IN_MAINT);
    }
    if view.cx.backends.connections(found.entry.server) > 0 {
        return Err(CONNECTED);
    }
    Ok(())
}

/// Whether more of a wait may change that.
pub fn is_hopeless(why: Refusal) -> bool {
    why != CONNECTED
}

/// The statistics over HTTP: `/haproxy;csv`, `/stats?x;csv;norefresh`.
pub fn web(asked: &str, view: &View<'_>) -> Option<(&'static str, Box<dyn Pieces>)> {
    let (form, media) = match asked {
        it if it.contains(";csv") => (Form::Plain, "text/plain"),
        it if it.contains(";json") => (Form::Json, "application/json"),
        it if it.contains(";typed") => (Form::Typed, "text/plain"),
        _ => return None,
    };
    let query = super::command::StatQuery {
        form,
        up: asked.contains(";up"),
        no_maint: asked.contains(";no-maint"),
        ..Default::default()
    };
    let stat = Stat::new(query, Level::Operator, view).ok()?;
    Some((media, Box::new(stat)))
}
