//! What listeners and backends have in common as people write them: a scheme in front, a host.
//!
//! No look-up happens here: a host name is checked for its form and stays a name.

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

/// An IPv4 address or a name that DNS or a hosts file can hold. A name that ends in a number is an
/// address with a slip in it, and the resolver would read `127.1` as one all the same.
pub(super) fn is_host(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let in_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_label = |label: &str| {
        let length = 1..=limits::HOST_LABEL_BYTES_MAX;
        length.contains(&label.len()) && label.bytes().all(in_label) && !label.starts_with('-')
    };
    let ends_in_number = name.rsplit('.').next().and_then(digits).is_some();
    name.len() <= limits::HOST_BYTES_MAX && !ends_in_number && name.split('.').all(is_label)
}
