//! Flags to configuration to run; exit codes; nothing else.

use std::io::Write;
use std::process::ExitCode;

use pointsman::config::Config;
use pointsman::event::signals::Signals;
use pointsman::flags::{self, Command};
use pointsman::logging::LogSink;
use pointsman::startup::{self, Wanted};

fn main() -> ExitCode {
    // First of all: until then any signal ends the process.
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            return complain(&format!("cannot handle signals: {error}"), ExitCode::FAILURE);
        }
    };
    match flags::arguments(std::env::args_os()).and_then(|args| flags::parse(&args)) {
        Ok(Command::Run(config)) => run(*config, signals),
        Ok(Command::Help(text) | Command::Version(text)) => {
            // A reader that has seen enough (`--help | head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(errors) => complain_of_all(&errors, ExitCode::from(2)),
    }
}

fn run(config: Config, signals: Signals) -> ExitCode {
    let log = LogSink::default();
    log.install(config.process.log_level);
    let desired = match config.desired() {
        Ok(desired) => desired,
        // because: the flags are refused whose routes make no plan.
        Err(wrong) => return complain(&wrong, ExitCode::from(2)),
    };
    let wanted = Wanted { desired, config: Some(config), reread: None };
    match startup::start(wanted, flags::SPELLING, signals, log) {
        Ok(mut event_loop) => match event_loop.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error, ExitCode::FAILURE),
        },
        Err(error) => complain_of_all(&error.lines(flags::SPELLING), ExitCode::FAILURE),
    }
}

fn complain_of_all<E: std::fmt::Display>(errors: &[E], code: ExitCode) -> ExitCode {
    errors.iter().fold(code, |code, error| complain(error, code))
}

fn complain(error: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "pointsman: {error}");
    code
}
