//! The statistics and the states of servers, written some rows a piece, as the reader takes them.

use crate::config::{Address, AdminState, HaproxyLevel as Level};
use crate::limits::HAPROXY_ROWS_PER_PIECE;

use super::super::answer::{More, Pieces, some_steps};
use super::super::view::View;
use super::columns;
use super::command::{Form, StatQuery};
use super::rows::{self, Row};

/// Where a walk over services, pools and their backends is.
#[derive(Debug, Clone, Copy)]
enum At {
    Begin,
    Service(usize),
    /// A pool, and the place in it.
    Pool(usize, usize),
}

/// The statistics.
pub struct Stat {
    query: StatQuery,
    level: Level,
    at: At,
    /// A row was written.
    is_begun: bool,
}

impl Stat {
    /// As they are asked for, or the error.
    pub fn new(query: StatQuery, level: Level, view: &View<'_>) -> Result<Stat, &'static str> {
        if let Some(name) = &query.proxy
            && name.parse::<i64>().is_err()
        {
            let desired = &view.directory.desired;
            let is_service = desired.services.iter().any(|it| it.name == *name);
            if !is_service && !desired.pools.iter().any(|it| it.name == *name) {
                return Err("No such proxy.");
            }
        }
        Ok(Stat { query, level, at: At::Begin, is_begun: false })
    }

    fn takes(&self, row: &Row, kind: u32) -> bool {
        let query = &self.query;
        let is_proxy = query
            .proxy
            .as_ref()
            .is_none_or(|it| it.parse() == Ok(row.iid) || *it == row.get("pxname"));
        // -1, which is no number here, stands for all.
        let is_kind = query.kinds.is_none_or(|it| it & kind != 0);
        let is_server = row.letter != 'S' || query.server.is_none_or(|it| it == row.sid);
        let status = row.get("status");
        let is_up = !query.up || !status.starts_with("DOWN") && !status.starts_with("MAINT");
        let is_wanted = !query.no_maint || !status.starts_with("MAINT");
        is_proxy && is_kind && is_server && is_up && is_wanted
    }

    fn put(&mut self, row: &Row, kind: u32, out: &mut Vec<u8>) {
        if !self.takes(row, kind) {
            return;
        }
        let was_begun = std::mem::replace(&mut self.is_begun, true);
        match self.query.form {
            Form::Plain => row.write_csv(out),
            Form::Typed => row.write_typed(out),
            Form::Json => {
                if was_begun {
                    out.push(b',');
                }
                row.write_json(out);
            }
        }
    }

    /// The next row. Says whether there may be another.
    fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        match self.at {
            At::Begin => {
                match self.query.form {
                    Form::Plain => out.extend_from_slice(columns::header().as_bytes()),
                    Form::Typed => {}
                    Form::Json => out.push(b'['),
                }
                self.at = At::Service(0);
            }
            At::Service(at) => match view.directory.desired.services.get(at) {
                Some(spec) => {
                    self.put(&rows::frontend(view, at, spec), 1, out);
                    self.at = At::Service(at + 1);
                }
                None => self.at = At::Pool(0, 0),
            },
            At::Pool(pool, at) => {
                let Some(entry) = view.directory.pool_at(pool) else {
                    if self.query.form == Form::Json {
                        out.extend_from_slice(b"]\n");
                    }
                    return false;
                };
                match view.directory.backend_at(entry, at) {
                    Some(server) => {
                        self.put(&rows::server(view, entry, server, self.level), 4, out);
                        self.at = At::Pool(pool, at + 1);
                    }
                    None => {
                        self.put(&rows::backend(view, entry, self.level), 2, out);
                        self.at = At::Pool(pool + 1, 0);
                    }
                }
            }
        }
        true
    }
}

impl Pieces for Stat {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        some_steps(HAPROXY_ROWS_PER_PIECE, out, |out| self.step(view, out))
    }
}

/// `show servers state`, or `show servers conn`.
pub struct Servers {
    /// Of this pool alone.
    only: Option<String>,
    is_state: bool,
    at: Option<(usize, usize)>,
}

const STATE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
     srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
     srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn \
     srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
     srv_agent_port\n";

const CONN: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max \
     need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[1]\n";

impl Servers {
    /// Of all pools, or of one; `is_state`, or their connections.
    pub fn new(only: Option<String>, is_state: bool) -> Servers {
        Servers { only, is_state, at: None }
    }

    fn row(&self, view: &View<'_>, pool: usize, at: usize) -> Option<String> {
        let pool = view.directory.pool_at(pool)?;
        let entry = view.directory.backend_at(pool, at)?;
        let server = &view.cx.backends[entry.server];
        let name = &pool.spec.name;
        let spec = entry.spec;
        let iid = view.ids.backend(name);
        let sid = view.ids.server(name, &spec.name);
        let address = server.address();
        let ip = ip_text(address);
        let port = address.and_then(Address::port).unwrap_or_default();
        if !self.is_state {
            let used = server.connections;
            let own = &spec.name;
            return Some(format!(
                "{name}/{own} {iid}/{sid} {ip} {port} - 0 {used} {used} 0 0 0 -1 0 0\n"
            ));
        }
        let check = &pool.spec.settings.check;
        let probed = server.is_probed();
        let up = server.state.is_up() && spec.admin != AdminState::Maint;
        let op = if up { 2 } else { 0 };
        let admin = match spec.admin {
            AdminState::Ready => 0,
            AdminState::Maint => 1,
            AdminState::Drain => 8,
        };
        let told = view.directory.overlay.told(name, &spec.name);
        let first = told.map_or(spec.weight, |told| told.configured_weight(spec.weight));
        let since = view.ago(server.since).as_secs();
        let (result, health, state) = match (probed, server.state.is_up()) {
            (false, _) => (0, 0, if server.check.probed { 2 } else { 0 }),
            (true, true) => (3, check.rise + check.fall - 1, 6),
            (true, false) => (2, 0, 6),
        };
        let fqdn = spec.at.name().unwrap_or("-");
        let tls = u8::from(spec.tls.is_some());
        let check_port = spec.check_port.unwrap_or(0);
        let own = &spec.name;
        let weight = spec.weight;
        Some(format!(
            "{iid} {name} {sid} {own} {ip} {op} {admin} {weight} {first} {since} 1 {result} \
             {health} {state} 0 0 0 {fqdn} {port} - {tls} {check_port} - - 0\n"
        ))
    }
}

impl Pieces for Servers {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        if self.at.is_none() {
            let head = if self.is_state { STATE } else { CONN };
            out.extend_from_slice(head.as_bytes());
        }
        let (mut pool, mut at) = self.at.unwrap_or_default();
        for _ in 0..HAPROXY_ROWS_PER_PIECE {
            let Some(spec) = view.directory.desired.pools.get(pool) else { return More::Never };
            let is_wanted = self.only.as_ref().is_none_or(|it| *it == spec.name);
            match self.row(view, pool, at).filter(|_| is_wanted) {
                Some(row) => {
                    out.extend_from_slice(row.as_bytes());
                    at += 1;
                }
                None => {
                    pool += 1;
                    at = 0;
                }
            }
        }
        self.at = Some((pool, at));
        More::Now
    }
}

/// A server's address as HAProxy has it; one whose name is not known yet has none.
pub(super) fn ip_text(address: Option<&Address>) -> String {
    let text = |it: &Address| it.ip().map_or_else(|| it.to_string(), |ip| ip.to_string());
    address.map_or_else(|| "-".to_owned(), text)
}
