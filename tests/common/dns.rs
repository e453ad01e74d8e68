//! A server of names that says what a test wants, lies included. By hand, so that what is on the
//! wire is known.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running one; its threads end with the test.
#[derive(Clone)]
pub struct Dns {
    /// Where it listens, by UDP and by TCP.
    pub address: SocketAddr,
    zone: Arc<Mutex<HashMap<String, Says>>>,
    asked: Arc<AtomicUsize>,
    by_tcp: Arc<AtomicUsize>,
}

/// What it says of a name.
#[derive(Debug, Clone)]
pub enum Says {
    /// These addresses, good for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// These services.
    Services(Vec<Srv>, u32),
    /// By UDP that it is too long for that; the same by TCP.
    ByTcp(Box<Says>),
    /// The name is there, without what was asked for.
    Nothing,
    /// There is no such name.
    NoSuchName,
    /// It cannot say.
    Failure,
    /// Nothing at all.
    Silence,
    /// Lies first, then the truth.
    LiesFirst(Vec<IpAddr>, Box<Says>),
    /// What cannot be read.
    Garbage,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Srv {
    /// The lowest are used first.
    pub priority: u16,
    /// Its share.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// Its host.
    pub target: String,
    /// The address of that, if it comes along.
    pub address: Option<IpAddr>,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

impl Dns {
    /// That knows no name yet.
    pub fn start() -> Dns {
        let (udp, tcp) = both();
        let address = udp.local_addr().expect("bound");
        let zone = Arc::default();
        let asked = Arc::default();
        let by_tcp = Arc::default();
        let dns = Dns { address, zone, asked, by_tcp };
        let own = dns.clone();
        thread::spawn(move || own.serve_udp(&udp));
        let own = dns.clone();
        thread::spawn(move || own.serve_tcp(&tcp));
        dns
    }

    /// For `--resolver`.
    pub fn flag(&self) -> String {
        self.address.to_string()
    }

    /// From now on it says this of a name.
    pub fn set(&self, name: &str, says: Says) {
        self.zone.lock().expect("no panic").insert(name.to_owned(), says);
    }

    /// From now on a name has these addresses, good for a second.
    pub fn set_addresses(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
        self.set(name, Says::Addresses(addresses, 1));
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many of them by TCP.
    pub fn asked_by_tcp(&self) -> usize {
        self.by_tcp.load(Ordering::SeqCst)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 1500];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            for answer in self.answers(&buffer[..count], false) {
                let _ = socket.send_to(&answer, from);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        for mut stream in listener.incoming().flatten() {
            let own = self.clone();
            thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                    if stream.read_exact(&mut message).is_err() {
                        return;
                    }
                    own.by_tcp.fetch_add(1, Ordering::SeqCst);
                    for answer in own.answers(&message, true) {
                        let framed =
                            [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                        if stream.write_all(&framed).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    }

    fn answers(&self, query: &[u8], is_tcp: bool) -> Vec<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Some(question) = Question::read(query) else { return Vec::new() };
        let zone = self.zone.lock().expect("no panic");
        let says = zone.get(&question.name).cloned().unwrap_or(Says::NoSuchName);
        drop(zone);
        question.answers(&says, is_tcp)
    }
}

/// A port that both have.
fn both() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")) {
            return (udp, tcp);
        }
    }
}

struct Question<'a> {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it came, so that it is echoed.
    bytes: &'a [u8],
}

impl Question<'_> {
    fn read(query: &[u8]) -> Option<Question<'_>> {
        let mut name = String::new();
        let mut at = 12;
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name += std::str::from_utf8(query.get(at..at + length)?).ok()?;
            at += length;
        }
        let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
        let bytes = query.get(12..at + 4)?;
        Some(Question { id: [query[0], query[1]], name: name.to_lowercase(), kind, bytes })
    }

    fn answers(&self, says: &Says, is_tcp: bool) -> Vec<Vec<u8>> {
        match says {
            Says::Addresses(addresses, ttl) => vec![self.addresses(addresses, *ttl)],
            Says::Services(services, ttl) if self.kind == SRV => {
                vec![self.services(services, *ttl)]
            }
            Says::Services(..) | Says::Nothing => vec![self.message(0, &[], &[])],
            Says::ByTcp(says) if is_tcp => self.answers(says, true),
            Says::ByTcp(_) => {
                let mut cut = self.message(0, &[], &[]);
                cut[2] |= 2;
                vec![cut]
            }
            Says::NoSuchName => vec![self.message(3, &[], &[])],
            Says::Failure => vec![self.message(2, &[], &[])],
            Says::Silence => Vec::new(),
            Says::Garbage => vec![[&self.id[..], &[0x81, 0x80], &[0xff; 40]].concat()],
            Says::LiesFirst(lies, truth) => {
                let mut all = self.lies(lies);
                all.extend(self.answers(truth, is_tcp));
                all
            }
        }
    }

    /// With a wrong id, about another name, about another kind, and as a question.
    fn lies(&self, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
        let good = self.addresses(addresses, 60);
        let mut wrong_id = good.clone();
        wrong_id[0] ^= 0x55;
        let mut wrong_name = good.clone();
        wrong_name[13] = if wrong_name[13] == b'x' { b'y' } else { b'x' };
        let mut wrong_kind = good.clone();
        wrong_kind[12 + self.bytes.len() - 3] ^= 0x10;
        let mut question = good.clone();
        question[2] &= 0x7f;
        vec![wrong_id, wrong_name, wrong_kind, question, b"short".to_vec()]
    }

    fn addresses(&self, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
        let record = |ip: &IpAddr| match (ip, self.kind) {
            (IpAddr::V4(ip), A) => Some(self.record(A, ttl, &ip.octets())),
            (IpAddr::V6(ip), AAAA) => Some(self.record(AAAA, ttl, &ip.octets())),
            _ => None,
        };
        let records: Vec<Vec<u8>> = addresses.iter().filter_map(record).collect();
        self.message(0, &records, &[])
    }

    fn services(&self, services: &[Srv], ttl: u32) -> Vec<u8> {
        let record = |it: &Srv| {
            let numbers = [it.priority, it.weight, it.port].map(u16::to_be_bytes).concat();
            self.record(SRV, ttl, &[numbers, name_bytes(&it.target)].concat())
        };
        let along = |it: &Srv| match it.address? {
            IpAddr::V4(ip) => Some(record_of(&name_bytes(&it.target), A, ttl, &ip.octets())),
            IpAddr::V6(ip) => Some(record_of(&name_bytes(&it.target), AAAA, ttl, &ip.octets())),
        };
        let records: Vec<Vec<u8>> = services.iter().map(record).collect();
        let additional: Vec<Vec<u8>> = services.iter().filter_map(along).collect();
        self.message(0, &records, &additional)
    }

    fn record(&self, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        // The name of the question.
        record_of(&[0xc0, 12], kind, ttl, data)
    }

    fn message(&self, code: u8, answers: &[Vec<u8>], additional: &[Vec<u8>]) -> Vec<u8> {
        let counts = [1, answers.len() as u16, 0, additional.len() as u16];
        let mut message = self.id.to_vec();
        message.extend([0x81, 0x80 | code]);
        message.extend(counts.map(u16::to_be_bytes).concat());
        message.extend(self.bytes);
        answers.iter().chain(additional).for_each(|it| message.extend(it));
        message
    }
}

fn record_of(name: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = name.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend(1u16.to_be_bytes());
    record.extend(ttl.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn name_bytes(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|it| !it.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|it| [&[it.len() as u8], it.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}
