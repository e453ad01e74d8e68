//! What a server is to be, from what its pools say of it.

use crate::backends::{CheckRules, IdleRules, RiseFall, ServerPlan};
use crate::config::{
    Address, Check, Complaint, Phrase, SendProxy, SettingKey, Target, host_text,
    v1_for_datagrams,
};
use crate::net::tls::client::ClientTls;

use super::servers::ServerWanted;
use super::tls::TlsStore;

/// What is known of a server, which is at these addresses; none, if nobody has told them yet.
pub(super) fn plan(
    wanted: &ServerWanted<'_>,
    addresses: Vec<Address>,
    store: &TlsStore,
) -> Result<ServerPlan, Complaint> {
    let spec = wanted.spec;
    let complaint = |why: Phrase| Complaint::of(SettingKey::BACKEND, spec.at.to_string(), why);
    // Files and flags were asked already; what was told while it runs was not.
    if spec.proxy == Some(SendProxy::V1) && wanted.is_for_datagrams() {
        let why = v1_for_datagrams(&spec.name);
        return Err(Complaint::of(SettingKey::BACKEND, &*spec.name, why));
    }
    let (dial, probe_dial) = dials(wanted, store).ok_or_else(|| {
        let name = spec.tls.as_deref().unwrap_or_default();
        let why = Phrase::from(format!("'{name}' is no name for TLS; ,"));
        complaint(why.setting(TlsStore::NAME, "NAME").text(" gives one"))
    })?;
    Ok(ServerPlan {
        name: spec.name.clone(),
        at: spec.at.clone(),
        addresses,
        max_connections: spec.max_connections,
        check_port: spec.check_port,
        proxy: spec.proxy,
        check_host: probe_host(wanted, probe_dial.is_some()),
        dial,
        probe_dial,
        check: check_rules(wanted),
        idle_rules: idle_rules(wanted),
    })
}

fn check_rules(wanted: &ServerWanted<'_>) -> CheckRules {
    let check = wanted.facts.check;
    let rise_fall = RiseFall { rise: check.rise, fall: check.fall };
    CheckRules { rise_fall, probed: check.kind != Check::None }
}

fn idle_rules(wanted: &ServerWanted<'_>) -> IdleRules {
    IdleRules { connections: wanted.facts.idle_connections, time: wanted.facts.idle_time }
}

/// What probes of HTTP say of their host: what the operator wrote of the backend, with the port
/// they go to unless it is the usual one.
fn probe_host(wanted: &ServerWanted<'_>, tls: bool) -> String {
    if let Some(host) = &wanted.facts.check.host {
        return host.clone();
    }
    let spec = wanted.spec;
    let Target::Host { host, port } = &spec.at else { return "localhost".to_owned() };
    // Where a name stands for it, it is asked by the name of its host.
    let host = spec.member_of.as_ref().map_or(host, |it| &it.host);
    // The zone of a link-local address is of use on this machine alone.
    let name = host.split('%').next().unwrap_or_default();
    let host = host_text(name);
    let port = spec.check_port.unwrap_or(*port);
    let usual = if tls { 443 } else { 80 };
    if port == usual { host } else { format!("{host}:{port}") }
}

/// What it takes to speak TLS with a backend, for clients and for probes; nothing at all if it has
/// no name for it.
fn dials(
    wanted: &ServerWanted<'_>,
    store: &TlsStore,
) -> Option<(Option<ClientTls>, Option<ClientTls>)> {
    let facts = &wanted.facts;
    let Some(roots) = store.roots(facts.dial) else { return Some((None, None)) };
    let dial = match facts.tls {
        Some(name) => Some(roots.dial(name, facts.alpn)?),
        None => None,
    };
    let probe_dial = match &facts.check.kind {
        Check::None | Check::Tcp | Check::Udp(_) => None,
        Check::Text(_) | Check::Load(_) => dial.clone().map(ClientTls::without_client),
        Check::Http(_) => dial.clone(),
        Check::Https(_) if dial.is_none() => {
            Some(roots.dial(wanted.spec.at.name_for_tls()?, &[])?)
        }
        Check::Https(_) => dial.clone(),
    };
    Some((dial, probe_dial))
}
