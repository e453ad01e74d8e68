//! What would lead from us to ourselves.

use std::collections::HashMap;
use std::io;

use crate::config::{Address, Complaint, Desired, Listen, OwnListeners, SettingKey};
use crate::limits::{BACKEND_ADDRESSES_MAX, DNS_NAMES_SAID};
use crate::net::machine::Machine;
use crate::net::zone;

use super::{Ground, ServerWanted, subject};

/// Where we listen ourselves, and which listeners lead to which pool.
#[derive(Default)]
pub struct Own {
    all: Vec<Listen>,
    feeding: HashMap<String, Vec<Listen>>,
    machine: Machine,
    left_out: Vec<String>,
}

impl Own {
    /// Of a state whose listeners are at these addresses, in their order.
    pub fn new(desired: &Desired, addresses: &[Address]) -> Own {
        let real = |at: usize| Listen {
            protocol: desired.listeners[at].listen.protocol,
            address: addresses[at].clone(),
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
        let all = (0..addresses.len()).map(real).collect();
        Own { all, feeding, machine: Machine::now(), left_out: Vec::new() }
    }

    /// Where a server is, as far as that is known, but for where we listen ourselves. At the start
    /// that is a mistake; what DNS tells later is none of the operator's, and is left out.
    pub(super) fn usable(
        &mut self,
        ground: &Ground<'_>,
        wanted: &ServerWanted<'_>,
    ) -> Result<Vec<Address>, Complaint> {
        let spec = wanted.spec;
        let said = spec.at.known();
        let is_told = spec.member_of.is_some() || said.is_none() && !ground.servers.is_empty();
        let all = match said {
            Some(address) => {
                let complain = |error: io::Error| {
                    Complaint::of(SettingKey::BACKEND, spec.at.to_string(), error.to_string())
                        .about(subject(wanted))
                };
                vec![zone::resolve(&address).map_err(complain)?]
            }
            None => (ground.known)(&spec.at),
        };
        let mut usable = Vec::new();
        for address in all {
            match self.complaint(wanted, &address) {
                None => usable.push(address),
                Some(_) if is_told => self.left_out.push(format!(
                    "backend {}: {address} is not used: a listener of ours is there",
                    spec.name
                )),
                Some(complaint) => return Err(complaint),
            }
        }
        usable.truncate(BACKEND_ADDRESSES_MAX);
        Ok(usable)
    }

    /// What was left out, for the log.
    pub(super) fn notes(mut self) -> Vec<String> {
        let more = self.left_out.len().saturating_sub(DNS_NAMES_SAID);
        if more > 0 {
            self.left_out.truncate(DNS_NAMES_SAID);
            self.left_out.push(format!("{more} more like this are not used"));
        }
        self.left_out
    }

    /// Whether what is sent there comes back to us, or a probe would ask us.
    pub fn is_ours(&self, wanted: &ServerWanted<'_>, address: &Address) -> bool {
        self.complaint(wanted, address).is_some()
    }

    fn complaint(&self, wanted: &ServerWanted<'_>, address: &Address) -> Option<Complaint> {
        wanted.pools().find_map(|pool| {
            let own = OwnListeners {
                feeding: self.feeding.get(pool).map_or(&[], Vec::as_slice),
                listeners: &self.all,
                check: &wanted.facts.check.kind,
                is_of_this_machine: &|it| self.machine.has(it),
            };
            own.complaint(SettingKey::BACKEND, wanted.spec, address)
                .map(|it| it.about(subject(wanted)))
        })
    }
}
