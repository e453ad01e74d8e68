//! Clients that speak TLS, and what they say in it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::authority::Client;
use crate::common::connect;

/// Shake hands with whoever has this name here.
pub fn shake(config: &ClientConfig, name: &str, at: SocketAddr) -> Result<Client, String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    let mut stream: TcpStream = connect(at);
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// The certificate that was shown.
pub fn shown(client: &Client) -> Vec<u8> {
    client.conn.peer_certificates().expect("one was shown")[0].to_vec()
}

/// A head and a body of its length.
#[track_caller]
pub fn ask(client: &mut Client, request: &str) -> (String, String) {
    client.write_all(request.as_bytes()).expect("it is taken");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = field(&head, "content-length").and_then(|text| text.parse().ok());
    let body = hear(client, length.unwrap_or(0));
    (head, body)
}

/// So many bytes, as text.
#[track_caller]
pub fn hear(client: &mut Client, count: usize) -> String {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).expect("all of it");
    String::from_utf8(bytes).expect("text")
}

/// The value of a field.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(it, _)| it.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
