//! What is read, what is told of mistakes, and that what is printed is read back.

mod admin;
mod printed;
mod ranges;

use super::*;
use crate::config::{Check, Protocol};

/// Variables of the tests.
fn env(name: &str) -> Option<String> {
    match name {
        "API2" => Some("10.0.0.2:80".to_owned()),
        "ODD" => Some("a\"b'${c}\\\n".to_owned()),
        _ => None,
    }
}

fn good(text: &str) -> Loaded {
    match parse("web.toml", text, &env) {
        Ok(loaded) => loaded,
        Err((mistakes, sources)) => {
            let shown = mistakes.iter().map(|it| it.shown("error", &sources));
            panic!("{text}\n{}", shown.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn wrong(text: &str) -> Vec<String> {
    let (mistakes, sources) = parse("web.toml", text, &env).unwrap_err();
    mistakes.iter().map(|it| it.shown("error", &sources)).collect()
}

#[test]
fn the_smallest_file_says_what_two_flags_say() {
    let loaded = good(
        "[service.web]\nlisten = [\"http://0.0.0.0:80\"]\npool = \"web\"\n\n[pool.web]\n\
         backends = [\"10.0.0.1:8080\", \"10.0.0.2:8080\"]\n",
    );
    let desired = &loaded.desired;
    assert_eq!(desired.listeners[0].name, "http://0.0.0.0:80");
    assert_eq!(desired.listeners[0].listen.protocol, Protocol::Http);
    assert_eq!(desired.services[0].listeners, ["http://0.0.0.0:80"]);
    assert_eq!(desired.services[0].pool.as_deref(), Some("web"));
    assert_eq!(desired.pools[0].backends.len(), 2);
    assert!(loaded.warnings.is_empty());
}

const FULL: &str = r#"
[global]
max_connections = 20_000
access_log = { file = "-", format = "json" }

[defaults.pool]
check = { kind = "http:/health", interval = "2s", timeout = "1s", rise = 2, fall = 3 }
slow_start = "30s"

[listener.public]
bind = "https://0.0.0.0:443"
certificates = [{ cert = "/etc/tls/a.pem", key = "/etc/tls/a.key" }]
trusted_proxies = ["10.1.0.0/16", "fd00::/8"]

[listener.passthrough]
bind = "sni://0.0.0.0:8443"

[service.api]
listen = ["public"]
match = [
    { host = "api.example.com", path = "/v1" },
    {
        host = "*.api.example.com",
        header = { X-Beta = "1" },
        method = "GET",
        client = "10.0.0.0/8",
    },
    { when = 'cookie("canary")' },
]
pool = "api"
max_body = "10m"
abort_on_close = false

[service.site]
listen = ["public"]
pool = "site"
hsts = 3600

rules = [
    { when = 'path ^= "/old/"', redirect = "301 https://new.example.com{uri}" },
    {
        request = { set = { X-Tenant = "acme" }, remove = ["X-Debug"] },
        response = { add = { X-Served = ["a", "b"] } },
    },
    { when = ['method == "POST"', 'path == "/form"'], strip_prefix = "/form", pool = "api" },
    { split = { api = "5%" } },
    { when = "client in 192.0.2.0/24", respond = 403 },
]
maintenance = { except = ["10.0.0.0/8"], file = "/etc/down.html" }
error_pages = { 503 = "/etc/503.html" }

[service.mail]
listen = ["passthrough"]
match = [{ sni = "mail.example.com" }]
pool = "mail"

[pool.api]
algorithm = "consistent-hash"
hash_key = "header:x-user"
check.interval = "5s"
backends = [
    { address = "10.0.0.1:80", name = "a", weight = 2, max_connections = 100 },
    { address = "${API2:-10.9.9.9:80}" },
    { address = "https://10.0.0.9:443", sni = "b.test", backup = true },
]

[pool.site]
check = "none"
backends = ["10.0.0.3:80,weight=5"]

[pool.mail]
backends = ["10.0.0.4:443"]
"#;

#[test]
fn a_full_file_reaches_every_place() {
    let Loaded { desired, origins, sources, .. } = good(FULL);
    assert_eq!(desired.process.max_connections, Some(20_000));
    let [api, mail, site] = &desired.services[..] else { panic!("{:?}", desired.services) };
    assert_eq!((api.matches.len(), api.matches[1].conditions.len()), (3, 3));
    assert_eq!((api.settings.max_body, api.settings.abort_on_close), (Some(10 << 20), false));
    assert_eq!((site.settings.hsts, site.matches.len()), (Some(3600), 0));
    assert_eq!((site.rules.len(), site.rules[1].when.len()), (6, 1));
    assert_eq!((site.rules[2].edit.request.len(), site.rules[2].edit.response.len()), (2, 2));
    assert_eq!(site.error_pages[&503], "/etc/503.html");
    assert_eq!(mail.matches[0].host.to_string(), "mail.example.com");
    let [api, _, site] = &desired.pools[..] else { panic!("{:?}", desired.pools) };
    let check = &api.settings.check;
    assert_eq!((check.interval.as_secs(), check.rise), (5, 2), "its own, and the default's");
    assert_eq!(check.kind.to_string(), "http:/health");
    assert_eq!(site.settings.check.kind, Check::None);
    assert_eq!(site.backends[0].weight, 5);
    let names: Vec<&str> = api.backends.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["a", "10.0.0.2:80", "10.0.0.9:443"]);
    assert_eq!(api.backends[2].tls.as_deref(), Some("b.test"));
    let printed = print(&desired, &origins, &sources);
    let place = |text: &str| {
        let line = FULL.lines().position(|line| line.contains(text)).unwrap() + 1;
        format!("web.toml:{line}")
    };
    for (line, from) in [
        ("check.interval = \"5s\"", place("check.interval")),
        ("check.kind = \"http:/health\"", place("http:/health")),
        ("retries = 3", "default".to_owned()),
        ("max_connections = 20000", place("max_connections")),
    ] {
        let line = format!("{line} # {from}");
        assert!(printed.contains(&line), "{line} is not in\n{printed}");
    }
}

/// One file with all of them, each told once, at its place and with what would be right.
#[test]
fn twenty_mistakes_are_told_at_once() {
    let table: &[(&str, &str)] = &[
        ("[global]", ""),
        ("max_conections = 5", "unknown key `max_conections`|did you mean `max_connections`?"),
        ("drain_timeout = 5", "found the number 5, want a duration with its unit"),
        ("[defaults.pol]", "unknown key `pol`|did you mean `pool`?"),
        ("[listener.public]", ""),
        ("bind = \"htp://0.0.0.0:80\"", "'htp' is not served by this version; did you mean"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "want 10.0.0.0/8, or 10.0.0.1 alone"),
        ("[listener.nowhere]", "the listener 'nowhere' has no `bind`"),
        ("[service.api]", ""),
        ("listen = [\"pubic\"]", "there is no listener 'pubic'|did you mean public?"),
        ("pool = \"apii\"", "there is no pool 'apii'|did you mean api?"),
        ("via = \"perhaps\"", "found 'perhaps', want true or false"),
        ("match = [{ hots = \"a.b\" }]", "unknown key `hots`|did you mean `host`?"),
        ("rules = [", ""),
        ("  { when = 'pth == \"x\"', pool = \"api\" },", "pth"),
        ("  { redirect = \"200 /x\" },", "200"),
        ("  { split = { api = \"5\" } },", "want a share such as"),
        ("  { when = 'method == \"GET\"' },", "a rule that does nothing"),
        ("  { request = { set = { Connection = \"x\" } } },", "another field"),
        ("]", ""),
        ("[service.site]", "the service 'site' has no `pool`"),
        ("listen = [\"http://0.0.0.0:99999\"]", "want a port from 0 to 65535"),
        ("max_body = \"10MB\"", "did you mean 10m?"),
        ("[pool.api]", ""),
        ("balance = \"random\"", "unknown key `balance`|did you mean `algorithm`?"),
        ("retries = \"many\"", "found 'many', want a whole number from 0 to 100"),
        ("check = { kind = \"tpc\" }", "found 'tpc', want tcp, http:/PATH"),
        ("slow_start = \"${NOT_SET}\"", "the variable NOT_SET is not set"),
        ("backends = [", ""),
        ("  { address = \"10.0.0.1:80\", wieght = 2 },", "unknown key `wieght`|`weight`?"),
        ("  \"10.0.0.1\",", "did you mean 10.0.0.1:80?"),
        ("  { name = \"a\" },", "a backend without an `address`"),
        ("]", ""),
        ("[pool.\"a b\"]", "found the name 'a b', want 1 to 64 letters"),
        ("[srvice.x]", "unknown key `srvice`|did you mean `service`?"),
    ];
    let text: Vec<&str> = table.iter().map(|(line, _)| *line).collect();
    let found = wrong(&text.join("\n"));
    let expected = table.iter().enumerate().filter(|(_, (_, says))| !says.is_empty());
    let mut count = 0;
    for (at, (line, says)) in expected {
        let place = format!("--> web.toml:{}:", at + 1);
        let here: Vec<&String> = found.iter().filter(|it| it.contains(&place)).collect();
        let [here] = &here[..] else { panic!("{line}: {here:#?} of {found:#?}") };
        for part in says.split('|') {
            assert!(here.contains(part), "{line}: {here}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count}");
    assert_eq!(found.len(), count, "{found:#?}");
}

/// Which of its settings would be meant is not known.
#[test]
fn a_value_where_only_a_table_can_be_is_told_at_its_place() {
    for (value, found) in [("\"required\"", "found 'required'"), ("true", "found true")] {
        let text = two_services("pool = \"a\"", &format!("tls = {value}"));
        let told = wrong(&text);
        let [told] = &told[..] else { panic!("{told:#?}") };
        let parts =
            [found, "want a table tls = { ... } with ca, cert, key, verify", "web.toml:9:7"];
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
}

#[test]
fn a_mistake_is_shown_with_its_line_and_an_arrow() {
    let text = "[pool.api]\nbackends = [ { address = \"10.0.0.1:80\", wieght = 2 } ]\n\
                [service.a]\nlisten = [\"tcp://:1\"]\npool = \"api\"\n";
    let expected = "\
error: unknown key `wieght`
 --> web.toml:2:41
  |
2 | backends = [ { address = \"10.0.0.1:80\", wieght = 2 } ]
  |                                         ^^^^^^ did you mean `weight`?";
    assert_eq!(wrong(text), [expected]);
}

#[test]
fn what_does_not_go_together_is_told_at_its_place() {
    let rest = "\n[pool.p]\nbackends = ['a:1']\n";
    let a = |listen: &str| format!("[service.a]\nlisten = ['{listen}']\npool = 'p'\n");
    let two = |listen: &str| a(listen) + &a(listen).replace("service.a", "service.b");
    let table = [
        (a("tcp://:1") + "via = true", "4:7", "no http://"),
        (a("https://:1"), "2:11", "without a certificate"),
        (two("http://:1"), "4:10", "the services 'a' and 'b' both for */"),
        (two("udp://:1"), "4:10", "a second service at udp://0.0.0.0:1"),
        (
            a("http://:1") + "[listener.'http://0.0.0.0:1']\nbind = ':2'\n",
            "5:8",
            "want bind = \"http://0.0.0.0:1\", or another name",
        ),
        (a("http://:1") + "maintenance = { file = '' }", "4:24", "want a file behind the code"),
        (
            a("http://:1") + "maintenance = { except = ['10.0.0.0/8) && (path == \"/x\"'] }",
            "4:27",
            "want a network such as",
        ),
        (a("sni://:1") + "match = [{ path = '/x' }]", "1:10", "others have no requests"),
        (a("tcp://:1") + "match = [{ host = 'a.test' }]", "4:9", "a host at tcp://0.0.0.0:1"),
        (
            "[listener.l]\nbind = ':1'\n[listener.m]\nbind = ':1'\n".to_owned()
                + &a("l").replace("['l']", "['l', 'm']"),
            "4:8",
            "'0.0.0.0:1' twice",
        ),
        (
            a("http://127.0.0.1:1").replace("'p'", "'q'")
                + "[pool.q]\nbackends = ['b:1',\n '127.0.0.1:1']",
            "6:2",
            "come back to us",
        ),
        (
            a("udp://:1").replace("'p'", "'q'") + "[pool.q]\nbackends = ['b:1,tls']",
            "5:12",
            "with TLS, and only udp:// listeners",
        ),
    ];
    for (text, place, says) in table {
        let found = wrong(&format!("{text}{rest}"));
        let is_it = |it: &&String| it.contains(says) && it.contains(place);
        assert!(found.iter().any(|it| is_it(&it)), "{text}: {found:#?}");
    }
}

/// One mistake, and not another one with it of two that both take everything.
#[test]
fn two_services_where_nothing_is_said_by_which_to_choose_are_one_mistake() {
    for listen in ["tcp://:1", "udp://:1"] {
        let a = format!("[service.a]\nlisten = ['{listen}']\npool = 'p'\n");
        let b = a.replace("service.a", "service.b");
        let told = wrong(&format!("{a}{b}[pool.p]\nbackends = ['a:1']\n"));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(
            told[0].contains("a second service at") && told[0].contains("4:10"),
            "{told:?}"
        );
    }
}

#[test]
fn what_is_odd_is_warned_of_with_its_place() {
    let text = "[service.s]\nlisten = [\"http://:1\"]\npool = \"p\"\nrules = [{ pool = \"q\" }]\n\
                [service.t]\nlisten = [\"http://:2\"]\npool = \"p\"\n\
                [pool.p]\ntls.verify = \"none\"\ncheck.interval = \"1s\"\ncheck.timeout = \"3s\"\n\
                backends = [\"https://a:1\"]\n\
                [pool.q]\nbackends = [\"a:2,weight=0\"]\n\
                [pool.r]\nqueue.limit = 5\nbackends = [\"a:2,backup\"]\n\
                [service.u]\nlisten = [\"tcp://:3\"]\npool = \"r\"\n";
    let Loaded { warnings, sources, .. } = good(text);
    let told: Vec<String> = warnings.iter().map(|it| it.shown("warning", &sources)).collect();
    let table = [
        ("9:14", "`pool.tls.verify = none`: the certificates of backends are not verified"),
        ("11:17", "`pool.check.timeout`: found 3s, which is above `pool.check.interval = 1s`"),
        ("14:12", "found `weight = 0` at each"),
        ("16:15", "found 5, where no backend has `max_connections`: none is ever full"),
        ("17:12", "found `backup` at each, which is the same as at none"),
    ];
    assert_eq!(told.len(), table.len(), "{told:#?}");
    for (told, (place, says)) in told.iter().zip(table) {
        assert!(told.contains(&format!("web.toml:{place}")) && told.contains(says), "{told}");
    }
}

#[test]
fn what_is_printed_says_where_each_thing_stands() {
    let lines = [
        "[service.s]",
        "listen = [\"http://:1\"]",
        "match = [{ path = \"/x\" }]",
        "mirror = \"p\"",
        "maintenance = true",
        "error_pages = { 503 = \"x\" }",
        "pool = \"p\"",
        "[pool.p]",
        "backends = [\"a:1\"]",
    ];
    let Loaded { desired, origins, sources, .. } = good(&lines.join("\n"));
    let printed = print(&desired, &origins, &sources);
    let from = |name: &str| {
        let service = printed.split("[service.s]").nth(1).unwrap();
        let at = service.find(&format!("\n{name} = ")).unwrap();
        let rest = &service[at..];
        let end = if name == "rules" { rest.find("\n]").unwrap() + 1 } else { 1 };
        rest[end..].lines().next().unwrap().rsplit_once("# ").unwrap().1.to_owned()
    };
    for (name, line) in [
        ("listen", 2),
        ("match", 3),
        ("mirror", 4),
        ("rules", 5),
        ("error_pages", 6),
        ("pool", 7),
    ] {
        assert_eq!(from(name), format!("web.toml:{line}"), "{name}\n{printed}");
    }
}

/// As it is printed: the table of a listener that a service mentions by its address.
#[test]
fn a_listener_may_be_called_by_its_own_address() {
    let text = |bind: &str| {
        format!(
            "[listener.\"http://127.0.0.1:1\"]\nbind = \"{bind}\"\nkeep_alive = \"9s\"\n\
             [service.a]\nlisten = [\"http://127.0.0.1:1\"]\npool = \"p\"\n\
             [pool.p]\nbackends = [\"a:1\"]\n"
        )
    };
    let loaded = good(&text("http://127.0.0.1:1"));
    let [listener] = &loaded.desired.listeners[..] else { panic!("{:?}", loaded.desired) };
    assert_eq!(listener.settings.keep_alive.as_secs(), 9);
    assert!(loaded.warnings.is_empty());
    let found = wrong(&text("http://127.0.0.1:2"));
    assert!(found[0].contains("or another name") && found[0].contains("2:8"), "{found:?}");
}

#[test]
fn what_is_not_used_is_warned_of() {
    let text = "[listener.l]\nbind = \":1\"\n[pool.p]\nbackends = [\"a:1\"]\n\
                [service.a]\nlisten = [\"tcp://:2\"]\npool = \"q\"\n\
                [pool.q]\nbackends = [\"b:1\"]\n";
    let loaded = good(text);
    let says: Vec<&str> = loaded.warnings.iter().map(|it| &*it.says).collect();
    assert_eq!(says, ["no service uses the listener 'l'", "no service uses the pool 'p'"]);
}

#[test]
fn a_list_at_a_listener_stands_instead_of_that_of_the_defaults() {
    let trusts = |line: &str| {
        let text = format!(
            "[defaults.listener]\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
             [listener.l]\nbind = \"http://:1\"\n{line}\n\
             [service.s]\nlisten = [\"l\"]\npool = \"p\"\n[pool.p]\nbackends = [\"a:1\"]\n"
        );
        let settings = good(&text).desired.listeners.remove(0).settings;
        let all = settings.trusted_proxies.iter().map(ToString::to_string);
        all.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(trusts(""), "10.0.0.0/8");
    assert_eq!(
        trusts("trusted_proxies = [\"192.0.2.1\", \"fd00::/8\"]"),
        "192.0.2.1/32 fd00::/8"
    );
    assert_eq!(trusts("trusted_proxies = []"), "");
}

/// Where datagrams alone come in nothing is probed, unless that is asked for.
#[test]
fn datagrams_alone_are_not_probed() {
    let text = |check: &str| {
        format!(
            "[service.a]\nlisten = [\"udp://:53\"]\npool = \"p\"\n[pool.p]\n{check}\
             backends = [\"a:53\"]\n"
        )
    };
    assert_eq!(good(&text("")).desired.pools[0].settings.check.kind, Check::None);
    let asked = good(&text("check = \"tcp\"\n"));
    assert_eq!(asked.desired.pools[0].settings.check.kind, Check::Tcp);
}

#[test]
fn files_include_others_and_name_nothing_twice() {
    let home = std::env::temp_dir().join(format!("pointsman-include-{}", std::process::id()));
    std::fs::create_dir_all(home.join("conf.d")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
    write("main.toml", "include = [\"conf.d/*.toml\", \"more.toml\", \"none.d/*.toml\"]\n");
    write("conf.d/b.toml", "[pool.p]\nbackends = [\"a:1\"]\n");
    write("conf.d/a.toml", "[service.s]\nlisten = [\"tcp://:1\"]\npool = \"p\"\n");
    let read = || read(&home.join("main.toml"), &env);
    let (mistakes, sources) = read().unwrap_err();
    let shown = mistakes[0].shown("error", &sources);
    assert!(shown.contains("cannot include") && shown.contains("main.toml:1:"), "{shown}");
    write("more.toml", "[pool.p]\nbackends = [\"b:1\"]\n");
    let (mistakes, sources) = read().unwrap_err();
    let shown = mistakes[0].shown("error", &sources);
    for part in ["a second pool 'p'", "more.toml:1:7", "the first is at", "b.toml:1:7"] {
        assert!(shown.contains(part), "{shown}");
    }
    write("more.toml", "include = \"main.toml\"\n");
    let (mistakes, _) = read().unwrap_err();
    assert!(mistakes[0].says.contains("an included file includes others"), "{mistakes:?}");
    write("more.toml", "# nothing\n");
    let Loaded { desired, origins, sources, .. } = read().unwrap();
    assert_eq!(desired.pools[0].backends[0].name, "a:1");
    let printed = print(&desired, &origins, &sources);
    assert!(printed.contains("# conf.d/b.toml:2\n"), "{printed}");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn variables_stand_in_what_is_included() {
    let home = std::env::temp_dir().join(format!("pointsman-variable-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
    write("10.0.0.2:80.toml", "[pool.p]\nbackends = [\"a:1\"]\n");
    write("$.toml", "[service.s]\nlisten = [\"tcp://:1\"]\npool = \"p\"\n");
    write("main.toml", "include = [\"${API2}.toml\", \"${NOT_SET:-}$$.toml\"]\n");
    let loaded = read(&home.join("main.toml"), &env).unwrap();
    assert_eq!(loaded.desired.pools[0].name, "p");
    write("main.toml", "include = [\"${NOT_SET}.toml\"]\n");
    let (mistakes, sources) = read(&home.join("main.toml"), &env).unwrap_err();
    let shown = mistakes[0].shown("error", &sources);
    assert!(shown.contains("NOT_SET is not set") && shown.contains("toml:1:12"), "{shown}");
    std::fs::remove_dir_all(home).unwrap();
}

/// Which file is the last says its name, which nobody thinks of.
#[test]
fn what_holds_for_all_is_said_by_one_file_alone() {
    let home = std::env::temp_dir().join(format!("pointsman-twice-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
    let rest =
        "[service.s]\nlisten = [\"tcp://:1\"]\npool = \"p\"\n[pool.p]\nbackends = [\"a:1\"]\n";
    write("main.toml", &format!("include = \"[ab].toml\"\n{rest}").replace("[ab]", "?"));
    write("a.toml", "[global]\nseed = 1\n[defaults.pool]\nretries = 1\ncheck = \"tcp\"\n");
    write("b.toml", "[global]\nlog_level = \"warn\"\n[defaults.pool]\nslow_start = \"1s\"\n");
    let read = || read(&home.join("main.toml"), &env);
    assert_eq!(read().unwrap().desired.pools[0].settings.retries, 1);
    let twice = "[global]\nseed = 2\n[defaults.pool]\nretries = 2\ncheck.kind = \"none\"\n";
    write("b.toml", twice);
    let (mistakes, sources) = read().unwrap_err();
    let shown: Vec<String> = mistakes.iter().map(|it| it.shown("error", &sources)).collect();
    let table = [
        ("`global.seed` twice", "b.toml:2:8", "a.toml:2:8"),
        ("`pool.retries` twice", "b.toml:4:11", "a.toml:4:11"),
        ("`pool.check.kind` twice", "b.toml:5:14", "a.toml:5:9"),
    ];
    assert_eq!(shown.len(), table.len(), "{shown:#?}");
    for (told, (says, place, first)) in shown.iter().zip(table) {
        assert!(told.contains(says) && told.contains(place) && told.contains(first), "{told}");
    }
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn a_file_that_is_none_is_said_in_a_line() {
    for (path, says) in [("/nowhere/x.toml", "no such file"), ("/tmp", "it is not a file")] {
        let (mistakes, sources) = read(Path::new(path), &env).unwrap_err();
        let shown = mistakes[0].shown("error", &sources);
        assert!(shown.contains(says) && shown.contains(path), "{shown}");
    }
    assert!(wrong("")[0].contains("no service, want one such as [service.web]"));
    let broken = wrong("[service.a\nlisten = 3 4\n[pool.p]\nbackends = [\n");
    assert!(broken.len() >= 2, "{broken:#?}");
}

/// A service at `web` with these lines, another for datagrams, and two pools.
fn two_services(lines: &str, pool: &str) -> String {
    format!(
        "[service.web]\nlisten = [\"http://0.0.0.0:80\"]\n{lines}\n[service.dns]\n\
         listen = [\"udp://0.0.0.0:53\"]\npool = \"b\"\n[pool.a]\nbackends = [\"10.0.0.1:80\"]\n\
         {pool}\n[pool.b]\nbackends = [\"10.0.0.2:53\"]\n"
    )
}

#[test]
fn pools_of_rules_are_checked_as_well() {
    for lines in
        ["pool = \"a\"", "rules = [{ pool = \"a\" }]", "rules = [{ split = { a = \"5%\" } }]"]
    {
        let wrong = wrong(&two_services(lines, "sticky.key = \"FILE\""));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("sticky.key"), "{wrong:?}");
    }
}

#[test]
fn what_needs_requests_needs_listeners_with_requests() {
    for lines in [
        "maintenance = true",
        "rules = [{ respond = 403 }]",
        "error_pages = { 503 = \"x\" }",
        "mirror = \"b\"",
        "match = [{ path = \"/x\" }]",
    ] {
        let text = two_services(&format!("pool = \"a\"\n{lines}"), "");
        good(&text);
        let wrong = wrong(&text.replace("http://", "tcp://"));
        assert!(wrong.iter().any(|it| it.contains("others have no requests")), "{wrong:?}");
    }
}

#[test]
fn what_is_asked_of_probes_for_all_pools_is_asked_of_those_for_datagrams() {
    let kind = |text: &str, name: &str| {
        let pools = good(text).desired.pools;
        pools.into_iter().find(|it| it.name == name).map(|it| it.settings.check.kind.clone())
    };
    let plain = two_services("pool = \"a\"", "");
    assert_eq!(kind(&plain, "a"), Some(Check::parse("tcp").unwrap()));
    assert_eq!(kind(&plain, "b"), Some(Check::None));
    // One that connections are led to as well is probed.
    let shared = two_services("pool = \"b\"", "");
    assert_eq!(kind(&shared, "b"), Some(Check::parse("tcp").unwrap()));
    let asked = format!("[defaults.pool]\ncheck = \"tcp\"\n{plain}");
    assert_eq!(kind(&asked, "b"), Some(Check::parse("tcp").unwrap()));
}

#[test]
fn numbers_are_read_in_their_base() {
    let text = two_services("pool = \"a\"\nrules = [{ respond = 0x193 }]", "");
    let backend = "[{ address = \"10.0.0.1:80\", weight = 0x10, max_connections = 0o17 }]";
    let text = text.replace("[\"10.0.0.1:80\"]", backend);
    let desired = good(&text).desired;
    let backend = &desired.pools[0].backends[0];
    assert_eq!((backend.weight, backend.max_connections), (16, Some(15)));
    let respond =
        format!("{:?}", desired.services.iter().map(|it| &it.rules).collect::<Vec<_>>());
    assert!(respond.contains("status: 403"), "{respond}");
}
