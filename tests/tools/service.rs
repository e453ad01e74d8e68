//! What an installation runs it by: the unit of systemd, the example of a configuration, logrotate.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::common::servers::{Home, missing};
use super::common::{Backend, Balancer, connect, until};

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn home(name: &str) -> Home {
    let home = std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
    fs::create_dir_all(&home).expect("a folder");
    Home(home)
}

/// The unit in a folder of its own, with the program that was built here.
fn unit(home: &Home) -> PathBuf {
    let text = deployed("pointsman.service");
    let wanted = "ExecStart=/usr/bin/pointsman ";
    assert!(text.contains(wanted), "the unit starts something else");
    let here = format!("ExecStart={} ", env!("CARGO_BIN_EXE_pointsman"));
    let path = home.0.join("pointsman.service");
    fs::write(&path, text.replace(wanted, &here)).expect("it is written");
    path
}

fn systemd_version() -> u32 {
    let output = Command::new("systemd-analyze").arg("--version").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a version")
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if missing(&["systemd-analyze"]) {
        return;
    }
    let home = home("unit");
    let path = unit(&home);
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // It came with 253; the unit says what an older one does.
    let is_known =
        |line: &str| systemd_version() < 253 && line.ends_with("ignoring: notify-reload");
    // Units of the machine have faults of their own.
    let ours = said.lines().filter(|line| line.contains("pointsman"));
    let bad: Vec<&str> = ours.filter(|line| !is_known(line)).collect();
    assert!(bad.is_empty() && output.status.success(), "{}: {bad:#?}", output.status);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_socket_unit() {
    if missing(&["systemd-analyze"]) {
        return;
    }
    let home = home("socket-unit");
    unit(&home);
    let path = home.0.join("pointsman.socket");
    fs::write(&path, deployed("systemd/pointsman.socket")).expect("it is written");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let bad: Vec<&str> =
        said.lines().filter(|line| line.contains("pointsman.socket")).collect();
    assert!(bad.is_empty() && output.status.success(), "{}: {bad:#?}", output.status);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_drop_in_for_a_takeover() {
    if missing(&["systemd-analyze"]) {
        return;
    }
    let home = home("takeover");
    let path = unit(&home);
    let folder = home.0.join("pointsman.service.d");
    fs::create_dir_all(&folder).expect("a folder");
    let text = deployed("systemd/takeover.conf");
    let here =
        text.replace("=/usr/bin/pointsman ", &format!("={} ", env!("CARGO_BIN_EXE_pointsman")));
    fs::write(folder.join("takeover.conf"), here).expect("it is written");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let bad: Vec<&str> = said.lines().filter(|it| it.contains("takeover.conf")).collect();
    assert!(bad.is_empty() && output.status.success(), "{}: {bad:#?}", output.status);
    // The handbook shows the same lines.
    let handbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/handbook/upgrade.md");
    let handbook = fs::read_to_string(handbook).expect("it is there");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(handbook.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_drop_in_for_credentials() {
    if missing(&["systemd-analyze"]) {
        return;
    }
    let home = home("credentials");
    let path = unit(&home);
    let folder = home.0.join("pointsman.service.d");
    fs::create_dir_all(&folder).expect("a folder");
    let text = deployed("systemd/credentials.conf");
    fs::write(folder.join("credentials.conf"), &text).expect("it is written");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // It came with 260, as the drop-in says.
    let is_known = |line: &str| systemd_version() < 260 && line.contains("'RefreshOnReload'");
    let ours = said.lines().filter(|line| line.contains("credentials.conf"));
    let bad: Vec<&str> = ours.filter(|line| !is_known(line)).collect();
    assert!(bad.is_empty() && output.status.success(), "{}: {bad:#?}", output.status);
    assert!(systemd_version() >= 260 || said.contains("'RefreshOnReload'"), "not read: {said}");
    // The handbook says where they are.
    let handbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/handbook/systemd.md");
    let handbook = fs::read_to_string(handbook).expect("it is there");
    for credential in text.lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        let (name, _) = credential.split_once(':').expect("a name and a file");
        let place = format!("/run/credentials/pointsman.service/{name}");
        assert!(
            text.contains(&place) || handbook.contains("pointsman.service/NAME"),
            "{place}"
        );
    }
}

#[test]
fn the_unit_is_exposed_by_1_5_at_most() {
    if missing(&["systemd-analyze"]) {
        return;
    }
    let home = home("exposure");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(unit(&home))
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{}", text.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{text}");
}

/// The system calls of a set, as systemd lists them, without its own sets in them.
fn calls_of(set: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze")
        .args(["syscall-filter", set])
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = BTreeSet::new();
    for word in text.lines().skip(1).map(str::trim) {
        if word.starts_with('@') {
            found.extend(calls_of(word));
        } else if !word.is_empty() && !word.starts_with('#') {
            found.insert(word.to_owned());
        }
    }
    found
}

/// What systemd calls so is not all that the kernel does, so the program is watched at work.
#[test]
fn the_unit_allows_the_system_calls_that_it_makes() {
    if missing(&["systemd-analyze", "strace"]) {
        return;
    }
    let mut allowed = calls_of("@system-service");
    assert!(allowed.len() > 100, "{allowed:?}");
    let resources = calls_of("@resources");
    allowed.retain(|call| !resources.contains(call));
    let home = home("calls");
    let trace = home.0.join("trace");
    let backend = Backend::named("one");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", trace.to_str().expect("text")]);
    command.arg(env!("CARGO_BIN_EXE_pointsman"));
    // The manager and its watchdog are told as well.
    command.env("NOTIFY_SOCKET", home.0.join("notify")).env("WATCHDOG_USEC", "1000");
    let _manager = UnixDatagram::bind(home.0.join("notify")).expect("a socket");
    let inner = |name: &str| home.0.join(name).to_str().expect("text").to_owned();
    let admin = format!("unix:{}", inner("api.sock"));
    let [log, state, history] = ["access.log", "state", "history"].map(inner);
    let backend = backend.flag();
    let mut args = vec!["--listen", "tcp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"];
    args.extend(["--backend", &backend, "--admin", &admin, "--access-log", &log]);
    args.extend(["--state-file", &state, "--history-file", &history]);
    let mut balancer = Balancer::start_command(command, &args);
    let mut answer = String::new();
    let _ = balancer.connect().read_to_string(&mut answer);
    let ctl = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["ctl", "stop", "--admin", &admin])
        .output()
        .expect("it starts");
    assert!(ctl.status.success(), "{ctl:?}");
    assert!(balancer.wait().success());
    let text = fs::read_to_string(&trace).expect("it was traced");
    let calls = text.lines().filter_map(|line| {
        let (_, call) = line.split_once(' ')?;
        Some(call.trim_start().split_once('(')?.0.to_owned())
    });
    let is_call = |call: &String| call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let made: BTreeSet<String> = calls.filter(is_call).collect();
    assert!(made.contains("epoll_wait") || made.contains("epoll_pwait"), "{made:?}");
    assert!(made.contains("sendto"), "{made:?}");
    let refused: Vec<&String> = made.difference(&allowed).collect();
    assert!(refused.is_empty(), "the unit refuses {refused:?}");
}

/// Folders of an installation moved to here.
fn moved(text: &str, home: &Home) -> String {
    let mut text = text.to_owned();
    for folder in ["/var/log/pointsman", "/var/lib/pointsman", "/run/pointsman"] {
        let here = home.0.join(folder.trim_start_matches('/'));
        fs::create_dir_all(&here).expect("a folder");
        text = text.replace(folder, here.to_str().expect("text"));
    }
    text
}

#[test]
fn the_example_of_a_configuration_is_good() {
    let home = home("example");
    let path = home.0.join("pointsman.toml");
    let text = deployed("pointsman.toml");
    fs::write(&path, moved(&text, &home)).expect("it is written");
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["--check", "--config"])
        .arg(&path)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.ends_with(": good: 1 listener, 1 service, 1 pool\n"), "{said}");
    let unit = deployed("pointsman.service");
    for folder in ["RuntimeDirectory=", "StateDirectory=", "LogsDirectory="] {
        assert!(unit.contains(&format!("{folder}pointsman\n")), "{folder}");
    }
    // With a second between them, five starts are soon over, and systemd would try no more.
    for word in ["Restart=always\n", "StartLimitIntervalSec=0\n"] {
        assert!(unit.contains(word), "{word}");
    }
}

#[test]
fn logrotate_moves_the_access_log_and_a_new_one_is_begun() {
    let home = home("rotated");
    let backend = Backend::named("one");
    let log = home.0.join("var/log/pointsman/access.log");
    let text = moved(&deployed("pointsman.logrotate"), &home);
    let backend = backend.flag();
    let args = ["--listen", "tcp://127.0.0.1:0", "--backend", &backend, "--access-log"];
    let log_name = log.to_str().expect("text");
    let balancer = Balancer::start(&[&args[..], &[log_name]].concat());
    let ask = || {
        let mut stream = connect(balancer.address());
        let _ = stream.write_all(b"x");
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    ask();
    until("a line is written", || lines(&log) == 1);
    if logrotate_is_missing() {
        return;
    }
    // There is no systemd to send the signal.
    let (before, rest) = text.split_once("postrotate").expect("there is a script");
    let (_, after) = rest.split_once("endscript").expect("it ends");
    let script = format!("kill -HUP {}", balancer.pid());
    let path = home.0.join("logrotate.conf");
    let whole = format!("{before}postrotate\n{script}\nendscript{after}");
    fs::write(&path, whole).expect("it is written");
    let output = Command::new("logrotate")
        .args(["--force", "--state"])
        .arg(home.0.join("logrotate.state"))
        .arg(&path)
        .output()
        .expect("it starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    until("a new one is begun", || log.exists());
    ask();
    until("a line is written to the new one", || lines(&log) == 1);
    assert_eq!(lines(&log.with_extension("log.1")), 1);
    balancer.signal(Signal::TERM);
}

fn logrotate_is_missing() -> bool {
    let folders = ["/usr/sbin/logrotate", "/sbin/logrotate", "/usr/bin/logrotate"];
    let is_missing = !folders.iter().any(|path| Path::new(path).exists());
    if is_missing {
        super::common::measure::skip("there is no logrotate");
    }
    is_missing
}
