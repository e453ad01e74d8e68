//! The desired state: which listeners, services and pools there are to be, by name, and what each
//! of them has.
//!
//! ```text
//!   flags, file --> Desired --check--> complaints
//!                           \-diff against what runs--> changes --> `control`
//!
//!   listener  where clients come in   ---names of listeners--- service ---names of pools--- pool
//! ```
//!
//! Pure: names are names, nothing is looked up, read or bound. Two of them are equal if the same
//! would run; where their values come from is kept apart, in [`Origins`].

use std::collections::{BTreeMap, HashMap};

use super::key::SettingKey;
use super::{
    Action, BackendSpec, Listen, ListenerSettings, Match, PoolSettings, ProcessSettings, Rule,
    ServiceSettings, Share, Shared,
};

/// What the command line calls its one service and its one pool.
pub const MAIN: &str = "main";

/// All that is to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// What the process as a whole has.
    pub process: ProcessSettings,
    /// Where clients connect, names unique, addresses too.
    pub listeners: Vec<ListenerSpec>,
    /// What is done for them, names unique.
    pub services: Vec<ServiceSpec>,
    /// Where they are sent, names unique.
    pub pools: Vec<PoolSpec>,
}

/// A listener as it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerSpec {
    /// Its name: given, or its protocol and address.
    pub name: String,
    /// Where, and what is spoken there.
    pub listen: Listen,
    /// What it has.
    pub settings: ListenerSettings,
}

/// A service as it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: String,
    /// The names of the listeners whose clients may be its own, at least one.
    pub listeners: Vec<String>,
    /// Which of their requests or clients are; none: all that no other service is for.
    pub matches: Vec<Match>,
    /// The pool that these go to; without one, and without a rule that says otherwise, they are
    /// refused.
    pub pool: Option<String>,
    /// What is done to requests first, at most [`RULES_MAX`](crate::limits::RULES_MAX).
    pub rules: Vec<Rule>,
    /// A pool that gets copies of a share of its requests.
    pub mirror: Option<Share>,
    /// Files with the bodies of answers of our own, by their statuses.
    pub error_pages: BTreeMap<u16, String>,
    /// What it has.
    pub settings: ServiceSettings,
}

/// A pool as it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSpec {
    /// Its name.
    pub name: String,
    /// What it has.
    pub settings: Shared<PoolSettings>,
    /// Its members, names unique.
    pub backends: Vec<Shared<BackendSpec>>,
}

impl Desired {
    /// That nothing is there.
    pub fn nothing() -> Desired {
        Desired {
            process: ProcessSettings::DEFAULT,
            listeners: Vec::new(),
            services: Vec::new(),
            pools: Vec::new(),
        }
    }
}

impl ServiceSpec {
    /// A service of this name that has nothing yet.
    pub fn named(name: &str) -> ServiceSpec {
        ServiceSpec {
            name: name.to_owned(),
            listeners: Vec::new(),
            matches: Vec::new(),
            pool: None,
            rules: Vec::new(),
            mirror: None,
            error_pages: BTreeMap::new(),
            settings: ServiceSettings::DEFAULT,
        }
    }

    /// The pools that its requests may go to.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        fn of_rule(rule: &Rule) -> Vec<&str> {
            match &rule.action {
                Some(Action::Pool(pool)) => vec![pool],
                Some(Action::Split(shares)) => shares.iter().map(|it| &*it.pool).collect(),
                _ => Vec::new(),
            }
        }
        let own = self.pool.as_deref().into_iter();
        let rules = self.rules.iter().flat_map(of_rule);
        let mirror = self.mirror.iter().map(|it| &*it.pool);
        own.chain(rules).chain(mirror)
    }

    /// The files that are to be read for it.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let of_rules = self.rules.iter().filter_map(|rule| match &rule.action {
            Some(Action::Respond(respond)) => respond.file.as_deref(),
            _ => None,
        });
        of_rules.chain(self.error_pages.values().map(|file| &**file))
    }

    /// Its matches; one for everything, if it has none.
    pub fn all_matches(&self) -> impl Iterator<Item = Match> {
        let everything = self.matches.is_empty().then(Match::all);
        self.matches.iter().cloned().chain(everything)
    }
}

/// What a setting is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Of the process.
    Process,
    /// Of all listeners, services or pools that do not say otherwise.
    Defaults,
    /// Of the listener of this name.
    Listener(String),
    /// Of the service of this name.
    Service(String),
    /// Of the pool of this name.
    Pool(String),
    /// Of a backend of a pool, by both names.
    Backend {
        /// The pool's.
        pool: String,
        /// The backend's in it.
        name: String,
    },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nothing was said: it is what holds then.
    #[default]
    Default,
    /// From the command line.
    Flag,
    /// From a file.
    File(Spot),
}

/// Bytes of one of the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spot {
    /// Which of the files, counted from 0 in the order in which they were read.
    pub file: usize,
    /// Index of the first byte.
    pub start: usize,
    /// Index behind the last one.
    pub end: usize,
}

/// Where all values come from that were given; of all others it is the default.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    of: HashMap<Subject, BTreeMap<SettingKey, Origin>>,
    /// Where files are named, for settings that name several.
    files: HashMap<(Subject, SettingKey), Vec<(String, Spot)>>,
}

impl Origins {
    /// This value was given there.
    pub fn note(&mut self, subject: Subject, key: SettingKey, origin: Origin) {
        self.of.entry(subject).or_default().insert(key, origin);
    }

    /// This file is named there, as one of several.
    pub fn note_file(&mut self, subject: Subject, key: SettingKey, file: &str, spot: Spot) {
        self.files.entry((subject, key)).or_default().push((file.to_owned(), spot));
    }

    /// Where this file is named first.
    pub fn file(&self, subject: &Subject, key: SettingKey, file: &str) -> Option<Spot> {
        let named = self.files.get(&(subject.clone(), key))?;
        named.iter().find(|(name, _)| name == file).map(|(_, spot)| *spot)
    }

    /// All that was given, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, SettingKey, &Origin)> {
        self.of.iter().flat_map(|(subject, all)| {
            all.iter().map(move |(key, origin)| (subject, *key, origin))
        })
    }

    /// What was given of this.
    pub fn given(&self, subject: &Subject) -> impl Iterator<Item = SettingKey> {
        self.of.get(subject).into_iter().flat_map(|all| all.keys().copied())
    }

    /// Where a value comes from.
    pub fn of(&self, subject: &Subject, key: SettingKey) -> Origin {
        self.of.get(subject).and_then(|all| all.get(&key)).cloned().unwrap_or_default()
    }

    /// Whether it was given, be it what holds by default.
    pub fn is_given(&self, subject: &Subject, key: SettingKey) -> bool {
        self.of.get(subject).is_some_and(|all| all.contains_key(&key))
    }
}
