//! What no single flag can know: what is missing, and what does not go together.
//!
//! Asked by [`super::parse`] once all values are read.

use getopts::Matches;

use super::UsageError;
use crate::config::{
    Config, Listen, Protocol, Wrong, check_access_log_format, check_algorithm, check_backends,
    check_certificates, check_check_host, check_client_cert, check_hash_key,
    check_http_listener, check_https_listener, check_listeners, check_redirect,
    check_route_listener, check_routes, check_same_site, check_stats_path, check_sticky,
    check_tls_backend, check_tls_listener, check_udp_backends, check_udp_listener,
};
use crate::limits;

/// What no single flag can know: what is missing, and what does not go together.
pub(super) fn complete(config: &mut Config) -> Result<(), UsageError> {
    if config.demo {
        beside_the_demo(config).map_err(|wrong| UsageError::of("demo", wrong))?;
        if config.listeners.is_empty() {
            let address = limits::DEMO_LISTEN;
            let listen = |protocol| Listen { protocol, address };
            config.listeners.extend([Protocol::Http, Protocol::Udp].map(listen));
        }
        if check_http_listener(config).is_ok() {
            show_own_pages(config);
        }
    } else {
        check_route_listener(config).map_err(|wrong| UsageError::of("route", wrong))?;
        something_to_do(config)?;
    }
    check_listeners(&config.listeners).map_err(|wrong| UsageError::of("listen", wrong))?;
    check_backends(&config.backends).map_err(|wrong| UsageError::of("backend", wrong))?;
    check_routes(config).map_err(|wrong| UsageError::of("route", wrong))?;
    check_certificates(config).map_err(|(flag, wrong)| UsageError::of(flag, wrong))?;
    check_algorithm(config.algorithm, &config.check)
        .map_err(|wrong| UsageError::of("balance", wrong))
}

fn beside_the_demo(config: &Config) -> Result<(), Wrong> {
    let want = "one of the two: the demo brings its own backends";
    if !config.backends.is_empty() {
        return Err(Wrong::saying("--backend beside it", want));
    }
    if !config.routes.is_empty() {
        return Err(Wrong::saying("--route beside it", want));
    }
    match config.listeners.iter().find(|listen| listen.protocol == Protocol::Sni) {
        Some(_) => Err(Wrong::saying("an sni:// listener", "others: no backend of it has TLS")),
        None => Ok(()),
    }
}

/// The demo has both pages, unless one of them was put where the other would be.
fn show_own_pages(config: &mut Config) {
    let (health, stats) = (limits::DEMO_HEALTH_PATH, limits::DEMO_STATS_PATH);
    if config.health_path.is_none() && config.stats_path.as_deref() != Some(health) {
        config.health_path = Some(health.to_owned());
    }
    if config.stats_path.is_none() && config.health_path.as_deref() != Some(stats) {
        config.stats_path = Some(stats.to_owned());
    }
}

/// Routes are enough for who asks for a name; other listeners need backends that belong to none.
fn something_to_do(config: &Config) -> Result<(), UsageError> {
    let listeners = &config.listeners;
    let hear_names = listeners.iter().all(|listen| listen.protocol == Protocol::Sni);
    let has_routes = !config.routes.is_empty() && hear_names;
    let (missing, example) = match (listeners.is_empty(), config.backends.is_empty()) {
        (false, false) => return Ok(()),
        (false, true) if has_routes => return Ok(()),
        (false, true) if hear_names => ("--route", "--route www.example.com=127.0.0.1:8443"),
        (true, false) => ("--listen", "--listen 127.0.0.1:8000"),
        (false, true) => ("--backend", "--backend 127.0.0.1:8001"),
        (true, true) => {
            ("--listen and --backend", "--listen 127.0.0.1:8000 --backend 127.0.0.1:8001")
        }
    };
    let want = format!("at least one such as {example}, or --demo; see --help");
    Err(UsageError::new(missing.to_owned(), Wrong::found("", want)))
}

/// What a flag needs of others; asked only where it was given.
pub(super) fn go_together(config: &Config, matches: &Matches) -> Result<(), UsageError> {
    let checks = [
        ("backend", check_udp_backends(config)),
        ("check-host", check_check_host(config)),
        ("hash-key", check_hash_key(config)),
        ("sticky-cookie", check_http_listener(config)),
        ("sticky-key", check_sticky(config)),
        ("sticky-same-site", check_same_site(config)),
        ("via", check_http_listener(config)),
        ("health-path", check_http_listener(config)),
        ("stats-path", check_stats_path(config)),
        ("sni-strict", check_tls_listener(config)),
        ("client-ca", check_tls_listener(config)),
        ("client-cert", check_client_cert(config)),
        ("redirect-https", check_redirect(config)),
        ("hsts", check_https_listener(config)),
        ("backend-ca", check_tls_backend(config)),
        ("backend-verify", check_tls_backend(config)),
        ("udp-timeout", check_udp_listener(config)),
        ("udp-responses", check_udp_listener(config)),
        ("udp-requests", check_udp_listener(config)),
        ("max-flows", check_udp_listener(config)),
        ("access-log-format", check_access_log_format(config)),
    ];
    for (flag, checked) in checks {
        if matches.opt_present(flag) {
            checked.map_err(|wrong| UsageError::of(flag, wrong))?;
        }
    }
    Ok(())
}
