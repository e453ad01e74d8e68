//! What whoever sits there has chosen, and what a key does to it. Pure: what is to be done beyond
//! that is returned.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::{TOP_INTERVAL_MAX, TOP_INTERVAL_MIN};
use crate::terminal::{Ink, Key};

use super::sample::Name;
use super::world::Row;

/// Rows that a page key moves.
const PAGE: usize = 10;
/// Characters of a filter or of a weight that are taken.
const INPUT_CHARS_MAX: usize = 40;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "these are the words on the screen")]
pub enum View {
    Overview,
    Traffic,
    Errors,
    Events,
    Live,
}

impl View {
    /// In the order of their digits.
    pub const ALL: [View; 5] =
        [View::Overview, View::Traffic, View::Errors, View::Events, View::Live];

    /// As it is called.
    pub fn word(self) -> &'static str {
        match self {
            View::Overview => "overview",
            View::Traffic => "traffic",
            View::Errors => "errors",
            View::Events => "events",
            View::Live => "live",
        }
    }

    /// Whether rows of it are backends.
    pub fn has_backends(self) -> bool {
        !matches!(self, View::Events | View::Live)
    }

    fn step(self, by: usize) -> View {
        let at = View::ALL.iter().position(|&it| it == self).unwrap_or_default();
        View::ALL[(at + by) % View::ALL.len()]
    }
}

/// By what backends are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "these are the words on the screen")]
pub enum Sort {
    Trouble,
    Name,
    Rate,
    Active,
    P99,
    Errors,
    Weight,
}

impl Sort {
    const ALL: [Sort; 7] = [
        Sort::Trouble,
        Sort::Name,
        Sort::Rate,
        Sort::Active,
        Sort::P99,
        Sort::Errors,
        Sort::Weight,
    ];

    /// As it is called.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Trouble => "trouble",
            Sort::Name => "name",
            Sort::Rate => "rate",
            Sort::Active => "active",
            Sort::P99 => "p99",
            Sort::Errors => "errors",
            Sort::Weight => "weight",
        }
    }

    /// Numbers largest first.
    fn order(self, a: &Row, b: &Row) -> Ordering {
        let left = &a.backend;
        let right = &b.backend;
        let first = match self {
            Sort::Trouble => a.trouble().cmp(&b.trouble()),
            Sort::Name => Ordering::Equal,
            Sort::Rate => right.rate.total_cmp(&left.rate),
            Sort::Active => right.active.cmp(&left.active),
            Sort::P99 => right.p99.unwrap_or(-1.0).total_cmp(&left.p99.unwrap_or(-1.0)),
            Sort::Errors => {
                let by_rate = b.rates.errors.total_cmp(&a.rates.errors);
                by_rate.then(right.totals.errors().cmp(&left.totals.errors()))
            }
            Sort::Weight => right.weight.total_cmp(&left.weight),
        };
        first.then_with(|| left.name.cmp(&right.name))
    }
}

/// A change of a backend that is asked about, or is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of which.
    pub name: Name,
    /// What is patched.
    pub body: Value,
    /// In words, such as `drain web/a`.
    pub what: String,
}

impl Change {
    fn admin(name: &Name, word: &str) -> Change {
        Change {
            name: name.clone(),
            body: json!({"admin": word}),
            what: format!("{word} {name}"),
        }
    }
}

/// What keys mean now.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Views, rows, sorting.
    Look,
    /// The help is shown.
    Help,
    /// What may be done with this one.
    Menu(Name),
    /// Letters go into the filter; behind them what it was before.
    Filter(String),
    /// Digits of another weight.
    Weight(Name, String),
    /// Yes or no.
    Confirm(Change),
}

/// What is to be done beyond drawing.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing.
    Draw,
    /// The end.
    Quit,
    /// Looks go on.
    Look,
    /// This, through the API.
    Change(Change),
}

/// All that was chosen.
#[derive(Debug, Clone)]
pub struct Ui {
    /// What is shown.
    pub view: View,
    /// What keys mean.
    pub mode: Mode,
    /// The backend that keys are about: by its name, for rows move.
    pub selected: Option<Name>,
    /// The order of backends.
    pub sort: Sort,
    /// The other way round.
    pub is_reversed: bool,
    /// Only backends with this in their name, address or state.
    pub filter: String,
    /// Nothing is asked.
    pub is_paused: bool,
    /// Between two looks.
    pub interval: Duration,
    /// One process of several alone.
    pub only: Option<usize>,
    /// How many there are.
    pub processes: usize,
    /// What became of the last change.
    pub message: Option<(Ink, String)>,
    /// Events passed over from the newest.
    pub skipped: usize,
}

impl Ui {
    /// At the start.
    pub fn new(interval: Duration, processes: usize) -> Ui {
        Ui {
            view: View::Overview,
            mode: Mode::Look,
            selected: None,
            sort: Sort::Trouble,
            is_reversed: false,
            filter: String::new(),
            is_paused: false,
            interval,
            only: None,
            processes,
            message: None,
            skipped: 0,
        }
    }

    /// The rows that are wanted, in the order that is wanted.
    pub fn arrange(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let filter = self.filter.to_lowercase();
        if !filter.is_empty() {
            rows.retain(|row| {
                let it = &row.backend;
                let has = |text: &str| text.to_lowercase().contains(&filter);
                has(&it.name.to_string()) || has(&it.address) || has(it.state.word())
            });
        }
        rows.sort_by(|a, b| self.sort.order(a, b));
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }

    /// A key was pressed; these are the backends as they stand there.
    pub fn on_key(&mut self, key: Key, rows: &[Row]) -> Action {
        if key == Key::Ctrl('c') {
            return Action::Quit;
        }
        self.message = None;
        match std::mem::replace(&mut self.mode, Mode::Look) {
            Mode::Look => self.on_look(key, rows),
            Mode::Help => match key {
                Key::Char('q') => Action::Quit,
                _ => Action::Draw,
            },
            Mode::Menu(name) => self.on_menu(key, name),
            Mode::Filter(before) => self.on_filter(key, before),
            Mode::Weight(name, text) => self.on_weight(key, name, text),
            Mode::Confirm(change) => match key {
                Key::Char('y' | 'Y') => Action::Change(change),
                _ => {
                    self.message = Some((Ink::Calm, format!("{}: not done", change.what)));
                    Action::Draw
                }
            },
        }
    }

    fn on_look(&mut self, key: Key, rows: &[Row]) -> Action {
        let before = self.view;
        match key {
            Key::Char('q') => return Action::Quit,
            Key::Char('?' | 'h') => self.mode = Mode::Help,
            Key::Tab => self.view = self.view.step(1),
            Key::BackTab => self.view = self.view.step(View::ALL.len() - 1),
            Key::Char(digit @ '1'..='5') => {
                self.view = View::ALL[digit as usize - '1' as usize];
            }
            Key::Char('s') => {
                let at = Sort::ALL.iter().position(|&it| it == self.sort).unwrap_or_default();
                self.sort = Sort::ALL[(at + 1) % Sort::ALL.len()];
                self.is_reversed = false;
            }
            Key::Char('S') => self.is_reversed = !self.is_reversed,
            Key::Char('/') => self.mode = Mode::Filter(self.filter.clone()),
            Key::Char(' ') => {
                self.is_paused = !self.is_paused;
                return if self.is_paused { Action::Draw } else { Action::Look };
            }
            Key::Char('+' | '=') => self.interval = (self.interval * 2).min(TOP_INTERVAL_MAX),
            Key::Char('-') => {
                self.interval = (self.interval / 2).max(TOP_INTERVAL_MIN);
                return Action::Look;
            }
            Key::Escape if self.selected.is_none() => self.filter.clear(),
            Key::Escape => self.selected = None,
            Key::Left | Key::Right => self.choose_process(key),
            Key::Enter => self.mode = self.about(rows).map_or(Mode::Look, Mode::Menu),
            Key::Char(letter @ ('d' | 'r' | 'm' | 'w')) => {
                if let Some(name) = self.about(rows) {
                    return self.on_menu(Key::Char(letter), name);
                }
            }
            _ => self.on_move(key, rows),
        }
        // What is shown there is asked only while it is.
        let is_new = self.view == View::Live && before != View::Live;
        if is_new { Action::Look } else { Action::Draw }
    }

    /// The backend that is meant, if it stands there.
    fn about(&mut self, rows: &[Row]) -> Option<Name> {
        let found = rows
            .iter()
            .map(|it| &it.backend.name)
            .find(|it| Some(*it) == self.selected.as_ref());
        if found.is_none() || !self.view.has_backends() {
            let line = "choose a backend with the arrow keys first";
            self.message = Some((Ink::Warn, line.to_owned()));
            return None;
        }
        found.cloned()
    }

    fn choose_process(&mut self, key: Key) {
        // One place more for all of them together.
        let places = self.processes + 1;
        let at = self.only.map_or(0, |it| it + 1);
        let by = if key == Key::Right { 1 } else { places - 1 };
        self.only = if self.processes < 2 { None } else { ((at + by) % places).checked_sub(1) };
    }

    fn on_move(&mut self, key: Key, rows: &[Row]) {
        let (by, is_down) = match key {
            Key::Down | Key::Char('j') => (1, true),
            Key::Up | Key::Char('k') => (1, false),
            Key::PageDown | Key::Ctrl('f') => (PAGE, true),
            Key::PageUp | Key::Ctrl('b') => (PAGE, false),
            Key::End | Key::Char('G') => (usize::MAX, true),
            Key::Home | Key::Char('g') => (usize::MAX, false),
            _ => return,
        };
        if !self.view.has_backends() {
            // Downwards is towards what was before.
            self.skipped = if is_down {
                self.skipped.saturating_add(by)
            } else {
                self.skipped.saturating_sub(by)
            };
            return;
        }
        let Some(last) = rows.len().checked_sub(1) else { return };
        let at = rows.iter().position(|it| Some(&it.backend.name) == self.selected.as_ref());
        let next = match at {
            None if is_down && by == usize::MAX => last,
            None => 0,
            Some(at) if is_down => at.saturating_add(by).min(last),
            Some(at) => at.saturating_sub(by),
        };
        self.selected = Some(rows[next].backend.name.clone());
    }

    fn on_menu(&mut self, key: Key, name: Name) -> Action {
        match key {
            Key::Char('d') => self.mode = Mode::Confirm(Change::admin(&name, "drain")),
            Key::Char('r') => self.mode = Mode::Confirm(Change::admin(&name, "ready")),
            Key::Char('m') => self.mode = Mode::Confirm(Change::admin(&name, "maint")),
            Key::Char('w') => self.mode = Mode::Weight(name, String::new()),
            _ => {}
        }
        Action::Draw
    }

    fn on_filter(&mut self, key: Key, before: String) -> Action {
        match key {
            Key::Enter => return Action::Draw,
            Key::Escape => {
                self.filter = before;
                return Action::Draw;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(it) if self.filter.chars().count() < INPUT_CHARS_MAX => {
                self.filter.push(it);
            }
            _ => {}
        }
        self.mode = Mode::Filter(before);
        Action::Draw
    }

    fn on_weight(&mut self, key: Key, name: Name, mut text: String) -> Action {
        match key {
            Key::Enter => {
                match text.parse::<u64>() {
                    Ok(weight) => {
                        let what = format!("weight {weight} for {name}");
                        let body = json!({"weight": weight});
                        self.mode = Mode::Confirm(Change { name, body, what });
                    }
                    Err(_) => {
                        let line = format!("found {text:?}, want a whole number");
                        self.message = Some((Ink::Warn, line));
                    }
                }
                return Action::Draw;
            }
            Key::Escape => return Action::Draw,
            Key::Backspace => {
                text.pop();
            }
            Key::Char(it) if it.is_ascii_digit() && text.len() < INPUT_CHARS_MAX => {
                text.push(it);
            }
            _ => {}
        }
        self.mode = Mode::Weight(name, text);
        Action::Draw
    }
}
