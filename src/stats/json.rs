//! A snapshot as JSON: the page of `--stats-path`, written a row at a time.
//!
//! `health` and `connections` come first and are keyed by address, for programs that want to know
//! no more than who is up and how busy they are. What follows is in [`super::tables`].

use crate::config::Address;
use crate::json::{self, Object};
use crate::limits::STATS_NAMES_AT_ONCE;

use super::field::{Field, Unit, Value};
use super::snapshot::{Pool, Snapshot};
use super::tables::{BACKENDS, LISTENERS, POOLS, PROCESS, RULES, TRAFFIC, UDP};

/// How far the writing is.
#[derive(Debug, Default)]
pub struct Writer {
    at: JsonAt,
}

/// What comes next.
#[derive(Debug, Default)]
enum JsonAt {
    #[default]
    Start,
    /// Behind this address, or with the first.
    Health(Option<Address>),
    /// The same.
    Connections(Option<Address>),
    Process,
    /// So many names of its backends are written.
    Pool {
        index: usize,
        names: usize,
    },
    Backend(usize),
    End,
}

impl Writer {
    /// Write the next row of a page to the end of what there is of it. Says whether there was one.
    pub fn write_row(&mut self, from: &Snapshot, out: &mut Vec<u8>) -> bool {
        self.at = match std::mem::take(&mut self.at) {
            JsonAt::Start => {
                out.extend_from_slice(b"{\"health\":{");
                JsonAt::Health(None)
            }
            JsonAt::Health(last) => match from.address_behind(last.as_ref()) {
                Some((address, it)) => {
                    json::members(out, |object| object.truth(&url(address), it.up));
                    JsonAt::Health(Some(address.clone()))
                }
                None => {
                    out.extend_from_slice(b"},\"connections\":{");
                    JsonAt::Connections(None)
                }
            },
            JsonAt::Connections(last) => match from.address_behind(last.as_ref()) {
                Some((address, it)) => {
                    json::members(out, |object| object.number(&url(address), it.connections));
                    JsonAt::Connections(Some(address.clone()))
                }
                None => {
                    out.push(b'}');
                    JsonAt::Process
                }
            },
            JsonAt::Process => {
                process(from, out);
                JsonAt::Pool { index: 0, names: 0 }
            }
            JsonAt::Pool { index, names } => match from.pools.get(index) {
                Some(pool) if pool_part(pool, names, from, out) => {
                    JsonAt::Pool { index: index + 1, names: 0 }
                }
                Some(_) => JsonAt::Pool { index, names: names + STATS_NAMES_AT_ONCE },
                None => {
                    out.extend_from_slice(b"],\"backends\":[");
                    JsonAt::Backend(0)
                }
            },
            JsonAt::Backend(index) => match from.backends.get(index) {
                Some(backend) => {
                    next_item(out);
                    json::object(out, |it| row(it, BACKENDS, backend));
                    JsonAt::Backend(index + 1)
                }
                None => {
                    out.extend_from_slice(b"]}\n");
                    JsonAt::End
                }
            },
            JsonAt::End => {
                self.at = JsonAt::End;
                return false;
            }
        };
        true
    }
}

fn process(from: &Snapshot, out: &mut Vec<u8>) {
    let process = &from.process;
    let udp = &process.stats.udp;
    json::members(out, |it| {
        it.object("process", |it| row(it, PROCESS, process));
        if udp.is_used {
            it.object("udp", |it| row(it, UDP, udp));
        }
        it.list("listeners", &process.listeners, |it, listener| row(it, LISTENERS, listener));
        it.list("guard", &process.rules, |it, rule| row(it, RULES, rule));
    });
    out.extend_from_slice(b",\"routes\":[");
}

/// A pool, but for its backends so many of their names: there may be thousands. Says whether it is
/// whole.
fn pool_part(pool: &Pool, names: usize, from: &Snapshot, out: &mut Vec<u8>) -> bool {
    let is_list = |field: &Field<Pool>| matches!((field.get)(pool), Value::Backends(_));
    let at = POOLS.iter().position(is_list).unwrap_or(POOLS.len());
    let (before, rest) = POOLS.split_at(at);
    let (list, behind) = rest.split_at(rest.len().min(1));
    if names == 0 {
        next_item(out);
        out.push(b'{');
        json::members(out, |it| {
            row(it, before, pool);
            list.iter().for_each(|field| it.texts(field.name, [""; 0]));
        });
        // The bracket that closes it comes behind the last name.
        out.pop();
    }
    let left = pool.members.get(names..).unwrap_or_default();
    for &member in left.iter().take(STATS_NAMES_AT_ONCE) {
        next_item(out);
        json::text(from.backend(member).map_or("", |backend| &backend.name), out);
    }
    let is_whole = left.len() <= STATS_NAMES_AT_ONCE;
    if is_whole {
        out.push(b']');
        json::members(out, |it| {
            row(it, behind, pool);
            row(it, TRAFFIC, &pool.counts);
        });
        out.push(b'}');
    }
    is_whole
}

/// One more in a list.
fn next_item(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

/// All of a table that there is of this row; a group is an object of its own.
fn row<T>(it: &mut Object<'_>, table: &[Field<T>], of: &T) {
    let is_group = |a: &Field<T>, b: &Field<T>| !a.group.is_empty() && a.group == b.group;
    for group in table.chunk_by(is_group) {
        match group[0].group {
            "" => value(it, &group[0], of),
            name => it.object(name, |it| group.iter().for_each(|field| value(it, field, of))),
        }
    }
}

fn value<T>(it: &mut Object<'_>, field: &Field<T>, of: &T) {
    let name = field.name;
    match (field.get)(of) {
        Value::Count(count) => it.number(name, count),
        Value::Decimal(number) => it.decimal(name, number),
        Value::Time(time) if field.unit == Unit::Milliseconds => {
            it.decimal(name, time.as_secs_f64() * 1e3);
        }
        Value::Time(time) => it.decimal(name, time.as_secs_f64()),
        Value::Truth(truth) => it.truth(name, truth),
        Value::Text(text) => it.text(name, text),
        Value::Address(address) => it.text(name, url(address)),
        Value::Unknown => it.null(name),
        // A list is written in parts.
        Value::Backends(_) | Value::Absent => {}
    }
}

fn url(address: &Address) -> String {
    match address {
        Address::Ip(_) | Address::Link(_) => format!("http://{address}"),
        Address::Unix(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::snapshot::Process;
    use super::super::snapshot::tests::{backend, pool};
    use super::*;

    fn page(backends: u16, pools: &[usize]) -> String {
        let now = Instant::now();
        let mut snapshot = Snapshot::begin(Process::default(), 0, now);
        for &members in pools {
            snapshot.pools.push(pool(&(0..members).collect::<Vec<_>>()));
        }
        (0..backends).for_each(|number| snapshot.push_backend(backend(number), now));
        snapshot.finish();
        let mut writer = Writer::default();
        let mut page = Vec::new();
        while writer.write_row(&snapshot, &mut page) {}
        assert!(!writer.write_row(&snapshot, &mut page), "it is over");
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn a_page_of_nobody_is_whole() {
        let page = page(0, &[]);
        let begin = "{\"health\":{},\"connections\":{},\"process\":{\"version\":\"";
        assert!(page.starts_with(begin), "{page}");
        assert!(
            page.ends_with("},\"listeners\":[],\"guard\":[],\"routes\":[],\"backends\":[]}\n"),
            "{page}"
        );
        let groups = "\"tls_handshakes\":{\"done\":0,\"resumed\":0,\"failed\":0,\
                      \"subjects_left_out\":0},\"refused\":0,";
        assert!(page.contains(groups), "{page}");
        assert!(!page.contains("access_log") && !page.contains("udp"), "{page}");
    }

    #[test]
    fn rows_follow_each_other() {
        let page = page(2, &[]);
        let addresses = "\"http://127.0.0.1:0\":true,\"http://127.0.0.1:1\":true}";
        assert!(page.contains(addresses), "{page}");
        let backends = page.split_once("\"backends\":[").unwrap().1;
        let [first, second] = [0, 1].map(|number| format!("{{\"name\":\"b{number}\",\"add"));
        assert!(backends.starts_with(&first), "{page}");
        assert!(backends.contains(&format!("\"p99\":null}}}},{second}")), "{page}");
        assert!(backends.ends_with("\"p99\":null}}]}\n"), "{page}");
    }

    #[test]
    fn a_pool_has_all_its_names_in_however_many_parts() {
        const PART: usize = STATS_NAMES_AT_ONCE;
        for members in [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 1] {
            let page = page(4 * PART as u16, &[members, 1]);
            let names: Vec<String> = (0..members).map(|it| format!("\"b{it}\"")).collect();
            let wanted = format!(
                "\"routes\":[{{\"name\":\"pool\",\"backends\":[{}],\"up\":{members},\
                 \"waiting\":0,",
                names.join(",")
            );
            assert!(page.contains(&wanted), "{wanted} in {page}");
            let next = "}},{\"name\":\"pool\",\"backends\":[\"b0\"],\"up\":1,";
            assert!(page.contains(next), "{next} in {page}");
        }
    }
}
