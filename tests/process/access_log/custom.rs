//! JSON that programs read and formats of one's own, under good requests and hostile ones.

use std::io::{Read, Write};

use rustix::process::Signal;
use serde_json::Value;

use super::{GOOD, Place, get, http_before, says, tell};
use crate::common::{Backend, Balancer};

/// Requests, and whether they are understood. None has more than one.
fn mix() -> Vec<(Vec<u8>, bool)> {
    let agent = |bytes: &[u8]| [b"User-Agent: ", bytes, b"\r\n"].concat();
    let with = |field: Vec<u8>| {
        let end = &b"Connection: close\r\n\r\n"[..];
        [b"GET /x?y=z HTTP/1.1\r\nHost: a.example\r\n", &field[..], end].concat()
    };
    vec![
        (get("/", ""), true),
        (get("/%22%0a?q=\\\"'", "Referer: http://b/\r\n"), true),
        (with(agent(b"\" 200 0 \"-\" \"forged\"")), true),
        (with(agent(b"a\tb\\\"\\x22\\")), true),
        (with(agent("\u{202e}\u{2028}\u{85}\u{1f600}".as_bytes())), true),
        (with(agent(b"\xff\xfe\x80")), true),
        (with(agent(b"$status $$ ${uri} %s {}")), true),
        (with(agent(&[b'x'; 4000])), true),
        (with(agent(b"a\x1b[2Jb")), false),
        (b"rubbish\r\n\r\n".to_vec(), false),
        (b"GET /\x01\x7f HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), false),
        (b"GET / HTTP/1.1\nHost: a\n\n\"}\n{\"time\":1}".to_vec(), false),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), false),
        (get("/\"/{}[]|\\^`", ""), false),
    ]
}

/// Whatever it answers, if it answers: some of it is closed with RST.
fn say(balancer: &Balancer, bytes: &[u8]) {
    let mut stream = balancer.connect();
    stream.write_all(bytes).expect("it listens");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn every_line_of_json_can_be_read_whatever_clients_send() {
    let place = Place::new("mix.json");
    let backend = says(GOOD);
    let more = ["--access-log", place.flag(), "--access-log-format", "json"];
    let balancer = http_before(&[&backend.flag()], &more);
    let mut good = 0;
    for (bytes, is_good) in mix() {
        say(&balancer, &bytes);
        good += usize::from(is_good);
    }
    let lines = place.lines(mix().len());
    balancer.stop();
    let mut answered = 0;
    for line in &lines {
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for name in ["time", "client", "listener", "service", "pool", "ended", "state"] {
            assert!(value[name].is_string(), "{name} in {line}");
        }
        assert_eq!((&value["service"], &value["pool"]), (&"main".into(), &"main".into()));
        assert!(value.get("tls_version").is_none() && value.get("request_id").is_none());
        assert!(
            value["ms"]["total"].is_number() && value["bytes_to_client"].is_u64(),
            "{line}"
        );
        answered += usize::from(value["status"] == 200);
        if value["status"] == 200 {
            assert_eq!(value["backend_address"], backend.name(), "{line}");
        }
    }
    assert!(answered >= good, "{answered} of {good}: {lines:?}");
}

#[test]
fn a_format_of_ones_own_has_its_fields_and_no_client_forges_one() {
    let place = Place::new("custom");
    let backend = says(GOOD);
    let format = "custom:$time_unix|$client|$client_port|$service|$pool|$backend|$status|\
                  $bytes_out|$ms_total|$method|$uri|$tls_version|\"$user_agent\"|$$";
    let more = ["--access-log", place.flag(), "--access-log-format", format];
    let balancer = http_before(&[&backend.flag()], &more);
    mix().iter().for_each(|(bytes, _)| say(&balancer, bytes));
    let lines = place.lines(mix().len());
    balancer.stop();
    for ((bytes, is_good), line) in mix().iter().zip(&lines) {
        let outside: Vec<&str> = line.split('"').collect();
        assert_eq!(outside.len(), 3, "two quotes are ours: {line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        assert!(line.ends_with("\"|$"), "{line}");
        if !is_good {
            continue;
        }
        let fields: Vec<&str> = outside[0].split('|').collect();
        assert_eq!(fields.len(), 13, "{line}");
        let expected = ["127.0.0.1", "main", "main", &backend.name(), "200", "GET", "-"];
        assert_eq!([1, 3, 4, 5, 6, 9, 11].map(|at| fields[at]), expected, "{line}");
        let number = |at: usize| fields[at].parse::<f64>().expect("a number");
        assert!(number(0) > 1.7e9 && number(2) > 0.0 && number(8) >= 0.0, "{line}");
        assert!(number(7) >= GOOD.len() as f64, "{line}");
        let uri = bytes.split(|&byte| byte == b' ').nth(1).expect("a target");
        let plain = !uri.iter().any(|byte| b"\"\\".contains(byte));
        assert!(!plain || fields[10].as_bytes() == uri, "{line}");
    }
    let agents: Vec<&str> = lines.iter().map(|it| it.split('"').nth(1).expect("it")).collect();
    assert_eq!(agents[2], "\\x22 200 0 \\x22-\\x22 \\x22forged\\x22");
    assert_eq!(agents[3], "a\\x09b\\x5C\\x22\\x5Cx22\\x5C");
    assert_eq!(agents[6], "$status $$ ${uri} %s {}");
    assert_eq!(agents[9], "-");
}

#[test]
fn a_file_has_a_format_of_its_own_and_a_reload_another() {
    let place = Place::new("custom-file");
    let file = Place::new("custom-file.toml");
    let backend = says(GOOD);
    let text = |format: &str| {
        format!(
            "[global.access_log]\nfile = \"{}\"\nformat = '{format}'\n\
             [listener.front]\nbind = \"http://127.0.0.1:0\"\n\
             [service.shop]\nlisten = [\"front\"]\npool = \"carts\"\n\
             [pool.carts]\nbackends = [\"{}\"]\ncheck = \"none\"\n",
            place.flag(),
            backend.flag()
        )
    };
    std::fs::write(&file.0, text("custom:$service/$pool $${status} $$$$")).expect("written");
    let balancer = Balancer::start(&["--config", file.flag()]);
    tell(&balancer, &get("/", ""));
    assert_eq!(place.lines(1), ["shop/carts 200 $"]);
    std::fs::write(&file.0, text("custom:$statsu")).expect("written");
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("did you mean $status?");
    std::fs::write(&file.0, text("custom:$method $tries")).expect("written");
    balancer.signal(Signal::HUP);
    balancer.wait_for_log(" generation 2: ");
    tell(&balancer, &get("/", ""));
    assert_eq!(place.lines(2)[1], "GET 1");
    balancer.stop();
}

#[test]
fn the_id_of_a_request_is_a_variable() {
    let place = Place::new("custom-id");
    let backend = says(GOOD);
    let format = "custom:$request_id $status";
    let log = ["--access-log", place.flag(), "--access-log-format", format];
    let more = [&log[..], &["--request-id", "keep"]].concat();
    let balancer = http_before(&[&backend.flag()], &more);
    tell(&balancer, &get("/", "X-Request-Id: from-the-client\r\n"));
    tell(&balancer, &get("/", "X-Request-Id: \"forged\" 500\r\n"));
    let lines = place.lines(2);
    balancer.stop();
    assert_eq!(lines[0], "from-the-client 200");
    let (id, status) = lines[1].split_once(' ').expect("two words");
    assert!(status == "200" && id.len() > 8 && !id.contains("forged"), "{lines:?}");
}

#[test]
fn tcp_has_lines_in_a_format_of_ones_own() {
    let place = Place::new("custom-tcp");
    let echo = Backend::echo();
    let format = "custom:$scheme $service $backend $backend_address $status $bytes_out $ended";
    let more = ["--access-log", place.flag(), "--access-log-format", format];
    let balancer = Balancer::before(&[&echo], &more);
    let stream = balancer.connect();
    assert_eq!(crate::common::ask(&stream, b"hello"), b"hello");
    stream.shutdown(std::net::Shutdown::Write).expect("it is there");
    crate::common::read_to_end(&stream);
    let name = echo.name();
    assert_eq!(place.lines(1), [format!("tcp main {name} {name} - 5 finished")]);
    balancer.stop();
}
