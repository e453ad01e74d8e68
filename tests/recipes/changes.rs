//! What changes while clients are served: shares, pools, maintenance and certificates.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::asker::{Asker, changes_once};
use crate::common::http::{Message, Origin, Wire, get, ok};
use crate::common::{Backend, DEADLINE, connect, until, with_deadline};
use crate::page::Trial;
use crate::secure;
use crate::web::servers;

/// A client at an address of its own.
fn connect_from(own: Ipv4Addr, at: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(own), 0).into()).unwrap();
    socket.connect(&at.into()).unwrap();
    Wire::new(with_deadline(TcpStream::from(socket)))
}

fn get_with(field: &str) -> String {
    get("/").replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
}

/// Which of many clients, each at an address of its own, meet the new version.
fn who_meets_the_new_one(at: SocketAddr) -> Vec<bool> {
    let clients = (0..400_u32).map(|n| Ipv4Addr::from(0x7f01_0001 + n * 3));
    let met = clients.map(|own| {
        let mut wire = connect_from(own, at);
        let says = wire.ask(get("/")).text();
        assert_eq!(wire.ask(get("/")).text(), says, "{own} stays");
        says == "new"
    });
    met.collect()
}

pub fn canary(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:80");
    let _stable = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "stable");
    let new = servers(&mut trial, &["10.0.0.9:8080"], "new");
    let balancer = trial.start();
    let with_cookie = |value: &str| {
        let request = get_with(&format!("Cookie: canary={value}"));
        Wire::new(connect(at)).ask(request)
    };
    assert_eq!(with_cookie("always").text(), "new");
    assert_eq!(with_cookie("never").text(), "stable");
    let tenth = who_meets_the_new_one(at);
    let count = |met: &[bool]| met.iter().filter(|&&new| new).count();
    assert!((20..=60).contains(&count(&tenth)), "{} of 400", count(&tenth));
    assert_eq!(who_meets_the_new_one(at), tenth, "each stays");
    trial.put("new = \"10%\"", "new = \"50%\"");
    trial.reload(&balancer);
    let half = who_meets_the_new_one(at);
    assert!((160..=240).contains(&count(&half)), "{} of 400", count(&half));
    assert!(tenth.iter().zip(&half).all(|(before, now)| *now || !before), "none is sent back");
    drop(new);
    until("the canary's clients are told", || with_cookie("always").status() == 503);
    assert_eq!(with_cookie("never").text(), "stable");
    balancer.stop();
}

/// Servers that answer with their name, and `/slow` in two parts, the second when told to.
fn slow_servers(
    trial: &mut Trial,
    places: &[&str],
    name: &'static str,
) -> (Vec<Origin>, mpsc::Sender<()>) {
    let (go_on, asked) = mpsc::channel();
    let asked = Arc::new(Mutex::new(asked));
    let start = |place: &&str| {
        let asked = Arc::clone(&asked);
        let origin = Origin::start(move |request: &Message, wire: &mut Wire| {
            if request.target() != "/slow" {
                return wire.try_say(ok(name));
            }
            let begun = wire.try_say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
            let told = asked.lock().expect("no panic").recv_timeout(DEADLINE);
            begun && told.is_ok() && wire.try_say("half")
        });
        trial.put(place, &origin.backend.address);
        origin
    };
    (places.iter().map(start).collect(), go_on)
}

pub fn blue_green(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:80");
    let (_blue, go_on) = slow_servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "blue");
    let _green = servers(&mut trial, &["10.0.0.3:8080", "10.0.0.4:8080"], "green");
    let balancer = trial.start();
    let preview = get("/").replace("Host: test", "Host: green.example.com");
    assert_eq!(Wire::new(connect(at)).ask(preview).text(), "green");
    let mut slow = Wire::new(connect(at));
    slow.say(get("/slow"));
    let mut begun = slow.head().expect("it begins");
    let asker = Asker::start(at);
    asker.wait_for(50);
    trial.edit_as_told();
    trial.reload(&balancer);
    asker.wait_for(50);
    for answers in asker.end() {
        assert!(changes_once(&answers, "blue", "green"), "{answers:?}");
    }
    go_on.send(()).unwrap();
    assert!(slow.body(&mut begun, false), "blue finishes");
    assert_eq!(begun.text(), "halfhalf");
    let green = trial.toml.clone();
    trial.put("\npool = \"green\"", "\npool = \"grene\"");
    let (said, code) = trial.checked();
    assert_eq!(code, Some(1));
    assert!(
        said.contains("did you mean green?") && said.contains("pointsman.toml:3:"),
        "{said}"
    );
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("all stays as it was");
    assert!(balancer.log_so_far().contains("pointsman.toml:3:"), "with its place");
    assert_eq!(Wire::new(connect(at)).ask(get("/")).text(), "green");
    trial.toml = green;
    let asker = Asker::start(at);
    asker.wait_for(20);
    trial.put("\npool = \"green\"", "\npool = \"blue\"");
    trial.reload(&balancer);
    asker.wait_for(50);
    for answers in asker.end() {
        assert!(changes_once(&answers, "green", "blue"), "and back: {answers:?}");
    }
    balancer.stop();
}

pub fn maintenance(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:80");
    trial.put("/etc/pointsman/", "/nowhere/");
    let (said, code) = trial.checked();
    assert!(
        code == Some(1) && said.contains("maintenance.html: there is no such file"),
        "{said}"
    );
    assert!(said.contains("pointsman.toml:3:67"), "where the page is named: {said}");
    let page = trial.authority.write("maintenance.html", "<h1>Back soon</h1>\n");
    trial.put("/nowhere/maintenance.html", &page);
    trial.put("192.0.2.0/24", "127.0.2.0/24");
    trial.put("198.51.100.7", "127.0.3.7");
    let origins = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "site");
    let balancer = trial.start();
    let from = |own: [u8; 4]| connect_from(Ipv4Addr::from(own), at).ask(get("/news"));
    for own in [[127, 0, 2, 1], [127, 0, 2, 255], [127, 0, 3, 7]] {
        assert_eq!(from(own).text(), "site", "{own:?}");
    }
    let asked =
        || origins.iter().flat_map(Origin::seen).filter(|it| it.target() == "/news").count();
    let before = asked();
    for own in [[127, 0, 0, 1], [127, 0, 3, 8], [127, 0, 1, 255]] {
        let answer = from(own);
        assert_eq!(
            (answer.status(), &*answer.text()),
            (503, "<h1>Back soon</h1>\n"),
            "{own:?}"
        );
        assert!(answer.field("content-type").starts_with("text/html"), "{}", answer.head);
    }
    assert_eq!(asked(), before, "no server is asked");
    trial.edit_as_told();
    trial.reload(&balancer);
    assert_eq!(from([127, 0, 0, 1]).text(), "site");
    balancer.stop();
}

/// Run the page's hook for this process, and for no other of that name.
fn run_hook(trial: &Trial, pid: rustix::process::Pid) {
    let hook =
        trial.shell.iter().find(|block| block.starts_with("#!/bin/sh\n")).expect("a hook");
    assert!(hook.contains("$(pidof pointsman)"), "{hook}");
    let hook = hook.replace("$(pidof pointsman)", &pid.as_raw_nonzero().to_string());
    assert!(Command::new("sh").args(["-c", &hook]).status().unwrap().success());
}

pub fn certbot(mut trial: Trial) {
    const NAME: &str = "www.example.com";
    let http = trial.listen("0.0.0.0:80");
    let https = trial.listen("0.0.0.0:443");
    let folder = format!("/etc/letsencrypt/live/{NAME}");
    let [cert, key] = ["fullchain", "privkey"].map(|file| format!("{folder}/{file}.pem"));
    trial.certificate(&cert, &key, &[NAME]);
    let certbot = trial.listen("127.0.0.1:8888");
    let _origins = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "site");
    let balancer = trial.start();
    the_challenge_is_answered(http, certbot);
    let mut config = trial.authority.client_config();
    // Of a session that is resumed no certificate is shown.
    config.resumption = rustls::client::Resumption::disabled();
    let shake = move || secure::shake(&config, NAME, https).expect("a handshake");
    let mut kept = shake();
    let old = secure::shown(&kept);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let anew = shake.clone();
    let asker = Asker::by(move || {
        let mut client = anew();
        assert_eq!(secure::ask(&mut client, &get("/")).1, "site");
        hex(&secure::shown(&client))
    });
    let asker = asker.with(move || secure::ask(&mut kept, &get("/")).1);
    asker.wait_for(20);
    // Certbot writes anew what the names lead to.
    trial.authority.pair(&[NAME]);
    run_hook(&trial, balancer.pid());
    balancer.wait_for_log("read 1 certificate again");
    trial.wait_until_reloaded(&balancer);
    let new = secure::shown(&shake());
    assert_ne!(hex(&old), hex(&new));
    asker.wait_for(40);
    let answers = asker.end();
    assert!(
        changes_once(&answers[0], &hex(&old), &hex(&new)),
        "{} handshakes",
        answers[0].len()
    );
    assert!(answers[1].len() > 5 && answers[1].iter().all(|it| it == "site"), "the one kept");
    // What does not fit is not taken.
    let stem = trial.authority.path(&format!("{NAME}.crt"));
    std::fs::write(stem, "no certificate").unwrap();
    run_hook(&trial, balancer.pid());
    balancer.wait_for_log("all stays as it was");
    assert!(balancer.log_so_far().contains(&format!("{NAME}.crt: it is not PEM")), "and why");
    assert_eq!(secure::shown(&shake()), new);
    balancer.stop();
}

/// Not redirected; nobody's while certbot does not run, and certbot's when it does.
fn the_challenge_is_answered(http: SocketAddr, certbot: SocketAddr) {
    let challenge = || Wire::new(connect(http)).ask(get("/.well-known/acme-challenge/token"));
    let alone = challenge().status();
    assert!([502, 503].contains(&alone), "{alone}");
    let backend = Backend::start_at(certbot, |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        let Some(asked) = wire.request() else { return };
        let says = format!("{} for certbot", asked.target());
        let _ = (&wire.stream).write_all(&ok(says));
    });
    assert_eq!(challenge().text(), "/.well-known/acme-challenge/token for certbot");
    assert_eq!(Wire::new(connect(http)).ask(get("/other")).status(), 301);
    drop(backend);
}
