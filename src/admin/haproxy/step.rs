//! What comes of a command.

use std::time::Duration;

use super::super::answer::Pieces;
use super::super::change::Asked;
use super::super::place::Place;
use super::conversation::Severity;

/// What a command comes to.
pub enum Step {
    /// A message; nothing but the empty line, if it is empty.
    Say(Severity, String),
    /// Lines.
    Lines(String),
    /// Lines that are written as they are taken.
    Pieces(Box<dyn Pieces>),
    /// The loop has to do it, and this is said then.
    Ask(Box<Asked>, String),
    /// The same, and it is lines.
    AskForLines(Box<Asked>, String),
    /// It waits for so long, or until this can be removed.
    Wait(Duration, Option<Place>),
}

/// What is said where something is wrong.
pub type Refusal = &'static str;
