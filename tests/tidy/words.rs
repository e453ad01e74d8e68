//! What the command line knows, for the man pages and the completions: flags with the words that
//! they take, commands, and the texts behind them.

use pointsman::flags::{self, Command, Row};

/// A flag, of the process or of a command.
#[derive(Clone)]
pub struct Flag {
    pub short: String,
    pub long: String,
    /// What stands for its value; empty if it has none.
    pub value: String,
    pub says: String,
    pub takes: Takes,
    /// Can be given again.
    pub repeats: bool,
}

/// What a shell may offer as its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Takes {
    /// There is none.
    Nothing,
    /// One of these words.
    Words(Vec<String>),
    File,
    /// What nobody can guess.
    Anything,
}

impl Flag {
    /// The first sentence of what it says, without what a shell would read as its own.
    pub fn in_short(&self) -> String {
        let end = self.says.match_indices(['.', ';', ':']).find(|&(at, _)| {
            let rest = &self.says[at + 1..];
            (rest.is_empty() || rest.starts_with(' ')) && !self.says[..at].ends_with("i.e")
        });
        let sentence = &self.says[..end.map_or(self.says.len(), |(at, _)| at)];
        let plain = |c: char| !"'\"`$\\[]:".contains(c);
        sentence.chars().filter(|&c| plain(c)).collect()
    }
}

/// The flags of the process.
pub fn flags() -> Vec<Flag> {
    flags::rows().map(|row| flag(&row)).collect()
}

fn flag(row: &Row) -> Flag {
    Flag {
        short: row.short.to_owned(),
        long: row.long.to_owned(),
        value: row.value.to_owned(),
        says: row.says.to_owned(),
        takes: match row.long {
            "help" => Takes::Words(topics()),
            _ => takes(row.value, || words_of(row.long)),
        },
        repeats: row.says.contains("an be repeated"),
    }
}

fn takes(value: &str, ask: impl Fn() -> Vec<String>) -> Takes {
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let words: Vec<String> =
        value.split('|').filter(is_word).map(str::to_owned).filter(|it| it.len() > 1).collect();
    if value.is_empty() {
        return Takes::Nothing;
    }
    if value.contains('|') && !words.is_empty() {
        return Takes::Words(words);
    }
    if ["FILE", "PATH"].iter().any(|it| value.starts_with(it)) {
        return Takes::File;
    }
    let words = ask();
    if words.is_empty() { Takes::Anything } else { Takes::Words(words) }
}

/// The words that a flag takes, as its own complaint lists them: each is tried.
fn words_of(long: &str) -> Vec<String> {
    let complaint = |value: &str| {
        let args = [format!("--{long}"), value.to_owned()];
        let begin = format!("--{long}: ");
        let errors = flags::parse(&args).err().unwrap_or_default();
        let lines = errors.iter().map(ToString::to_string);
        lines.into_iter().find(|line| line.starts_with(&begin))
    };
    let Some(line) = complaint("?") else { return Vec::new() };
    let Some((_, want)) = line.split_once(", want ") else { return Vec::new() };
    let want = want.trim_start_matches("one of ").replace(" or ", ", ");
    let words: Vec<String> = want.split(", ").map(str::to_owned).collect();
    let is_good = |word: &String| {
        word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && complaint(word) != Some(line.replace("'?'", &format!("'{word}'")))
    };
    if words.len() > 1 && words.iter().all(is_good) { words } else { Vec::new() }
}

/// The chapters of `--help`.
fn topics() -> Vec<String> {
    let args = ["--help".to_owned(), "help".to_owned()];
    let Ok(Command::Help(text)) = flags::parse(&args) else { return Vec::new() };
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    let words = words.filter(|word| !word.is_empty()).map(str::to_owned);
    let is_chapter = |word: &String| {
        let args = ["--help".to_owned(), word.clone()];
        // What is said of a flag alone is indented.
        matches!(flags::parse(&args), Ok(Command::Help(text)) if !text.starts_with(' '))
    };
    let mut found: Vec<String> = words.filter(is_chapter).collect();
    found.dedup();
    found
}

/// A chapter of the manual without its title.
pub fn chapter(topic: &str) -> String {
    match flags::parse(&["--help".to_owned(), topic.to_owned()]) {
        Ok(Command::Help(text)) => text.split_once('\n').expect("a title").1.to_owned(),
        _ => panic!("there is no chapter {topic}"),
    }
}

/// The flags of a command of `ctl`.
pub fn flags_of(command: &pointsman::ctl::Command) -> Vec<Flag> {
    let flag = |&(long, value, says): &pointsman::ctl::Flag| Flag {
        short: if long == "help" { "h".to_owned() } else { String::new() },
        long: long.to_owned(),
        value: value.to_owned(),
        says: says.to_owned(),
        takes: takes(value, Vec::new),
        repeats: ["header", "admin"].contains(&long),
    };
    command.flags().map(flag).collect()
}

/// The words that may stand first behind a command, such as `services` behind `show`.
pub fn first_words(command: &pointsman::ctl::Command) -> Vec<String> {
    let takes = command.takes.trim_matches(['[', ']']);
    let parts = takes.split('|').map(|it| it.split_whitespace().next().unwrap_or_default());
    let is_word = |it: &&str| !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase());
    parts.filter(is_word).map(str::to_owned).collect()
}

/// Whether the name of a backend stands behind it.
pub fn wants_backend(command: &pointsman::ctl::Command) -> bool {
    command.name != "add" && command.takes.trim_start_matches('[').starts_with("POOL/NAME")
}

/// The flags that the help of `top` lists.
pub fn flags_of_top() -> Vec<Flag> {
    let mut found: Vec<Flag> = Vec::new();
    for line in pointsman::top::HELP.lines() {
        let inner = line.trim_start();
        let is_more = line.starts_with("          ") && !inner.starts_with('-');
        match found.last_mut() {
            Some(last) if is_more => {
                last.says.push(' ');
                last.says.push_str(inner);
            }
            _ if line.starts_with("  -") => found.push(flag_of_line(inner)),
            _ => {}
        }
    }
    found
}

fn flag_of_line(line: &str) -> Flag {
    let (heading, says) = line.split_once("  ").expect("a flag and what it does");
    let (short, long) = heading.split_once(", ").unwrap_or(("", heading));
    let (long, value) = long.split_once(' ').unwrap_or((long, ""));
    Flag {
        short: short.trim_start_matches('-').to_owned(),
        long: long.trim_start_matches('-').to_owned(),
        value: value.to_owned(),
        says: says.trim().to_owned(),
        takes: takes(value, Vec::new),
        repeats: false,
    }
}

#[test]
fn values_that_can_be_guessed_are() {
    let all = flags();
    let of = |long: &str| all.iter().find(|it| it.long == long).map(|it| it.takes.clone());
    let words = |text: &str| Some(Takes::Words(text.split(' ').map(str::to_owned).collect()));
    assert_eq!(of("log-level"), words("off error warn info debug trace"));
    assert_eq!(of("on-down"), words("keep close"));
    assert_eq!(of("limit-flows"), words("none"));
    assert_eq!(of("config"), Some(Takes::File));
    assert_eq!(of("demo"), Some(Takes::Nothing));
    assert_eq!(of("rise"), Some(Takes::Anything));
    assert!(
        matches!(of("balance"), Some(Takes::Words(it)) if it.len() > 5),
        "{:?}",
        of("balance")
    );
    assert!(topics().contains(&"exit-codes".to_owned()), "{:?}", topics());
    assert!(topics().contains(&"queue".to_owned()), "{:?}", topics());
    let top: Vec<String> = flags_of_top().into_iter().map(|it| it.long).collect();
    assert_eq!(top, ["once", "json", "interval", "token", "help"]);
}
