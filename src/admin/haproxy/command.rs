//! The commands: who may give them, what they are called in lists, and how their words are read.
//! What is wrong with one is told in HAProxy's own texts, for tools compare them.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{
    AdminState, BackendSpec, HaproxyLevel as Level, ProxyTlv, ProxyTlvs, SendProxy, closest,
};
use crate::limits::HAPROXY_TIME_MAX;

use super::super::change::HealthTold;
use super::certificates::{Act, Secret};
use super::verbs::{VERBS, Verb};

/// A server of a backend, as it was written: names, or `#id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The backend: a pool here.
    pub backend: String,
    /// The server: a backend here.
    pub server: String,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// For people and for most tools.
    #[default]
    Plain,
    /// A field a line, with its type.
    Typed,
    /// An array of arrays of objects.
    Json,
}

/// Which rows of the statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatQuery {
    /// Of this proxy, by id or name; nothing for all.
    pub proxy: Option<String>,
    /// A sum of 1 (frontends), 2 (backends) and 4 (servers).
    pub kinds: Option<u32>,
    /// Of this server.
    pub server: Option<u32>,
    /// How they are written.
    pub form: Form,
    /// Only what is up.
    pub up: bool,
    /// Not what is in maintenance.
    pub no_maint: bool,
}

/// Which sessions.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that are at least so old.
    Older(Duration),
    /// This one.
    One(u64),
}

/// A weight as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// This one.
    Absolute(u32),
    /// Of the one that was configured, in percent.
    Percent(u32),
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "their words in `verbs` say what they are")]
pub enum Command {
    ShowStat(StatQuery),
    ShowInfo(Form),
    ShowServersState(Option<String>),
    ShowServersConn(Option<String>),
    ShowBackend,
    ShowVersion,
    ShowErrors,
    ShowCliSockets,
    ShowTable,
    ShowSessions(Which),
    ShutdownSession(u64),
    Frontend(String, bool),
    MaxConnections(u32),
    GetWeight(Target),
    SetWeight(Target, Weight),
    SetState(Target, AdminState),
    SetAddress(Target, String, Option<u16>),
    Health(Target, HealthTold),
    EnableAgent(Target),
    NoAgent,
    MaxServer(Target, u32),
    AddServer(Target, Box<BackendSpec>),
    DelServer(Target),
    Wait(Duration, Option<Target>),
    ShutdownSessions(Target),
    ClearCounters,
    ShowCertificates(Option<String>),
    ShowCertificateLists,
    Certificate(Act),
}

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | \
     agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";
const STATES: &str = "'set server <srv> state' expects 'ready', 'drain' and 'maint'.";
const HEALTHS: &str = "'set server <srv> health' expects 'up', 'stopping', or 'down'.";
const PAIR: &str = "Require 'backend/server'.";
const NO_POINTER: &str = "Session pointer expected (use 'show sess').";
const DENIED: &str = "Permission denied";

/// What these words want, or what is wrong with them.
pub fn parse(
    words: &[&str],
    payload: Option<Vec<u8>>,
    level: Level,
) -> Result<Command, String> {
    let is_it = |verb: &&Verb| words.starts_with(verb.words);
    let verb = VERBS.iter().filter(is_it).max_by_key(|verb| verb.words.len());
    let Some(verb) = verb else { return Err(unknown(words, level)) };
    if level < verb.level {
        return Err(DENIED.to_owned());
    }
    let said = &words[verb.words.len()..];
    let first = said.first().copied().unwrap_or_default();
    match *verb.words {
        ["show", "stat"] => Ok(Command::ShowStat(stat_query(said))),
        ["show", "info"] => Ok(Command::ShowInfo(form(said))),
        ["show", "servers", "state"] => Ok(Command::ShowServersState(name(first))),
        ["show", "servers", "conn"] => Ok(Command::ShowServersConn(name(first))),
        ["show", "backend"] => Ok(Command::ShowBackend),
        ["show", "version"] => Ok(Command::ShowVersion),
        ["show", "errors"] => Ok(Command::ShowErrors),
        ["show", "cli", "sockets"] => Ok(Command::ShowCliSockets),
        ["show", "table"] => Ok(Command::ShowTable),
        ["show", "sess"] => show_sessions(said).map(Command::ShowSessions),
        ["shutdown", "session"] => {
            let number = session_number(first).ok_or(NO_POINTER)?;
            Ok(Command::ShutdownSession(number))
        }
        ["get", "weight"] => Ok(Command::GetWeight(target(first)?)),
        ["set", "weight"] => set_weight(target(first)?, said.get(1)),
        ["set", "server"] => set_server(said),
        ["enable", "server"] => Ok(Command::SetState(target(first)?, AdminState::Ready)),
        ["disable", "server"] => Ok(Command::SetState(target(first)?, AdminState::Maint)),
        ["enable", "frontend"] => Ok(Command::Frontend(first.to_owned(), true)),
        ["disable", "frontend"] => Ok(Command::Frontend(first.to_owned(), false)),
        ["set", "maxconn", "global"] => {
            let most = first.parse().map_err(|_| "Expects an integer value.".to_owned())?;
            Ok(Command::MaxConnections(most))
        }
        ["enable", "health"] => Ok(Command::Health(target(first)?, HealthTold::Checked)),
        ["disable", "health"] => Ok(Command::Health(target(first)?, HealthTold::Unchecked)),
        ["enable", "agent"] => Ok(Command::EnableAgent(target(first)?)),
        ["disable", "agent"] => target(first).map(|_| Command::NoAgent),
        ["set", "maxconn", "server"] => {
            Ok(Command::MaxServer(target(first)?, number(said.get(1))?))
        }
        ["add", "server"] => add_server(said),
        ["del", "server"] => Ok(Command::DelServer(target(first)?)),
        ["wait"] => wait(said),
        ["shutdown", "sessions", "server"] => Ok(Command::ShutdownSessions(target(first)?)),
        ["clear", "counters"] if first.is_empty() => Ok(Command::ClearCounters),
        ["clear", "counters"] => {
            Err("Only 'clear counters' is known here: totals only grow.".to_owned())
        }
        ["show", "ssl", "cert"] => Ok(Command::ShowCertificates(name(first))),
        ["show", "ssl", "crt-list"] => Ok(Command::ShowCertificateLists),
        [verb, "ssl", _] => certificate(verb, said, payload),
        _ => Err(unknown(words, level)),
    }
}

/// What is written to certificates. The texts have their quotes, or have them not, as there.
fn certificate(verb: &str, said: &[&str], payload: Option<Vec<u8>>) -> Result<Command, String> {
    let file = |usage: &str| match said {
        [file, ..] => Ok((*file).to_owned()),
        [] => Err(usage.to_owned()),
    };
    Ok(Command::Certificate(match (verb, payload) {
        ("new", _) => Act::New(file("'new ssl cert' expects a filename")?),
        ("commit", _) => Act::Commit(file("'commit ssl cert expects a filename")?),
        ("abort", _) => Act::Abort(file("'abort ssl cert' expects a filename")?),
        ("del", _) => Act::Delete(file("'del ssl cert' expects a certificate name")?),
        ("set", Some(text)) if said.len() == 1 => Act::Set(file("")?, Secret(text)),
        ("set", _) => {
            let why = "'set ssl cert expects a filename and a certificate as a payload";
            return Err(why.to_owned());
        }
        _ => match said {
            [list, _, ..] => {
                let why = format!("crt-list '{list}' does not exist!");
                return Err(format!("Can't edit the crt-list: {why}"));
            }
            _ => {
                return Err("'add ssl crt-list' expects a filename and a path to a \
                             certificate"
                    .to_owned());
            }
        },
    }))
}

fn name(word: &str) -> Option<String> {
    (!word.is_empty()).then(|| word.to_owned())
}

fn form(words: &[&str]) -> Form {
    match words {
        words if words.contains(&"typed") => Form::Typed,
        words if words.contains(&"json") => Form::Json,
        _ => Form::Plain,
    }
}

fn stat_query(words: &[&str]) -> StatQuery {
    let is_flag = |it: &&&str| ["typed", "json", "up", "no-maint", "desc"].contains(*it);
    let mut query = StatQuery {
        form: form(words),
        up: words.contains(&"up"),
        no_maint: words.contains(&"no-maint"),
        ..StatQuery::default()
    };
    let places: Vec<&&str> = words.iter().take_while(|it| !is_flag(it)).collect();
    if let [proxy, kinds, server] = places[..] {
        let count = |word: &str| word.parse().ok();
        query.proxy = Some((*proxy).to_owned()).filter(|it| it != "-1");
        query.kinds = count(kinds);
        query.server = count(server);
    }
    query
}

/// `B/S`.
fn target(word: &str) -> Result<Target, String> {
    match word.split_once('/') {
        Some((backend, server)) if !backend.is_empty() && !server.is_empty() => {
            Ok(Target { backend: backend.to_owned(), server: server.to_owned() })
        }
        _ => Err(PAIR.to_owned()),
    }
}

fn set_weight(target: Target, word: Option<&&str>) -> Result<Command, String> {
    let Some(word) = word else {
        return Err("Require <weight> or <weight%>.".to_owned());
    };
    let digits = word.strip_suffix('%').unwrap_or(word);
    let Ok(number) = digits.parse::<u32>() else {
        return Err("Empty weight string empty or preceded by garbage".to_owned());
    };
    match (digits.len() < word.len(), number) {
        (false, 0..=256) => Ok(Command::SetWeight(target, Weight::Absolute(number))),
        (false, _) => {
            Err("Absolute weight can only be between 0 and 256 inclusive.".to_owned())
        }
        // because: the same number of thousands, and no more than can be multiplied.
        (true, _) => Ok(Command::SetWeight(target, Weight::Percent(number.min(100_000)))),
    }
}

fn set_server(said: &[&str]) -> Result<Command, String> {
    let target = target(said.first().copied().unwrap_or_default())?;
    match said[1..] {
        ["weight", ref rest @ ..] => set_weight(target, rest.first()),
        ["state", "ready"] => Ok(Command::SetState(target, AdminState::Ready)),
        ["state", "drain"] => Ok(Command::SetState(target, AdminState::Drain)),
        ["state", "maint"] => Ok(Command::SetState(target, AdminState::Maint)),
        ["state", ..] => Err(STATES.to_owned()),
        ["health", "up"] => Ok(Command::Health(target, HealthTold::Up)),
        ["health", "down"] => Ok(Command::Health(target, HealthTold::Down)),
        ["health", "stopping"] => Ok(Command::SetState(target, AdminState::Drain)),
        ["health", ..] => Err(HEALTHS.to_owned()),
        ["agent", ..] => Err("agent checks are not enabled on this server.".to_owned()),
        ["addr", ip, ref rest @ ..] => {
            if ip.parse::<IpAddr>().is_err() {
                return Err(format!("Invalid addr '{ip}' by 'stats socket command'"));
            }
            let port = match rest {
                [] => None,
                ["port", port, ..] => {
                    Some(port.parse().ok().filter(|it| *it > 0).ok_or_else(|| {
                        format!(
                            "no need to change the addr, problem converting port '{port}' to an \
                             int by 'stats socket command'"
                        )
                    })?)
                }
                _ => return Err(USAGE.to_owned()),
            };
            Ok(Command::SetAddress(target, ip.to_owned(), port))
        }
        ["addr"] => Err("set server <b>/<s> addr requires an address and optionally a \
                         port."
            .to_owned()),
        _ => Err(USAGE.to_owned()),
    }
}

fn number(word: Option<&&str>) -> Result<u32, String> {
    let Some(word) = word else { return Err("Require <maxconn>.".to_owned()) };
    word.parse().map_err(|_| "maxconn string empty or preceded by garbage".to_owned())
}

const KEYWORDS: &[&str] = &[
    "check",
    "weight",
    "maxconn",
    "backup",
    "ssl",
    "sni",
    "port",
    "disabled",
    "enabled",
    "verify",
    "name",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "proxy-v2-options",
    "check-send-proxy",
];

/// What HAProxy calls that which a header of version 2 says, and how we do. Those of the client's
/// TLS go together here.
const PROXY_V2_OPTIONS: [(&str, ProxyTlv); 6] = [
    ("ssl", ProxyTlv::Ssl),
    ("cert-cn", ProxyTlv::Ssl),
    ("ssl-cipher", ProxyTlv::Ssl),
    ("authority", ProxyTlv::Authority),
    ("crc32c", ProxyTlv::Crc32c),
    ("unique-id", ProxyTlv::UniqueId),
];

/// `proxy-v2-options ssl,unique-id`.
fn proxy_v2_options(text: &str, tlvs: ProxyTlvs) -> Result<ProxyTlvs, String> {
    text.split(',').try_fold(tlvs, |tlvs, name| {
        let known = PROXY_V2_OPTIONS.iter().find(|(it, _)| *it == name);
        let (_, one) =
            known.ok_or_else(|| format!("'proxy-v2-options' : unknown option '{name}'."))?;
        Ok(tlvs.with(*one))
    })
}

/// A new one begins in maintenance: nobody is sent there before all is said of it.
fn add_server(said: &[&str]) -> Result<Command, String> {
    let target = target(said.first().copied().unwrap_or_default())?;
    let Some(address) = said.get(1) else {
        return Err("'server' expects <name> and <addr>[:<port>] as arguments.".to_owned());
    };
    let read = BackendSpec::named(address, &target.server);
    let mut spec = read.map_err(|wrong| format!("'server {}' : {wrong}", target.server))?;
    spec.admin = AdminState::Maint;
    let mut words = said[2..].iter();
    let mut sni = None;
    let mut tlvs = ProxyTlvs::default();
    while let Some(word) = words.next() {
        let mut count = || {
            let value = words.next().and_then(|it| it.parse::<u32>().ok());
            value.ok_or_else(|| format!("'{word}' expects an integer argument."))
        };
        match *word {
            "check" | "disabled" | "enabled" => {}
            "weight" => {
                let weight = count()?;
                if weight > 256 {
                    return Err("weight of server is not within 0 and 256.".to_owned());
                }
                spec.weight = weight;
            }
            "maxconn" => spec.max_connections = Some(count()?).filter(|it| *it > 0),
            "backup" => spec.backup = true,
            "ssl" => spec.tls = spec.at.name_for_tls().map(str::to_owned),
            "sni" => sni = words.next().map(|it| it.trim_start_matches("str(").to_owned()),
            "port" => spec.check_port = u16::try_from(count()?).ok().filter(|it| *it > 0),
            "send-proxy" => spec.proxy = Some(SendProxy::V1),
            "send-proxy-v2" => spec.proxy = Some(SendProxy::V2(tlvs)),
            "send-proxy-v2-ssl" => {
                tlvs = tlvs.with(ProxyTlv::Ssl);
                spec.proxy = Some(SendProxy::V2(tlvs));
            }
            "proxy-v2-options" => {
                tlvs = proxy_v2_options(words.next().copied().unwrap_or_default(), tlvs)?;
            }
            // Probes always do, where connections do.
            "check-send-proxy" => {}
            "verify" if words.next() == Some(&"required") => {}
            "verify" => return Err("'verify' : only 'required' is possible here.".to_owned()),
            other => {
                let near = closest(other, KEYWORDS.iter().copied());
                let near = near.map(|it| format!("; did you mean '{it}' maybe ?"));
                return Err(format!("unknown keyword '{other}'{}", near.unwrap_or_default()));
            }
        }
    }
    if let Some(SendProxy::V2(_)) = spec.proxy {
        spec.proxy = Some(SendProxy::V2(tlvs));
    }
    if let (Some(name), Some(tls)) = (sni, &mut spec.tls) {
        name.trim_end_matches(')').clone_into(tls);
    }
    Ok(Command::AddServer(target, Box::new(spec)))
}

fn show_sessions(said: &[&str]) -> Result<Which, String> {
    match *said {
        [] | ["all", ..] => Ok(Which::All),
        ["older", age, ..] => time(age, 1000)
            .map(Which::Older)
            .ok_or_else(|| "Invalid duration format, expected an age.".to_owned()),
        ["older"] => Err("Missing age, expected a duration.".to_owned()),
        [id, ..] => session_number(id).map(Which::One).ok_or_else(|| NO_POINTER.to_owned()),
    }
}

/// `0x2a00000007`: as it is shown, or in decimal.
fn session_number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn wait(said: &[&str]) -> Result<Command, String> {
    let Some(time) = said.first().and_then(|it| time(it, 1)) else {
        return Err("Expects a duration in milliseconds.".to_owned());
    };
    match said[1..] {
        [] => Ok(Command::Wait(time, None)),
        ["srv-removable", server] => Ok(Command::Wait(time, Some(target(server)?))),
        _ => Err("Unsupported wait condition; only 'srv-removable' is known.".to_owned()),
    }
}

/// `500`, `2s`, `1m`: a bare number is of a unit of so many milliseconds.
pub fn time(word: &str, unit: u64) -> Option<Duration> {
    let digits = word.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match &word[digits.len()..] {
        "" => unit * 1000,
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    let micros = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_micros(micros)).filter(|it| *it <= HAPROXY_TIME_MAX)
}

/// The commands that begin with these words, or all of them.
pub fn help(words: &[&str], level: Level) -> String {
    let title = "The following commands are valid at this level:\n".to_owned();
    list(title, level, |verb| words.iter().zip(verb.words).all(|(one, other)| one == other))
}

/// What is there instead of an unknown command.
fn unknown(words: &[&str], level: Level) -> String {
    let first = words.first().copied().unwrap_or_default();
    let firsts = VERBS.iter().map(|verb| verb.words[0]);
    let known = VERBS.iter().any(|verb| verb.words[0] == first);
    let near = if known { Some(first) } else { closest(first, firsts) };
    match near {
        Some(near) if !first.is_empty() => {
            let title = "Unknown command, but maybe one of the following ones is a better \
                         match:\n";
            list(title.to_owned(), level, |verb| verb.words[0] == near)
        }
        _ => {
            let title = "Unknown command. Please enter one of the following commands only:\n";
            list(title.to_owned(), level, |_| true)
        }
    }
}

fn list(mut text: String, level: Level, takes: impl Fn(&Verb) -> bool) -> String {
    let always = |verb: &Verb| matches!(verb.words, ["help"] | ["prompt"] | ["quit"]);
    for verb in VERBS.iter().filter(|it| it.level <= level && (takes(it) || always(it))) {
        text += &format!("  {:<40}: {}\n", verb.usage, verb.about);
    }
    text
}

#[cfg(test)]
#[path = "command/tests.rs"]
mod tests;
