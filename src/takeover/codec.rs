//! Messages to frames and back: JSON, but for pieces of the state, which are bytes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::config::{Address, LinkAddress, UnixName};
use crate::limits::TAKEOVER_WHY_BYTES;

use super::frame::frame;
use super::{
    BackendRow, Counts, FlowRow, Hello, Manager, Message, Offered, SocketRow, SumRow, TailRow,
    Way,
};

/// Why a message cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message as it is sent. The descriptors that go with it are as many as its rows.
pub fn encode(message: &Message) -> Vec<u8> {
    let none = Vec::new;
    let (kind, payload, sockets) = match message {
        Message::Hello(it) => (b'H', bytes(&hello(it)), 0),
        Message::Sockets(rows) => (b'L', list(rows, socket), rows.len()),
        Message::State(piece) => (b'S', piece.clone(), 0),
        Message::Offered(it) => (b'O', bytes(&offered(it)), 0),
        Message::Ready(places) => (b'R', bytes(&json!(places)), 0),
        Message::Flows(rows) => (b'F', list(rows, flow), rows.len()),
        Message::Tails(rows) => (b'T', list(rows, tail), rows.len()),
        Message::Counts(counts) => (b'C', bytes(&counted(counts)), 0),
        Message::Yours => (b'Y', none(), 0),
        Message::Taken => (b'A', none(), 0),
        Message::Go => (b'G', none(), 0),
        Message::Serves => (b'V', none(), 0),
        Message::Over => (b'D', none(), 0),
        Message::No(why) => (b'N', why.as_bytes().to_vec(), 0),
    };
    frame(kind, &payload, sockets)
}

/// The reverse.
pub fn decode(kind: u8, payload: &[u8]) -> Result<Message, Wrong> {
    let value = || -> Result<Value, Wrong> {
        serde_json::from_slice(payload).map_err(|error| Wrong(error.to_string()))
    };
    Ok(match kind {
        b'H' => Message::Hello(hello_of(&value()?)?),
        b'L' => Message::Sockets(rows(&value()?, socket_of)?),
        b'S' => Message::State(payload.to_vec()),
        b'O' => Message::Offered(offered_of(&value()?)?),
        b'R' => Message::Ready(rows(&value()?, |it| place(it, "a place"))?),
        b'F' => Message::Flows(rows(&value()?, flow_of)?),
        b'T' => Message::Tails(rows(&value()?, tail_of)?),
        b'C' => Message::Counts(counts_of(&value()?)?),
        b'Y' => Message::Yours,
        b'A' => Message::Taken,
        b'G' => Message::Go,
        b'V' => Message::Serves,
        b'D' => Message::Over,
        b'N' => {
            // It becomes a line of the log.
            let told = &payload[..payload.len().min(TAKEOVER_WHY_BYTES)];
            Message::No(String::from_utf8_lossy(told).into_owned())
        }
        _ => return Err(Wrong(format!("a message of kind {kind:#04x}"))),
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn list<T>(rows: &[T], write: impl Fn(&T) -> Value) -> Vec<u8> {
    bytes(&Value::Array(rows.iter().map(write).collect()))
}

fn hello(it: &Hello) -> Value {
    json!({"protocol": it.protocol, "version": it.version, "confirms": it.confirms})
}

fn hello_of(value: &Value) -> Result<Hello, Wrong> {
    let version = text(value, "version")?;
    Ok(Hello { protocol: number(value, "protocol")?, version, confirms: confirms(value) })
}

fn offered(it: &Offered) -> Value {
    let manager = it.manager.as_ref();
    let manager = manager.map(|it| json!({"place": it.place, "beat": it.beat}));
    json!({"pid": it.pid, "seed": it.seed, "manager": manager, "confirms": it.confirms})
}

/// A process of an older version says nothing of it.
fn confirms(value: &Value) -> bool {
    value["confirms"] == true
}

fn offered_of(value: &Value) -> Result<Offered, Wrong> {
    let manager = manager_of(&value["manager"])?;
    let pid = pid_of(&value["pid"])?;
    let seed = number(value, "seed")?;
    Ok(Offered { manager, pid, seed, confirms: confirms(value) })
}

fn manager_of(value: &Value) -> Result<Option<Manager>, Wrong> {
    match value {
        Value::Null => Ok(None),
        it => Ok(Some(Manager { place: text(it, "place")?, beat: it["beat"].as_u64() })),
    }
}

fn socket(it: &SocketRow) -> Value {
    let way = match it.way {
        Way::Stream => "stream",
        Way::Datagram => "datagram",
    };
    json!({
        "way": way,
        "asked": address(&it.asked),
        "at": address(&it.at),
        "file": it.file.map(|(device, inode)| json!([device, inode])),
        "shared": it.is_shared,
    })
}

fn socket_of(value: &Value) -> Result<SocketRow, Wrong> {
    let way = match value["way"].as_str() {
        Some("stream") => Way::Stream,
        Some("datagram") => Way::Datagram,
        _ => return Err(Wrong("a socket of no known kind".to_owned())),
    };
    let file = match &value["file"] {
        Value::Null => None,
        it => Some((whole(&it[0], "a device")?, whole(&it[1], "an inode")?)),
    };
    let address = |name: &str| address_of(&value[name]);
    let is_shared = value["shared"].as_bool();
    let is_shared = is_shared.ok_or_else(|| Wrong("a socket of nobody".to_owned()))?;
    Ok(SocketRow { way, asked: address("asked")?, at: address("at")?, file, is_shared })
}

/// The zone of one link may be a name, or look like the number of another interface.
fn address(it: &Address) -> Value {
    match it {
        Address::Link(link) => {
            let plain = link.socket_address();
            json!([plain.ip().to_string(), plain.port(), link.zone()])
        }
        Address::Ip(_) | Address::Unix(_) => json!(it.to_string()),
    }
}

fn address_of(value: &Value) -> Result<Address, Wrong> {
    if let Some(parts) = value.as_array() {
        let ip = parsed(parts.first().and_then(Value::as_str).unwrap_or_default())?;
        let port = u16::try_from(whole(&value[1], "a port")?);
        let port = port.map_err(|_| Wrong("a port that is none".to_owned()))?;
        let zone =
            value[2].as_str().ok_or_else(|| Wrong("a link without a zone".to_owned()))?;
        return Ok(LinkAddress::new(ip, port, zone).into());
    }
    let text = value.as_str().ok_or_else(|| Wrong("a socket without an address".to_owned()))?;
    match UnixName::after_scheme(text) {
        Some(name) => {
            UnixName::parse(name).map(Address::Unix).map_err(|it| Wrong(it.to_string()))
        }
        None => Ok(Address::Ip(parsed(text)?)),
    }
}

fn flow(it: &FlowRow) -> Value {
    json!([
        it.listener,
        it.peer.to_string(),
        it.local.map(|it| it.to_string()),
        it.client.map(|it| it.to_string()),
        it.pool,
        it.backend,
        it.age,
        it.requests,
        it.answers,
        it.sent,
        it.received,
        it.ahead,
        it.is_current,
    ])
}

fn flow_of(value: &Value) -> Result<FlowRow, Wrong> {
    let address = |at: usize| -> Result<Option<SocketAddr>, Wrong> {
        value[at].as_str().map(parsed).transpose()
    };
    let name = |at: usize| value[at].as_str().map(str::to_owned).ok_or_else(no_flow);
    let count = |at: usize| whole(&value[at], "a count of a flow");
    Ok(FlowRow {
        listener: place(&value[0], "a listener")?,
        peer: address(1)?.ok_or_else(no_flow)?,
        local: value[2].as_str().map(parsed::<IpAddr>).transpose()?,
        client: address(3)?,
        pool: name(4)?,
        backend: name(5)?,
        age: count(6)?,
        requests: count(7)?,
        answers: count(8)?,
        sent: count(9)?,
        received: count(10)?,
        ahead: octets(&value[11])?,
        is_current: value[12].as_bool().ok_or_else(no_flow)?,
    })
}

fn no_flow() -> Wrong {
    Wrong("a flow that lacks something".to_owned())
}

fn tail(it: &TailRow) -> Value {
    json!({"pid": it.pid, "begun": it.begun})
}

fn tail_of(value: &Value) -> Result<TailRow, Wrong> {
    Ok(TailRow { pid: pid_of(&value["pid"])?, begun: octets(&value["begun"])? })
}

fn pid_of(value: &Value) -> Result<i32, Wrong> {
    let pid = value.as_i64().and_then(|it| i32::try_from(it).ok());
    pid.ok_or_else(|| Wrong("a process without a number".to_owned()))
}

fn counted(counts: &Counts) -> Value {
    let backends = counts.backends.iter();
    let backends = backends.map(|it| json!([it.pool, it.name, named(&it.counts)]));
    json!({
        "totals": named(&counts.totals),
        "backends": backends.collect::<Vec<_>>(),
        "sums": sums_json(&counts.sums),
    })
}

/// As a list in JSON.
pub fn sums_json(sums: &[SumRow]) -> Value {
    sums.iter().map(|it| json!([it.of, it.names, named(&it.counts)])).collect()
}

/// The reverse. An older version has no such list.
pub fn sums_from_json(value: &Value) -> Result<Vec<SumRow>, Wrong> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let name = |it: &Value| {
        let nameless = || Wrong("a sum of what has no name".to_owned());
        it.as_str().map(str::to_owned).ok_or_else(nameless)
    };
    rows(value, |it| {
        Ok(SumRow { of: name(&it[0])?, names: rows(&it[1], name)?, counts: named_of(&it[2])? })
    })
}

fn named(counts: &[(String, u64)]) -> Value {
    let all: Map<String, Value> =
        counts.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
    Value::Object(all)
}

fn counts_of(value: &Value) -> Result<Counts, Wrong> {
    let backend = |it: &Value| {
        let name = |at: usize| it[at].as_str().map(str::to_owned);
        let nameless = || Wrong("a backend without a name".to_owned());
        Ok(BackendRow {
            pool: name(0).ok_or_else(nameless)?,
            name: name(1).ok_or_else(nameless)?,
            counts: named_of(&it[2])?,
        })
    };
    let backends = rows(&value["backends"], backend)?;
    let sums = sums_from_json(&value["sums"])?;
    Ok(Counts { totals: named_of(&value["totals"])?, backends, sums })
}

fn named_of(value: &Value) -> Result<Vec<(String, u64)>, Wrong> {
    let all = value.as_object().ok_or_else(|| Wrong("counts that are none".to_owned()))?;
    all.iter().map(|(name, it)| Ok((name.clone(), whole(it, "a count")?))).collect()
}

fn rows<T>(value: &Value, read: impl Fn(&Value) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let all = value.as_array().ok_or_else(|| Wrong("a list that is none".to_owned()))?;
    all.iter().map(read).collect()
}

fn octets(value: &Value) -> Result<Vec<u8>, Wrong> {
    let octet = |it: &Value| {
        let it = whole(it, "a byte")?;
        u8::try_from(it).map_err(|_| Wrong("a byte that is none".to_owned()))
    };
    rows(value, octet)
}

fn text(of: &Value, name: &str) -> Result<String, Wrong> {
    of[name].as_str().map(str::to_owned).ok_or_else(|| Wrong(format!("{name} is no text")))
}

fn number(of: &Value, name: &str) -> Result<u64, Wrong> {
    whole(&of[name], name)
}

fn whole(value: &Value, what: &str) -> Result<u64, Wrong> {
    value.as_u64().ok_or_else(|| Wrong(format!("{what} that is no number")))
}

fn place(value: &Value, what: &str) -> Result<u32, Wrong> {
    u32::try_from(whole(value, what)?).map_err(|_| Wrong(format!("{what} that is too large")))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| Wrong("an address that is none".to_owned()))
}
