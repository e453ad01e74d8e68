//! What listeners and backends have in common as people write them: a scheme in front, a host.
//!
//! No look-up happens here: a host name is checked for its form and stays a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::complaint::Wrong;
use super::text::{escaped, quoted};
use super::value::{closest, digits};
use super::{Protocol, UnixName};
use crate::limits;

/// A host as it stands in an address: IPv6 in brackets.
pub fn host_text(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Schemes, and what they mean.
pub(super) type Schemes = &'static [(&'static str, Protocol)];

/// Take the scheme off, in letters of either case. Others are refused by name: quietly serving
/// bytes where somebody asked for TLS would be worse than not starting.
pub(super) fn protocol_and_rest(
    text: &str,
    schemes: Schemes,
) -> Result<(Protocol, &str), Wrong> {
    if UnixName::after_scheme(text).is_some() {
        return Ok((Protocol::Tcp, text));
    }
    if text.starts_with('/') {
        return Err(Wrong::found(text, format!("unix: in front; did you mean unix:{text}?")));
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Ok((Protocol::Tcp, text)) };
    match schemes.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme)) {
        Some(&(_, protocol)) => Ok((protocol, rest)),
        None => {
            let near = match scheme {
                "ssl" => Some("tls"),
                "ws" => Some("http"),
                "wss" => Some("https"),
                other => closest(other, schemes.iter().map(|(known, _)| *known)),
            };
            let hint = near.map(|near| format!("; did you mean {near}://{rest}?"));
            let known: Vec<String> = schemes.iter().map(|(it, _)| format!("{it}://")).collect();
            let known = known.join(", ");
            let scheme = quoted(scheme);
            let want = format!(
                "{known} or no scheme: {scheme} is not served by this version{}",
                escaped(&hint.unwrap_or_default())
            );
            Err(Wrong::found(text, want))
        }
    }
}

/// The port that people leave out.
pub(super) fn usual_port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp | Protocol::Http => 80,
        Protocol::Sni | Protocol::Https | Protocol::Tls => 443,
        Protocol::Udp => 53,
    }
}

/// What was probably meant, as the end of a sentence; `better` is the whole value.
pub(super) fn did_you_mean(better: Option<String>) -> String {
    better.map(|better| format!("; did you mean {}?", escaped(&better))).unwrap_or_default()
}

/// Why nobody in particular can be reached at an address, nor can we be: it is that of many.
pub(super) fn address_of_many(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        address if address.is_multicast() => Some("the address of a multicast group"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some("the address of a broadcast"),
        _ => None,
    }
}

/// An address as it is written for a host, the zone left out that a link-local one has.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.split('%').next()?.parse().ok()
}

/// With or without the zone that a link-local address needs.
pub(super) fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let in_zone = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(in_zone)
}

/// An IPv4 address or a name that DNS or a hosts file can hold.
pub(super) fn is_host(text: &str) -> bool {
    no_host(text).is_none()
}

/// What is wanted instead of what this would be the host of, and why it is none where it was meant
/// as one.
pub(super) fn want_of_host(want: &str, host: &str) -> String {
    let why = no_host(host).filter(|why| *why != NoHost::Nothing);
    why.map_or_else(|| want.to_owned(), |why| format!("{want}: {why}"))
}

/// Why a text is no host.
#[derive(Debug, PartialEq, Eq)]
enum NoHost {
    Nothing,
    NotAscii,
    Byte(char),
    EmptyLabel,
    LongLabel(usize),
    Hyphen,
    Long(usize),
    /// Such a name is an address with a slip in it, and the resolver would read `127.1` as one all
    /// the same.
    Number,
}

fn no_host(text: &str) -> Option<NoHost> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    if text.is_empty() {
        return Some(NoHost::Nothing);
    }
    if !text.is_ascii() {
        return Some(NoHost::NotAscii);
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    if let Some(other) = text.chars().find(|c| !is_of_name(*c)) {
        return Some(NoHost::Byte(other));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    for label in name.split('.') {
        match label.len() {
            0 => return Some(NoHost::EmptyLabel),
            length if length > limits::HOST_LABEL_BYTES_MAX => {
                return Some(NoHost::LongLabel(length));
            }
            _ if label.starts_with('-') => return Some(NoHost::Hyphen),
            _ => {}
        }
    }
    if name.len() > limits::HOST_BYTES_MAX {
        return Some(NoHost::Long(name.len()));
    }
    let ends_in_number = name.rsplit('.').next().and_then(digits).is_some();
    ends_in_number.then_some(NoHost::Number)
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHost::Nothing => f.write_str("the name is empty"),
            NoHost::NotAscii => f.write_str(
                "the name has letters beside those of ASCII; they are written as punycode, xn--...",
            ),
            NoHost::Byte(other) => {
                let other = other.escape_debug();
                write!(f, "the name has '{other}' in it, and may have letters, digits, - and _")
            }
            NoHost::EmptyLabel => f.write_str("a label of the name is empty, by a dot too many"),
            NoHost::LongLabel(length) => {
                let most = limits::HOST_LABEL_BYTES_MAX;
                write!(f, "a label of the name has {length} bytes, at most {most}")
            }
            NoHost::Hyphen => f.write_str("a label of the name begins with -"),
            NoHost::Long(length) => {
                let most = limits::HOST_BYTES_MAX;
                write!(f, "the name has {length} bytes, at most {most}")
            }
            NoHost::Number => {
                f.write_str("the name ends in a number, as an address does, which it is not")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_why_a_name_is_none() {
        let label = "a".repeat(64);
        let name = ["a".repeat(62).as_str(); 4].join(".");
        let longer = format!("{name}.ab");
        let table = [
            ("bücher.example", "letters beside those of ASCII"),
            ("a b", "the name has ' ' in it"),
            ("a\nb", "the name has '\\n' in it"),
            ("a..b", "is empty"),
            (".a", "is empty"),
            ("..", "is empty"),
            (&*label, "a label of the name has 64 bytes, at most 63"),
            ("-a", "begins with -"),
            (&*longer, "the name has 254 bytes, at most 253"),
            ("10.0.0.256", "ends in a number"),
            ("a.1.", "ends in a number"),
        ];
        for (text, why) in table {
            let said = want_of_host("HOST", text);
            assert!(said.starts_with("HOST: ") && said.contains(why), "{text}: {said}");
            assert!(!is_host(text), "{text}");
        }
        let most = format!("{name}.a.");
        for text in ["a", "a.b.", "_x.y", "10.0.0.1", "1a", &*"a".repeat(63), &*most] {
            assert!(is_host(text), "{text}");
            assert_eq!(want_of_host("HOST", text), "HOST");
        }
        assert_eq!(want_of_host("HOST", ""), "HOST");
        assert!(!is_host(""));
    }
}
