//! Access lists out of their settings and files, in steps of a fraction of a millisecond.
//!
//! ```text
//!   networks of settings -> each file: open, read a piece ... -> sort, merge, sweep -> Ranges
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use crate::config::{
    AccessKeys, AccessLists, Complaint, Desired, SettingKey, Subject, io_words,
};
use crate::guard::lists::Lines;
use crate::guard::ranges::{Building, ListId, Listing, Ranges};
use crate::limits::{ACCESS_FILE_BYTES_MAX, ACCESS_NETWORKS_MAX, ACCESS_PIECE_BYTES};
use crate::net::file::open_file;

use super::{Preparing, Step};

/// Lists that are being read.
pub struct ReadingLists {
    subject: Subject,
    building: Building,
    networks: usize,
    to_read: VecDeque<Wanted>,
    reading: Option<Open>,
    errors: Vec<Complaint>,
}

/// A file that is to be read.
struct Wanted {
    key: SettingKey,
    name: String,
    list: ListId,
}

/// The one that is read.
struct Open {
    wanted: Wanted,
    file: File,
    bytes: u64,
    lines: Lines,
}

impl ReadingLists {
    /// Of this listener or service.
    pub fn new(wanted: &AccessLists, keys: AccessKeys, subject: Subject) -> ReadingLists {
        let mut reading = ReadingLists {
            subject,
            building: Building::default(),
            networks: 0,
            to_read: VecDeque::new(),
            reading: None,
            errors: Vec::new(),
        };
        let own =
            [(&wanted.deny, "deny", Listing::Deny), (&wanted.allow, "allow", Listing::Allow)];
        for (networks, name, listing) in own {
            if !networks.is_empty() {
                let list = reading.building.list(name, listing);
                networks.iter().for_each(|it| reading.building.add(list, *it));
                reading.networks += networks.len();
            }
        }
        let files = [
            (&wanted.deny_files, keys.deny_files, Listing::Deny),
            (&wanted.allow_files, keys.allow_files, Listing::Allow),
        ];
        for (names, key, listing) in files {
            for name in names {
                let list = reading.building.list(name, listing);
                let name = name.clone();
                reading.to_read.push_back(Wanted { key, name, list });
            }
        }
        reading
    }

    /// The next piece. Says whether there is more to do.
    pub fn step(&mut self) -> bool {
        if let Some(open) = &mut self.reading {
            match open.step(&mut self.building, &mut self.networks) {
                Ok(true) => {}
                Ok(false) => self.end_file(),
                Err(why) => {
                    let Some(Open { wanted, .. }) = self.reading.take() else { return true };
                    self.complain(&wanted, &format!("{}: {why}", wanted.name));
                }
            }
            return true;
        }
        if let Some(wanted) = self.to_read.pop_front() {
            match open_file(&wanted.name) {
                Ok(file) => {
                    let lines = Lines::default();
                    self.reading = Some(Open { wanted, file, bytes: 0, lines });
                }
                Err(error) => {
                    let why = io_words(&error);
                    self.complain(&wanted, &format!("{}: {why}", wanted.name));
                }
            }
            return true;
        }
        // What is wrong is not needed any more.
        self.errors.is_empty() && self.building.step()
    }

    /// The lists, or all that is wrong with them.
    pub fn finish(self) -> Result<Ranges, Vec<Complaint>> {
        if self.errors.is_empty() { Ok(self.building.finish()) } else { Err(self.errors) }
    }

    /// What is wrong with its lines.
    fn end_file(&mut self) {
        let Some(open) = self.reading.take() else { return };
        let name = &open.wanted.name;
        let (mistakes, more) = open.lines.mistakes();
        for mistake in mistakes {
            self.complain(&open.wanted, &format!("{name}:{}: {}", mistake.line, mistake.wrong));
        }
        if more > 0 {
            self.complain(&open.wanted, &format!("{name}: and {more} more"));
        }
    }

    fn complain(&mut self, wanted: &Wanted, why: &str) {
        let complaint = Complaint::new(wanted.key, why.to_owned());
        self.errors.push(complaint.about(self.subject.clone()).in_file(&wanted.name));
    }
}

impl Open {
    /// The next piece of the file. Says whether there is more.
    fn step(&mut self, building: &mut Building, networks: &mut usize) -> Result<bool, String> {
        let mut piece = [0; ACCESS_PIECE_BYTES];
        let list = self.wanted.list;
        let mut each = |network| {
            *networks += 1;
            if *networks <= ACCESS_NETWORKS_MAX {
                building.add(list, network);
            }
        };
        let count = self.file.read(&mut piece).map_err(|error| io_words(&error))?;
        self.bytes += count as u64;
        if count == 0 {
            self.lines.end(&mut each);
        } else {
            self.lines.feed(&piece[..count], &mut each);
        }
        if self.bytes > ACCESS_FILE_BYTES_MAX {
            return Err(format!("it has more than {ACCESS_FILE_BYTES_MAX} bytes"));
        }
        if *networks > ACCESS_NETWORKS_MAX {
            return Err(format!("with it there are more than {ACCESS_NETWORKS_MAX} networks"));
        }
        Ok(count > 0)
    }
}

impl Preparing {
    /// The access lists of a listener or a service, those that are the same once.
    pub(super) fn read_lists(&mut self, at: usize) -> Step {
        let Desired { listeners, services, .. } = &self.found.desired;
        let listener = listeners.get(at).map(|it| (&it.settings.access, AccessKeys::LISTENER));
        let service = || &services[at - listeners.len()];
        let (wanted, keys) =
            listener.unwrap_or_else(|| (&service().settings.access, AccessKeys::SERVICE));
        if wanted.is_empty() || self.found.files.access.contains_key(wanted) {
            return Step::Access(at + 1);
        }
        let subject = || match listeners.get(at) {
            Some(listener) => Subject::Listener(listener.name.clone()),
            None => Subject::Service(service().name.clone()),
        };
        let lists =
            self.lists.get_or_insert_with(|| ReadingLists::new(wanted, keys, subject()));
        if lists.step() {
            return Step::Access(at);
        }
        match self.lists.take().map(ReadingLists::finish) {
            Some(Ok(ranges)) => {
                self.found.files.access.insert(wanted.clone(), Arc::new(ranges));
            }
            Some(Err(wrong)) => self.errors.extend(wrong),
            None => {}
        }
        Step::Access(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cidr, Spelling};
    use crate::guard::ranges::Found;

    fn read(lists: &AccessLists) -> (Result<Ranges, Vec<String>>, usize) {
        let subject = Subject::Listener("web".to_owned());
        let mut reading = ReadingLists::new(lists, AccessKeys::LISTENER, subject);
        let mut steps = 0;
        while reading.step() {
            steps += 1;
        }
        let found = reading.finish();
        (found.map_err(|it| it.iter().map(|it| it.says(Spelling::PATHS)).collect()), steps)
    }

    fn file(name: &str, text: &str) -> String {
        let place = std::env::temp_dir().join(format!("{name}-{}.txt", std::process::id()));
        std::fs::write(&place, text).unwrap();
        place.to_str().unwrap().to_owned()
    }

    #[test]
    fn networks_of_settings_and_of_files_are_one_table() {
        let deny = file("pointsman-deny", "10.0.0.0/8\n# of it\n10.1.0.0/16\n");
        let lists = AccessLists {
            allow: vec![Cidr::parse("10.1.2.0/24").unwrap()],
            deny_files: vec![deny.clone()],
            ..AccessLists::NONE
        };
        let (found, _) = read(&lists);
        let found = found.unwrap();
        let says = |address: &str| match found.find(address.parse().unwrap()) {
            Found::Allowed { .. } => "allowed".to_owned(),
            Found::Denied(why) => why.to_string(),
        };
        assert_eq!(says("10.1.2.3"), "allowed");
        assert_eq!(says("10.1.3.3"), format!("10.1.0.0/16 of {deny}"));
        assert_eq!(says("192.0.2.1"), "not among those allowed");
        std::fs::remove_file(deny).unwrap();
    }

    #[test]
    fn mistakes_are_told_with_file_and_line_and_at_most_so_many_of_a_file() {
        let bad = file("pointsman-bad", &format!("::1\n{}", "x\n".repeat(25)));
        let missing = format!("{bad}.missing");
        let lists = AccessLists {
            deny_files: vec![bad.clone(), missing.clone(), "/".to_owned()],
            ..AccessLists::NONE
        };
        let (found, _) = read(&lists);
        let errors = found.unwrap_err();
        assert_eq!(errors.len(), 20 + 1 + 2, "{errors:?}");
        let want = "found 'x', want a network such as 10.0.0.0/8 or fd00::/8, or an address";
        assert!(errors[0].contains(&format!("{bad}:2: {want}")), "{}", errors[0]);
        assert!(errors[20].contains(&format!("{bad}: and 5 more")), "{}", errors[20]);
        assert!(errors[21].contains(&missing), "{}", errors[21]);
        assert!(errors[22].contains("it is not a file"), "{}", errors[22]);
        std::fs::remove_file(bad).unwrap();
    }

    #[test]
    fn a_long_list_is_read_in_many_steps() {
        let text: String = (0..100_000_u32)
            .map(|at| format!("10.{}.{}.{}\n", at >> 16, at >> 8 & 255, at & 255))
            .collect();
        let long = file("pointsman-long", &text);
        let lists = AccessLists { deny_files: vec![long.clone()], ..AccessLists::NONE };
        let (found, steps) = read(&lists);
        // Each of at most a thousand networks, or of 16 KiB.
        assert!(steps > 100_000 / 1024 * 7, "{steps}");
        assert!(matches!(
            found.unwrap().find("10.1.134.159".parse().unwrap()),
            Found::Denied(_)
        ));
        std::fs::remove_file(long).unwrap();
    }
}
