//! Flags and files to a desired state to run; exit codes; nothing else.

use std::io::Write;
use std::process::ExitCode;

use pointsman::config::{Complaint, Config, Task, counted, io_words};
use pointsman::ctl;
use pointsman::event::signals::Signals;
use pointsman::file;
use pointsman::flags::{self, Command};
use pointsman::logging::LogSink;
use pointsman::net::HandedSockets;
use pointsman::startup::{self, Start, StartError, Started};
use pointsman::top;
use pointsman::wanted::{self, Told, Wanted};

/// What was handed over to this process, or what is wrong with it.
type Handed = Result<HandedSockets, Vec<String>>;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == ctl::WORD) {
        return match flags::arguments(std::env::args_os().skip(1)) {
            Ok(args) => ctl::run(&args),
            Err(errors) => complain_of_all(&errors, ExitCode::from(2)),
        };
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == top::WORD) {
        return match flags::arguments(std::env::args_os().skip(1)) {
            Ok(args) => top::run(&args),
            Err(errors) => complain_of_all(&errors, ExitCode::from(2)),
        };
    }
    // Before anything is opened: later a descriptor of that number could be another.
    let handed = HandedSockets::from_environment();
    // First of all else: until then any signal ends the process.
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            return complain(&format!("cannot handle signals: {error}"), ExitCode::FAILURE);
        }
    };
    match flags::arguments(std::env::args_os()).and_then(|args| flags::parse(&args)) {
        Ok(Command::Run(config)) => with_config(&config, signals, handed),
        Ok(Command::Help(text) | Command::Version(text)) => show(&text),
        Err(errors) => complain_of_all(&errors, ExitCode::from(2)),
    }
}

fn with_config(config: &Config, signals: Signals, handed: Handed) -> ExitCode {
    let wanted = match wanted::read(config) {
        Ok(wanted) => wanted,
        // Flags that contradict each other or the file are wrong as flags.
        Err(told) if told.of_file.is_empty() => return refuse(&told, ExitCode::from(2)),
        Err(told) => return refuse(&told, ExitCode::FAILURE),
    };
    match config.task {
        Task::Run => run(config, &wanted, signals, handed),
        Task::Print => show(&file::print(&wanted.desired, &wanted.origins, &wanted.sources)),
        Task::Check => {
            say_all(&wanted.warnings);
            let wrong = wanted.check(config);
            if wrong.is_empty() {
                return show(&format!("{}\n", good(config, &wanted)));
            }
            refuse(&wrong, ExitCode::FAILURE)
        }
    }
}

/// What was found good.
fn good(config: &Config, wanted: &Wanted) -> String {
    let what = config.file.as_deref().unwrap_or("the flags");
    let desired = &wanted.desired;
    format!(
        "{what}: good: {}, {}, {}",
        counted(desired.listeners.len(), "listener"),
        counted(desired.services.len(), "service"),
        counted(desired.pools.len(), "pool")
    )
}

fn run(config: &Config, wanted: &Wanted, signals: Signals, handed: Handed) -> ExitCode {
    let log = LogSink::default();
    let process = &wanted.desired.process;
    log.install(process.log_level, process.log_format);
    let spelling = if config.file.is_some() { file::SPELLING } else { flags::SPELLING };
    let tell = {
        let wanted = wanted.clone();
        let config = config.clone();
        Box::new(move |found: &[Complaint]| wanted.tell("warning", found, &config).lines())
    };
    let handed = match handed {
        Ok(handed) => handed,
        Err(of_flags) => {
            return fail(Told { of_file: Vec::new(), of_flags }, &log);
        }
    };
    let start = Start {
        desired: wanted.desired.clone(),
        warnings: wanted.warnings.clone(),
        tell,
        reread: config.file.is_some().then(|| startup::rereading(config.clone())),
        telling: Some(startup::telling(config.clone())),
        handed,
        takeover: config.takeover.clone(),
    };
    let told = match startup::start(start, spelling, signals, log.clone()) {
        Ok(Started { mut looping, stage }) => {
            let ended = looping.run();
            // Before anything is said: it has the terminal.
            drop(stage);
            match ended {
                Ok(()) => return ExitCode::SUCCESS,
                Err(error) => by_flags(error.to_string()),
            }
        }
        Err(StartError::Settings(wrong)) => wanted.tell("error", &wrong, config),
        Err(StartError::Takeover(wrong)) => by_flags(wrong.spelled(flags::SPELLING)),
        Err(StartError::Descriptors(why)) => by_flags(why),
        Err(StartError::EventLoop(error)) => {
            by_flags(format!("cannot start the event loop: {}", io_words(&error)))
        }
    };
    fail(told, &log)
}

/// It cannot begin, or go on.
fn fail(told: Told, log: &LogSink) -> ExitCode {
    if log.is_text() {
        return refuse(&told, ExitCode::FAILURE);
    }
    // Whoever reads the log by its format could not read these lines.
    told.lines().iter().flat_map(|it| it.lines()).for_each(|line| log::error!("{line}"));
    log.write_kept();
    ExitCode::FAILURE
}

fn by_flags(line: String) -> Told {
    Told { of_file: Vec::new(), of_flags: vec![line] }
}

/// A reader that has seen enough (`--help | head`) is no failure.
fn show(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain_of_all<E: std::fmt::Display>(errors: &[E], code: ExitCode) -> ExitCode {
    errors.iter().fold(code, |code, error| complain(error, code))
}

fn complain(error: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "pointsman: {error}");
    code
}

fn refuse(told: &Told, code: ExitCode) -> ExitCode {
    say_all(&told.of_file);
    complain_of_all(&told.of_flags, code)
}

/// Lines that say by themselves what they are, such as mistakes with their places.
fn say_all(lines: &[String]) {
    for line in lines {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
