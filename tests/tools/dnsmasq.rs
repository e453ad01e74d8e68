//! Look-ups of ours at a real dnsmasq, by plain blocking sockets.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pointsman::dns::Random;
use pointsman::dns::ask::Transport;
use pointsman::dns::framing::Frames;
use pointsman::dns::hosts::Hosts;
use pointsman::dns::lookup::{Answer, Failure, Families, Lookup, Step, Wanted};
use pointsman::dns::resolv_conf::ResolvConf;
use pointsman::dns::search::Written;
use pointsman::dns::watched::{Bounds, Watched};

use crate::common::servers::{Home, missing};
use crate::common::{DEADLINE, free_port, until};

/// Killed when dropped.
struct Dnsmasq {
    child: Child,
    address: SocketAddr,
    home: Home,
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Dnsmasq {
    /// With these records; those of `hosts` can be changed.
    fn with(name: &str, records: &[&str], hosts: &str) -> Dnsmasq {
        let home = Home::new(name);
        let file = home.0.join("hosts");
        fs::write(&file, hosts).unwrap();
        let address = free_port();
        let child = Command::new("dnsmasq")
            .args(["-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"])
            .args(["--user=", "--pid-file=", "--listen-address=127.0.0.1", "--local-ttl=7"])
            .args(["--local=/example/", &format!("--port={}", address.port())])
            .arg(format!("--addn-hosts={}", file.display()))
            .args(records)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("dnsmasq listens", || TcpStream::connect(address).is_ok());
        Dnsmasq { child, address, home }
    }

    fn conf(&self) -> ResolvConf {
        let search = ResolvConf::read("search other.example pool.example", |_| None).search;
        ResolvConf { servers: vec![self.address], search, ..ResolvConf::default() }
    }

    /// What a look-up brings, and how many messages went by TCP.
    fn look_up(&self, wanted: &Wanted) -> (Result<Answer, Failure>, usize) {
        let conf = self.conf();
        let hosts = Hosts::default();
        let mut lookup = Lookup::new(wanted, Families::Both, &conf, &hosts, Random::System);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut by_tcp: HashMap<SocketAddr, (TcpStream, Frames)> = HashMap::new();
        let mut sent_by_tcp = 0;
        loop {
            match lookup.next(Instant::now()) {
                Step::Done(result) => return (result, sent_by_tcp),
                Step::Send { server, transport: Transport::Udp, bytes } => {
                    socket.send_to(&bytes, server).unwrap();
                }
                Step::Send { server, transport: Transport::Tcp, bytes } => {
                    let connect = || {
                        let stream = TcpStream::connect(server).unwrap();
                        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                        (stream, Frames::default())
                    };
                    let (stream, _) = by_tcp.entry(server).or_insert_with(connect);
                    stream.write_all(&bytes).unwrap();
                    sent_by_tcp += 1;
                }
                Step::Wait { .. } => {
                    hear(&socket, &mut by_tcp, &mut lookup);
                }
            }
        }
    }
}

/// Tells a look-up what arrives within a moment.
fn hear(
    socket: &UdpSocket,
    by_tcp: &mut HashMap<SocketAddr, (TcpStream, Frames)>,
    lookup: &mut Lookup,
) {
    let mut bytes = [0; 65_536];
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    if let Ok((length, from)) = socket.recv_from(&mut bytes) {
        lookup.heard(from, Transport::Udp, &bytes[..length]);
    }
    for (server, (stream, frames)) in by_tcp {
        match stream.read(&mut bytes) {
            Ok(0) => lookup.failed(*server, Transport::Tcp, "closed"),
            Ok(length) => frames.push(&bytes[..length]),
            Err(_) => {}
        }
        while let Some(message) = frames.pop() {
            lookup.heard(*server, Transport::Tcp, &message);
        }
    }
}

fn host(name: &str) -> Wanted {
    Wanted::Addresses(Written::new(name).unwrap(), 80)
}

fn addresses(answer: &Answer) -> Vec<String> {
    answer.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

#[test]
fn dnsmasq_tells_addresses_aliases_and_services() {
    if missing(&["dnsmasq"]) {
        return;
    }
    let records = [
        "--host-record=a.pool.example,10.0.0.1,fd00::1",
        "--host-record=b.pool.example,10.0.0.2",
        "--cname=www.pool.example,a.pool.example",
        "--srv-host=_http._tcp.pool.example,a.pool.example,8080,1,5",
        "--srv-host=_http._tcp.pool.example,b.pool.example,8081,2,0",
    ];
    let server = Dnsmasq::with("dnsmasq-records", &records, "");
    for name in ["a.pool.example", "a", "www.pool.example", "WWW"] {
        let (result, _) = server.look_up(&host(name));
        let answer = result.unwrap();
        assert_eq!(addresses(&answer), ["10.0.0.1:80", "[fd00::1]:80"], "{name}");
        assert_eq!(answer.ttl, Duration::from_secs(7));
    }
    let services = Wanted::Services(Written::new("_http._tcp.pool.example").unwrap());
    let answer = server.look_up(&services).0.unwrap();
    let want = ["10.0.0.1:8080", "[fd00::1]:8080", "10.0.0.2:8081"];
    assert_eq!(addresses(&answer), want);
    assert_eq!(answer.endpoints[0].weight, Some(5));
    assert_eq!(answer.endpoints[2].priority, 2);
    let failure = server.look_up(&host("nobody.pool.example.")).0.unwrap_err();
    assert_eq!(failure.to_string(), "there is no name nobody.pool.example");
}

/// So many lines of a file of hosts, from this one on.
fn lines(from: u32, count: u32) -> String {
    let line = |n: u32| format!("10.1.{}.{} many.example\n", n >> 8, n & 255);
    (from..from + count).map(line).collect()
}

#[test]
fn a_set_of_a_thousand_comes_by_tcp_and_changes_by_half() {
    if missing(&["dnsmasq"]) {
        return;
    }
    let server = Dnsmasq::with("dnsmasq-many", &[], &lines(0, 1000));
    let wanted = host("many.example.");
    let mut watched = Watched::new(wanted.clone(), Bounds::default(), Instant::now());
    let (result, by_tcp) = server.look_up(&wanted);
    assert!(by_tcp > 0);
    let change = watched.told(result, Instant::now(), &mut Random::System);
    assert_eq!((change.added.len(), watched.members().len()), (1000, 1000));
    fs::write(server.home.0.join("hosts"), lines(500, 1000)).unwrap();
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let begin = Instant::now();
    loop {
        let (result, _) = server.look_up(&wanted);
        let change = watched.told(result, Instant::now(), &mut Random::System);
        if !change.is_none() {
            let counts = (change.added.len(), change.gone.len(), change.stayed);
            assert_eq!(counts, (500, 500, 500));
            return;
        }
        assert!(begin.elapsed() < DEADLINE, "it never changed");
    }
}
