//! The desired state as a file: effective, sorted by name, every value with where it comes from.
//!
//! What is printed reads back to the same state; a test generates thousands of them.

use std::fmt::Write;

use toml_text::{key, string};

use crate::config::{
    Action, AdminState, BackendSpec, Config, Desired, FieldEdit, ListenerSpec, Match, Origin,
    Origins, PathEdit, PoolSpec, RouteName, Rule, ServiceSpec, SettingKey, Share, Subject,
    share_text,
};
use crate::limits;
use crate::settings::{self, Act, Setting};

use super::section::Kind;
use super::source::Sources;

/// What is printed, and where its values come from.
struct Printer<'a> {
    /// Nothing, where only that something is a default is known.
    origins: Option<(&'a Origins, &'a Sources)>,
    out: String,
}

/// All of it, ending in a newline.
pub fn print(desired: &Desired, origins: &Origins, sources: &Sources) -> String {
    print_from(desired, Some((origins, sources)))
}

/// The same of what runs: it came by many ways.
pub fn print_running(desired: &Desired) -> String {
    print_from(&desired.collapsed(), None)
}

fn print_from(desired: &Desired, origins: Option<(&Origins, &Sources)>) -> String {
    let mut printer = Printer { origins, out: String::new() };
    let mut config = Config::defaults();
    config.process = desired.process.clone();
    printer.table("global", &Subject::Process, &config, &[]);
    printer.table("admin", &Subject::Process, &config, &[]);
    for listener in sorted(&desired.listeners, |it| &it.name) {
        printer.listener(listener);
    }
    for service in sorted(&desired.services, |it| &it.name) {
        printer.service(service);
    }
    for pool in sorted(&desired.pools, |it| &it.name) {
        printer.pool(pool, desired.process.demo);
    }
    printer.out.trim_start().to_owned()
}

/// The backends of a pool, to be pasted in place of those that the file has.
pub fn print_backends(pool: &PoolSpec) -> String {
    let mut out = format!("[pool.{}]\nbackends = [\n", key(&pool.name));
    for spec in &pool.collapsed().backends {
        let _ = writeln!(out, "    {},", backend(spec));
    }
    out.push_str("]\n");
    out
}

fn sorted<T>(list: &[T], name: fn(&T) -> &String) -> Vec<&T> {
    let mut sorted: Vec<&T> = list.iter().collect();
    sorted.sort_by_key(|it| name(it));
    sorted
}

impl Printer<'_> {
    fn listener(&mut self, listener: &ListenerSpec) {
        let subject = Subject::Listener(listener.name.clone());
        let mut config = Config::defaults();
        config.listener = listener.settings.clone();
        let bind = string(&listener.listen.name());
        let mut first = vec![("bind", bind, SettingKey::LISTEN)];
        let pairs = &listener.settings.tls.certificates;
        if !pairs.is_empty() {
            let pair = |it: &crate::config::CertificatePair| {
                format!("{{ cert = {}, key = {} }}", string(&it.cert), string(&it.key))
            };
            let list: Vec<String> = pairs.iter().map(pair).collect();
            first.push(("certificates", format!("[{}]", list.join(", ")), SettingKey::CERT));
        }
        self.table(&format!("listener.{}", key(&listener.name)), &subject, &config, &first);
    }

    fn service(&mut self, service: &ServiceSpec) {
        let subject = Subject::Service(service.name.clone());
        let mut config = Config::defaults();
        config.service = service.settings.clone();
        let listeners: Vec<String> = service.listeners.iter().map(|it| string(it)).collect();
        let listen = format!("[{}]", listeners.join(", "));
        let mut first = vec![("listen", listen, SettingKey::LISTENERS)];
        if !service.matches.is_empty() {
            let list: Vec<String> = service.matches.iter().map(matching).collect();
            first.push(("match", format!("[{}]", list.join(", ")), SettingKey::MATCH));
        }
        if let Some(pool) = &service.pool {
            first.push(("pool", string(pool), SettingKey::POOL));
        }
        if !service.rules.is_empty() {
            let list: Vec<String> = service.rules.iter().map(rule).collect();
            let list = format!("[\n    {},\n]", list.join(",\n    "));
            first.push(("rules", list, SettingKey::RULES));
        }
        if let Some(Share { pool, of_ten_thousand }) = &service.mirror {
            let share = string(&share_text(*of_ten_thousand));
            let mirror = format!("{{ pool = {}, share = {share} }}", string(pool));
            first.push(("mirror", mirror, SettingKey::MIRROR));
        }
        if !service.error_pages.is_empty() {
            let page = |(status, file): (&u16, &String)| format!("{status} = {}", string(file));
            let list: Vec<String> = service.error_pages.iter().map(page).collect();
            let list = format!("{{ {} }}", list.join(", "));
            first.push(("error_pages", list, SettingKey::PAGE));
        }
        self.table(&format!("service.{}", key(&service.name)), &subject, &config, &first);
    }

    fn pool(&mut self, pool: &PoolSpec, is_demo: bool) {
        let subject = Subject::Pool(pool.name.clone());
        let mut config = Config::defaults();
        config.pool = pool.settings.clone().into_own();
        self.table(&format!("pool.{}", key(&pool.name)), &subject, &config, &[]);
        if pool.backends.is_empty() {
            let from = match is_demo {
                true => " # its own are made when it starts, at ports that the system chooses",
                false => "",
            };
            let _ = writeln!(self.out, "backends = []{from}");
            return;
        }
        self.out.push_str("backends = [\n");
        for spec in &pool.backends {
            let subject = Subject::Backend { pool: pool.name.clone(), name: spec.name.clone() };
            let from = self.from(&subject, SettingKey::BACKEND, false);
            let _ = writeln!(self.out, "    {},{from}", backend(spec));
        }
        self.out.push_str("]\n");
    }

    /// A table: what is said in its own way first, then its settings.
    fn table(
        &mut self,
        title: &str,
        subject: &Subject,
        config: &Config,
        first: &[(&str, String, SettingKey)],
    ) {
        let _ = writeln!(self.out, "\n[{title}]");
        for (name, value, key) in first {
            let from = self.from(subject, *key, false);
            let _ = writeln!(self.out, "{name} = {value}{from}");
        }
        let defaults = Config::defaults();
        let scope = title.split('.').next().unwrap_or_default();
        for setting in settings::all() {
            let Some(key) = setting.key().filter(|key| key.scope() == scope) else { continue };
            let Some(shown) = (setting.show)(config) else { continue };
            let name = &key.path()[scope.len() + 1..];
            let is_default = (setting.show)(&defaults).as_ref() == Some(&shown);
            let from = self.from(subject, key, is_default);
            let _ = writeln!(self.out, "{name} = {}{from}", value(setting, &shown));
        }
    }

    /// A comment that says where a value comes from.
    fn from(&self, subject: &Subject, key: SettingKey, is_default: bool) -> String {
        let Some((origins, sources)) = self.origins else {
            return if is_default { " # default".to_owned() } else { String::new() };
        };
        let origin = match origins.of(subject, key) {
            Origin::Default => origins.of(&Subject::Defaults, key),
            other => other,
        };
        match origin {
            Origin::Default => " # default".to_owned(),
            Origin::Flag => " # flag".to_owned(),
            Origin::File(spot) => {
                let place = sources.short(spot).unwrap_or_else(|| "file".to_owned());
                format!(" # {place}")
            }
        }
    }
}

/// A value as its kind is written.
fn value(setting: &Setting, shown: &str) -> String {
    match Kind::of(setting) {
        Kind::OnOff => (shown == "on").to_string(),
        // A seed may be larger than TOML's numbers.
        Kind::Number if shown.parse::<i64>().is_ok() => shown.to_owned(),
        Kind::List => {
            let parts: Vec<String> = shown.split(',').map(string).collect();
            format!("[{}]", parts.join(", "))
        }
        _ if matches!(setting.act, Act::Values(..)) => {
            // Where there are commas in the values, each is a line.
            let parts: Vec<String> = match shown.ends_with('\n') {
                true => shown.lines().map(string).collect(),
                false => shown.split(',').map(string).collect(),
            };
            format!("[{}]", parts.join(", "))
        }
        _ => string(shown),
    }
}

fn matching(it: &Match) -> String {
    let mut parts = Vec::new();
    if it.host != RouteName::Others {
        parts.push(format!("host = {}", string(&it.host.to_string())));
    }
    if let Some(path) = &it.path {
        parts.push(format!("path = {}", string(path)));
    }
    if !it.conditions.is_empty() {
        let list: Vec<String> =
            it.conditions.iter().map(|it| string(&it.to_string())).collect();
        parts.push(format!("when = [{}]", list.join(", ")));
    }
    if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
}

fn rule(it: &Rule) -> String {
    let mut parts = Vec::new();
    if !it.when.is_empty() {
        let list: Vec<String> = it.when.iter().map(|it| string(&it.to_string())).collect();
        parts.push(format!("when = [{}]", list.join(", ")));
    }
    let edits = [("request", &it.edit.request), ("response", &it.edit.response)];
    for (name, edits) in edits.into_iter().filter(|(_, edits)| !edits.is_empty()) {
        parts.push(format!("{name} = {}", field_edits(edits)));
    }
    match &it.edit.path {
        None => {}
        Some(PathEdit::StripPrefix(path)) => {
            parts.push(format!("strip_prefix = {}", string(path)));
        }
        Some(PathEdit::AddPrefix(path)) => parts.push(format!("add_prefix = {}", string(path))),
        Some(PathEdit::Rewrite(to)) => {
            parts.push(format!("rewrite = {}", string(&to.to_string())));
        }
    }
    match &it.action {
        None => {}
        Some(Action::Pool(pool)) => parts.push(format!("pool = {}", string(pool))),
        Some(Action::Split(shares)) => {
            let share = |it: &Share| {
                format!("{} = {}", key(&it.pool), string(&share_text(it.of_ten_thousand)))
            };
            let list: Vec<String> = shares.iter().map(share).collect();
            parts.push(format!("split = {{ {} }}", list.join(", ")));
        }
        Some(Action::Redirect(to)) => {
            parts.push(format!("redirect = {}", string(&to.to_string())));
        }
        Some(Action::Respond(it)) => {
            parts.push(format!("respond = {}", string(&it.to_string())));
        }
    }
    format!("{{ {} }}", parts.join(", "))
}

/// Several values of one field are an array.
fn field_edits(edits: &[FieldEdit]) -> String {
    let mut set: Vec<(&str, Vec<String>)> = Vec::new();
    let mut add: Vec<(&str, Vec<String>)> = Vec::new();
    let mut remove = Vec::new();
    for edit in edits {
        let fields = match edit {
            FieldEdit::Set(..) => &mut set,
            FieldEdit::Add(..) => &mut add,
            FieldEdit::Remove(name) => {
                remove.push(string(name));
                continue;
            }
        };
        let value = edit.value().map_or_else(String::new, |it| string(&it.to_string()));
        match fields.iter_mut().find(|(name, _)| *name == edit.name()) {
            Some((_, values)) => values.push(value),
            None => fields.push((edit.name(), vec![value])),
        }
    }
    let one = |(name, values): &(&str, Vec<String>)| match &values[..] {
        [value] => format!("{} = {value}", key(name)),
        values => format!("{} = [{}]", key(name), values.join(", ")),
    };
    let mut parts = Vec::new();
    if !remove.is_empty() {
        parts.push(format!("remove = [{}]", remove.join(", ")));
    }
    for (verb, fields) in [("set", set), ("add", add)] {
        if !fields.is_empty() {
            let list: Vec<String> = fields.iter().map(one).collect();
            parts.push(format!("{verb} = {{ {} }}", list.join(", ")));
        }
    }
    format!("{{ {} }}", parts.join(", "))
}

fn backend(spec: &BackendSpec) -> String {
    let address = spec.at.to_string();
    let mut parts = vec![format!("address = {}", string(&address))];
    if spec.name != spec.at.usual_name(&address) {
        parts.push(format!("name = {}", string(&spec.name)));
    }
    if spec.weight != limits::WEIGHT_DEFAULT {
        parts.push(format!("weight = {}", spec.weight));
    }
    if let Some(most) = spec.max_connections {
        parts.push(format!("max_connections = {most}"));
    }
    if spec.backup {
        parts.push("backup = true".to_owned());
    }
    if spec.admin != AdminState::Ready {
        parts.push(format!("admin = {}", string(spec.admin.word())));
    }
    if let Some(most) = spec.set().and_then(|set| set.at_most) {
        parts.push(format!("at_most = {most}"));
    }
    if let Some(port) = spec.check_port {
        parts.push(format!("check_port = {port}"));
    }
    if let Some(proxy) = spec.proxy {
        parts.push(format!("proxy = {}", string(proxy.version())));
        let names: Vec<String> = proxy.tlvs().names().map(string).collect();
        if !names.is_empty() {
            parts.push(format!("proxy_tlvs = [{}]", names.join(", ")));
        }
    }
    if let Some(name) = &spec.tls {
        parts.push("tls = true".to_owned());
        if Some(&**name) != spec.at.name_for_tls() {
            parts.push(format!("sni = {}", string(name)));
        }
    }
    format!("{{ {} }}", parts.join(", "))
}

/// Keys and strings as TOML writes them.
mod toml_text {
    /// A key, in quotes if it needs them.
    pub fn key(name: &str) -> String {
        let is_bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let bare = !name.is_empty() && name.bytes().all(is_bare);
        if bare { name.to_owned() } else { quoted(name) }
    }

    /// A string. A dollar sign is doubled, for what would be taken for a variable.
    pub fn string(text: &str) -> String {
        quoted(&text.replace('$', "$$"))
    }

    fn quoted(text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out += "\\\"",
                '\\' => out += "\\\\",
                '\n' => out += "\\n",
                '\r' => out += "\\r",
                '\t' => out += "\\t",
                c if c.is_control() => out += &format!("\\u{:04X}", c as u32),
                c => out.push(c),
            }
        }
        out + "\""
    }
}
