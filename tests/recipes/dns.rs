//! DNS: questions as datagrams and as streams, to servers that speak both.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::common::udp::{UdpBackend, client, count, hear};
use crate::common::{Backend, connect, free_port, with_deadline};
use crate::page::Trial;

/// A question for the address of a.test.
fn question(id: u16) -> Vec<u8> {
    let head = [0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    let name = b"\x01a\x04test\x00\x00\x01\x00\x01";
    [&id.to_be_bytes()[..], &head, name].concat()
}

/// Its answer: 192.0.2.N, by which the server is known.
fn answer(question: &[u8], number: u8) -> Vec<u8> {
    let flags_and_counts = [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, number];
    let asked = question.get(12..).unwrap_or_default();
    [&question[..2], &flags_and_counts, asked, &record].concat()
}

/// Whose answer it is, to the question with this number.
#[track_caller]
fn number_in(answer: &[u8], id: u16) -> u8 {
    assert_eq!(answer[..2], id.to_be_bytes(), "the answer to another question");
    assert_eq!(answer[2] & 0x80, 0x80, "an answer");
    answer[answer.len() - 1]
}

/// Speaks both at one port.
struct Server {
    address: SocketAddr,
    _udp: UdpBackend,
    _tcp: Backend,
}

fn server(number: u8) -> Server {
    let address = free_port();
    let udp = UdpBackend::start_at(address, move |asked| vec![answer(asked, number)]);
    let tcp = Backend::start_at(address, move |stream| {
        let mut stream = with_deadline(stream);
        while let Some(asked) = framed(&mut stream) {
            let says = answer(&asked, number);
            let length = (says.len() as u16).to_be_bytes();
            if stream.write_all(&[&length[..], &says].concat()).is_err() {
                return;
            }
        }
    });
    Server { address, _udp: udp, _tcp: tcp }
}

/// A message behind its length.
fn framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn ask_by_tcp(at: SocketAddr, id: u16) -> u8 {
    let mut stream = connect(at);
    let asked = question(id);
    let length = (asked.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], &asked].concat()).unwrap();
    number_in(&framed(&mut stream).expect("an answer"), id)
}

pub fn dns(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:53");
    let one = server(1);
    let two = server(2);
    trial.put("10.0.0.1:53", &one.address);
    trial.put("10.0.0.2:53", &two.address);
    let balancer = trial.start();
    let both = BTreeSet::from([1, 2]);
    let resolver = client(at);
    let by_udp = |id: u16| {
        resolver.send(&question(id)).unwrap();
        number_in(&hear(&resolver), id)
    };
    assert_eq!((0..8).map(by_udp).collect::<BTreeSet<u8>>(), both, "in turn from one port");
    // Questions that are all there before any is answered.
    balancer.signal(Signal::STOP);
    for id in 50..58 {
        resolver.send(&question(id)).unwrap();
    }
    balancer.signal(Signal::CONT);
    let heard = (0..8).map(|_| {
        let heard = hear(&resolver);
        heard[heard.len() - 1]
    });
    assert_eq!(heard.collect::<BTreeSet<u8>>(), both, "each goes its own way");
    // 8 one after the other, and 8 at once: of none anything is kept.
    assert_eq!((count(&balancer, "finished"), count(&balancer, "open")), (16, 0));
    let by_tcp = (100..108).map(|id| ask_by_tcp(at, id));
    assert_eq!(by_tcp.collect::<BTreeSet<u8>>(), both);
    let stopped = one.address;
    drop(one);
    balancer.wait_for_log(&format!("backend {stopped} is down"));
    assert_eq!((200..208).map(by_udp).collect::<BTreeSet<u8>>(), BTreeSet::from([2]));
    assert_eq!((300..304).map(|id| ask_by_tcp(at, id)).collect::<BTreeSet<u8>>(), [2].into());
    balancer.stop();
}
