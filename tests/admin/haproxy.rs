//! HAProxy's socket: what is told there of clients, frontends, checks and limits.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::common::admin::Admin;
use crate::common::{Backend, connect, free_port, read_to_end, until};

const NO_CHECK: &str = "kind = \"none\"";

/// A service `main` with a pool `web` of `a` and `b`, which echo.
fn echoing(a: &str, b: &str, check: &str) -> Admin {
    Admin::configured(&config(a, b, check))
}

fn config(a: &str, b: &str, check: &str) -> String {
    format!(
        "[admin]\nhaproxy_socket = \"@HOME/haproxy.sock\"\n\
         [global]\naccess_log = {{ file = \"@HOME/access.log\", format = \"json\" }}\n\
         [listener.in]\nbind = \"tcp://127.0.0.1:0\"\n\
         [service.main]\nlisten = [\"in\"]\npool = \"web\"\n\
         [pool.web]\ncheck = {{ {check} }}\n\
         [[pool.web.backends]]\nname = \"a\"\naddress = \"{a}\"\n\
         [[pool.web.backends]]\nname = \"b\"\naddress = \"{b}\"\n"
    )
}

fn socket(admin: &Admin) -> PathBuf {
    admin.api.socket.with_file_name("haproxy.sock")
}

/// All that is answered, without the empty line at its end.
pub fn ask(admin: &Admin, line: &str) -> String {
    let mut stream = UnixStream::connect(socket(admin)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.trim_end().to_owned()
}

fn echoed(admin: &Admin) -> TcpStream {
    let mut stream = connect(admin.listener("in"));
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream
}

#[test]
fn sessions_are_listed_and_one_is_shut_down() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let admin = echoing(&a.address.to_string(), &b.address.to_string(), NO_CHECK);
    let clients: Vec<TcpStream> = (0..70).map(|_| echoed(&admin)).collect();
    let list = ask(&admin, "show sess");
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows.len(), 70, "{list}");
    let address = clients[3].local_addr().unwrap();
    let is_it = |row: &&&str| row.contains(&format!("src={address} "));
    let row = rows.iter().find(is_it).expect("a row of the client");
    for word in ["proto=tcpv4", "fe=main", "be=web", "srv=", "age=0s"] {
        assert!(row.contains(word), "no {word} in {row}");
    }
    let id = row.split(':').next().unwrap();
    assert_eq!(ask(&admin, &format!("show sess {id}")), **row);
    assert_eq!(ask(&admin, "show sess older 1h"), "");
    assert_eq!(ask(&admin, &format!("shutdown session {id}")), "");
    assert!(read_to_end(&clients[3]).is_reset(), "it is cut off");
    let wanted = "No such session (use 'show sess').";
    until("it is gone", || ask(&admin, &format!("shutdown session {id}")) == wanted);
    assert_eq!(ask(&admin, "show sess").lines().count(), 69, "the others stay");
    let wanted = "Session pointer expected (use 'show sess').";
    assert_eq!(ask(&admin, "shutdown session x"), wanted);
    until("its line", || admin.file("access.log").contains("operator-closed"));
}

/// What a column of the statistics has for a row.
fn column(admin: &Admin, row: &str, name: &str) -> String {
    let text = ask(admin, "show stat");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let at = header.iter().position(|it| *it == name).expect("a column");
    let found = lines.find(|it| it.starts_with(&format!("{row},"))).expect("a row");
    found.split(',').nth(at).unwrap().to_owned()
}

#[test]
fn a_server_whose_checks_are_disabled_counts_as_up_until_they_are_enabled() {
    let a = Backend::echo();
    let b = free_port().to_string();
    let check = "kind = \"tcp\", interval = \"20ms\", rise = 1, fall = 1";
    let admin = echoing(&a.address.to_string(), &b, check);
    until("b is down", || column(&admin, "web,b", "status") == "DOWN");
    assert_eq!(ask(&admin, "disable health web/b"), "");
    assert_eq!(column(&admin, "web,b", "status"), "no check");
    assert_eq!(column(&admin, "web,BACKEND", "act"), "2");
    let shown = admin.api.get("/api/v1/pools/web/backends/b");
    assert_eq!(
        (&shown["check"]["enabled"], &shown["health"]),
        (&false.into(), &"unknown".into())
    );
    let probes = || admin.api.get("/api/v1/pools/web/backends/a")["since"].clone();
    let before = probes();
    // Clients that it refuses take it down as little as probes.
    drop((0..4).map(|_| echoed(&admin)).collect::<Vec<_>>());
    assert_eq!(column(&admin, "web,b", "status"), "no check");
    assert_eq!(probes(), before);
    assert_eq!(ask(&admin, "disable server web/b;enable server web/b"), "");
    assert_eq!(column(&admin, "web,b", "status"), "no check");
    assert_eq!(ask(&admin, "set server web/b health down"), "");
    assert_eq!(column(&admin, "web,b", "status"), "DOWN");
    assert_eq!(ask(&admin, "set server web/b health up"), "");
    assert_eq!(column(&admin, "web,b", "status"), "no check");
    assert_eq!(ask(&admin, "enable health web/b"), "");
    until("b is down again", || column(&admin, "web,b", "status") == "DOWN");
    let none = echoing(&a.address.to_string(), &b, NO_CHECK);
    let wanted = "Health check was not configured on this server, cannot enable.";
    assert_eq!(ask(&none, "enable health web/b"), wanted);
    assert_eq!(ask(&none, "disable health web/b"), "", "nothing to disable, and nothing said");
}

#[test]
fn a_frontend_that_is_disabled_refuses_clients_and_keeps_those_it_has() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    // Chosen by the system, and the same afterwards.
    let admin = echoing(&a, &b, NO_CHECK);
    let port = admin.listener("in");
    let mut client = echoed(&admin);
    assert_eq!(ask(&admin, "disable frontend main"), "");
    until("it refuses", || TcpStream::connect(port).is_err());
    client.write_all(b"y").unwrap();
    client.read_exact(&mut [0]).unwrap();
    assert_eq!(column(&admin, "main,FRONTEND", "status"), "PAUSED");
    assert_eq!(admin.api.get("/api/v1/listeners/in")["state"], "paused");
    assert_eq!(ask(&admin, "disable frontend main"), "All sockets are already disabled.");
    assert_eq!(ask(&admin, "enable frontend main"), "");
    assert!(TcpStream::connect(port).is_ok());
    drop(echoed(&admin));
    assert_eq!(column(&admin, "main,FRONTEND", "status"), "OPEN");
    assert_eq!(ask(&admin, "enable frontend main"), "All sockets are already enabled.");
    assert_eq!(ask(&admin, "enable frontend"), "A frontend name is expected.");
    assert_eq!(ask(&admin, "enable frontend x"), "No such frontend.");
    assert_eq!(ask(&admin, "disable frontend main"), "");
    // A change of another kind leaves it so.
    assert_eq!(ask(&admin, "set weight web/a 7"), "");
    until("it refuses", || TcpStream::connect(port).is_err());
    assert_eq!(column(&admin, "main,FRONTEND", "status"), "PAUSED");
}

#[test]
fn the_limit_of_connections_is_lowered_and_raised_again() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    let text = config(&a, &b, NO_CHECK).replace("[global]", "[global]\nmax_connections = 50");
    let admin = Admin::configured(&text);
    assert_eq!(ask(&admin, "set maxconn global 2"), "");
    assert_eq!(column(&admin, "main,FRONTEND", "slim"), "2");
    let held = [echoed(&admin), echoed(&admin)];
    let mut third = connect(admin.listener("in"));
    third.write_all(b"x").unwrap();
    until("it waits", || ask(&admin, "show info").contains("\nCurrConns: 2\n"));
    assert_eq!(ask(&admin, "show sess").lines().count(), 2);
    assert_eq!(ask(&admin, "set maxconn global 51"), "Value out of range.");
    assert_eq!(ask(&admin, "set maxconn global"), "Expects an integer value.");
    assert_eq!(ask(&admin, "set maxconn global 0"), "");
    third.read_exact(&mut [0]).unwrap();
    assert_eq!(column(&admin, "main,FRONTEND", "slim"), "50");
    drop(held);
}

#[test]
fn what_is_told_of_the_process_holds_over_changes_and_reloads_by_name() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    let [port, second] = [free_port(), free_port()];
    let text = config(&a, &b, NO_CHECK).replace("127.0.0.1:0", &port.to_string());
    let admin = Admin::configured(&text);
    assert_eq!(ask(&admin, "set maxconn global 50"), "");
    assert_eq!(ask(&admin, "disable frontend main"), "");
    assert_eq!(ask(&admin, "add server web/c 127.0.0.1:9"), "New server registered.");
    assert_eq!(column(&admin, "main,FRONTEND", "slim"), "50");
    let refuses = |port| TcpStream::connect(port).is_err();
    until("it refuses", || refuses(port));
    // A listener that is new is the frontend's, too.
    let more = text.replace("[\"in\"]", "[\"in\", \"too\"]").replace(
        "[listener.in]",
        &format!("[listener.too]\nbind = \"tcp://{second}\"\n[listener.in]"),
    );
    admin.reconfigure(&more);
    until("both refuse", || refuses(port) && refuses(second));
    assert_eq!(column(&admin, "main,FRONTEND", "status"), "PAUSED");
    assert_eq!(column(&admin, "main,FRONTEND", "slim"), "50");
    assert_eq!(ask(&admin, "enable frontend main"), "");
    assert!(!refuses(port) && !refuses(second));
    // One that is not there any more is disabled no longer, and keeps no listener closed.
    assert_eq!(ask(&admin, "disable frontend main"), "");
    until("both refuse", || refuses(port) && refuses(second));
    admin.reconfigure(&more.replace("[service.main]", "[service.other]"));
    assert!(!refuses(port) && !refuses(second));
    admin.reconfigure(
        &format!("{more}\n").replace("[global]", "[global]\nmax_connections = 70"),
    );
    assert_eq!(column(&admin, "main,FRONTEND", "slim"), "70");
}

#[test]
fn who_waits_for_hours_and_goes_leaves_nothing_and_conversations_give_way() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    let admin = echoing(&a, &b, NO_CHECK);
    let say = |line: &str| {
        let mut stream = UnixStream::connect(socket(&admin)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream
    };
    let files = || {
        let folder = format!("/proc/{}/fd", admin.balancer.pid().as_raw_pid());
        std::fs::read_dir(folder).unwrap().count()
    };
    let before = files();
    let waiting: Vec<UnixStream> = (0..50).map(|_| say("wait 24h\n")).collect();
    until("all wait", || files() >= before + 50);
    drop(waiting);
    until("none is left", || files() <= before);
    // With all places taken by conversations, somebody who comes is let in.
    let _held: Vec<UnixStream> =
        (0..1250).map(|_| say("prompt\nset timeout cli 24h\n")).collect();
    until("it answers", || ask(&admin, "show version").starts_with("2.6.0"));
    assert_eq!(admin.api.get("/api/v1")["process"]["state"], "serving");
}

#[test]
fn a_frontend_whose_port_was_taken_meanwhile_stays_disabled_until_it_is_free() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    let admin = echoing(&a, &b, NO_CHECK);
    let port = admin.listener("in");
    assert_eq!(ask(&admin, "disable frontend main"), "");
    until("it refuses", || TcpStream::connect(port).is_err());
    let other = TcpListener::bind(port).unwrap();
    let said = ask(&admin, "enable frontend main");
    assert!(said.starts_with("Failed to resume frontend: Address already in use"), "{said}");
    assert_eq!(column(&admin, "main,FRONTEND", "status"), "PAUSED");
    drop(other);
    assert_eq!(ask(&admin, "enable frontend main"), "");
    drop(echoed(&admin));
}

#[test]
fn a_server_is_added_with_the_header_of_haproxys_words() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let [a, b] = [&a, &b].map(|it| it.address.to_string());
    let admin = Admin::configured(&config(&a, &b, NO_CHECK));
    for (name, words, proxy, tlvs) in [
        ("c", "send-proxy check-send-proxy", "v1", json!([])),
        ("d", "send-proxy-v2", "v2", json!([])),
        (
            "e",
            "proxy-v2-options ssl,cert-cn,unique-id send-proxy-v2",
            "v2",
            json!(["unique-id", "ssl"]),
        ),
    ] {
        let line = format!("add server web/{name} 127.0.0.1:9 {words}");
        assert_eq!(ask(&admin, &line), "New server registered.");
        let shown = admin.api.get(&format!("/api/v1/pools/web/backends/{name}"));
        assert_eq!((&shown["proxy"], &shown["proxy_tlvs"]), (&json!(proxy), &tlvs), "{words}");
    }
    let said = ask(&admin, "add server web/f 127.0.0.1:9 send-proxy-v2 proxy-v2-options x");
    assert_eq!(said, "'proxy-v2-options' : unknown option 'x'.");
}
