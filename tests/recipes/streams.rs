//! Bytes that are relayed as they are: databases, Redis, and TLS that is passed through.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ServerConnection, StreamOwned};

use crate::authority::Authority;
use crate::common::{Backend, End, ask, connect, read_to_end, until, with_deadline};
use crate::page::Trial;
use crate::secure;

/// Says its name, then sends back what it gets.
fn server(at: SocketAddr, name: &'static str) -> Backend {
    Backend::start_at(at, move |mut stream| {
        let mut buffer = [0; 1024];
        let mut bytes = name.len();
        buffer[..bytes].copy_from_slice(name.as_bytes());
        while bytes > 0 && stream.write_all(&buffer[..bytes]).is_ok() {
            bytes = stream.read(&mut buffer).unwrap_or(0);
        }
    })
}

/// A client, and which server it got.
fn client(at: SocketAddr) -> (TcpStream, String) {
    let mut stream = connect(at);
    let mut name = [0; 7];
    stream.read_exact(&mut name).expect("a server's name");
    (stream, String::from_utf8_lossy(&name).into_owned())
}

pub fn database(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:5432");
    let primary_at = trial.listen("10.0.0.1:5432");
    let replica_at = trial.listen("10.0.0.2:5432");
    let primary = server(primary_at, "primary");
    let _replica = server(replica_at, "replica");
    let balancer = trial.start();
    for _ in 0..20 {
        assert_eq!(client(at).1, "primary");
    }
    let (held, name) = client(at);
    assert_eq!((&*name, &*ask(&held, b"select")), ("primary", &b"select"[..]));
    drop(primary);
    let (moved, name) = client(at);
    assert_eq!(name, "replica", "at once");
    // Closed by the balancer: the server's own thread goes on.
    let end = read_to_end(&held);
    assert!(end.is_reset() || end == End::Finished(Vec::new()), "{end:?}");
    assert_eq!(client(at).1, "replica");
    let _back = server(primary_at, "primary");
    until("new connections go to the primary again", || client(at).1 == "primary");
    assert_eq!(ask(&moved, b"select"), b"select", "who is at the replica stays");
    balancer.stop_after(moved);
}

/// Answers as Redis does to what the recipe says: who is the master is `master`'s to say.
fn redis_server(name: usize, master: &Arc<AtomicUsize>) -> Backend {
    let master = Arc::clone(master);
    Backend::start(move |stream| {
        let mut stream = with_deadline(stream);
        let mut heard = String::new();
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte) {
            heard.push(char::from(byte[0]));
            if !heard.ends_with("\r\n") {
                continue;
            }
            let is_master = master.load(Ordering::SeqCst) == name;
            let role = if is_master { "master" } else { "slave" };
            let info = format!("# Replication\r\nrole:{role}\r\nconnected_slaves:2\r\n");
            let answer = match heard.trim_end() {
                "INFO replication" => format!("${}\r\n{info}\r\n", info.len()),
                "PING" => format!("+{name}\r\n"),
                _ => "-ERR unknown command\r\n".to_owned(),
            };
            heard.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn ping(mut stream: &TcpStream) -> std::io::Result<String> {
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[1..2]).into_owned())
}

pub fn redis(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:6379");
    let master = Arc::new(AtomicUsize::new(1));
    let servers = [1, 2, 3].map(|name| redis_server(name, &master));
    for (place, server) in ["10.0.0.1", "10.0.0.2", "10.0.0.3"].iter().zip(&servers) {
        trial.put(&format!("{place}:6379"), &server.address);
    }
    let balancer = trial.start();
    let wait_for = |name: &str| {
        // Only the master is met, many times in a row.
        let is_it = || ping(&connect(at)).is_ok_and(|it| it == name);
        until("the master alone is met", || (0..12).all(|_| is_it()));
    };
    wait_for("1");
    let held = connect(at);
    assert_eq!(ping(&held).unwrap(), "1");
    master.store(3, Ordering::SeqCst);
    wait_for("3");
    let end = read_to_end(&held);
    assert!(end.is_reset() || end == End::Finished(Vec::new()), "the old one is left: {end:?}");
    master.store(0, Ordering::SeqCst);
    until("without a master none is met", || ping(&connect(at)).is_err());
    balancer.stop();
}

/// Ends TLS, as gRPC does it: by HTTP/2. Says its name, then sends back what it gets.
fn grpc_server(authority: &Authority, host: &str, name: &'static str) -> Backend {
    let mut config = authority.server_config(&authority.pair(&[host]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    Backend::start(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(tls, with_deadline(stream));
        let mut buffer = [0; 1024];
        let mut bytes = name.len();
        buffer[..bytes].copy_from_slice(name.as_bytes());
        while bytes > 0 && tls.write_all(&buffer[..bytes]).is_ok() {
            bytes = tls.read(&mut buffer).unwrap_or(0);
        }
    })
}

pub fn grpc(mut trial: Trial) {
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let at = trial.listen("0.0.0.0:443");
    let mut servers = Vec::new();
    for (place, host, name) in [
        ("10.0.0.1", "orders.example.com", "one"),
        ("10.0.0.2", "orders.example.com", "two"),
        ("10.0.0.3", "users.example.com", "three"),
        ("10.0.0.4", "users.example.com", "four"),
    ] {
        let server = grpc_server(&trial.authority, host, name);
        trial.put(&format!("{place}:50051"), &server.address);
        servers.push(server);
    }
    let balancer = trial.start();
    let mut config = trial.authority.client_config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    for (host, names) in
        [("orders.example.com", ["one", "two"]), ("users.example.com", ["four", "three"])]
    {
        let mut met = std::collections::BTreeSet::new();
        let mut clients = Vec::new();
        for _ in 0..6 {
            let mut client = secure::shake(&config, host, at).expect("the server's own name");
            assert_eq!(client.conn.alpn_protocol(), Some(&b"h2"[..]));
            client.write_all(PREFACE.as_bytes()).unwrap();
            let mut said = String::new();
            while !said.ends_with(PREFACE) {
                said.push_str(&secure::hear(&mut client, 1));
            }
            met.insert(said.strip_suffix(PREFACE).unwrap_or_default().to_owned());
            clients.push(client);
        }
        assert_eq!(met.into_iter().collect::<Vec<_>>(), names, "connections are spread");
    }
    let refused = secure::shake(&config, "other.example.com", at).expect_err("refused");
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    config.enable_sni = false;
    let refused = secure::shake(&config, "orders.example.com", at).expect_err("refused");
    assert!(refused.contains("UnrecognisedName"), "no name is no service's: {refused}");
    balancer.stop();
}
