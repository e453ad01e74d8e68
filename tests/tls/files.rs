//! Certificates and keys that are missing, wrong, over or not each other's: one line that says so.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::date_time_ymd;
use rustix::process::Signal;

use crate::authority::{Authority, Pair, s_client};
use crate::common::servers::missing;
use crate::common::{Backend, Balancer};

/// What the program says when it is started with these files; it must not start.
fn complaint(pair: &Pair, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-l", "https://127.0.0.1:0", "-b", "127.0.0.1:1", "--log-level", "off"])
        .args(pair.flags())
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty(), "nothing listens");
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    text
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_line() {
    let authority = Authority::new("files");
    let good = authority.pair(&["good.test"]);
    let other = authority.pair(&["other.test"]);
    let expired =
        authority.pair_with(&rcgen::PKCS_ECDSA_P256_SHA256, &["old.test"], |params| {
            params.not_after = date_time_ymd(2020, 1, 2);
        });
    let early = authority.pair_with(&rcgen::PKCS_ECDSA_P256_SHA256, &["new.test"], |params| {
        params.not_before = date_time_ymd(2990, 1, 2);
        params.not_after = date_time_ymd(2999, 1, 2);
    });
    let file = |name: &str, text: &str| authority.write(name, text);
    let empty = file("empty", "");
    let words = file("words", "hello\n");
    let torn = file("torn", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    let nonsense =
        file("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let locked = file(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let missing = authority.path("missing").display().to_string();
    let home = authority.home.0.display().to_string();
    let cert = &good.cert;
    let key = &good.key;
    let want_cert = "want a certificate: a section -----BEGIN CERTIFICATE-----";
    for (cert, key, says) in [
        (&missing, key, format!("{missing}: there is no such file")),
        (cert, &missing, format!("{missing}: there is no such file")),
        (&home, key, format!("{home}: it is not a file")),
        (&empty, key, format!("{empty}: it is empty, {want_cert}")),
        (&words, key, format!("{words}: it is not PEM, {want_cert}")),
        (&torn, key, format!("{torn}: not PEM: it ends before -----END CERTIFICATE")),
        (
            &nonsense,
            key,
            format!(
                "{nonsense}: what stands between BEGIN CERTIFICATE and END CERTIFICATE is no"
            ),
        ),
        (key, key, format!("{key}: it holds a private key, want a certificate")),
        (cert, cert, format!("{cert}: it holds a certificate, want a private key")),
        (cert, &locked, format!("{locked}: the key is encrypted: write it without a pass")),
        (cert, &other.key, format!("{}: not the key of the certificate in {cert}", other.key)),
        (
            &expired.cert,
            &expired.key,
            "old.test.crt: the certificate expired on 2020-01-02".into(),
        ),
        (
            &early.cert,
            &early.key,
            "new.test.crt: the certificate is not valid before 2990".into(),
        ),
    ] {
        let pair = Pair { cert: cert.clone(), key: key.clone() };
        let line = complaint(&pair, &[]);
        let flag = if pair.cert == good.cert { "--key" } else { "--cert" };
        assert!(line.starts_with(&format!("pointsman: {flag}: ")), "{line}");
        assert!(line.contains(&says), "{line}\n  not: {says}");
    }
    let line = complaint(&good, &["--client-ca", &words]);
    let says = format!("pointsman: --client-ca: {words}: it is not PEM");
    assert!(line.starts_with(&says), "{line}");
}

#[test]
fn keys_of_all_usual_kinds_are_read() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("kinds");
    // PKCS#8 for each, PKCS#1 for RSA, SEC1 for EC.
    for (name, make) in [
        ("pkcs8-rsa", "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out K"),
        ("pkcs1", "openssl genrsa -traditional -out K 2048"),
        ("sec1", "openssl ecparam -genkey -name prime256v1 -out K"),
        ("pkcs8-ec", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out K"),
        ("ed25519", "openssl genpkey -algorithm ED25519 -out K"),
    ] {
        let cert = authority.path(name);
        let key = authority.path(&format!("{name}.key"));
        let script = format!(
            "{} && openssl req -x509 -new -key {} -out {} -days 30 -subj /CN=localhost",
            make.replace(" K", &format!(" {}", key.display())),
            key.display(),
            cert.display()
        );
        let made = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
        let pair = Pair { cert: cert.display().to_string(), key: key.display().to_string() };
        let front = ["-l", "tls://127.0.0.1:0", "-b", "127.0.0.1:1", "--check", "none"];
        let balancer = Balancer::start(&[&front[..], &pair.flags()].concat());
        let text = s_client(balancer.address(), "", &[]);
        assert!(text.contains("subject=CN = localhost"), "{name}: {text}");
    }
}

/// The subject of the certificate that is shown.
fn shown(balancer: &Balancer) -> String {
    let text = s_client(balancer.address(), "", &[]);
    let subject = text.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    subject.unwrap_or(&text).to_owned()
}

#[test]
fn certificates_are_read_again_at_sighup_and_a_broken_one_changes_nothing() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("again");
    let first = authority.pair(&["localhost", "1.test"]);
    let second = authority.pair(&["2.test"]);
    let backend = Backend::echo();
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let balancer = Balancer::start(&[&front[..], &first.flags()].concat());
    assert_eq!(shown(&balancer), "localhost");
    let mut old = authority.client(&balancer);
    std::fs::copy(&second.cert, &first.cert).unwrap();
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("all files stay as they were read before: ");
    assert!(balancer.log().contains("not the key of the certificate in"), "{}", balancer.log());
    assert_eq!(shown(&balancer), "localhost");
    std::fs::copy(&second.key, &first.key).unwrap();
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("read 1 certificate again");
    assert_eq!(shown(&balancer), "2.test");
    old.write_all(b"still here").unwrap();
    let mut back = [0; 10];
    old.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"still here", "no connection was lost");
}

/// As `LoadCredential=` of systemd has it: files that are only read in a folder that is only read,
/// and `RefreshOnReload=` puts another folder in its place.
#[test]
fn credentials_of_systemd_are_files_and_their_folder_may_be_another() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("credentials");
    let folder = authority.path("credentials");
    let credentials = |at: &Path, pair: &Pair, sticky: &str| {
        std::fs::create_dir(at).unwrap();
        let put = |name: &str, bytes: Vec<u8>| {
            std::fs::write(at.join(name), bytes).unwrap();
            let only_read = std::fs::Permissions::from_mode(0o400);
            std::fs::set_permissions(at.join(name), only_read).unwrap();
        };
        put("web.crt", std::fs::read(&pair.cert).unwrap());
        put("web.key", std::fs::read(&pair.key).unwrap());
        put("sticky", sticky.repeat(32).into_bytes());
        put("tokens", format!("ops admin {}\n", "2b".repeat(32)).into_bytes());
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o500)).unwrap();
    };
    credentials(&folder, &authority.pair(&["localhost"]), "a");
    let place = |name: &str| folder.join(name).display().to_string();
    let [cert, key, sticky, tokens] = ["web.crt", "web.key", "sticky", "tokens"].map(place);
    let backend = Backend::echo();
    let flag = backend.flag();
    let args = ["-l", "https://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let more =
        ["--cert", &cert, "--key", &key, "--sticky-cookie", "at", "--sticky-key", &sticky];
    let admin = ["--admin", "http://127.0.0.1:0", "--admin-tokens", &tokens];
    let balancer = Balancer::start(&[&args[..], &more[..], &admin[..]].concat());
    assert_eq!(shown(&balancer), "localhost");
    let next = authority.path("next");
    credentials(&next, &authority.pair(&["2.test"]), "b");
    std::fs::rename(&folder, authority.path("old")).unwrap();
    std::fs::rename(&next, &folder).unwrap();
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("read 1 certificate again");
    assert_eq!(shown(&balancer), "2.test");
}

/// To open one waits until somebody writes to it, and the loop would wait with it.
#[test]
fn a_pipe_in_the_place_of_a_key_stops_nobody() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("pipe");
    let pair = authority.pair(&["localhost"]);
    let backend = Backend::echo();
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let balancer = Balancer::start(&[&front[..], &pair.flags()].concat());
    std::fs::remove_file(&pair.key).unwrap();
    assert!(Command::new("mkfifo").arg(&pair.key).status().unwrap().success());
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("all files stay as they were read before: ");
    assert!(
        balancer.log().contains(&format!("{}: it is not a file", pair.key)),
        "{}",
        balancer.log()
    );
    assert_eq!(shown(&balancer), "localhost");
}

#[test]
fn a_certificate_near_its_end_is_warned_of() {
    let authority = Authority::new("soon");
    let soon = authority.pair_with(&rcgen::PKCS_ECDSA_P256_SHA256, &["soon.test"], |params| {
        let now =
            std::time::SystemTime::now() + std::time::Duration::from_secs(5 * 86_400 + 60);
        params.not_after = now.into();
    });
    let late = authority.pair(&["late.test"]);
    let front = ["-l", "tls://127.0.0.1:0", "-b", "127.0.0.1:1", "--check", "none"];
    let balancer = Balancer::start(&[&front[..], &late.flags(), &soon.flags()].concat());
    balancer.wait_for_log("soon.test.crt: the certificate ends in 5 days, on 20");
    assert!(!balancer.log().contains("late.test.crt"), "{}", balancer.log());
}
