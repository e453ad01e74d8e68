//! From the command line, and perhaps a file, to one desired state.
//!
//! The file says what is served; the command line may set what the process as a whole has, and
//! may add its own service and pool, `main`. What both say is refused: neither wins in silence.

use std::collections::HashSet;
use std::path::Path;

use crate::config::{
    self, Complaint, Config, Desired, Origin, Origins, Phrase, SettingKey, Subject, Wrong,
};
use crate::control;
use crate::file::{self, Mistake, Sources};
use crate::flags;
use crate::limits::MISTAKES_SHOWN_MAX;
use crate::resolver;
use crate::settings::{self, Act};

/// What is to run, and where its values come from.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// All of it.
    pub desired: Desired,
    /// Where each value comes from.
    pub origins: Origins,
    /// What can be meant, but hardly is: lines.
    pub warnings: Vec<String>,
    /// The files, for places in them.
    pub sources: Sources,
}

/// What is wrong, in lines for people.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// With the file: each says by itself what it is, and where.
    pub of_file: Vec<String>,
    /// With the command line, in its words.
    pub of_flags: Vec<String>,
}

/// What the command line asks for and the file that it names, as they are read.
pub struct Reading {
    config: Config,
    file: Option<file::Reading<'static>>,
}

const ENVIRONMENT: fn(&str) -> Option<String> = |name| std::env::var(name).ok();

/// What the command line asks for, and the file that it names. If anything is wrong, all of it is
/// told.
pub fn read(config: &Config) -> Result<Wanted, Told> {
    let mut reading = Reading::begin(config);
    while reading.step() {}
    reading.finish()
}

impl Reading {
    /// From the beginning.
    pub fn begin(config: &Config) -> Reading {
        let path = config.file.as_ref().map(Path::new);
        let file = path.map(|path| file::Reading::of_file(path, &ENVIRONMENT));
        Reading { config: config.clone(), file }
    }

    /// Of a text in place of the file.
    pub fn of_text(config: &Config, name: &str, text: &str) -> Reading {
        let file = Some(file::Reading::of_text(name, text, &ENVIRONMENT));
        Reading { config: config.clone(), file }
    }

    /// The next piece. Says whether there is more.
    pub fn step(&mut self) -> bool {
        self.file.as_mut().is_some_and(file::Reading::step)
    }

    /// All of it, or all that is wrong.
    pub fn finish(self) -> Result<Wanted, Told> {
        match self.file {
            None => of_flags(&self.config),
            Some(file) => of_file(&self.config, file),
        }
    }
}

fn of_flags(config: &Config) -> Result<Wanted, Told> {
    let refused = |wrong: Wrong| Told::of_flags(&[Complaint::new(SettingKey::ROUTE, wrong)]);
    let desired = config.desired().map_err(refused)?;
    let mut origins = Origins::default();
    note_flags(config, &desired, &mut origins);
    let warnings = Told::of_flags(&config::advice(config)).of_flags;
    Ok(Wanted { desired, origins, warnings, sources: Sources::default() })
}

fn of_file(config: &Config, read: file::Reading<'_>) -> Result<Wanted, Told> {
    let loaded = read.finish().map_err(|(mistakes, sources)| Told {
        of_file: shown("error", &mistakes, &sources),
        of_flags: Vec::new(),
    })?;
    let file::Loaded { desired, origins, warnings, sources } = loaded;
    let warnings = shown("warning", &warnings, &sources);
    let mut wanted = Wanted { desired, origins, warnings, sources };
    let wrong = wanted.add_flags(config);
    if wrong.is_empty() { Ok(wanted) } else { Err(Told::of_flags(&wrong)) }
}

impl Told {
    fn of_flags(complaints: &[Complaint]) -> Told {
        let of_flags = complaints.iter().map(|it| it.spelled(flags::SPELLING)).collect();
        Told { of_flags, of_file: Vec::new() }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.of_file.is_empty() && self.of_flags.is_empty()
    }

    /// All lines.
    pub fn lines(self) -> Vec<String> {
        [self.of_file, self.of_flags].concat()
    }
}

/// Mistakes as people are shown them, at most so many.
pub fn shown(kind: &str, mistakes: &[Mistake], sources: &Sources) -> Vec<String> {
    let some = mistakes.iter().take(MISTAKES_SHOWN_MAX);
    let mut lines: Vec<String> = some.map(|it| it.shown(kind, sources)).collect();
    if mistakes.len() > MISTAKES_SHOWN_MAX {
        lines.push(format!("{kind}: {} more", mistakes.len() - MISTAKES_SHOWN_MAX));
    }
    lines
}

/// Where the values of the command line's own service, pool and listeners come from.
fn note_flags(config: &Config, desired: &Desired, origins: &mut Origins) {
    let with = |key: &SettingKey| said_with(*key).iter().copied().chain([*key]);
    for key in config.given.iter().flat_map(with) {
        let subjects: Vec<Subject> = match key.scope() {
            "global" | "admin" => vec![Subject::Process],
            "listener" => {
                desired.listeners.iter().map(|it| Subject::Listener(it.name.clone())).collect()
            }
            "service" => {
                desired.services.iter().map(|it| Subject::Service(it.name.clone())).collect()
            }
            _ => desired.pools.iter().map(|it| Subject::Pool(it.name.clone())).collect(),
        };
        for subject in subjects {
            origins.note(subject, key, Origin::Flag);
        }
    }
    for pool in &desired.pools {
        for spec in &pool.backends {
            let subject = Subject::Backend { pool: pool.name.clone(), name: spec.name.clone() };
            origins.note(subject, SettingKey::BACKEND, Origin::Flag);
        }
    }
}

/// What of a service follows from a flag.
fn said_with(key: SettingKey) -> &'static [SettingKey] {
    match key {
        SettingKey::LISTEN => &[SettingKey::LISTENERS],
        SettingKey::ROUTE => &[SettingKey::MATCH, SettingKey::POOL],
        SettingKey::BACKEND => &[SettingKey::POOL],
        _ => &[],
    }
}

impl Wanted {
    /// What the command line says beside the file; complaints about what both say.
    fn add_flags(&mut self, config: &Config) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        let adds = config.serves_itself();
        for &key in &config.given {
            match key.scope() {
                _ if key == SettingKey::DEMO => wrong.push(demo_beside_a_file()),
                "global" | "admin" => self.override_process(key, config),
                "file" => {}
                _ if adds => {}
                _ => wrong.push(not_beside_a_file(key)),
            }
        }
        if config.given.iter().any(|key| key.scope() == "admin") {
            wrong.extend(config::check_admin(&self.desired.process.admin));
        }
        if !adds || !wrong.is_empty() {
            return wrong;
        }
        let more = match config.desired() {
            Ok(more) => more,
            Err(found) => return vec![Complaint::new(SettingKey::ROUTE, found)],
        };
        wrong.extend(self.named_twice(&more));
        if wrong.is_empty() {
            note_flags(config, &more, &mut self.origins);
            self.warnings.extend(Told::of_flags(&config::advice(config)).of_flags);
            self.desired.listeners.extend(more.listeners);
            self.desired.services.extend(more.services);
            self.desired.pools.extend(more.pools);
            let listens: Vec<config::Listen> =
                self.desired.listeners.iter().map(|it| it.listen.clone()).collect();
            let checked = config::check_listeners(&listens);
            wrong.extend(checked.err().map(|found| Complaint::new(SettingKey::LISTEN, found)));
        }
        wrong
    }

    /// The command line has the last word on what the process has.
    fn override_process(&mut self, key: SettingKey, config: &Config) {
        let Some(setting) = settings::of(key) else { return };
        let mut own = Config::defaults();
        own.process = self.desired.process.clone();
        let Some(text) = (setting.show)(config) else { return };
        // What is shown of a value is what was read.
        let _ = match &setting.act {
            Act::Value(_, take) => take(&mut own, &text),
            Act::Values(_, take, clear) => {
                clear(&mut own);
                take(&mut own, &text)
            }
            Act::Switch(..) | Act::Answer(_) => Ok(()),
        };
        self.desired.process = own.process;
        self.origins.note(Subject::Process, key, Origin::Flag);
    }

    fn named_twice(&self, more: &Desired) -> Vec<Complaint> {
        let names: HashSet<&str> = self.desired.services.iter().map(|it| &*it.name).collect();
        let pools: HashSet<&str> = self.desired.pools.iter().map(|it| &*it.name).collect();
        let mut wrong = Vec::new();
        let twice = |kind: &str, name: &str| {
            let found = format!("the {kind} '{name}' in the file, too");
            Wrong::saying(found, "another name there: the command line's own is called so")
        };
        for service in more.services.iter().filter(|it| names.contains(&*it.name)) {
            wrong.push(Complaint::new(SettingKey::LISTEN, twice("service", &service.name)));
        }
        for pool in more.pools.iter().filter(|it| pools.contains(&*it.name)) {
            wrong.push(Complaint::new(SettingKey::BACKEND, twice("pool", &pool.name)));
        }
        wrong
    }

    /// Everything but what binding would tell: files are read, names looked up.
    pub fn check(&self, config: &Config) -> Told {
        let known = resolver::known_by_file(self.desired.process.dns.families);
        self.tell("error", &control::check(&self.desired, &known), config)
    }

    /// Complaints in the words of who is responsible; those about the file are of this kind.
    pub fn tell(&self, kind: &str, complaints: &[Complaint], config: &Config) -> Told {
        if config.file.is_none() {
            return Told::of_flags(complaints);
        }
        let (of_flags, of_file): (Vec<Complaint>, Vec<Complaint>) =
            complaints.iter().cloned().partition(|it| self.is_of_flags(it));
        let mistakes = file::mistakes_of(&of_file, &self.origins);
        Told { of_file: shown(kind, &mistakes, &self.sources), ..Told::of_flags(&of_flags) }
    }

    /// Whether what is complained of was said on the command line.
    fn is_of_flags(&self, complaint: &Complaint) -> bool {
        let Some(subject) = &complaint.of else { return false };
        match self.origins.of(subject, complaint.at) {
            Origin::Flag => true,
            Origin::File(_) => false,
            // The other settings of the same thing stand beside it.
            Origin::Default => {
                let mut given = self.origins.given(subject);
                given.any(|key| self.origins.of(subject, key) == Origin::Flag)
                    && *subject != Subject::Process
            }
        }
    }
}

/// Its clients would ask what the file serves, and a reload would take its backends away.
fn demo_beside_a_file() -> Complaint {
    let found = Phrase::default().name(SettingKey::CONFIG).text(" beside it");
    let want = "one of the two: the demo says itself what is served";
    Complaint::new(SettingKey::DEMO, Wrong::saying(found, want))
}

fn not_beside_a_file(key: SettingKey) -> Complaint {
    let scope = key.scope();
    let inner = &key.path()[scope.len() + 1..];
    let found = Phrase::from("it beside ").name(SettingKey::CONFIG);
    let found = found.text(", which says what is served");
    let want =
        format!("`{inner}` in the file, at one {scope} or for all in [defaults.{scope}]");
    Complaint::new(key, Wrong::saying(found, want))
}
