//! Clients of HAProxy's command socket, as they are, at ours; and a real HAProxy beside it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::haproxy_ours::{Beside, ask, ours, output, python_with};
use crate::common::servers::{Home, missing};
use crate::common::{free_port, until};

/// A HAProxy with two servers `a` and `b`.
struct Real {
    _process: Beside,
    _home: Home,
    socket: PathBuf,
}

fn real(name: &str) -> Real {
    let home = Home::new(name);
    let socket = home.0.join("real.sock");
    let config = home.0.join("haproxy.cfg");
    let text = format!(
        "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout client 5s\n  \
         timeout server 5s\n  timeout connect 5s\nfrontend fe\n  bind {}\n  \
         default_backend main\nbackend main\n  server a 127.0.0.1:1 weight 10\n  \
         server b 127.0.0.1:2\n",
        socket.display(),
        free_port()
    );
    std::fs::write(&config, text).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-f").arg(&config).arg("-db").stdout(Stdio::null()).stderr(Stdio::null());
    let process = Beside(haproxy.spawn().unwrap());
    until("HAProxy listens", || UnixStream::connect(&socket).is_ok());
    Real { _process: process, _home: home, socket }
}

/// What is shown of the servers and the pool: name, status, weight, and how many are at work.
fn standing(statistics: &str) -> Vec<String> {
    let is_ours = |it: &&str| it.starts_with("main,") && !it.starts_with("main,FRONTEND");
    let columns = |it: &str| {
        let all: Vec<&str> = it.split(',').collect();
        [all[1], all[17], all[18], all[19], all[20]].join(" ")
    };
    statistics.lines().filter(is_ours).map(columns).collect()
}

#[test]
fn weights_and_states_are_shown_as_a_real_haproxy_shows_them() {
    if missing(&["haproxy"]) {
        return;
    }
    let ours = ours("haproxy-weights");
    let real = real("haproxy-real-weights");
    for line in [
        "set weight main/a 7",
        "set server main/a state drain",
        "disable server main/b",
        "set server main/a state maint",
        "set server main/a state ready",
        "set weight main/a 0",
        "set weight main/a 100%;enable server main/b",
    ] {
        assert_eq!(ask(&ours.socket, line), ask(&real.socket, line), "{line}");
        let both = [&ours.socket, &real.socket].map(|it| standing(&ask(it, "show stat")));
        assert_eq!(both[0], both[1], "after {line}");
    }
}

#[test]
fn answers_have_the_heads_and_the_errors_of_a_real_haproxy() {
    if missing(&["haproxy"]) {
        return;
    }
    let ours = ours("haproxy-beside");
    let real = real("haproxy-real");
    let both = |line: &str| (ask(&ours.socket, line), ask(&real.socket, line));
    let (own, real) = both("show stat");
    let statics = |text: &str| text.split_once(",-,").unwrap().0.to_owned();
    assert_eq!(statics(&own), statics(&real), "the columns");
    let rows = |text: &str| text.lines().filter(|it| it.starts_with("main,")).count();
    assert_eq!((rows(&own), rows(&real)), (4, 3), "our service is called as the pool is");
    let (own, real) = both("show servers state");
    let head = |text: &str| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head(&own), head(&real));
    let (own, real) = both("show info");
    let keys = |text: &str| -> Vec<String> {
        text.lines().filter_map(|it| Some(it.split_once(": ")?.0.to_owned())).collect()
    };
    let known = keys(&real);
    for key in keys(&own) {
        assert!(known.contains(&key), "{key} is no key of HAProxy");
    }
    for line in [
        "get weight main/a",
        "get weight main/x",
        "get weight main",
        "set weight main/a 300",
        "set server main/a",
        "set server main/a state up",
        "set server main/a addr zz",
        "set server main/a health x",
        "add server main/a 1.1.1.1:1",
        "add server main/c",
        "disable server main/x",
        "enable health main/a",
        "disable health main/a",
        "enable agent main/a",
        "set timeout cli x",
        "show backend nothing",
        "show table",
        "prompt",
        "prompt;show cli level",
        "set severity-output number;set weight main/x 1",
        "user;show errors",
    ] {
        let (own, real) = both(line);
        assert_eq!(own, real, "{line}");
    }
}

#[test]
fn socat_takes_a_server_out_and_puts_another_in() {
    if missing(&["socat"]) {
        return;
    }
    let ours = ours("socat");
    let say = |line: &str| {
        let place = format!("UNIX-CONNECT:{}", ours.socket.display());
        let mut command = Command::new("sh");
        command.args(["-c", "printf '%s\\n' \"$0\" | socat -t5 - \"$1\"", line, &place]);
        output(command)
    };
    assert_eq!(say("disable server main/a; shutdown sessions server main/a"), "\n\n");
    let line = "wait 5s srv-removable main/a; del server main/a; get weight main/a";
    assert_eq!(say(line), "Done.\n\nServer deleted.\n\nNo such server.\n\n");
    assert_eq!(say("add server main/c 127.0.0.1:9 weight 7"), "New server registered.\n\n");
    assert!(say("show servers state main").contains(" main 3 c 127.0.0.1 0 1 7 7 "));
    assert_eq!(say("enable server main/c;get weight main/c"), "\n7 (initial 7)\n\n");
    assert_eq!(
        say("del server main/c"),
        "Only servers in maintenance mode can be deleted.\n\n"
    );
}

const HAPROXYADMIN: &str = "
import sys
from haproxyadmin import haproxy
it = haproxy.HAProxy(socket_file=sys.argv[1])
assert it.version.startswith('2.6.0-pointsman-'), it.version
assert [b.name for b in it.backends()] == ['main']
a = it.server('a', backend='main')[0]
assert a.status == 'no check', a.status
assert a.setweight(7) and a.weight == 7 or a.weight == '7', a.weight
for state, wanted in [('drain', 'DRAIN'), ('maint', 'MAINT'), ('ready', 'no check')]:
    assert a.setstate(state) and a.status == wanted, (state, a.status)
assert a.metric('stot') == 0
print('all is well')
";

#[test]
fn haproxyadmin_reads_and_changes() {
    let Some(python) = python_with("haproxyadmin") else { return };
    let ours = ours("haproxyadmin");
    let mut command = Command::new(python);
    command.args(["-c", HAPROXYADMIN]).arg(&ours.socket);
    assert_eq!(output(command), "all is well\n");
}

#[test]
fn the_exporter_for_prometheus_reads_every_row() {
    if missing(&["prometheus-haproxy-exporter", "curl"]) {
        return;
    }
    let ours = ours("exporter");
    let port = free_port();
    let mut exporter = Command::new("prometheus-haproxy-exporter");
    exporter.arg(format!("--haproxy.scrape-uri=unix:{}", ours.socket.display()));
    exporter.arg(format!("--web.listen-address={port}")).stderr(Stdio::null());
    let exporter = Beside(exporter.spawn().unwrap());
    let mut command = Command::new("curl");
    command.args(["-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"]);
    command.arg(format!("http://{port}/metrics"));
    let text = output(command);
    drop(exporter);
    for line in [
        "haproxy_up 1",
        "haproxy_exporter_csv_parse_failures_total 0",
        "haproxy_backend_up{backend=\"main\"} 1",
        "haproxy_server_up{backend=\"main\",server=\"a\"} 1",
        "haproxy_server_weight{backend=\"main\",server=\"a\"} 10",
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in {text}");
    }
}

/// hatop wants a terminal.
const HATOP: &str = "
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'xterm'
    time.sleep(0.3)
    os.execvp('hatop', ['hatop', '-s', sys.argv[1]])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 140, 0, 0))
seen, until = b'', time.time() + 20
while time.time() < until and not (b'BACKEND' in seen and b'MAINT' in seen):
    if select.select([fd], [], [], 0.2)[0]:
        try:
            seen += os.read(fd, 65536)
        except OSError:
            break
os.write(fd, b'q')
sys.stdout.write(seen.decode(errors='replace'))
";

#[test]
fn hatop_shows_our_pools_and_backends() {
    if missing(&["hatop", "python3"]) {
        return;
    }
    let ours = ours("hatop");
    assert_eq!(ask(&ours.socket, "disable server main/b"), "\n");
    let mut command = Command::new("python3");
    command.args(["-c", HATOP]).arg(&ours.socket);
    let text = output(command);
    for word in ["2.6.0-pointsman", ">>> main", "FRONTEND", "BACKEND", "MAINT"] {
        assert!(text.contains(word), "no {word} in {text:?}");
    }
}

/// Each waits for the one before it, however many there are.
#[test]
fn changes_in_one_line_and_thousands_in_a_row_are_all_answered() {
    let ours = ours("one-line");
    let line = ["disable server main/a", "enable server main/a"].repeat(20).join(";");
    assert_eq!(ask(&ours.socket, &line), "\n".repeat(40));
    let most = 3000;
    let line = "prompt i".to_owned() + &"\nshutdown sessions server main/a".repeat(most);
    let answers = ask(&ours.socket, &line);
    assert_eq!(answers, "\n".repeat(1 + most));
}
