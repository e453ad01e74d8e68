//! What the log says of names: what came and went, and what is wrong, once for each time that it
//! begins.
//!
//! Never much, whatever DNS says: of a name a line each [`DNS_LINES`] after its first, which then
//! counts what it left out; of all names together [`DNS_LINES_AT_ONCE`] in that time, by level, so
//! that thousands that are found at a start do not hide one that is not. What is left out is there
//! with `--log-level debug`.

use std::time::Instant;

use log::{Level, debug, log};

use crate::config::counted;
use crate::dns::change::{Change, Member};
use crate::dns::lookup::Failure;
use crate::limits::{DNS_LINES, DNS_LINES_AT_ONCE};

use super::Entry;

/// So many addresses are said by name.
const SAID: usize = 4;

/// What was said of a name.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// When it was last, the first answer apart.
    at: Option<Instant>,
    /// What is not said since.
    held: u32,
}

/// What was said of all names.
#[derive(Debug, Default)]
pub(super) struct Lines {
    infos: Share,
    warnings: Share,
}

/// The lines of a level.
#[derive(Debug, Default)]
struct Share {
    since: Option<Instant>,
    said: usize,
    left_out: usize,
}

/// What became of a name.
pub(super) struct News<'a> {
    pub change: &'a Change,
    /// Why the look-up before failed, if it did.
    pub before: Option<Failure>,
    /// It was looked up for the first time.
    pub is_first: bool,
}

/// A line.
type Line = (Level, String);

/// A look-up is over.
pub(super) fn say(entry: &mut Entry, news: &News<'_>, lines: &mut Lines, now: Instant) {
    for (level, text) in what_to_say(entry, news, lines, now) {
        log!(level, "{text}");
    }
}

fn what_to_say(
    entry: &mut Entry,
    news: &News<'_>,
    lines: &mut Lines,
    now: Instant,
) -> Vec<Line> {
    let mut all: Vec<Line> = lines.left_out(now).collect();
    let mut own = lines_of(entry, news, now);
    if own.is_empty() && entry.said.held == 0 {
        return all;
    }
    let since = entry.said.at.map(|at| now.saturating_duration_since(at));
    if since.is_some_and(|it| it < DNS_LINES) {
        entry.said.held += u32::from(!own.is_empty());
        all.extend(own.into_iter().map(|(_, text)| (Level::Debug, text)));
        return all;
    }
    let held = std::mem::take(&mut entry.said.held);
    if let Some(since) = since.filter(|_| held > 0) {
        let changes = counted((held + u32::from(!own.is_empty())) as usize, "change");
        own.iter_mut().for_each(|it| it.0 = Level::Debug);
        own.push(summary(entry, &format!("{changes} in {} s", since.as_secs())));
    }
    for (level, text) in own {
        let is_said = level == Level::Debug || lines.allows(level, now);
        if is_said && level != Level::Debug && !news.is_first {
            entry.said.at = Some(now);
        }
        all.push((if is_said { level } else { Level::Debug }, text));
    }
    all
}

/// How a name is after changes of which nothing was said.
fn summary(entry: &Entry, changes: &str) -> Line {
    let name = &entry.text;
    let all = entry.watched.members();
    let members = counted(all.len(), "member");
    match entry.watched.failing() {
        Some(failing) => {
            let why = &failing.last;
            (Level::Warn, format!("name {name}: {changes}, now {why}; the {members} hold"))
        }
        None => {
            (Level::Info, format!("name {name}: {changes}, now {members}: {}", some_of(all)))
        }
    }
}

fn lines_of(entry: &Entry, news: &News<'_>, now: Instant) -> Vec<Line> {
    let News { change, before, .. } = news;
    let name = &entry.text;
    let members = counted(entry.watched.members().len(), "member");
    let mut lines = Vec::new();
    match (entry.watched.failing(), before) {
        (Some(failing), None) => {
            let why = &failing.last;
            let text = match entry.watched.last_good() {
                Some(good) => {
                    let ago = now.saturating_duration_since(good.at).as_secs();
                    let is_recalled = entry.watched.is_recalled();
                    let whence = if is_recalled { ", from the state," } else { "" };
                    format!("name {name}: {why}; the {members} of {ago} s ago{whence} hold")
                }
                None => format!("name {name}: {why}; it is looked up again and again"),
            };
            lines.push((Level::Warn, text));
        }
        (Some(failing), Some(_)) => debug!("name {name}: {}, still", failing.last),
        (None, Some(_)) => {
            lines.push((Level::Info, format!("name {name}: it is found again, {members}")));
        }
        (None, None) => {}
    }
    if !change.added.is_empty() || !change.gone.is_empty() {
        let some = |all: &[Member], what| {
            (!all.is_empty()).then(|| format!("{} {what}", some_of(all)))
        };
        let both = some(&change.added, "came").into_iter().chain(some(&change.gone, "went"));
        let both: Vec<String> = both.collect();
        lines.push((Level::Info, format!("name {name}: {}; {members}", both.join(", "))));
    }
    let left_out = entry.watched.last_good().map_or(0, |it| it.left_out);
    if left_out > 0 && !change.is_none() {
        let text = format!(
            "name {name}: {left_out} more are left out: too many, or no address of a server"
        );
        lines.push((Level::Warn, text));
    }
    lines
}

fn some_of(all: &[Member]) -> String {
    let shown: Vec<String> = all.iter().take(SAID).map(|it| it.address.to_string()).collect();
    let more = all.len().saturating_sub(SAID);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

impl Lines {
    fn allows(&mut self, level: Level, now: Instant) -> bool {
        let share = if level == Level::Warn { &mut self.warnings } else { &mut self.infos };
        share.allows(now)
    }

    /// What there is to be said of lines that were not, as soon as some may be again.
    fn left_out(&mut self, now: Instant) -> impl Iterator<Item = Line> {
        let infos = self.infos.left_out(now).map(|it| (Level::Info, it));
        let warnings = self.warnings.left_out(now).map(|it| (Level::Warn, it));
        infos.into_iter().chain(warnings).map(|(level, count)| {
            let lines = counted(count, "line");
            let all = "pointsman ctl names has all";
            (level, format!("names: {lines} more were not written; {all}"))
        })
    }
}

impl Share {
    fn is_over(&self, now: Instant) -> bool {
        self.since.is_none_or(|it| now.saturating_duration_since(it) >= DNS_LINES)
    }

    fn allows(&mut self, now: Instant) -> bool {
        if self.is_over(now) {
            *self = Share { since: Some(now), ..Share::default() };
        }
        let is_allowed = self.said < DNS_LINES_AT_ONCE;
        self.said += usize::from(is_allowed);
        self.left_out += usize::from(!is_allowed);
        is_allowed
    }

    fn left_out(&mut self, now: Instant) -> Option<usize> {
        if self.left_out == 0 || !self.is_over(now) {
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dns::lookup::{Answer, Endpoint, Wanted};
    use crate::dns::search::Written;
    use crate::dns::watched::{Bounds, Watched};
    use crate::dns::{Name, Random};

    struct Told {
        entry: Entry,
        lines: Lines,
        now: Instant,
    }

    impl Told {
        fn new() -> Told {
            let now = Instant::now();
            Told { entry: entry(now), lines: Lines::default(), now }
        }

        /// After a second there is this answer, or none; the lines but those for debugging.
        fn hear(&mut self, ips: &[u8]) -> Vec<String> {
            self.now += Duration::from_secs(1);
            hear(&mut self.entry, ips, &mut self.lines, self.now)
        }
    }

    fn entry(now: Instant) -> Entry {
        let wanted = Wanted::Addresses(Written::new("api.test").unwrap(), 80);
        Entry::new("dns://api.test:80", Watched::new(wanted, Bounds::default(), now))
    }

    fn hear(entry: &mut Entry, ips: &[u8], lines: &mut Lines, now: Instant) -> Vec<String> {
        let name = Name::new("api.test").unwrap();
        let endpoint = |it: &u8| Endpoint {
            address: ([10, 0, 0, *it], 80).into(),
            target: name.clone(),
            priority: 0,
            weight: None,
        };
        let answer = match ips {
            [] => Err(Failure::NoSuchName(name.clone(), None)),
            ips => Ok(Answer {
                endpoints: ips.iter().map(endpoint).collect(),
                ttl: Duration::from_secs(1),
                name: name.clone(),
                unheard: Vec::new(),
                left_out: 0,
            }),
        };
        let before = entry.watched.failing().map(|it| it.last.clone());
        let is_first = before.is_none() && entry.watched.last_good().is_none();
        let change = entry.watched.told(answer, now, &mut Random::seeded(1));
        let news = News { change: &change, before, is_first };
        let all = what_to_say(entry, &news, lines, now);
        let said = all.into_iter().filter(|it| it.0 != Level::Debug);
        said.map(|(_, text)| text.replace("name dns://api.test:80: ", "")).collect()
    }

    #[test]
    fn a_set_that_flaps_has_a_line_each_ten_seconds_which_counts() {
        let mut told = Told::new();
        assert_eq!(told.hear(&[1]), ["10.0.0.1:80 came; 1 member"]);
        assert_eq!(told.hear(&[2]), ["10.0.0.2:80 came, 10.0.0.1:80 went; 1 member"]);
        let mut all = Vec::new();
        for at in 0..60 {
            all.extend(told.hear(&[1 + at % 2]));
        }
        assert_eq!(all.len(), 6, "{all:#?}");
        assert_eq!(all[0], "10 changes in 10 s, now 1 member: 10.0.0.2:80");
    }

    /// The last line is how it is, though the last change came when nothing might be said.
    #[test]
    fn where_it_comes_to_rest_is_said() {
        let mut told = Told::new();
        told.hear(&[1]);
        told.hear(&[2]);
        assert_eq!(told.hear(&[3]), [""; 0]);
        assert_eq!(told.hear(&[]), [""; 0]);
        let later: Vec<String> = (0..20).flat_map(|_| told.hear(&[3])).collect();
        assert_eq!(later, ["3 changes in 10 s, now 1 member: 10.0.0.3:80"]);
        let later: Vec<String> = (0..20).flat_map(|_| told.hear(&[])).collect();
        assert_eq!(later.len(), 1, "{later:?}");
        assert!(
            later[0].contains("no name api.test; the 1 member of 1 s ago hold"),
            "{later:?}"
        );
    }

    #[test]
    fn a_crowd_of_names_has_some_lines_and_hides_none_that_fails() {
        let mut now = Instant::now();
        let mut lines = Lines::default();
        let mut names: Vec<Entry> = (0..3000).map(|_| entry(now)).collect();
        let said: Vec<String> =
            names.iter_mut().flat_map(|it| hear(it, &[1], &mut lines, now)).collect();
        assert_eq!(said.len(), DNS_LINES_AT_ONCE);
        assert_eq!(hear(&mut names[2999], &[], &mut lines, now).len(), 1, "it fails");
        now += DNS_LINES;
        let said: Vec<String> =
            names.iter_mut().flat_map(|it| hear(it, &[1], &mut lines, now)).collect();
        let left_out = 3000 - DNS_LINES_AT_ONCE;
        let count = format!("names: {left_out} lines more were not written");
        assert!(said[0].starts_with(&count), "{said:?}");
        assert_eq!(said.len(), 2, "and one is found again: {said:?}");
    }
}
