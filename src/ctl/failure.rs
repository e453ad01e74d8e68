//! Why a command did not do what it was asked to do.

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

/// What a command comes to.
pub type Outcome<T = ()> = Result<T, Failure>;
