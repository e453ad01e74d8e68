//! What is printed is read back to the same, and no bytes make a panic.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::config::{
    Action, BackendSpec, CertificatePair, Condition, Config, Desired, FieldEdit, HeadOf,
    Listen, ListenerSpec, Match, Origins, PathEdit, PoolSpec, RedirectTo, Respond, RouteName,
    Rule, ServiceSpec, Share, Shared,
};
use crate::file::tests::{FULL, env, good};
use crate::file::{Mistake, Reading, Sources, parse, print, whole};
use crate::settings::{self, Act, Setting};

const CASES: usize = 10_000;

/// A limit for some requests.
const LOGIN_LIMIT: &str = "1/m,name=c,when=path ^= \"/${a}'\" && method in [\"A\", \"B\"]";

/// Those of the guard and of queues.
fn guard_texts(setting: &Setting) -> Option<&'static [&'static str]> {
    match (setting.long, setting.value) {
        ("allow" | "deny" | "service-allow" | "service-deny" | "ban-exempt", _) => {
            Some(&["192.0.2.0/24", "192.0.2.7/32,fd00::/8"])
        }
        ("allow-file" | "deny-file" | "service-allow-file" | "service-deny-file", _) => {
            Some(&["/etc/a b.txt", "$x,'y'"])
        }
        ("ban-after", _) => Some(&["1", "60000"]),
        ("queue", _) => Some(&["0", "100"]),
        ("queue-order", _) => Some(&["fifo", "adaptive"]),
        ("queue-urgent", _) => Some(&["path ^= \"/pay\"", "method == \"POST\""]),
        ("limit-connections", _) => Some(&["1", "100"]),
        ("limit-connection-rate" | "limit-handshake-rate", _) => {
            Some(&["10/s", "90/m,burst=7"])
        }
        ("limit-request-rate", _) => {
            Some(&["7/s,burst=9,by=header:x-$a", "5/h,by=service,name=b", LOGIN_LIMIT])
        }
        (
            "limit-ipv6-prefix" | "listener-limit-ipv6-prefix" | "service-limit-ipv6-prefix",
            _,
        ) => Some(&["56", "128"]),
        ("limit-clients", _) => Some(&["1024"]),
        ("limit-exempt" | "listener-limit-exempt" | "service-limit-exempt", _) => {
            Some(&["10.0.0.0/8", "fd00::/8"])
        }
        ("tarpit" | "listener-tarpit" | "service-tarpit", _) => Some(&["1s", "1500ms"]),
        ("reject" | "listener-reject" | "service-reject", _) => Some(&["reset", "tarpit"]),
        _ => None,
    }
}

/// Values for settings, by what stands for theirs in the manual; only such as need nothing else.
fn texts(setting: &Setting) -> &'static [&'static str] {
    if let Some(texts) = guard_texts(setting) {
        return texts;
    }
    match (setting.long, setting.value) {
        ("balance", _) => &["random", "first", "round-robin", "least-time", "ip-hash"],
        ("check", _) => {
            &["tcp", "none", "tcp:a\\x00b,expect=\"$x\"", "http:/a%20b,expect=200-399"]
        }
        ("sticky-cookie", _) => &["LB", "a'b"],
        ("health-path", _) => &["/health", "/h\"q"],
        ("stats-path", _) => &["/stats"],
        ("trusted-proxies" | "proxy-protocol", _) => {
            &["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"]
        }
        ("access-log", _) => &["-", "/var/log/\u{fc}ber $HOME.log", "a\tb\\c"],
        ("admin", _) => &["unix:/run/$p/a b.sock", "http://127.0.0.1:8404"],
        ("admin-tokens", _) => &["/etc/to\"kens"],
        ("admin-allowed-host", _) => &["admin.example.com"],
        ("admin-socket-mode", _) => &["0600", "0666"],
        ("haproxy-socket", _) => &["/run/haproxy.sock"],
        ("haproxy-level", _) => &["user", "operator"],
        ("history-file", _) => &[],
        ("resolver", _) => &["10.0.0.53", "[::1]:5353"],
        ("dns-min-ttl", _) => &["1s", "1500ms"],
        ("dns-max-ttl", _) => &["90m", "2h"],
        ("dns-families", _) => &["ipv4", "ipv6"],
        ("state-file", _) => &["/var/lib/a b/state"],
        ("history-memory", _) => &["none", "16m", "4097"],
        ("access-log-format", _) => {
            &["combined", "json", "custom:$time $$ \"${uri}\"\t'\\\u{e9}"]
        }
        ("guard-dry-run", _) => &["all", "none", "deny,request-rate"],
        ("log-format", _) => &["text", "json", "journald"],
        ("log-level", _) => &["off", "debug"],
        ("on-down" | "on-removed", _) => &["close"],
        ("on-lapse", _) => &["down", "keep"],
        ("sticky-drain", _) => &["keep"],
        ("forwarded-fields", _) => &["none", "forwarded", "x-forwarded,x-real-ip"],
        ("request-id", _) => &["keep", "new"],
        ("on-listener-removed", _) => &["keep", "close"],
        ("all-down", _) => &["spread"],
        ("seed", _) => &["7", "18446744073709551615"],
        ("retry-budget", _) => &["0%", "35%", "none"],
        ("max-body", _) => &["10m", "4097", "none"],
        ("udp-timeout" | "register-udp" | "metrics", _) => &[],
        ("limit-datagram-rate" | "limit-datagram-total", _) => {
            &["100/s", "5/m,burst=10", "none"]
        }
        ("limit-flows", _) => &["1", "64", "none"],
        ("limit-bandwidth", _) => &["10m/s", "64k/s,burst=1m", "none"],
        ("min-rate", _) => &["500/s", "4k/s,after=5s", "none"],
        (_, "DURATION|none") => &["1s", "2h", "none"],
        (_, "DURATION") => &["1s", "1500ms", "90m", "2h"],
        (_, "on|off") => &["on", "off"],
        ("rise" | "fall" | "retries" | "eject-after" | "max-connections" | "max-flows", _) => {
            &["1", "17", "100"]
        }
        ("backend-idle-connections", _) => &["0", "12345"],
        _ => &[],
    }
}

/// Some of the settings of a scope, at random.
fn shake(scope: &str, config: &mut Config, random: &mut fastrand::Rng) {
    for setting in settings::all() {
        let is_it = setting.key().is_some_and(|key| key.scope() == scope);
        if !is_it || random.u8(..3) > 0 {
            continue;
        }
        let Some(text) = random.choice(texts(setting)) else { continue };
        match &setting.act {
            Act::Value(_, take) | Act::Values(_, take, _) => {
                take(config, text).unwrap_or_else(|wrong| panic!("{}: {wrong}", setting.long));
            }
            Act::Switch(..) | Act::Answer(_) => {}
        }
    }
}

fn name(random: &mut fastrand::Rng, number: usize) -> String {
    let odd = random.choice(["web", "a.b", "A-1_x", "*.example.com/v1", "0"]).unwrap();
    format!("{odd}{number}")
}

fn matching(random: &mut fastrand::Rng, number: usize) -> Match {
    let host = match random.u8(..3) {
        0 => RouteName::Exact(format!("h{number}.example")),
        1 => RouteName::Below(format!("h{number}.example")),
        _ => RouteName::Others,
    };
    let path = random.bool().then(|| format!("/p{number}/\u{7e}$x"));
    let conditions = [
        "header(\"x\") == \"a\\\"b\"",
        "client in [10.0.0.0/8, fd00::/8] || !cookie(\"$c\")",
        "path ^= \"/${A}\" && method in [\"GET\", \"HEAD\"]",
    ];
    let some = conditions.iter().filter(|_| random.u8(..3) == 0);
    let mut conditions: Vec<Condition> =
        some.map(|text| Condition::parse(text).unwrap()).collect();
    // What makes each another one, so that no two tie.
    conditions.push(Condition::parse(&format!("query(\"n\") == \"{number}\"")).unwrap());
    Match { host, path, conditions }
}

fn rule(random: &mut fastrand::Rng, pools: &[PoolSpec]) -> Rule {
    let mut rule = Rule::default();
    if random.bool() {
        let when = random.choice(["method == \"GET\"", "!(client in 10.0.0.0/8)"]).unwrap();
        rule.when.push(Condition::parse(when).unwrap());
    }
    for text in ["remove X-$Old", "set X-A: a{{b}} \"{host}\"", "add X-B: ${uri}", "add X-B: 2"]
    {
        if random.u8(..3) == 0 {
            rule.edit.request.push(FieldEdit::parse(text, HeadOf::Request).unwrap());
        }
        if random.u8(..3) == 0 {
            rule.edit.response.push(FieldEdit::parse(text, HeadOf::Response).unwrap());
        }
    }
    let paths = ["strip-prefix /a$b", "add-prefix /x", "rewrite /n{path}?q={query}"];
    let path = random.choice(paths).filter(|_| random.bool());
    rule.edit.path = path.map(|text| PathEdit::parse(text).unwrap());
    let pool = random.choice(pools).unwrap().name.clone();
    rule.action = match random.u8(..5) {
        0 => Some(Action::Pool(pool)),
        1 => Some(Action::Split(vec![Share { pool, of_ten_thousand: random.u32(1..9_999) }])),
        2 => Some(Action::Redirect(RedirectTo::parse("308 https://{host}/$x{uri}").unwrap())),
        3 => Some(Action::Respond(Respond::parse("451 /a b\"c.html").unwrap())),
        _ => None,
    };
    if rule.action.is_none() && rule.edit.is_empty() {
        rule.action = Some(Action::Respond(Respond { status: 403, file: None }));
    }
    rule
}

fn error_pages(random: &mut fastrand::Rng) -> BTreeMap<u16, String> {
    let pages = [(503, "/etc/$p/503.html"), (404, "x")];
    let some = pages.into_iter().filter(|_| random.u8(..4) == 0);
    some.map(|(status, file)| (status, file.to_owned())).collect()
}

fn backend(at: usize, number: usize) -> Shared<BackendSpec> {
    let options = [
        "",
        ",weight=0",
        ",backup",
        ",tls",
        ",tls,sni=x.test",
        ",name=n$a",
        ",proxy=v1",
        ",proxy=v2,proxy-tlvs=ssl+authority",
    ];
    let text = ["10.1.0.1", "[fe80::1%eth0]", "db-1.internal"][at % 3];
    let text = format!("{text}:{}{}", 1000 + at, options[(at * 7 + number) % 8]);
    BackendSpec::parse(&text.replace('$', ".")).unwrap().into()
}

fn generated(random: &mut fastrand::Rng) -> Desired {
    let mut desired = Desired::nothing();
    let mut config = Config::defaults();
    shake("global", &mut config, random);
    shake("admin", &mut config, random);
    desired.process = config.process;
    for number in 0..random.usize(1..4) {
        let mut config = Config::defaults();
        shake("listener", &mut config, random);
        let port = 8000 + number;
        let is_tls = random.u8(..4) == 0;
        let scheme = if is_tls { "https" } else { "http" };
        if is_tls {
            let pair = CertificatePair { cert: "a\"b.pem".into(), key: "$KEY".into() };
            config.listener.tls.certificates.push(pair);
        }
        let address = random.choice(["127.0.0.1", "[::1]", "0.0.0.0"]).unwrap();
        let listen = Listen::parse(&format!("{scheme}://{address}:{port}")).unwrap();
        desired.listeners.push(ListenerSpec {
            // Without a table of its own it is called by its address.
            name: if random.bool() { listen.name() } else { name(random, number) },
            listen,
            settings: config.listener,
        });
    }
    for number in 0..random.usize(1..4) {
        let mut config = Config::defaults();
        shake("pool", &mut config, random);
        desired.pools.push(PoolSpec {
            name: name(random, number),
            settings: config.pool.into(),
            backends: (0..random.usize(..5)).map(|at| backend(at, number)).collect(),
        });
    }
    for number in 0..random.usize(1..4) {
        let mut config = Config::defaults();
        shake("service", &mut config, random);
        let listeners: Vec<String> = desired
            .listeners
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == number % desired.listeners.len())
            .map(|(_, it)| it.name.clone())
            .collect();
        let pool = random.choice(&desired.pools).map(|pool| pool.name.clone());
        desired.services.push(ServiceSpec {
            name: name(random, number),
            listeners,
            matches: (0..random.usize(1..3))
                .map(|at| matching(random, number * 9 + at))
                .collect(),
            pool,
            settings: config.service,
            rules: (0..random.usize(..4)).map(|_| rule(random, &desired.pools)).collect(),
            mirror: random.bool().then(|| Share {
                pool: desired.pools[0].name.clone(),
                of_ten_thousand: random.u32(1..=10_000),
            }),
            error_pages: error_pages(random),
        });
    }
    sort(&mut desired);
    desired
}

fn sort(desired: &mut Desired) {
    desired.listeners.sort_by(|one, other| one.name.cmp(&other.name));
    desired.services.sort_by(|one, other| one.name.cmp(&other.name));
    desired.pools.sort_by(|one, other| one.name.cmp(&other.name));
}

#[test]
fn what_is_printed_is_read_back_to_the_same() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut refused = 0;
    for _ in 0..CASES {
        let desired = generated(&mut random);
        let text = print(&desired, &Origins::default(), &Sources::default());
        match parse("printed.toml", &text, &|_| None) {
            Ok(loaded) => assert_eq!(loaded.desired, desired, "{text}"),
            // What does not go together is none to be printed; little of it is made.
            Err((mistakes, sources)) => {
                refused += 1;
                let shown = mistakes[0].shown("error", &sources);
                let known =
                    ["no sticky_cookie", "sticky", "http", "check", "hash", "access_log"];
                assert!(known.iter().any(|it| shown.contains(it)), "{shown}\n{text}");
            }
        }
    }
    assert!(refused * 2 < CASES, "{refused} of {CASES} were refused");
}

#[test]
fn a_full_file_is_printed_and_read_back() {
    let loaded = good(FULL);
    let text = print(&loaded.desired, &loaded.origins, &loaded.sources);
    assert_eq!(good(&text).desired, loaded.desired, "{text}");
}

/// Each was once printed so that it could not be read.
#[test]
fn what_was_printed_wrong_is_read_back() {
    let web = |service: &str, pool: &str| {
        format!(
            "[service.a]\nlisten = ['http://:80', 'http://[::1]:80']\npool = 'p'\n{service}\n\
             [pool.p]\n{pool}\n"
        )
    };
    let table = [
        // Listeners that have no name but their address, and what holds for all listeners.
        web("", "backends = ['a:1']") + "[defaults.listener]\nkeep_alive = '7s'\n",
        // Two values of a field that is set.
        web("rules = [{ request = { set = { X-A = ['1', '2'] } } }]", "backends = ['a:1']"),
        // A file is named without the blanks around it, as that of `respond` is.
        web("maintenance = { file = ' /down.html ' }", "backends = ['a:1']"),
    ];
    for text in table {
        let loaded = good(&text);
        let printed = print(&loaded.desired, &loaded.origins, &loaded.sources);
        assert_eq!(good(&printed).desired, loaded.desired, "{printed}");
    }
}

/// The fuzz target begins with the same files; those that are none are told of.
#[test]
fn the_files_of_the_fuzz_target_are_read_back() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/config");
    let mut good_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if let Ok(loaded) = parse("web.toml", &text, &env) {
            let text = print(&loaded.desired, &loaded.origins, &loaded.sources);
            assert_eq!(good(&text).desired, loaded.desired, "{}: {text}", path.display());
            good_files += 1;
        }
    }
    assert!(good_files >= 6, "{good_files}");
}

/// Good files with some bytes changed, and plain noise.
#[test]
fn no_bytes_make_a_panic() {
    let mut random = fastrand::Rng::with_seed(11);
    let letters: Vec<char> = "[]{}=\"'#\\.,$\n abz09-_:\u{fc}\u{1f600}\0".chars().collect();
    for round in 0..3_000 {
        let mut chars: Vec<char> = match round % 3 {
            0 => (0..random.usize(..200))
                .filter_map(|_| random.choice(&letters))
                .copied()
                .collect(),
            _ => FULL.chars().collect(),
        };
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..=chars.len());
            let letter = *random.choice(&letters).unwrap();
            match random.u8(..3) {
                0 if at < chars.len() => {
                    chars.remove(at);
                }
                1 if at < chars.len() => chars[at] = letter,
                _ => chars.insert(at, letter),
            }
        }
        let text: String = chars.into_iter().collect();
        match parse("x.toml", &text, &|_| Some("v".to_owned())) {
            Ok(loaded) => {
                let text = print(&loaded.desired, &loaded.origins, &loaded.sources);
                assert_eq!(good(&text).desired, loaded.desired, "{text}");
            }
            Err((mistakes, sources)) => {
                assert!(!mistakes.is_empty());
                mistakes.iter().for_each(|it| {
                    it.shown("error", &sources);
                });
            }
        }
    }
}

/// What a file says and what is wrong with it, piece by piece or whole.
fn said(reading: Reading<'_>) -> Result<(Desired, Vec<Mistake>), Vec<Mistake>> {
    match whole(reading) {
        Ok(loaded) => Ok((loaded.desired, loaded.warnings)),
        Err((mistakes, _)) => Err(mistakes),
    }
}

/// Good files whose tables stand in another order, in two places or twice, with some bytes changed.
#[test]
fn pieces_of_a_file_say_what_the_whole_says() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut good = 0;
    for round in 0..1_000 {
        let text = match round % 4 {
            0 => FULL.to_owned(),
            _ => print(&generated(&mut random), &Origins::default(), &Sources::default()),
        };
        let mut tables: Vec<&str> = text.split_inclusive("\n\n").collect();
        random.shuffle(&mut tables);
        if random.bool() && !tables.is_empty() {
            tables.push(tables[random.usize(..tables.len())]);
        }
        let mut lines: Vec<&str> =
            tables.iter().flat_map(|it| it.split_inclusive('\n')).collect();
        for _ in 0..random.usize(..3) {
            let at = random.usize(..lines.len());
            let to = random.usize(..lines.len());
            match random.u8(..3) {
                0 => lines.swap(at, to),
                1 => lines.insert(to, lines[at]),
                _ => lines[to] = random.choice(ODD_LINES).unwrap(),
            }
        }
        let text = lines.concat();
        let cut = said(Reading::of_text("x.toml", &text, &env));
        let uncut = said(Reading::uncut("x.toml", &text, &env));
        good += usize::from(cut.is_ok());
        let (_, errors) = DeTable::parse_recoverable(&text);
        let Some(first) =
            errors.iter().filter_map(toml::de::Error::span).map(|it| it.start).min()
        else {
            assert_eq!(cut, uncut, "{text}");
            continue;
        };
        // Behind what is no TOML the whole knows less than the pieces.
        for wrong in [cut.unwrap_err(), uncut.unwrap_err()] {
            let is_told = wrong.iter().any(|it| it.at.is_some_and(|at| at.start == first));
            assert!(is_told, "{first}: {wrong:#?}\n{text}");
        }
    }
    assert!(good > 100, "{good} are good");
}

const ODD_LINES: &[&str] = &[
    "[pool]\n",
    "[service]\n",
    "[[pool.a]]\n",
    "[pool.a.check]\n",
    "[pool.'a']\n",
    "[pool.\"a\\u0062\"]\n",
    "pool.a.check = 'none'\n",
    "include = []\n",
    "frontend = 1\n",
    "x = [\n",
    "]\n",
    "y = \"\"\"\n",
    "z = \"open\n",
    "[pool.a\n",
    "[nothing.at.all]\n",
    "# [pool.b]\n",
];
