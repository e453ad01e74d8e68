//! Ten thousand clients at once, and floods of strangers.
//!
//! The clients are one socket that sends from many addresses of 127/8, as its packet information
//! says: what takes part is counted in addresses, not in descriptors.

use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::alone;
use crate::common::measure::{raise_descriptor_limit, skip};
use crate::common::trace::{Trace, most_and_all};
use crate::common::udp::{UdpBackend, client, udp_args};
use crate::common::{Balancer, DEADLINE};
use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, ReceiveTimeout};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
};
use nix::sys::time::TimeVal;
use pointsman::limits::FLOWS_ENDED_PER_TURN;

/// Many clients at one socket.
struct Crowd {
    socket: UdpSocket,
    to: SocketAddrV4,
}

impl Crowd {
    fn new(to: SocketAddr) -> Crowd {
        let SocketAddr::V4(to) = to else { panic!("IPv4 is what has so many addresses") };
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        setsockopt(&socket, Ipv4PacketInfo, &true).expect("an option");
        let deadline = TimeVal::new(DEADLINE.as_secs() as i64, 0);
        setsockopt(&socket, ReceiveTimeout, &deadline).expect("an option");
        let room = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        room.expect("an option");
        Crowd { socket, to }
    }

    /// The client of this number says something.
    fn send(&self, number: u32, text: &[u8]) {
        let from = in_addr { s_addr: u32::from_ne_bytes(address(number).octets()) };
        let any = in_addr { s_addr: 0 };
        let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: any };
        let said = [ControlMessage::Ipv4PacketInfo(&info)];
        let to = SockaddrIn::from(self.to);
        let parts = [IoSlice::new(text)];
        let fd = self.socket.as_raw_fd();
        sendmsg(fd, &parts, &said, MsgFlags::empty(), Some(&to)).expect("it is sent");
    }

    /// Somebody is told something.
    fn hear(&self) -> (Ipv4Addr, Vec<u8>) {
        let mut buffer = [0; 64];
        let mut said = cmsg_space!(in_pktinfo);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut said), MsgFlags::empty());
        let message = message.expect("an answer");
        let told = message.cmsgs().expect("room").find_map(|said| match said {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()))
            }
            _ => None,
        });
        let count = message.bytes;
        (told.expect("to whom"), buffer[..count].to_vec())
    }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x7f01_0000 + number)
}

#[test]
fn ten_thousand_clients_at_once_have_their_own_answers() {
    let _alone = alone();
    const CLIENTS: u32 = 10_000;
    if raise_descriptor_limit() < u64::from(CLIENTS) + 600 {
        return skip("ten thousand flows need as many descriptors");
    }
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    let flags = ["--log-level", "info", "--udp-timeout", "1h"];
    let balancer = Balancer::start(&udp_args(&[&echo[0], &echo[1]], &flags));
    let crowd = Crowd::new(balancer.address());
    for round in 0..3_u8 {
        // As many at a time as any socket on the way holds.
        for from in (0..CLIENTS).step_by(100) {
            let all = from..from + 100;
            all.clone().for_each(|number| crowd.send(number, &message(round, number)));
            let heard: BTreeSet<Ipv4Addr> = all.map(|_| hear_own(&crowd, round)).collect();
            assert_eq!(heard.len(), 100, "each once");
        }
    }
    assert_eq!(echo[0].received() + echo[1].received(), 30_000);
    let page = balancer.udp_line();
    assert!(page.contains("udp: 10000 open of 10000 flows"), "{page}");
    assert!(page.contains("30000 back, 0 dropped"), "{page}");
    balancer.stop();
}

/// To end a flow takes a while: ten thousand at once made a turn of 66 ms.
#[test]
fn a_backend_that_falls_with_many_flows_is_left_in_slices() {
    let _alone = alone();
    const CLIENTS: u32 = 2000;
    if raise_descriptor_limit() < u64::from(CLIENTS) + 600 {
        return skip("as many flows need as many descriptors");
    }
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    let flags = ["--log-level", "info", "--udp-timeout", "1h", "--check", "udp:ping"];
    let fast = ["--check-interval", "100ms", "--check-timeout", "10s", "--fall", "1"];
    let args = udp_args(&[&echo[0], &echo[1]], &[&flags[..], &fast].concat());
    let Some((balancer, trace)) = Trace::start(&args) else { return };
    let [fallen, other] = echo;
    for backend in [&fallen, &other] {
        balancer.wait_for_row(&backend.flag(), |row| row.is_known_up());
    }
    let crowd = Crowd::new(balancer.address());
    let ask_all = |round: u8| {
        for from in (0..CLIENTS).step_by(100) {
            let all = from..from + 100;
            all.clone().for_each(|number| crowd.send(number, &message(round, number)));
            let heard: BTreeSet<Ipv4Addr> = all.map(|_| hear_own(&crowd, round)).collect();
            assert_eq!(heard.len(), 100, "each once");
        }
    };
    ask_all(0);
    let flag = fallen.flag();
    drop(fallen);
    // Whoever asks from now on is answered by the other one, ended or not yet.
    balancer.wait_for_row(&flag, |row| !row.is_up());
    ask_all(1);
    balancer.wait_for_row(&flag, |row| row.active == 0);
    balancer.stop();
    let (most, all) = most_and_all(&trace.calls(), "close");
    println!("{all} closed, at most {most} in a turn");
    assert!(most <= FLOWS_ENDED_PER_TURN + 100, "{most} of {all} in one turn");
}

fn message(round: u8, number: u32) -> Vec<u8> {
    [&[round][..], &number.to_be_bytes()].concat()
}

/// An answer, at the client that asked.
fn hear_own(crowd: &Crowd, round: u8) -> Ipv4Addr {
    let (told, text) = crowd.hear();
    let number = u32::from_be_bytes([text[1], text[2], text[3], text[4]]);
    assert_eq!((told, text[0]), (address(number), round), "an answer of somebody else");
    told
}

/// What a talker is called, and when it began to ask. In a flood a datagram may be lost on its way
/// to us: it is asked again. An answer to an earlier question says nothing of now.
fn ask_until_told(talker: &UdpSocket, number: u32) -> Option<(Vec<u8>, Instant)> {
    talker.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
    let began = Instant::now();
    let question = format!("who am I? {number}");
    let ending = format!(" {number}");
    let mut buffer = [0; 64];
    (0..20).find_map(|_| {
        talker.send(question.as_bytes()).expect("it is sent");
        while let Ok(count) = talker.recv(&mut buffer) {
            if let Some(name) = buffer[..count].strip_suffix(ending.as_bytes()) {
                return Some((name.to_vec(), began));
            }
        }
        None
    })
}

/// Tell those who ask the port that they are seen at.
fn tell_ports(backend: &UdpSocket, over: &AtomicBool) {
    let mut buffer = [0; 64];
    while !over.load(Ordering::SeqCst) {
        let Ok((count, from)) = backend.recv_from(&mut buffer) else { continue };
        if let Some(number) = buffer[..count].strip_prefix(b"who am I?") {
            let name = from.port().to_string();
            backend.send_to(&[name.as_bytes(), number].concat(), from).unwrap();
        }
    }
}

/// The backend answers talkers with the port that it sees them at: as long as that is the same,
/// nobody took their flow.
#[test]
fn a_flood_of_strangers_pushes_out_strangers_alone() {
    let _alone = alone();
    let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&backend).set_recv_buffer_size(4 << 20).unwrap();
    let at = backend.local_addr().unwrap().to_string();
    let over = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&over);
    backend.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let serving = thread::spawn(move || tell_ports(&backend, &done));
    let args =
        ["-l", "udp://127.0.0.1:0", "-b", &at, "--max-flows", "500", "--log-level", "info"];
    let balancer = Balancer::start(&args);
    let talkers: Vec<UdpSocket> = (0..20).map(|_| client(balancer.address())).collect();
    let mut known: Vec<(Vec<u8>, Instant)> =
        talkers.iter().map(|talker| ask_until_told(talker, 0).expect("an answer")).collect();

    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let stop = Arc::clone(&over);
    let to = balancer.address();
    let flood = thread::spawn(move || {
        let crowd = Crowd::new(to);
        for number in (0..200_000).cycle() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            crowd.send(number, b"flood");
            // The flood is to fill the table, not the queue before it.
            if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(5) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let began = Instant::now();
    let seconds = Duration::from_secs;
    let mut kept = 0;
    let mut late = 0;
    let mut number = 0;
    // A busy machine takes longer to answer so often.
    while began.elapsed() < seconds(3) || kept <= 100 && began.elapsed() < seconds(60) {
        number += 1;
        for (talker, (name, since)) in talkers.iter().zip(&mut known) {
            let Some((seen, began)) = ask_until_told(talker, number) else { continue };
            // Who was kept waiting by the machine for longer may have lost its flow.
            if since.elapsed() < Duration::from_millis(900) {
                assert_eq!(seen, *name, "another flow than before");
                kept += 1;
            } else {
                late += 1;
            }
            *name = seen;
            *since = began;
        }
    }
    // While the backend is there to be sent to.
    let page = balancer.udp_line();
    over.store(true, Ordering::SeqCst);
    flood.join().unwrap();
    serving.join().unwrap();
    let strangers = sent.load(Ordering::SeqCst);
    println!(
        "{kept} answers in the same flows and {late} late, {strangers} of strangers: {page}"
    );
    assert!(strangers > 2000, "that is no flood");
    assert!(kept > 100, "too slow a machine to say anything");
    assert!(page.contains("udp: 500 open of "), "the table is full");
    balancer.stop();
}
