//! What can be meant, but hardly is: said as warnings, once the start has succeeded.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::config::{
    self, BackendSpec, BackendVerify, Check, Complaint, Config, MAIN, Phrase, SettingKey,
    Wrong, dials_tls, duration_text,
};
use crate::control::{Prepared, servers};
use crate::limits::CHECK_TIMEOUT_DEFAULT;

/// All of it, in the order of the settings.
pub(super) fn advice(config: Option<&Config>, prepared: &Prepared) -> Vec<Complaint> {
    let mut advice = config.map(of_flags).unwrap_or_default();
    advice.extend(about_twins(prepared));
    advice.extend(prepared.store.never_shown());
    advice
}

fn of_flags(config: &Config) -> Vec<Complaint> {
    let mut advice = Vec::new();
    advice.extend(about_timeout(config));
    advice.extend(config::without_effect(config));
    if dials_tls(config) && config.pool.tls.verify == BackendVerify::None {
        let why = "the certificates of backends are not verified, and whoever stands between us \
                   and them can read and change everything";
        advice.push(Complaint::of(SettingKey::BACKEND_VERIFY, "none", why));
    }
    let Ok(plan) = config::plan(config) else { return advice };
    for (index, (name, members)) in plan.pools.iter().enumerate() {
        let members: Vec<&BackendSpec> = members.iter().map(|&at| &plan.backends[at]).collect();
        let complaint = |wrong: Wrong| match index {
            0 => Complaint::new(SettingKey::BACKEND, wrong),
            _ => Complaint::of(SettingKey::ROUTE, &**name, wrong),
        };
        advice.extend(about_members(&members).map(complaint));
    }
    advice
}

fn about_timeout(config: &Config) -> Option<Complaint> {
    let check = &config.pool.check;
    let odd = check.timeout > check.interval
        && check.timeout != CHECK_TIMEOUT_DEFAULT
        && check.kind != Check::None;
    odd.then(|| {
        let found = Phrase::from(format!("{}, which is above ", duration_text(check.timeout)));
        let found = found.setting(SettingKey::CHECK_INTERVAL, duration_text(check.interval));
        let found = found.text(": a probe that waits so long puts the next one off");
        Complaint::new(SettingKey::CHECK_TIMEOUT, Wrong::saying(found, "at most the interval"))
    })
}

/// A pool in which nobody takes anything, or in which being a backup says nothing.
fn about_members(members: &[&BackendSpec]) -> Option<Wrong> {
    if members.is_empty() {
        return None;
    }
    if members.iter().all(|backend| backend.weight == 0) {
        let found = Phrase::default().setting(SettingKey::BACKEND_WEIGHT, "0");
        let found = found.text(" at each, so that none takes a new connection");
        return Some(Wrong::saying(found, "another weight at one at least"));
    }
    members.iter().all(|backend| backend.backup).then(|| {
        let found = Phrase::default().name(SettingKey::BACKEND_BACKUP);
        let found = found.text(" at each, which is the same as at none");
        Wrong::saying(found, "one at least without it")
    })
}

/// Backends of one pool that are one server by several names.
fn about_twins(prepared: &Prepared) -> Vec<Complaint> {
    let mut advice = Vec::new();
    for (pool, members) in members(prepared) {
        for (address, twins) in twins(&members) {
            let names: Vec<&str> = twins.iter().map(|member| member.name).collect();
            let is_backup = |member: &&Member<'_>| member.is_backup;
            let so = if twins.iter().any(is_backup) && !twins.iter().all(is_backup) {
                "the backup is down when it is".to_owned()
            } else if names.len() == 2 {
                "it gets twice the share".to_owned()
            } else {
                format!("it gets {} times the share", names.len())
            };
            let are = format!("backends {} are one server at {address}: {so}", listed(&names));
            advice.push(match pool {
                MAIN => Complaint::new(SettingKey::BACKEND, are),
                pool => Complaint::of(SettingKey::ROUTE, pool, are),
            });
        }
    }
    advice
}

/// A member of a pool, and where it is.
struct Member<'a> {
    name: &'a str,
    addresses: &'a [SocketAddr],
    is_backup: bool,
}

/// The members of each pool.
fn members(prepared: &Prepared) -> Vec<(&str, Vec<Member<'_>>)> {
    let desired = &prepared.desired;
    let mut pools: Vec<(&str, Vec<Member<'_>>)> =
        desired.pools.iter().map(|pool| (&*pool.name, Vec::new())).collect();
    let place: HashMap<&str, usize> =
        desired.pools.iter().enumerate().map(|(at, pool)| (&*pool.name, at)).collect();
    for (wanted, server) in servers(desired).iter().zip(&prepared.servers) {
        let Some(plan) = &server.plan else { continue };
        for (pool, seat) in &wanted.seats {
            pools[place[pool]].1.push(Member {
                name: &wanted.spec.name,
                addresses: &plan.addresses,
                is_backup: seat.backup,
            });
        }
    }
    pools
}

/// Who shares an address, each company once.
fn twins<'m, 'a>(members: &'m [Member<'a>]) -> Vec<(SocketAddr, Vec<&'m Member<'a>>)> {
    let mut at: HashMap<SocketAddr, Vec<&Member<'_>>> = HashMap::new();
    let mut order: Vec<SocketAddr> = Vec::new();
    for member in members {
        for address in member.addresses {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let here = at.entry(address).or_insert_with(|| {
                order.push(address);
                Vec::new()
            });
            here.push(member);
        }
    }
    let mut seen = HashSet::new();
    let told = order.into_iter().filter_map(|address| Some((address, at.remove(&address)?)));
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
