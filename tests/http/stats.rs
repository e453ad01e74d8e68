//! The pages that the balancer answers itself: `--health-path` and `--stats-path`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use pointsman::limits::{STATS_PAGE_EVERY, STATS_ROWS_PER_TURN};

use crate::common::authority::Authority;
use crate::common::{Backend, Balancer, BlackHole, free_port, until};

/// A balancer with both pages before these backends.
fn before(backends: &[&str], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "http://127.0.0.1:0", "--health-path", "/up"];
    args.extend(["--stats-path", "/stats"]);
    args.extend(backends.iter().flat_map(|flag| ["-b", flag]));
    if !more.contains(&"--check") {
        args.extend(["--check", "none"]);
    }
    args.extend(more);
    Balancer::start(&args)
}

/// Answers every request whose head comes in one piece with `answer`.
fn http(answer: &'static str) -> Backend {
    Backend::start(move |mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer) {
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The status, the head and the body of the answer to a request on a connection of its own.
fn exchange(balancer: &Balancer, request: &str) -> (u16, String, String) {
    let mut stream = balancer.connect();
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn ask(balancer: &Balancer, method: &str, target: &str) -> (u16, String, String) {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    exchange(balancer, &request)
}

fn stats(balancer: &Balancer) -> String {
    let (status, head, body) = ask(balancer, "GET", "/stats");
    assert_eq!(status, 200);
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    body
}

/// What follows `"name":` in the part of `text` that begins with `from`.
fn value<'a>(text: &'a str, from: &str, name: &str) -> &'a str {
    let part = text.split_once(from).unwrap_or_else(|| panic!("{from} in {text}")).1;
    let after = part.split_once(&format!("\"{name}\":")).expect("the member is there").1;
    after.split([',', '}']).next().expect("a value")
}

#[test]
fn health_says_whether_anybody_is_up() {
    let backend = Backend::echo();
    let more = ["--check", "tcp", "--check-interval", "100ms", "--fall", "1", "--rise", "1"];
    let balancer = before(&[&backend.flag()], &more);
    let (status, head, body) = ask(&balancer, "GET", "/up");
    assert_eq!((status, &*body), (200, "OK"), "{head}");
    let (status, _, body) = ask(&balancer, "HEAD", "/up?really=1");
    assert_eq!((status, &*body), (200, ""));
    let address = backend.address;
    drop(backend);
    until("health is 503", || ask(&balancer, "GET", "/up").0 == 503);
    let key = format!("\"http://{address}\"");
    assert!(stats(&balancer).starts_with(&format!("{{\"health\":{{{key}:false}}")));
    let (_, head, _) = ask(&balancer, "GET", "/up");
    assert!(head.contains("\r\nRetry-After: "), "{head}");
    balancer.stop();
}

#[test]
fn own_pages_are_read_only_and_nothing_else_is_taken() {
    let backend = http(GOOD);
    let balancer = before(&[&backend.flag()], &[]);
    for path in ["/up", "/stats"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "FETCH"] {
            let (status, head, _) = ask(&balancer, method, path);
            assert_eq!(status, 405, "{method} {path}");
            assert!(head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
        }
        assert_eq!(ask(&balancer, "GET", &format!("http://a{path}")).0, 200, "a whole URL");
    }
    assert_eq!(backend.accepted(), 0, "no backend was asked");
    for other in ["/", "/up/", "/UP", "//up", "/upper", "/%75p", "*"] {
        let method = if other == "*" { "OPTIONS" } else { "GET" };
        let (status, _, body) = ask(&balancer, method, other);
        assert_eq!((status, &*body), (200, "hello"), "{other}");
    }
    balancer.stop();
}

#[test]
fn own_pages_take_their_turn_in_a_pipeline() {
    let backend = http(GOOD);
    let balancer = before(&[&backend.flag()], &[]);
    let one = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let all = [one("/up"), one("/a"), one("/up"), one("/b"), one("/stats"), last.to_owned()];
    let mut stream = balancer.connect();
    stream.write_all(all.concat().as_bytes()).expect("it listens");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("answers");
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 6, "{answers}");
    assert!(answers.ends_with("\r\n\r\nOK"), "{answers}");
    // With a body, the page is the last answer, and the body is no request.
    let body = "GET /up HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = body.len();
    let posted =
        format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
    let (status, head, body) = exchange(&balancer, &posted);
    assert!(status == 405 && head.contains("Connection: close"), "{head}");
    assert!(!body.contains("HTTP/1.1"), "{body}");
    balancer.stop_after(stream);
}

#[test]
fn the_statistics_count_answers_and_errors_by_kind() {
    let good = http(GOOD);
    let bad = http("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let broken = http("this is no answer");
    let gone = free_port();
    let hole = BlackHole::start();
    let name = |flag: String, name: &str| format!("{flag},name={name}");
    let flags = [
        name(good.flag(), "good"),
        name(bad.flag(), "bad"),
        name(broken.flag(), "broken"),
        name(gone.to_string(), "gone"),
        name(hole.flag(), "hole"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let more = [
        "-a",
        "round-robin",
        "--connect-timeout",
        "100ms",
        "--retries",
        "0",
        "--eject-after",
        "0",
    ];
    let balancer = before(&flags, &more);
    let mut statuses: Vec<u16> = (0..5).map(|_| ask(&balancer, "GET", "/").0).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 500, 502, 502, 504]);
    let text = stats(&balancer);
    let of = |backend: &str, name| value(&text, &format!("\"name\":\"{backend}\""), name);
    let table = [
        ("good", [("2xx", "1"), ("5xx", "0"), ("connect", "0"), ("broken", "0")]),
        ("bad", [("2xx", "0"), ("5xx", "1"), ("connect", "0"), ("broken", "0")]),
        ("broken", [("2xx", "0"), ("5xx", "0"), ("connect", "0"), ("broken", "1")]),
        ("gone", [("2xx", "0"), ("5xx", "0"), ("connect", "1"), ("broken", "0")]),
        ("hole", [("2xx", "0"), ("5xx", "0"), ("connect", "1"), ("broken", "0")]),
    ];
    for (backend, members) in table {
        for (name, wanted) in members {
            assert_eq!(of(backend, name), wanted, "{name} of {backend} in {text}");
        }
    }
    assert_ne!(of("good", "p50"), "null");
    assert_eq!(of("hole", "p99"), "null");
    assert_eq!(of("good", "state"), "\"unknown\"");
    assert_eq!(value(&text, "\"process\"", "requests"), "6");
    assert_ne!(value(&text, "\"process\"", "connections_open"), "0");
    let received: u64 = of("good", "received").parse().expect("a number");
    assert!(received >= GOOD.len() as u64, "{text}");
    assert!(of("good", "sent").parse::<u64>().expect("a number") > 20, "{text}");
    balancer.stop();
}

/// The members of a page by their paths, lists left out: `process.requests`. No text in it has
/// brackets or quotes.
fn paths(page: &str) -> BTreeSet<String> {
    let mut above: Vec<String> = Vec::new();
    let mut found = BTreeSet::new();
    let mut name = String::new();
    let mut parts = page.split('"');
    // Between the quotes is every other part.
    let mut between = parts.next().unwrap_or_default();
    loop {
        for byte in between.bytes() {
            match byte {
                b'{' | b'[' => above.push(std::mem::take(&mut name)),
                b'}' | b']' => drop(above.pop()),
                _ => {}
            }
        }
        let (Some(text), Some(behind)) = (parts.next(), parts.next()) else { return found };
        if behind.starts_with(':') {
            let path = above.iter().map(String::as_str).chain([text]);
            let path: Vec<&str> = path.filter(|part| !part.is_empty()).collect();
            let is_plain = !behind.starts_with(":{") && !behind.starts_with(":[");
            if is_plain || path.len() == 1 {
                found.insert(path.join("."));
            }
            // What comes behind a plain one is not in it.
            name = if is_plain { String::new() } else { text.to_owned() };
        }
        between = behind;
    }
}

/// Programs read them: what is on a page is in the list, and what is in the list on a page.
#[test]
fn every_number_is_in_the_manual() {
    let backend = http(GOOD);
    let log = std::env::temp_dir().join(format!("pointsman-stats-{}", std::process::id()));
    let log = log.to_str().expect("a name");
    let route = format!("a.example={}", backend.address);
    let authority = Authority::new("stats");
    let pair = authority.pair(&["localhost"]);
    let more = [
        "-l",
        "https://127.0.0.1:0",
        "-l",
        "udp://127.0.0.1:0",
        "-l",
        "sni://127.0.0.1:0",
        "--access-log",
        log,
        "--route",
        &route,
        "--limit-connections",
        "1000",
    ];
    let more = [&more[..], &pair.flags()].concat();
    let balancer = before(&[&backend.name()], &more);
    assert_eq!(ask(&balancer, "GET", "/").0, 200);
    let page = stats(&balancer);
    std::fs::remove_file(log).expect("it was written");
    let manual = include_str!("../../docs/stats.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let told: BTreeSet<String> = rows.map(|name| name.trim_matches('`').to_owned()).collect();
    let is_keyed =
        |path: &String| path.starts_with("health.") || path.starts_with("connections.");
    let mut found: BTreeSet<String> =
        paths(&page).into_iter().filter(|path| !is_keyed(path)).collect();
    for list in ["process", "udp", "listeners", "guard", "routes", "backends"] {
        assert!(found.remove(list), "{list}: {page}");
    }
    found.insert("routes.backends".to_owned());
    let wrong: Vec<_> = told.symmetric_difference(&found).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {page}");
    balancer.stop();
}

#[test]
fn late_answers_are_timeouts_and_requests_in_flight_are_seen() {
    let (backend, streams) = Backend::manual();
    let balancer = before(&[&backend.flag()], &["--server-timeout", "3s"]);
    let mut client: TcpStream = balancer.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it");
    let _held = streams.recv_timeout(crate::common::DEADLINE).expect("a connection");
    let key = format!("http://{}", backend.address);
    assert_eq!(value(&stats(&balancer), "\"connections\"", &key), "1");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    let text = stats(&balancer);
    assert_eq!(value(&text, "\"connections\"", &key), "0");
    assert_eq!(value(&text, "\"errors\"", "timeout"), "1");
    balancer.stop_after(client);
}

#[test]
fn the_statistics_of_a_thousand_backends_are_sent_whole() {
    let backends: Vec<String> = (1..=1000).map(|port| format!("127.0.0.1:{port}")).collect();
    let flags: Vec<&str> = backends.iter().map(String::as_str).collect();
    let balancer = before(&flags, &["--keep-alive", "5s"]);
    let (status, head, body) = ask(&balancer, "GET", "/stats");
    assert_eq!(status, 200);
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    assert!(body.len() > 300_000, "{} bytes are no test", body.len());
    assert!(body.ends_with("}]}\n"));
    balancer.stop();
}

/// How often the page's numbers differ: a page that is shared says the same to all.
#[test]
fn a_page_is_made_at_most_every_quarter_of_a_second() {
    let backend = http(GOOD);
    let balancer = before(&[&backend.flag()], &[]);
    let began = Instant::now();
    let pages: Vec<String> = (0..200).map(|_| stats(&balancer)).collect();
    let different: BTreeSet<&String> = pages.iter().collect();
    let most = began.elapsed().as_millis() / 250 + 1;
    let count = different.len() as u128;
    let all = pages.len();
    assert!(count <= most, "{count} pages for {all} readers, {most} at most");
    balancer.stop();
}

#[test]
fn head_makes_no_page() {
    let backend = http(GOOD);
    let balancer = before(&[&backend.flag()], &[]);
    let (status, head, body) = ask(&balancer, "HEAD", "/stats");
    assert_eq!((status, &*body), (200, ""));
    assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
    // Nobody knows how long it would be.
    assert!(!head.contains("Content-Length"), "{head}");
    // Behind HEAD the next request is answered.
    let text = "HEAD /stats HTTP/1.1\r\nHost: a\r\n\r\nGET /up HTTP/1.1\r\nHost: a\r\n\
                Connection: close\r\n\r\n";
    let (_, _, rest) = exchange(&balancer, text);
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\nOK"), "{rest}");
    balancer.stop();
}

/// Turns until now, as a page says that was begun then.
fn turns(balancer: &Balancer) -> usize {
    value(&stats(balancer), "\"process\"", "turns").parse().expect("a number")
}

/// Neither page of thousands of backends is one turn's work.
#[test]
fn the_pages_of_many_backends_take_many_turns() {
    const BACKENDS: usize = 2000;
    let flags: Vec<String> = (1..=BACKENDS).map(|port| format!("127.0.0.1:{port}")).collect();
    let flags: Vec<&str> = flags.iter().map(|flag| &**flag).collect();
    let balancer = before(&flags, &["--log-level", "info"]);
    // A backend's rows: taken, twice by its address, its own, and freed. Some are of one turn.
    let least = 5 * BACKENDS / STATS_ROWS_PER_TURN;
    let before = turns(&balancer);
    // Until then the same page is shown.
    let pause = STATS_PAGE_EVERY;
    std::thread::sleep(pause);
    let after = turns(&balancer);
    assert!(after - before >= least, "{before}, {after}");
    assert_eq!(balancer.page().len(), 2 + BACKENDS);
    std::thread::sleep(pause);
    let last = turns(&balancer);
    // Taken, and written.
    let least = least + 2 * BACKENDS / STATS_ROWS_PER_TURN;
    assert!(last - after >= least, "{after}, {last}");
    balancer.stop();
}

/// Many backends: the page is made in slices, and is whole all the same.
#[test]
fn the_page_of_many_backends_is_made_in_slices_and_shared_by_readers_that_read_nothing() {
    const BACKENDS: usize = 3000;
    const READERS: usize = 100;
    let flags: Vec<String> = (1..=BACKENDS).map(|port| format!("127.0.0.1:{port}")).collect();
    let flags: Vec<&str> = flags.iter().map(|flag| &**flag).collect();
    let balancer = before(&flags, &["--log-level", "info"]);
    let page = stats(&balancer);
    for number in [1, 64, 65, BACKENDS] {
        let name = format!("{{\"name\":\"127.0.0.1:{number}\",");
        assert_eq!(page.matches(&name).count(), 1, "{name}");
    }
    assert!(page.ends_with("}]}\n") && page.len() > 400 * BACKENDS, "{} bytes", page.len());
    let memory = balancer.memory();
    // Each of them asks for a page of its own, if there were such a thing.
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut reader = balancer.connect();
            socket2::SockRef::from(&reader).set_recv_buffer_size(4096).unwrap();
            reader.write_all(b"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            // The head is there, so the page is.
            reader.read_exact(&mut [0; 64]).unwrap();
            reader
        })
        .collect();
    let more = balancer.memory().saturating_sub(memory);
    println!("{} bytes a page, {more} more for {READERS} readers", page.len());
    assert!(more < 8 * page.len(), "{more} bytes for {READERS} readers of {}", page.len());
    assert_eq!(ask(&balancer, "GET", "/up").0, 200, "the others are served");
    drop(readers);
    assert!(stats(&balancer).ends_with("}]}\n"));
    balancer.stop();
}

/// By the address of the connection: what a client says of itself in fields counts for nothing.
#[test]
fn the_statistics_are_for_those_who_may_and_the_health_for_everybody() {
    let to_all = before(&["127.0.0.1:1"], &["--stats-allow", "10.0.0.0/8,127.0.0.0/8"]);
    assert_eq!(ask(&to_all, "GET", "/stats").0, 200);
    let to_others = before(&["127.0.0.1:1"], &["--stats-allow", "10.0.0.0/8"]);
    for method in ["GET", "POST"] {
        let (status, _, body) = ask(&to_others, method, "/stats");
        assert_eq!((status, &*body), (403, "403 Forbidden: not for this address\n"));
    }
    assert_eq!(ask(&to_others, "HEAD", "/stats").0, 403);
    let claimed = "GET /stats HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\
                   Connection: close\r\n\r\n";
    assert_eq!(exchange(&to_others, claimed).0, 403);
    assert_eq!(ask(&to_others, "GET", "/up").0, 200);
}
