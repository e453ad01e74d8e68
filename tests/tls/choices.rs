//! What is chosen in a handshake: one of several certificates for a name, a protocol inside.

use std::io::Write;

use rcgen::PKCS_ECDSA_P384_SHA384;
use rustix::process::Signal;

use crate::authority::{Authority, Pair, s_client};
use crate::backends::serve_tls;
use crate::common::servers::missing;
use crate::common::{Backend, Balancer, until};

fn tls(backend: &Backend, more: &[&str]) -> Balancer {
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "-b", &flag];
    Balancer::start(&[&front[..], more].concat())
}

/// A pair under other file names, since those of one name would overwrite each other.
fn renamed(authority: &Authority, pair: &Pair, name: &str) -> Pair {
    let rename = |file: &str, ending: &str| {
        let path = authority.path(&format!("{name}.{ending}"));
        std::fs::rename(file, &path).unwrap();
        path.display().to_string()
    };
    Pair { cert: rename(&pair.cert, "crt"), key: rename(&pair.key, "key") }
}

/// With which key the client was served.
fn key_shown(balancer: &Balancer, args: &[&str]) -> &'static str {
    let text = s_client(balancer.address(), "", args);
    match text.lines().find_map(|line| line.strip_prefix("Peer signature type: ")) {
        Some("ECDSA") => "ECDSA",
        Some("RSA-PSS" | "RSA") => "RSA",
        _ if text.contains("alert handshake failure") => "refused",
        other => panic!("{args:?}: {other:?}: {text}"),
    }
}

const ONLY_RSA: &str = "rsa_pss_rsae_sha256:RSA+SHA256";
const ONLY_ECDSA: &str = "ecdsa_secp256r1_sha256";
const BOTH: &str = "rsa_pss_rsae_sha256:RSA+SHA256:ecdsa_secp256r1_sha256";

/// Whichever is named first, and for clients that name no server as well.
#[test]
fn of_two_certificates_for_a_name_the_client_decides_and_ecdsa_comes_first() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("two");
    let names = ["localhost", "*.wild.test"];
    let rsa = renamed(&authority, &authority.rsa_pair(&names), "rsa");
    let ecdsa = renamed(&authority, &authority.pair(&names), "ecdsa");
    let backend = Backend::echo();
    for flags in [[rsa.flags(), ecdsa.flags()], [ecdsa.flags(), rsa.flags()]] {
        let balancer = tls(&backend, &flags.concat());
        for name in [
            &["-servername", "localhost"][..],
            &["-servername", "a.wild.test"],
            &["-noservername"],
        ] {
            for version in ["-tls1_2", "-tls1_3"] {
                for (schemes, expected) in
                    [(ONLY_RSA, "RSA"), (ONLY_ECDSA, "ECDSA"), (BOTH, "ECDSA")]
                {
                    let args = [name, &[version, "-sigalgs", schemes]].concat();
                    assert_eq!(key_shown(&balancer, &args), expected, "{args:?}");
                }
            }
        }
        assert!(!balancer.log().contains("it is never shown"), "{}", balancer.log());
    }
    let alone = tls(&backend, &ecdsa.flags());
    assert_eq!(key_shown(&alone, &["-tls1_3", "-sigalgs", ONLY_RSA]), "refused");
}

#[test]
fn a_certificate_that_can_never_be_shown_is_warned_of() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("never");
    let first = renamed(&authority, &authority.pair(&["localhost", "b.test"]), "first");
    let same = renamed(&authority, &authority.pair(&["b.test"]), "same");
    let curve = authority.pair_with(&PKCS_ECDSA_P384_SHA384, &["b.test"], |_| {});
    let curve = renamed(&authority, &curve, "curve");
    let more = renamed(&authority, &authority.pair(&["b.test", "c.test"]), "more");
    let backend = Backend::echo();
    let flags = [first.flags(), same.flags(), curve.flags(), more.flags()].concat();
    let balancer = tls(&backend, &flags);
    let says =
        format!("--cert {}: it is never shown: {} comes before it", same.cert, first.cert);
    balancer.wait_for_log(&says);
    assert_eq!(balancer.log().matches("it is never shown").count(), 1, "{}", balancer.log());
    // An RSA one in its place is of use, and is used from the next SIGHUP on.
    let rsa = authority.rsa_pair(&["b.test"]);
    std::fs::rename(&rsa.cert, &same.cert).unwrap();
    std::fs::rename(&rsa.key, &same.key).unwrap();
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("read 4 certificates again");
    assert_eq!(balancer.log().matches("it is never shown").count(), 1, "{}", balancer.log());
    let args = ["-servername", "b.test", "-tls1_2", "-sigalgs", ONLY_RSA];
    assert_eq!(key_shown(&balancer, &args), "RSA");
    is_warned_of_at_its_place(&authority, &first);
}

/// The same in a file.
fn is_warned_of_at_its_place(authority: &Authority, first: &Pair) {
    let again = renamed(authority, &authority.pair(&["b.test"]), "again");
    let pair = |it: &Pair| format!("{{ cert = '{}', key = '{}' }}", it.cert, it.key);
    let text = format!(
        "[listener.l]\nbind = 'tls://127.0.0.1:0'\ncertificates = [{},\n{}]\n[service.s]\n\
         listen = ['l']\npool = 'p'\n[pool.p]\ncheck = 'none'\nbackends = ['127.0.0.1:1']\n",
        pair(first),
        pair(&again)
    );
    let file = authority.write("never.toml", &text);
    let balancer = Balancer::start(&["--config", &file]);
    balancer.wait_for_log("warning: it is never shown");
    balancer.wait_for_log("never.toml:4:10");
    balancer.stop();
}

#[test]
fn what_is_spoken_inside_tls_is_said_by_alpn() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("alpn");
    let pair = authority.pair(&["localhost"]);
    let backend = Backend::echo();
    let silent = tls(&backend, &pair.flags());
    let speaks = tls(&backend, &[&pair.flags()[..], &["--alpn", "postgresql,imap"]].concat());
    for version in ["-tls1_2", "-tls1_3"] {
        let ask = |balancer: &Balancer, names: &[&str]| {
            let text = s_client(balancer.address(), "", &[&[version][..], names].concat());
            let chosen = text.lines().find_map(|line| line.strip_prefix("ALPN protocol: "));
            match chosen {
                Some(name) => name.to_owned(),
                None if text.contains("no application protocol") => "refused".to_owned(),
                None if text.contains("No ALPN negotiated") => "none".to_owned(),
                None => text,
            }
        };
        assert_eq!(ask(&silent, &["-alpn", "postgresql"]), "none");
        assert_eq!(ask(&speaks, &["-alpn", "postgresql"]), "postgresql");
        assert_eq!(ask(&speaks, &["-alpn", "h2,imap,postgresql"]), "postgresql");
        assert_eq!(ask(&speaks, &["-alpn", "h2"]), "refused");
        assert_eq!(ask(&speaks, &[]), "none");
    }
}

/// PostgreSQL 17 wants it of whoever connects to it by TLS at once. That a client chose something
/// which the backend does not speak is no failure of the backend.
#[test]
fn a_backend_is_offered_what_the_client_chose_to_speak() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("spoken");
    let pair = authority.pair(&["localhost", "127.0.0.1"]);
    let mut config = authority.server_config(&pair);
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let server = serve_tls(config, |server| {
        while server.conn.is_handshaking() {
            if server.conn.complete_io(&mut server.sock).is_err() {
                return;
            }
        }
        let heard = server.conn.alpn_protocol().unwrap_or(b"nothing").to_vec();
        let _ = server.write_all(&[b"offered ", &heard[..], b"\n"].concat());
        server.conn.send_close_notify();
        let _ = server.flush();
    });
    let backend = format!("tls://{}", server.address);
    let ca = authority.file();
    let flags = ["-l", "tls://127.0.0.1:0", "-b", &backend, "--backend-ca", &ca];
    let more = ["--alpn", "postgresql,imap", "--fall", "1", "--check-interval", "50ms"];
    for check in ["tcp:,expect=offered postgresql", "none"] {
        let flags = [&flags[..], &more, &pair.flags(), &["--check", check]].concat();
        let balancer = Balancer::start(&flags);
        let ask =
            |names: &[&str]| s_client(balancer.address(), "", &[&["-ign_eof"], names].concat());
        if check != "none" {
            until("a probe was good", || ask(&[]).contains("offered nothing"));
        }
        for version in ["-tls1_2", "-tls1_3"] {
            for _ in 0..2 {
                let text = ask(&[version, "-alpn", "postgresql"]);
                assert!(text.contains("offered postgresql"), "{text}");
                let text = ask(&[version]);
                assert!(text.contains("offered nothing"), "{text}");
                let text = ask(&[version, "-alpn", "imap"]);
                assert!(text.contains("ALPN protocol: imap"), "{text}");
                assert!(!text.contains("offered"), "{text}");
            }
        }
        balancer.wait_for_log("it speaks nothing of what we offered (ALPN)");
        assert!(!balancer.log().contains("is down"), "{}", balancer.log());
    }
}
