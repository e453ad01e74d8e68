//! What is to change while it runs: flags and files that are read again (SIGHUP, the API), a
//! configuration or single edits that are told. One after the other, each all or nothing.
//!
//! ```text
//!   Reading ----> Preparing ----> apply, in one turn ----> receipt
//!      |              |                  \-- a dry run: what it would do
//!      +-- mistakes --+-- what cannot be had ----> all stays
//! ```
//!
//! Reading and preparing go on for a little in each turn, so that nobody waits for a large file.
//! Each piece may wait for a disk, and for the name of a backend that is new.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, info, log, warn};

use crate::admin::change::{Change, Configure, Done};
use crate::admin::haproxy::certificates::Committed;
use crate::admin::problem::{Kind, Problem};
use crate::config::{Complaint, Desired, Laid, Spelling};
use crate::control::{self, Directory, Ground, Layers, Prepared, Preparing};
use crate::event::Key;
use crate::limits::{ADMIN_CHANGES_WAITING, EDITS_AT_ONCE, RELOAD_TIME};
use crate::services::{Listener, ListenerSocket};

use super::editing::{Edited, Editing, Ending};
use super::{EventLoop, Reading, Rereading, RunState, Tell};

/// Who is told what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The log.
    Operator,
    /// An admin connection, and the log.
    Admin(Key),
    /// The log: a server that registered itself is silent.
    Registry,
    /// The log: DNS tells and does not ask.
    Names,
}

/// A change that is under way.
pub(super) struct Job {
    stage: Stage,
    pub asker: Asker,
    pub mode: Mode,
    /// Lines about what of the overlay does not hold any more.
    pub notes: Vec<String>,
    /// Backends that are told to go, or whose connections are to end.
    pub ending: Vec<Ending>,
    /// A certificate that was told and is to be shown.
    pub showing: Option<Committed>,
    /// Flags and files are read again.
    pub is_reload: bool,
    /// How long it has taken.
    took: Duration,
    /// In so many turns.
    pub turns: u32,
}

/// What waits for the job that is under way.
pub(super) struct Waiting {
    asker: Asker,
    what: Task,
}

enum Task {
    Reload(Mode),
    Change(Change),
    Configure(Configure),
    Show(Committed),
    /// Names stand for others.
    Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Run,
    /// It is said what would happen.
    DryRun,
    /// It is only looked for mistakes.
    Check,
}

enum Stage {
    Editing(Box<Editing>),
    Reading(Box<dyn Rereading>),
    Preparing(Box<Preparing>, Box<Layers>, Tell),
    /// It is done. To free what is of no use any more takes its time, too.
    Forgetting {
        _told: Tell,
    },
}

/// What comes of a piece.
enum Progress {
    Going(Stage),
    Ready(Box<Prepared>, Box<Layers>, Tell),
    /// Lines that say what is wrong.
    Refused(Vec<String>),
    /// An edit cannot be.
    Wrong(Problem),
    /// All was so already.
    Same,
    Over,
}

impl Stage {
    /// Of one that was taken out to go on with.
    fn nothing() -> Stage {
        Stage::Forgetting { _told: Box::new(|_| Vec::new()) }
    }

    fn step(self, job: &mut Job, looping: &mut EventLoop) -> Progress {
        match self {
            Stage::Editing(mut editing) => match editing.step(&looping.directory) {
                Err(problem) => Progress::Wrong(problem),
                Ok(true) => Progress::Going(Stage::Editing(editing)),
                Ok(false) => {
                    let stage = looping.lay(editing.finish(), job);
                    stage.map_or(Progress::Same, Progress::Going)
                }
            },
            Stage::Reading(mut reading) => {
                if reading.step() {
                    return Progress::Going(Stage::Reading(reading));
                }
                match reading.finish() {
                    Ok(Reading { desired, tell }) => {
                        let preparing = looping.expand(Arc::new(desired), job);
                        Progress::Going(preparing.told_by(tell))
                    }
                    Err(lines) => Progress::Refused(lines),
                }
            }
            Stage::Preparing(mut preparing, layers, tell) => {
                if looping.on_ground(|ground| preparing.step(ground)) {
                    return Progress::Going(Stage::Preparing(preparing, layers, tell));
                }
                match preparing.finish() {
                    Ok(prepared) => Progress::Ready(Box::new(prepared), layers, tell),
                    Err(complaints) => Progress::Refused(tell(&complaints)),
                }
            }
            Stage::Forgetting { .. } => Progress::Over,
        }
    }
}

/// What is to run, and what it is made of.
struct Expanded {
    preparing: Box<Preparing>,
    layers: Box<Layers>,
}

impl Expanded {
    fn told_by(self, tell: Tell) -> Stage {
        Stage::Preparing(self.preparing, self.layers, tell)
    }
}

impl Mode {
    fn preparing(self, desired: Desired) -> Box<Preparing> {
        Box::new(match self {
            Mode::Run => Preparing::to_run(desired),
            Mode::DryRun | Mode::Check => Preparing::to_check(desired),
        })
    }
}

impl Job {
    fn new(stage: Stage, asker: Asker, mode: Mode) -> Job {
        Job {
            stage,
            asker,
            mode,
            notes: Vec::new(),
            ending: Vec::new(),
            showing: None,
            is_reload: false,
            took: Duration::ZERO,
            turns: 0,
        }
    }
}

impl EventLoop {
    /// Read it all again.
    pub(super) fn reload(&mut self) {
        self.reload_for(Asker::Operator, false);
    }

    /// The same, for somebody who is told what came of it.
    pub(super) fn reload_for(&mut self, asker: Asker, dry_run: bool) {
        let mode = if dry_run { Mode::DryRun } else { Mode::Run };
        self.begin(Waiting { asker, what: Task::Reload(mode) });
    }

    /// Carry out edits.
    pub(super) fn begin_change(&mut self, asker: Asker, change: Change) {
        self.begin(Waiting { asker, what: Task::Change(change) });
    }

    /// Run by another configuration.
    pub(super) fn begin_configure(&mut self, asker: Asker, configure: Configure) {
        self.begin(Waiting { asker, what: Task::Configure(configure) });
    }

    /// Show a certificate that was told.
    pub(super) fn begin_showing(&mut self, asker: Asker, committed: Committed) {
        self.begin(Waiting { asker, what: Task::Show(committed) });
    }

    /// What names stand for is another.
    pub(super) fn begin_names(&mut self) {
        self.begin(Waiting { asker: Asker::Names, what: Task::Names });
    }

    fn begin(&mut self, waiting: Waiting) {
        if self.state != RunState::Serving {
            return self.refuse_stopping(waiting.asker);
        }
        if !self.changing_is_under_way() && !self.hands_over() {
            return self.start(waiting);
        }
        let is_reload = |it: &Waiting| matches!(it.what, Task::Reload(Mode::Run));
        let asked_already = self.changes_waiting.iter().any(is_reload);
        if waiting.asker == Asker::Operator && is_reload(&waiting) && asked_already {
            // One for all who ask: what was read of the files so far may be older than this.
            return;
        }
        if self.changes_waiting.len() >= ADMIN_CHANGES_WAITING {
            let detail = format!("{ADMIN_CHANGES_WAITING} changes wait already");
            if is_reload(&waiting) {
                self.tell_no_reload(&detail);
            }
            let problem = Problem::new(Kind::TOO_MANY, detail).with("Retry-After", "1");
            return self.tell_refused(waiting.asker, problem);
        }
        self.changes_waiting.push_back(waiting);
    }

    fn refuse_stopping(&mut self, asker: Asker) {
        info!("it is stopping: what is wanted is not read again");
        self.tell_refused(asker, Problem::new(Kind::STOPPING, "it is stopping"));
    }

    pub(super) fn tell_refused(&mut self, asker: Asker, problem: Problem) {
        match asker {
            Asker::Admin(key) => self.answer_admin(key, Err(problem)),
            Asker::Registry => self.complain_of_registered(problem.detail()),
            Asker::Operator | Asker::Names => {}
        }
    }

    fn start(&mut self, waiting: Waiting) {
        let Waiting { asker, what } = waiting;
        let started = match what {
            Task::Reload(mode) => Ok(Some(self.start_reload(asker, mode))),
            Task::Change(change) => self.start_change(asker, change),
            Task::Configure(configure) => self.start_configure(asker, configure).map(Some),
            Task::Show(committed) => self.start_showing(asker, committed).map(Some),
            Task::Names => Ok(self.start_names(asker)),
        };
        match started {
            Ok(Some(job)) => self.changing = Some(Box::new(job)),
            Ok(None) => self.tell_done(asker, Done::Same),
            Err(problem) => self.tell_refused(asker, problem),
        }
    }

    pub(super) fn tell_done(&mut self, asker: Asker, done: Done) {
        if let Asker::Admin(key) = asker {
            self.answer_admin(key, Ok(done));
        }
    }

    fn start_reload(&mut self, asker: Asker, mode: Mode) -> Job {
        if mode == Mode::Run {
            self.tell_reloading();
        }
        let stage = match &mut self.reread {
            Some(reread) => Stage::Reading(reread()),
            None => {
                let mut job = Job::new(Stage::nothing(), asker, mode);
                let written = Arc::clone(&self.directory.written);
                self.expand(written, &mut job).told_by(self.tell_spelled(self.cx.spelling))
            }
        };
        Job { is_reload: mode == Mode::Run, ..Job::new(stage, asker, mode) }
    }

    fn start_configure(&mut self, asker: Asker, configure: Configure) -> Result<Job, Problem> {
        let generation = self.directory.generation;
        if let Some(read) = configure.if_generation.filter(|it| *it != generation) {
            let detail = format!("generation {read} was read, {generation} is there");
            return Err(Problem::new(Kind::CHANGED, detail));
        }
        let Some(telling) = &mut self.admin.telling else {
            return Err(Problem::new(Kind::INTERNAL, "no configuration can be read here"));
        };
        let mode = match configure {
            Configure { check: true, .. } => Mode::Check,
            Configure { dry_run: true, .. } => Mode::DryRun,
            _ => Mode::Run,
        };
        Ok(Job::new(Stage::Reading((telling.read)(configure.text)), asker, mode))
    }

    /// A state as it was written, with the members of its sets and what was told over them.
    fn expand(&self, written: Arc<Desired>, job: &mut Job) -> Expanded {
        let (base, mut notes) = self.expanded(&written);
        let laid = self.directory.overlay.over(&base);
        notes.extend(laid.notes);
        job.notes.extend(notes);
        let layers = Box::new(Layers { written, base, overlay: laid.overlay });
        Expanded { preparing: job.mode.preparing(laid.desired), layers }
    }

    /// Nothing, if all is so already.
    fn start_names(&mut self, asker: Asker) -> Option<Job> {
        let mut job = Job::new(Stage::nothing(), asker, Mode::Run);
        let Expanded { preparing, layers } =
            self.expand(Arc::clone(&self.directory.written), &mut job);
        if layers.base == self.directory.base {
            return None;
        }
        let preparing = Box::new(preparing.keeping_files());
        job.stage = Stage::Preparing(preparing, layers, self.tell_spelled(Spelling::PATHS));
        Some(job)
    }

    /// Nothing is another but a certificate.
    fn start_showing(&self, asker: Asker, committed: Committed) -> Result<Job, Problem> {
        let Directory { desired, store, .. } = &self.directory;
        let file = committed.certificate.file();
        if store.certificate(file).is_none() {
            // Another configuration came first.
            let detail = format!("nothing shows it any more\nCan't commit {file}!");
            return Err(Problem::new(Kind::CONFLICT, detail));
        }
        let layers = Box::new(self.directory.layers());
        let told = Arc::clone(&committed.certificate);
        let preparing = Box::new(Mode::Run.preparing(desired.clone()).showing(told));
        let stage = Stage::Preparing(preparing, layers, self.tell_spelled(Spelling::PATHS));
        Ok(Job { showing: Some(committed), ..Job::new(stage, asker, Mode::Run) })
    }

    /// Nothing, if all is so already.
    fn start_change(&mut self, asker: Asker, change: Change) -> Result<Option<Job>, Problem> {
        let mut editing = Editing::begin(change, &self.directory)?;
        if editing.left() > EDITS_AT_ONCE {
            let stage = Stage::Editing(Box::new(editing));
            return Ok(Some(Job::new(stage, asker, Mode::Run)));
        }
        while editing.step(&self.directory)? {}
        let mut job = Job::new(Stage::nothing(), asker, Mode::Run);
        let stage = self.lay(editing.finish(), &mut job);
        Ok(stage.map(|stage| Job { stage, ..job }))
    }

    /// What edits come to is to be prepared; nothing, if all is so already.
    fn lay(&mut self, edited: Edited, job: &mut Job) -> Option<Stage> {
        let Edited { written, base, laid, mut ending, absent, dry_run } = edited;
        ending.extend(absent.iter().flat_map(|(place, ends)| self.still_leaving(place, *ends)));
        let Laid { desired, overlay, notes } = laid;
        if desired == self.directory.desired && ending.is_empty() {
            if !dry_run {
                self.directory.overlay = overlay;
            }
            return None;
        }
        job.mode = if dry_run { Mode::DryRun } else { Mode::Run };
        job.notes = notes;
        job.ending = ending;
        let tell = self.tell_spelled(Spelling::PATHS);
        let preparing = Box::new(job.mode.preparing(desired).keeping_files());
        Some(Stage::Preparing(preparing, Box::new(Layers { written, base, overlay }), tell))
    }

    fn tell_spelled(&self, spelling: Spelling) -> Tell {
        let says = move |it: &Complaint| it.spelled(spelling);
        Box::new(move |wrong| wrong.iter().map(says).collect())
    }

    /// A few pieces more of a change, and at its end what it does.
    #[cold]
    pub(super) fn go_on_changing(&mut self) {
        if self.state != RunState::Serving {
            return self.give_up_changes();
        }
        let Some(mut job) = self.changing.take() else { return self.start_next() };
        let began = Instant::now();
        job.turns += 1;
        loop {
            let stage = std::mem::replace(&mut job.stage, Stage::nothing());
            match stage.step(&mut job, self) {
                Progress::Going(stage) => {
                    job.stage = stage;
                    if began.elapsed() >= RELOAD_TIME {
                        job.took += began.elapsed();
                        return self.changing = Some(job);
                    }
                }
                Progress::Ready(prepared, layers, tell) => {
                    job.stage = Stage::Forgetting { _told: tell };
                    let since = began - job.took;
                    self.carry_out(*prepared, *layers, &mut job, since);
                    return self.changing = Some(job);
                }
                Progress::Refused(lines) => {
                    let first = lines.first().map_or("", String::as_str);
                    self.note_reload(&job, Err(first));
                    self.say_refused(&lines, job.asker);
                    return self.start_next();
                }
                Progress::Wrong(problem) => {
                    self.tell_refused(job.asker, problem);
                    return self.start_next();
                }
                Progress::Same => {
                    self.tell_done(job.asker, Done::Same);
                    return self.start_next();
                }
                Progress::Over => {
                    self.outdated = None;
                    return self.start_next();
                }
            }
        }
    }

    /// It is stopping.
    fn give_up_changes(&mut self) {
        self.outdated = None;
        // One that was applied is over but for what it leaves to be freed.
        let is_open = |job: &Job| !matches!(job.stage, Stage::Forgetting { .. });
        if let Some(job) = self.changing.take().filter(|it| is_open(it)) {
            self.refuse_stopping(job.asker);
        }
        let waiting = std::mem::take(&mut self.changes_waiting);
        waiting.into_iter().for_each(|it| self.refuse_stopping(it.asker));
    }

    /// Whether something is to be changed.
    pub(super) fn has_changes(&self) -> bool {
        // What is asked for while a new process takes our place waits for what comes of that.
        self.changing_is_under_way() && !self.hands_over()
    }

    /// Whether something was asked for that is not done.
    pub(super) fn changing_is_under_way(&self) -> bool {
        self.changing.is_some() || !self.changes_waiting.is_empty()
    }

    /// The next one; those that change nothing are answered, for as long as a turn has.
    fn start_next(&mut self) {
        let began = Instant::now();
        while self.changing.is_none()
            && began.elapsed() < RELOAD_TIME
            && let Some(waiting) = self.changes_waiting.pop_front()
        {
            self.start(waiting);
        }
    }

    fn say_refused(&mut self, lines: &[String], asker: Asker) {
        match asker {
            Asker::Admin(key) => {
                self.answer_admin(key, Err(Problem::refused(lines.to_vec())));
            }
            Asker::Registry => {
                self.tell_refused(asker, Problem::refused(lines.to_vec()));
            }
            Asker::Names => {
                let level = self.level_of_notes(asker, true);
                for line in lines.iter().flat_map(|it| it.lines()) {
                    log!(level, "what names stand for now cannot be had: {line}");
                }
            }
            Asker::Operator if self.reread.is_some() => {
                lines.iter().flat_map(|it| it.lines()).for_each(|line| error!("{line}"));
                error!("the configuration has mistakes: all stays as it was");
            }
            Asker::Operator => lines
                .iter()
                .for_each(|line| warn!("all files stay as they were read before: {line}")),
        }
    }

    /// What leads from what runs to what is wanted; nothing has changed yet.
    pub fn prepare(&self, desired: Desired) -> Result<Prepared, Vec<Complaint>> {
        self.on_ground(|ground| control::prepare(ground, desired))
    }

    /// Something that needs to know what runs.
    fn on_ground<T>(&self, then: impl FnOnce(&Ground<'_>) -> T) -> T {
        let listeners = &self.cx.listeners;
        let address = |at: usize| {
            let listener = listeners.get(*self.directory.listeners.get(at)?)?;
            Some(listener.address.clone())
        };
        let holds = |port: u16, is_udp: bool| {
            let has_it = |it: &Listener| {
                let is_such = match it.socket {
                    ListenerSocket::Stream(_) => !is_udp,
                    ListenerSocket::Datagram(_) => is_udp,
                    ListenerSocket::Closed => false,
                };
                is_such && it.address.port() == Some(port)
            };
            listeners.iter().any(|(_, it)| has_it(it))
        };
        then(&Ground {
            servers: self.directory.wanted(),
            store: &self.directory.store,
            files: &self.directory.files,
            address: &address,
            holds: &holds,
            handed: &self.handed,
            known: &|at| self.resolver.addresses(at),
        })
    }
}
