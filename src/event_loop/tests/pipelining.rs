//! A request behind the body of the one before, while the backend takes no more of that body.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::reload::{pool, service, state};
use super::*;

const CHUNK_BYTES: usize = 4096;

/// A backend that reads nothing of a connection before it is told to, and then answers everything.
fn slow_backend() -> (String, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = told.recv();
            thread::spawn(move || answer(stream));
        }
    });
    (address, tell)
}

fn answer(mut stream: TcpStream) {
    let mut heard = Vec::new();
    let mut some = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        heard.extend_from_slice(&some[..count]);
        if heard.ends_with(b"\r\n0\r\n\r\n") || heard.starts_with(b"GET") {
            heard.clear();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
        // All but the end is of no use.
        let most = heard.len().saturating_sub(16);
        heard.drain(..most);
    }
}

fn chunks(count: usize) -> Vec<u8> {
    let chunk = [&*format!("{CHUNK_BYTES:x}\r\n").into_bytes(), &[b'.'; CHUNK_BYTES], b"\r\n"];
    chunk.concat().repeat(count)
}

struct Try {
    looping: EventLoop,
    client: TcpStream,
    go: Sender<()>,
}

impl Try {
    fn new() -> Try {
        let (address, go) = slow_backend();
        let pools = vec![pool("p", &[address])];
        let looping = loop_for(state(vec![service("main", "*", Some("p"))], pools));
        let address: SocketAddr = looping.cx.listeners[looping.directory.listeners[0]]
            .address
            .socket_address()
            .unwrap();
        let client = TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut this = Try { looping, client, go };
        this.say(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        this
    }

    fn turn(&mut self) {
        self.looping.turn(Some(Duration::from_micros(100))).unwrap();
    }

    /// Says whether all of it was taken before the backend took no more.
    fn say(&mut self, mut bytes: &[u8]) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while !bytes.is_empty() {
            assert!(Instant::now() < until, "nobody takes it");
            match self.client.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if self.holds() => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return false;
                }
                Err(_) => {}
            }
            self.turn();
        }
        true
    }

    /// Whether something waits for the backend.
    fn holds(&self) -> bool {
        self.looping.pairs.iter().any(|(_, pair)| pair.client.duplex.request.held() > 0)
    }

    /// Both answers are there.
    fn hear_two(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(3);
        let mut heard = String::new();
        while Instant::now() < until && heard.matches("\r\n\r\nhi").count() < 2 {
            self.turn();
            let mut some = [0; 512];
            if let Ok(count) = self.client.read(&mut some) {
                heard += &String::from_utf8_lossy(&some[..count]);
            }
        }
        heard.matches("\r\n\r\nhi").count() == 2
    }
}

/// How many chunks there are when the backend takes no more.
fn chunks_taken() -> usize {
    let mut this = Try::new();
    let chunk = chunks(1);
    let mut count = 0;
    while !this.holds() {
        this.say(&chunk);
        this.turn();
        count += 1;
    }
    count
}

#[test]
fn a_request_behind_a_body_that_waits_for_its_backend_is_not_lost() {
    let taken = chunks_taken();
    let mut held = 0;
    let mut length = taken.saturating_sub(60);
    // The kernel takes more in large writes than in small ones, and not always the same: on until
    // some of it was held.
    while length < taken + 60 || (held == 0 && length < 8 * taken) {
        length += if length < taken + 60 { 5 } else { taken / 20 + 1 };
        let mut this = Try::new();
        let all = [&*chunks(length), b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
        let is_said = this.say(&all);
        (0..5).for_each(|_| this.turn());
        held += usize::from(this.holds());
        // The kernel did not take its end for us.
        if !is_said {
            continue;
        }
        this.go.send(()).unwrap();
        assert!(this.hear_two(), "of {length} chunks, where {taken} are taken");
    }
    assert!(held > 0, "all was taken: {taken}");
}
