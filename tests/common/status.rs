//! What a balancer says of itself: its log, and its status page.
//!
//! A thread reads the log, so that a line is there later than what it is about. Whoever asserts
//! on the log takes [`Balancer::log`], whose last line is younger than the question; whoever waits
//! for a line looks at [`Balancer::log_so_far`] until it is there.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Balancer, until};

/// A page that is asked for while another one is being written is not begun: ask again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What the status page says of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `up?`, `up 3s`, `down 1m`.
    pub state: String,
    /// With a `~` in front during a slow start.
    pub weight: String,
    /// Connections now.
    pub active: usize,
    /// Connections ever.
    pub total: usize,
    /// Connects that failed.
    pub failed: usize,
    /// The last load reported, or `-`.
    pub load: String,
}

impl Row {
    fn parse(line: &str) -> Row {
        let words: Vec<&str> = line.split_whitespace().collect();
        let end = words.len();
        let number = |back: usize| words[end - back].parse().expect("a number");
        Row {
            state: words[1..end - 7].join(" "),
            weight: words[end - 7].to_string(),
            active: number(6),
            total: number(5),
            failed: number(4),
            load: words[end - 3].to_string(),
        }
    }

    /// Whether it counts as up.
    pub fn is_up(&self) -> bool {
        self.state.starts_with("up")
    }

    /// Whether a probe said that it is up.
    pub fn is_known_up(&self) -> bool {
        self.state.starts_with("up ")
    }
}

impl Balancer {
    /// All that it logged until now, to the last line: a status page that is asked for now comes
    /// after it (at `--log-level info` or more). Of a process that is over, all it ever logged.
    #[track_caller]
    pub fn log(&self) -> String {
        self.of_fresh_page("its log is read to the end", |page| {
            (!page.is_empty() || self.reader.is_finished()).then_some(())
        });
        self.log_so_far()
    }

    /// What was read of its log so far: only to look for what is to come.
    pub fn log_so_far(&self) -> String {
        self.log.lock().expect("no panic while logging").clone()
    }

    /// Wait until the log contains `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        until(&format!("the log says {text:?}"), || self.log_so_far().contains(text));
    }

    /// A fresh status page, what is in front of its lines taken off; the backends' lines are last.
    #[track_caller]
    pub fn page(&self) -> Vec<String> {
        let count = 2 + self.backends;
        self.of_fresh_page("the status page is written", |page| {
            let lines = page.get(..count)?;
            Some(lines.iter().map(|line| line.to_string()).collect())
        })
    }

    /// The line of a fresh status page that has this text.
    #[track_caller]
    pub fn page_line(&self, text: &str) -> String {
        self.of_fresh_page(&format!("the status page has {text:?}"), |page| {
            page.iter().find(|line| line.contains(text)).map(|line| line.to_string())
        })
    }

    /// Ask for a status page, and wait until there is enough of it.
    ///
    /// The lines before its first one may be the end of an earlier page.
    #[track_caller]
    fn of_fresh_page<T>(&self, what: &str, take: impl Fn(&[&str]) -> Option<T>) -> T {
        let mark = self.log_so_far().len();
        let mut asked = None;
        let mut taken = None;
        until(what, || {
            let log = self.log_so_far();
            let lines = log[mark..].lines().filter_map(|line| line.split_once("status: "));
            let lines = lines.map(|(_, line)| line);
            let page: Vec<&str> =
                lines.skip_while(|line| !line.contains(" accepted: ")).collect();
            let is_time = asked.is_none_or(|at: Instant| at.elapsed() > ASK_AGAIN);
            if page.is_empty() && is_time && !self.has_exited {
                self.signal(Signal::USR1);
                asked = Some(Instant::now());
            }
            taken = take(&page);
            taken.is_some()
        });
        taken.expect("it was waited for")
    }

    /// The number before a word, on the line of a fresh status page that has it.
    #[track_caller]
    pub fn page_number(&self, word: &str) -> usize {
        let line = self.page_line(word);
        let before = line.split_once(word).expect("it was found").0;
        let number = before.trim_end().rsplit(' ').next().expect("a number is there");
        number.parse().expect("it is a number")
    }

    /// The line of a fresh status page about UDP.
    pub fn udp_line(&self) -> String {
        self.page_line("udp: ")
    }

    /// The number that the first line of the status page has before a word.
    pub fn count(&self, word: &str) -> usize {
        let line = self.page().swap_remove(0);
        let before = line.split_once(&format!(" {word}")).expect("the page has it").0;
        let number = before.rsplit(' ').next().expect("a number is there");
        number.parse().expect("it is a number")
    }

    /// What the status page says of the longest turn.
    pub fn longest_turn(&self) -> Duration {
        let line = self.page().swap_remove(0);
        let text = line.split_once("longest turn ").expect("the page has it").1;
        let millis: f64 = text.split(' ').next().expect("a word").parse().expect("a number");
        Duration::from_secs_f64(millis / 1e3)
    }

    /// The status page's line for a backend.
    pub fn row(&self, backend: &str) -> Row {
        let page = self.page();
        let line = page.iter().find(|line| line.split(' ').next() == Some(backend));
        Row::parse(line.expect("the backend has a line"))
    }

    /// Wait until a backend's line is as wanted.
    #[track_caller]
    pub fn wait_for_row(&self, backend: &str, mut wanted: impl FnMut(&Row) -> bool) -> Row {
        let mut row = self.row(backend);
        until(&format!("the status page is right for {backend}: {row:?}"), || {
            row = self.row(backend);
            wanted(&row)
        });
        row
    }

    /// Wait until no client is left.
    #[track_caller]
    pub fn wait_until_idle(&self) {
        until("all connections are closed", || self.count("open of") == 0);
    }
}
