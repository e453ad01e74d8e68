//! A name of DNS that stands for many backends: `dns://api.example:8080` for each of its addresses,
//! `srv://_http._tcp.api.example` for each of its services.

use std::fmt;

use super::complaint::Wrong;
use super::host::{did_you_mean, is_host, literal, want_of_host};
use super::value::digits;

/// A name that stands for backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameSet {
    /// The name.
    pub host: String,
    /// What it stands for.
    pub kind: SetKind,
    /// Members at most; `None` is as many as there are.
    pub at_most: Option<u32>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetKind {
    /// A backend at each of its addresses (A and AAAA), all at this port.
    Addresses(u16),
    /// A backend at each of its services (SRV, RFC 2782), which bring their ports.
    Services,
}

impl SetKind {
    /// `dns://` or `srv://`, if it begins so, and what follows; of `dns` the port is not known yet.
    pub(super) fn after_scheme(text: &str) -> Option<(SetKind, &str)> {
        let (scheme, rest) = text.split_once("://")?;
        let known = [("dns", SetKind::Addresses(0)), ("srv", SetKind::Services)];
        let found = known.into_iter().find(|(it, _)| it.eq_ignore_ascii_case(scheme))?;
        Some((found.1, rest))
    }
}

impl NameSet {
    /// What stands behind the scheme and in front of the options; `text` is all of it.
    pub(super) fn parse(kind: SetKind, name: &str, text: &str) -> Result<NameSet, Wrong> {
        let (host, kind) = match kind {
            SetKind::Addresses(_) => {
                let (host, port) = name.rsplit_once(':').ok_or_else(|| no_port(name, text))?;
                let port = digits(port).and_then(|it| u16::try_from(it).ok());
                let port = port.filter(|&it| it > 0);
                let port = port.ok_or_else(|| Wrong::found(text, "a port from 1 to 65535"))?;
                (host, SetKind::Addresses(port))
            }
            SetKind::Services if name.contains(':') => {
                let hint = name.split(':').next().filter(|it| is_host(it));
                let hint = did_you_mean(hint.map(|it| format!("srv://{it}")));
                let want = format!("srv://NAME without a port: its records bring them{hint}");
                return Err(Wrong::found(text, want));
            }
            SetKind::Services => (name, SetKind::Services),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if literal(bare).is_some() {
            let better = matches!(kind, SetKind::Addresses(_)).then(|| name.to_owned());
            let want = format!("a name of DNS{}", did_you_mean(better));
            return Err(Wrong::found(text, want));
        }
        if !is_host(host) {
            let want = match kind {
                SetKind::Addresses(_) => "dns://NAME:PORT such as dns://api.example:8080",
                SetKind::Services => "srv://NAME such as srv://_http._tcp.api.example",
            };
            return Err(Wrong::found(text, want_of_host(want, host)));
        }
        Ok(NameSet { host: host.to_owned(), kind, at_most: None })
    }

    /// Without a dot at its end, which says that no domain is to be tried behind it.
    pub fn bare_host(&self) -> &str {
        self.host.strip_suffix('.').unwrap_or(&self.host)
    }

    /// What it is called if nothing else is said.
    pub(super) fn usual_name(&self) -> String {
        match self.kind {
            SetKind::Addresses(port) => format!("{}:{port}", self.host),
            SetKind::Services => self.host.clone(),
        }
    }
}

impl fmt::Display for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SetKind::Addresses(port) => write!(f, "dns://{}:{port}", self.host),
            SetKind::Services => write!(f, "srv://{}", self.host),
        }
    }
}

fn no_port(name: &str, text: &str) -> Wrong {
    let better = is_host(name).then(|| format!("dns://{name}:80"));
    Wrong::found(text, format!("dns://NAME:PORT{}", did_you_mean(better)))
}
