//! By which way somebody came, and from where.

use crate::net::LocalPeer;

use super::access::Door;

/// Of one connection.
#[derive(Debug, Clone)]
pub struct Entry {
    /// From where, for the audit.
    pub from: String,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Local(LocalPeer),
    Loopback,
    Metrics,
    /// Whom the certificate of the client names, if it showed one.
    Tls(Option<String>),
}

impl Entry {
    /// By a UNIX socket at this place.
    pub fn local(place: String, peer: LocalPeer) -> Entry {
        Entry { from: place, way: Way::Local(peer) }
    }

    /// By TCP from this address, through TLS or in the clear.
    pub fn tcp(address: String, is_tls: bool) -> Entry {
        let way = if is_tls { Way::Tls(None) } else { Way::Loopback };
        Entry { from: address, way }
    }

    /// By TCP from this address, to read metrics.
    pub fn scraper(address: String) -> Entry {
        Entry { from: address, way: Way::Metrics }
    }

    /// Whether it came where metrics are read and nothing else.
    pub fn is_scraper(&self) -> bool {
        matches!(self.way, Way::Metrics)
    }

    /// Who that is, at a UNIX socket.
    pub fn peer(&self) -> Option<LocalPeer> {
        match self.way {
            Way::Local(peer) => Some(peer),
            Way::Loopback | Way::Metrics | Way::Tls(_) => None,
        }
    }

    /// Whom its certificate names.
    pub fn note_subject(&mut self, subject: Option<&str>) {
        if let Way::Tls(known) = &mut self.way {
            *known = subject.map(str::to_owned);
        }
    }

    /// As the rules have it.
    pub fn door(&self) -> Door<'_> {
        match &self.way {
            Way::Local(peer) => Door::Local(*peer),
            Way::Loopback => Door::Loopback,
            Way::Metrics => Door::Metrics,
            Way::Tls(subject) => Door::Tls { subject: subject.as_deref() },
        }
    }
}
