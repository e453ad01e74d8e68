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
use crate::settings::{self, Act};

/// What is to run, and where its values come from.
#[derive(Debug)]
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

/// What the command line asks for, and the file that it names. If anything is wrong, lines that say
/// all of it.
pub fn read(config: &Config) -> Result<Wanted, Vec<String>> {
    match &config.file {
        None => of_flags(config),
        Some(path) => of_file(config, Path::new(path)),
    }
}

fn of_flags(config: &Config) -> Result<Wanted, Vec<String>> {
    let spelled =
        |wrong: Wrong| vec![Complaint::new(SettingKey::ROUTE, wrong).spelled(flags::SPELLING)];
    let desired = config.desired().map_err(spelled)?;
    let mut origins = Origins::default();
    note_flags(config, &desired, &mut origins);
    Ok(Wanted { desired, origins, warnings: Vec::new(), sources: Sources::default() })
}

fn of_file(config: &Config, path: &Path) -> Result<Wanted, Vec<String>> {
    let env = |name: &str| std::env::var(name).ok();
    let loaded = file::read(path, &env);
    let loaded = loaded.map_err(|(mistakes, sources)| shown("error", &mistakes, &sources))?;
    let file::Loaded { desired, origins, warnings, sources } = loaded;
    let warnings = shown("warning", &warnings, &sources);
    let mut wanted = Wanted { desired, origins, warnings, sources };
    let wrong = wanted.add_flags(config);
    if wrong.is_empty() {
        return Ok(wanted);
    }
    Err(wrong.iter().map(|it| it.spelled(flags::SPELLING)).collect())
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
    for &key in &config.given {
        let subjects: Vec<Subject> = match key.scope() {
            "global" => vec![Subject::Process],
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

impl Wanted {
    /// What the command line says beside the file; complaints about what both say.
    fn add_flags(&mut self, config: &Config) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        let adds = adds_service(config);
        for &key in &config.given {
            match key.scope() {
                _ if key == SettingKey::DEMO => wrong.push(demo_beside_a_file()),
                "global" => self.override_process(key, config),
                "file" => {}
                _ if adds => {}
                _ => wrong.push(not_beside_a_file(key)),
            }
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
        if let (Act::Value(_, take), Some(text)) = (&setting.act, (setting.show)(config)) {
            // because: what is shown of a value is what was read.
            let _ = take(&mut own, &text);
        }
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

    /// Everything but what binding would tell: files are read, names looked up. Lines that say what
    /// cannot be had.
    pub fn check(&self, config: &Config) -> Vec<String> {
        self.complaints(&control::check(&self.desired), config)
    }

    /// Complaints in the words of the front-end that is responsible.
    pub fn complaints(&self, complaints: &[Complaint], config: &Config) -> Vec<String> {
        match config.file {
            None => complaints.iter().map(|it| it.spelled(flags::SPELLING)).collect(),
            Some(_) => {
                let mistakes = file::mistakes_of(complaints, &self.origins);
                shown("error", &mistakes, &self.sources)
            }
        }
    }
}

/// Whether the command line has a service of its own.
pub fn adds_service(config: &Config) -> bool {
    let own = [SettingKey::LISTEN, SettingKey::BACKEND, SettingKey::ROUTE];
    own.iter().any(|key| config.given.contains(key))
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
