//! HAProxy's socket: what is told there of clients, frontends, checks and limits.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::admin::Admin;
use crate::common::{Backend, connect, read_to_end, until};

/// A service `main` with a pool `web` of `a` and `b`, which echo.
fn echoing(a: &Backend, b: &Backend, more: &str) -> Admin {
    Admin::configured(&format!(
        "[admin]\nhaproxy_socket = \"@HOME/haproxy.sock\"\n\
         [global]\naccess_log = {{ file = \"@HOME/access.log\", format = \"json\" }}\n\
         [listener.in]\nbind = \"tcp://127.0.0.1:0\"\n\
         [service.main]\nlisten = [\"in\"]\npool = \"web\"\n\
         [pool.web]\ncheck = {{ kind = \"none\" }}\n{more}\n\
         [[pool.web.backends]]\nname = \"a\"\naddress = \"{}\"\n\
         [[pool.web.backends]]\nname = \"b\"\naddress = \"{}\"\n",
        a.address, b.address
    ))
}

fn socket(admin: &Admin) -> PathBuf {
    admin.api.socket.with_file_name("haproxy.sock")
}

/// All that is answered, without the empty line at its end.
fn ask(admin: &Admin, line: &str) -> String {
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
    let admin = echoing(&a, &b, "");
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
