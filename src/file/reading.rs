//! Files are read piece by piece, so that whoever reads them has time for something else between
//! two pieces.
//!
//! ```text
//!   open    each file: it is cut, and what stands at its top is read; the first names the others
//!   read    each listener, then each pool, then each service of all files
//!   check   each listener, each service: what none of them can know by itself
//! ```

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::config::Spot;

use super::Loaded;
use super::mistake::Mistake;
use super::piece::{Kind, Piece, cut};
use super::reader::Reader;
use super::source::{Env, Sources, included, read_text};

/// Files that are being read.
pub struct Reading<'e> {
    reader: Reader<'e>,
    next: Step,
    /// Those that are to be opened, with where they are included.
    to_open: VecDeque<(PathBuf, Option<Spot>)>,
    pieces: Vec<Piece>,
    /// Pieces that are to be read for what they have of a kind, the next one last.
    to_read: Vec<(Kind, usize)>,
    /// Pools that some service leads connections to.
    probed: HashSet<String>,
}

/// What is to be done next, of the listener or service at this place.
#[derive(Debug, Clone, Copy)]
enum Step {
    Open,
    Read,
    Sort,
    Uses,
    Addresses,
    Ties(usize),
    Probed,
    Service(usize),
    Rest,
    Over,
}

impl<'e> Reading<'e> {
    /// Of a file and what it includes; `env` has the variables for `${NAME}`.
    pub fn of_file(path: &Path, env: Env<'e>) -> Reading<'e> {
        let mut reading = Reading::new(env);
        reading.to_open.push_back((path.to_owned(), None));
        reading
    }

    /// Of a text, as if it were a file of this name without the right to include others.
    pub fn of_text(name: &str, text: &str, env: Env<'e>) -> Reading<'e> {
        let mut reading = Reading::new(env);
        reading.add(name.to_owned(), text.to_owned(), cut);
        reading
    }

    /// The same in one piece.
    #[cfg(test)]
    pub fn uncut(name: &str, text: &str, env: Env<'e>) -> Reading<'e> {
        let mut reading = Reading::new(env);
        let whole = |file, text: &str| vec![Piece::whole(file, text)];
        reading.add(name.to_owned(), text.to_owned(), whole);
        reading
    }

    fn new(env: Env<'e>) -> Reading<'e> {
        Reading {
            reader: Reader::new(env),
            next: Step::Open,
            to_open: VecDeque::new(),
            pieces: Vec::new(),
            to_read: Vec::new(),
            probed: HashSet::new(),
        }
    }

    /// The next piece. Says whether there is more to do.
    pub fn step(&mut self) -> bool {
        let listeners = self.reader.desired.listeners.len();
        let services = self.reader.desired.services.len();
        self.next = match self.next {
            Step::Open => self.open(),
            Step::Read => self.read(),
            Step::Sort => self.then(Reader::sort, Step::Uses),
            Step::Uses => self.then(Reader::check_uses, Step::Addresses),
            Step::Addresses => self.then(Reader::check_addresses, Step::Ties(0)),
            Step::Ties(at) if at < listeners => self.check_ties(at),
            Step::Ties(_) => Step::Probed,
            Step::Probed => self.find_probed(),
            Step::Service(at) if at < services => self.check_service(at),
            Step::Service(_) => Step::Rest,
            Step::Rest => self.then(Reader::check_rest, Step::Over),
            Step::Over => Step::Over,
        };
        !matches!(self.next, Step::Over)
    }

    /// What was read, or all that is wrong with it.
    pub fn finish(self) -> Result<Loaded, (Vec<Mistake>, Sources)> {
        let mut reader = self.reader;
        reader.forget_what_follows();
        let Reader { desired, origins, mut mistakes, mut warnings, sources, .. } = reader;
        mistakes.sort_by_key(|mistake| mistake.at);
        mistakes.dedup();
        warnings.sort_by(|one, other| (one.at, &one.says).cmp(&(other.at, &other.says)));
        warnings.dedup();
        if mistakes.is_empty() {
            Ok(Loaded { desired, origins, warnings, sources })
        } else {
            Err((mistakes, sources))
        }
    }

    fn then(&mut self, what: fn(&mut Reader<'e>), next: Step) -> Step {
        what(&mut self.reader);
        next
    }

    /// One file, or what there is to be read once all are there.
    fn open(&mut self) -> Step {
        let Some((path, included_at)) = self.to_open.pop_front() else {
            self.to_read = self.order();
            return Step::Read;
        };
        match (read_text(&path), included_at) {
            (Ok(text), _) => self.add(path.display().to_string(), text, cut),
            (Err(why), None) => {
                let says = format!("{}: {why}", path.display());
                self.reader.mistakes.push(Mistake { at: None, says, hint: None });
                return Step::Over;
            }
            (Err(why), Some(at)) => {
                let says = format!("cannot include {}: {why}", path.display());
                self.reader.mistakes.push(Mistake::at(at, says));
            }
        }
        if included_at.is_none() {
            let patterns = std::mem::take(&mut self.reader.includes);
            let files = included(&path, &patterns, &mut self.reader.mistakes);
            self.to_open.extend(files.into_iter().map(|(path, at)| (path, Some(at))));
        }
        Step::Open
    }

    /// A file, of which what stands at its top is read: it holds for all.
    fn add(&mut self, name: String, text: String, cut: fn(usize, &str) -> Vec<Piece>) {
        let file = self.reader.sources.add(name, text);
        for piece in cut(file, self.reader.sources.text(file)) {
            if piece.has(Kind::Top) {
                self.reader.read_piece(&piece, Kind::Top);
            }
            if piece.kind != Some(Kind::Top) {
                self.pieces.push(piece);
            }
        }
    }

    /// All that is to be read, the last one first.
    fn order(&self) -> Vec<(Kind, usize)> {
        let kinds = [Kind::Service, Kind::Pool, Kind::Listener];
        let places = || (0..self.pieces.len()).rev();
        let all = kinds.into_iter().flat_map(|kind| places().map(move |at| (kind, at)));
        all.filter(|&(kind, at)| self.pieces[at].has(kind)).collect()
    }

    fn read(&mut self) -> Step {
        let Some((kind, at)) = self.to_read.pop() else { return Step::Sort };
        self.reader.read_piece(&self.pieces[at], kind);
        Step::Read
    }

    fn check_ties(&mut self, at: usize) -> Step {
        self.reader.check_ties(at);
        Step::Ties(at + 1)
    }

    fn find_probed(&mut self) -> Step {
        self.probed = self.reader.pools_of_streams();
        Step::Service(0)
    }

    fn check_service(&mut self, at: usize) -> Step {
        self.reader.check_service(at, &self.probed);
        Step::Service(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::reader::SYNTAX_ERRORS_SHOWN;

    #[test]
    fn of_what_is_no_toml_a_few_errors_are_kept_and_it_is_read_once() {
        let lines: String = (0..300).map(|at| format!("k{at} = 1 zzz\n")).collect();
        for (text, read_once) in
            [(lines.clone(), false), (format!("pool.a = 1 2\n{lines}"), true)]
        {
            let mut reading = Reading::of_text("x.toml", &text, &|_| None);
            while reading.step() {}
            assert_eq!(reading.reader.syntax.len(), SYNTAX_ERRORS_SHOWN);
            assert_eq!(reading.pieces.iter().any(|it| it.kind.is_none()), read_once);
            let (mistakes, _) = reading.finish().err().unwrap();
            let says: Vec<&str> = mistakes.iter().map(|it| &*it.says).collect();
            assert!(says.len() <= SYNTAX_ERRORS_SHOWN + 1, "{says:?}");
            assert!(!says.iter().any(|it| it.contains("tables with names")), "{says:?}");
        }
    }
}
