//! Where a backend is, as people write it: `HOST:PORT`, `unix:PATH`, or a name that stands for
//! many, as `dns://HOST:PORT` or `srv://NAME`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::complaint::Wrong;
use super::host::{
    address_of_many, did_you_mean, host_text, is_host, is_ipv6, literal, usual_port,
    want_of_host,
};
use super::link::zone_wanted;
use super::value::digits;
use super::{Address, NameSet, Protocol, SetKind, UnixName};

pub(super) const WANT: &str =
    "[SCHEME://]HOST:PORT such as 10.0.0.1:8001, [::1]:8001 or db1:5432";

/// Where a backend is, before names are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host name or an address without brackets, and a port of 1 to 65535.
    Host {
        /// The name or the address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A UNIX socket of this machine.
    Unix(UnixName),
    /// All that a name of DNS stands for.
    Set(NameSet),
}

impl Target {
    /// What stands in front of the options of a backend; `text` is all of it.
    pub(super) fn parse(target: &str, text: &str, protocol: Protocol) -> Result<Target, Wrong> {
        if let Some((kind, name)) = SetKind::after_scheme(target) {
            return NameSet::parse(kind, name, text).map(Target::Set);
        }
        match UnixName::after_scheme(target) {
            Some(name) => UnixName::parse_in(name, text).map(Target::Unix),
            None => host_and_port(target, text, protocol),
        }
    }

    /// The host, if it is on a network.
    pub fn host(&self) -> Option<&str> {
        match self {
            Target::Host { host, .. } => Some(host),
            Target::Unix(_) | Target::Set(_) => None,
        }
    }

    /// The UNIX socket, if it is one.
    pub fn unix(&self) -> Option<&UnixName> {
        match self {
            Target::Unix(name) => Some(name),
            Target::Host { .. } | Target::Set(_) => None,
        }
    }

    /// The port, if it is on a network.
    pub fn port(&self) -> Option<u16> {
        match self {
            Target::Host { port, .. } => Some(*port),
            Target::Unix(_) | Target::Set(_) => None,
        }
    }

    /// Where it is, if no name has to be looked up for that.
    pub fn known(&self) -> Option<Address> {
        match self {
            Target::Host { host, port } => Address::of_host(host, *port),
            Target::Unix(name) => Some(Address::Unix(name.clone())),
            Target::Set(_) => None,
        }
    }

    /// The name to look up for its addresses, if it is one.
    pub fn name(&self) -> Option<&str> {
        self.host().filter(|host| literal(host).is_none())
    }

    /// The name that its certificate is for, if nothing else is said.
    pub fn name_for_tls(&self) -> Option<&str> {
        match self {
            Target::Host { host, .. } => host.split('%').next(),
            Target::Unix(_) => None,
            Target::Set(set) => Some(set.bare_host()),
        }
    }

    /// What its backend is called if nothing else is said; `written` is the target itself.
    pub fn usual_name(&self, written: &str) -> String {
        match self {
            Target::Host { .. } => written.to_owned(),
            Target::Unix(name) => name.as_backend_name(),
            Target::Set(set) => set.usual_name(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host { host, port } => write!(f, "{}:{port}", host_text(host)),
            Target::Unix(name) => name.fmt(f),
            Target::Set(set) => set.fmt(f),
        }
    }
}

/// A name alone or a port alone are what people write first, or a URL to its end.
fn hint(address: &str, text: &str, protocol: Protocol) -> String {
    let (before, behind) = text.split_once(address).unwrap_or_default();
    let host = address.split('/').next().unwrap_or_default();
    let better = match host.rsplit_once(':') {
        Some((name, port)) if host != address => {
            (is_host(name) && port.parse::<u16>().is_ok()).then(|| host.to_owned())
        }
        Some(_) => None,
        None if is_host(host) => Some(format!("{host}:{}", usual_port(protocol))),
        None if digits(host).is_some() && host.parse::<u16>().is_ok() => {
            Some(format!("127.0.0.1:{host}"))
        }
        None => None,
    };
    did_you_mean(better.map(|better| format!("{before}{better}{behind}")))
}

/// Where everybody listens, nobody in particular can be reached, and no more where many hear.
fn check_is_somewhere(host: &str, port: u16, text: &str) -> Result<(), Wrong> {
    let Some(address) = literal(host) else { return Ok(()) };
    if let Some(want) = zone_wanted(host) {
        return Err(Wrong::found(text, want));
    }
    let here = match address.to_canonical() {
        IpAddr::V4(address) if address.is_unspecified() => format!("127.0.0.1:{port}"),
        IpAddr::V6(address) if address.is_unspecified() => format!("[::1]:{port}"),
        _ => {
            let Some(what) = address_of_many(address) else { return Ok(()) };
            let want = format!("the address of a server: {host} is {what}");
            return Err(Wrong::found(text, want));
        }
    };
    let want = format!(
        "the address of a server: {host} is one to listen on; did you mean {here}, which is \
         this machine?"
    );
    Err(Wrong::found(text, want))
}

fn host_and_port(address: &str, text: &str, protocol: Protocol) -> Result<Target, Wrong> {
    let hinted = |want: &str| format!("{want}{}", hint(address, text, protocol));
    let wrong = || Wrong::found(text, hinted(WANT));
    let no_host = |host: &str| Wrong::found(text, hinted(&want_of_host(WANT, host)));
    let (host, port) = address.rsplit_once(':').ok_or_else(|| no_host(address))?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|it| is_ipv6(it)).ok_or_else(wrong)?,
        None if host.parse::<Ipv6Addr>().is_ok() || address.parse::<IpAddr>().is_ok() => {
            let want = "an IPv6 address in brackets such as [::1]:8001";
            return Err(Wrong::found(text, want));
        }
        None if is_host(host) => host,
        None => return Err(no_host(host)),
    };
    match digits(port).ok_or_else(wrong)?.try_into() {
        Ok(0) | Err(_) => Err(Wrong::found(text, "a port from 1 to 65535")),
        Ok(port) => {
            check_is_somewhere(host, port, text)?;
            Ok(Target::Host { host: host.to_owned(), port })
        }
    }
}
