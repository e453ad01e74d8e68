//! Flags that may stand once, and those that may stand again and again.

use super::{BOTH, complaint};

/// Every flag that may stand once, with a good value.
const ONCE: &[(&str, &str)] = &[
    ("balance", "first"),
    ("check", "tcp"),
    ("check-host", "a"),
    ("check-interval", "1s"),
    ("check-timeout", "1s"),
    ("rise", "1"),
    ("fall", "1"),
    ("all-down", "spread"),
    ("on-down", "close"),
    ("on-removed", "close"),
    ("on-lapse", "keep"),
    ("sticky-drain", "keep"),
    ("register", ""),
    ("on-listener-removed", "keep"),
    ("connect-timeout", "1s"),
    ("tls-handshake-timeout", "1s"),
    ("retries", "1"),
    ("retry-budget", "1%"),
    ("idle-timeout", "1s"),
    ("tcp-keepalive", "1s"),
    ("half-close-timeout", "1s"),
    ("slow-start", "1s"),
    ("max-connections", "1"),
    ("backend-idle", "1s"),
    ("backend-idle-connections", "1"),
    ("header-timeout", "1s"),
    ("keep-alive", "1s"),
    ("server-timeout", "1s"),
    ("max-body", "1k"),
    ("max-request-time", "1s"),
    ("max-connection-time", "1s"),
    ("min-rate", "500/s"),
    ("limit-bandwidth", "1m/s"),
    ("limit-datagram-rate", "1/s"),
    ("limit-datagram-total", "1/s"),
    ("limit-flows", "1"),
    ("udp-timeout", "1s"),
    ("udp-responses", "1"),
    ("udp-requests", "1"),
    ("max-flows", "1"),
    ("hash-key", "ip"),
    ("sticky-cookie", "SRV"),
    ("sticky-key", "sticky.key"),
    ("sticky-same-site", "lax"),
    ("via", "on"),
    ("forwarded-fields", "forwarded"),
    ("request-id", "keep"),
    ("abort-on-close", "off"),
    ("eject-after", "1"),
    ("health-path", "/up"),
    ("stats-path", "/stats"),
    ("admin-tokens", "tokens"),
    ("picks", "10"),
    ("register-udp", "127.0.0.1:0"),
    ("admin-cert", "a.crt"),
    ("admin-key", "a.key"),
    ("admin-client-ca", "ca.crt"),
    ("admin-socket-mode", "0600"),
    ("reuse-port", ""),
    ("socket-mode", "0600"),
    ("socket-owner", "0:0"),
    ("haproxy-socket", "/run/haproxy.sock"),
    ("haproxy-level", "user"),
    ("drain-delay", "1s"),
    ("drain-timeout", "1s"),
    ("sni-strict", ""),
    ("client-ca", "ca.crt"),
    ("client-cert", "optional"),
    ("ticket-keys", "tickets"),
    ("redirect-https", ""),
    ("hsts", "1"),
    ("backend-ca", "ca.crt"),
    ("backend-verify", "none"),
    ("backend-cert", "a.crt"),
    ("backend-key", "a.key"),
    ("alpn", "postgresql"),
    ("seed", "1"),
    ("metrics", "127.0.0.1:0"),
    ("history-memory", "16m"),
    ("history-file", "history"),
    ("state-file", "state"),
    ("dns-min-ttl", "1s"),
    ("dns-max-ttl", "1m"),
    ("dns-families", "ipv4"),
    ("access-log", "-"),
    ("access-log-format", "json"),
    ("log-level", "off"),
    ("log-format", "json"),
    ("guard-dry-run", "deny,request-rate"),
    ("queue", "100"),
    ("queue-timeout", "2s"),
    ("queue-order", "fifo"),
    ("queue-urgent", "path ^= \"/pay\""),
    ("limit-connections", "1"),
    ("limit-connection-rate", "1/s"),
    ("limit-handshake-rate", "1/s"),
    ("limit-ipv6-prefix", "56"),
    ("limit-clients", "1024"),
    ("reject", "reset"),
    ("tarpit", "1s"),
    ("rate-limit-fields", "on"),
    ("listener-reject", "reset"),
    ("listener-tarpit", "1s"),
    ("listener-limit-ipv6-prefix", "56"),
    ("service-reject", "reset"),
    ("service-tarpit", "1s"),
    ("service-limit-ipv6-prefix", "56"),
    ("service-rate-limit-fields", "on"),
    ("ban-after", "5"),
    ("ban-window", "1m"),
    ("ban-time", "10m"),
    ("config", "x.toml"),
    ("check-config", ""),
    ("print-config", ""),
    ("takeover", "/run/api.sock"),
    ("demo", ""),
    ("help", ""),
    ("version", ""),
];

#[test]
fn flags_given_twice() {
    for (flag, value) in ONCE {
        let once =
            if value.is_empty() { format!("--{flag}") } else { format!("--{flag}={value}") };
        let line = complaint(&[BOTH, &[&once, &once]].concat());
        assert_eq!(line, format!("--{flag}: found twice, want it once"));
    }
    assert_eq!(
        complaint(&[BOTH, &["-a", "first", "--balance=rr"]].concat())[..9],
        *"--balance"
    );
    let repeatable = ["listen", "backend", "route", "cert", "key", "trusted-proxies"];
    let repeatable = repeatable
        .into_iter()
        .chain(["admin", "admin-allowed-host", "stats-allow"])
        .chain(["limit-request-rate", "limit-exempt"])
        .chain(["listener-limit-exempt", "service-limit-exempt"]);
    let repeatable = repeatable.chain(["allow", "deny", "allow-file", "deny-file"]);
    let repeatable = repeatable.chain(["service-allow", "service-deny", "ban-exempt"]);
    let repeatable = repeatable.chain(["service-allow-file", "service-deny-file"]);
    let repeatable = repeatable.chain(["proxy-protocol", "resolver"]);
    let tested = ONCE.iter().map(|(flag, _)| *flag).chain(repeatable);
    let mut tested: Vec<&str> = tested.collect();
    let mut known: Vec<&str> = pointsman::flags::rows().map(|row| row.long).collect();
    tested.sort_unstable();
    known.sort_unstable();
    assert_eq!(tested, known, "a flag is missing from this test");
}
