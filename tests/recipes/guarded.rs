//! Who comes in, how much, and whose address counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;

use crate::common::http::{Message, Origin, Wire, get, ok, post};
use crate::common::{Backend, DEADLINE, connect, connect_from, read_to_end, with_deadline};
use crate::page::Trial;
use crate::web::servers;

const SITE: [&str; 2] = ["10.0.0.1:8080", "10.0.0.2:8080"];

fn from(own: &str, at: SocketAddr) -> Wire {
    Wire::new(connect_from(own, at))
}

pub fn rate_limits(mut trial: Trial) {
    trial.put("10.0.0.0/8", "127.0.9.0/24");
    let admin = trial.admin();
    let at = trial.listen("0.0.0.0:80");
    let _origins = servers(&mut trial, &SITE, "site");
    let balancer = trial.start();
    let login = post("/login", "user=me");
    let mut wire = from("127.0.0.1", at);
    for _ in 0..5 {
        assert_eq!(wire.ask(&login).status(), 200);
    }
    let refused = from("127.0.0.1", at).ask(&login);
    assert_eq!(refused.status(), 429);
    let after: u32 = refused.field("retry-after").parse().unwrap();
    assert!((1..=12).contains(&after), "{after}");
    assert!(refused.field("ratelimit").contains("login"), "{}", refused.head);
    assert_eq!(wire.ask(get("/login")).status(), 200, "to look is no login");
    assert_eq!(from("127.0.0.2", at).ask(&login).status(), 200, "another client");
    for _ in 0..10 {
        assert_eq!(from("127.0.9.1", at).ask(&login).status(), 200, "who is exempt");
    }
    let statuses: Vec<u16> = (0..400).map(|_| wire.ask(get("/")).status()).collect();
    let served = statuses.iter().position(|&status| status == 429).expect("too many");
    assert!(served >= 90, "{served} at once");
    // Clients that begin a request and rest in the middle of it.
    let begun = |_| {
        let wire = from("127.0.0.3", at);
        wire.say("GET / HTTP/1.1\r\n");
        wire
    };
    let held: Vec<Wire> = (0..50).map(begun).collect();
    let mut one_more = from("127.0.0.3", at);
    assert!(!one_more.try_say(get("/")) || one_more.head().is_none(), "the 51st");
    drop(held);
    let (said, code) = trial.said_by(&["ctl", "guard", "--admin", &admin]);
    for rule in ["request-rate", "login", "connections"] {
        let line = said.lines().find(|line| line.starts_with(rule)).expect(rule);
        assert!(!line.contains(" 0  "), "{line}, {code:?}");
    }
    balancer.stop_after(wire);
}

pub fn admin_path(mut trial: Trial) {
    trial.put("192.0.2.0/24", "127.0.2.0/24");
    let admin = trial.admin();
    let at = trial.listen("0.0.0.0:80");
    let origins = servers(&mut trial, &SITE, "site");
    let balancer = trial.start();
    for path in ["/", "/adminx", "/x/admin", "/a%20b"] {
        assert_eq!(from("127.0.0.1", at).ask(get(path)).status(), 200, "{path}");
    }
    let odd = [
        (403, "/admin"),
        (403, "/admin/users?all"),
        (403, "//admin"),
        (403, "/./admin"),
        (403, "/x/../admin"),
        (403, "/x/%2e%2E/admin"),
        (403, "/x/..%2f%61dmin/users"),
        (403, "/%61dmin"),
        (403, "/admin%2fusers"),
        (404, "/Admin"),
        (400, "/x/..;/admin"),
        (400, "/x\\..\\admin"),
        (400, "/%2561dmin"),
    ];
    for (status, path) in odd {
        assert_eq!(from("127.0.0.1", at).ask(get(path)).status(), status, "{path}");
    }
    assert_eq!(from("127.0.2.7", at).ask(get("/admin")).status(), 200, "the office");
    let asked: Vec<Message> = origins.iter().flat_map(Origin::seen).collect();
    let secret = asked.iter().filter(|it| it.target().to_lowercase().contains("dmin"));
    let odd = secret.filter(|it| !["/admin", "/adminx", "/x/admin"].contains(&it.target()));
    assert_eq!(odd.count(), 0, "no server is asked");
    let (said, _) = trial.said_by(&["ctl", "guard", "--admin", &admin]);
    let line = said.lines().find(|line| line.contains("service admin")).expect("the rule");
    assert!(line.starts_with("deny ") && line.contains(" 9 "), "{line}");
    balancer.stop();
}

pub fn queue(mut trial: Trial) {
    trial.admin();
    trial.put("max_connections = 50", "max_connections = 1");
    trial.put("limit = 200", "limit = 1");
    trial.put("\"5s\"", "\"60s\"");
    let at = trial.listen("0.0.0.0:80");
    // Who asks for it holds a server until the test says that it is enough.
    let (tell, told) = mpsc::channel::<()>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(told));
    let (here, came) = mpsc::channel();
    let mut origins = Vec::new();
    for place in SITE {
        let told = std::sync::Arc::clone(&told);
        let here = here.clone();
        let origin = Origin::start(move |asked, wire| {
            if asked.target() == "/hold" {
                here.send(()).expect("the test is there");
                let _ = told.lock().expect("no panic").recv_timeout(DEADLINE);
            }
            wire.try_say(ok("done"))
        });
        trial.put(place, &origin.backend.address);
        origins.push(origin);
    }
    let balancer = trial.start();
    let mut holders: Vec<Wire> = (0..2).map(|_| Wire::new(connect(at))).collect();
    for holder in &holders {
        holder.say(get("/hold"));
        came.recv_timeout(DEADLINE).expect("a server has it");
    }
    // Of two more one waits, and the other one is too many.
    let (answered, answers) = mpsc::channel();
    for _ in 0..2 {
        let answered = answered.clone();
        thread::spawn(move || answered.send(Wire::new(connect(at)).ask(get("/more"))));
    }
    let refused = answers.recv_timeout(DEADLINE).expect("an answer");
    assert_eq!((refused.status(), refused.field("retry-after")), (503, "1"));
    tell.send(()).expect("a server waits");
    let served = answers.recv_timeout(DEADLINE).expect("an answer");
    assert_eq!((served.status(), &*served.text()), (200, "done"));
    tell.send(()).expect("the other one does");
    for holder in &mut holders {
        assert_eq!(holder.answer().status(), 200);
    }
    balancer.stop_after(holders);
}

/// Says the line that a connection begins with, and what follows that.
fn mail_server(at: SocketAddr) -> Backend {
    Backend::start_at(at, |stream| {
        let mut stream = with_deadline(stream);
        let mut bytes = Vec::new();
        let mut byte = [0];
        while bytes.iter().filter(|&&it| it == b'\n').count() < 2 {
            let Ok(1) = stream.read(&mut byte) else { return };
            bytes.push(byte[0]);
        }
        let _ = stream.write_all(&bytes);
    })
}

fn heard(mut stream: TcpStream, says: &str) -> String {
    stream.write_all(says.as_bytes()).expect("it takes what is said");
    String::from_utf8(read_to_end(&stream).bytes().to_vec()).expect("text")
}

pub fn proxy_protocol(mut trial: Trial) {
    trial.put("192.0.2.0/24", "127.0.2.0/24");
    let at = trial.listen("0.0.0.0:25");
    let first = trial.listen("10.0.0.1:25");
    let _second = trial.listen("10.0.0.2:25");
    let _server = mail_server(first);
    let balancer = trial.start();
    let line = "PROXY TCP4 203.0.113.7 198.51.100.1 40000 25\r\n";
    let said = heard(connect_from("127.0.2.1", at), &format!("{line}QUIT\r\n"));
    assert_eq!(said, format!("{line}QUIT\r\n"), "whom the header names");
    let said = heard(connect_from("127.0.0.9", at), line);
    let (ours, rest) = said.split_once("\r\n").expect("a line");
    assert!(ours.starts_with("PROXY TCP4 127.0.0.9 127.0.0.1 "), "{ours}");
    assert_eq!(rest, line, "a stranger's header is bytes");
    let mut silent = connect_from("127.0.2.1", at);
    silent.write_all(b"EHLO somebody.example.com\r\n").expect("it is open yet");
    assert!(read_to_end(&silent).is_reset(), "one that has to say a header");
    balancer.stop();
}
