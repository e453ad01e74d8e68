//! What would lead from us to ourselves.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};

use crate::config::{Address, Complaint, Desired, Listen, OwnListeners, SettingKey};

use super::{PreparedListener, ServerWanted, subject};

/// Where we listen ourselves, and which listeners lead to which pool.
#[derive(Default)]
pub(super) struct Own {
    all: Vec<Listen>,
    feeding: HashMap<String, Vec<Listen>>,
}

impl Own {
    pub(super) fn new(desired: &Desired, listeners: &[PreparedListener]) -> Own {
        let real = |at: usize| Listen {
            protocol: desired.listeners[at].listen.protocol,
            address: listeners[at].address.clone(),
        };
        let place: HashMap<&str, usize> =
            desired.listeners.iter().enumerate().map(|(at, it)| (&*it.name, at)).collect();
        let mut feeding: HashMap<String, Vec<Listen>> = HashMap::new();
        for service in &desired.services {
            for pool in service.pools() {
                let places = service.listeners.iter().filter_map(|name| place.get(&**name));
                feeding.entry(pool.to_owned()).or_default().extend(places.map(|&at| real(at)));
            }
        }
        Own { all: (0..listeners.len()).map(real).collect(), feeding }
    }

    pub(super) fn complaint(
        &self,
        wanted: &ServerWanted<'_>,
        address: &Address,
    ) -> Option<Complaint> {
        wanted.pools().find_map(|pool| {
            let own = OwnListeners {
                feeding: self.feeding.get(pool).map_or(&[], Vec::as_slice),
                listeners: &self.all,
                check: &wanted.facts.check.kind,
                is_of_this_machine,
            };
            own.complaint(SettingKey::BACKEND, wanted.spec, address)
                .map(|it| it.about(subject(wanted)))
        })
    }
}

/// Only what is an address of this machine can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
