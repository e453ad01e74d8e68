//! The files of UNIX sockets: those that are gone, and what is in their way.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::common::admin::Admin;
use crate::common::measure::only_linux;
use crate::common::{Backend, until};
use crate::haproxy::ask;

/// A service `main` that is reached at `in.sock` and at a port.
fn at_a_socket(backend: &Backend) -> Admin {
    listening_at("@HOME/in.sock", backend)
}

fn listening_at(socket: &str, backend: &Backend) -> Admin {
    let text = format!(
        "[admin]\nhaproxy_socket = \"@HOME/haproxy.sock\"\n\
         [listener.door]\nbind = \"tcp://127.0.0.1:0\"\n\
         [listener.in]\nbind = \"tcp://unix:{socket}\"\n\
         [service.main]\nlisten = [\"door\", \"in\"]\npool = \"web\"\n\
         [pool.web]\ncheck = {{ kind = \"none\" }}\n\
         [[pool.web.backends]]\nname = \"a\"\naddress = \"{}\"\n",
        backend.address
    );
    Admin::configured(&text)
}

fn at(admin: &Admin, name: &str) -> String {
    admin.api.socket.with_file_name(name).display().to_string()
}

/// Whether somebody echoes at this path.
fn echoes(path: &str) -> bool {
    let Ok(mut stream) = UnixStream::connect(path) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn sockets_whose_files_are_gone_are_made_anew_by_a_reload() {
    let backend = Backend::echo();
    let admin = at_a_socket(&backend);
    let [path, haproxy] = ["in.sock", "haproxy.sock"].map(|name| at(&admin, name));
    let api = admin.api.socket.clone();
    assert!(echoes(&path));
    let held = UnixStream::connect(&path).expect("connected");
    for gone in [&path, &haproxy, &api.display().to_string()] {
        fs::remove_file(gone).expect("it is there");
    }
    admin.balancer.signal(Signal::HUP);
    until("the API is there", || UnixStream::connect(&api).is_ok());
    until("clients come in", || echoes(&path));
    until("HAProxy's socket is there", || UnixStream::connect(&haproxy).is_ok());
    admin.balancer.wait_for_log("in.sock: its file was gone");
    assert_eq!(admin.api.get("/api/v1")["process"]["state"], "serving");
    assert!(ask(&admin, "show info").contains("CurrConns"));
    // Who was there stays.
    let mut held = held;
    held.write_all(b"x").expect("written");
    held.read_exact(&mut [0]).expect("an echo");
    // A reload when nothing is wrong leaves the files as they are.
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).expect("a file"));
    let before = inode();
    admin.api.write("POST", "/api/v1/reload", &serde_json::json!({}));
    assert_eq!(inode(), before);
    let files = [path, haproxy];
    drop(admin);
    files.iter().for_each(|it| assert!(fs::metadata(it).is_err(), "{it} goes with it"));
}

#[test]
fn a_socket_in_whose_place_somebody_listens_is_theirs_and_the_reload_says_so() {
    let backend = Backend::echo();
    let admin = at_a_socket(&backend);
    let path = at(&admin, "in.sock");
    fs::remove_file(&path).expect("it is there");
    let theirs = UnixListener::bind(&path).expect("it is free");
    let told = admin.api.write("POST", "/api/v1/reload", &serde_json::json!({}));
    let told = told.to_string();
    assert!(told.contains("in.sock: its file is gone") && told.contains("somebody"), "{told}");
    drop(theirs);
    admin.api.write("POST", "/api/v1/reload", &serde_json::json!({}));
    assert!(echoes(&path), "what they left behind is replaced");
}

#[test]
fn a_frontend_whose_socket_cannot_be_put_aside_stays_open() {
    let backend = Backend::echo();
    let admin = at_a_socket(&backend);
    let path = at(&admin, "in.sock");
    let aside = format!("{path}.closed");
    fs::write(&aside, "precious").expect("written");
    let said = ask(&admin, "disable frontend main");
    assert!(said.starts_with("Failed to pause frontend: "), "{said}");
    assert!(said.contains("in.sock.closed: a file is there"), "{said}");
    assert!(echoes(&path), "nothing has changed");
    assert_eq!(admin.api.get("/api/v1/listeners/in")["state"], "open");
    assert_eq!(ask(&admin, "enable frontend main"), "All sockets are already enabled.");
    assert_eq!(fs::read(&aside).expect("it is there"), b"precious");
    fs::remove_file(&aside).expect("it is there");
    let port = admin.listener("door");
    assert!(TcpStream::connect(port).is_ok(), "the other listener is open as well");
    assert_eq!(ask(&admin, "disable frontend main"), "");
    until("it refuses", || UnixStream::connect(&path).is_err());
    // Somebody tidied up: it is made anew.
    fs::remove_file(&aside).expect("it is there");
    admin.api.write("POST", "/api/v1/reload", &serde_json::json!({}));
    assert!(UnixStream::connect(&path).is_err(), "a reload leaves it so");
    assert_eq!(ask(&admin, "enable frontend main"), "");
    assert!(echoes(&path));
}

#[test]
fn a_frontend_at_a_socket_without_a_file_cannot_be_disabled() {
    if !only_linux("sockets without a file") {
        return;
    }
    let backend = Backend::echo();
    let name = format!("@pointsman-open-{}", std::process::id());
    let admin = listening_at(&name, &backend);
    let said = ask(&admin, "disable frontend main");
    assert!(said.contains(&name) && said.contains("has no file"), "{said}");
    assert_eq!(admin.api.get("/api/v1/listeners/in")["state"], "open");
    assert!(TcpStream::connect(admin.listener("door")).is_ok());
}
