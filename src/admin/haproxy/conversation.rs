//! The rules of the conversation, without a socket: bytes come in, commands are taken one after
//! the other, and each answer ends with an empty line.
//!
//! ```text
//!   feed --> line --> commands --next--> Ask --(answered)--> end --> the next one
//!               \--<<--> payload --/
//! ```
//!
//! A connection has one line, until `prompt` makes it interactive.

use crate::config::{HaproxyLevel as Level, word_of};
use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{
    HAPROXY_IDLE_TIMEOUT, HAPROXY_LINE_BYTES_MAX, HAPROXY_PAYLOAD_BYTES_MAX, HAPROXY_WORDS_MAX,
};

use super::command::{self, Command};

/// How far a conversation is.
#[derive(Debug)]
pub struct Conversation {
    input: VecDeque<u8>,
    /// Nothing more comes.
    ended: bool,
    style: Style,
    severity: SeverityStyle,
    /// What it may do.
    level: Level,
    /// How long it may rest.
    idle: Duration,
    /// Commands of the line that are not begun.
    waiting: VecDeque<Vec<String>>,
    /// The one that waits for its payload.
    paying: Option<Paying>,
    /// It had its line.
    had_line: bool,
}

#[derive(Debug)]
struct Paying {
    words: Vec<String>,
    /// The payload ends with this line.
    tag: String,
    payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One line, then the end.
    Single,
    /// Line after line, with a prompt.
    Prompt,
    /// The same without.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeverityStyle {
    None,
    Number,
    Text,
}

/// How bad a message is, as syslog numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It was not done.
    Error,
    /// It is worth a thought.
    Warning,
    /// It was done.
    Notice,
    /// It is said.
    Info,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Next {
    /// This; [`Conversation::end`] once it is answered.
    Ask(Asked),
    /// More bytes are needed.
    More,
    /// It was something of the conversation itself, and is answered.
    Answered,
    /// All is said.
    Close,
}

/// A command as it was understood.
#[derive(Debug)]
pub struct Asked {
    /// What is wanted.
    pub command: Command,
    /// As it was written.
    pub text: String,
}

impl Severity {
    fn number(self) -> u8 {
        match self {
            Severity::Error => 3,
            Severity::Warning => 4,
            Severity::Notice => 5,
            Severity::Info => 6,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Severity::Error => "err",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
        }
    }
}

impl Conversation {
    /// One that may do so much.
    pub fn new(level: Level) -> Conversation {
        Conversation {
            input: VecDeque::new(),
            ended: false,
            style: Style::Single,
            severity: SeverityStyle::None,
            level,
            idle: HAPROXY_IDLE_TIMEOUT,
            waiting: VecDeque::new(),
            paying: None,
            had_line: false,
        }
    }

    /// What it may do now.
    pub fn level(&self) -> Level {
        self.level
    }

    /// It may do no more than this, whatever it could when it began.
    pub fn lower_to(&mut self, level: Level) {
        self.level = self.level.min(level);
    }

    /// How long it may rest.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// Whether it takes more bytes before it says what is next.
    pub fn wants_bytes(&self) -> bool {
        !self.ended && self.input.len() <= HAPROXY_PAYLOAD_BYTES_MAX
    }

    /// Bytes came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// What is to be done next. What it says itself is appended.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Next {
        if self.paying.is_some() {
            return self.pay(out);
        }
        if let Some(words) = self.waiting.pop_front() {
            return self.begin(words, out);
        }
        if self.had_line && self.style == Style::Single {
            return Next::Close;
        }
        let line = match self.take_line(HAPROXY_LINE_BYTES_MAX) {
            Ok(Some(line)) => line,
            Ok(None) if self.ended => return Next::Close,
            Ok(None) => return Next::More,
            Err(TooLong) => return self.cut("The line is too long.", out),
        };
        self.had_line = true;
        self.waiting = commands(&String::from_utf8_lossy(&line)).into();
        match self.waiting.pop_front() {
            Some(words) => self.begin(words, out),
            None => self.begin(Vec::new(), out),
        }
    }

    fn cut(&mut self, why: &str, out: &mut Vec<u8>) -> Next {
        self.message(Severity::Error, why, out);
        out.push(b'\n');
        self.ended = true;
        self.input.clear();
        self.style = Style::Single;
        self.had_line = true;
        self.paying = None;
        Next::Answered
    }

    fn take_line(&mut self, most: usize) -> Result<Option<Vec<u8>>, TooLong> {
        match self.input.iter().take(most + 1).position(|byte| *byte == b'\n') {
            Some(end) => {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                Ok(Some(line))
            }
            None if self.input.len() > most => Err(TooLong),
            None if self.ended && !self.input.is_empty() => {
                Ok(Some(std::mem::take(&mut self.input).into()))
            }
            None => Ok(None),
        }
    }

    /// A command with ` <<` at its end waits for what follows.
    fn begin(&mut self, mut words: Vec<String>, out: &mut Vec<u8>) -> Next {
        if words.len() > HAPROXY_WORDS_MAX {
            self.say(Severity::Error, "Too many words in this command.", out);
            return Next::Answered;
        }
        let tag = words.last().and_then(|last| last.strip_prefix("<<").map(str::to_owned));
        let Some(tag) = tag.filter(|_| words.len() > 1) else {
            return self.understand(words, None, out);
        };
        words.pop();
        self.paying = Some(Paying { words, tag, payload: Vec::new() });
        self.prompt(out);
        self.pay(out)
    }

    fn pay(&mut self, out: &mut Vec<u8>) -> Next {
        loop {
            let line = match self.take_line(HAPROXY_PAYLOAD_BYTES_MAX) {
                Ok(Some(line)) => line,
                Ok(None) if self.ended => return Next::Close,
                Ok(None) => return Next::More,
                Err(TooLong) => return self.cut("The payload is too long.", out),
            };
            let Some(paying) = &mut self.paying else { return Next::More };
            if line == paying.tag.as_bytes() {
                let Some(Paying { words, payload, .. }) = self.paying.take() else { continue };
                return self.understand(words, Some(payload), out);
            }
            paying.payload.extend_from_slice(&line);
            paying.payload.push(b'\n');
            if paying.payload.len() > HAPROXY_PAYLOAD_BYTES_MAX {
                return self.cut("The payload is too long.", out);
            }
            self.prompt(out);
        }
    }

    fn understand(
        &mut self,
        mut words: Vec<String>,
        payload: Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Next {
        // A master's prefix: the process that is meant is this one.
        if words.first().is_some_and(|it| it.starts_with('@')) {
            words.remove(0);
        }
        let plain: Vec<&str> = words.iter().map(|it| &**it).collect();
        if let Some(next) = self.converse(&plain, out) {
            return next;
        }
        match command::parse(&plain, payload, self.level) {
            Ok(command) => {
                let text = match &command {
                    Command::Certificate(act) => act.text(),
                    _ => plain.join(" "),
                };
                Next::Ask(Asked { command, text })
            }
            Err(why) => {
                self.say(Severity::Error, &why, out);
                Next::Answered
            }
        }
    }

    /// What is about the conversation itself.
    fn converse(&mut self, words: &[&str], out: &mut Vec<u8>) -> Option<Next> {
        match *words {
            ["quit", ..] => {
                self.waiting.clear();
                self.ended = true;
                self.had_line = true;
                self.style = Style::Single;
                return Some(Next::Close);
            }
            ["prompt"] => {
                let is_on = self.style == Style::Prompt;
                self.style = if is_on { Style::Single } else { Style::Prompt };
            }
            ["prompt", "p"] => self.style = Style::Prompt,
            ["prompt", "i"] => self.style = Style::Silent,
            ["prompt", "n"] => self.style = Style::Single,
            ["user"] => self.level = Level::User,
            ["operator"] if self.level >= Level::Operator => self.level = Level::Operator,
            ["set", "severity-output", style] => {
                self.severity = match style {
                    "none" => SeverityStyle::None,
                    "number" => SeverityStyle::Number,
                    "string" => SeverityStyle::Text,
                    _ => {
                        let want = "one of 'none', 'number', 'string' is a required argument";
                        self.say(Severity::Error, want, out);
                        return Some(Next::Answered);
                    }
                };
            }
            ["set", "timeout", "cli", time] => match command::time(time, 1000) {
                Some(time) if !time.is_zero() => self.idle = time,
                _ => {
                    self.say(Severity::Error, "Invalid timeout value.", out);
                    return Some(Next::Answered);
                }
            },
            ["show", "cli", "level"] => {
                out.extend_from_slice(word_of(&self.level, Level::ALL).as_bytes());
            }
            ["help", ..] => {
                let text = command::help(&words[1..], self.level);
                out.extend_from_slice(text.as_bytes());
            }
            _ => return None,
        }
        if matches!(*words, ["show", ..]) {
            out.push(b'\n');
        }
        self.end(out);
        Some(Next::Answered)
    }

    /// A message and the end of the answer.
    pub fn say(&mut self, severity: Severity, text: &str, out: &mut Vec<u8>) {
        self.message(severity, text, out);
        self.end(out);
    }

    /// A message: unlike what is listed, it has its severity before it.
    pub fn message(&self, severity: Severity, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match self.severity {
            SeverityStyle::None => {}
            SeverityStyle::Number => {
                out.extend_from_slice(format!("[{}]: ", severity.number()).as_bytes());
            }
            SeverityStyle::Text => {
                out.extend_from_slice(format!("[{}]: ", severity.word()).as_bytes());
            }
        }
        out.extend_from_slice(text.trim_end_matches('\n').as_bytes());
        out.push(b'\n');
    }

    /// An answer is whole.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        out.push(b'\n');
        self.prompt(out);
    }

    fn prompt(&self, out: &mut Vec<u8>) {
        if self.style == Style::Prompt {
            out.extend_from_slice(if self.paying.is_some() { b"+ " } else { b"> " });
        }
    }
}

struct TooLong;

/// The commands of a line, in words: `;` parts them, a backslash takes its meaning from what
/// follows.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            ' ' | '\t' => words.extend(word.take()),
            ';' => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if !words.is_empty() || all.is_empty() {
        all.push(words);
    }
    all
}

#[cfg(test)]
#[path = "conversation/tests.rs"]
mod tests;
