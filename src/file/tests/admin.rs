//! `[admin]` of a file: what it reaches, and what is said of it.

use super::{good, wrong};
use crate::config::{AdminListen, HaproxyLevel};

const REST: &str = "[service.web]\nlisten = [\"http://0.0.0.0:80\"]\npool = \"web\"\n\n\
                    [pool.web]\nbackends = [\"10.0.0.1:8080\"]\n";

#[test]
fn the_table_reaches_every_place() {
    let text = "[admin]\nlisten = [\"unix:/run/a.sock\", \"https://0.0.0.0:8443\"]\n\
                tokens = \"/etc/tokens\"\nallowed_hosts = [\"a.example\"]\n\
                certificate = \"a.crt\"\nkey = \"a.key\"\nclient_ca = \"ca.crt\"\n\
                socket_mode = \"0600\"\nhaproxy_socket = \"/run/h.sock\"\n\
                haproxy_level = \"operator\"\n";
    let admin = good(&format!("{text}{REST}")).desired.process.admin;
    assert_eq!(admin.listen[0], AdminListen::Unix("/run/a.sock".to_owned()));
    assert_eq!(admin.listen[1].to_string(), "https://0.0.0.0:8443");
    assert_eq!(admin.tokens.as_deref(), Some("/etc/tokens"));
    assert_eq!(admin.allowed_hosts, ["a.example"]);
    let pair = &admin.tls.certificates[0];
    assert_eq!([&*pair.cert, &*pair.key], ["a.crt", "a.key"]);
    assert_eq!(admin.tls.client_ca.as_deref(), Some("ca.crt"));
    assert_eq!(admin.socket_mode, 0o600);
    assert_eq!(admin.haproxy_socket.as_deref(), Some("/run/h.sock"));
    assert_eq!(admin.haproxy_level, HaproxyLevel::Operator);
    assert!(!good(REST).desired.process.admin.is_on(), "off unless asked for");
}

#[test]
fn what_is_wrong_is_told_at_its_key_all_at_once() {
    let text = "[admin]\nlisten = [\"http://0.0.0.0:1\"]\nhaproxy_socket = \"/run/h.sock\"\n\
                key = \"a.key\"\n";
    let all = wrong(&format!("{text}{REST}"));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("web.toml:2:"), "{}", all[0]);
    assert!(all[0].contains("TLS or a UNIX socket off loopback"), "{}", all[0]);
    assert!(all[1].contains("web.toml:4:"), "{}", all[1]);
    let all = wrong(&format!("[admin]\nlisten = [\"/run/a.sock\"]\nlevel = 1\n{REST}"));
    assert!(all[0].contains("did you mean unix:/run/a.sock?"), "{}", all[0]);
    assert!(all[1].contains("unknown key `level`"), "{}", all[1]);
}
