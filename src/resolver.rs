//! The names of backends, looked up by the loop itself: the sockets and timers around
//! [`crate::dns`], which knows what is asked and what an answer means.
//!
//! ```text
//!   follow(names) --> due --> look-up under way --------> Watched::told --> changed names
//!                      ^        |         ^                    |                 |
//!                      |        v         | events             |          event_loop::naming:
//!                      |      Line: a UDP or TCP socket        |          addresses of servers,
//!                      +---------- at its TTL, or later <------+          members of pools
//! ```
//!
//! One timer for all of it. At most [`DNS_LOOKUPS_MAX`] look-ups are under way; the others wait for
//! a place (see `places`) in the order in which they are due. So a thousand names cost neither a
//! thousand sockets nor a long turn, and none that is silent holds up the others. Nothing here
//! waits, and nobody is told of a name that has not changed.

mod files;
mod following;
mod line;
mod places;
mod said;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use mio::event::Event;

use crate::config::{DnsSettings, Target};
use crate::context::Context;
use crate::dns::Random;
use crate::dns::ask::Transport;
use crate::dns::lookup::{Answer, Failure, Lookup, Step, Wanted};
use crate::dns::watched::{Bounds, Watched};
use crate::event::{Chore, Key, Owner, Slots, TimerKey};
use crate::limits::{DNS_LOOKUPS_MAX, DNS_MESSAGES_PER_TURN};

pub use following::{Changed, Follower, NameNow, known_by_file, wanted_of};

use files::Files;
use following::families;
use line::{Heard, Line};
use places::{Due, Place, Standing};
use said::{Lines, News, Said, say};

/// All names, and what is under way for them.
pub struct Resolver {
    settings: DnsSettings,
    files: Files,
    names: Slots<Entry>,
    /// Where each is.
    keys: HashMap<Wanted, Key>,
    /// The same as they are written, so that each is read once.
    places: HashMap<Target, Key>,
    /// Those that are not under way.
    due: Due,
    /// Those that are.
    under_way: Vec<Key>,
    lines: Slots<Line>,
    /// Lines to be closed at the end of this turn.
    over: Vec<Key>,
    /// Those of which something is another since somebody asked.
    changed: Vec<Key>,
    /// How many were never looked up to an end.
    unknown: usize,
    said: Lines,
    timer: TimerKey,
    random: Random,
}

/// A name.
struct Entry {
    /// As the operator wrote it.
    text: String,
    watched: Watched,
    lookup: Option<UnderWay>,
    standing: Standing,
    /// It was looked up to an end at least once.
    is_told: bool,
    /// A set of the configuration is written so.
    is_of_set: bool,
    /// The servers that have it.
    servers: Vec<usize>,
    said: Said,
}

struct UnderWay {
    lookup: Lookup,
    place: Place,
    lines: Vec<Key>,
    until: Instant,
}

impl Resolver {
    /// Nothing is looked up yet.
    pub fn new(settings: &DnsSettings, cx: &mut Context) -> Resolver {
        Resolver {
            settings: settings.clone(),
            files: Files::default(),
            names: Slots::default(),
            keys: HashMap::new(),
            places: HashMap::new(),
            due: Due::default(),
            under_way: Vec::new(),
            lines: Slots::default(),
            over: Vec::new(),
            changed: Vec::new(),
            unknown: 0,
            said: Lines::default(),
            timer: cx.timers.create(Owner::Chore(Chore::Names)),
            random: Random::System,
        }
    }

    /// Look up by these rules from now on.
    pub fn configure(&mut self, settings: &DnsSettings, cx: &mut Context) {
        if self.settings == *settings {
            return;
        }
        self.settings = settings.clone();
        let bounds = self.bounds();
        self.files.forget();
        self.each_waiting(|watched| {
            watched.bound(bounds, cx.now);
            watched.hurry(cx.now);
        });
        self.arm(cx);
    }

    /// The files about names may be others by now, and so may the answers.
    pub fn look_again(&mut self, cx: &mut Context) {
        self.files.forget();
        self.each_waiting(|watched| watched.hurry(cx.now));
        self.arm(cx);
    }

    fn bounds(&self) -> Bounds {
        Bounds { min: self.settings.min_ttl, max: self.settings.max_ttl }
    }

    /// Change when a name is due, unless it is under way.
    fn reschedule(&mut self, key: Key, change: impl FnOnce(&mut Watched)) {
        let Some(entry) = self.names.get_mut(key) else { return };
        let before = entry.watched.due();
        change(&mut entry.watched);
        if self.due.remove(entry.standing, before, key) {
            self.due.insert(entry.standing, entry.watched.due(), key);
        }
    }

    fn each_waiting(&mut self, mut change: impl FnMut(&mut Watched)) {
        let keys: Vec<Key> = self.names.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.reschedule(key, &mut change));
    }
}

/// What goes on over time.
impl Resolver {
    /// Note what an event says of a line, and let it act.
    pub fn mark(&mut self, key: Key, event: &Event, cx: &mut Context) {
        let Some(line) = self.lines.get_mut(key).filter(|it| !it.is_over) else { return };
        line.mark(event);
        cx.run_queue.push(Owner::Line(key), &mut line.queued);
    }

    /// A line's turn: what came is heard, some messages at a time.
    pub fn act(&mut self, key: Key, cx: &mut Context) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.queued = false;
        if line.is_over {
            return;
        }
        let name = line.name;
        let Some(under_way) = self.names.get_mut(name).and_then(|it| it.lookup.as_mut()) else {
            return;
        };
        let lookup = &mut under_way.lookup;
        let strangers = lookup.strangers();
        let server = line.server;
        let transport = line.transport;
        for _ in 0..DNS_MESSAGES_PER_TURN {
            match line.hear(&mut cx.scratch) {
                Heard::Nothing => break,
                Heard::Message(message) => lookup.heard(server, transport, message),
                Heard::Broken(why) => {
                    lookup.failed(server, transport, &why);
                    line.is_broken = true;
                    break;
                }
            }
        }
        cx.stats.dns.strangers += u64::from(lookup.strangers() - strangers);
        let goes_on = line.arm(&cx.registry, Owner::Line(key));
        if let Err(error) = goes_on.filter(|_| !line.is_broken).unwrap_or(Ok(())) {
            lookup.failed(server, transport, &error.to_string());
            line.is_broken = true;
        }
        if line.has_more() {
            cx.run_queue.push(Owner::Line(key), &mut line.queued);
        }
        self.go_on(name, cx);
        self.start_due(cx);
        self.arm(cx);
    }

    /// Something is due: a name, or a server that has not answered.
    pub fn on_timer(&mut self, cx: &mut Context) {
        let is_late = |key: &&Key| {
            let lookup = self.names.get(**key).and_then(|it| it.lookup.as_ref());
            lookup.is_some_and(|it| it.until <= cx.now)
        };
        let late: Vec<Key> = self.under_way.iter().filter(is_late).copied().collect();
        late.into_iter().for_each(|key| self.go_on(key, cx));
        self.start_due(cx);
        self.arm(cx);
    }

    /// Those that are due are looked up, as many at a time as may.
    fn start_due(&mut self, cx: &mut Context) {
        loop {
            let taken = self.taken();
            // A file that is still read is gone on with in the next turn.
            if self.due.next(&taken, cx.now).is_none_or(|at| at > cx.now)
                || !self.files.are_read(&self.settings, cx.now)
            {
                return;
            }
            let Some(key) = self.due.take(&taken, cx.now) else { return };
            let Some(entry) = self.names.get_mut(key) else { continue };
            let families = families(self.settings.families);
            let lookup = Lookup::new(
                entry.watched.wanted(),
                families,
                &self.files.conf,
                &self.files.hosts,
                self.random.clone(),
            );
            cx.stats.dns.lookups += 1;
            let place = Place { standing: entry.standing, since: cx.now };
            entry.lookup = Some(UnderWay { lookup, place, lines: Vec::new(), until: cx.now });
            self.under_way.push(key);
            self.go_on(key, cx);
        }
    }

    /// As far as a look-up comes now.
    fn go_on(&mut self, key: Key, cx: &mut Context) {
        loop {
            let Some(entry) = self.names.get_mut(key) else { return };
            let Some(under_way) = &mut entry.lookup else { return };
            match under_way.lookup.next(cx.now) {
                Step::Send { server, transport, bytes } => {
                    let sent =
                        send(under_way, &mut self.lines, key, server, transport, &bytes, cx);
                    if let Err(why) = sent {
                        under_way.lookup.failed(server, transport, &why);
                    }
                }
                Step::Wait { until } => {
                    under_way.until = until;
                    return;
                }
                Step::Done(result) => return self.finish(key, result, cx),
            }
        }
    }

    fn finish(&mut self, key: Key, result: Result<Answer, Failure>, cx: &mut Context) {
        let Some(entry) = self.names.get_mut(key) else { return };
        let lookup = entry.lookup.take();
        if let Some(under_way) = &lookup {
            entry.standing = under_way.place.outcome(cx.now);
        }
        let is_first = !std::mem::replace(&mut entry.is_told, true);
        self.unknown -= usize::from(is_first);
        cx.stats.dns.failures += u64::from(result.is_err());
        let before = entry.watched.failing().map(|it| it.last.clone());
        let change = entry.watched.told(result, cx.now, &mut self.random);
        let news = News { change: &change, before, is_first };
        say(entry, &news, &mut self.said, cx.now);
        if !change.is_none() {
            self.changed.push(key);
        }
        self.due.insert(entry.standing, entry.watched.due(), key);
        self.under_way.retain(|it| *it != key);
        self.close(lookup);
    }

    /// Its lines are closed at the end of the turn.
    fn close(&mut self, lookup: Option<UnderWay>) {
        for key in lookup.into_iter().flat_map(|it| it.lines) {
            if let Some(line) = self.lines.get_mut(key) {
                line.is_over = true;
                self.over.push(key);
            }
        }
    }

    /// The places of those that are under way, those that began first before others.
    fn taken(&self) -> Vec<Place> {
        let lookups =
            self.under_way.iter().filter_map(|it| self.names.get(*it)?.lookup.as_ref());
        lookups.map(|it| it.place).collect()
    }

    fn arm(&mut self, cx: &mut Context) {
        let due = self.due.next(&self.taken(), cx.now);
        let lookups =
            self.under_way.iter().filter_map(|key| self.names.get(*key)?.lookup.as_ref());
        let until = lookups.map(|it| it.until).min();
        // Where nothing is, it may fire once more, and finds nothing to do.
        if let Some(at) = due.into_iter().chain(until).min() {
            cx.timers.arm(self.timer, at);
        }
    }

    /// Whether lines are to be closed.
    pub fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Close the lines of look-ups that are over, but for those that wait in the run queue.
    pub fn reap(&mut self) {
        let lines = &mut self.lines;
        self.over.retain(|&key| {
            let waits = lines.get(key).is_some_and(|line| line.queued);
            if !waits {
                lines.remove(key);
            }
            waits
        });
    }

    /// What names, look-ups and lines must agree on. How many lines wait in the run queue.
    pub fn check_invariants(&self) -> usize {
        assert_eq!(self.names.len(), self.keys.len(), "names and where they are");
        let is_there = |key: &Key| self.names.get(*key).is_some();
        assert!(self.places.values().all(is_there), "places of names that are followed");
        let under_way = self.names.iter().filter(|(_, it)| it.lookup.is_some()).count();
        assert_eq!(under_way, self.under_way.len(), "names under way");
        assert!(under_way <= DNS_LOOKUPS_MAX, "{under_way} names under way");
        assert_eq!(self.names.len(), under_way + self.due.len(), "who is not under way is due");
        let untold = self.names.iter().filter(|(_, it)| !it.is_told).count();
        assert_eq!(untold, self.unknown, "names that nobody was told of");
        let lookups = self.names.iter().filter_map(|(_, it)| it.lookup.as_ref());
        let lines: usize = lookups.map(|it| it.lines.len()).sum();
        assert_eq!(self.lines.len(), lines + self.over.len(), "lines and their look-ups");
        self.lines.iter().filter(|(_, line)| line.queued).count()
    }

    /// Whether this line is there.
    pub fn has(&self, key: Key) -> bool {
        self.lines.get(key).is_some()
    }
}

/// By the line of the look-up to this server, or by a new one.
fn send(
    under_way: &mut UnderWay,
    lines: &mut Slots<Line>,
    name: Key,
    server: SocketAddr,
    transport: Transport,
    bytes: &[u8],
    cx: &mut Context,
) -> Result<(), String> {
    let is_it = |line: &Line| line.serves(server, transport);
    let mut known = under_way.lines.iter().copied();
    let known = known.rfind(|key| lines.get(*key).is_some_and(is_it));
    let key = match known {
        Some(key) => key,
        None => {
            let opened = cx.open_with(|_| Line::open(name, server, transport));
            let line = opened.map_err(|fault| fault.to_string())?;
            let key = lines.insert_with(|_| line);
            under_way.lines.push(key);
            let line = lines.get_mut(key).ok_or("it is gone")?;
            if let Err(error) = line.register(&cx.registry, Owner::Line(key)) {
                line.is_broken = true;
                return Err(error.to_string());
            }
            key
        }
    };
    let line = lines.get_mut(key).ok_or("it is gone")?;
    line.send(bytes)?;
    match line.arm(&cx.registry, Owner::Line(key)) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(()),
    }
}
