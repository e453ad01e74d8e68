//! Formats of one's own: each variable, what is not known, and what hostile clients make of them.

use super::super::tests::{GET, HOSTILE, http, nobody, over_tls, tcp};
use super::*;
use crate::access_log::{AskedFor, Cause, InFront, Why};
use crate::config::VARIABLES;

fn text(format: &str, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    line(&LineFormat::parse(format).unwrap(), record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn each_variable_has_its_value() {
    let why = Why { cause: Cause::MaxBody, detail: "it is \"large\"".into() };
    let peer = "10.0.0.9:4000".parse().unwrap();
    let in_front = Some(InFront { peer, unique_id: Some("u-1".into()) });
    let record =
        Record { request_id: Some("7f"), in_front, why: Some(why), retries: 2, ..over_tls() };
    let table = [
        ("$time $time_unix", "2009-02-06T12:14:14.655Z 1233922454.655"),
        ("$time_iso8601 $msec", "2009-02-06T12:14:15+00:00 1233922455.764"),
        ("[$time_local]", "[06/Feb/2009:12:14:15 +0000]"),
        ("$client $client_port $remote_user", "10.0.1.2 33317 -"),
        ("$listener $scheme $service $pool", "http://10.0.0.1:80 http main pool"),
        ("$backend $backend_address", "web1 10.0.0.7:81"),
        ("\"$request\"", "\"GET /index.html?a=1 HTTP/1.1\""),
        ("$method $uri $path $query $protocol", "GET /index.html?a=1 /index.html a=1 HTTP/1.1"),
        ("$host $referer $user_agent", "example.org http://example.org/ curl/8.5"),
        ("$request_id $status", "7f 200"),
        ("$proxy_peer $proxy_unique_id", "10.0.0.9:4000 u-1"),
        ("$bytes_out $bytes_in $body_bytes", "2750 321 2500"),
        ("$datagrams_out $datagrams_in", "- -"),
        ("$ms_head $ms_queue $ms_connect", "10.000 0.000 30.000"),
        ("$ms_first_byte $ms_total", "69.000 1109.000"),
        ("$request_time $upstream_connect_time $upstream_header_time", "1.109 0.030 0.099"),
        ("$tries $retries $ended $state", "3 2 refused --"),
        (
            "$reason \"$detail\" $detail",
            "max-body \"it is \\x22large\\x22\" it\\x20is\\x20\\x22large\\x22",
        ),
        ("$tls_version $tls_cipher $sni", "TLSv1.3 TLS_AES_128_GCM_SHA256 a.example"),
        ("$tls_error", "-"),
        ("$connections $connections_listener", "5 4"),
        ("$connections_pool $connections_backend", "3 2"),
    ];
    let mut rows = 0;
    for (format, wanted) in table {
        assert_eq!(text(format, &record), wanted, "{format}");
        rows += VARIABLES.iter().filter(|row| names(format, row.name)).count();
    }
    assert_eq!(rows, VARIABLES.len(), "each is in the table");
}

fn names(format: &str, name: &str) -> bool {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    format.split('$').skip(1).any(|it| it.split(is_end).next() == Some(name))
}

#[test]
fn what_nginx_logs_is_what_combined_says() {
    let nginx = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                 $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
    let record = http(Some(GET), 200);
    let mut combined = Vec::new();
    super::super::combined::line(&record, &mut combined);
    assert_eq!(text(nginx, &record).as_bytes(), combined);
}

#[test]
fn what_is_not_known_is_a_dash() {
    let all: Vec<String> = VARIABLES.iter().map(|row| format!("${}", row.name)).collect();
    for record in [nobody(400), tcp(), http(None, 0), http(Some(GET), 200)] {
        let line = text(&all.join("|"), &record);
        assert_eq!(line.split('|').count(), VARIABLES.len(), "{line}");
        assert!(line.split('|').all(|value| !value.is_empty()), "{line}");
    }
    assert_eq!(text("$request $uri $status $ms_connect $backend", &nobody(0)), "- - - - -");
    assert_eq!(text("$tries", &nobody(0)), "0");
    assert_eq!(text("\"$query\"", &http(Some(AskedFor { target: b"/", ..GET }), 200)), "\"-\"");
    assert_eq!(text("$$ $$status", &tcp()), "$ $status");
}

#[test]
fn hostile_clients_forge_no_line_and_no_field() {
    let format = "$client \"$request\" $uri $path \"$user_agent\" $user_agent $host $sni \
                  $referer $method $detail";
    let words = |line: &str| {
        let outside: String = line.split('"').step_by(2).collect();
        outside.split(' ').count()
    };
    let tame = text(format, &http(Some(GET), 200));
    for bytes in HOSTILE.into_iter().chain([&b"a b"[..], b" 200 0"]) {
        let asked = AskedFor {
            method: bytes,
            target: bytes,
            host: bytes,
            referer: bytes,
            user_agent: bytes,
            ..GET
        };
        let word = String::from_utf8_lossy(bytes).into_owned();
        let why = Why { cause: Cause::BadRequest, detail: word.as_str().into() };
        let record =
            Record { server_name: Some(&word), why: Some(why), ..http(Some(asked), 200) };
        let line = text(format, &record);
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        assert_eq!(line.matches('"').count(), 4, "{line}");
        assert_eq!(words(&line), words(&tame), "{line}");
    }
}
