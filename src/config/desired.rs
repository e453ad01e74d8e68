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

use std::collections::HashMap;

use super::key::SettingKey;
use super::{
    BackendSpec, Listen, ListenerSettings, Match, PoolSettings, ProcessSettings,
    ServiceSettings,
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
    /// The pool that these go to; without one they are refused.
    pub pool: Option<String>,
    /// What it has.
    pub settings: ServiceSettings,
}

/// A pool as it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSpec {
    /// Its name.
    pub name: String,
    /// What it has.
    pub settings: PoolSettings,
    /// Its members, names unique.
    pub backends: Vec<BackendSpec>,
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
    of: HashMap<(Subject, SettingKey), Origin>,
}

impl Origins {
    /// This value was given there.
    pub fn note(&mut self, subject: Subject, key: SettingKey, origin: Origin) {
        self.of.insert((subject, key), origin);
    }

    /// All that was given, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, SettingKey, &Origin)> {
        self.of.iter().map(|((subject, key), origin)| (subject, *key, origin))
    }

    /// Where a value comes from.
    pub fn of(&self, subject: &Subject, key: SettingKey) -> Origin {
        self.of.get(&(subject.clone(), key)).cloned().unwrap_or_default()
    }

    /// Whether it was given, be it what holds by default.
    pub fn is_given(&self, subject: &Subject, key: SettingKey) -> bool {
        self.of.contains_key(&(subject.clone(), key))
    }
}
