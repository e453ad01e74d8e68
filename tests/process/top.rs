//! `pointsman top` with the real program on both sides of the socket, and on a real terminal.

mod pty;

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::common::admin::Admin;
use crate::common::until;
use pty::Pty;

const THREE: &str = "[service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"web\"\n\
     [service.api]\nlisten = [\"tcp://127.0.0.1:0\"]\npool = \"api\"\n\
     [pool.web]\ncheck = { kind = \"none\" }\n\
     backends = [\"127.0.0.1:1,name=a,weight=10\", \"127.0.0.1:2,name=b\"]\n\
     [pool.api]\ncheck = { kind = \"none\" }\nbackends = [\"127.0.0.1:3,name=c\"]\n";

fn top(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("top").args(args);
    command.env_remove("POINTSMAN_TOKEN").env_remove("POINTSMAN_ADMIN").env_remove("NO_COLOR");
    command.stdin(Stdio::null());
    command
}

fn socket(admin: &Admin) -> String {
    admin.api.socket.display().to_string()
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// On a terminal, once it has drawn what it found.
fn watch(admin: &Admin) -> Pty {
    let pty = Pty::run(top(&[&socket(admin), "--interval", "200ms"]));
    pty.shows("web/a");
    pty
}

#[test]
fn where_nobody_watches_it_is_one_table() {
    let admin = Admin::configured(THREE);
    for (args, variable) in [(&["--once"][..], None), (&[], None), (&[], Some("NO_COLOR"))] {
        let mut command = top(args);
        command.arg(socket(&admin));
        variable.map(|it| command.env(it, "1"));
        let ran = run(command);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert!(
            lines[0].starts_with("unix:") && lines[0].contains(", serving, up "),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("BACKEND  STATE"), "{lines:?}");
        let names: Vec<&str> =
            lines[2..].iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(names, ["api/c", "web/a", "web/b"]);
        assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
    }
}

#[test]
fn without_colours_a_terminal_gets_the_table_as_well() {
    let admin = Admin::configured(THREE);
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut command = Command::new("env");
        command.arg(format!("{name}={value}"));
        command.args([env!("CARGO_BIN_EXE_pointsman"), "top", &socket(&admin)]);
        let mut pty = Pty::run(command);
        assert!(pty.ends().success());
        pty.shows("web/b");
        assert!(!pty.drawn().contains('\x1b'), "{}", pty.drawn());
    }
}

#[test]
fn as_json_it_is_a_document_or_a_list_of_them() {
    let admin = Admin::configured(THREE);
    let other = Admin::configured(THREE);
    let json = |command| {
        let ran = run(command);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        serde_json::from_str::<serde_json::Value>(&ran.stdout).expect("JSON")
    };
    let one = json(top(&["--json", &socket(&admin)]));
    assert_eq!(one["process"]["state"], "serving");
    assert_eq!(one["backends"].as_array().map(Vec::len), Some(3));
    let two = json(top(&["--json", &socket(&admin), &socket(&other)]));
    assert_eq!(two.as_array().map(Vec::len), Some(2));
    assert_eq!(two[1]["socket"], format!("unix:{}", socket(&other)));
    let mut by_variable = top(&["--json"]);
    by_variable.env("POINTSMAN_ADMIN", format!("unix:{}", socket(&other)));
    assert_eq!(json(by_variable)["socket"], two[1]["socket"]);
}

#[test]
fn a_socket_that_is_not_there_is_a_line_with_what_would_be_right() {
    let missing = "unix:/nonexistent/api.sock";
    let line = format!(
        "pointsman top: {missing}: there is no such file or directory; is pointsman running with \
         --admin {missing}?\n"
    );
    for args in [&["--once", missing][..], &["--json", missing]] {
        let ran = run(top(args));
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(1), "", &*line));
    }
    let mut pty = Pty::run(top(&[missing]));
    assert_eq!(pty.ends().code(), Some(1));
    pty.shows("is pointsman running");
    assert!(!pty.drawn().contains('\x1b'), "the screen was never taken: {:?}", pty.drawn());
    let ran = run(top(&["--onec"]));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("did you mean --once?"), "{}", ran.stderr);
    assert!(run(top(&["--help"])).stdout.starts_with("pointsman top: watches"));
}

#[test]
fn a_wrong_token_is_a_line_and_no_screen() {
    let admin = Admin::configured(THREE);
    let mut pty = Pty::run(top(&[&socket(&admin), "--token", "wrong"]));
    assert_eq!(pty.ends().code(), Some(1));
    pty.shows("give a token with --token, or in POINTSMAN_TOKEN");
    assert!(!pty.drawn().contains('\x1b'), "{:?}", pty.drawn());
}

#[test]
fn keys_choose_views_and_q_leaves_the_terminal_as_it_was() {
    let admin = Admin::configured(THREE);
    let mut pty = watch(&admin);
    assert!(!pty.has_its_modes(), "it is raw while it draws");
    let begin = pty.drawn();
    assert!(begin.starts_with("\x1b[?1049h\x1b[?25l"), "{begin:?}");
    pty.shows("[1 overview]");
    for (key, shows) in [
        ("2", "[2 traffic]"),
        ("\t", "[3 errors]"),
        ("4", "[4 events]"),
        ("?", "what"),
        ("x", "[4 events]"),
        ("\x1b[Z", "[3 errors]"),
        ("5", "REQUESTS THAT WAIT LONGEST"),
        ("3", "[3 errors]"),
        (" ", "paused"),
        (" ", "each"),
        ("s", "by name"),
        ("+", "each 400ms"),
    ] {
        let shows = if key == "?" { "q, Ctrl-C" } else { shows };
        pty.press(key);
        if key != "x" {
            pty.shows(shows);
        }
    }
    pty.resize(40, 10);
    pty.shows("\x1b[10;1H");
    pty.press("q");
    assert!(pty.ends_whole().success());
}

#[test]
fn a_change_is_made_after_a_yes_and_is_in_the_audit_log() {
    let admin = Admin::configured(THREE);
    let mut pty = watch(&admin);
    pty.press("/web/a\r");
    pty.shows("filter web/a");
    pty.press("\x1b[Bd");
    pty.shows("drain web/a? y/n");
    pty.press("n");
    pty.shows("not done");
    assert_eq!(admin.api.get("/api/v1/pools/web/backends/a")["admin"], "ready");
    pty.press("\r");
    pty.shows("d drain");
    pty.press("dy");
    pty.shows("done: drain web/a");
    pty.shows("◐ draining");
    assert_eq!(admin.api.get("/api/v1/pools/web/backends/a")["admin"], "drain");
    pty.press("w7\r");
    pty.shows("weight 7 for web/a? y/n");
    pty.press("y");
    pty.shows("done: weight 7");
    assert_eq!(admin.api.get("/api/v1/pools/web/backends/a")["weight"]["override"], 7);
    until("the audit log has the reason", || {
        admin
            .balancer
            .log()
            .lines()
            .any(|it| it.contains("audit") && it.contains("because top"))
    });
    pty.press("q");
    assert!(pty.ends_whole().success());
}

#[test]
fn whatever_ends_it_the_terminal_is_whole() {
    use std::os::unix::process::ExitStatusExt;
    let admin = Admin::configured(THREE);
    let mut pty = watch(&admin);
    pty.press("\x03");
    assert!(pty.ends_whole().success());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut pty = watch(&admin);
        pty.signal(signal);
        assert_eq!(pty.ends_whole().signal(), Some(signal.as_raw()));
    }
    let mut pty = watch(&admin);
    pty.hang_up();
    // The reader of the test has the terminal open, so it is the shell's signal that says so.
    pty.signal(Signal::HUP);
    pty.ends();
}

#[test]
fn stopped_by_ctrl_z_it_gives_the_terminal_back_and_takes_it_again() {
    let admin = Admin::configured(THREE);
    let mut pty = watch(&admin);
    pty.press("\x1a");
    until("it stops", || pty.is_stopped());
    assert!(pty.has_its_modes());
    pty.shows("\x1b[?1049l");
    pty.press("");
    pty.signal(Signal::CONT);
    pty.shows("\x1b[?1049h");
    pty.shows("web/a");
    assert!(!pty.has_its_modes());
    pty.press("q");
    assert!(pty.ends_whole().success());
}

#[test]
fn a_process_that_goes_away_is_shown_as_such_and_found_again() {
    let admin = Admin::configured(THREE);
    let other = Admin::configured(THREE);
    let gone = socket(&admin);
    let pty = Pty::run(top(&[&gone, &socket(&other), "--interval", "200ms"]));
    pty.shows("2 of 2 processes");
    pty.press("");
    admin.balancer.signal(Signal::KILL);
    pty.shows("1 of 2 processes");
    pty.shows("▼ away");
    let _ = std::fs::remove_file(&gone);
    let place = format!("unix:{gone}");
    pty.press("");
    let again = Admin::start(&[
        "--listen",
        "tcp://127.0.0.1:0",
        "--backend",
        "127.0.0.1:1",
        "--admin",
        &place,
    ]);
    pty.shows("2 of 2 processes");
    drop(again);
}

/// Run by the test below, on a terminal.
#[test]
#[ignore = "takes the terminal and panics"]
fn panics_on_a_terminal() {
    if std::env::var_os("POINTSMAN_TEST_PANIC").is_none() {
        return;
    }
    let looks = pointsman::terminal::Looks { colour: true, unicode: true };
    let terminal = pointsman::terminal::Terminal::enter(looks).expect("a terminal");
    // A release build aborts: nothing is dropped.
    std::mem::forget(terminal);
    panic!("as it must not");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let mut command = Command::new(std::env::current_exe().expect("this one"));
    command.args(["--ignored", "--exact", "--nocapture", "top::panics_on_a_terminal"]);
    command.env("POINTSMAN_TEST_PANIC", "1");
    let mut pty = Pty::run(command);
    assert!(!pty.ends_whole().success());
    pty.shows("as it must not");
    let drawn = pty.drawn();
    let back = drawn.find("\x1b[?1049l").expect("it left the screen");
    assert!(back < drawn.find("as it must not").expect("just seen"), "{drawn:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let admin = Admin::configured(THREE);
    let mut command = top(&["--once", &socket(&admin)]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("a child").success(), "{said}");
    let _ = std::io::stdout().flush();
}
