//! Datagrams of other people's programs: DNS by dnsmasq, dig and dnsperf, streams by iperf3.
//!
//! Where a tool is missing a test says so and is skipped, except under `CI=true`.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::alone;
use crate::common::servers::missing;
use crate::common::{Balancer, free_port, until};

/// A question for `probe.test`, and its number, which comes back in the answer.
const PROBE: &str = concat!(
    r"udp:\x70\x6d\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    r"\x05probe\x04test\x00\x00\x01\x00\x01,expect=pm"
);

/// A program in the background; killed when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(quiet.spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A DNS server that answers every name below `test` with one address; on return it answers. One
/// that ends by itself, because somebody had its port for a moment, is started again.
fn dns(address: SocketAddr, answer: &str) -> Running {
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="]);
    command.args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--log-facility=-"]);
    command.arg(format!("--listen-address={}", address.ip()));
    command.arg(format!("--port={}", address.port()));
    command.arg(format!("--address=/test/{answer}"));
    // Root alone has somebody else to become, who is not in every container.
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    let mut server = Running::start(&mut command);
    until("dnsmasq answers", || {
        if let Some(status) = server.0.try_wait().expect("it is ours") {
            println!("dnsmasq on {address}: {status}");
            server = Running::start(&mut command);
        }
        dig(address, &[]).trim() == answer
    });
    server
}

/// What `dig` prints of a name's address.
fn dig(server: SocketAddr, more: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.args(["+short", "+tries=2", "+time=2", "some.test", "A"]).args(more);
    command.arg(format!("@{}", server.ip())).arg("-p").arg(server.port().to_string());
    let said = text_of(&mut command);
    // Of tries that had no answer it tells in comments.
    said.lines().filter(|line| !line.starts_with(';')).map(|line| format!("{line}\n")).collect()
}

/// What a program prints.
fn text_of(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

/// So many questions a second for some seconds; its report.
fn dnsperf(server: SocketAddr, more: &[&str]) -> String {
    let file = std::env::temp_dir().join(format!("pointsman-dnsperf-{}", std::process::id()));
    let names: String = (0..1000).map(|number| format!("name{number}.test A\n")).collect();
    std::fs::write(&file, names).expect("a file");
    let mut command = Command::new("dnsperf");
    command.arg("-s").arg(server.ip().to_string()).arg("-p").arg(server.port().to_string());
    let report = text_of(command.arg("-d").arg(&file).args(more));
    let _ = std::fs::remove_file(&file);
    report
}

/// UDP and TCP on the same port, in front of two DNS servers.
fn front(servers: [SocketAddr; 2], more: &[&str]) -> (Balancer, SocketAddr) {
    let address = free_port();
    let udp = format!("udp://{address}");
    let tcp = format!("tcp://{address}");
    let [one, two] = servers.map(|server| server.to_string());
    let one = format!("{one},name=one");
    let two = format!("{two},name=two");
    let args = ["-l", &udp, "-l", &tcp, "-b", &one, "-b", &two, "--log-level", "info"];
    let checks = ["--check", PROBE, "--check-interval", "100ms", "--fall", "2", "--rise", "1"];
    (Balancer::start(&[&args[..], &checks, more].concat()), address)
}

#[test]
fn dns_loses_no_answer() {
    let _alone = alone();
    if missing(&["dnsmasq", "dig", "dnsperf"]) {
        return;
    }
    let servers = [free_port(), free_port()];
    let _one = dns(servers[0], "10.0.0.1");
    let _two = dns(servers[1], "10.0.0.2");
    for more in
        [&[][..], &["--udp-responses", "1"], &["--udp-requests", "1", "--udp-responses", "1"]]
    {
        let (balancer, address) = front(servers, more);
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(dig(address, &[]));
        }
        assert!(dig(address, &["+tcp"]).starts_with("10.0.0."), "over TCP");
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["10.0.0.1\n", "10.0.0.2\n"], "both are asked");
        let report = dnsperf(address, &["-l", "3", "-Q", "2000", "-c", "8", "-T", "1"]);
        let lines = report.lines().filter(|line| line.contains("Queries"));
        println!("{more:?}: {}", lines.map(str::trim).collect::<Vec<_>>().join("; "));
        let lost = report.lines().find(|line| line.contains("Queries lost:"));
        let lost = lost.and_then(|line| line.split_whitespace().nth(2));
        assert_eq!(lost, Some("0"), "{report}");
        balancer.stop();
    }
}

#[test]
fn a_dns_server_is_killed_and_comes_back() {
    let _alone = alone();
    if missing(&["dnsmasq", "dig"]) {
        return;
    }
    let servers = [free_port(), free_port()];
    let one = dns(servers[0], "10.0.0.1");
    let _two = dns(servers[1], "10.0.0.2");
    let (balancer, address) = front(servers, &[]);
    drop(one);
    // The first questions may meet the dead one; dig asks again, and that goes elsewhere.
    for _ in 0..10 {
        assert_eq!(dig(address, &[]), "10.0.0.2\n");
    }
    balancer.wait_for_log("backend one is down");
    let _one = dns(servers[0], "10.0.0.1");
    balancer.wait_for_log("backend one is up");
    until("it is asked again", || dig(address, &[]) == "10.0.0.1\n");
    balancer.stop();
}

/// iperf3 agrees on the test over TCP, and streams to the same port over UDP.
#[test]
fn iperf3_streams_through() {
    let _alone = alone();
    if missing(&["iperf3"]) {
        return;
    }
    let server = free_port();
    let address = free_port();
    let mut command = Command::new("iperf3");
    command.args(["-s", "-B", "127.0.0.1", "-p", &server.port().to_string()]);
    let _server = Running::start(&mut command);
    until("iperf3 listens", || std::net::TcpStream::connect(server).is_ok());
    let udp = format!("udp://{address}");
    let tcp = format!("tcp://{address}");
    let args = ["-l", &udp, "-l", &tcp, "-b", &server.to_string(), "--check", "none"];
    let balancer = Balancer::start(&args);
    for direction in [&[][..], &["-R"]] {
        for length in ["64", "1200", "8000"] {
            let rate = if length == "64" { "3M" } else { "30M" };
            let mut client = Command::new("iperf3");
            client.args(["-c", "127.0.0.1", "-p", &address.port().to_string(), "-u", "-J"]);
            client.args(["-t", "1", "-b", rate, "-l", length]).args(direction);
            let mut report = String::new();
            // Between two tests the server does not listen.
            until("iperf3 is served", || {
                report = text_of(&mut client);
                let early = [
                    "unable to connect",
                    "server is busy",
                    "control socket has closed",
                    // Accepted by the kernel, and reset when the server stopped to listen.
                    "unable to receive control message",
                ];
                !early.iter().any(|error| report.contains(error))
            });
            assert!(!report.contains("\"error\""), "{report}");
            let end = report.rsplit_once("\"sum\":").expect("a summary").1;
            let number = |name: &str| -> f64 {
                let value = end.split_once(&format!("\"{name}\":")).expect("a number").1;
                let value =
                    value.trim_start().split([',', '\n', '}']).next().expect("a number");
                value.trim().parse().expect("a number")
            };
            let packets = number("packets");
            let lost = number("lost_packets");
            println!("{length} bytes {direction:?}: {packets} datagrams, {lost} lost");
            // A build with all its checks, beside other tests, may be too slow for bursts.
            let most = if cfg!(debug_assertions) { packets / 2.0 } else { packets / 100.0 };
            assert!(packets > 200.0 && lost <= most, "{report}");
        }
    }
    balancer.stop();
}
