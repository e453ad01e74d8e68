//! Reads the body of a write: JSON, its members by name; all mistakes at once, each with its place
//! and what may have been meant.

use serde_json::{Map, Value};

use crate::config::{AdminState, BackendSpec, SendProxy, closest, one_of, quoted};
use crate::limits::{CONNECTIONS_MAX, WEIGHT_MAX};

use super::super::problem::{Kind, Mistake, Mistakes, Problem};

/// A body as a tree.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Kind::SYNTAX, format!("{at}: {}", words(&error)))
    })
}

/// The words of the parser without its place, which we say first.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Takes an object apart.
pub struct Members<'a, 'm> {
    object: &'a Map<String, Value>,
    pointer: String,
    known: &'static [&'static str],
    mistakes: &'m mut Mistakes,
}

impl<'a, 'm> Members<'a, 'm> {
    /// The members of a value that has to be an object with no others than these.
    pub fn of(
        value: &'a Value,
        pointer: &str,
        known: &'static [&'static str],
        mistakes: &'m mut Mistakes,
    ) -> Option<Members<'a, 'm>> {
        let Value::Object(object) = value else {
            let detail = format!("found {}, want an object", kind_of(value));
            let pointer = pointer.to_owned();
            mistakes.push(|| Mistake { pointer, detail, hint: None });
            return None;
        };
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            mistakes.push(|| {
                let near = closest(name, known.iter().copied());
                Mistake {
                    pointer: format!("{pointer}/{}", escaped(name)),
                    detail: format!("unknown member {}", quoted(name)),
                    hint: near.map(|near| format!("did you mean {near}?")),
                }
            });
        }
        Some(Members { object, pointer: pointer.to_owned(), known, mistakes })
    }

    /// Whether it is there, be it null.
    pub fn has(&self, name: &str) -> bool {
        debug_assert!(self.known.contains(&name), "{name} is among the known ones");
        self.object.contains_key(name)
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// Something is wrong with a member.
    pub fn complain(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.pointer, escaped(name));
        self.mistakes.push(|| Mistake { pointer, detail: detail.into(), hint: None });
    }

    /// A whole number in a range.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        let number = value.as_u64().filter(|it| range.contains(it));
        if number.is_none() {
            let (low, high) = range.into_inner();
            let want = format!("a whole number from {low} to {high}");
            self.complain(name, format!("found {}, want {want}", shown(value)));
        }
        number
    }

    /// The same, or null for none.
    pub fn number_or_null(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<Option<u64>> {
        match self.get(name)? {
            Value::Null => Some(None),
            _ => self.number(name, range).map(Some),
        }
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        if !value.is_string() {
            self.complain(name, format!("found {}, want a text", shown(value)));
        }
        value.as_str()
    }

    /// Yes or no.
    pub fn truth(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        if !value.is_boolean() {
            self.complain(name, format!("found {}, want true or false", shown(value)));
        }
        value.as_bool()
    }

    /// One of the words of an operator.
    pub fn admin(&mut self, name: &str) -> Option<AdminState> {
        let text = self.text(name)?;
        let read = one_of(text, &AdminState::WORDS);
        read.map_err(|wrong| self.complain(name, wrong.to_string())).ok()
    }
}

/// The members of a backend that is put.
pub const BACKEND: &[&str] = &[
    "name",
    "address",
    "weight",
    "max_connections",
    "backup",
    "admin",
    "check_port",
    "proxy",
    "proxy_tlvs",
    "tls",
    "sni",
];

/// A backend of this name, as a body has it.
pub fn backend(name: &str, value: &Value) -> Result<BackendSpec, Problem> {
    let mut mistakes = Mistakes::default();
    let spec = backend_at(name, value, "", &mut mistakes);
    finish(spec, mistakes)
}

/// What was read, or what is wrong.
pub fn finish<T>(read: Option<T>, mistakes: Mistakes) -> Result<T, Problem> {
    let (mut told, more) = mistakes.take();
    if let Some(read) = read.filter(|_| told.is_empty()) {
        return Ok(read);
    }
    let is_unknown = |it: &Mistake| it.detail.starts_with("unknown member");
    let all_unknown = !told.is_empty() && told.iter().all(is_unknown);
    let kind = if all_unknown { Kind::UNKNOWN_MEMBER } else { Kind::INVALID };
    if more > 0 {
        let detail = format!("and {more} more");
        told.push(Mistake { pointer: String::new(), detail, hint: None });
    }
    Err(Problem::mistakes(kind, told))
}

/// The same, somewhere in a body.
pub fn backend_at(
    name: &str,
    value: &Value,
    pointer: &str,
    mistakes: &mut Mistakes,
) -> Option<BackendSpec> {
    let mut members = Members::of(value, pointer, BACKEND, mistakes)?;
    if let Some(other) = members.text("name").filter(|other| *other != name) {
        let detail = format!("found {}, want {}, as in the path", quoted(other), quoted(name));
        members.complain("name", detail);
    }
    if !members.has("address") {
        members.complain("address", "found none, want HOST:PORT such as 10.0.0.1:8001");
        return None;
    }
    let address = members.text("address")?;
    let mut spec = match BackendSpec::named(address, name) {
        Ok(spec) => spec,
        Err(wrong) => {
            let which = if BackendSpec::bare(address).is_ok() { "name" } else { "address" };
            let text = wrong.to_string().replace(&format!(",name={name}"), "");
            members.complain(which, text);
            return None;
        }
    };
    options(&mut members, &mut spec);
    Some(spec)
}

fn options(members: &mut Members<'_, '_>, spec: &mut BackendSpec) {
    if let Some(weight) = members.number("weight", 0..=u64::from(WEIGHT_MAX)) {
        spec.weight = weight as u32;
    }
    if let Some(max) = members.number_or_null("max_connections", 1..=CONNECTIONS_MAX.into()) {
        spec.max_connections = max.map(|max| max as u32);
    }
    if let Some(backup) = members.truth("backup") {
        spec.backup = backup;
    }
    if let Some(admin) = members.admin("admin") {
        spec.admin = admin;
    }
    if let Some(port) = members.number_or_null("check_port", 1..=u64::from(u16::MAX)) {
        spec.check_port = port.map(|port| port as u16);
    }
    proxy(members, spec);
    match members.truth("tls") {
        Some(true) if spec.tls.is_none() => {
            spec.tls = spec.at.name_for_tls().map(str::to_owned);
            if spec.tls.is_none() && members.get("sni").is_none() {
                members.complain("tls", "found TLS through a UNIX socket, want sni: NAME too");
            }
        }
        Some(false) => spec.tls = None,
        _ => {}
    }
    if let Some(sni) = members.text("sni") {
        let is_name =
            !sni.contains(',') && BackendSpec::parse(&format!("a:1,tls,sni={sni}")).is_ok();
        match (&mut spec.tls, is_name) {
            (Some(tls), true) => sni.clone_into(tls),
            (None, true) => members.complain("sni", "found sni without tls, want tls: true"),
            (_, false) => {
                let detail = format!("found {}, want the name of a host", quoted(sni));
                members.complain("sni", detail);
            }
        }
    }
}

/// The header of the PROXY protocol: `"proxy": "v2"`, null for none, and the names of what it says
/// beside addresses.
fn proxy(members: &mut Members<'_, '_>, spec: &mut BackendSpec) {
    let version = match members.get("proxy") {
        None | Some(Value::Null) => None,
        Some(_) => members.text("proxy"),
    };
    let names = members.get("proxy_tlvs").and_then(Value::as_array);
    let names: Option<Vec<&str>> =
        names.map(|all| all.iter().filter_map(Value::as_str).collect());
    let tlvs = names.filter(|it| !it.is_empty()).map(|it| it.join("+"));
    let is_list =
        |it: &Value| it.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    if members.get("proxy_tlvs").is_some_and(|it| !is_list(it)) {
        members.complain("proxy_tlvs", "want a list of texts such as [\"authority\", \"ssl\"]");
        return;
    }
    match SendProxy::parse(version, tlvs.as_deref(), &spec.name) {
        Ok(proxy) => spec.proxy = proxy,
        Err(wrong) => {
            let which = if SendProxy::parse(version, None, "").is_ok() {
                "proxy_tlvs"
            } else {
                "proxy"
            };
            members.complain(which, wrong.to_string());
        }
    }
}

/// A value as it was written, cut where it is long.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A member's name within a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
