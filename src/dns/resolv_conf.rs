//! `/etc/resolv.conf`: which servers are asked, how patiently, and under which domains.
//!
//! Read as the libc does: a line begins with its keyword, what is not known is skipped, the last
//! `search` or `domain` counts, and without any server it is the one of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::Name;
use crate::limits::{
    DNS_ATTEMPTS_DEFAULT, DNS_ATTEMPTS_MAX, DNS_FILE_BYTES_MAX, DNS_NDOTS_MAX, DNS_PORT,
    DNS_SEARCH_MAX, DNS_SERVERS_MAX, DNS_TIMEOUT_DEFAULT, DNS_TIMEOUT_MAX,
};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers, in the order in which they are asked; at least one.
    pub servers: Vec<SocketAddr>,
    /// Domains under which a short name is looked for.
    pub search: Vec<Name>,
    /// A name with so many dots is first looked for as it is.
    pub ndots: u8,
    /// A server has to answer in this.
    pub timeout: Duration,
    /// So often all of them are asked.
    pub attempts: u8,
    /// Whether each look-up begins with another server.
    pub rotate: bool,
    /// What was skipped, for the log: a line of the file and why.
    pub skipped: Vec<Skipped>,
}

/// A line that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: usize,
    /// What was found, and what is wanted.
    pub why: String,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT)],
            search: Vec::new(),
            ndots: 1,
            timeout: DNS_TIMEOUT_DEFAULT,
            attempts: DNS_ATTEMPTS_DEFAULT,
            rotate: false,
            skipped: Vec::new(),
        }
    }
}

impl ResolvConf {
    /// Of the file's text. `interface` knows the number of a network interface by its name, for
    /// servers like `fe80::1%eth0`.
    pub fn read(text: &str, interface: impl Fn(&str) -> Option<u32>) -> ResolvConf {
        let mut conf = ResolvConf { servers: Vec::new(), ..ResolvConf::default() };
        for (index, line) in beginning(text).lines().enumerate() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let result = match words.next() {
                Some("nameserver") => conf.server(words.next().unwrap_or_default(), &interface),
                Some("search" | "domain") => conf.domains(words),
                Some("options") => {
                    words.for_each(|word| conf.option(word));
                    Ok(())
                }
                // `sortlist`, `lookup` and the like are others' matter.
                _ => Ok(()),
            };
            if let Err(why) = result {
                conf.skipped.push(Skipped { line: index + 1, why });
            }
        }
        if conf.servers.is_empty() {
            conf.servers = ResolvConf::default().servers;
        }
        conf
    }

    fn server(
        &mut self,
        word: &str,
        interface: impl Fn(&str) -> Option<u32>,
    ) -> Result<(), String> {
        if self.servers.len() == DNS_SERVERS_MAX {
            return Err(format!("nameserver {word}: the first {DNS_SERVERS_MAX} are used"));
        }
        self.servers.push(server(word, interface)?);
        Ok(())
    }

    fn domains<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let mut bad = Ok(());
        self.search.clear();
        for word in words.filter(|&word| word != ".") {
            match Name::new(word) {
                Ok(_) if self.search.len() == DNS_SEARCH_MAX => {
                    bad = Err(format!("search {word}: the first {DNS_SEARCH_MAX} are used"));
                }
                Ok(name) => self.search.push(name),
                Err(why) => bad = Err(format!("search {word}: {why}")),
            }
        }
        bad
    }

    /// Numbers that are too high are the highest, as with the libc.
    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u64>().ok();
        match (name, number) {
            ("ndots", Some(number)) => {
                self.ndots = number.min(u64::from(DNS_NDOTS_MAX)) as u8;
            }
            ("timeout", Some(number)) => {
                self.timeout = Duration::from_secs(number.max(1)).min(DNS_TIMEOUT_MAX);
            }
            ("attempts", Some(number)) => {
                self.attempts = number.clamp(1, u64::from(DNS_ATTEMPTS_MAX)) as u8;
            }
            ("rotate", _) => self.rotate = true,
            _ => {}
        }
    }
}

/// A server's address, with a zone where it is of a link.
fn server(word: &str, interface: impl Fn(&str) -> Option<u32>) -> Result<SocketAddr, String> {
    let (address, zone) = word.split_once('%').map_or((word, None), |(a, z)| (a, Some(z)));
    let unknown =
        || format!("nameserver {word}: want an address like 10.0.0.1 or fe80::1%eth0");
    if let (Some(zone), Ok(address)) = (zone, address.parse::<Ipv6Addr>()) {
        let number = zone.parse().ok().or_else(|| interface(zone));
        let number =
            number.ok_or_else(|| format!("nameserver {word}: no interface is named {zone}"))?;
        return Ok(SocketAddrV6::new(address, DNS_PORT, 0, number).into());
    }
    let address: IpAddr = word.parse().map_err(|_| unknown())?;
    Ok(SocketAddr::new(address, DNS_PORT))
}

/// The beginning of a text that is too long.
pub(super) fn beginning(text: &str) -> &str {
    let ends = (0..=DNS_FILE_BYTES_MAX.min(text.len())).rev();
    &text[..ends.into_iter().find(|&at| text.is_char_boundary(at)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ResolvConf {
        ResolvConf::read(text, |name| (name == "eth0").then_some(2))
    }

    #[test]
    fn a_file_says_whom_to_ask_and_how() {
        let conf = read(
            "# made by a machine\nnameserver 10.0.0.1\nnameserver fe80::1%eth0 ; a comment\n\
             search a.example\nsearch Prod.Example. example .\nnameserver 2001:db8::53\n\
             options ndots:5 timeout:2 attempts:3 rotate edns0\nsortlist 10.0.0.0\n",
        );
        let want: Vec<SocketAddr> = ["10.0.0.1:53", "[fe80::1%2]:53", "[2001:db8::53]:53"]
            .map(|a| a.parse().unwrap())
            .into();
        assert_eq!(conf.servers, want);
        let search: Vec<&str> = conf.search.iter().map(Name::as_str).collect();
        assert_eq!(search, ["prod.example", "example"]);
        assert_eq!((conf.ndots, conf.attempts, conf.rotate), (5, 3, true));
        assert_eq!(conf.timeout, Duration::from_secs(2));
        assert_eq!(conf.skipped, []);
    }

    #[test]
    fn without_a_server_this_machine_is_asked() {
        assert_eq!(read(""), ResolvConf::default());
        assert_eq!(read("options").servers[0].to_string(), "127.0.0.1:53");
    }

    #[test]
    fn numbers_stay_within_the_libc_s_bounds() {
        let conf = read("options ndots:99 timeout:99 attempts:99\n");
        assert_eq!((conf.ndots, conf.attempts), (15, 5));
        assert_eq!(conf.timeout, Duration::from_secs(30));
        let conf = read("options ndots:0 timeout:0 attempts:0 ndots:x timeout\n");
        assert_eq!((conf.ndots, conf.attempts), (0, 1));
        assert_eq!(conf.timeout, Duration::from_secs(1));
    }

    #[test]
    fn what_cannot_be_used_is_skipped_and_told() {
        let conf = read(
            "nameserver x\nnameserver\nnameserver fe80::1%nope\nsearch a..b c\n\
             nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
        );
        let skipped: Vec<String> =
            conf.skipped.iter().map(|it| format!("{}: {}", it.line, it.why)).collect();
        assert_eq!(
            skipped,
            [
                "1: nameserver x: want an address like 10.0.0.1 or fe80::1%eth0",
                "2: nameserver : want an address like 10.0.0.1 or fe80::1%eth0",
                "3: nameserver fe80::1%nope: no interface is named nope",
                "4: search a..b: the name has nothing between two dots",
                "8: nameserver 10.0.0.4: the first 3 are used",
            ]
        );
        assert_eq!(conf.search.len(), 1);
        assert_eq!(conf.servers.len(), 3);
    }

    #[test]
    fn any_text_is_read() {
        let mut random = fastrand::Rng::new();
        let words =
            ["nameserver", "search", "options", " ", "\n", ":", "%", "é", "1", ".", "#"];
        for _ in 0..2_000 {
            let text: String =
                (0..random.usize(..30)).map(|_| words[random.usize(..words.len())]).collect();
            assert!(!read(&text).servers.is_empty());
        }
    }
}
