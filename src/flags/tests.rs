//! Lines as a whole: what each flag reaches, and that nothing typed goes unanswered.

use super::*;
use crate::config::{
    AccessLists, AccessLogFormat, AccessLogPlace, AdminSettings, Algorithm, AllDown,
    BackendTls, BackendVerify, BanSettings, Bandwidth, CertificatePair, Check, CheckSettings,
    Cidr, ClientCert, DatagramLimits, DnsFamilies, DnsSettings, ForwardedFields, HashKey,
    LimitSettings, LimitTerms, ListenerLimits, ListenerSettings, ListenerTls, MinRate, OnDown,
    OnLapse, OnListenerRemoved, OnRemoved, PoolSettings, ProcessSettings, Protocol, Rate,
    Redirect, Reject, RequestIds, RequestLimit, RetryBudget, SameSite, ServiceSettings,
    Slowness, Sticky, StickyDrain, UdpSettings, UnknownName,
};
use crate::limits;
use std::collections::BTreeSet;
use std::time::Duration;

fn run(line: &str) -> Config {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse(&args) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_least_that_can_be_asked_for_has_the_defaults() {
    let config = run("-l 127.0.0.1:8000 -b 127.0.0.1:8001");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.backends.len(), 1);
    assert_eq!(config.given, BTreeSet::from([SettingKey::LISTEN, SettingKey::BACKEND]));
    let rest = Config {
        listeners: Vec::new(),
        backends: Vec::new(),
        given: BTreeSet::new(),
        ..config
    };
    assert_eq!(rest, Config::defaults());
}

/// What [`every_flag_reaches_its_field`] asks for.
fn every_pool_setting() -> PoolSettings {
    PoolSettings {
        algorithm: Algorithm::Random,
        hash_key: HashKey::Ip,
        sticky: Sticky::DEFAULT,
        slow_start: Duration::from_secs(10),
        eject_after: limits::EJECT_AFTER_DEFAULT,
        all_down: AllDown::Spread,
        on_down: OnDown::Close,
        on_removed: OnRemoved::Close,
        register: true,
        on_lapse: OnLapse::Keep,
        connect_timeout: Duration::from_millis(1500),
        retries: 0,
        retry_budget: RetryBudget::Percent(35),
        backend_idle: Duration::from_millis(1),
        backend_idle_connections: 0,
        queue: crate::config::QueueSettings {
            limit: 5,
            timeout: Duration::from_secs(6),
            order: crate::config::QueueOrder::Fifo,
            urgent: None,
        },
        check: CheckSettings {
            kind: Check::parse("http:/x").unwrap(),
            host: None,
            interval: Duration::from_millis(10),
            timeout: Duration::from_millis(1),
            rise: 1,
            fall: 1000,
        },
        tls: BackendTls::DEFAULT,
    }
}

fn every_process_setting() -> ProcessSettings {
    ProcessSettings {
        max_flows: None,
        tcp_keepalive: Duration::from_secs(5),
        max_connections: Some(7),
        drain_delay: Duration::from_secs(8),
        drain_timeout: Duration::ZERO,
        access_log: Some(AccessLogPlace::Stdout),
        access_log_format: AccessLogFormat::Haproxy,
        log_level: log::LevelFilter::Trace,
        log_format: Some(crate::config::LogFormat::Json),
        admin: AdminSettings::DEFAULT,
        guard_dry_run: crate::config::DryRun::All,
        client_limits: LimitSettings::DEFAULT,
        bans: BanSettings::DEFAULT,
        dns: DnsSettings::DEFAULT,
        seed: Some(u64::MAX),
        demo: false,
        state_file: Some("/run/state".to_owned()),
    }
}

#[test]
fn how_names_are_looked_up_reaches_its_field() {
    let config = run("-l :0 -b a:1 --resolver 10.0.0.53 --resolver 127.0.0.1:5353,::1 \
         --dns-min-ttl 2s --dns-max-ttl 1m --dns-families ipv4");
    let resolvers = ["10.0.0.53:53", "127.0.0.1:5353", "[::1]:53"];
    let expected = DnsSettings {
        resolvers: resolvers.iter().map(|it| it.parse().unwrap()).collect(),
        min_ttl: Duration::from_secs(2),
        max_ttl: Duration::from_secs(60),
        families: DnsFamilies::Ipv4,
    };
    assert_eq!(config.process.dns, expected);
}

fn datagram_limits() -> DatagramLimits {
    let rate = |text| Some(Rate::parse(text).unwrap());
    DatagramLimits { rate: rate("8/s"), total: rate("9/s"), flows: Some(9) }
}

fn slowness() -> Slowness {
    Slowness {
        max_request_time: Some(Duration::from_secs(300)),
        max_connection_time: Some(Duration::from_secs(7200)),
        min_rate: Some(MinRate { rate: 1024, after: Duration::from_secs(5) }),
    }
}

#[test]
fn every_flag_reaches_its_field() {
    let config = run("-l http://*:0 --listen=sni://[::1]:0 -ba:1,backup --backend b:2 -a p2c \
         --check http:/x --check-interval 10ms --check-timeout=1ms --rise 1 --fall 1000 \
         --all-down spread --connect-timeout 1.5s --retries 0 --retry-budget 35% --idle-timeout 2h \
         --half-close-timeout 1m --slow-start 10s --on-down close --on-removed close \
         --register --on-lapse keep --on-listener-removed keep --max-connections 7 \
         --drain-delay 8s --drain-timeout 0s --backend-idle 1ms --backend-idle-connections 0 \
         --seed 18446744073709551615 --log-level trace --reuse-port \
         --tls-handshake-timeout 4s --tcp-keepalive 5s --header-timeout 1s \
         --keep-alive 2s --server-timeout 3s --abort-on-close off --max-body 10m \
         --limit-bandwidth 2m/s --limit-flows 9 --limit-datagram-rate 8/s \
         --limit-datagram-total 9/s --max-request-time 5m --max-connection-time 2h \
         --min-rate 1k/s,after=5s --trusted-proxies 10.0.0.0/8,::1 --trusted-proxies fd00::/8 \
         --access-log - --access-log-format haproxy --log-format json --guard-dry-run all \
         --queue 5 --queue-timeout 6s --socket-mode 0600 --socket-owner www-data:33 \
         --queue-order fifo --proxy-protocol 192.0.2.0/24,::1 --state-file /run/state \
         --takeover /run/api.sock -l unix:/s");
    assert_eq!(config.listeners.len(), 3);
    let expected = Config {
        file: None,
        takeover: Some("/run/api.sock".to_owned()),
        task: crate::config::Task::Run,
        process: every_process_setting(),
        listeners: config.listeners.clone(),
        listener: ListenerSettings {
            reuse_port: true,
            socket_mode: 0o600,
            socket_owner: Some(crate::config::SocketOwner::parse("www-data:33").unwrap()),
            terms: LimitTerms::SAME,
            header_timeout: Duration::from_secs(1),
            keep_alive: Duration::from_secs(2),
            tls_handshake_timeout: Duration::from_secs(4),
            trusted_proxies: Cidr::parse_list("10.0.0.0/8,::1,fd00::/8").unwrap(),
            access: AccessLists::NONE,
            proxy_protocol: Cidr::parse_list("192.0.2.0/24,::1").unwrap(),
            on_removed: OnListenerRemoved::Keep,
            limits: ListenerLimits::NONE,
            bandwidth: Bandwidth::parse("2m/s").unwrap(),
            datagrams: datagram_limits(),
            tls: ListenerTls::DEFAULT,
        },
        service: ServiceSettings {
            terms: LimitTerms::SAME,
            idle_timeout: Duration::from_secs(7200),
            half_close_timeout: Duration::from_secs(60),
            server_timeout: Duration::from_secs(3),
            abort_on_close: false,
            max_body: Some(10 << 20),
            via: false,
            forwarded_fields: ForwardedFields::DEFAULT,
            request_ids: RequestIds::Off,
            hsts: None,
            redirect: Redirect::No,
            health_path: None,
            stats_path: None,
            stats_allow: Vec::new(),
            request_limits: Vec::new(),
            slowness: slowness(),
            access: AccessLists::NONE,
            udp: UdpSettings::DEFAULT,
        },
        routes: Vec::new(),
        pool: every_pool_setting(),
        backends: config.backends.clone(),
        given: config.given.clone(),
    };
    assert_eq!(config, expected);
    let names: Vec<&str> = config.backends.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["a:1", "b:2"]);
}

#[test]
fn who_comes_in_and_who_is_banned_reaches_its_field() {
    let config = run("-l :0 -b a:1 --allow 192.0.2.0/24 --allow ::1 --deny 192.0.2.7 \
         --allow-file allow --deny-file deny,other --service-allow 198.51.100.7 \
         --service-deny fd00::/8 --service-allow-file s.allow --service-deny-file s.deny \
         --ban-after 5 --ban-window 2s --ban-time 3s --ban-exempt 127.0.0.1");
    let networks = |text| Cidr::parse_list(text).unwrap();
    let files = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let listener = AccessLists {
        allow: networks("192.0.2.0/24,::1"),
        deny: networks("192.0.2.7"),
        allow_files: files("allow"),
        deny_files: files("deny,other"),
    };
    let service = AccessLists {
        allow: networks("198.51.100.7"),
        deny: networks("fd00::/8"),
        allow_files: files("s.allow"),
        deny_files: files("s.deny"),
    };
    let bans = BanSettings {
        after: Some(5),
        window: Duration::from_secs(2),
        time: Duration::from_secs(3),
        exempt: networks("127.0.0.1"),
    };
    assert_eq!((config.listener.access, config.service.access), (listener, service));
    assert_eq!(config.process.bans, bans);
}

#[test]
fn what_only_http_listeners_heed_reaches_its_field_too() {
    let config = run("-l http://*:0 -b http://a:1 -a ip-hash --hash-key header:X-User \
         --sticky-cookie SRV --sticky-key k --sticky-same-site strict --sticky-drain keep --via on \
         --request-id keep --forwarded-fields forwarded,x-real-ip \
         --eject-after 0 --health-path /up --stats-path /stats");
    let mut expected = Config {
        listeners: config.listeners.clone(),
        backends: config.backends.clone(),
        given: config.given.clone(),
        ..Config::defaults()
    };
    expected.pool.algorithm = Algorithm::IpHash;
    expected.pool.hash_key = HashKey::Header("x-user".to_owned());
    expected.pool.sticky = Sticky {
        cookie: Some("SRV".to_owned()),
        key: Some("k".to_owned()),
        same_site: SameSite::Strict,
        drain: StickyDrain::Keep,
    };
    expected.pool.eject_after = 0;
    expected.service.via = true;
    expected.service.request_ids = RequestIds::Keep;
    expected.service.forwarded_fields =
        ForwardedFields { x_forwarded: false, forwarded: true, x_real_ip: true };
    expected.service.health_path = Some("/up".to_owned());
    expected.service.stats_path = Some("/stats".to_owned());
    assert_eq!(config, expected);
    assert_eq!(config.listeners[0].protocol, Protocol::Http);
}

#[test]
fn what_a_client_may_do_reaches_its_field() {
    let config = run("-l http://*:0 -b a:1 --limit-connections 5 --limit-connection-rate 6/s \
         --limit-handshake-rate 7/m,burst=2 --limit-request-rate 8/s \
         --limit-request-rate 9/h,by=service --limit-ipv6-prefix 56 --limit-clients 1024 \
         --limit-exempt 10.0.0.0/8 --limit-exempt ::1 --reject reset --tarpit 3s \
         --rate-limit-fields on");
    let rate = |text| Rate::parse(text).unwrap();
    let limits = ListenerLimits {
        connections: Some(5),
        connection_rate: Some(rate("6/s")),
        handshake_rate: Some(rate("7/m,burst=2")),
    };
    assert_eq!(config.listener.limits, limits);
    let requests = ["8/s", "9/h,by=service"].map(|text| RequestLimit::parse(text).unwrap());
    assert_eq!(config.service.request_limits, requests);
    let common = LimitSettings {
        ipv6_prefix: 56,
        clients: 1024,
        exempt: Cidr::parse_list("10.0.0.0/8,::1").unwrap(),
        reject: Reject::Reset,
        tarpit: Duration::from_secs(3),
        rate_fields: true,
    };
    assert_eq!(config.process.client_limits, common);
}

#[test]
fn what_limits_of_listeners_or_services_have_of_their_own_reaches_its_field() {
    let config = run("-l http://*:0 -b a:1 --listener-reject reset --listener-tarpit 2s \
         --listener-limit-exempt 10.0.0.0/8 --listener-limit-exempt ::1 \
         --listener-limit-ipv6-prefix 48 --service-reject tarpit --service-tarpit 3s \
         --service-limit-exempt none --service-limit-ipv6-prefix 56 \
         --service-rate-limit-fields on");
    let of_listener = LimitTerms {
        ipv6_prefix: Some(48),
        exempt: Some(Cidr::parse_list("10.0.0.0/8,::1").unwrap()),
        reject: Some(Reject::Reset),
        tarpit: Some(Duration::from_secs(2)),
        rate_fields: None,
    };
    assert_eq!(config.listener.terms, of_listener);
    let of_service = LimitTerms {
        ipv6_prefix: Some(56),
        exempt: Some(Vec::new()),
        reject: Some(Reject::Tarpit),
        tarpit: Some(Duration::from_secs(3)),
        rate_fields: Some(true),
    };
    assert_eq!(config.service.terms, of_service);
}

#[test]
fn routes_are_enough_where_names_are_heard() {
    let config = run("-l sni://*:0 --route a.example=b:1,backup,c:1 --route *=refuse");
    assert_eq!(config.listeners[0].protocol, Protocol::Sni);
    assert_eq!((config.routes.len(), config.backends.len()), (2, 0));
    let config = run("-l sni://*:0 -l *:0 --route a.example=b:1 -b b:1");
    assert_eq!((config.routes.len(), config.backends.len()), (1, 1));
    assert_eq!(run("-l sni://*:0 -b b:1").routes, []);
}

#[test]
fn what_is_asked_about_tls_reaches_its_field() {
    let config = run("-l https://*:0 -l http://*:0 -b https://a:1 --cert a.crt --cert b.crt \
         --key a.key --key b.key --sni-strict --client-ca ca.crt --client-cert optional \
         --ticket-keys tickets \
         --redirect-https --hsts 60 --backend-ca b.ca \
         --backend-verify required --backend-cert c.crt --backend-key c.key");
    let pair = |name: &str| CertificatePair {
        cert: format!("{name}.crt"),
        key: format!("{name}.key"),
    };
    let expected = ListenerTls {
        certificates: vec![pair("a"), pair("b")],
        unknown_name: UnknownName::Refuse,
        client_ca: Some("ca.crt".to_owned()),
        client_cert: ClientCert::Optional,
        alpn: Vec::new(),
        ticket_keys: Some("tickets".to_owned()),
    };
    assert_eq!(config.listener.tls, expected);
    let expected = BackendTls {
        ca: Some("b.ca".to_owned()),
        identity: pair("c"),
        verify: BackendVerify::Required,
    };
    assert_eq!(config.pool.tls, expected);
    assert_eq!((config.service.redirect, config.service.hsts), (Redirect::Https, Some(60)));
    let config =
        run("-l tls://*:0 -b a:1,tls --cert a --key b --client-ca c --alpn postgresql,h2");
    assert_eq!(config.listener.tls.alpn, ["postgresql", "h2"]);
    assert_eq!(config.listener.tls.client_cert, ClientCert::Required);
}

#[test]
fn what_only_udp_listeners_heed_reaches_its_field_too() {
    let config = run("-l udp://*:53 -l *:53 -b udp://a:53,check-port=80 --udp-timeout 5s \
         --udp-responses 0 --udp-requests 1 --max-flows 7 --check http:/");
    let udp =
        UdpSettings { timeout: Duration::from_secs(5), responses: Some(0), requests: Some(1) };
    assert_eq!(config.process.max_flows, Some(7));
    assert_eq!((config.service.udp, config.backends[0].check_port), (udp, Some(80)));
    let protocols: Vec<Protocol> = config.listeners.iter().map(|l| l.protocol).collect();
    assert_eq!(protocols, [Protocol::Udp, Protocol::Tcp]);
}

#[test]
fn datagrams_alone_are_not_probed_by_connects() {
    assert_eq!(run("-l udp://*:53 -b a:53").pool.check.kind, Check::None);
    assert_eq!(run("-l udp://*:53 -b a:53 --check tcp").pool.check.kind, Check::Tcp);
    assert_eq!(run("-l udp://*:53 -l *:53 -b a:53").pool.check.kind, Check::Tcp);
}

#[test]
fn the_demo_needs_nothing_and_may_listen_elsewhere() {
    let config = run("--demo");
    assert!(config.process.demo && config.backends.is_empty());
    assert_eq!(config.listeners[0].address, limits::DEMO_LISTEN.into());
    assert_eq!(config.listeners[0].protocol, Protocol::Http);
    assert_eq!(config.listeners[1].address, limits::DEMO_LISTEN.into());
    assert_eq!(config.listeners[1].protocol, Protocol::Udp);
    assert_eq!(config.service.health_path.as_deref(), Some("/health"));
    assert_eq!(config.service.stats_path.as_deref(), Some("/stats"));
    let config = run("--demo -l http://127.0.0.1:0 --stats-path /numbers");
    assert_eq!(config.service.stats_path.as_deref(), Some("/numbers"));
    let config = run("--demo --stats-path /health");
    assert_eq!(
        (config.service.health_path, config.service.stats_path.as_deref()),
        (None, Some("/health"))
    );
    let config = run("--demo -l 127.0.0.1:0");
    assert_eq!((config.service.health_path, config.service.stats_path), (None, None));
    let config = run("--demo -l 127.0.0.1:0");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address.port(), Some(0));
}

/// What [`Take`](row::Take) promises: a flag that lacks its value swallows the next flag,
/// and must say so.
#[test]
fn no_value_is_empty_or_begins_with_a_dash() {
    for flag in all_flags() {
        if let Act::Value(_, take) | Act::Values(_, take, _) = flag.act {
            for text in ["", "--", "-1", "-1s", "--demo", "-b", "-a:80", "-:1"] {
                let wrong = take(&mut Config::defaults(), text);
                assert!(wrong.is_err(), "--{} {text}", flag.long);
            }
            let stdout = take(&mut Config::defaults(), "-").is_ok();
            assert_eq!(stdout, flag.long == "access-log", "--{} -", flag.long);
        }
    }
}

/// Whatever is typed: no panic, and a complaint is one line that begins with its flag.
#[test]
fn any_line_is_read_or_refused_in_one_line() {
    let bits = [
        "-",
        "--",
        "=",
        ":",
        ",",
        "://",
        "tcp",
        "http",
        "load",
        "[",
        "]",
        "::1",
        "%",
        "*",
        ".",
        "0",
        "1",
        "65536",
        "9999999999999999999999",
        "s",
        "ms",
        "h",
        "a",
        "localhost",
        "weight",
        "backup",
        "name",
        "listen",
        "backend",
        "balance",
        "check",
        "l",
        "b",
        "\n",
        "\0",
        " ",
        "é",
        "'",
        "\u{202e}",
        "rise",
        "seed",
        "demo",
        "h",
        "drain-timeout",
    ];
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut args = vec![String::new(); random.usize(1..5)];
        for arg in &mut args {
            for _ in 0..random.usize(0..7) {
                arg.push_str(bits[random.usize(..bits.len())]);
            }
        }
        let errors = parse(&args).err();
        assert!(errors.as_ref().is_none_or(|errors| !errors.is_empty()), "seed {seed}");
        for error in errors.into_iter().flatten() {
            let line = error.to_string();
            assert!(!line.contains(char::is_control), "seed {seed}: {line:?}");
            assert!(line.contains(": found ") && line.contains(", want "), "seed {seed}");
        }
    }
}

#[test]
fn arguments_are_text() {
    use std::os::unix::ffi::OsStringExt;
    let good = ["pointsman", "--demo"].map(OsString::from);
    assert_eq!(arguments(good.into_iter()), Ok(vec!["--demo".to_owned()]));
    let bad = [OsString::from("pointsman"), OsString::from_vec(vec![b'-', 0xff, b'\n'])];
    let error = arguments(bad.into_iter()).unwrap_err()[0].to_string();
    assert_eq!(error, "'-\u{fffd}\\n': found bytes that are no text, want UTF-8");
}
