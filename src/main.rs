//! Flags to configuration to run; exit codes; nothing else.

use std::io::Write;
use std::process::ExitCode;

use pointsman::flags::{self, Command};

fn main() -> ExitCode {
    match flags::arguments(std::env::args_os()).and_then(|args| flags::parse(&args)) {
        Ok(Command::Run(_)) => ExitCode::SUCCESS,
        Ok(Command::Help(text) | Command::Version(text)) => {
            // A reader that has seen enough (`--help | head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pointsman: {error}");
            ExitCode::from(2)
        }
    }
}
