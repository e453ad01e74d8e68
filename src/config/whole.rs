//! What no single setting can know: what is missing, what follows from others, what does not go
//! together.
//!
//! Asked by a front-end once all values are read, in the order in which the functions stand here.

use super::access_log::check_access_log_format;
use super::algorithm::check_algorithm;
use super::backend::check_backends;
use super::check::check_check_host;
use super::dns::check_bounds;
use super::http::{check_hash_key, check_http_listener, check_stats_path};
use super::listen::{check_listeners, check_reuse_port, check_unix_admin, check_unix_listener};
use super::own::check_own_listeners;
use super::route::{check_route_listener, check_routes};
use super::sticky::{check_same_site, check_sticky};
use super::tls::{
    check_alpn, check_backend_identity, check_certificates, check_client_cert,
    check_hello_listener, check_https_listener, check_redirect, check_tls_backend,
    check_tls_listener,
};
use super::udp::{check_udp_backends, check_udp_listener, is_udp_alone};
use super::{
    AdminListen, Check, Complaint, Complaints, Config, Listen, Phrase, Protocol, SettingKey,
    Wrong,
};
use crate::limits;

/// Defaults that depend on other settings, where nothing was given.
pub fn fill_in(config: &mut Config, complaints: &Complaints) {
    if is_udp_alone(config) && !config.given.contains(&SettingKey::CHECK) {
        config.pool.check.kind = Check::None;
    }
    if config.process.demo {
        if config.listeners.is_empty() && !complaints.has_failed(SettingKey::LISTEN) {
            let address = limits::DEMO_LISTEN;
            let listen = |protocol| Listen::at(protocol, address);
            config.listeners.extend([Protocol::Http, Protocol::Udp].map(listen));
        }
        if check_http_listener(config).is_ok() {
            show_own_pages(config);
        }
        if config.process.admin.listen.is_empty()
            && !complaints.has_failed(SettingKey::ADMIN_LISTEN)
        {
            config.process.admin.listen.push(AdminListen::Http(limits::DEMO_ADMIN));
        }
    }
}

/// The demo has both pages, unless one of them was put where the other would be.
fn show_own_pages(config: &mut Config) {
    let health = limits::DEMO_HEALTH_PATH;
    let stats = limits::DEMO_STATS_PATH;
    if config.service.health_path.is_none()
        && config.service.stats_path.as_deref() != Some(health)
    {
        config.service.health_path = Some(health.to_owned());
    }
    if config.service.stats_path.is_none()
        && config.service.health_path.as_deref() != Some(stats)
    {
        config.service.stats_path = Some(stats.to_owned());
    }
}

/// What has to be given and was not, of where traffic comes from and goes to. Routes are enough for
/// who asks for a name; other listeners need backends that belong to none.
pub fn missing(config: &Config, complaints: &Complaints) -> Vec<SettingKey> {
    if config.process.demo || check_route_listener(config).is_err() {
        return Vec::new();
    }
    let listeners = &config.listeners;
    let listens = !listeners.is_empty() || complaints.has_failed(SettingKey::LISTEN);
    let hear_names = listeners.iter().all(|listen| listen.protocol.hears_names());
    let routed = !config.routes.is_empty() || complaints.has_failed(SettingKey::ROUTE);
    let serves = !config.backends.is_empty()
        || complaints.has_failed(SettingKey::BACKEND)
        || (routed && hear_names);
    match (listens, serves) {
        (true, true) => Vec::new(),
        (true, false) if hear_names && !listeners.is_empty() => vec![SettingKey::ROUTE],
        (false, true) => vec![SettingKey::LISTEN],
        (true, false) => vec![SettingKey::BACKEND],
        (false, false) => vec![SettingKey::LISTEN, SettingKey::BACKEND],
    }
}

/// What does not go together.
pub fn check_whole(config: &Config, complaints: &mut Complaints) {
    match config.process.demo {
        true => complaints.check(SettingKey::DEMO, &[], beside_the_demo(config)),
        false => complaints.check(
            SettingKey::ROUTE,
            &[SettingKey::LISTEN],
            check_route_listener(config),
        ),
    }
    complaints.check(SettingKey::LISTEN, &[], check_listeners(&config.listeners));
    complaints.check(SettingKey::BACKEND, &[], check_backends(&config.backends));
    complaints.check(SettingKey::ROUTE, &[SettingKey::BACKEND], check_routes(config));
    check_own_listeners(config, complaints);
    complaints.check(
        SettingKey::DNS_MIN_TTL,
        &[SettingKey::DNS_MAX_TTL],
        check_bounds(&config.process.dns),
    );
    if let Err((key, wrong)) = check_certificates(config) {
        complaints.check(
            key,
            &[SettingKey::LISTEN, SettingKey::CERT, SettingKey::CERT_KEY],
            Err(wrong),
        );
    }
    let checked = check_algorithm(config.pool.algorithm, &config.pool.check.kind);
    complaints.check(SettingKey::BALANCE, &[SettingKey::BALANCE, SettingKey::CHECK], checked);
    check_needs(config, complaints);
}

/// Nothing is hidden where nothing is shown.
fn check_stats_allow(config: &Config) -> Result<(), Wrong> {
    match config.service.stats_path {
        Some(_) => Ok(()),
        None => Err(Wrong::without(SettingKey::STATS_PATH, "/PATH")),
    }
}

fn beside_the_demo(config: &Config) -> Result<(), Wrong> {
    let want = "one of the two: the demo brings its own backends";
    let beside = |key| Wrong::saying(Phrase::default().name(key).text(" beside it"), want);
    if !config.backends.is_empty() {
        return Err(beside(SettingKey::BACKEND));
    }
    if !config.routes.is_empty() {
        return Err(beside(SettingKey::ROUTE));
    }
    if config.takeover.is_some() {
        return Err(beside(SettingKey::TAKEOVER));
    }
    match config.listeners.iter().find(|listen| listen.protocol == Protocol::Sni) {
        Some(_) => Err(Wrong::saying("an sni:// listener", "others: no backend of it has TLS")),
        None => Ok(()),
    }
}

/// Limits that were given and that no listener has: each is harmless, but would be believed in.
pub(super) fn without_effect(config: &Config) -> Vec<Complaint> {
    let http = [
        SettingKey::MAX_BODY,
        SettingKey::TRUSTED_PROXIES,
        SettingKey::ABORT_ON_CLOSE,
        SettingKey::EJECT_AFTER,
        SettingKey::HEADER_TIMEOUT,
        SettingKey::KEEP_ALIVE,
        SettingKey::SERVER_TIMEOUT,
        SettingKey::LIMIT_REQUEST_RATE,
    ];
    let http = http.map(|key| (key, check_http_listener(config)));
    let hello = [SettingKey::TLS_HANDSHAKE_TIMEOUT, SettingKey::LIMIT_HANDSHAKE_RATE];
    let hello = hello.map(|key| (key, check_hello_listener(config)));
    let bans = [SettingKey::BAN_WINDOW, SettingKey::BAN_TIME, SettingKey::BAN_EXEMPT];
    let strikes = config.process.bans.after.map(drop);
    let strikes = strikes.ok_or_else(|| Wrong::without(SettingKey::BAN_AFTER, "N"));
    let bans = bans.map(|key| (key, strikes.clone()));
    let all = http.into_iter().chain(hello).chain(bans);
    all.filter(|(key, _)| config.given.contains(key))
        .filter_map(|(key, checked)| Some(Complaint::new(key, checked.err()?)))
        .collect()
}

/// What a setting needs of others; asked only where it was given.
fn check_needs(config: &Config, complaints: &mut Complaints) {
    use SettingKey as K;
    let listener: &[SettingKey] = &[K::LISTEN];
    let backend: &[SettingKey] = &[K::BACKEND, K::ROUTE, K::CHECK];
    let verify: &[SettingKey] = &[K::BACKEND, K::ROUTE, K::CHECK, K::BACKEND_CA];
    let checks = [
        (K::BACKEND, &[K::BACKEND, K::LISTEN, K::CHECK][..], check_udp_backends(config)),
        (K::CHECK_HOST, &[K::CHECK], check_check_host(config)),
        (K::HASH_KEY, &[K::LISTEN, K::BALANCE, K::HASH_KEY], check_hash_key(config)),
        (K::STICKY_COOKIE, listener, check_http_listener(config)),
        (K::STICKY_KEY, &[K::LISTEN, K::STICKY_COOKIE], check_sticky(config)),
        (K::STICKY_SAME_SITE, &[K::LISTEN, K::STICKY_COOKIE], check_same_site(config)),
        (K::VIA, listener, check_http_listener(config)),
        (K::REQUEST_ID, listener, check_http_listener(config)),
        (K::HEALTH_PATH, listener, check_http_listener(config)),
        (K::STATS_PATH, listener, check_stats_path(config)),
        (K::STATS_ALLOW, &[K::STATS_PATH, K::LISTEN], check_stats_allow(config)),
        (K::ALPN, listener, check_alpn(config)),
        (K::BACKEND_CERT, backend, check_backend_identity(config)),
        (
            K::BACKEND_KEY,
            &[K::BACKEND, K::ROUTE, K::BACKEND_CERT],
            check_backend_identity(config),
        ),
        (K::SNI_STRICT, listener, check_tls_listener(config)),
        (K::CLIENT_CA, listener, check_tls_listener(config)),
        (K::CLIENT_CERT, &[K::LISTEN, K::CLIENT_CA, K::CLIENT_CERT], check_client_cert(config)),
        (K::REUSE_PORT, listener, check_reuse_port(config)),
        (K::TICKET_KEYS, listener, check_tls_listener(config)),
        (K::SOCKET_MODE, listener, check_unix_listener(config)),
        (K::SOCKET_OWNER, listener, check_unix_listener(config)),
        (K::ADMIN_SOCKET_MODE, &[K::ADMIN_LISTEN, K::HAPROXY_SOCKET], check_unix_admin(config)),
        (K::REDIRECT_HTTPS, listener, check_redirect(config)),
        (K::HSTS, listener, check_https_listener(config)),
        (K::BACKEND_CA, backend, check_tls_backend(config)),
        (K::BACKEND_VERIFY, verify, check_tls_backend(config)),
        (K::UDP_TIMEOUT, listener, check_udp_listener(config)),
        (K::UDP_RESPONSES, listener, check_udp_listener(config)),
        (K::UDP_REQUESTS, listener, check_udp_listener(config)),
        (K::MAX_FLOWS, listener, check_udp_listener(config)),
        (K::ACCESS_LOG_FORMAT, &[K::ACCESS_LOG], check_access_log_format(config)),
    ];
    for (key, needs, checked) in checks {
        let applies = key == K::BACKEND || !complaints.has_failed(key);
        if config.given.contains(&key) && applies {
            complaints.check(key, needs, checked);
        }
    }
}
