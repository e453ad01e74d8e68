//! HAProxy and nginx with the protections that their manuals advise: what the same attack does to
//! a client that behaves well there. It is printed and judged by nobody.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::crowd::Target;
use super::{Authority, Origin, meet};
use crate::common::authority::Pair;
use crate::common::servers::Home;
use crate::common::{free_port, until};

/// A program that is killed when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Put the same load on those that are there.
pub fn compare(origin: &Origin, authority: &Authority, pair: &Pair) {
    let home = Home::new("attack");
    for name in ["haproxy", "nginx"] {
        if Command::new(name).arg("-v").output().is_err() {
            println!("there is no {name} to compare with");
            continue;
        }
        let target = Target { http: free_port(), https: free_port() };
        let backend = origin.backend.address;
        let command = match name {
            "haproxy" => haproxy(&target, backend, pair, &home.0),
            _ => nginx(&target, backend, pair, &home.0),
        };
        let peer = start(command, &target);
        let met = meet(&target, authority.hello(), 0);
        println!("{name}: {met}");
        drop(peer);
    }
}

fn start(mut command: Command, target: &Target) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let peer = Peer(command.spawn().expect("it is there"));
    for address in [target.http, target.https] {
        until("the peer listens", || TcpStream::connect(address).is_ok());
    }
    peer
}

/// Stick tables as in its blog on protection against DDoS, and `timeout http-request`.
fn haproxy(target: &Target, backend: SocketAddr, pair: &Pair, home: &Path) -> Command {
    let both = home.join("both.pem");
    let [cert, key] = [&pair.cert, &pair.key].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&both, cert + &key).unwrap();
    let Target { http, https } = target;
    let pem = both.display();
    let text = format!(
        "global\n nbthread 1\n maxconn 4000\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n \
         timeout http-request 1s\n timeout http-keep-alive 30s\n\
         frontend f\n bind {http}\n bind {https} ssl crt {pem}\n \
         stick-table type ip size 100k expire 30s store conn_cur,conn_rate(1s),http_req_rate(1s)\n \
         tcp-request connection track-sc0 src\n \
         tcp-request connection reject if {{ sc_conn_cur(0) gt 4 }}\n \
         tcp-request connection reject if {{ sc_conn_rate(0) gt 20 }}\n \
         http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100 }}\n \
         default_backend b\n\
         backend b\n server s {backend}\n"
    );
    let config = home.join("haproxy.cfg");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(config);
    command
}

/// limit_conn and limit_req as in its guide, and shorter timeouts.
fn nginx(target: &Target, backend: SocketAddr, pair: &Pair, home: &Path) -> Command {
    let Target { http, https } = target;
    let at = home.display();
    let [cert, key] = [&pair.cert, &pair.key];
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/attack.pid;\nerror_log {at}/attack.log;\n\
         events {{ worker_connections 4000; }}\n\
         http {{\n access_log off;\n client_header_timeout 1s;\n client_body_timeout 1s;\n\
         client_body_temp_path {at}/body;\n proxy_temp_path {at}/proxy;\n\
         fastcgi_temp_path {at}/fastcgi;\n uwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi;\n\
         limit_conn_zone $binary_remote_addr zone=c:1m;\n\
         limit_req_zone $binary_remote_addr zone=r:1m rate=100r/s;\n\
         limit_conn_status 429;\n limit_req_status 429;\n\
         upstream u {{ server {backend}; keepalive 32; }}\n\
         server {{\n listen {http};\n listen {https} ssl;\n ssl_certificate {cert};\n\
         ssl_certificate_key {key};\n limit_conn c 4;\n limit_req zone=r burst=200 nodelay;\n\
         location / {{ proxy_pass http://u; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; }}\n }}\n }}\n"
    );
    let config = home.join("attack.conf");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(home.join("attack.log")).arg("-c").arg(config);
    command
}
