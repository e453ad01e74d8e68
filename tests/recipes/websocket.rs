//! WebSockets, and the cookie that keeps a client with its server.

use std::io::{Read, Write};
use std::net::SocketAddr;

use rustls::ClientConfig;

use crate::authority::Client;
use crate::common::http::{Message, Origin, Wire, get, ok};
use crate::common::until;
use crate::page::Trial;
use crate::secure;

const HOST: &str = "app.example.com";

/// Answers with its name; a WebSocket hears that first, and then what it says itself.
fn server(name: &'static str) -> Origin {
    Origin::start(move |request: &Message, wire: &mut Wire| {
        if !request.field("upgrade").eq_ignore_ascii_case("websocket") {
            return wire.try_say(ok(name));
        }
        // The key of RFC 6455, section 1.3, and what becomes of it.
        assert_eq!(request.field("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==");
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
        wire.say(format!("{head}Upgrade: websocket\r\n{accept}\r\n\r\n{}", frame(name)));
        let mut bytes = wire.take_read();
        loop {
            let mut buffer = [0; 1024];
            if !bytes.is_empty() && !wire.try_say(&bytes) {
                return false;
            }
            let Ok(count @ 1..) = wire.stream.read(&mut buffer) else { return false };
            bytes = buffer[..count].to_vec();
        }
    })
}

/// A text of a server in a frame of its own.
fn frame(text: &str) -> String {
    format!("\u{1}{}{text}", char::from(text.len() as u8))
}

/// A client with its cookie, if it has one.
struct Browser {
    config: ClientConfig,
    at: SocketAddr,
    cookie: Option<String>,
}

impl Browser {
    fn connect(&self) -> Client {
        secure::shake(&self.config, HOST, self.at).expect("a handshake")
    }

    /// The head and the body of an answer; a cookie that it sets is kept.
    fn ask(&mut self) -> (String, String) {
        let request = self.with_cookie(&get("/"));
        let (head, body) = secure::ask(&mut self.connect(), &request);
        if let Some(set) = secure::field(&head, "set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        (head, body)
    }

    fn with_cookie(&self, request: &str) -> String {
        let cookie = self.cookie.as_ref().map(|it| format!("Cookie: {it}\r\n"));
        let end = format!("\r\n{}\r\n", cookie.unwrap_or_default());
        request.replace("\r\n\r\n", &end)
    }

    /// A WebSocket, and the name of its server.
    fn open(&self) -> (Client, String) {
        let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\
                       \r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let request = get("/socket").replace("\r\n\r\n", upgrade);
        let mut client = self.connect();
        let (head, _) = secure::ask(&mut client, &self.with_cookie(&request));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let name = secure::hear(&mut client, frame("one").len());
        (client, name[2..].to_owned())
    }
}

fn echoes(client: &mut Client, text: &str) -> bool {
    client.write_all(text.as_bytes()).unwrap();
    secure::hear(client, text.len()) == text
}

pub fn websocket(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:443");
    let file = format!("/etc/pointsman/{HOST}");
    trial.certificate(&format!("{file}.crt"), &format!("{file}.key"), &[HOST]);
    let key = trial.authority.write("sticky.key", &"0123456789abcdef".repeat(4));
    trial.put("/etc/pointsman/sticky.key", &key);
    let mut servers = [("one", server("one")), ("two", server("two"))];
    trial.put("10.0.0.1:3000", &servers[0].1.backend.address);
    trial.put("10.0.0.2:3000", &servers[1].1.backend.address);
    let balancer = trial.start();
    let config = trial.authority.client_config();
    let mut browser = Browser { config: config.clone(), at, cookie: None };
    let (head, name) = browser.ask();
    let set = secure::field(&head, "set-cookie").expect("a cookie");
    for part in ["node=", "HttpOnly", "Secure"] {
        assert!(set.contains(part), "{set}");
    }
    let (mut socket, met) = browser.open();
    assert_eq!(met, name, "the WebSocket goes to that server too");
    for _ in 0..8 {
        assert_eq!(browser.ask().1, name);
        assert_eq!(browser.open().1, name);
    }
    let others = (0..8).map(|_| Browser { config: config.clone(), at, cookie: None }.ask().1);
    assert!(others.into_iter().any(|it| it != name), "not all clients are at one server");
    assert!(echoes(&mut socket, "before"));
    trial.put("idle_timeout = \"10m\"", "idle_timeout = \"11m\"");
    trial.reload(&balancer);
    assert!(echoes(&mut socket, "after a reload"));
    drop(socket);
    balancer.stop();
    let balancer = trial.start();
    assert_eq!(browser.ask().1, name, "the cookie outlives a restart");
    let (mut socket, _) = browser.open();
    servers.sort_by_key(|(it, _)| *it != name);
    let [(_, down), (other, _up)] = servers;
    let before = browser.cookie.clone();
    drop(down);
    until("the other one answers", || browser.ask().1 == other);
    assert_ne!(browser.cookie, before, "with a cookie of its own");
    assert!(echoes(&mut socket, "what is open stays"));
    drop(socket);
    balancer.stop();
}
