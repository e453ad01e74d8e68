//! The rows of the statistics: a FRONTEND for each service, then the servers and the BACKEND of
//! each pool. What is not counted is empty.

use crate::backends::ServerState;
use crate::config::{AdminState, Algorithm, Check, HaproxyLevel as Level, ServiceSpec};
use crate::control::{BackendEntry, PoolEntry};
use crate::limits::WEIGHT_ONE;
use crate::stats::BackendCounts;
use crate::stats::snapshot::Word;
use crate::stats::traffic::TrafficCounts;
use crate::status::backend_now;

use super::super::view::View;
use super::columns::COLUMNS;

/// A row: what each column has.
#[derive(Debug)]
pub struct Row {
    /// `F`, `B` or `S`.
    pub letter: char,
    /// Of its proxy.
    pub iid: u32,
    /// Of the server.
    pub sid: u32,
    /// One for each column.
    pub values: Vec<String>,
}

/// Row types, as the column `type` has them.
const FRONTEND: u32 = 0;
const BACKEND: u32 = 1;
const SERVER: u32 = 2;

impl Row {
    fn new(letter: char, proxy: &str, name: &str, iid: u32, sid: u32) -> Row {
        let mut row = Row { letter, iid, sid, values: vec![String::new(); COLUMNS.len()] };
        row.set("pxname", proxy);
        row.set("svname", name);
        row.set("pid", 1);
        row.set("iid", iid);
        row.set("sid", sid);
        row.set("-", "-");
        row
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts, written where they are"
    )]
    fn set(&mut self, name: &str, value: impl ToString) {
        let at = COLUMNS.iter().position(|column| column.name == name);
        debug_assert!(at.is_some(), "no column {name}");
        if let Some(at) = at {
            self.values[at] = value.to_string();
        }
    }

    /// What a column has.
    pub fn get(&self, name: &str) -> &str {
        let at = COLUMNS.iter().position(|column| column.name == name);
        at.map_or("", |at| &self.values[at])
    }

    /// As a line of CSV, with the comma at its end that each line has.
    pub fn write_csv(&self, out: &mut Vec<u8>) {
        for value in &self.values {
            if value.contains(['"', ',', '\n']) {
                let value = value.replace('"', "\"\"").replace('\n', " ");
                out.extend_from_slice(format!("\"{value}\"").as_bytes());
            } else {
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b',');
        }
        out.push(b'\n');
    }

    fn filled(&self) -> impl Iterator<Item = (usize, &str, &str, &str)> {
        let all = COLUMNS.iter().zip(&self.values).enumerate();
        all.filter(|(_, (column, value))| !value.is_empty() && !column.tags.is_empty())
            .map(|(at, (column, value))| (at, column.name, column.tags, &**value))
    }

    /// A line for each column that has something.
    pub fn write_typed(&self, out: &mut Vec<u8>) {
        let Row { letter, iid, sid, .. } = self;
        for (at, name, tags, value) in self.filled() {
            let value = value.replace('\n', " ");
            let line = format!("{letter}.{iid}.{sid}.{at}.{name}.1:{tags}:{value}\n");
            out.extend_from_slice(line.as_bytes());
        }
    }

    /// An array of objects.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let kind = match self.letter {
            'F' => "Frontend",
            'B' => "Backend",
            _ => "Server",
        };
        let fields = self.filled().map(|(at, name, tags, value)| {
            let (tags, kind_of) = tags.split_at(3);
            let kind_of = &kind_of[1..];
            let number = value.parse::<i64>().ok().filter(|_| kind_of != "str");
            serde_json::json!({
                "objType": kind,
                "proxyId": self.iid,
                "id": self.sid,
                "field": {"pos": at, "name": name},
                "processNum": 1,
                "tags": tags_json(tags),
                "value": {
                    "type": kind_of,
                    "value": number.map_or_else(|| value.into(), serde_json::Value::from),
                },
            })
        });
        let fields: Vec<serde_json::Value> = fields.collect();
        out.extend_from_slice(serde_json::Value::from(fields).to_string().as_bytes());
    }
}

/// The three letters of a typed field, in words.
pub fn tags_json(tags: &str) -> serde_json::Value {
    let mut letters = tags.chars();
    let origin = match letters.next() {
        Some('M') => "Metric",
        Some('S') => "Status",
        Some('K') => "Key",
        Some('C') => "Config",
        _ => "Product",
    };
    let nature = match letters.next() {
        Some('G') => "Gauge",
        Some('L') => "Limit",
        Some('M') => "Max",
        Some('R') => "Rate",
        Some('C') => "Counter",
        Some('D') => "Duration",
        Some('A' | 'a') => "Avg",
        Some('N') => "Name",
        _ => "Output",
    };
    let scope = match letters.next() {
        Some('S') => "Service",
        _ => "Process",
    };
    serde_json::json!({"origin": origin, "nature": nature, "scope": scope})
}

/// A service.
pub fn frontend(view: &View<'_>, at: usize, spec: &ServiceSpec) -> Row {
    let id = view.ids.frontend(&spec.name);
    let mut row = Row::new('F', &spec.name, "FRONTEND", id, 0);
    let running = view.directory.services.get(at).and_then(|id| view.cx.services.get(*id));
    row.set("scur", running.map_or(0, |it| it.users()));
    row.set("slim", view.cx.settings.max_connections);
    let is_open = super::frontends::is_open(spec, view);
    row.set("status", if is_open { "OPEN" } else { "PAUSED" });
    row.set("type", FRONTEND);
    let is_http = spec.listeners.iter().any(|name| {
        let listeners = &view.directory.desired.listeners;
        listeners.iter().any(|it| it.name == *name && it.listen.protocol.is_http())
    });
    row.set("mode", if is_http { "http" } else { "tcp" });
    if let Some(running) = running {
        row.set("stot", running.traffic.counts.clients);
        row.set("conn_tot", running.traffic.counts.clients);
        traffic(&mut row, &running.traffic.counts);
    }
    if is_http && view.directory.services.len() == 1 {
        // All that comes is its own.
        row.set("req_tot", view.cx.stats.requests);
        row.set("ereq", view.cx.stats.bad_requests);
    }
    row
}

/// Sessions of a frontend or of a backend: also those for which no server was found.
fn traffic(row: &mut Row, counts: &TrafficCounts) {
    row.set("bin", counts.bytes_in);
    row.set("bout", counts.bytes_out);
    row.set("cli_abrt", counts.aborted);
    row.set("srv_abrt", counts.failed);
    for (class, count) in counts.answers.iter().enumerate() {
        row.set(&format!("hrsp_{}xx", class + 1), count);
    }
}

/// A backend of a pool.
pub fn server(
    view: &View<'_>,
    pool: PoolEntry<'_>,
    entry: BackendEntry<'_>,
    level: Level,
) -> Row {
    let spec = entry.spec;
    let iid = view.ids.backend(&pool.spec.name);
    let sid = view.ids.server(&pool.spec.name, &spec.name);
    let mut row = Row::new('S', &pool.spec.name, &spec.name, iid, sid);
    let now = backend_now(entry.server, view.cx);
    let server = &view.cx.backends[entry.server];
    row.set("type", SERVER);
    counts(&mut row, &now.counts);
    row.set("qcur", view.cx.backends.waiting_for(Some(pool.id), entry.server));
    row.set("scur", now.connections);
    if let Some(limit) = spec.max_connections {
        row.set("slim", limit);
    }
    row.set("used_conn_cur", now.connections);
    row.set("idle_conn_cur", server.idle_connections());
    row.set("rate", now.rate.last_second);
    row.set("status", status(view, pool, entry));
    row.set("lastchg", now.state_for.as_secs());
    let effective = view.cx.backends.share_in(entry.server, pool.id).effective;
    row.set("weight", round_weight(effective));
    row.set("uweight", spec.weight);
    row.set("act", u8::from(!spec.backup));
    row.set("bck", u8::from(spec.backup));
    if now.is_ramping && spec.weight > 0 {
        row.set("throttle", (round_weight(effective) * 100 / spec.weight).clamp(1, 100));
    }
    if server.is_probed() {
        checks(&mut row, pool, server.state);
    }
    if !server.state.is_up() {
        row.set("last_chk", &server.down_reason);
    }
    if level >= Level::Operator
        && let Some(address) = now.address
    {
        row.set("addr", address);
    }
    if let Some(times) = &now.times {
        row.set("p50", times.p50.as_millis());
        row.set("p90", times.p90.as_millis());
        row.set("p99", times.p99.as_millis());
    }
    row.set("chkfail", now.counts.check_failures);
    row.set("chkdown", now.counts.downs);
    row.set("downtime", now.downtime.as_secs());
    if let Some(idle) = now.idle_for {
        row.set("lastsess", idle.as_secs());
    }
    row.set("reason", now.standing.reason.as_deref().unwrap_or_default());
    mode_and_requests(&mut row, view, &pool.spec.name);
    row
}

fn checks(row: &mut Row, pool: PoolEntry<'_>, state: ServerState) {
    let check = &pool.spec.settings.check;
    if check.kind == Check::None {
        return;
    }
    row.set("check_rise", check.rise);
    row.set("check_fall", check.fall);
    let (health, word) = match state {
        ServerState::Unknown => (check.rise, "INI"),
        ServerState::Up(bad) => ((check.rise + check.fall - 1).saturating_sub(bad), "L4OK"),
        ServerState::Down(good) => (good, "L4CON"),
    };
    row.set("check_health", health);
    let word = match (word, check.kind.is_http()) {
        ("L4OK", true) => "L7OK",
        (word, _) => word,
    };
    row.set("check_status", word);
}

/// A pool.
pub fn backend(view: &View<'_>, pool: PoolEntry<'_>, level: Level) -> Row {
    let name = &pool.spec.name;
    let mut row = Row::new('B', name, "BACKEND", view.ids.backend(name), 0);
    row.set("type", BACKEND);
    let mut sum = BackendCounts::default();
    let mut rate = 0;
    // How many are usable, and what they weigh: the active ones, and the backups.
    let mut act = (0, 0);
    let mut bck = (0, 0);
    for at in 0..pool.spec.backends.len() {
        let Some(entry) = view.directory.backend_at(pool, at) else { continue };
        let Some(server) = view.cx.backends.get(entry.server) else { continue };
        add(&mut sum, &server.counts);
        rate += view.cx.backends.rate(entry.server, view.cx.now).last_second;
        let weight = round_weight(view.cx.backends.share_in(entry.server, pool.id).in_force);
        if server.state.is_up() && weight > 0 {
            let sum = if entry.spec.backup { &mut bck } else { &mut act };
            *sum = (sum.0 + 1, sum.1 + weight);
        }
    }
    counts(&mut row, &sum);
    if let Some(pool) = view.cx.backends.pool(Some(pool.id)) {
        traffic(&mut row, &pool.traffic.counts);
        row.set("qcur", pool.queue().len());
        row.set("qmax", pool.queue().counts.most);
    }
    row.set("scur", view.cx.backends.connections_in(Some(pool.id)));
    row.set("rate", rate);
    row.set("status", if act.0 + bck.0 > 0 { "UP" } else { "DOWN" });
    let weight = if act.0 > 0 { act.1 } else { bck.1 };
    row.set("weight", weight);
    row.set("uweight", weight);
    row.set("act", act.0);
    row.set("bck", bck.0);
    row.set("lastchg", view.ago(view.cx.started).as_secs());
    mode_and_requests(&mut row, view, name);
    if level >= Level::Operator {
        row.set("algo", algorithm(pool.spec.settings.algorithm));
        if let Some(cookie) = &pool.spec.settings.sticky.cookie {
            row.set("cookie", cookie);
        }
    }
    row
}

fn counts(row: &mut Row, counts: &BackendCounts) {
    row.set("stot", counts.given);
    row.set("lbtot", counts.given);
    row.set("bin", counts.bytes_sent);
    row.set("bout", counts.bytes_received);
    row.set("econ", counts.failures);
    row.set("wredis", counts.moved_on);
    row.set("eresp", counts.broken + counts.timeouts);
    for (class, count) in counts.answers.iter().enumerate() {
        row.set(&format!("hrsp_{}xx", class + 1), count);
    }
}

fn add(sum: &mut BackendCounts, more: &BackendCounts) {
    sum.given += more.given;
    sum.bytes_sent += more.bytes_sent;
    sum.bytes_received += more.bytes_received;
    sum.failures += more.failures;
    sum.broken += more.broken;
    sum.timeouts += more.timeouts;
    sum.moved_on += more.moved_on;
    for (sum, more) in sum.answers.iter_mut().zip(more.answers) {
        *sum += more;
    }
}

/// A weight that is at work, as a whole number, and never 0 if it is anything.
pub fn round_weight(weight: u32) -> u32 {
    weight.div_ceil(WEIGHT_ONE)
}

/// Maintenance comes before draining, and that before health.
pub fn status(view: &View<'_>, pool: PoolEntry<'_>, entry: BackendEntry<'_>) -> String {
    let server = &view.cx.backends[entry.server];
    let check = &pool.spec.settings.check;
    let counted = |word: &str, done: u32, of: u32| format!("{word} {done}/{of}");
    match (entry.spec.admin, server.state) {
        (AdminState::Maint, _) => "MAINT".to_owned(),
        (AdminState::Drain, _) => "DRAIN".to_owned(),
        (_, ServerState::Down(0)) => "DOWN".to_owned(),
        (_, ServerState::Down(good)) => counted("DOWN", good, check.rise),
        _ if !server.is_probed() => "no check".to_owned(),
        _ if view.cx.backends.standing(entry.server).word == Word::Ejected => "NOLB".to_owned(),
        (_, ServerState::Up(bad)) if bad > 0 => {
            counted("UP", check.fall.saturating_sub(bad), check.fall)
        }
        _ => "UP".to_owned(),
    }
}

/// Where requests are what is given, they are also counted as requests.
fn mode_and_requests(row: &mut Row, view: &View<'_>, pool: &str) {
    let mode = mode(view, pool);
    row.set("mode", mode);
    if mode == "http" {
        let given = row.get("stot").to_owned();
        row.set("req_tot", given);
    }
}

fn mode(view: &View<'_>, pool: &str) -> &'static str {
    let desired = &view.directory.desired;
    let is_used = |it: &&ServiceSpec| it.pools().any(|name| name == pool);
    let mut listeners = desired.services.iter().filter(is_used).flat_map(|it| &it.listeners);
    let is_http = |name: &String| {
        desired.listeners.iter().any(|it| it.name == *name && it.listen.protocol.is_http())
    };
    if listeners.any(is_http) { "http" } else { "tcp" }
}

fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::LeastConnections | Algorithm::LeastLoad | Algorithm::LeastTime => {
            "leastconn"
        }
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::Random => "random",
        Algorithm::IpHash | Algorithm::ConsistentHash => "source",
        Algorithm::First => "first",
    }
}
