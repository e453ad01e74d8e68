//! `pointsman ctl` with the real program on both sides of the socket.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire};
use crate::common::{Backend, Balancer, until};

/// A directory of its own; removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("pointsman-ctl-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    /// Where an admin socket is.
    fn place(&self) -> String {
        format!("unix:{}/api.sock", self.0.display())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running one and its admin socket.
struct Running {
    balancer: Balancer,
    directory: Directory,
}

impl Running {
    /// Two pools: `web` with a (weight 10) and b, `api` with c.
    fn start() -> Running {
        let directory = Directory::new();
        let file = directory.file(
            "it.toml",
            "[service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"web\"\n\
             [service.api]\nlisten = [\"tcp://127.0.0.1:0\"]\npool = \"api\"\n\
             [pool.web]\ncheck = { kind = \"none\" }\n\
             backends = [\"127.0.0.1:1,name=a,weight=10\", \"127.0.0.1:2,name=b\"]\n\
             [pool.api]\ncheck = { kind = \"none\" }\nbackends = [\"127.0.0.1:3,name=c\"]\n",
        );
        let balancer = Balancer::start(&["--config", &file, "--admin", &directory.place()]);
        Running { balancer, directory }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = ctl(args);
        command.env("POINTSMAN_ADMIN", self.directory.place());
        command
    }

    /// It does what it is asked to; what it prints.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let ran = Ran::from(self.command(args).output().unwrap());
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{args:?}: {}", ran.stdout);
        ran.stdout
    }

    /// It is refused with this exit code; what it complains.
    #[track_caller]
    fn refuses(&self, code: i32, args: &[&str]) -> String {
        let ran = Ran::from(self.command(args).output().unwrap());
        assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{args:?}: {}", ran.stderr);
        ran.stderr
    }

    fn stop(self) {
        self.balancer.stop();
    }
}

fn ctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("ctl").args(args).env_remove("POINTSMAN_TOKEN").stdin(Stdio::null());
    command
}

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

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn who_is_banned_is_told_and_shown() {
    let it = Running::start();
    assert_eq!(it.says(&["bans"]), "nobody is banned\n");
    let would = it.says(&["ban", "192.0.2.0/24", "--for", "1h", "--dry-run"]);
    assert_eq!(would, "would ban 192.0.2.0/24 for 1h\n");
    let said = it.says(&["ban", "192.0.2.0/24", "--for", "1h", "--why", "it scans"]);
    assert!(said.starts_with("192.0.2.0/24: banned for "), "{said}");
    it.says(&["ban", "2001:db8::1"]);
    let table = it.says(&["bans"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("it scans"), "{table}");
    let one = json(&it.says(&["bans", "192.0.2.7", "--json"]));
    assert_eq!(one["items"][0]["network"], "192.0.2.0/24");
    assert_eq!(it.says(&["bans", "192.0.3.7"]), "nobody is banned\n");
    let large = it.refuses(1, &["ban", "0.0.0.0/1"]);
    assert!(large.contains("0.0.0.0/1 is large"), "{large}");
    assert!(it.says(&["unban", "192.0.2.0/24", "--dry-run"]).starts_with("would lift"));
    it.says(&["unban", "192.0.2.0/24"]);
    let gone = it.refuses(1, &["unban", "192.0.2.0/24"]);
    assert!(gone.contains("192.0.2.0/24 is not banned"), "{gone}");
    it.stop();
}

#[test]
fn what_runs_is_shown_in_tables_and_as_json() {
    let it = Running::start();
    let table = it.says(&["show"]);
    let names: Vec<&str> = table.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["BACKEND", "api/c", "web/a", "web/b"], "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert_eq!(it.says(&["show", "backends", "api"]).lines().count(), 2);
    for (what, name) in [("services", "web"), ("listeners", "http://"), ("pools", "api")] {
        assert!(it.says(&["show", what]).contains(name), "{what}");
        assert!(json(&it.says(&["show", what, "--json"]))["items"].is_array(), "{what}");
    }
    assert_eq!(json(&it.says(&["show", "--json"]))[0]["name"], "c");
    assert!(it.says(&["show", "backend", "c"]).contains("\naddress "));
    let one = json(&it.says(&["show", "backend", "web/a", "--json"]));
    assert_eq!(one["weight"]["configured"], 10);
    it.stop();
}

#[test]
fn a_change_says_what_was_before_and_is_now_and_a_dry_run_changes_nothing() {
    let it = Running::start();
    let would = it.says(&["weight", "web/a", "5", "--dry-run"]);
    assert!(would.starts_with("web/a: would be done: "), "{would}");
    let weight = it.says(&["weight", "a", "5", "--reason", "it is too hot"]);
    assert_eq!(weight, "web/a: weight 10 -> 5 (configured 10)\n");
    assert!(it.says(&["show"]).contains("5 (of 10)"));
    assert!(it.says(&["drain", "web/b", "--deadline", "60s"]).contains("draining, no connect"));
    assert!(it.says(&["maint", "web/b"]).contains("in maintenance"));
    assert!(it.says(&["ready", "web/b"]).contains("(was maint before)"));
    let add = ["add", "web/d", "127.0.0.1:4", "--weight", "3", "--max-connections", "7"];
    assert!(it.says(&[&add[..], &["--dry-run"]].concat()).contains("would be done"));
    assert_eq!(it.says(&add), "web/d: added, 127.0.0.1:4, weight 3\n");
    assert_eq!(it.says(&add), "web/d: is so already\n");
    let list = it.says(&["overrides"]);
    assert!(list.contains("web/a") && list.contains("web/d"), "{list}");
    assert!(it.says(&["overrides", "clear", "web/a"]).starts_with("web/a: generation "));
    assert!(it.says(&["remove", "d", "--now", "--wait"]).starts_with("web/d: removed"));
    assert!(it.says(&["overrides", "clear"]).starts_with("overrides: "));
    assert!(it.says(&["close", "c", "--dry-run"]).contains("would be closed"));
    assert_eq!(json(&it.says(&["close", "c", "--json"]))["closing"], 0);
    it.stop();
}

#[test]
fn whoever_waits_comes_back_once_no_connection_is_left() {
    let backend = Backend::echo();
    let directory = Directory::new();
    let address = backend.address.to_string();
    let place = directory.place();
    let args = ["-l", "127.0.0.1:0", "-b", &address, "--check", "none", "--admin", &place];
    let balancer = Balancer::start(&args);
    let it = Running { balancer, directory };
    let client = it.balancer.connect();
    (&client).write_all(b"x").unwrap();
    until("the connection is shown", || json(&it.says(&["show", "--json"]))[0]["active"] == 1);
    let name = json(&it.says(&["show", "--json"]))[0]["name"].as_str().unwrap().to_owned();
    let full = format!("main/{name}");
    let mut child =
        it.command(&["drain", &full, "--wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap();
    assert!(first.contains("draining, 1 connection left"), "{first}");
    drop(client);
    let last = lines.last().unwrap();
    assert!(last.ends_with(": no connections left"), "{last}");
    assert!(child.wait().unwrap().success());
    it.stop();
}

#[test]
fn the_process_is_drained_checked_and_stopped() {
    let mut it = Running::start();
    assert_eq!(it.says(&["health"]), "healthy\n");
    assert_eq!(it.says(&["drain"]), "drain: the process is drained\n");
    let ran = Ran::from(it.command(&["health"]).output().unwrap());
    assert_eq!((ran.code, &*ran.stdout), (Some(1), "the process is drained\n"));
    assert_eq!(it.says(&["undrain"]), "undrain: the process is serving\n");
    it.says(&["reload"]);
    let config = it.says(&["config"]);
    assert!(config.contains("[pool.web]"), "{config}");
    let file = it.directory.file("more.toml", &config.replace("weight = 10", "weight = 9"));
    assert_eq!(it.says(&["config", "check", &file]), format!("{file}: good\n"));
    assert!(it.says(&["config", "put", &file, "--dry-run"]).contains("would be done"));
    it.says(&["config", "put", &file]);
    assert_eq!(json(&it.says(&["show", "--json"]))[1]["weight"]["configured"], 9);
    let bad = it.directory.file("bad.toml", "pols = 1\n");
    let told = it.refuses(1, &["config", "check", &bad]);
    assert!(told.starts_with("error: ") && told.contains(&format!("{bad}:1:1")), "{told}");
    assert!(it.says(&["stop", "--dry-run"]).starts_with("would stop"));
    assert!(it.says(&["stop"]).starts_with("stop: begun"));
    assert!(it.balancer.wait().success());
}

#[test]
fn a_request_is_explained_and_events_are_followed() {
    let it = Running::start();
    let told = it.says(&["explain", "GET http://x/y", "--from", "1.2.3.4"]);
    assert!(told.contains("pool       web\n") && told.contains("choice     "), "{told}");
    assert!(it.refuses(1, &["explain", "GET https://x/y"]).contains("no listener speaks"));
    it.says(&["weight", "web/a", "5", "--reason", "it is too hot"]);
    let args = ["events", "--kind", "audit", "--since", "0"];
    let mut child = it.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(line.contains("/pools/web/backends/a") && line.contains("too hot"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    it.stop();
}

#[test]
fn picks_are_listed_and_one_is_told_in_whole() {
    let it = Running::start();
    assert!(it.says(&["picks"]).contains("no picks are kept; start pointsman with --picks"));
    let origin = Origin::named("here");
    let at = origin.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &at, "--check", "none", "--picks", "9"];
    let admin = Admin::start(&[&args[..], &["--request-id", "keep"]].concat());
    let place = format!("unix:{}", admin.api.socket.display());
    let says = |more: &[&str]| {
        let args = [&["ctl", "picks", "--admin", &place][..], more].concat();
        let out = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(says(&[]), "no pick that is kept is like this\n");
    let mut client = Wire::to(&admin.balancer);
    client.ask("GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\n\r\n");
    until("it is over", || says(&[]).contains("  200  "));
    let told = says(&["--request", "one"]);
    let name = origin.backend.name();
    for line in [
        "request id one",
        "asked      GET /a",
        "pool       main; 1 of 1 up",
        &format!("candidate  {name}: may take it, weight 1, 0 active, compared 0.5"),
        &format!("choice     {name}"),
        "outcome    200 after ",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(says(&["--client", "::1"]).starts_with("no pick"));
    assert_eq!(json(&says(&["--json"]))["items"][0]["request_id"], "one");
    it.stop();
}

#[test]
fn mistakes_are_told_in_a_line_with_what_may_be_meant() {
    let it = Running::start();
    for (code, args, says) in [
        (2, &["shwo"][..], "did you mean show?"),
        (2, &["show", "pols"], "did you mean pools?"),
        (2, &["weight", "web/a", "x"], "want a whole number"),
        (2, &["weight", "web/a"], "want weight POOL/NAME N"),
        (2, &["show", "--admin", "https://a:1"], "no TLS"),
        (1, &["weight", "wbe/a", "3"], "did you mean web?"),
        (1, &["drain", "nobody"], "no pool has a backend 'nobody'"),
        (1, &["weight", "web/a", "99999999"], "/weight: found 99999999, want"),
        (1, &["add", "x", "127.0.0.1:9"], "more than one pool"),
        (1, &["remove", "web/x"], "there is no backend 'x'"),
        (1, &["config", "check", "/nowhere/at.toml"], "/nowhere/at.toml: "),
    ] {
        let told = it.refuses(code, args);
        assert!(told.starts_with("pointsman ctl: ") && told.contains(says), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    it.stop();
}

#[test]
fn a_socket_that_is_not_there_is_named_and_help_needs_none() {
    let place = Directory::new().place();
    let ran = Ran::from(ctl(&["show", "--admin", &place]).output().unwrap());
    assert_eq!(ran.code, Some(1));
    let says = format!("is pointsman running with --admin {place}?\n");
    assert!(ran.stderr.ends_with(&says), "{}", ran.stderr);
    for args in
        [&["--help"][..], &["help"], &["help", "drain"], &["show", "--help"], &["drain", "-h"]]
    {
        let ran = Ran::from(ctl(args).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains("--admin PLACE"), "{}", ran.stdout);
    }
}

#[test]
fn a_full_disk_is_a_failure_and_a_reader_that_has_seen_enough_is_none() {
    let running = Running::start();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::from(running.command(&["show"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard output: "), "{}", ran.stderr);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = Ran::from(running.command(&["show"]).stdout(writer).output().unwrap());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    running.stop();
}

#[test]
fn a_backend_is_added_with_the_header_that_it_wants() {
    let running = Running::start();
    let add = ["add", "web/p", "127.0.0.1:4", "--proxy", "v2", "--proxy-tlvs", "ssl+crc32c"];
    running.says(&add);
    let shown = running.says(&["show", "backend", "web/p", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["proxy"], "v2");
    assert_eq!(value["proxy_tlvs"], serde_json::json!(["crc32c", "ssl"]));
}
