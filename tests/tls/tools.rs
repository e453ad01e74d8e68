//! Other people's tools judge our TLS: sslscan, sslyze, testssl.sh, and a battery of what no client
//! should say, written with tlslite-ng.
//!
//! `.ci/run` puts them in place. Without them a test says that it is skipped, except under
//! `CI=true`, where that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm};

use crate::authority::Authority;
use crate::common::Balancer;
use crate::common::http::Origin;
use crate::common::measure::skip;
use crate::common::servers::missing;

/// The Python that has the packages of `tls/requirements.txt`.
fn python() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
    let python = home.join("bin/python");
    if home.join("requirements.txt").exists() && python.exists() {
        return Some(python);
    }
    skip("no Python with the packages that .ci/run installs");
    None
}

/// A listener as one would have it on the Internet, with a certificate for a season.
fn served(
    authority: &Authority,
    origin: &Origin,
    algorithm: &'static SignatureAlgorithm,
) -> Balancer {
    let pair = authority.pair_with(algorithm, &["localhost", "127.0.0.1"], |params| {
        let season = Duration::from_secs(90 * 24 * 3600);
        params.not_before = SystemTime::now().into();
        params.not_after = (SystemTime::now() + season).into();
        params.use_authority_key_identifier_extension = true;
    });
    let flag = origin.backend.flag();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &flag];
    let more = ["--hsts", "31536000", "--log-level", "info"];
    Balancer::start(&[&front[..], &pair.flags(), &more].concat())
}

fn text_of(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn sslyze_finds_what_mozilla_recommends() {
    let Some(python) = python() else { return };
    let authority = Authority::new("sslyze");
    let origin = Origin::named("a");
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256] {
        let balancer = served(&authority, &origin, algorithm);
        let mut sslyze = Command::new(&python);
        sslyze.args(["-m", "sslyze", "--mozilla_config", "intermediate"]);
        sslyze.args(["--certinfo_ca_file", &authority.file()]);
        let place = format!("localhost:{}", balancer.address().port());
        let (good, text) = text_of(sslyze.arg(place));
        assert!(good && text.contains("OK - Compliant."), "{text}");
        for line in ["VULNERABLE", "Certificate is NOT Trusted by the CA file"] {
            assert!(!text.contains(&format!("FAILED - {line}")), "{text}");
        }
        balancer.wait_until_idle();
    }
}

#[test]
fn sslscan_sees_two_versions_and_no_weak_cipher() {
    if missing(&["sslscan"]) {
        return;
    }
    let authority = Authority::new("sslscan");
    let origin = Origin::named("a");
    let balancer = served(&authority, &origin, &PKCS_RSA_SHA256);
    let mut sslscan = Command::new("sslscan");
    sslscan.args(["--no-colour", "--sni-name=localhost", &balancer.address().to_string()]);
    let (good, text) = text_of(&mut sslscan);
    assert!(good, "{text}");
    // Without a version below 1.2 there is nothing to fall back to, so that TLS_FALLBACK_SCSV is
    // not asked after.
    for line in [
        "SSLv2     disabled",
        "SSLv3     disabled",
        "TLSv1.0   disabled",
        "TLSv1.1   disabled",
        "TLSv1.2   enabled",
        "TLSv1.3   enabled",
        "Session renegotiation not supported",
        "TLSv1.3 not vulnerable to heartbleed",
        "TLSv1.2 not vulnerable to heartbleed",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let ciphers = text
        .lines()
        .filter(|line| line.starts_with("Accepted  TLS") || line.starts_with("Preferred TLS"));
    let ciphers: Vec<&str> = ciphers.collect();
    assert_eq!(ciphers.len(), 6, "{text}");
    for cipher in ciphers {
        assert!(cipher.contains("GCM") || cipher.contains("CHACHA20"), "{cipher}");
        assert!(
            cipher.contains("_AES") || cipher.contains("ECDHE") || cipher.contains("CHACHA")
        );
    }
    balancer.wait_until_idle();
}

#[test]
fn testssl_has_no_objection() {
    if missing(&["testssl"]) {
        return;
    }
    let authority = Authority::new("testssl");
    let origin = Origin::named("a");
    let balancer = served(&authority, &origin, &PKCS_ECDSA_P256_SHA256);
    let findings = authority.path("findings.csv").display().to_string();
    let mut testssl = Command::new("testssl");
    testssl.args(["--quiet", "--color", "0", "--warnings", "batch", "--csvfile", &findings]);
    // Versions, header fields, and those holes that a server of our time could still have.
    testssl.args(["-p", "-h", "-H", "-I", "-T", "-R", "-C", "-B"]);
    let (_, text) = text_of(testssl.arg(balancer.address().to_string()));
    let csv = std::fs::read_to_string(&findings).expect(&text);
    let rows: Vec<Vec<&str>> = csv
        .lines()
        .skip(1)
        .map(|line| line.trim_matches('"').split("\",\"").collect())
        .collect();
    assert!(rows.len() >= 15, "{csv}\n{text}");
    // What it misses in the OpenSSL that it uses itself says nothing of us, and what browsers are
    // to be told of a page is its author's to say.
    let not_ours = ["engine_problem", "security_headers"];
    for row in rows.iter().filter(|row| !not_ours.contains(&row[0])) {
        let id = row[0];
        let severity = row[3];
        assert!(matches!(severity, "OK" | "INFO"), "{id} is {severity}: {row:?}");
    }
    for (id, finding) in [
        ("TLS1_1", "not offered"),
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered with final"),
        ("heartbleed", "not vulnerable, no heartbeat extension"),
        ("CCS", "not vulnerable"),
        ("ticketbleed", "not vulnerable"),
        ("secure_renego", "supported"),
        ("secure_client_renego", "not vulnerable"),
        ("HSTS_time", "365 days (=31536000 seconds)"),
    ] {
        let row = rows.iter().find(|row| row[0] == id);
        let row = row.unwrap_or_else(|| panic!("no {id}: {csv}"));
        assert!(row[4].starts_with(finding), "{id}: {row:?}");
    }
    balancer.wait_until_idle();
}

/// Broken, reordered, split and oversized records and messages: each finds its alert, and nobody
/// is harmed.
#[test]
fn a_battery_of_broken_bytes_finds_the_right_alerts() {
    let Some(python) = python() else { return };
    let authority = Authority::new("battery");
    let origin = Origin::saying(crate::common::http::ok("well"));
    let balancer = served(&authority, &origin, &PKCS_ECDSA_P256_SHA256);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/battery.py");
    let mut battery = Command::new(&python);
    battery.arg(&script).arg(balancer.address().port().to_string());
    let (good, text) = text_of(&mut battery);
    assert!(good && text.contains(" cases, 0 wrong"), "{text}");
    balancer.wait_until_idle();
    crate::ends::wait_until_asleep(&balancer);
    balancer.stop();
}
