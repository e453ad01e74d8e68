//! Headers of the PROXY protocol before datagrams: required of some, never looked for with others.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver};

use crate::common::admin::Admin;
use crate::common::proxy_header::{Header, read};
use crate::common::udp::{UdpBackend, ask, client, client_from, hear, udp_args};
use crate::common::{Balancer, DEADLINE, until};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of 127.0.0.1 headers are required, and of nobody else.
const REQUIRED: [&str; 2] = ["--proxy-protocol", "127.0.0.1"];

/// Version 2 with this behind its addresses, if it has any.
fn header(command: u8, family: u8, ends: &[u8], values: &[u8]) -> Vec<u8> {
    let length = ((ends.len() + values.len()) as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, ends, values].concat()
}

/// From 192.0.2.`last`, port 7, to 198.51.100.7:443.
fn ends(last: u8) -> [u8; 12] {
    [192, 0, 2, last, 198, 51, 100, 7, 0, 7, 1, 187]
}

/// A datagram of that client.
fn of(last: u8, says: &[u8]) -> Vec<u8> {
    [&header(0x21, 0x12, &ends(last), &[]), says].concat()
}

fn value(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// Demands headers, tells of them, and answers without.
fn telling() -> (UdpBackend, Receiver<Header>) {
    let (tell, told) = mpsc::channel();
    let backend = UdpBackend::start(move |mut bytes| {
        let header = read(&mut bytes).expect("a header");
        let _ = tell.send(header);
        vec![bytes.to_vec()]
    });
    (backend, told)
}

fn before(backend: &UdpBackend, options: &str, more: &[&str]) -> Balancer {
    let flag = format!("{}{options}", backend.flag());
    let all = ["-l", "udp://127.0.0.1:0", "-b", &flag, "--check", "none"];
    Balancer::start(&[&all[..], more].concat())
}

fn source(told: &Receiver<Header>) -> String {
    let header = told.recv_timeout(DEADLINE).expect("a header");
    header.source.expect("a source").to_string()
}

#[test]
fn clients_behind_one_proxy_are_clients_and_answers_go_to_the_proxy_as_they_are() {
    let (backend, told) = telling();
    let balancer = before(&backend, ",proxy=v2", &REQUIRED);
    let proxy = client(balancer.address());
    let another = client(balancer.address());
    for round in ["hello", "", "again"] {
        for last in [1, 2] {
            for proxy in [&proxy, &another] {
                assert_eq!(ask(proxy, &of(last, round.as_bytes())), round.as_bytes());
                assert_eq!(source(&told), format!("192.0.2.{last}:7"));
            }
        }
    }
    assert!(balancer.udp_line().contains("4 open"), "{}", balancer.udp_line());
    let six: Vec<u8> = [0x20, 1, 0x0d, 0xb8].into_iter().chain([0; 12]).collect();
    let six = header(0x21, 0x22, &[&six[..], &six, &[0, 9, 0, 53]].concat(), b"");
    assert_eq!(ask(&proxy, &[&six[..], b"six"].concat()), b"six");
    let header = told.recv_timeout(DEADLINE).expect("a header");
    assert_eq!(header.source, Some("[2001:db8::]:9".parse().unwrap()));
    assert_eq!(header.destination, Some("[2001:db8::]:53".parse().unwrap()));
    balancer.stop();
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let (backend, told) = telling();
    let balancer = before(&backend, ",proxy=v2", &REQUIRED);
    let proxy = client(balancer.address());
    let own = proxy.local_addr().unwrap().to_string();
    for (command, family, ends) in
        [(0x20, 0, &[][..]), (0x20, 0x11, &ends(1)), (0x21, 0, &[]), (0x21, 0x32, &[1; 216])]
    {
        let says = [&header(command, family, ends, &[]), &b"ping"[..]].concat();
        assert_eq!(ask(&proxy, &says), b"ping");
        assert_eq!(source(&told), own);
    }
    balancer.stop();
}

#[test]
fn what_has_no_header_is_dropped_and_counted_and_of_others_none_is_looked_for() {
    let backend = UdpBackend::echo();
    let admin = Admin::start(&udp_args(&[&backend], &REQUIRED));
    let proxy = client(admin.balancer.address());
    assert_eq!(ask(&proxy, &of(1, b"first")), b"first");
    let good = of(1, b"");
    let mut wrong_sum = header(0x21, 0x12, &ends(1), &value(3, &[0; 4]));
    let sum = crc32c::crc32c(&wrong_sum);
    let at = wrong_sum.len() - 4;
    wrong_sum[at..].copy_from_slice(&(sum ^ 1).to_be_bytes());
    let bad = [
        b"no header, though its client has a flow".to_vec(),
        Vec::new(),
        SIGNATURE.to_vec(),
        good[..good.len() - 1].to_vec(),
        header(0x21, 0x11, &ends(1), &[]),
        b"PROXY UNKNOWN\r\nhello".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello".to_vec(),
        header(0x31, 0x12, &ends(1), &[]),
        header(0x22, 0x12, &ends(1), &[]),
        header(0x21, 0x12, &ends(1)[..8], &[]),
        header(0x21, 0x12, &ends(1), &[2, 0, 9, b'a']),
        wrong_sum.clone(),
    ];
    for bytes in &bad {
        proxy.send(bytes).unwrap();
    }
    let line = format!("pointsman_udp_dropped_total{{reason=\"no_header\"}} {}\n", bad.len());
    until("all are counted", || {
        let metrics = admin.api.ask("GET", "/metrics", None);
        String::from_utf8_lossy(&metrics.body).contains(&line)
    });
    wrong_sum[at..].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(ask(&proxy, &[&wrong_sum[..], b"right"].concat()), b"right");
    let other = client_from("127.0.0.9:0".parse().unwrap(), admin.balancer.address());
    assert_eq!(ask(&other, &of(1, b"data")), of(1, b"data"));
    assert_eq!(backend.received(), 3);
    assert!(admin.balancer.log().contains("no PROXY header from 127.0.0.1:"));
}

#[test]
fn limits_lists_and_logs_go_by_the_client() {
    let backend = UdpBackend::echo();
    let path = std::env::temp_dir().join(format!("pointsman-{}-udp-in", std::process::id()));
    let file = path.to_str().unwrap();
    let _ = std::fs::remove_file(&path);
    let limits = ["--limit-datagram-rate", "1/h,burst=3", "--deny", "192.0.2.66"];
    let log = ["--access-log", file, "--access-log-format", "json", "--udp-timeout", "300ms"];
    let balancer = before(&backend, "", &[&REQUIRED[..], &limits, &log].concat());
    let proxy = client(balancer.address());
    for _ in 0..9 {
        proxy.send(&of(1, b"many")).unwrap();
    }
    proxy.send(&of(66, b"denied")).unwrap();
    for _ in 0..3 {
        proxy.send(&of(2, b"few")).unwrap();
    }
    let mut came = [0, 0];
    while came != [3, 3] {
        match &*hear(&proxy) {
            b"many" => came[0] += 1,
            b"few" => came[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(backend.received(), 6);
    let own = proxy.local_addr().unwrap().to_string();
    until("both flows are logged", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let has = |client: &str| {
            text.lines().any(|line| line.contains(client) && line.contains(&own))
        };
        has("192.0.2.1") && has("192.0.2.2")
    });
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("192.0.2.66"), "{text}");
    balancer.stop();
    let _ = std::fs::remove_file(&path);
}

#[test]
fn what_a_header_says_is_passed_on_as_far_as_the_backend_asks() {
    let (backend, told) = telling();
    let all = ",proxy=v2,proxy-tlvs=alpn+authority+unique-id+ssl";
    let ssl = [&[1, 0, 0, 0, 1][..], &value(0x21, b"TLSv1.3"), &value(0x29, b"new")].concat();
    let said = [(1, &b"doq"[..]), (2, b"a.example"), (5, b"id-7"), (0x20, &ssl)];
    let values: Vec<u8> = said.iter().flat_map(|(kind, it)| value(*kind, it)).collect();
    let begins = header(0x21, 0x12, &ends(1), &values);
    for (options, kept) in [(all, 4), (",proxy=v2,proxy-tlvs=unique-id", 1), (",proxy=v2", 0)] {
        let balancer = before(&backend, options, &REQUIRED);
        let proxy = client(balancer.address());
        assert_eq!(ask(&proxy, &[&begins[..], b"hello"].concat()), b"hello");
        let header = told.recv_timeout(DEADLINE).expect("a header");
        assert_eq!(header.destination, Some("198.51.100.7:443".parse().unwrap()));
        assert_eq!(header.tlvs.len(), kept);
        for (kind, it) in &header.tlvs {
            assert!(said.contains(&(*kind, it)), "{kind}: {it:?}");
        }
        balancer.stop();
    }
}

/// What the one in front sends at once may come at the second as one message of many.
#[test]
fn a_balancer_behind_a_balancer_hears_of_each_client() {
    let (backend, told) = telling();
    let behind = before(&backend, ",proxy=v2", &REQUIRED);
    let flag = format!("{},proxy=v2,proxy-tlvs=crc32c+unique-id", behind.address());
    let front = ["-l", "udp://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let front = Balancer::start(&front);
    let clients: [UdpSocket; 3] = std::array::from_fn(|_| client(front.address()));
    let own: Vec<SocketAddr> = clients.iter().map(|it| it.local_addr().unwrap()).collect();
    for number in 0..60_u8 {
        for client in &clients {
            client.send(&[number; 500]).unwrap();
        }
    }
    for client in &clients {
        for _ in 0..20 {
            let came = hear(client);
            assert!(came.len() == 500 && came.iter().all(|&it| it == came[0]));
        }
    }
    while let Ok(header) = told.try_recv() {
        assert!(own.contains(&header.source.expect("a source")), "{header:?}");
        assert_eq!(header.destination, Some(front.address()));
    }
    front.stop();
    behind.stop();
}
