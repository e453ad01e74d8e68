//! What one look at a process found: numbers and names out of the API's documents.

use serde_json::Value;

/// The process itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// Of the program.
    pub version: String,
    /// `starting`, `serving`, `drained`, `stopping`.
    pub state: String,
    /// Seconds since it began.
    pub uptime: u64,
    /// Of the desired state.
    pub generation: u64,
    /// Clients that are here.
    pub active: u64,
    /// So many may be, if it says so.
    pub limit: Option<u64>,
}

/// A service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where clients come in.
    pub listeners: Vec<String>,
    /// Where they go.
    pub pools: Vec<String>,
    /// How many are here.
    pub active: u64,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How a backend is picked.
    pub algorithm: String,
    /// How many of its backends are up.
    pub up: u64,
    /// How many there are.
    pub backends: u64,
    /// Connections or requests at work.
    pub active: u64,
}

/// What a backend has counted since it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Connections or requests.
    pub requests: u64,
    /// Connects that failed.
    pub connect: u64,
    /// Answers that did not come in time.
    pub timeout: u64,
    /// Answers that broke off.
    pub broken: u64,
    /// Answers of 5xx.
    pub server_errors: u64,
    /// Answers of 4xx, which are no errors of the backend.
    pub client_errors: u64,
    /// Bytes to it.
    pub sent: u64,
    /// Bytes from it.
    pub received: u64,
}

impl Totals {
    /// All that went wrong.
    pub fn errors(&self) -> u64 {
        self.connect + self.timeout + self.broken + self.server_errors
    }

    /// With another one's.
    #[must_use]
    pub fn plus(self, other: Totals) -> Totals {
        Totals {
            requests: self.requests + other.requests,
            connect: self.connect + other.connect,
            timeout: self.timeout + other.timeout,
            broken: self.broken + other.broken,
            server_errors: self.server_errors + other.server_errors,
            client_errors: self.client_errors + other.client_errors,
            sent: self.sent + other.sent,
            received: self.received + other.received,
        }
    }
}

/// What a backend is up to, worst first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "these are the words of the API")]
pub enum State {
    Down,
    Ejected,
    Full,
    Maint,
    Draining,
    /// A word of a newer server, or nothing is known yet.
    #[default]
    Unknown,
    Up,
}

impl State {
    fn of(word: &str) -> State {
        match word {
            "down" => State::Down,
            "ejected" => State::Ejected,
            "full" => State::Full,
            "maint" => State::Maint,
            "draining" => State::Draining,
            "up" => State::Up,
            _ => State::Unknown,
        }
    }

    /// As the API calls it.
    pub fn word(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Ejected => "ejected",
            State::Full => "full",
            State::Maint => "maint",
            State::Draining => "draining",
            State::Unknown => "unknown",
            State::Up => "up",
        }
    }
}

/// Which backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Its pool.
    pub pool: String,
    /// Within that.
    pub backend: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pool, self.backend)
    }
}

/// A backend of a pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backend {
    /// Which one.
    pub name: Name,
    /// Where it is.
    pub address: String,
    /// What an operator says of it.
    pub admin: String,
    /// What it is up to.
    pub state: State,
    /// Why, if that is known.
    pub reason: Option<String>,
    /// Since when.
    pub since: String,
    /// The weight that holds.
    pub weight: f64,
    /// The one that was configured.
    pub configured: f64,
    /// Only if none of the others can.
    pub backup: bool,
    /// Connections or requests at work.
    pub active: u64,
    /// New ones in the last second.
    pub rate: f64,
    /// The same over the last minute, a second.
    pub minute: f64,
    /// The median of times, in milliseconds.
    pub p50: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
    /// Since it is there.
    pub totals: Totals,
}

/// Each second of some minutes, the newest last; empty where no history is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trends {
    /// Answers and connections that ended, a second.
    pub rate: Vec<Option<f64>>,
    /// Those of them that failed.
    pub errors: Vec<Option<f64>>,
    /// Milliseconds.
    pub p99: Vec<Option<f64>>,
}

/// A client that is here, or an address of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Present {
    /// In which list: one of [`PRESENT`].
    pub what: &'static str,
    /// Its address.
    pub client: String,
    /// Its service.
    pub service: String,
    /// Where it is served.
    pub backend: String,
    /// What is done for it.
    pub doing: String,
    /// By what the list is ordered: seconds, milliseconds or connections.
    pub value: f64,
}

/// The lists of who is here.
pub const PRESENT: [&str; 3] = ["slowest", "longest", "clients"];

/// All of one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The process.
    pub process: Process,
    /// In its order.
    pub services: Vec<Service>,
    /// In its order.
    pub pools: Vec<Pool>,
    /// Pool by pool.
    pub backends: Vec<Backend>,
    /// Of the process.
    pub trends: Trends,
    /// Who is here, if that was asked.
    pub present: Vec<Present>,
}

/// What [`Sample::set_trends`] reads.
pub const TRENDS_PATH: &str = "/api/v1/history?of=process&series=rate,errors,p99_ms&span=10m";

/// The members of a backend that [`Sample::add_backends`] reads.
pub const BACKEND_FIELDS: &str = "name,pool,address,admin,state,reason,since,weight,backup,active,\
                                  rate,rate_minute,p50_ms,p99_ms,totals";

impl Sample {
    /// The answer of `/api/v1`.
    pub fn set_process(&mut self, value: &Value) {
        let it = &value["process"];
        self.process = Process {
            version: text(&it["version"]),
            state: text(&it["state"]),
            uptime: seconds(it["uptime"].as_str().unwrap_or_default()),
            generation: count(&it["generation"]),
            active: count(&it["active"]),
            limit: it["limit"].as_u64(),
        };
    }

    /// A list of services.
    pub fn set_services(&mut self, value: &Value) {
        let service = |it: &Value| Service {
            name: text(&it["name"]),
            listeners: texts(&it["listeners"]),
            pools: texts(&it["pools"]),
            active: count(&it["active"]),
        };
        self.services = items(value).iter().map(service).collect();
    }

    /// A list of pools.
    pub fn set_pools(&mut self, value: &Value) {
        let pool = |it: &Value| Pool {
            name: text(&it["name"]),
            algorithm: text(&it["algorithm"]),
            up: count(&it["up"]),
            backends: count(&it["backends"]),
            active: count(&it["active"]),
        };
        self.pools = items(value).iter().map(pool).collect();
    }

    /// The history of the process.
    pub fn set_trends(&mut self, value: &Value) {
        let series = |name: &str| {
            let all = value["series"][name].as_array();
            all.into_iter().flatten().map(Value::as_f64).collect()
        };
        self.trends =
            Trends { rate: series("rate"), errors: series("errors"), p99: series("p99_ms") };
    }

    /// One of the lists of who is here.
    pub fn add_present(&mut self, what: &'static str, value: &Value) {
        let value_of = |it: &Value| {
            let all = ["total_ms", "age_s", "connections"];
            all.into_iter().find_map(|name| it[name].as_f64()).unwrap_or_default()
        };
        self.present.extend(items(value).iter().map(|it| Present {
            what,
            client: text(&it["client"]),
            service: text(&it["service"]),
            backend: match (it["pool"].as_str(), it["backend"].as_str()) {
                (Some(pool), Some(backend)) => format!("{pool}/{backend}"),
                (_, backend) => backend.unwrap_or("-").to_owned(),
            },
            doing: text(&it["doing"]),
            value: value_of(it),
        }));
    }

    /// A list of one pool's backends.
    pub fn add_backends(&mut self, values: &[Value]) {
        self.backends.extend(values.iter().map(backend));
    }
}

fn backend(it: &Value) -> Backend {
    let totals = &it["totals"];
    let errors = &totals["errors"];
    Backend {
        name: Name { pool: text(&it["pool"]), backend: text(&it["name"]) },
        address: text(&it["address"]),
        admin: text(&it["admin"]),
        state: State::of(it["state"].as_str().unwrap_or_default()),
        reason: it["reason"].as_str().map(str::to_owned),
        since: text(&it["since"]),
        weight: number(&it["weight"]["effective"]),
        configured: number(&it["weight"]["configured"]),
        backup: it["backup"] == true,
        active: count(&it["active"]),
        rate: number(&it["rate"]),
        minute: number(&it["rate_minute"]),
        p50: it["p50_ms"].as_f64(),
        p99: it["p99_ms"].as_f64(),
        totals: Totals {
            requests: count(&totals["requests"]),
            connect: count(&errors["connect"]),
            timeout: count(&errors["timeout"]),
            broken: count(&errors["broken"]),
            server_errors: count(&errors["5xx"]),
            client_errors: count(&totals["responses"]["4xx"]),
            sent: count(&totals["bytes"]["sent"]),
            received: count(&totals["bytes"]["received"]),
        },
    }
}

/// The rows of a list.
fn items(value: &Value) -> &[Value] {
    value["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Of `90s`, `2m` or `1h`, as the API writes whole seconds.
fn seconds(text: &str) -> u64 {
    let at = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = match unit {
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return 0,
    };
    digits.parse::<u64>().unwrap_or_default().saturating_mul(unit)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_look_is_read_from_documents_and_whatever_is_missing_is_nothing() {
        let mut sample = Sample::default();
        sample.set_process(&json!({"process": {"version": "1", "state": "serving",
            "uptime": "3m", "generation": 2, "active": 7}}));
        sample.set_pools(&json!({"items": [{"name": "web", "up": 1, "backends": 2}]}));
        sample.add_backends(&[
            json!({"name": "a", "pool": "web", "state": "down", "weight": {"effective": 0.5},
                   "totals": {"errors": {"connect": 3, "5xx": 4}}}),
            json!({"state": "singing"}),
        ]);
        assert_eq!((sample.process.active, sample.process.uptime), (7, 180));
        assert_eq!(sample.pools[0].up, 1);
        let first = &sample.backends[0];
        assert_eq!((first.state, first.weight, first.totals.errors()), (State::Down, 0.5, 7));
        assert_eq!(first.name.to_string(), "web/a");
        assert_eq!(sample.backends[1].state, State::Unknown);
    }
}
