//! What the access log says of TLS, beside what curl and OpenSSL say of the same connection.

use std::fs::read_to_string;

use serde_json::Value;

use crate::authority::{Authority, curl, s_client};
use crate::clients::https;
use crate::common::http::Origin;
use crate::common::servers::missing;
use crate::common::{Backend, Balancer, until};

/// The lines of an access log in JSON, once there are so many.
fn lines(file: &str, count: usize) -> Vec<Value> {
    let read = || read_to_string(file).unwrap_or_default();
    until(&format!("{count} lines in {}", read()), || read().lines().count() >= count);
    read().lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

fn tls(line: &Value) -> [&str; 3] {
    ["tls_version", "tls_cipher", "server_name"].map(|name| line[name].as_str().unwrap_or("-"))
}

#[test]
fn the_access_log_says_of_tls_what_curl_says() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("logged-curl");
    let origin = Origin::named("a");
    let file = authority.path("access.log").display().to_string();
    let more = ["--access-log", &file, "--access-log-format", "json"];
    let balancer = https(&authority, &origin, &more);
    let port = balancer.address().port();
    let ca = authority.file();
    let named = format!("https://localhost:{port}/");
    let by_address = format!("https://127.0.0.1:{port}/");
    let mut count = 0;
    for (flags, url, name) in [
        (&["--tlsv1.3"][..], &named, "localhost"),
        (&["--tls-max", "1.2"], &named, "localhost"),
        (
            &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"],
            &named,
            "localhost",
        ),
        (
            &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            &named,
            "localhost",
        ),
        (&["--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"], &named, "localhost"),
        (&["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"], &by_address, "-"),
    ] {
        // Two requests on one connection: both lines say it.
        let fixed = ["-v", "--cacert", &ca, "-o", "/dev/null", "-o", "/dev/null", url, url];
        let (good, _, told) = curl(&[flags, &fixed].concat());
        assert!(good, "{flags:?}: {told}");
        let says = told.split_once("SSL connection using ").expect("curl says it").1;
        let says = says.lines().next().expect("a line");
        let (version, cipher) = says.split_once(" / ").expect("two words");
        count += 2;
        let all = lines(&file, count);
        for line in &all[count - 2..] {
            assert_eq!(tls(line), [version, cipher, name], "{flags:?}: {line}");
            assert_eq!((&line["pool"], &line["status"]), (&"main".into(), &200.into()));
        }
    }
    // Nobody shook hands: nothing was agreed on.
    let plain = format!("http://127.0.0.1:{port}/");
    curl(&["-o", "/dev/null", &plain]);
    assert_eq!(tls(&lines(&file, count + 1)[count]), ["-", "-", "-"]);
    balancer.stop();
}

#[test]
fn the_access_log_says_of_tls_what_openssl_says() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("logged-openssl");
    let pair = authority.pair(&["a.test"]);
    let echo = Backend::echo();
    let file = authority.path("access.log").display().to_string();
    let log = ["--access-log", &file, "--access-log-format", "json"];
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "-b"];
    let inner = Balancer::start(&[&front[..], &[&echo.flag()], &pair.flags(), &log].concat());
    let passing = authority.path("passing.log").display().to_string();
    let route = format!("a.test={}", inner.address());
    let outer = Balancer::start(&[
        "-l",
        "sni://127.0.0.1:0",
        "--check",
        "none",
        "--route",
        &route,
        "--access-log",
        &passing,
        "--access-log-format",
        "json",
    ]);
    for (number, flag) in ["-tls1_3", "-tls1_2"].into_iter().enumerate() {
        let told = s_client(outer.address(), "hello", &[flag, "-servername", "a.test"]);
        let says =
            told.lines().find_map(|line| line.strip_prefix("New, ")).expect("it says it");
        let (version, cipher) = says.split_once(", Cipher is ").expect("two words");
        let of_us = lines(&file, number + 1).remove(number);
        assert_eq!(tls(&of_us), [version, cipher, "a.test"], "{told}");
        // Where TLS only passes, its name alone is known.
        let of_other = lines(&passing, number + 1).remove(number);
        assert_eq!(tls(&of_other), ["-", "-", "a.test"]);
        assert_eq!(of_other["pool"], "a.test");
    }
    // A client that refuses our certificate has agreed on what it was shown.
    let told =
        s_client(inner.address(), "", &["-servername", "a.test", "-verify_return_error"]);
    let line = lines(&file, 3).remove(2);
    assert!(line["tls_error"].is_string(), "{line}: {told}");
    assert_eq!(line["server_name"], "a.test");
    outer.stop();
    inner.stop();
}
