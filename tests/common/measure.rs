//! What the gates share: when there can be one, and how memory is measured.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Balancer;

/// Bytes of memory that its process alone has, and has written to. Not `Private_Dirty`: of a binary
/// that was just built, the pages that run count there until they are on the disk.
pub fn private_dirty(balancer: &Balancer) -> f64 {
    let path = format!("/proc/{}/smaps_rollup", balancer.pid());
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.expect("a line").trim().trim_end_matches(" kB");
    kib.parse::<f64>().expect("a number") * 1024.0
}

/// Raise the soft limit of this process to the hard one; what it is now.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether this is a release build; if not, that is said.
pub fn is_release(what: &str) -> bool {
    if cfg!(debug_assertions) {
        println!("skipped: {what}, which only a release build can tell (cargo test --release)");
    }
    !cfg!(debug_assertions)
}

/// Whether this is a build for Linux; if not, it is said what is missing: the fallbacks of other
/// systems have no such thing (`POINTSMAN_PORTABLE`).
pub fn only_linux(what: &str) -> bool {
    if !cfg!(linux) {
        println!("skipped: only Linux has {what}");
    }
    cfg!(linux)
}

/// Where nothing can be measured or judged, that is said; where it has to be, it is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("skipped: {why}");
}

/// The queues of which sockets.
#[derive(Debug, Clone, Copy)]
pub enum Queue {
    /// What waits to be read in those that are connected to this port.
    ReceivedFrom(u16),
    /// What waits to be sent or acknowledged in those of this port.
    SentBy(u16),
}

/// Bytes in the queues of these sockets, which are of IPv4; the smallest first.
pub fn queues(of: Queue) -> Vec<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let length = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (sending, receiving) = words.get(4)?.split_once(':')?;
        let (address, port, length) = match of {
            Queue::ReceivedFrom(port) => (words[2], port, receiving),
            Queue::SentBy(port) => (words[1], port, sending),
        };
        let is_meant = address.ends_with(&format!(":{port:04X}")) && words[3] == "01";
        is_meant.then(|| usize::from_str_radix(length, 16).expect("a number"))
    };
    let mut lengths: Vec<usize> = table.lines().filter_map(length).collect();
    lengths.sort_unstable();
    lengths
}
