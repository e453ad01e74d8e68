//! What no single flag can know: what is missing, and what does not go together.
//!
//! Asked by [`super::parse`] once all values are read.

use getopts::Matches;

use super::{Complaints, UsageError};
use crate::config::{
    Config, Listen, Protocol, Wrong, check_access_log_format, check_algorithm, check_alpn,
    check_backend_identity, check_backends, check_certificates, check_check_host,
    check_client_cert, check_hash_key, check_http_listener, check_https_listener,
    check_listeners, check_redirect, check_route_listener, check_routes, check_same_site,
    check_stats_path, check_sticky, check_tls_backend, check_tls_listener, check_udp_backends,
    check_udp_listener,
};
use crate::limits;

/// What is missing, and what does not go together of flags that nearly every command line has.
pub(super) fn complete(config: &mut Config, complaints: &mut Complaints) {
    if config.demo {
        complaints.check("demo", &[], beside_the_demo(config));
        if config.listeners.is_empty() && !complaints.has_failed("listen") {
            let address = limits::DEMO_LISTEN;
            let listen = |protocol| Listen { protocol, address };
            config.listeners.extend([Protocol::Http, Protocol::Udp].map(listen));
        }
        if check_http_listener(config).is_ok() {
            show_own_pages(config);
        }
    } else {
        let hears_names = check_route_listener(config);
        if hears_names.is_ok() {
            something_to_do(config, complaints);
        }
        complaints.check("route", &["listen"], hears_names);
    }
    complaints.check("listen", &[], check_listeners(&config.listeners));
    complaints.check("backend", &[], check_backends(&config.backends));
    complaints.check("route", &["backend"], check_routes(config));
    if let Err((flag, wrong)) = check_certificates(config) {
        complaints.check(flag, &["listen", "cert", "key"], Err(wrong));
    }
    let checked = check_algorithm(config.algorithm, &config.check);
    complaints.check("balance", &["balance", "check"], checked);
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
fn something_to_do(config: &Config, complaints: &mut Complaints) {
    let listeners = &config.listeners;
    let listens = !listeners.is_empty() || complaints.has_failed("listen");
    let hear_names = listeners.iter().all(|listen| listen.protocol == Protocol::Sni);
    let routed = !config.routes.is_empty() || complaints.has_failed("route");
    let serves = !config.backends.is_empty()
        || complaints.has_failed("backend")
        || (routed && hear_names);
    let (missing, example) = match (listens, serves) {
        (true, true) => return,
        (true, false) if hear_names && !listeners.is_empty() => {
            ("--route", "--route www.example.com=127.0.0.1:8443")
        }
        (false, true) => ("--listen", "--listen 127.0.0.1:8000"),
        (true, false) => ("--backend", "--backend 127.0.0.1:8001"),
        (false, false) => {
            ("--listen and --backend", "--listen 127.0.0.1:8000 --backend 127.0.0.1:8001")
        }
    };
    let want = format!("at least one such as {example}, or --demo; see --help");
    complaints.add(UsageError::new(missing.to_owned(), Wrong::found("", want)));
    if !listens {
        complaints.failed.push("listen");
    }
    if !serves {
        complaints.failed.push("backend");
    }
}

/// What a flag needs of others; asked only where it was given.
pub(super) fn go_together(config: &Config, matches: &Matches, complaints: &mut Complaints) {
    let listener: &[&str] = &["listen"];
    let backend: &[&str] = &["backend", "route", "check"];
    let checks = [
        ("backend", &["backend", "listen", "check"][..], check_udp_backends(config)),
        ("check-host", &["check"], check_check_host(config)),
        ("hash-key", &["listen", "balance", "hash-key"], check_hash_key(config)),
        ("sticky-cookie", listener, check_http_listener(config)),
        ("sticky-key", &["listen", "sticky-cookie"], check_sticky(config)),
        ("sticky-same-site", &["listen", "sticky-cookie"], check_same_site(config)),
        ("via", listener, check_http_listener(config)),
        ("health-path", listener, check_http_listener(config)),
        ("stats-path", listener, check_stats_path(config)),
        ("alpn", listener, check_alpn(config)),
        ("backend-cert", backend, check_backend_identity(config)),
        ("backend-key", &["backend", "route", "backend-cert"], check_backend_identity(config)),
        ("sni-strict", listener, check_tls_listener(config)),
        ("client-ca", listener, check_tls_listener(config)),
        ("client-cert", &["listen", "client-ca", "client-cert"], check_client_cert(config)),
        ("redirect-https", listener, check_redirect(config)),
        ("hsts", listener, check_https_listener(config)),
        ("backend-ca", backend, check_tls_backend(config)),
        (
            "backend-verify",
            &["backend", "route", "check", "backend-ca"],
            check_tls_backend(config),
        ),
        ("udp-timeout", listener, check_udp_listener(config)),
        ("udp-responses", listener, check_udp_listener(config)),
        ("udp-requests", listener, check_udp_listener(config)),
        ("max-flows", listener, check_udp_listener(config)),
        ("access-log-format", &["access-log"], check_access_log_format(config)),
    ];
    for (flag, needs, checked) in checks {
        if matches.opt_present(flag) && (flag == "backend" || !complaints.has_failed(flag)) {
            complaints.check(flag, needs, checked);
        }
    }
}
