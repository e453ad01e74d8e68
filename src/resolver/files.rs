//! `/etc/resolv.conf` and `/etc/hosts`: read when a name is looked up for the first time, and again
//! once they are others. The second may be large: it is read in pieces, and names wait for it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use log::warn;

use crate::config::DnsSettings;
use crate::dns::Name;
use crate::dns::hosts::{Building, Hosts};
use crate::dns::resolv_conf::ResolvConf;
use crate::limits::{
    DNS_FILE_BYTES_MAX, DNS_FILE_LOOK, DNS_FILE_SMALL, DNS_HOSTS_FORGOTTEN,
    DNS_HOSTS_PIECE_BYTES,
};
use crate::net::file::open_file;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// What they say.
#[derive(Default)]
pub(super) struct Files {
    pub conf: ResolvConf,
    pub hosts: Hosts,
    /// When it was looked whether they are others.
    looked: Option<Instant>,
    /// By which each is known again.
    seen: [Option<Stamp>; 2],
    reading: Option<Reading>,
    /// What was known before.
    old: Vec<Box<dyn Iterator<Item = (Name, Vec<IpAddr>)>>>,
}

/// The file of hosts, as far as it was read.
struct Reading {
    file: File,
    building: Building,
}

/// A file as it was: another one has another time, length or number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Files {
    /// They are read again before the next name is looked up.
    pub fn forget(&mut self) {
        self.looked = None;
        self.seen = [None, None];
    }

    /// Read those that are others than before. That is looked for every [`DNS_FILE_LOOK`]; one that
    /// would take long is read again at a reload alone. Says whether all is read; if not, it is to
    /// be called again in the next turn.
    pub fn are_read(&mut self, settings: &DnsSettings, now: Instant) -> bool {
        let rested = |at: Instant| now.saturating_duration_since(at) >= DNS_FILE_LOOK;
        let is_first = self.looked.is_none();
        if is_first || self.reading.is_none() && self.looked.is_none_or(rested) {
            self.looked = Some(now);
            self.look(settings, is_first);
        }
        self.read_on();
        self.reading.is_none() && self.old.is_empty()
    }

    fn look(&mut self, settings: &DnsSettings, is_first: bool) {
        if self.is_another(0, RESOLV_CONF, is_first)
            && let Some(text) = read(RESOLV_CONF, DNS_FILE_SMALL, is_first)
        {
            self.conf = ResolvConf::read(&String::from_utf8_lossy(&text), interface);
            for skipped in &self.conf.skipped {
                warn!("{RESOLV_CONF}:{}: {}", skipped.line, skipped.why);
            }
            if !settings.resolvers.is_empty() {
                self.conf.servers.clone_from(&settings.resolvers);
            }
        }
        if self.is_another(1, HOSTS, is_first) {
            let begun = self.reading.take().map(|it| it.building.end());
            self.forget_hosts(begun);
            match Reading::open(HOSTS) {
                Ok(reading) => self.reading = Some(reading),
                Err(error) if is_none(HOSTS, &error) || is_first => self.know(Hosts::default()),
                Err(_) => {}
            }
        }
    }

    /// Whether a file is another than before, and may be read now.
    fn is_another(&mut self, index: usize, path: &str, is_first: bool) -> bool {
        let stamp = fs::metadata(path).ok().map(|it| Stamp::of(&it));
        let is_large = stamp.as_ref().is_some_and(|it| it.length > DNS_FILE_SMALL);
        let is_another = is_first || self.seen[index] != stamp && !is_large;
        if is_another {
            self.seen[index] = stamp;
        }
        is_another
    }

    fn read_on(&mut self) {
        if let Some(mut reading) = self.reading.take() {
            match reading.step() {
                Ok(true) => self.reading = Some(reading),
                Ok(false) => self.know(reading.building.end()),
                Err(error) => warn!("cannot read {HOSTS}: {error}"),
            }
        } else if let Some(old) = self.old.last_mut() {
            // What was known is many allocations.
            let count = old.take(DNS_HOSTS_FORGOTTEN).count();
            if count < DNS_HOSTS_FORGOTTEN {
                self.old.pop();
            }
        }
    }

    fn know(&mut self, hosts: Hosts) {
        let old = std::mem::replace(&mut self.hosts, hosts);
        self.forget_hosts(Some(old));
    }

    fn forget_hosts(&mut self, old: Option<Hosts>) {
        let old = old.filter(|it| !it.is_empty());
        self.old.extend(old.map(|it| Box::new(it.into_entries()) as Box<_>));
    }
}

impl Reading {
    fn open(path: &str) -> io::Result<Reading> {
        let file = open_file(path)?;
        let building = Building::with_room(file.metadata()?.len());
        Ok(Reading { file, building })
    }

    /// The next piece. Says whether there is more.
    fn step(&mut self) -> io::Result<bool> {
        let mut piece = [0; DNS_HOSTS_PIECE_BYTES];
        let mut left = DNS_HOSTS_PIECE_BYTES;
        while left > 0 {
            let count = self.file.read(&mut piece[..left])?;
            if count == 0 || !self.building.feed(&piece[..count]) {
                return Ok(false);
            }
            left -= count;
        }
        Ok(true)
    }
}

/// The beginning of a file; none is empty. `None`, if it cannot be read and was before.
fn read(path: &str, most: u64, is_first: bool) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = open_file(path).and_then(|it| it.take(most).read_to_end(&mut text));
    match read {
        Ok(_) => Some(text),
        Err(error) => (is_none(path, &error) || is_first).then(Vec::new),
    }
}

/// Whether a file is not there; anything else is said.
fn is_none(path: &str, error: &io::Error) -> bool {
    let is_none = error.kind() == io::ErrorKind::NotFound;
    if !is_none {
        warn!("cannot read {path}: {error}");
    }
    is_none
}

/// What the file of names says now; nothing, if it cannot be read.
pub(super) fn hosts() -> Hosts {
    let mut text = Vec::new();
    let most = DNS_FILE_BYTES_MAX as u64;
    // because: the first look-up says why not.
    let _ = open_file(HOSTS).and_then(|it| it.take(most).read_to_end(&mut text));
    Hosts::read(&text)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

/// The number of a network interface, for servers like `fe80::1%eth0`.
fn interface(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn a_large_file_of_hosts_takes_many_turns() {
        let lines: String = (0..5_000).map(|it| format!("10.0.0.1 name{it}.test\n")).collect();
        let path = std::env::temp_dir().join(format!("pointsman-hosts-{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = file.as_mut().map(|it| io::Write::write_all(it, lines.as_bytes()));
        written.expect("it opens").expect("it is written");
        let mut reading = Reading::open(&path.to_string_lossy()).expect("it opens");
        let mut steps = 0;
        while reading.step().expect("it is read") {
            steps += 1;
        }
        fs::remove_file(&path).expect("it is ours");
        assert_eq!(steps, lines.len() / DNS_HOSTS_PIECE_BYTES);
        let mut files = Files::default();
        files.know(reading.building.end());
        assert_eq!(files.hosts, Hosts::read(lines.as_bytes()));
        files.know(Hosts::default());
        let mut steps = 0;
        while !files.old.is_empty() {
            files.read_on();
            steps += 1;
        }
        assert_eq!(steps, 5_000 / DNS_HOSTS_FORGOTTEN + 1);
    }
}
