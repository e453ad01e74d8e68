//! What can be meant, but hardly is, and is known only once files are read: said as warnings, once
//! the start has succeeded. Of backends by name nothing is known yet: they are looked up later, and
//! what they stand for changes.

use std::collections::{HashMap, HashSet};

use crate::config::{Address, Complaint, MAIN, SettingKey, Subject, advice_on_limits};
use crate::control::Prepared;

/// All of it.
pub(super) fn advice(prepared: &Prepared) -> Vec<Complaint> {
    let mut advice = about_shared_addresses(prepared);
    advice.extend(advice_on_limits(&prepared.desired));
    advice.extend(prepared.store.advice(&prepared.desired));
    advice
}

/// Backends of one pool that are one server by several names.
fn about_shared_addresses(prepared: &Prepared) -> Vec<Complaint> {
    let mut advice = Vec::new();
    for (pool, members) in members(prepared) {
        for (address, backends) in sharing(&members) {
            let names: Vec<&str> = backends.iter().map(|member| member.name).collect();
            let is_backup = |member: &&Member<'_>| member.is_backup;
            let so = if backends.iter().any(is_backup) && !backends.iter().all(is_backup) {
                "the backup is down when it is".to_owned()
            } else if names.len() == 2 {
                "it gets twice the share".to_owned()
            } else {
                format!("it gets {} times the share", names.len())
            };
            let are = format!("backends {} are one server at {address}: {so}", listed(&names));
            let name = names.last().copied().unwrap_or_default().to_owned();
            let subject = Subject::Backend { pool: pool.to_owned(), name };
            let complaint = match pool {
                MAIN => Complaint::new(SettingKey::BACKEND, are),
                pool => Complaint::of(SettingKey::ROUTE, pool, are),
            };
            advice.push(complaint.about(subject));
        }
    }
    advice
}

/// A member of a pool, and where it is.
struct Member<'a> {
    name: &'a str,
    addresses: &'a [Address],
    is_backup: bool,
}

/// The members of each pool.
fn members(prepared: &Prepared) -> Vec<(&str, Vec<Member<'_>>)> {
    let desired = &prepared.desired;
    let mut pools: Vec<(&str, Vec<Member<'_>>)> =
        desired.pools.iter().map(|pool| (&*pool.name, Vec::new())).collect();
    let place: HashMap<&str, usize> =
        desired.pools.iter().enumerate().map(|(at, pool)| (&*pool.name, at)).collect();
    for (wanted, server) in prepared.wanted().iter().zip(&prepared.servers) {
        let Some(plan) = &server.plan else { continue };
        for (pool, seat) in wanted.seats() {
            pools[place[pool]].1.push(Member {
                name: &wanted.spec.name,
                addresses: &plan.addresses,
                is_backup: seat.backup,
            });
        }
    }
    pools
}

/// The backends at each address that several have; the same several at another address are told
/// once.
fn sharing<'m, 'a>(members: &'m [Member<'a>]) -> Vec<(Address, Vec<&'m Member<'a>>)> {
    let mut at: HashMap<Address, Vec<&Member<'_>>> = HashMap::new();
    let mut order: Vec<Address> = Vec::new();
    for member in members {
        for address in member.addresses {
            let address = address.canonical();
            let here = at.entry(address.clone()).or_insert_with(|| {
                order.push(address);
                Vec::new()
            });
            here.push(member);
        }
    }
    let mut seen = HashSet::new();
    let told = order.into_iter().filter_map(|address| {
        let them = at.remove(&address)?;
        Some((address, them))
    });
    let names = |them: &[&Member<'_>]| -> Vec<String> {
        them.iter().map(|member| member.name.to_owned()).collect()
    };
    told.filter(|(_, them)| them.len() > 1 && seen.insert(names(them))).collect()
}

/// `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [front @ .., last] if !front.is_empty() => format!("{} and {last}", front.join(", ")),
        _ => names.concat(),
    }
}
