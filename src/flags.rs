//! The command line: getopts over one table, `--help` out of the same table, errors of one line.
//!
//! Owns the order in which things are complained about: first what getopts cannot read, then
//! single values, then what is missing or does not go together. `main` calls [`parse`] and prints;
//! nothing here does I/O.

mod http;
mod manual;
mod table;
mod tls;
mod udp;

use std::ffi::OsString;
use std::fmt;

use getopts::{Fail, HasArg, Matches, Occur, Options};

use crate::config::{
    Check, Config, Listen, Protocol, Wrong, check_access_log_format, check_algorithm,
    check_backends, check_certificates, check_client_cert, check_hash_key, check_http_listener,
    check_https_listener, check_listeners, check_redirect, check_route_listener, check_routes,
    check_stats_path, check_tls_backend, check_tls_listener, check_udp_backends,
    check_udp_listener, closest, escaped, is_udp_alone, quoted,
};
use crate::limits;
use table::{Act, Flag, GROUPS};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To run. With `demo` the backends are still to be filled in.
    Run(Box<Config>),
    /// To show this manual.
    Help(String),
    /// To show this version line.
    Version(String),
}

/// What is wrong with the command line: one line that names the flag, what was found and what
/// would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    /// As typed, dashes and all; or the flags that are missing.
    flag: String,
    wrong: Wrong,
}

/// The arguments without the program's name, as text.
pub fn arguments(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, UsageError> {
    let as_text = |arg: OsString| {
        arg.into_string().map_err(|arg| {
            let shown = quoted(&arg.to_string_lossy());
            UsageError::new(shown, Wrong::saying("bytes that are no text", "UTF-8"))
        })
    };
    args.skip(1).map(as_text).collect()
}

/// Read the arguments that follow the program's name.
pub fn parse(args: &[String]) -> Result<Command, UsageError> {
    refuse_long_flag_with_one_dash(args)?;
    let matches = options().parse(args).map_err(|fail| unreadable(&fail, args))?;
    for flag in all_flags() {
        if let Act::Answer(answer) = flag.act
            && matches.opt_present(flag.long)
        {
            return Ok(answer());
        }
    }
    let mut config = Config::defaults();
    for flag in all_flags() {
        apply(flag, &matches, &mut config)?;
    }
    if let Some(free) = matches.free.first() {
        let wrong = Wrong::saying(
            "an argument that belongs to no flag",
            "a flag before it such as --listen or --backend",
        );
        return Err(UsageError::new(format!("'{}'", escaped(free)), wrong));
    }
    if is_udp_alone(&config) && !matches.opt_present("check") {
        config.check = Check::None;
    }
    complete(&mut config)?;
    go_together(&config, &matches)?;
    Ok(Command::Run(Box::new(config)))
}

/// Every flag as (letter or empty, name), for the tests that look whether the documentation has
/// them all.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    all_flags().map(|flag| (flag.short, flag.long))
}

fn all_flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

fn options() -> Options {
    let mut options = Options::new();
    for flag in all_flags() {
        let (has_arg, occur) = match flag.act {
            Act::Value(_) => (HasArg::Yes, Occur::Optional),
            Act::Values(_) => (HasArg::Yes, Occur::Multi),
            Act::Switch(_) | Act::Answer(_) => (HasArg::No, Occur::Optional),
        };
        options.opt(flag.short, flag.long, flag.says, flag.value, has_arg, occur);
    }
    options
}

fn apply(flag: &Flag, matches: &Matches, config: &mut Config) -> Result<(), UsageError> {
    match flag.act {
        Act::Value(take) | Act::Values(take) => {
            for text in matches.opt_strs(flag.long) {
                take(config, &text).map_err(|wrong| UsageError::of(flag.long, wrong))?;
            }
        }
        Act::Switch(switch) if matches.opt_present(flag.long) => switch(config),
        Act::Switch(_) | Act::Answer(_) => {}
    }
    Ok(())
}

/// What no single flag can know: what is missing, and what does not go together.
fn complete(config: &mut Config) -> Result<(), UsageError> {
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
fn go_together(config: &Config, matches: &Matches) -> Result<(), UsageError> {
    let checks = [
        ("backend", check_udp_backends(config)),
        ("hash-key", check_hash_key(config)),
        ("sticky-cookie", check_http_listener(config)),
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

/// `-listen x` would be read as `-l isten`, and the complaint would be about an address.
fn refuse_long_flag_with_one_dash(args: &[String]) -> Result<(), UsageError> {
    for arg in args.iter().take_while(|arg| *arg != "--") {
        let name = arg.strip_prefix('-').and_then(|arg| arg.split('=').next());
        if let Some(flag) = all_flags().find(|flag| Some(flag.long) == name) {
            let shown = format!("-{}", flag.long);
            let want = format!("two: --{}", flag.long);
            return Err(UsageError::new(shown, Wrong::saying("one dash", want)));
        }
    }
    Ok(())
}

/// The complaints of getopts in our words.
fn unreadable(fail: &Fail, args: &[String]) -> UsageError {
    match fail {
        Fail::ArgumentMissing(name) => {
            let (flag, wrong) = match find(name) {
                Some(flag) => (format!("--{}", flag.long), refusal_of_nothing(flag)),
                None => (dashed(name), Wrong::found("", "a value")),
            };
            UsageError::new(flag, wrong)
        }
        Fail::UnrecognizedOption(name) => unknown(name),
        Fail::OptionDuplicated(name) => {
            UsageError::new(dashed(name), Wrong::saying("twice", "it once"))
        }
        Fail::UnexpectedArgument(name) => {
            let start = format!("--{name}=");
            let value =
                args.iter().find_map(|arg| arg.strip_prefix(&start)).unwrap_or_default();
            let found = format!("the value '{}'", escaped(value));
            UsageError::new(dashed(name), Wrong::saying(found, "the flag alone"))
        }
        // because: no flag of the table is required by getopts, so that it cannot miss one.
        Fail::OptionMissing(name) => UsageError::new(dashed(name), Wrong::found("", "it once")),
    }
}

fn unknown(name: &str) -> UsageError {
    let near = closest(name, all_flags().map(|flag| flag.long));
    let hint = near.map(|near| format!("; did you mean --{near}?")).unwrap_or_default();
    let wrong = Wrong::saying("an unknown flag", format!("one that --help lists{hint}"));
    UsageError::new(dashed(name), wrong)
}

/// A flag without its value is as wrong as one with an empty value, and wants the same.
fn refusal_of_nothing(flag: &Flag) -> Wrong {
    match flag.act {
        Act::Value(take) | Act::Values(take) => take(&mut Config::defaults(), "").err(),
        Act::Switch(_) | Act::Answer(_) => None,
    }
    .unwrap_or_else(|| Wrong::found("", flag.value))
}

fn find(name: &str) -> Option<&'static Flag> {
    all_flags().find(|flag| flag.long == name || (flag.short == name && !name.is_empty()))
}

/// As it was typed; getopts takes the dashes off.
fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", escaped(name))
}

impl UsageError {
    fn new(flag: String, wrong: Wrong) -> UsageError {
        UsageError { flag, wrong }
    }

    fn of(long: &str, wrong: Wrong) -> UsageError {
        UsageError::new(format!("--{long}"), wrong)
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.wrong)
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        AccessLog, AccessLogFormat, Algorithm, AllDown, BackendVerify, CertificatePair, Check,
        Cidr, ClientCert, HashKey, OnDown, Redirect, TlsSettings, Udp, UnknownName,
    };
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
        let rest = Config { listeners: Vec::new(), backends: Vec::new(), ..config };
        assert_eq!(rest, Config::defaults());
    }

    #[test]
    fn every_flag_reaches_its_field() {
        let config = run("-l *:0 --listen=[::1]:0 -ba:1,backup --backend b:2 -a p2c \
             --check http:/x --check-interval 10ms --check-timeout=1ms --rise 1 --fall 1000 \
             --all-down spread --connect-timeout 1.5s --retries 0 --idle-timeout 2h \
             --half-close-timeout 1m --slow-start 10s --on-down close --max-connections 7 \
             --drain-timeout 0s --seed 18446744073709551615 --log-level trace \
             --tls-handshake-timeout 4s \
             --backend-idle 1ms --backend-idle-connections 0 --header-timeout 1s \
             --keep-alive 2s --server-timeout 3s --max-body 10m \
             --trusted-proxies 10.0.0.0/8,::1 --trusted-proxies fd00::/8 --access-log - \
             --access-log-format haproxy");
        assert_eq!(config.listeners.len(), 2);
        let expected = Config {
            listeners: config.listeners.clone(),
            backends: config.backends.clone(),
            routes: Vec::new(),
            algorithm: Algorithm::Random,
            hash_key: HashKey::Ip,
            sticky_cookie: None,
            check: Check::Http("/x".to_owned()),
            check_interval: Duration::from_millis(10),
            check_timeout: Duration::from_millis(1),
            rise: 1,
            fall: 1000,
            eject_after: limits::EJECT_AFTER_DEFAULT,
            health_path: None,
            stats_path: None,
            all_down: AllDown::Spread,
            connect_timeout: Duration::from_millis(1500),
            tls_handshake_timeout: Duration::from_secs(4),
            retries: 0,
            idle_timeout: Duration::from_secs(7200),
            half_close_timeout: Duration::from_secs(60),
            slow_start: Duration::from_secs(10),
            on_down: OnDown::Close,
            max_connections: Some(7),
            backend_idle: Duration::from_millis(1),
            backend_idle_connections: 0,
            header_timeout: Duration::from_secs(1),
            keep_alive: Duration::from_secs(2),
            server_timeout: Duration::from_secs(3),
            tls: TlsSettings::defaults(),
            max_body: Some(10 << 20),
            udp: Udp::DEFAULT,
            trusted_proxies: Cidr::parse_list("10.0.0.0/8,::1,fd00::/8").unwrap(),
            drain_timeout: Duration::ZERO,
            seed: Some(u64::MAX),
            access_log: Some(AccessLog::Stdout),
            access_log_format: AccessLogFormat::Haproxy,
            log_level: log::LevelFilter::Trace,
            demo: false,
        };
        assert_eq!(config, expected);
        let names: Vec<&str> = config.backends.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["a:1", "b:2"]);
    }

    #[test]
    fn what_only_http_listeners_heed_reaches_its_field_too() {
        let config = run("-l http://*:0 -b http://a:1 -a ip-hash --hash-key header:X-User \
             --sticky-cookie SRV --eject-after 0 --health-path /up --stats-path /stats");
        let expected = Config {
            listeners: config.listeners.clone(),
            backends: config.backends.clone(),
            algorithm: Algorithm::IpHash,
            hash_key: HashKey::Header("x-user".to_owned()),
            sticky_cookie: Some("SRV".to_owned()),
            eject_after: 0,
            health_path: Some("/up".to_owned()),
            stats_path: Some("/stats".to_owned()),
            ..Config::defaults()
        };
        assert_eq!(config, expected);
        assert_eq!(config.listeners[0].protocol, Protocol::Http);
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
        let config =
            run("-l https://*:0 -l http://*:0 -b https://a:1 --cert a.crt --cert b.crt \
             --key a.key --key b.key --sni-strict --client-ca ca.crt --client-cert optional \
             --redirect-https --hsts 60 --backend-ca b.ca \
             --backend-verify required");
        let pair = |name: &str| CertificatePair {
            cert: format!("{name}.crt"),
            key: format!("{name}.key"),
        };
        let expected = TlsSettings {
            certificates: vec![pair("a"), pair("b")],
            unknown_name: UnknownName::Refuse,
            client_ca: Some("ca.crt".to_owned()),
            client_cert: ClientCert::Optional,
            backend_ca: Some("b.ca".to_owned()),
            backend_verify: BackendVerify::Required,
            redirect: Redirect::Https,
            hsts: Some(60),
        };
        assert_eq!(config.tls, expected);
        let config = run("-l tls://*:0 -b a:1,tls --cert a --key b --client-ca c");
        assert_eq!(config.tls.client_cert, ClientCert::Required);
    }

    #[test]
    fn what_only_udp_listeners_heed_reaches_its_field_too() {
        let config = run("-l udp://*:53 -l *:53 -b udp://a:53,check-port=80 --udp-timeout 5s \
             --udp-responses 0 --udp-requests 1 --max-flows 7 --check http:/");
        let udp = Udp {
            timeout: Duration::from_secs(5),
            responses: Some(0),
            requests: Some(1),
            max_flows: Some(7),
        };
        assert_eq!((config.udp, config.backends[0].check_port), (udp, Some(80)));
        let protocols: Vec<Protocol> = config.listeners.iter().map(|l| l.protocol).collect();
        assert_eq!(protocols, [Protocol::Udp, Protocol::Tcp]);
    }

    #[test]
    fn datagrams_alone_are_not_probed_by_connects() {
        assert_eq!(run("-l udp://*:53 -b a:53").check, Check::None);
        assert_eq!(run("-l udp://*:53 -b a:53 --check tcp").check, Check::Tcp);
        assert_eq!(run("-l udp://*:53 -l *:53 -b a:53").check, Check::Tcp);
    }

    #[test]
    fn the_demo_needs_nothing_and_may_listen_elsewhere() {
        let config = run("--demo");
        assert!(config.demo && config.backends.is_empty());
        assert_eq!(config.listeners[0].address, limits::DEMO_LISTEN);
        assert_eq!(config.listeners[0].protocol, Protocol::Http);
        assert_eq!(config.listeners[1].address, limits::DEMO_LISTEN);
        assert_eq!(config.listeners[1].protocol, Protocol::Udp);
        assert_eq!(config.health_path.as_deref(), Some("/health"));
        assert_eq!(config.stats_path.as_deref(), Some("/stats"));
        let config = run("--demo -l http://127.0.0.1:0 --stats-path /numbers");
        assert_eq!(config.stats_path.as_deref(), Some("/numbers"));
        let config = run("--demo --stats-path /health");
        assert_eq!((config.health_path, config.stats_path.as_deref()), (None, Some("/health")));
        let config = run("--demo -l 127.0.0.1:0");
        assert_eq!((config.health_path, config.stats_path), (None, None));
        let config = run("--demo -l 127.0.0.1:0");
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(config.listeners[0].address.port(), 0);
    }

    /// What [`Take`](table::Take) promises: a flag that lacks its value swallows the next flag,
    /// and must say so.
    #[test]
    fn no_value_is_empty_or_begins_with_a_dash() {
        for flag in all_flags() {
            if let Act::Value(take) | Act::Values(take) = flag.act {
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
            if let Err(error) = parse(&args) {
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
        let error = arguments(bad.into_iter()).unwrap_err().to_string();
        assert_eq!(error, "'-\u{fffd}\\n': found bytes that are no text, want UTF-8");
    }
}
