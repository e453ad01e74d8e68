//! Listeners, services and pools out of the tables of files.

use std::collections::HashSet;

use crate::config::{
    BackendSpec, CertificatePair, Config, Desired, Listen, ListenerSpec, Origin, PoolSpec,
    SettingKey, Shared, Spot, Subject, quoted,
};
use crate::limits::NAME_CHARS_MAX;

use super::SPELLING;
use super::mistake::Mistake;
use super::piece::{Kind, Piece};
use super::reader::{Reader, SYNTAX_ERRORS_MAX, SYNTAX_ERRORS_SHOWN};
use super::section::{Section, Value};

/// Tables at the top of a file.
const TOP: [&str; 7] =
    ["include", "global", "admin", "defaults", "listener", "service", "pool"];

impl Reader<'_> {
    /// What a piece has of one kind. What is wrong with the TOML of one does not keep the others
    /// from being read.
    pub fn read_piece(&mut self, piece: &Piece, kind: Kind) {
        let is_first = piece.kind.unwrap_or(Kind::Top) == kind;
        if !is_first && self.given_up.contains(&piece.file) {
            return;
        }
        let (table, errors) = piece.parse();
        // Once, not for each kind of things that it may have.
        if is_first {
            self.note_syntax(piece, &errors);
        }
        let top = Section { table: table.get_ref(), piece, at: piece.spot(0..0) };
        match kind {
            Kind::Top => self.read_top(top),
            Kind::Listener => self.read_named("listener", top, Reader::read_listener),
            Kind::Pool => self.read_named("pool", top, Reader::read_pool),
            Kind::Service => self.read_named("service", top, Reader::read_service),
        }
    }

    fn note_syntax(&mut self, piece: &Piece, errors: &[toml::de::Error]) {
        let place = |it: &toml::de::Error| piece.spot(it.span().unwrap_or(0..0));
        let mut found: Vec<_> = errors.iter().map(|it| (place(it), it.message())).collect();
        found.sort_unstable();
        found.dedup();
        if found.len() > SYNTAX_ERRORS_MAX {
            self.given_up.insert(piece.file);
        }
        // There may be one in each line.
        let first = found.into_iter().take(SYNTAX_ERRORS_SHOWN);
        self.syntax.extend(first.map(|(at, why)| (at, why.to_owned())));
    }

    /// In an order that is the same for the same things.
    pub fn sort(&mut self) {
        let Desired { listeners, services, pools, .. } = &mut self.desired;
        listeners.sort_by(|one, other| one.name.cmp(&other.name));
        services.sort_by(|one, other| one.name.cmp(&other.name));
        pools.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// What holds for all, before anything else.
    fn read_top(&mut self, section: Section<'_>) {
        for (key, at, value) in section.entries() {
            match key {
                "global" | "admin" => self.read_process(key, value),
                "defaults" => self.read_defaults(value),
                "include" if section.piece.file > 0 => {
                    let says = "an included file includes others";
                    let hint = "want them included by the first file";
                    self.mistakes.push(Mistake::at(at, says).hint(hint));
                }
                "include" => self.includes = self.texts(value),
                "listener" | "service" | "pool" => {}
                other => self.unknown(other, at, TOP),
            }
        }
    }

    fn read_process(&mut self, scope: &str, value: Value<'_>) {
        let Some(section) = value.section() else {
            return self.complain(value, &format!("a table: [{scope}]"));
        };
        let mut config = Config::defaults();
        config.process = self.desired.process.clone();
        self.settings(section, scope, &[], &Subject::Process, &mut config);
        self.desired.process = config.process;
    }

    fn read_defaults(&mut self, value: Value<'_>) {
        let Some(inner) = value.section() else {
            return self.complain(value, "tables such as [defaults.pool]");
        };
        let mut config = self.defaults.clone();
        for (key, at, value) in inner.entries() {
            let scope = ["listener", "service", "pool"].into_iter().find(|it| *it == key);
            match (scope, value.section()) {
                (Some(scope), Some(inner)) => {
                    // Where it stands is told of the default, for all that do not say otherwise.
                    let subject = Subject::Defaults;
                    self.settings(inner, scope, &[], &subject, &mut config);
                }
                (Some(scope), None) => {
                    self.complain(value, &format!("a table: [defaults.{scope}]"));
                }
                (None, _) => self.unknown(key, at, ["listener", "service", "pool"]),
            }
        }
        self.defaults = config;
    }

    /// The tables of one kind by their names.
    fn read_named(
        &mut self,
        kind: &'static str,
        section: Section<'_>,
        read: fn(&mut Self, &str, Section<'_>),
    ) {
        let Some(all) = section.get(kind) else { return };
        let Some(inner) = all.section() else {
            return self.complain(all, &format!("tables with names such as [{kind}.web]"));
        };
        for (name, at, value) in inner.entries() {
            let subject = match kind {
                "listener" => Subject::Listener(name.to_owned()),
                "pool" => Subject::Pool(name.to_owned()),
                _ => Subject::Service(name.to_owned()),
            };
            let Some(table) = value.section() else {
                let want = format!("a table: [{kind}.{name}]");
                self.complain(value, &want);
                continue;
            };
            // A listener that a service makes by an address is called by it, and is so printed.
            let is_address = kind == "listener" && is_name_of_address(name);
            if let Some(why) = wrong_name(name).filter(|_| !is_address) {
                self.mistakes.push(Mistake::at(at, why));
                continue;
            }
            if let Some(before) = self.named.insert(subject, at) {
                let place = self.sources.place(before).map(|place| place.to_string());
                let says = format!("a second {kind} {}", quoted(name));
                let hint = format!("the first is at {}", place.unwrap_or_default());
                self.mistakes.push(Mistake::at(at, says).hint(hint));
                continue;
            }
            read(self, name, Section { at, ..table });
        }
    }

    fn read_listener(&mut self, name: &str, section: Section<'_>) {
        let subject = Subject::Listener(name.to_owned());
        let mut config = self.defaults.clone();
        self.settings(section, "listener", &["bind", "certificates"], &subject, &mut config);
        if let Some(value) = section.get("certificates") {
            config.listener.tls.certificates = self.certificates(value, &subject);
            for key in [SettingKey::CERT, SettingKey::CERT_KEY] {
                self.origins.note(subject.clone(), key, Origin::File(value.at));
            }
        }
        let Some(value) = section.get("bind") else {
            let says = format!("the listener {} has no `bind`", quoted(name));
            let hint = "want an address such as bind = \"http://0.0.0.0:80\"";
            return self.mistakes.push(Mistake::at(section.at, says).hint(hint));
        };
        self.origins.note(subject, SettingKey::LISTEN, Origin::File(value.at));
        if let Some(listen) = self.listen(value) {
            if is_name_of_address(name) && listen.name() != name {
                let says = format!("{} at the listener {}", listen.name(), quoted(name));
                let hint = format!("want bind = \"{name}\", or another name");
                return self.mistakes.push(Mistake::at(value.at, says).hint(hint));
            }
            let settings = config.listener;
            let name = name.to_owned();
            self.desired.listeners.push(ListenerSpec { name, listen, settings });
        }
    }

    pub fn listen(&mut self, value: Value<'_>) -> Option<Listen> {
        let text = self.text(value, "an address such as \"http://0.0.0.0:80\"")?;
        if let Ok(several @ [_, _, ..]) = Listen::parse_all(&text).as_deref() {
            let says = format!("{} ports in {}", several.len(), quoted(&text));
            let hint = "want one, for this is one listener; in `listen` of a service a range is \
                        one for each port";
            self.mistakes.push(Mistake::at(value.at, says).hint(hint));
            return None;
        }
        self.good(Listen::parse(&text), value.at)
    }

    fn certificates(&mut self, value: Value<'_>, subject: &Subject) -> Vec<CertificatePair> {
        const WANT: &str = "an array of { cert = \"FILE\", key = \"FILE\" }";
        let mut pairs = Vec::new();
        for item in value.items() {
            let Some(section) = item.section() else {
                self.complain(item, WANT);
                continue;
            };
            for (key, at, _) in section.entries() {
                if !["cert", "key"].contains(&key) {
                    self.unknown(key, at, ["cert", "key"]);
                }
            }
            let file = |it: &mut Self, name: &str, key: SettingKey| {
                let Some(value) = section.get(name) else {
                    it.mistakes.push(Mistake::at(item.at, format!("no `{name}` here")));
                    return None;
                };
                let file = it.text(value, "the path of a file")?;
                it.origins.note_file(subject.clone(), key, &file, value.at);
                Some(file)
            };
            let cert = file(self, "cert", SettingKey::CERT);
            let key = file(self, "key", SettingKey::CERT_KEY);
            if let (Some(cert), Some(key)) = (cert, key) {
                pairs.push(CertificatePair { cert, key });
            }
        }
        pairs
    }

    fn read_pool(&mut self, name: &str, section: Section<'_>) {
        let subject = Subject::Pool(name.to_owned());
        let mut config = self.defaults.clone();
        self.settings(section, "pool", &["backends"], &subject, &mut config);
        let mut backends: Vec<Shared<BackendSpec>> = Vec::new();
        match section.get("backends") {
            Some(value) => {
                self.origins.note(subject, SettingKey::BACKEND, Origin::File(value.at));
                let mut names = HashSet::new();
                for item in value.items() {
                    for spec in self.backends(item).unwrap_or_default() {
                        if names.insert(spec.name.clone()) {
                            self.note_backend(name, &spec, item.at);
                            backends.push(spec.into());
                        } else {
                            let says = format!("a second backend {}", quoted(&spec.name));
                            let hint = "want names that differ, set by name = \"NAME\"";
                            self.mistakes.push(Mistake::at(item.at, says).hint(hint));
                        }
                    }
                }
            }
            None => {
                let says = format!("the pool {} has no `backends`", quoted(name));
                let hint = "want an array such as backends = [\"10.0.0.1:80\"]";
                self.mistakes.push(Mistake::at(section.at, says).hint(hint));
            }
        }
        let settings = config.pool;
        self.desired.pools.push(PoolSpec {
            name: name.to_owned(),
            settings: settings.into(),
            backends,
        });
    }

    fn note_backend(&mut self, pool: &str, spec: &BackendSpec, at: Spot) {
        let subject = Subject::Backend { pool: pool.to_owned(), name: spec.name.clone() };
        self.origins.note(subject, SettingKey::BACKEND, Origin::File(at));
    }

    /// A backend as at `--backend`, or as a table; several, if it has a range of ports.
    fn backends(&mut self, item: Value<'_>) -> Option<Vec<BackendSpec>> {
        const WANT: &str = "a backend such as \"10.0.0.1:80\" or { address = \"10.0.0.1:80\" }";
        let Some(section) = item.section() else {
            let text = self.text(item, WANT)?;
            return self.good(BackendSpec::parse_all(&text), item.at);
        };
        let Some(address) = section.get("address") else {
            let mistake = Mistake::at(item.at, "a backend without an `address`");
            self.mistakes.push(mistake.hint("want address = \"10.0.0.1:80\""));
            return None;
        };
        let text = self.text(address, WANT)?;
        let mut options = Vec::new();
        for (key, at, value) in section.entries() {
            if let Some(option) = self.backend_option(key, at, value) {
                options.push(BackendOption { key, text: option, at: value.at });
            }
        }
        let all = options.iter().fold(text.clone(), |all, it| format!("{all},{}", it.text));
        match BackendSpec::parse_all(&all) {
            Ok(specs) => Some(specs),
            Err(wrong) => {
                let known = self.mistakes.len();
                self.blame(&text, address.at, &options);
                if self.mistakes.len() == known {
                    self.mistakes.push(Mistake::at(item.at, wrong.spelled(SPELLING)));
                }
                None
            }
        }
    }

    /// Of a backend that is wrong complain of the address, or of each option that is wrong by
    /// itself, at its place.
    fn blame(&mut self, address: &str, at: Spot, options: &[BackendOption<'_>]) {
        let Some(all) = self.good(BackendSpec::parse_all(address), at) else { return };
        let Some(bare) = all.first() else { return };
        // What is said of TLS depends on the rest.
        let depends = |it: &BackendOption<'_>| matches!(it.key, "tls" | "sni" | "proxy_tlvs");
        for option in options.iter().filter(|it| !depends(it)) {
            let alone = format!("{},{}", bare.at, option.text);
            self.good(BackendSpec::parse(&alone), option.at);
        }
    }

    /// A key of a backend's table as an option of `--backend`.
    fn backend_option(&mut self, key: &str, at: Spot, value: Value<'_>) -> Option<String> {
        const KEYS: [&str; 12] = [
            "address",
            "name",
            "weight",
            "max_connections",
            "backup",
            "tls",
            "sni",
            "check_port",
            "admin",
            "proxy",
            "proxy_tlvs",
            "at_most",
        ];
        let number = value.integer();
        match key {
            "address" => None,
            "admin" => Some(format!(
                "admin={}",
                self.text(value, "\"ready\", \"drain\" or \"maint\"")?
            )),
            "proxy" => Some(format!("proxy={}", self.text(value, "\"v1\" or \"v2\"")?)),
            "proxy_tlvs" => {
                let names: Vec<String> = self.texts(value).into_iter().map(|it| it.0).collect();
                Some(format!("proxy-tlvs={}", names.join("+")))
            }
            "name" | "sni" => {
                let text = self.text(value, "a string")?;
                if text.contains(',') {
                    self.complain(value, "a name without commas");
                    return None;
                }
                Some(format!("{key}={text}"))
            }
            "weight" | "max_connections" | "check_port" | "at_most" => match number {
                Some(number) => Some(format!("{}={number}", key.replace('_', "-"))),
                None => {
                    self.complain(value, "a whole number");
                    None
                }
            },
            "backup" | "tls" => match value.value.as_bool() {
                Some(on) => on.then(|| key.to_owned()),
                None => {
                    self.complain(value, "true or false");
                    None
                }
            },
            _ => {
                self.unknown(key, at, KEYS);
                None
            }
        }
    }
}

/// A key of a backend's table as an option of `--backend`.
struct BackendOption<'a> {
    key: &'a str,
    text: String,
    at: Spot,
}

/// Whether a listener that is made by an address has this name.
fn is_name_of_address(name: &str) -> bool {
    Listen::parse(name).is_ok_and(|listen| listen.name() == name)
}

/// What is wrong with the name of a listener, a service or a pool.
fn wrong_name(name: &str) -> Option<String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "._-*/".contains(c);
    let length = 1..=NAME_CHARS_MAX;
    let is_good = length.contains(&name.chars().count()) && name.chars().all(in_name);
    (!is_good).then(|| {
        format!(
            "found the name {}, want 1 to {NAME_CHARS_MAX} letters, digits or . _ - * /",
            quoted(name)
        )
    })
}
