//! What can be meant, but hardly is: said as warnings, by whichever front-end was told it.
//!
//! Pure. Asked by `wanted` for the command line, by `file` for each service with its pools, and
//! at a start and a reload for all of it.

use super::complaint::{Complaint, Phrase, Wrong};
use super::key::SettingKey;
use super::whole::without_effect;
use super::{
    BackendSpec, BackendVerify, Check, Config, DatagramLimits, Desired, ListenerSpec, Subject,
    dials_tls, duration_text, plan,
};
use crate::limits::CHECK_TIMEOUT_DEFAULT;

/// All that there is to be said of a command line, in the order of the settings.
pub fn advice(config: &Config) -> Vec<Complaint> {
    let mut advice = Vec::new();
    advice.extend(about_timeout(config));
    advice.extend(without_effect(config));
    advice.extend(about_verify(config));
    let Ok(plan) = plan(config) else { return advice };
    for (index, (name, members)) in plan.pools.iter().enumerate() {
        let members: Vec<&BackendSpec> = members.iter().map(|&at| &plan.backends[at]).collect();
        let complaint = |wrong: Wrong| match index {
            0 => Complaint::new(SettingKey::BACKEND, wrong),
            _ => Complaint::of(SettingKey::ROUTE, &**name, wrong),
        };
        advice.extend(about_members(&members).map(complaint));
        advice.extend(about_queue(config, &members));
    }
    advice
}

/// The same of one service with one of its pools.
pub fn advice_on_pool(config: &Config) -> Vec<Complaint> {
    let members: Vec<&BackendSpec> = config.backends.iter().collect();
    let about_members =
        about_members(&members).map(|wrong| Complaint::new(SettingKey::BACKEND, wrong));
    let all = about_timeout(config).into_iter().chain(without_effect(config));
    let about_queue = about_queue(config, &members);
    all.chain(about_verify(config)).chain(about_members).chain(about_queue).collect()
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

fn about_verify(config: &Config) -> Option<Complaint> {
    let is_unverified = dials_tls(config) && config.pool.tls.verify == BackendVerify::None;
    is_unverified.then(|| {
        let why = "the certificates of backends are not verified, and whoever stands between us \
                   and them can read and change everything";
        Complaint::of(SettingKey::BACKEND_VERIFY, "none", why)
    })
}

/// A queue in which nobody ever waits, for no backend is ever full.
fn about_queue(config: &Config, members: &[&BackendSpec]) -> Option<Complaint> {
    let limit = config.pool.queue.limit;
    let is_idle = limit > 0
        && !members.is_empty()
        && members.iter().all(|backend| backend.max_connections.is_none());
    is_idle.then(|| {
        let found = Phrase::from(format!("{limit}, where no backend has "));
        let found = found.name(SettingKey::BACKEND_MAX_CONNECTIONS);
        let found = found.text(": none is ever full, and nobody waits");
        Complaint::new(SettingKey::QUEUE, Wrong::saying(found, "a limit at each backend"))
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

/// What limits by client do not do as they are wanted, all listeners together.
pub fn advice_on_limits(desired: &Desired) -> Vec<Complaint> {
    let mut advice = Vec::new();
    let process = &desired.process;
    let clients = process.client_limits.clients;
    let caps = desired.listeners.iter().any(|it| it.settings.limits.connections.is_some());
    if let Some(most) = process.max_connections.filter(|_| caps)
        && u64::from(clients) < 2 * most as u64
    {
        let found = Phrase::from(format!("{clients}, which is under twice "));
        let found = found.setting(SettingKey::MAX_CONNECTIONS, most.to_string());
        let found =
            found.text(": with so many connected, clients are counted with neighbours by ");
        let found = found.name(SettingKey::LIMIT_CONNECTIONS);
        let complaint = Wrong::saying(found, format!("{} or more", 2 * most as u64));
        let complaint = Complaint::new(SettingKey::LIMIT_CLIENTS, complaint);
        advice.push(complaint.about(Subject::Process));
    }
    if !desired.listeners.iter().any(|it| it.listen.protocol.is_udp()) {
        let of = |key: SettingKey, has: fn(&DatagramLimits) -> bool| {
            let has = |it: &&ListenerSpec| has(&it.settings.datagrams);
            let listener = desired.listeners.iter().find(has)?;
            let found = Phrase::from("a limit of datagrams, and no listener where any come in");
            let complaint = Complaint::new(key, Wrong::saying(found, "a listener at udp://"));
            Some(complaint.about(Subject::Listener(listener.name.clone())))
        };
        advice.extend(of(SettingKey::LIMIT_DATAGRAM_RATE, |it| it.rate.is_some()));
        advice.extend(of(SettingKey::LIMIT_DATAGRAM_TOTAL, |it| it.total.is_some()));
        advice.extend(of(SettingKey::LIMIT_FLOWS, |it| it.flows.is_some()));
    }
    advice
}
