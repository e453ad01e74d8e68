//! How names of backends are looked up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::value::duration_text;
use crate::limits::{DNS_PORT, DNS_TTL_MAX_DEFAULT, DNS_TTL_MIN_DEFAULT};

/// How names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// The servers that are asked; none: those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// An answer holds for so long at least, a second or more.
    pub min_ttl: Duration,
    /// And at most.
    pub max_ttl: Duration,
    /// Which addresses are asked for.
    pub families: DnsFamilies,
}

/// Which addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DnsFamilies {
    /// All.
    #[default]
    Both,
    /// Those of IPv4.
    Ipv4,
    /// Those of IPv6.
    Ipv6,
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const DNS_RESOLVERS: SettingKey = SettingKey("global.dns.resolvers");
    pub const DNS_MIN_TTL: SettingKey = SettingKey("global.dns.min_ttl");
    pub const DNS_MAX_TTL: SettingKey = SettingKey("global.dns.max_ttl");
    pub const DNS_FAMILIES: SettingKey = SettingKey("global.dns.families");
}

impl DnsSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: DnsSettings = DnsSettings {
        resolvers: Vec::new(),
        min_ttl: DNS_TTL_MIN_DEFAULT,
        max_ttl: DNS_TTL_MAX_DEFAULT,
        families: DnsFamilies::Both,
    };
}

impl DnsFamilies {
    /// The words for it.
    pub const ALL: &'static [(&'static str, DnsFamilies)] = &[
        ("both", DnsFamilies::Both),
        ("ipv4", DnsFamilies::Ipv4),
        ("ipv6", DnsFamilies::Ipv6),
    ];
}

/// A server of names: `ADDRESS` or `ADDRESS:PORT`.
pub fn resolver(text: &str) -> Result<SocketAddr, Wrong> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let alone = || Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, DNS_PORT));
    let found = text.parse::<SocketAddr>().ok().or_else(alone);
    let is_server = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast();
    let is_one = |it: &SocketAddr| it.port() != 0 && is_server(it.ip());
    found.filter(is_one).ok_or_else(|| {
        let why = match found {
            Some(it) if it.port() == 0 => "a port from 1 to 65535: ",
            Some(_) => "an address of one server: ",
            None => "",
        };
        let want = format!("{why}ADDRESS or ADDRESS:PORT such as 10.0.0.53 or [::1]:5353");
        Wrong::found(text, want)
    })
}

/// The bounds are such that something lies between them.
pub(super) fn check_bounds(dns: &DnsSettings) -> Result<(), Wrong> {
    if dns.min_ttl <= dns.max_ttl {
        return Ok(());
    }
    let found = Phrase::from(format!("{} beside ", duration_text(dns.min_ttl)));
    let found = found.setting(SettingKey::DNS_MAX_TTL, duration_text(dns.max_ttl));
    Err(Wrong::saying(found, "at most as long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_names_is_an_address_and_perhaps_a_port() {
        let good = ["10.0.0.53", "10.0.0.53:5353", "::1", "[::1]", "[::1]:5353"];
        let want = ["10.0.0.53:53", "10.0.0.53:5353", "[::1]:53", "[::1]:53", "[::1]:5353"];
        for (text, want) in good.iter().zip(want) {
            assert_eq!(resolver(text).unwrap().to_string(), want, "{text}");
        }
        for text in
            ["", "ns.example", "10.0.0.53:0", "0.0.0.0", "224.0.0.1", "10.0.0.53:x", "[::1"]
        {
            assert!(resolver(text).is_err(), "{text}");
        }
        for (text, why) in [
            ("0.0.0.0", "found '0.0.0.0', want an address of one server: "),
            ("10.0.0.53:0", "found '10.0.0.53:0', want a port from 1 to 65535: "),
            ("ns.example", "found 'ns.example', want ADDRESS or "),
        ] {
            let wrong = resolver(text).unwrap_err().to_string();
            assert!(wrong.starts_with(why), "{wrong}");
        }
    }
}
