//! `--config FILE` with the real program: what is served by it, what is said of mistakes in it, and
//! what flags beside it may say. What happens to it while the program runs is in `reload`.

mod reload;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::http::{Message, Origin, Wire};
use crate::common::{Balancer, connect, free_port};

/// A configuration file of its own; removed when dropped.
struct File {
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> File {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("pointsman-config-{}-{number}.toml", std::process::id());
        let file = File { path: std::env::temp_dir().join(name) };
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn arg(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Serve what it says, with these flags beside it.
    fn serve(&self, more: &[&str]) -> Balancer {
        Balancer::start(&[&["--config", self.arg()], more].concat())
    }

    /// What the program does that runs to its end.
    fn run(&self, more: &[&str]) -> Ran {
        let args = [&["--config", self.arg()], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output();
        Ran::from(output.unwrap())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How a run ended, and what it said.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
        let Output { status, stdout, stderr } = output;
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Ran {
    /// It did what it was asked for, without a complaint; what it printed.
    #[track_caller]
    fn good(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// It was refused with words that have all of these parts, split at `|`.
    #[track_caller]
    fn refused(&self, says: &str) {
        self.refused_with(1, says);
    }

    /// The same for what the command line says: all lines are about flags.
    #[track_caller]
    fn refused_flags(&self, says: &str) {
        self.refused_with(2, says);
        let is_of_flags = |line: &str| line.starts_with("pointsman: --");
        assert!(self.stderr.lines().all(is_of_flags), "{}", self.stderr);
    }

    #[track_caller]
    fn refused_with(&self, code: i32, says: &str) {
        assert_eq!((self.code, &*self.stdout), (Some(code), ""), "{}", self.stderr);
        for part in says.split('|') {
            assert!(self.stderr.contains(part), "{}\n  not: {part}", self.stderr);
        }
    }
}

/// A pool without probes of these servers.
fn pool(name: &str, origins: &[&Origin]) -> String {
    let list: Vec<String> =
        origins.iter().map(|it| format!("\"{}\"", it.backend.address)).collect();
    format!("[pool.{name}]\ncheck = \"none\"\nbackends = [{}]\n", list.join(", "))
}

/// A service of requests; `more` are lines of its table.
fn service(name: &str, listen: &str, more: &str) -> String {
    format!("[service.{name}]\nlisten = [\"{listen}\"]\npool = \"{name}\"\n{more}\n")
}

const HTTP: &str = "http://127.0.0.1:0";

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// The body of a good answer.
#[track_caller]
fn body(answer: &Message) -> String {
    assert_eq!(answer.status(), 200, "{}", answer.head);
    answer.text()
}

/// Who answers one request on a connection of its own.
#[track_caller]
fn answers(address: SocketAddr, host: &str, path: &str) -> String {
    body(&Wire::new(connect(address)).ask(get(host, path)))
}

/// Who answers so many requests.
#[track_caller]
fn all_that_answer(wire: &mut Wire, host: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|_| body(&wire.ask(get(host, "/")))).collect()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn two_services_share_a_listener_by_host_and_by_path() {
    let origins = ["web", "api"].map(Origin::named);
    let by_host = "match = [{ host = \"www.test\" }]\nstats_path = \"/stats\"";
    let by_path = "match = [{ host = \"api.test\" }, { host = \"www.test\", path = \"/v2\" }]";
    let file = File::new(
        &[
            service("web", HTTP, by_host),
            service("api", HTTP, by_path),
            pool("web", &[&origins[0]]),
            pool("api", &[&origins[1]]),
        ]
        .concat(),
    );
    let balancer = file.serve(&[]);
    let mut client = Wire::to(&balancer);
    let table = [
        ("www.test", "/", "web"),
        ("www.test", "/v2", "api"),
        ("WWW.test", "/v2/x?y", "api"),
        ("www.test", "/v20", "web"),
        ("api.test:8080", "/", "api"),
        ("api.test", "/stats", "api"),
    ];
    for (host, path, name) in table {
        assert_eq!(body(&client.ask(get(host, path))), name, "{host}{path}");
    }
    for (host, path) in [("other.test", "/"), ("x.www.test", "/v2"), ("test", "/stats")] {
        assert_eq!(client.ask(get(host, path)).status(), 404, "{host}{path}");
    }
    let statistics = body(&client.ask(get("www.test", "/stats")));
    assert!(statistics.contains("\"unserved_requests\":3,"), "{statistics}");
    assert_eq!(origins.map(|it| it.count()), [2, 4], "none of the others reached a server");
    balancer.stop_after(client);
}

/// That a service has no pool of its own says nothing of where its rules lead.
#[test]
fn a_service_of_rules_alone_is_not_said_to_lead_nowhere() {
    let origin = Origin::named("web");
    let rules =
        "match = [{ host = \"a\" }]\nrules = [{ when = 'path $= \"/x\"', pool = \"web\" }]";
    let text = service("web", HTTP, rules).replace("pool = \"web\"\nmatch", "match");
    let file = File::new(&(text + &pool("web", &[&origin])));
    let balancer = file.serve(&["--log-level", "info"]);
    assert_eq!(answers(balancer.address(), "a", "/x"), "web");
    assert!(!balancer.log().contains("to nobody"), "{}", balancer.log());
    balancer.stop();
}

/// A file with something of everything.
fn full(listen: &str) -> String {
    format!(
        r#"
        [global]
        log_level = "error"
        drain_timeout = "7s"
        [defaults.pool]
        check = {{ kind = "http:/health", interval = "3s" }}
        [listener.public]
        bind = "{listen}"
        keep_alive = "90s"
        [service.web]
        listen = ["public"]
        match = [{{ host = "*.test", path = "/a~b" }}, {{ when = 'header("x") == "y # z"' }}]
        pool = "web"
        rules = [
            {{ when = 'path ^= "/old/"', redirect = "301 https://new.test{{uri}}" }},
            {{ request = {{ set = {{ X-Cost = "$$5" }} }} }},
        ]
        [service.rest]
        listen = ["public"]
        pool = "rest"
        max_body = "10m"
        [pool.web]
        algorithm = "least-connections"
        backends = [{{ address = "127.0.0.1:1", name = "a", weight = 3 }}, "127.0.0.1:2"]
        [pool.rest]
        check = "none"
        backends = ["127.0.0.1:3,backup", "127.0.0.1:4"]
        "#
    )
}

#[test]
fn a_good_file_is_checked_without_a_port() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = File::new(&full(&format!("http://{}", holder.local_addr().unwrap())));
    let good = format!("{}: good: 1 listener, 2 services, 2 pools\n", file.arg());
    for flag in ["-t", "--check-config", "--check"] {
        assert_eq!(file.run(&[flag]).good(), good, "{flag}");
    }
    // To run is another thing.
    let listener = "bind = \"http://127.0.0.1";
    file.run(&[]).refused(&format!("the port is in use|{}:8:16|{listener}", file.arg()));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let file = File::new(
        "[service.web]\nlisten = [\"htp://127.0.0.1:80\"]\npool = \"wbe\"\nmax_body = \"10MB\"\n\
         [pool.web]\ncheck = { intervall = \"2s\" }\n\
         backends = [ { address = \"127.0.0.1:1\", wieght = 2 } ]\n",
    );
    let table = [
        ("2:11", "did you mean http"),
        ("3:8", "did you mean web?"),
        ("4:12", "did you mean 10m?"),
        ("6:11", "did you mean `interval`?"),
        ("7:41", "did you mean `weight`?"),
    ];
    for flag in ["-t", "--check", "--print-config", "--drain-timeout=1s"] {
        let ran = file.run(&[flag]);
        ran.refused("error: unknown key `wieght`");
        let errors: Vec<&str> = ran.stderr.split("error: ").skip(1).collect();
        assert_eq!(errors.len(), table.len(), "{flag}: {}", ran.stderr);
        for (error, (place, says)) in errors.iter().zip(table) {
            let place = format!("--> {}:{place}\n", file.arg());
            assert!(error.contains(&place) && error.contains(says), "{flag} {place}{error}");
            assert!(error.contains('^'), "{error}");
        }
    }
}

/// What cannot be seen in the file alone: names that lead nowhere, files that are not there.
#[test]
fn what_cannot_be_had_is_found_by_the_check() {
    let text = service("web", HTTP, "error_pages = { 503 = \"/no/503.html\" }")
        + "[pool.web]\nbackends = [\"127.0.0.1:1\"]\n";
    let file = File::new(&text);
    file.run(&["-t"]).refused("/no/503.html: there is no such file");
    file.run(&["--print-config"]).good();
}

/// Without where each value comes from, which is another file's line then.
fn without_places(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.rsplit_once(" # ").map_or(line, |it| it.0)).collect()
}

#[test]
fn what_is_printed_is_a_good_file_that_prints_the_same() {
    let file = File::new(&full(HTTP));
    let printed = file.run(&["--print-config", "--drain-timeout", "9s"]).good();
    for line in [
        "drain_timeout = \"9s\" # flag",
        "log_level = \"error\" # pointsman-config",
        "check.interval = \"3s\" # pointsman-config",
        "keep_alive = \"90s\" # pointsman-config",
        "max_body = \"10m\" # pointsman-config",
        "algorithm = \"least-connections\" # pointsman-config",
        "check.kind = \"none\" # pointsman-config",
        "retries = 3 # default",
        "{ address = \"127.0.0.1:1\", name = \"a\", weight = 3 }, # pointsman-config",
    ] {
        assert!(printed.contains(line), "{printed}\n  not: {line}");
    }
    let again = File::new(&printed);
    let checked = again.run(&["-t"]).good();
    assert!(checked.ends_with(": good: 1 listener, 2 services, 2 pools\n"), "{checked}");
    let printed_again = again.run(&["--print-config"]).good();
    assert_eq!(without_places(&printed_again), without_places(&printed));
    assert!(!printed_again.contains("# default"), "all of it is said: {printed_again}");
}

/// A listener without a table of its own has one in what is printed, also of flags alone.
#[test]
fn listeners_called_by_their_addresses_are_printed_and_read_back() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output();
        Ran::from(output.unwrap())
    };
    let inline =
        File::new(&(service("web", HTTP, "") + "[pool.web]\nbackends = [\"127.0.0.1:1\"]\n"));
    let route = "a.test/x=127.0.0.1:2,weight=3";
    let table: [&[&str]; 4] = [
        &["--config", inline.arg()],
        &["--config", inline.arg(), "-l", "udp://[::1]:53", "-b", "127.0.0.1:53"],
        &["-l", HTTP, "-b", "127.0.0.1:1", "--route", route, "--keep-alive", "9s"],
        &["-l", "*:80", "-l", "tcp://[::]:81", "-b", "127.0.0.1:1"],
    ];
    for args in table {
        let printed = run(&[args, &["--print-config"]].concat()).good();
        let again = File::new(&printed);
        assert!(again.run(&["-t"]).good().contains(": good: "), "{printed}");
        let printed_again = again.run(&["--print-config"]).good();
        assert_eq!(without_places(&printed_again), without_places(&printed), "{args:?}");
    }
}

/// Its backends are made when it starts: what has no ports yet cannot be printed.
#[test]
fn the_demo_is_printed_without_its_backends_and_says_why() {
    let args = ["--demo", "--print-config"];
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output();
    let printed = Ran::from(output.unwrap()).good();
    let why =
        "backends = [] # its own are made when it starts, at ports that the system chooses";
    assert!(printed.contains(why), "{printed}");
}

#[test]
fn flags_beside_a_file_add_a_service() {
    let origins = ["file", "flags", "route"].map(Origin::named);
    let file = File::new(&(service("web", HTTP, "") + &pool("web", &[&origins[0]])));
    let port = free_port();
    let listen = format!("http://{port}");
    let backend = origins[1].backend.flag();
    let route = format!("a.test={}", origins[2].backend.flag());
    let own = ["--listen", &*listen, "--backend", &*backend, "--route", &*route];
    let all = [&own[..], &["--check", "none", "--stats-path", "/stats"]].concat();
    let balancer = file.serve(&all);
    assert_eq!(answers(balancer.address(), "a.test", "/"), "file");
    assert_eq!(answers(port, "b.test", "/"), "flags");
    assert_eq!(answers(port, "a.test", "/"), "route");
    balancer.stop();
    let printed = file.run(&[&all[..], &["--print-config"]].concat()).good();
    for line in
        ["[service.main]", "[pool.main]", "stats_path = \"/stats\" # flag", "[service.web]"]
    {
        assert!(printed.contains(line), "{printed}\n  not: {line}");
    }
}

#[test]
fn flags_that_contradict_a_file_are_refused_by_name() {
    let port = free_port();
    let listen = format!("http://{port}");
    let text = |name: &str| {
        service(name, &listen, "") + &format!("[pool.{name}]\nbackends = [\"127.0.0.1:1\"]\n")
    };
    let file = File::new(&text("web"));
    for flags in [&["-t"][..], &[]] {
        let refused =
            |more: &[&str], says: &str| file.run(&[more, flags].concat()).refused_flags(says);
        refused(
            &["--balance", "random"],
            "--balance: |beside --config|`algorithm` in the file",
        );
        refused(&["--max-body=1k"], "--max-body: |beside --config|`max_body` in the file");
        refused(
            &["--retries=1", "--keep-alive=1s"],
            "--retries: |--keep-alive: |at one listener|[defaults.listener]",
        );
        refused(&["--demo"], "--demo: found --config beside it, want one of the two");
        refused(&["--demo", "--listen", HTTP], "--demo: found --config beside it, want one");
        let own = ["--listen", &*listen, "--backend", "127.0.0.1:2"];
        refused(&own, &format!("--listen: |'{port}' twice"));
    }
    let file = File::new(&text("main"));
    let own = ["--listen", HTTP, "--backend", "127.0.0.1:2", "-t"];
    let says = "--listen: |the service 'main' in the file, too|--backend: |the pool 'main'";
    file.run(&own).refused_flags(says);
}

/// What cannot be had of the service that the command line has beside a file.
#[test]
fn what_is_wrong_with_flags_beside_a_file_is_told_of_them() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}", holder.local_addr().unwrap());
    let text = service("web", HTTP, "error_pages = { 503 = \"/no/503.html\" }")
        + "[pool.web]\nbackends = [\"127.0.0.1:1\"]\n";
    let file = File::new(&text);
    let flags = ["-l", &*taken, "-b", "127.0.0.1:1", "--access-log", "/no/log"];
    let ran = file.run(&flags);
    ran.refused("error: |/no/503.html| --> ");
    for line in [
        format!("pointsman: --listen {}: the port is in use", taken.replace("http://", "")),
        "pointsman: --access-log /no/log: there is no such file".to_owned(),
    ] {
        assert!(
            ran.stderr.lines().any(|it| it.starts_with(&line)),
            "{}\n  not: {line}",
            ran.stderr
        );
    }
}

#[test]
fn a_file_that_is_missing_is_told_where_it_is_named() {
    let log = std::env::temp_dir().join("pointsman-no-such-folder/x.log");
    let text = format!(
        r#"
[global]
access_log = {{ file = "{}" }}
[listener.l]
bind = "https://127.0.0.1:0"
certificates = [{{ cert = "/no/a.pem", key = "/no/a.key" }},
    {{ cert = "/no/b.pem", key = "/no/b.key" }}]
[service.s]
listen = ["l"]
pool = "p"
error_pages = {{ 503 = "/no/503.html" }}
maintenance = {{ file = "/no/down.html" }}
rules = [{{ respond = "403 /no/403.html" }}]
[pool.p]
backends = ["127.0.0.1:1"]
"#,
        log.display()
    );
    let file = File::new(&text);
    let ran = file.run(&[]);
    ran.refused("error: ");
    for (says, place) in [
        ("/no/a.pem: ", "6:26"),
        ("/no/b.pem: ", "7:14"),
        ("/no/503.html: ", "11:23"),
        ("/no/down.html: ", "12:24"),
        ("/no/403.html: ", "13:22"),
        ("there is no such file or directory", "3:23"),
    ] {
        let place = format!("{}:{place}\n", file.arg());
        let mut errors = ran.stderr.split("error: ");
        let found = errors.any(|it| it.contains(says) && it.contains(&place));
        assert!(found, "{}\n  not: {says} {place}", ran.stderr);
    }
}

#[test]
fn the_log_level_of_the_command_line_wins() {
    let origin = Origin::named("web");
    let rest = service("web", HTTP, "") + &pool("web", &[&origin]);
    let text = |level: &str| format!("[global]\nlog_level = \"{level}\"\n{rest}");
    let file = File::new(&text("off"));
    let balancer = file.serve(&["--log-level", "debug"]);
    assert_eq!(answers(balancer.address(), "a", "/"), "web");
    balancer.wait_for_log("DEBUG");
    balancer.stop();
    file.write(&text("debug"));
    let mut balancer = file.serve(&["--log-level", "error"]);
    assert_eq!(answers(balancer.address(), "a", "/"), "web");
    balancer.signal(rustix::process::Signal::TERM);
    assert!(balancer.wait().success());
    assert_eq!(balancer.log(), "");
    for (more, says) in [
        (&["--log-level", "warn"][..], "log_level = \"warn\" # flag"),
        (&[], "log_level = \"debug\" # pointsman-config"),
    ] {
        let printed = file.run(&[more, &["--print-config"]].concat()).good();
        assert!(printed.contains(says), "{printed}");
    }
}

#[test]
fn routes_of_the_command_line_choose_by_host_and_path() {
    let [www, api, other] = ["www", "api", "other"].map(Origin::named);
    let www_route = format!("www.example.com={}", www.backend.flag());
    let api_route = format!("api.example.com/v2={}", api.backend.flag());
    let routes = ["--route", &www_route, "--route", &api_route, "--check", "none"];
    let table = [
        ("www.example.com", "/", "www"),
        ("WWW.example.com:80", "/v2", "www"),
        ("api.example.com", "/v2", "api"),
        ("api.example.com", "/v2/users?x=/v1", "api"),
        ("api.example.com", "/v22", "other"),
        ("api.example.com", "/", "other"),
        ("example.com", "/v2", "other"),
    ];
    for default in [true, false] {
        let backend = other.backend.flag();
        let own: &[&str] = if default { &["--backend", &backend] } else { &[] };
        let balancer = Balancer::start(&[&["--listen", HTTP], &routes[..], own].concat());
        let mut client = Wire::to(&balancer);
        for (host, path, name) in table {
            let answer = client.ask(get(host, path));
            match (name, default) {
                ("other", false) => assert_eq!(answer.status(), 404, "{host}{path}"),
                _ => assert_eq!(body(&answer), name, "{host}{path}"),
            }
        }
        balancer.stop_after(client);
    }
}
