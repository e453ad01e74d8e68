//! `/etc/resolv.conf` and `/etc/hosts`: read when a name is looked up for the first time, and again
//! once they are others.

use std::fs::{self, Metadata};
use std::io;
use std::time::{Instant, SystemTime};

use log::warn;

use crate::config::DnsSettings;
use crate::dns::hosts::Hosts;
use crate::dns::resolv_conf::ResolvConf;
use crate::limits::{DNS_FILE_LOOK, DNS_FILE_SMALL};

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
    /// would take long is read again at a reload alone.
    pub fn read_if_needed(&mut self, settings: &DnsSettings, now: Instant) {
        let rested = |at: Instant| now.saturating_duration_since(at) >= DNS_FILE_LOOK;
        if !self.looked.is_none_or(rested) {
            return;
        }
        let is_first = self.looked.replace(now).is_none();
        if let Some(text) = self.news(0, RESOLV_CONF, is_first) {
            self.conf = ResolvConf::read(&text, interface);
            for skipped in &self.conf.skipped {
                warn!("{RESOLV_CONF}:{}: {}", skipped.line, skipped.why);
            }
            if !settings.resolvers.is_empty() {
                self.conf.servers.clone_from(&settings.resolvers);
            }
        }
        if let Some(text) = self.news(1, HOSTS, is_first) {
            self.hosts = Hosts::read(&text);
        }
    }

    /// The text of a file, if it is another than before; none is empty.
    fn news(&mut self, index: usize, path: &str, is_first: bool) -> Option<String> {
        let stamp = fs::metadata(path).ok().map(|it| Stamp::of(&it));
        let is_large = stamp.as_ref().is_some_and(|it| it.length > DNS_FILE_SMALL);
        if !is_first && (self.seen[index] == stamp || is_large) {
            return None;
        }
        self.seen[index] = stamp;
        match fs::read(path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
            Err(error) => {
                warn!("cannot read {path}: {error}");
                is_first.then(String::new)
            }
        }
    }
}

/// What the file of names says now; nothing, if it cannot be read.
pub(super) fn hosts() -> Hosts {
    let text = fs::read(HOSTS).map(|it| String::from_utf8_lossy(&it).into_owned());
    Hosts::read(&text.unwrap_or_default())
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
