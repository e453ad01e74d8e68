//! Services out of their tables: what they listen on, which requests are theirs, where those go.

use crate::config::{
    Cidr, Condition, Listen, ListenerSpec, Match, Origin, RouteName, ServiceSpec, SettingKey,
    Spot, Subject, quoted,
};

use super::mistake::Mistake;
use super::reader::Reader;
use super::section::{Section, Value};

const MATCH_KEYS: [&str; 9] =
    ["host", "sni", "path", "method", "header", "query", "cookie", "client", "when"];

impl Reader<'_> {
    pub(super) fn read_service(&mut self, name: &str, section: Section<'_>) {
        let subject = Subject::Service(name.to_owned());
        let mut config = self.defaults.clone();
        let others =
            ["listen", "match", "pool", "rules", "maintenance", "mirror", "error_pages"];
        self.settings(section, "service", &others, &subject, &mut config);
        let listeners = match section.get("listen") {
            Some(value) => self.listeners_of(value),
            None => {
                let says = format!("the service {} has no `listen`", quoted(name));
                let hint = "want a listener's name or an address such as listen = \
                            [\"http://0.0.0.0:80\"]";
                self.mistakes.push(Mistake::at(section.at, says).hint(hint));
                Vec::new()
            }
        };
        let matches = match section.get("match") {
            Some(value) => self.matches(value),
            None => Vec::new(),
        };
        // The rule of maintenance is one of them.
        for (name, key) in [
            ("listen", SettingKey::LISTENERS),
            ("match", SettingKey::MATCH),
            ("pool", SettingKey::POOL),
            ("maintenance", SettingKey::RULES),
            ("rules", SettingKey::RULES),
            ("mirror", SettingKey::MIRROR),
            ("error_pages", SettingKey::PAGE),
        ] {
            if let Some(value) = section.get(name) {
                self.origins.note(subject.clone(), key, Origin::File(value.at));
            }
        }
        let rules = self.rules(section);
        let error_pages = self.error_pages(section);
        for (file, at) in std::mem::take(&mut self.files) {
            self.origins.note_file(subject.clone(), SettingKey::PAGE, &file, at);
        }
        let mirror = self.mirror(section);
        let pool = match section.get("pool") {
            Some(value) => {
                let pool = self.text(value, "the name of a pool");
                if let Some(pool) = &pool {
                    self.uses.push((Subject::Pool(pool.clone()), value.at));
                }
                pool
            }
            None if !rules.is_empty() => None,
            None => {
                let says = format!("the service {} has no `pool`", quoted(name));
                let hint = "want pool = \"NAME\", or rules";
                self.mistakes.push(Mistake::at(section.at, says).hint(hint));
                None
            }
        };
        let settings = config.service;
        let name = name.to_owned();
        self.desired.services.push(ServiceSpec {
            name,
            listeners,
            matches,
            pool,
            rules,
            mirror,
            error_pages,
            settings,
        });
    }

    /// The names of listeners; an address makes one that is called by it.
    fn listeners_of(&mut self, value: Value<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (text, at) in self.texts(value) {
            let found = match text.contains(':') {
                true => self.inline_listeners(&text, at),
                false => vec![text],
            };
            for name in found {
                if names.contains(&name) {
                    let says = format!("the listener {} twice", quoted(&name));
                    self.mistakes.push(Mistake::at(at, says).hint("want it once"));
                    continue;
                }
                self.uses.push((Subject::Listener(name.clone()), at));
                names.push(name);
            }
        }
        names
    }

    fn inline_listeners(&mut self, text: &str, at: Spot) -> Vec<String> {
        let all = self.good(Listen::parse_all(text), at).unwrap_or_default();
        all.into_iter().map(|listen| self.inline_listener(listen, at)).collect()
    }

    fn inline_listener(&mut self, listen: Listen, at: Spot) -> String {
        let name = listen.name();
        if !self.desired.listeners.iter().any(|it| it.name == name) {
            let subject = Subject::Listener(name.clone());
            self.named.entry(subject.clone()).or_insert(at);
            self.origins.note(subject, SettingKey::LISTEN, Origin::File(at));
            let settings = self.defaults.listener.clone();
            let name = name.clone();
            self.desired.listeners.push(ListenerSpec { name, listen, settings });
        }
        name
    }

    fn matches(&mut self, value: Value<'_>) -> Vec<Match> {
        let mut matches = Vec::new();
        for item in value.items() {
            match item.section() {
                Some(section) => matches.push(self.one_match(section)),
                None => {
                    self.complain(item, "an array of { host = \"NAME\", path = \"/PATH\" }");
                }
            }
        }
        matches
    }

    fn one_match(&mut self, section: Section<'_>) -> Match {
        let mut found = Match::all();
        for (key, at, value) in section.entries() {
            match key {
                "host" | "sni" => {
                    const WANT: &str = "a host name, *.DOMAIN or *";
                    let Some(text) = self.text(value, WANT) else { continue };
                    match RouteName::parse(&text) {
                        Some(host) => found.host = host,
                        None => self.complain(value, &RouteName::want(&text, WANT)),
                    }
                }
                "path" => {
                    let Some(text) = self.text(value, "a path such as \"/api\"") else {
                        continue;
                    };
                    let path = Match::parse_path(&text);
                    found.path = self.good(path, value.at).flatten();
                }
                "header" | "query" | "cookie" => {
                    found.conditions.extend(self.pairs(key, value));
                }
                "method" | "client" | "when" => {
                    for (text, at) in self.texts(value) {
                        let condition = match key {
                            "method" => Condition::method(&text),
                            "client" => Cidr::parse(&text).map(Condition::client_in),
                            _ => Condition::parse(&text),
                        };
                        found.conditions.extend(self.good(condition, at));
                    }
                }
                _ => self.unknown(key, at, MATCH_KEYS),
            }
        }
        found
    }

    /// `{ NAME = "VALUE" }`, of headers, parameters of the query or cookies.
    fn pairs(&mut self, kind: &str, value: Value<'_>) -> Vec<Condition> {
        let Some(section) = value.section() else {
            self.complain(value, &format!("{kind} = {{ NAME = \"VALUE\" }}"));
            return Vec::new();
        };
        let mut conditions = Vec::new();
        for (name, _, value) in section.entries() {
            let Some(text) = self.text(value, "a string") else { continue };
            let condition = match kind {
                "header" => Condition::header_is(name, &text),
                "query" => Condition::query_is(name, &text),
                _ => Condition::cookie_is(name, &text),
            };
            conditions.extend(self.good(condition, value.at));
        }
        conditions
    }
}
