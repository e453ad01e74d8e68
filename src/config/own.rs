//! Backends that are listeners of ours: what is sent to one comes in again at the front, is sent
//! on, and so forth, until no descriptor is left.
//!
//! Pure. Asked by `whole` for what is written as an address, and by `control` again once names are
//! looked up and ports are known.

use std::net::{IpAddr, SocketAddr};

use super::complaint::{Complaint, Complaints, Phrase, Wrong};
use super::key::SettingKey;
use super::{Address, BackendSpec, Check, Config, Destination, Listen, plan};

/// Where we listen ourselves, for who looks whether a backend leads there.
#[derive(Clone, Copy)]
pub struct OwnListeners<'a> {
    /// Those whose clients come to the backend.
    pub feeding: &'a [Listen],
    /// All of them; those with port 0 are not known yet.
    pub listeners: &'a [Listen],
    /// What probes ask.
    pub check: &'a Check,
    /// Whether an address is one of this machine, so that a listener for all addresses has it.
    pub is_of_this_machine: &'a dyn Fn(SocketAddr) -> bool,
}

/// Those of which the command line says all.
pub fn check_own_listeners(config: &Config, complaints: &mut Complaints) {
    let check = |key: SettingKey, specs: &[BackendSpec], feeding: &[Listen]| {
        let own = OwnListeners {
            feeding,
            listeners: &config.listeners,
            check: &config.pool.check.kind,
            is_of_this_machine: &|it| it.ip().is_loopback(),
        };
        let complaint = |spec: &BackendSpec| own.complaint(key, spec, &spec.at.known()?);
        specs.iter().filter_map(complaint).collect::<Vec<Complaint>>()
    };
    if plan(config).is_err() {
        return;
    }
    let mut found = check(SettingKey::BACKEND, &config.backends, &config.listeners);
    for route in &config.routes {
        let Destination::Backends(specs) = &route.to else { continue };
        let feeding = config.listeners_of(route.path.as_deref(), specs);
        let feeding: Vec<Listen> = feeding.map(|at| config.listeners[at].clone()).collect();
        found.extend(check(SettingKey::ROUTE, specs, &feeding));
    }
    found.into_iter().for_each(|complaint| complaints.add(complaint));
}

impl OwnListeners<'_> {
    /// What is wrong with a backend at this address, mentioned at this setting, if it leads to us.
    pub fn complaint(
        &self,
        setting: SettingKey,
        spec: &BackendSpec,
        address: &Address,
    ) -> Option<Complaint> {
        // To lead a name of an `sni://` listener to an `https://` listener of ours is a way to
        // serve some names here.
        let mut listeners = self.listeners.iter();
        if let Some(listen) = self.feeding.iter().find(|it| self.leads_to(address, it)) {
            let found = where_we_are(address, listen, "each connection would come back to us");
            let wrong = Wrong::saying(found, "the address of a server");
            return Some(Complaint::of(setting, &*spec.name, wrong));
        }
        let probed = address.with_port(spec.check_port?);
        let listen = listeners.find(|listen| self.probes_reach(&probed, listen))?;
        let found = where_we_are(&probed, listen, "each probe would ask us");
        let wrong = Wrong::saying(found, "check-port=N, N being a port of the server");
        Some(Complaint::of(setting, &*spec.name, wrong))
    }

    fn probes_reach(&self, address: &Address, listen: &Listen) -> bool {
        let udp = match self.check {
            Check::None => return false,
            Check::Udp(_) => true,
            _ => false,
        };
        udp == listen.protocol.is_udp() && self.leads_to(address, listen)
    }

    /// Whether what is sent to the address comes in at the listener.
    pub(super) fn leads_to(&self, address: &Address, listen: &Listen) -> bool {
        match (listen.address.socket_address(), address.canonical().socket_address()) {
            (Some(at), Some(to)) => {
                !listen.address.is_on_another_link(address) && self.reaches(to, at, listen)
            }
            _ => listen.address == *address,
        }
    }

    fn reaches(&self, to: SocketAddr, at: SocketAddr, listen: &Listen) -> bool {
        let port = at.port();
        if to.port() != port {
            return false;
        }
        let is_udp = |listen: &Listen| listen.protocol.is_udp();
        let has_own_ipv4 = || {
            let mut like_it = self.listeners.iter().filter(|it| is_udp(it) == is_udp(listen));
            like_it.any(|it| it.address.port() == Some(port) && it.address.is_ipv4())
        };
        match (at.ip().to_canonical(), to.ip()) {
            (at, to) if at == to => true,
            // The system takes it for this machine.
            (_, to) if to.is_unspecified() => true,
            (at, _) if !at.is_unspecified() => false,
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
            // `[::]` takes clients of IPv4 unless another listener does.
            (IpAddr::V6(_), IpAddr::V4(_)) if has_own_ipv4() => false,
            _ => (self.is_of_this_machine)(to),
        }
    }
}

fn where_we_are(found: &Address, listen: &Listen, so: &str) -> Phrase {
    let at = format!("{}://{}", listen.protocol, listen.address);
    let found = Phrase::from(format!("{found}, where ")).setting(SettingKey::LISTEN, at);
    found.text(format!(" listens: {so}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own<'a>(listeners: &'a [Listen], check: &'a Check) -> OwnListeners<'a> {
        OwnListeners {
            feeding: listeners,
            listeners,
            check,
            is_of_this_machine: &|it| it.ip().is_loopback(),
        }
    }

    fn at(text: &str) -> Address {
        Listen::parse(text).expect("an address").address
    }

    #[test]
    fn what_comes_back_is_known_by_address_or_wildcard() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("[fe80::1%eth0]:80", "[fe80::1%eth0]:80", true),
            ("[fe80::1%eth0]:80", "[fe80::1%eth1]:80", false),
            ("[fe80::1%eth0]:80", "[fe80::2%eth0]:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.7.7.7:80", "0.0.0.0:80", true),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "[::]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            // TEST-NET-1 is nobody's (RFC 5737).
            ("192.0.2.1:80", "0.0.0.0:80", false),
            ("192.0.2.1:80", "192.0.2.2:80", false),
            ("[2001:db8::1]:80", "0.0.0.0:80", false),
        ];
        for (address, listener, expected) in table {
            let all = [Listen::parse(listener).unwrap()];
            let leads = own(&all, &Check::Tcp).leads_to(&at(address), &all[0]);
            assert_eq!(leads, expected, "{address} {listener}");
        }
        let to = &at("127.0.0.1:80");
        let all = ["[::]:80", "192.0.2.1:80"].map(|at| Listen::parse(at).unwrap());
        assert!(!own(&all, &Check::Tcp).leads_to(to, &all[0]));
        // One for datagrams takes no connections away.
        let all = ["[::]:80", "udp://192.0.2.1:80"].map(|at| Listen::parse(at).unwrap());
        assert!(own(&all, &Check::Tcp).leads_to(to, &all[0]));
    }

    #[test]
    fn probes_that_would_ask_us_are_known_by_their_port_and_kind() {
        let udp = || Check::parse("udp:x").unwrap();
        let table = [
            ("*:80", Check::Tcp, true),
            ("*:80", Check::None, false),
            ("*:80", udp(), false),
            ("udp://*:80", udp(), true),
            ("udp://*:80", Check::Tcp, false),
            ("sni://*:80", Check::Tcp, true),
            ("*:81", Check::Tcp, false),
        ];
        for (listener, check, expected) in table {
            let all = [Listen::parse(listener).unwrap()];
            let spec = BackendSpec::parse("127.0.0.1:9,check-port=80").unwrap();
            let at = &at("127.0.0.1:9");
            for setting in [SettingKey::BACKEND, SettingKey::ROUTE] {
                let told = own(&all, &check).complaint(setting, &spec, at);
                assert_eq!(told.is_some(), expected, "{listener} {check}");
            }
        }
    }
}
