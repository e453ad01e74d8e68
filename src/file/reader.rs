//! What reads the files: what it has read so far, and what every part of it needs.

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Desired, Origins, SettingKey, Spot, Subject, Wrong, closest};
use crate::settings::{self, Setting};

use crate::limits::HINTS_MAX;

use super::SPELLING;
use super::mistake::Mistake;
use super::section::Value;
use super::source::{Env, Sources, substituted};

/// What reads the files.
pub(super) struct Reader<'e> {
    pub sources: Sources,
    pub env: Env<'e>,
    pub desired: Desired,
    pub origins: Origins,
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Mistake>,
    /// What `[defaults]` says, for listeners, services and pools.
    pub defaults: Config,
    /// What holds where nothing is said.
    pub plain: Config,
    /// Where each listener, service and pool is named.
    pub named: HashMap<Subject, Spot>,
    /// Where files are no TOML, and why: what is read behind that may be anything.
    pub syntax: Vec<(Spot, String)>,
    /// Files that are something else than TOML.
    pub given_up: HashSet<usize>,
    /// What the first file includes.
    pub includes: Vec<(String, Spot)>,
    /// Where services name listeners and pools.
    pub uses: Vec<(Subject, Spot)>,
    /// Where the service that is read names files.
    pub files: Vec<(String, Spot)>,
    settings: HashMap<&'static str, &'static Setting>,
}

/// So many errors of TOML itself are told of a file: most others follow from the first.
pub(super) const SYNTAX_ERRORS_SHOWN: usize = 3;

/// A text with more of them is something else than TOML: it is read once.
pub(super) const SYNTAX_ERRORS_MAX: usize = 100;

/// Settings that a file says in its own way.
pub(super) const NOT_HERE: [SettingKey; 6] = [
    SettingKey::LISTEN,
    SettingKey::BACKEND,
    SettingKey::ROUTE,
    SettingKey::CERT,
    SettingKey::CERT_KEY,
    SettingKey::DEMO,
];

impl<'e> Reader<'e> {
    pub fn new(env: Env<'e>) -> Reader<'e> {
        let keyed = settings::all().filter_map(|setting| Some((setting.key()?, setting)));
        let here = keyed.filter(|(key, _)| !NOT_HERE.contains(key));
        Reader {
            sources: Sources::default(),
            env,
            desired: Desired::nothing(),
            origins: Origins::default(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            defaults: Config::defaults(),
            plain: Config::defaults(),
            named: HashMap::new(),
            syntax: Vec::new(),
            given_up: HashSet::new(),
            includes: Vec::new(),
            uses: Vec::new(),
            files: Vec::new(),
            settings: here.map(|(key, setting)| (key.path(), setting)).collect(),
        }
    }

    /// The setting of this path.
    pub fn setting(&self, path: &str) -> Option<&'static Setting> {
        self.settings.get(path).copied()
    }

    /// Of the settings below this path the one for which a plain value stands, if there is one.
    pub fn short_for(&self, path: &str) -> Option<&'static Setting> {
        let main = ["kind", "file", "cookie", "timeout"];
        main.iter().find_map(|key| self.setting(&format!("{path}.{key}")))
    }

    /// Whether a table of this path has settings.
    pub fn has_below(&self, path: &str) -> bool {
        self.settings.keys().any(|it| is_below(it, path))
    }

    /// The keys that a table may have whose settings begin with this path.
    pub fn keys_at(&self, path: &str) -> Vec<&'static str> {
        let below = self.settings.keys().filter(|it| is_below(it, path));
        let rest = below.map(|it| &it[path.len() + 1..]);
        rest.map(|rest| rest.split('.').next().unwrap_or(rest)).collect()
    }

    /// The path of the setting that a flag of this name is for, with underscores.
    pub fn setting_of_flag(&self, name: &str, scope: &str) -> Option<&'static str> {
        let is_it = |it: &&&'static Setting| it.long.replace('-', "_") == name;
        let keys = self.settings.values().filter(is_it).filter_map(|it| it.key());
        keys.filter(|key| key.scope() == scope).map(SettingKey::path).next()
    }

    /// What is said of places behind an error of TOML itself is noise, and so is what is missing.
    pub(super) fn forget_what_follows(&mut self) {
        let mut syntax = std::mem::take(&mut self.syntax);
        syntax.sort_unstable();
        syntax.dedup();
        let of_files = || syntax.chunk_by(|one, other| one.0.file == other.0.file);
        let first: HashMap<usize, usize> =
            of_files().map(|errors| (errors[0].0.file, errors[0].0.start)).collect();
        let is_noise = |it: &Mistake| match it.at {
            None => !syntax.is_empty(),
            Some(at) => first.get(&at.file).is_some_and(|&start| at.start > start),
        };
        self.mistakes.retain(|it| !is_noise(it));
        for errors in of_files() {
            let told = errors.iter().take(SYNTAX_ERRORS_SHOWN);
            self.mistakes.extend(told.map(|(at, why)| Mistake::at(*at, why)));
        }
    }

    /// This was found, and that is wanted.
    pub(super) fn complain(&mut self, value: Value<'_>, want: &str) {
        let found = value.found();
        self.mistakes.push(Mistake::at(value.at, format!("found {found}, want {want}")));
    }

    /// What was read; if nothing was, that is a mistake there.
    pub(super) fn good<T>(&mut self, result: Result<T, Wrong>, at: Spot) -> Option<T> {
        let mistake = |wrong: Wrong| Mistake::at(at, wrong.spelled(SPELLING));
        result.map_err(|wrong| self.mistakes.push(mistake(wrong))).ok()
    }

    /// A string with its variables in place.
    pub(super) fn text(&mut self, value: Value<'_>, want: &str) -> Option<String> {
        let Some(text) = value.value.as_str() else {
            self.complain(value, want);
            return None;
        };
        let text = substituted(text, self.env);
        text.map_err(|why| self.mistakes.push(Mistake::at(value.at, why))).ok()
    }

    /// A string or several.
    pub(super) fn texts(&mut self, value: Value<'_>) -> Vec<(String, Spot)> {
        let mut texts = Vec::new();
        for item in value.items() {
            if let Some(text) = self.text(item, "a string") {
                texts.push((text, item.at));
            }
        }
        texts
    }

    /// A key that means nothing here, but perhaps one of those does.
    pub(super) fn unknown<'k>(
        &mut self,
        key: &str,
        at: Spot,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let mistake = Mistake::at(at, format!("unknown key `{key}`"));
        // Nobody reads so many hints, and to find them takes longest.
        if self.mistakes.len() > HINTS_MAX {
            return self.mistakes.push(mistake);
        }
        let known: Vec<&str> = known.into_iter().collect();
        let plain = key.replace('-', "_");
        let near = known.iter().copied().find(|it| *it == plain);
        let near = near.or_else(|| closest(&plain, known.iter().copied()));
        self.mistakes.push(match near {
            Some(near) => mistake.hint(format!("did you mean `{near}`?")),
            None => {
                let mut known = known;
                known.sort_unstable();
                known.dedup();
                mistake.hint(format!("want one of {}", known.join(", ")))
            }
        });
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}
