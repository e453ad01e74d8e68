//! Backends and clients of datagrams.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Balancer, DEADLINE};

/// A backend on a thread of this process; its socket is closed when it is dropped.
pub struct UdpBackend {
    /// Where it is.
    pub address: SocketAddr,
    received: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpBackend {
    /// Sends back for each datagram what `answers` makes of it.
    pub fn start(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> UdpBackend {
        UdpBackend::start_at("127.0.0.1:0".parse().expect("an address"), answers)
    }

    /// The same at a given address.
    pub fn start_at(
        address: SocketAddr,
        answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> UdpBackend {
        let socket = UdpSocket::bind(address).expect("a free port");
        let address = socket.local_addr().expect("bound");
        let quick = Some(Duration::from_millis(20));
        socket.set_read_timeout(quick).expect("not zero");
        let received = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let counter = Arc::clone(&received);
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while !stopped.load(Ordering::SeqCst) {
                let Ok((count, from)) = socket.recv_from(&mut buffer) else { continue };
                counter.fetch_add(1, Ordering::SeqCst);
                for answer in answers(&buffer[..count]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        UdpBackend { address, received, stop, thread: Some(thread) }
    }

    /// Sends back what it gets.
    pub fn echo() -> UdpBackend {
        UdpBackend::start(|bytes| vec![bytes.to_vec()])
    }

    /// Answers with its name, to whatever it is asked.
    pub fn named(name: &'static str) -> UdpBackend {
        UdpBackend::start(move |_| vec![name.as_bytes().to_vec()])
    }

    /// Never answers.
    pub fn silent() -> UdpBackend {
        UdpBackend::start(|_| Vec::new())
    }

    /// Datagrams so far, probes included.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }

    /// For `--backend`.
    pub fn flag(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for UdpBackend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client's socket at a port of its own, towards `address` alone, with a deadline.
pub fn client(address: SocketAddr) -> UdpSocket {
    let own = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    client_from(own.parse().expect("an address"), address)
}

/// The same at a given address.
pub fn client_from(own: SocketAddr, address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(own).expect("a free port");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(DEADLINE)).expect("not zero");
    socket
}

/// The next datagram.
#[track_caller]
pub fn hear(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    loop {
        match client.recv(&mut buffer) {
            Ok(count) => return buffer[..count].to_vec(),
            // A signal; with a deadline the system does not go on by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// A question and its answer.
#[track_caller]
pub fn ask(client: &UdpSocket, question: &[u8]) -> Vec<u8> {
    client.send(question).expect("it is sent");
    hear(client)
}

/// The same, its answer as text.
#[track_caller]
pub fn ask_text(client: &UdpSocket, question: &str) -> String {
    String::from_utf8(ask(client, question.as_bytes())).expect("text")
}

/// The flags for a balancer at a free port before these backends.
pub fn udp_args(backends: &[&UdpBackend], more: &[&str]) -> Vec<&'static str> {
    let mut args = vec!["-l".to_string(), "udp://127.0.0.1:0".to_string()];
    args.extend(backends.iter().flat_map(|backend| ["-b".to_string(), backend.flag()]));
    args.extend(more.iter().map(|arg| arg.to_string()));
    // Tests are short, and slices of borrowed text are what everybody wants.
    args.into_iter().map(|arg| &*arg.leak()).collect()
}

/// The number before a word on the status page's line about UDP.
pub fn count(balancer: &Balancer, word: &str) -> u64 {
    let line = balancer.udp_line();
    let words: Vec<&str> = line.split(&[' ', ',', ':', ';'][..]).collect();
    let at = words.iter().position(|it| *it == word).expect("a word of the line");
    words[at - 1].parse().expect("a number")
}
