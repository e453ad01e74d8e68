//! `sni://` between real clients and real servers of TLS: curl, `openssl s_client` and Python
//! before it, nginx and `openssl s_server` behind it, each with a certificate for its name alone.
//! What the clients verify end to end shows that nobody between them opened or changed anything.
//!
//! Without the tools the tests are skipped, except under `CI=true`, where that is a failure.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::servers::missing;
use crate::common::{Balancer, free_port, until};

/// The servers' names; the certificate of each says its own and no other.
const NAMES: [&str; 3] = ["one.example", "two.example", "*.wild.example"];

/// Servers of TLS with certificates of their own, and files in a directory that goes with them.
struct Servers {
    home: PathBuf,
    children: Vec<Child>,
    /// In the order of [`NAMES`], `openssl s_server` last.
    addresses: [SocketAddr; 4],
}

impl Servers {
    /// An nginx that says at each of three ports who it is, and an `s_server` for `two.example`.
    fn start(name: &str) -> Servers {
        let home = format!("pointsman-sni-{name}-{}", std::process::id());
        let home = std::env::temp_dir().join(home);
        fs::create_dir_all(&home).unwrap();
        for (index, name) in NAMES.iter().enumerate() {
            make_certificate(&home, index, name);
        }
        let addresses = [free_port(), free_port(), free_port(), free_port()];
        let nginx = nginx(&home, &addresses).spawn().unwrap();
        let mut s_server = Command::new("openssl");
        s_server.args(["s_server", "-quiet", "-www", "-accept", &addresses[3].to_string()]);
        s_server.arg("-cert").arg(home.join("1.crt")).arg("-key").arg(home.join("1.key"));
        let s_server = quiet(&mut s_server).spawn().unwrap();
        let servers = Servers { home, children: vec![nginx, s_server], addresses };
        for address in addresses {
            until("the server listens", || std::net::TcpStream::connect(address).is_ok());
        }
        servers
    }

    fn route(&self, name: &str, servers: &[usize]) -> String {
        let flags: Vec<String> =
            servers.iter().map(|&index| self.addresses[index].to_string()).collect();
        format!("{name}={}", flags.join(","))
    }

    /// In front of all three by their names.
    fn balancer(&self, more: &[&str]) -> Balancer {
        let routes: Vec<String> = (0..3).map(|i| self.route(NAMES[i], &[i])).collect();
        start(&routes, more)
    }

    /// Curl asks for this host, and believes nobody but our certificates.
    fn curl(&self, balancer: &Balancer, host: &str, more: &[&str]) -> Output {
        let port = balancer.address().port();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--cacert"]);
        curl.arg(self.home.join("all.crt"));
        curl.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
        curl.args(more).arg(format!("https://{host}:{port}/"));
        curl.output().unwrap()
    }

    #[track_caller]
    fn curl_says(&self, balancer: &Balancer, host: &str) -> String {
        let output = self.curl(balancer, host, &[]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{host}: {text}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What `openssl s_client` says, which goes away once the handshake is done.
    fn s_client(&self, balancer: &Balancer, more: &[&str]) -> String {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &balancer.address().to_string(), "-CAfile"]);
        client.arg(self.home.join("all.crt")).args(more).stdin(Stdio::null());
        let output = client.output().unwrap();
        [output.stdout, output.stderr]
            .map(|out| String::from_utf8_lossy(&out).into_owned())
            .concat()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn start(routes: &[String], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "sni://127.0.0.1:0", "--check", "none"];
    args.extend(routes.iter().flat_map(|route| ["--route", route]));
    args.extend(more);
    Balancer::start(&args)
}

/// A key and a certificate for a name, signed by itself; all of them together are what is trusted.
fn make_certificate(home: &Path, index: usize, name: &str) {
    let key = home.join(format!("{index}.key"));
    let cert = home.join(format!("{index}.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}"), "-addext"]);
    openssl.arg(format!("subjectAltName=DNS:{name}")).arg("-keyout").arg(&key);
    let output = openssl.arg("-out").arg(&cert).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = home.join("all.crt");
    let before = fs::read_to_string(&all).unwrap_or_default();
    fs::write(&all, before + &fs::read_to_string(&cert).unwrap()).unwrap();
}

/// One process, so that killing it kills nginx; nothing is written outside `home`.
fn nginx(home: &Path, addresses: &[SocketAddr]) -> Command {
    let at = home.display();
    let servers: String = addresses[..3]
        .iter()
        .enumerate()
        .map(|(index, address)| {
            format!(
                "server {{ listen {address} ssl backlog=511; ssl_certificate {at}/{index}.crt; \
                 ssl_certificate_key {at}/{index}.key; ssl_protocols TLSv1.2 TLSv1.3; \
                 location / {{ return 200 \"{}\\n\"; }} }}\n",
                NAMES[index]
            )
        })
        .collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\n\
         events {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy;\n{servers}}}\n"
    );
    let config = home.join("nginx.conf");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(home.join("error.log")).arg("-c").arg(config);
    quiet(&mut command);
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn no_tools() -> bool {
    missing(&["curl", "openssl", "nginx", "python3"])
}

#[test]
fn curl_reaches_who_it_names_and_verifies_it() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("curl");
    let balancer = servers.balancer(&[]);
    let hosts =
        [("one.example", 0), ("two.example", 1), ("a.wild.example", 2), ("B.WILD.EXAMPLE", 2)];
    for (host, server) in hosts.into_iter().cycle().take(12) {
        assert_eq!(servers.curl_says(&balancer, host), NAMES[server]);
    }
    // Curl's exit code 35 is a handshake that failed.
    let output = servers.curl(&balancer, "three.example", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(35), "{text}");
    assert!(text.contains("unrecognized name"), "{text}");
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn openssl_sees_the_certificate_of_who_it_names_in_every_version() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("openssl");
    let balancer = servers.balancer(&[]);
    for version in ["-tls1_2", "-tls1_3"] {
        for (host, name) in [("one.example", NAMES[0]), ("x.wild.example", NAMES[2])] {
            let said = servers.s_client(&balancer, &[version, "-servername", host, "-brief"]);
            assert!(said.contains("CONNECTION ESTABLISHED"), "{said}");
            assert!(said.contains(&format!("Peer certificate: CN = {name}")), "{said}");
            assert!(said.contains("Verification: OK"), "{said}");
        }
        let said = servers.s_client(&balancer, &[version, "-servername", "three.example"]);
        assert!(said.contains("tlsv1 unrecognized name"), "{said}");
        assert!(said.contains("SSL alert number 112"), "{said}");
        let said = servers.s_client(&balancer, &[version, "-noservername"]);
        assert!(said.contains("SSL alert number 112"), "{said}");
    }
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn clients_without_a_name_go_to_the_others() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("others");
    let routes = [servers.route("one.example", &[0]), servers.route("*", &[1])];
    let balancer = start(&routes, &[]);
    let said = servers.s_client(&balancer, &["-noservername", "-brief"]);
    assert!(said.contains("Peer certificate: CN = two.example"), "{said}");
    let said = servers.s_client(&balancer, &["-servername", "one.example", "-brief"]);
    assert!(said.contains("Peer certificate: CN = one.example"), "{said}");
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn a_server_that_is_gone_is_passed_over_and_two_share() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("retry");
    let dead = free_port();
    let nginx = servers.addresses[1];
    let s_server = servers.addresses[3];
    let routes = [format!("two.example={dead},{nginx},{s_server}")];
    let balancer = start(&routes, &["--balance", "round-robin"]);
    let answers: Vec<String> =
        (0..9).map(|_| servers.curl_says(&balancer, "two.example")).collect();
    let by_nginx = answers.iter().filter(|answer| *answer == NAMES[1]).count();
    let by_s_server = answers.iter().filter(|answer| answer.contains("s_server")).count();
    assert_eq!(by_nginx + by_s_server, 9, "{answers:?}");
    assert!(by_nginx >= 3 && by_s_server >= 3, "{by_nginx} and {by_s_server}");
    assert!(balancer.row(&dead.to_string()).failed >= 3);
    balancer.wait_until_idle();
    balancer.stop();
}

/// Python's ssl says who it reached and what it was told, for each name it is given.
const PYTHON: &str = "
import socket, ssl, sys
port, roots, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
context = ssl.create_default_context(cafile=roots)
for name in names:
    try:
        raw = socket.create_connection(('127.0.0.1', port), timeout=10)
        with context.wrap_socket(raw, server_hostname=name) as tls:
            tls.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            answer = b''.join(iter(lambda: tls.recv(65536), b''))
            print(answer.split(b'\\r\\n\\r\\n')[1].decode().strip())
    except ssl.SSLError as error:
        print(error.reason)
";

#[test]
fn python_reaches_who_it_names() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("python");
    let balancer = servers.balancer(&[]);
    let names = ["one.example", "two.example", "c.wild.example", "three.example"];
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON, &balancer.address().port().to_string()]);
    let output = python.arg(servers.home.join("all.crt")).args(names).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let said: Vec<&str> = said.lines().collect();
    let wanted = [NAMES[0], NAMES[1], NAMES[2], "TLSV1_UNRECOGNIZED_NAME"];
    assert_eq!(said, wanted, "{}", String::from_utf8_lossy(&output.stderr));
    balancer.wait_until_idle();
    balancer.stop();
}

/// What the logs and the statistics say of it.
#[test]
fn logs_and_statistics_know_the_names() {
    if no_tools() {
        return;
    }
    let servers = Servers::start("logs");
    let log = servers.home.join("access.log");
    let log_text = || fs::read_to_string(&log).unwrap_or_default();
    let path = log.to_str().unwrap();
    for (format, known, unknown) in [
        ("json", "\"server_name\":\"one.example\"", "\"backend\":null,\"server_name\":\"three"),
        ("haproxy", " one.example/127.0.0.1:", " -/<NOSRV> "),
    ] {
        let _ = fs::remove_file(&log);
        let flags = ["--access-log", path, "--access-log-format", format];
        let stats = ["-l", "http://127.0.0.1:0", "--stats-path", "/stats"];
        let other = ["-b", &servers.addresses[0].to_string()];
        let refuse = ["--route", "*=refuse"];
        let more = [&flags[..], &stats, &other, &refuse].concat();
        let balancer = servers.balancer(&more);
        servers.curl_says(&balancer, "one.example");
        assert_eq!(servers.curl(&balancer, "three.example", &[]).status.code(), Some(35));
        until("both are written", || log_text().lines().count() == 2);
        let text = log_text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(known), "{text}");
        assert!(lines[1].contains(unknown) && lines[1].contains("PR"), "{text}");
        let url = format!("http://{}/stats", balancer.addresses[1]);
        let output = Command::new("curl").args(["--silent", &url]).output().unwrap();
        let numbers = String::from_utf8_lossy(&output.stdout).into_owned();
        let route = format!(
            "{{\"name\":\"one.example\",\"backends\":[\"{}\"],\"up\":1,",
            servers.addresses[0]
        );
        let (_, of_route) = numbers.split_once(&route).unwrap_or_else(|| panic!("{numbers}"));
        let total = of_route.split_once("\"connections_total\":").expect("a number").1;
        assert!(total.starts_with("1,"), "{numbers}");
        assert!(numbers.contains("\"unknown_names\":1,\"bad_hellos\":0,"), "{numbers}");
        balancer.stop();
    }
}
