//! In place: keys, looks and frames, one after the other, until the end.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::config::io_words;
use crate::ctl::failure::{Failure, Outcome};
use crate::limits::TOP_CONNECT_PATIENCE;
use crate::terminal::{self, Happening, Ink, Looks, Terminal};

use super::source::{Extent, Source, Told};
use super::ui::{Action, Change, Mode, Ui, View};
use super::usage::Given;
use super::view;
use super::world::{Row, Seen};

/// All that is shown together waits at most so long for the slowest process.
const GATHER: Duration = Duration::from_millis(250);

struct Watch {
    sources: Vec<Source>,
    seen: Vec<Seen>,
    ui: Ui,
    rows: Vec<Row>,
    told: Vec<Told>,
    next_look: Instant,
    /// When what has changed is drawn; at once for keys.
    draw_at: Option<Instant>,
}

/// Watch until the end.
pub fn run(given: Given) -> Outcome {
    let mut watch = Watch::new(given);
    watch.first_look()?;
    let looks = Looks::from_environment();
    let failed = |error: io::Error| Failure::failed(format!("terminal: {}", io_words(&error)));
    let mut terminal = Terminal::enter(looks).map_err(failed)?;
    let end = watch.turns(&mut terminal, looks);
    drop(terminal);
    if let Some(signal) = end.map_err(failed)? {
        terminal::end_by(signal);
    }
    Ok(())
}

impl Watch {
    fn new(given: Given) -> Watch {
        let now = Instant::now();
        let sources: Vec<Source> =
            given.clients.into_iter().map(|it| Source::new(it, now)).collect();
        Watch {
            seen: sources.iter().map(|it| Seen::new(it.place())).collect(),
            ui: Ui::new(given.interval, sources.len()),
            sources,
            rows: Vec::new(),
            told: Vec::new(),
            next_look: now + given.interval,
            draw_at: Some(now),
        }
    }

    /// Before the terminal is taken: a mistyped socket or a wrong token is a line, not a screen.
    fn first_look(&mut self) -> Outcome {
        let begin = Instant::now();
        let end = begin + TOP_CONNECT_PATIENCE;
        self.look(begin);
        let waits = |seen: &Seen| !seen.has_answered && seen.away.is_none();
        while self.seen.iter().any(waits) && Instant::now() < end {
            let watched: Vec<BorrowedFd<'_>> =
                self.sources.iter().flat_map(Source::watched).collect();
            let ready = terminal::readable(&watched, end);
            ready.map_err(|it| Failure::failed(io_words(&it).to_string()))?;
            self.advance();
        }
        let away = self.seen.iter().filter_map(|it| {
            let why = it.away.as_ref()?;
            Some(format!("{}: {why}", it.place))
        });
        let away: Vec<String> = away.collect();
        if away.len() == self.seen.len() { Err(Failure::Failed(away)) } else { Ok(()) }
    }

    /// Until the end, and by which signal that is.
    fn turns(&mut self, terminal: &mut Terminal, looks: Looks) -> io::Result<Option<i32>> {
        loop {
            let now = Instant::now();
            if self.draw_at.is_some_and(|it| it <= now) {
                self.draw_at = None;
                let (lines, rows) = view::draw(&self.seen, &self.ui, terminal.size(), looks);
                self.rows = rows;
                terminal.draw(&lines)?;
            }
            let watched: Vec<BorrowedFd<'_>> =
                self.sources.iter().flat_map(Source::watched).collect();
            let happening = terminal.wait(self.deadline(), &watched)?;
            match happening {
                Happening::Stop(signal) => return Ok(Some(signal)),
                Happening::Resized(_) => self.draw_at = Some(Instant::now()),
                Happening::Key(key) => {
                    let action = self.ui.on_key(key, &self.rows);
                    self.draw_at = Some(Instant::now());
                    match action {
                        Action::Quit => return Ok(None),
                        Action::Draw => {}
                        Action::Look => self.next_look = Instant::now(),
                        Action::Change(change) => self.change(&change),
                    }
                }
                Happening::Ready(_) | Happening::Late => self.advance(),
            }
        }
    }

    fn deadline(&self) -> Instant {
        let look = if self.ui.is_paused { None } else { Some(self.next_look) };
        let others = self.sources.iter().filter_map(Source::deadline);
        let all = others.chain(look).chain(self.draw_at);
        all.min().unwrap_or_else(|| Instant::now() + self.ui.interval)
    }

    fn advance(&mut self) {
        let now = Instant::now();
        for at in 0..self.sources.len() {
            self.sources[at].advance(now, &mut self.told);
            self.take_told(at, now);
        }
        if !self.ui.is_paused && now >= self.next_look {
            self.look(now);
        }
    }

    fn look(&mut self, now: Instant) {
        let extent = match self.ui.view {
            View::Live => Extent::Clients,
            _ => Extent::Usual,
        };
        self.next_look = (self.next_look + self.ui.interval).max(now);
        for at in 0..self.sources.len() {
            self.sources[at].begin(extent, now, &mut self.told);
            self.take_told(at, now);
        }
    }

    fn take_told(&mut self, at: usize, now: Instant) {
        let seen = &mut self.seen[at];
        for told in std::mem::take(&mut self.told) {
            let mut wait = Duration::ZERO;
            match told {
                Told::Sample(sample) => {
                    seen.on_sample(*sample, now);
                    if self.sources.len() > 1 {
                        wait = GATHER;
                    }
                }
                Told::Away(why) => seen.on_away(why),
                Told::Event(line) => {
                    seen.on_event(line);
                    wait = GATHER;
                }
                Told::Done(what) => {
                    self.ui.message = Some((Ink::Good, format!("done: {what}")));
                    self.next_look = now;
                }
                Told::Refused(why) => self.ui.message = Some((Ink::Bad, why)),
            }
            let draw_at = now + wait;
            self.draw_at = Some(self.draw_at.map_or(draw_at, |it| it.min(draw_at)));
        }
    }

    /// At every process that is shown and has that backend.
    fn change(&mut self, change: &Change) {
        let now = Instant::now();
        let mut count = 0;
        for at in 0..self.sources.len() {
            let seen = &self.seen[at];
            let has = seen.sample.backends.iter().any(|it| it.name == change.name);
            if !seen.is_present() || !has || self.ui.only.is_some_and(|it| it != at) {
                continue;
            }
            let what = match self.sources.len() {
                1 => change.what.clone(),
                _ => format!("{} at {}", change.what, self.sources[at].place()),
            };
            let body = change.body.clone();
            self.sources[at].change(&change.name, body, &what, now, &mut self.told);
            self.take_told(at, now);
            count += 1;
        }
        if count == 0 {
            self.ui.message = Some((Ink::Bad, format!("{}: nobody to ask", change.what)));
        }
        self.ui.mode = Mode::Look;
    }
}
