//! What is wrong with a configuration: the setting by its key, and a sentence in which other
//! settings are keys as well, for each front-end to put in its own words.
//!
//! Pure. Made by `config`, by `net::tls` for its files and by `startup`; spelled by whoever prints
//! them.

use std::fmt;

use super::desired::Subject;
use super::key::{SettingKey, Spelling};
use super::text::quoted;

/// A piece of a sentence that mentions settings by their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(SettingKey),
    WithValue(SettingKey, String),
}

/// What is wrong with a value: what was found, what would be right. Always one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    found: Phrase,
    want: Phrase,
}

/// What is wrong, and with which setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The setting.
    pub at: SettingKey,
    /// What it is a setting of, if that is known.
    pub of: Option<Subject>,
    /// Which one of several, by what was written there.
    item: Option<Box<str>>,
    /// The file that it is about, as it was named.
    file: Option<Box<str>>,
    wrong: Phrase,
}

/// All complaints about one configuration, to be told at once.
#[derive(Debug, Default)]
pub struct Complaints {
    list: Vec<Complaint>,
    /// What depends on these cannot be judged.
    failed: Vec<SettingKey>,
}

impl Phrase {
    /// There has to be one at least, for example this one.
    pub fn such_as(key: SettingKey, example: &str) -> Phrase {
        Phrase::from("at least one such as ").setting(key, example)
    }

    /// Go on with these words.
    #[must_use]
    pub fn text(mut self, words: impl Into<String>) -> Phrase {
        self.0.push(Part::Text(words.into()));
        self
    }

    /// Go on with the name of a setting.
    #[must_use]
    pub fn name(mut self, key: SettingKey) -> Phrase {
        self.0.push(Part::Name(key));
        self
    }

    /// Go on with a setting that has this value.
    #[must_use]
    pub fn setting(mut self, key: SettingKey, value: impl Into<String>) -> Phrase {
        self.0.push(Part::WithValue(key, value.into()));
        self
    }

    /// Go on with another phrase.
    #[must_use]
    pub fn phrase(mut self, other: impl Into<Phrase>) -> Phrase {
        self.0.extend(other.into().0);
        self
    }

    /// In a front-end's words.
    pub fn spelled(&self, spelling: Spelling) -> String {
        let spell = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(key) => (spelling.name)(*key),
            Part::WithValue(key, value) => (spelling.with_value)(*key, value),
        };
        self.0.iter().map(spell).collect()
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Phrase {
        Phrase::default().text(text)
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Phrase {
        Phrase::default().text(text)
    }
}

impl From<Wrong> for Phrase {
    fn from(wrong: Wrong) -> Phrase {
        Phrase::from("found ").phrase(wrong.found).text(", want ").phrase(wrong.want)
    }
}

/// By the paths of settings, for tests and where no front-end is known.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(Spelling::PATHS))
    }
}

impl Wrong {
    /// This text was found; it is shown in quotes, escaped and cut to a readable length.
    pub fn found(text: &str, want: impl Into<Phrase>) -> Wrong {
        Wrong::saying(quoted(text), want)
    }

    /// As [`Wrong::found`], for a part of a longer text.
    pub fn found_in(part: &str, whole: &str, want: impl Into<Phrase>) -> Wrong {
        Wrong::saying(format!("{} in {}", quoted(part), quoted(whole)), want)
    }

    /// What was found is said in words; quote what comes from outside with [`quoted`].
    pub fn saying(found: impl Into<Phrase>, want: impl Into<Phrase>) -> Wrong {
        Wrong { found: found.into(), want: want.into() }
    }

    /// The same, found at this character of a longer text, counted from one.
    #[must_use]
    pub fn at_character(self, place: usize) -> Wrong {
        Wrong { found: self.found.text(format!(" at character {place}")), ..self }
    }

    /// A setting is missing that this one needs.
    pub fn without(key: SettingKey, example: &str) -> Wrong {
        let found = Phrase::from("no ").name(key);
        Wrong::saying(found, Phrase::default().setting(key, example).text(" with it"))
    }

    /// In a front-end's words.
    pub fn spelled(&self, spelling: Spelling) -> String {
        Phrase::from(self.clone()).spelled(spelling)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, want {}", self.found, self.want)
    }
}

impl std::error::Error for Wrong {}

impl Complaint {
    /// Of a setting.
    pub fn new(at: SettingKey, wrong: impl Into<Phrase>) -> Complaint {
        Complaint { at, of: None, item: None, file: None, wrong: wrong.into() }
    }

    /// Of one of several of a kind, the one that was written so.
    pub fn of(at: SettingKey, item: impl Into<String>, wrong: impl Into<Phrase>) -> Complaint {
        Complaint { item: Some(item.into().into()), ..Complaint::new(at, wrong) }
    }

    /// The same of another setting.
    #[must_use]
    pub fn at(self, at: SettingKey) -> Complaint {
        Complaint { at, ..self }
    }

    /// The same, of this.
    #[must_use]
    pub fn about(self, subject: Subject) -> Complaint {
        Complaint { of: Some(subject), ..self }
    }

    /// The same, of this file, which one of several values names.
    #[must_use]
    pub fn in_file(self, name: &str) -> Complaint {
        Complaint { file: Some(name.into()), ..self }
    }

    /// Which one of several, by what was written there.
    pub fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    /// The file that it is about, if it is about one.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// What is wrong, without where, in a front-end's words.
    pub fn says(&self, spelling: Spelling) -> String {
        self.wrong.spelled(spelling)
    }

    /// In a front-end's words, on one line.
    pub fn spelled(&self, spelling: Spelling) -> String {
        let at = match &self.of {
            Some(Subject::Backend { pool, .. }) if self.at == SettingKey::BACKEND => {
                (spelling.backend_of)(pool)
            }
            _ => self.at,
        };
        let at = match &self.item {
            Some(item) => (spelling.with_value)(at, item),
            None => (spelling.name)(at),
        };
        format!("{at}: {}", self.wrong.spelled(spelling))
    }
}

impl Complaints {
    /// Complain of this.
    pub fn of(&mut self, key: SettingKey, wrong: Wrong) {
        self.add(Complaint::new(key, wrong));
    }

    /// Complain of this, which may be one of several.
    pub fn add(&mut self, complaint: Complaint) {
        self.failed.push(complaint.at);
        self.list.push(complaint);
    }

    /// Complain of what was found, unless something that it follows from has a complaint itself.
    pub fn check(&mut self, key: SettingKey, needs: &[SettingKey], checked: Result<(), Wrong>) {
        if let Err(wrong) = checked
            && !needs.iter().any(|&need| self.has_failed(need))
        {
            self.of(key, wrong);
        }
    }

    /// The front-end has complained of this itself.
    pub fn note_failed(&mut self, key: SettingKey) {
        self.failed.push(key);
    }

    /// Whether something is wrong with this.
    pub fn has_failed(&self, key: SettingKey) -> bool {
        self.failed.contains(&key)
    }

    /// What there is to be said; what failed stays known.
    pub fn take(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOUTED: Spelling = Spelling {
        name: |key| key.to_string().to_uppercase(),
        with_value: |key, value| format!("{}: {value}", key.to_string().to_uppercase()),
        backend_of: |_| SettingKey::BACKEND,
    };

    #[test]
    fn each_front_end_spells_a_complaint_in_its_own_words() {
        let wrong = Wrong::saying(
            Phrase::from("'/a' at ").name(SettingKey::HEALTH_PATH).text(" too"),
            Phrase::default().setting(SettingKey::STATS_PATH, "/b"),
        );
        let complaint = Complaint::of(SettingKey::STATS_PATH, "/a", wrong);
        assert_eq!(
            complaint.spelled(Spelling::PATHS),
            "service.stats_path = /a: found '/a' at service.health_path too, want \
             service.stats_path = /b"
        );
        assert_eq!(
            complaint.spelled(SHOUTED),
            "SERVICE.STATS_PATH: /a: found '/a' at SERVICE.HEALTH_PATH too, want \
             SERVICE.STATS_PATH: /b"
        );
        let wrong = Wrong::without(SettingKey::ACCESS_LOG, "FILE");
        assert_eq!(
            Complaint::new(SettingKey::ACCESS_LOG_FORMAT, wrong).spelled(Spelling::PATHS),
            "global.access_log.format: found no global.access_log.file, want \
             global.access_log.file = FILE with it"
        );
    }

    #[test]
    fn what_follows_from_a_mistake_is_not_complained_of() {
        let mut complaints = Complaints::default();
        complaints.of(SettingKey::CHECK, Wrong::found("x", "y"));
        let wrong = || Err(Wrong::found("a", "b"));
        complaints.check(SettingKey::CHECK_HOST, &[SettingKey::CHECK], wrong());
        complaints.check(SettingKey::CHECK_HOST, &[SettingKey::LISTEN], Ok(()));
        assert_eq!(complaints.take().len(), 1);
        complaints.note_failed(SettingKey::LISTEN);
        complaints.check(SettingKey::VIA, &[SettingKey::LISTEN], wrong());
        complaints.check(SettingKey::VIA, &[SettingKey::BACKEND], wrong());
        assert!(
            complaints.has_failed(SettingKey::CHECK) && complaints.has_failed(SettingKey::VIA)
        );
        assert_eq!(complaints.take().len(), 1);
    }
}
