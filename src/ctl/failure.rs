//! Why a command did not do what it was asked to do.

use std::process::ExitCode;

/// Lines for people, and by them the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// It was refused, or cannot be had: exit code 1.
    Failed(Vec<String>),
    /// All is said on standard output already; exit code 1.
    Said,
    /// Whoever read what is printed has seen enough, which is no failure.
    Closed,
}

impl Failure {
    /// One line.
    pub fn failed(line: impl Into<String>) -> Failure {
        Failure::Failed(vec![line.into()])
    }
}

/// Says why it failed, if it did, a line at a time; the exit code.
pub fn end(outcome: Outcome, complain: impl Fn(&str)) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Usage(line)) => {
            complain(&line);
            ExitCode::from(2)
        }
        Err(Failure::Failed(lines)) => {
            lines.iter().for_each(|line| complain(line));
            ExitCode::FAILURE
        }
        Err(Failure::Said) => ExitCode::FAILURE,
    }
}

/// What a command comes to.
pub type Outcome<T = ()> = Result<T, Failure>;
