//! `pointsman-demo` from outside: the real binary, real sockets. Nothing here waits for a fixed
//! time and then asserts; what takes time has a deadline.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const DEADLINE: Duration = Duration::from_secs(20);

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman-demo"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs to the end.
fn run(arguments: &[&str]) -> Output {
    demo(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A running server; killed when dropped.
struct Piece {
    child: Child,
    address: String,
}

impl Piece {
    fn start(arguments: &[&str]) -> Piece {
        let mut child = demo(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        Piece { child, address: address.trim_end().to_owned() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends, and reads to the end.
    fn ask(&self, question: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(question).unwrap();
        read_all(stream)
    }

    fn refuses(&self) -> bool {
        let error = TcpStream::connect(&self.address).err();
        error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ---- upper ----------------------------------------------------------------------------------

#[test]
fn upper_answers_with_the_terminator_it_was_asked_with() {
    let upper = Piece::start(&["upper", "127.0.0.1:0"]);
    let full = "x".repeat(100);
    for (question, answer) in [
        ("hello, World 1\n".to_owned(), "HELLO, WORLD 1\n".to_owned()),
        ("hello\0".to_owned(), "HELLO\0".to_owned()),
        ("hello\r\n".to_owned(), "HELLO\r\n".to_owned()),
        ("\n".to_owned(), "\n".to_owned()),
        ("first\nsecond\n".to_owned(), "FIRST\n".to_owned()),
        (format!("{full}\n"), format!("{}\n", full.to_uppercase())),
        (format!("{full}\0"), format!("{}\0", full.to_uppercase())),
        ("__clients?\n".to_owned(), "0\n".to_owned()),
        ("__clients?\0".to_owned(), "0\0".to_owned()),
    ] {
        assert_eq!(upper.ask(question.as_bytes()), answer.as_bytes(), "{question:?}");
    }
    assert_eq!(upper.ask("x".repeat(101).as_bytes()), b"", "101 bytes are too many");
}

#[test]
fn upper_answers_a_client_that_only_stops_sending() {
    let upper = Piece::start(&["upper", "127.0.0.1:0", "--delay", "50ms"]);
    for (question, answer) in [("half", "HALF"), ("", "")] {
        let mut stream = upper.connect();
        stream.write_all(question.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(stream), answer.as_bytes());
    }
}

#[test]
fn upper_counts_its_other_clients() {
    let upper = Piece::start(&["upper", "127.0.0.1:0"]);
    let count = || String::from_utf8(upper.ask(b"__clients?\n")).unwrap();
    let mut held: Vec<TcpStream> = (0..5).map(|_| upper.connect()).collect();
    assert_eq!(count(), "5\n");
    // Answered and closed is not counted any more, at once.
    let mut first = held.remove(0);
    first.write_all(b"bye\n").unwrap();
    assert_eq!(read_all(first), b"BYE\n");
    assert_eq!(count(), "4\n");
    drop(held);
    until("no client is left", || count() == "0\n");
}

#[test]
fn upper_lets_nobody_wait_for_another() {
    let upper = Piece::start(&["upper", "127.0.0.1:0", "--delay", "300ms"]);
    let start = Instant::now();
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| upper.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(b"wait\n").unwrap();
    }
    assert_eq!(upper.ask(b"__clients?\n"), b"20\n", "answered while all the others wait");
    for stream in waiting {
        assert_eq!(read_all(stream), b"WAIT\n");
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn upper_naps_and_comes_back() {
    let upper = Piece::start(&["upper", "127.0.0.1:0"]);
    assert_eq!(upper.ask(b"__nap x\n"), b"__NAP X\n", "no number, no nap");
    let mut awake = upper.connect();
    assert_eq!(upper.ask(b"__nap 2\n"), b"__NAP 2\n");
    until("it refuses connections", || upper.refuses());
    awake.write_all(b"who was there stays\n").unwrap();
    assert_eq!(read_all(awake), b"WHO WAS THERE STAYS\n");
    until("it listens again", || !upper.refuses());
    assert_eq!(upper.ask(b"back\n"), b"BACK\n");
}

// ---- hello ----------------------------------------------------------------------------------

fn hello() -> Piece {
    Piece::start(&["hello", "127.0.0.1:0", "--delay", "1ms-5ms", "--seed", "1"])
}

/// One answer from a connection that may stay open: its head, and a body of the length it says.
fn read_answer(reader: &mut impl BufRead, has_body: bool) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "ends after {head:?}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; if has_body { length.unwrap().parse().unwrap() } else { 0 }];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn hello_keeps_a_connection_until_asked_to_close_it() {
    let hello = hello();
    let greeting = format!("Hello from {}\n", hello.address);
    let mut stream = hello.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for (request, body) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(&*greeting)),
        ("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", Some("OK\n")),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /", Some(&*greeting)),
        ("GET /y HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Some(&*greeting)),
    ] {
        stream.write_all(request.as_bytes()).unwrap();
        let (head, found) = read_answer(&mut reader, body.is_some());
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{request:?}: {head}");
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{request:?}: {head}");
        assert_eq!(found, body.unwrap_or_default(), "{request:?}");
        assert!(body.is_some() || head.contains(&format!("Length: {}\r\n", greeting.len())));
    }
    // Two at once, the second of them the last.
    let two = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
               GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(two.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut reader, true).1, greeting);
    let (head, _) = read_answer(&mut reader, true);
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "closed after the last answer");
}

#[test]
fn hello_closes_after_an_http_1_0_request() {
    let answer = String::from_utf8(hello().ask(b"GET / HTTP/1.0\r\n\r\n")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[test]
fn hello_says_continue_to_a_client_that_waits_for_it() {
    let hello = hello();
    let mut stream = hello.connect();
    let head =
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    reader.read_line(&mut line).unwrap();
    stream.write_all(b"abc").unwrap();
    assert!(read_answer(&mut reader, true).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn hello_refuses_what_is_no_request_and_the_refusal_arrives() {
    let hello = hello();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for (request, status) in [
        ("nonsense\r\n\r\n", "400 "),
        ("GET / HTTP/1.1\r\n\r\n", "400 "),
        ("GET /nap?seconds=0 HTTP/1.1\r\nHost: a\r\n\r\n", "400 "),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400 "),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "411 "),
        (&long, "431 "),
    ] {
        let answer = String::from_utf8(hello.ask(request.as_bytes())).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn hello_takes_its_time_but_not_for_its_health() {
    let hello = Piece::start(&["hello", "127.0.0.1:0", "--delay", "300ms-400ms"]);
    let mut slow = hello.connect();
    let start = Instant::now();
    slow.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(hello.ask(b"GET /health HTTP/1.0\r\n\r\n").ends_with(b"\r\n\r\nOK\n"));
    slow.set_nonblocking(true).unwrap();
    // On a machine so busy that the greeting is due as well, this proves nothing.
    if start.elapsed() < Duration::from_millis(300) {
        let early = slow.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(early, Err(io::ErrorKind::WouldBlock), "a greeting before its time");
    }
    slow.set_nonblocking(false).unwrap();
    assert!(read_all(slow).ends_with(b"\n"));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn hello_naps_and_comes_back() {
    let hello = hello();
    let answer = hello.ask(b"GET /nap?seconds=2 HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with(b"\r\n\r\nNapping for 2 s\n"));
    until("it refuses connections", || hello.refuses());
    until("it listens again", || !hello.refuses());
    assert!(hello.ask(b"GET /health HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// A balancer keeps connections for the next request. A server that sleeps hangs up on them: if
/// not, it would go on to serve whoever has one.
#[test]
fn hello_hangs_up_on_kept_connections_when_it_naps() {
    let hello = hello();
    let mut kept = hello.connect();
    let request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    kept.write_all(request).unwrap();
    let mut reader = BufReader::new(kept.try_clone().unwrap());
    let (head, _) = read_answer(&mut reader, true);
    assert!(!head.to_ascii_lowercase().contains("connection: close"), "{head}");
    let mut napper = hello.connect();
    napper.write_all(b"GET /nap?seconds=2 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let answer = String::from_utf8(read_all(napper)).unwrap();
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(read_all(kept), b"", "it hangs up");
    until("it refuses connections", || hello.refuses());
    until("it listens again", || !hello.refuses());
}

// ---- the set for `pointsman --demo` -----------------------------------------------------------

#[test]
fn the_set_starts_twice_and_greets_from_six_addresses() {
    // Whoever finds the wished-for ports taken gets others.
    let backends = [1, 2].map(|seed| pointsman::demo::start(seed).unwrap().backends);
    let mut greetings = Vec::new();
    for (name, address) in backends.iter().flatten() {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = pointsman::demo::client::ask(address, request).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.ends_with(&format!("\r\n\r\nHello from {address}\n")),
            "{name}: {answer}"
        );
        greetings.push(answer);
    }
    greetings.sort();
    greetings.dedup();
    assert_eq!(greetings.len(), 6);
}

/// `pointsman --demo`, and what it said so far.
struct Show {
    child: Child,
    text: Arc<Mutex<String>>,
}

impl Show {
    fn start(mut command: Command, arguments: &[&str]) -> Show {
        command.args(["--demo", "--listen", "http://127.0.0.1:0", "--log-level", "info"]);
        command.args(arguments).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let text = Arc::new(Mutex::new(String::new()));
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let text = Arc::clone(&text);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    *text.lock().unwrap() += &format!("{line}\n");
                }
            });
        }
        let show = Show { child, text };
        until("it says how to end it", || show.text().contains("Ctrl-C or closing"));
        show
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pointsman() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pointsman"))
}

/// What the README shows: connects are refused, each is repeated elsewhere, nobody sees an error.
#[test]
fn a_nap_takes_the_fast_one_down_and_no_client_sees_an_error() {
    // Probes would find it out first, now and then.
    let show = Show::start(pointsman(), &["--check-interval", "1m"]);
    until("the clients are served", || show.text().contains(" finished, 0 failed, "));
    let text = show.text();
    let line = text.lines().find(|line| line.trim_start().starts_with("fast ")).unwrap();
    let address = line.split_whitespace().nth(1).unwrap();
    let request = b"GET /nap?seconds=3600 HTTP/1.0\r\n\r\n";
    let answer = pointsman::demo::client::ask(address, request).unwrap();
    assert!(answer.ends_with(b"Napping for 3600 s\n"));
    until("it is down", || show.text().contains("backend fast is down after"));
    let before = show.text().len();
    until("the log has a page", || show.text()[before..].contains("fast "));
    let text = show.text();
    assert!(text.contains("a connect refused"), "{text}");
    let page = text[before..].lines().find(|line| line.contains(" retries, ")).unwrap();
    assert!(page.contains(" 0 failed, 0 refused, "), "{page}");
    assert!(!page.contains(" 0 retries, "), "{page}");
    assert!(!text.contains("demo client"), "a client complained: {text}");
}

/// A second service on the same port.
#[test]
fn one_path_has_the_fast_one_alone() {
    let show = Show::start(pointsman(), &[]);
    let text = show.text();
    let address = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let front = address("balancer ");
    let fast = address("fast ");
    for _ in 0..12 {
        let request = b"GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = pointsman::demo::client::ask(&front, request).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.ends_with(&format!("Hello from {fast}\n")), "{answer}");
    }
}

/// Nobody would see its screen any more, and it would keep its ports.
#[test]
fn the_demo_ends_with_its_terminal_unless_it_was_asked_to_outlive_it() {
    let mut show = Show::start(pointsman(), &[]);
    // A shell and the kernel both say it, and that is no second Ctrl-C.
    show.signal(Signal::HUP);
    show.signal(Signal::HUP);
    until("it is over", || show.child.try_wait().unwrap().is_some());
    assert!(show.child.wait().unwrap().success());

    let mut nohup = Command::new("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_pointsman"));
    let mut show = Show::start(nohup, &[]);
    show.signal(Signal::HUP);
    let before = show.text().len();
    until("it goes on", || show.text()[before..].contains(" open of "));
    assert!(show.child.try_wait().unwrap().is_none());
    show.signal(Signal::TERM);
    until("it is over", || show.child.try_wait().unwrap().is_some());
}

#[test]
fn traffic_goes_on_after_broken_answers() {
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = front.local_addr().unwrap();
    pointsman::demo::start_traffic(address, 2);
    let answer = b"HTTP/1.1 200 OK\r\n\r\nHello from the test\n";
    let serve = |front: &TcpListener, answer: &[u8]| {
        let (mut stream, _) = front.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        assert!(request.starts_with(b"GET / HTTP/1.1\r\n"));
        stream.write_all(answer).unwrap();
    };
    for answer in [&answer[..], b"", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", &answer[..]] {
        for _ in 0..4 {
            serve(&front, answer);
        }
    }
}

// ---- client, and the command line -------------------------------------------------------------

/// The one line on standard error.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    assert!(text.ends_with('\n') && text.starts_with("pointsman-demo: "), "{text:?}");
    text
}

#[test]
fn client_prints_the_answer() {
    let upper = Piece::start(&["upper", "127.0.0.1:0"]);
    for flags in [&[][..], &["--nul"][..]] {
        let output = run(&[&["client", &upper.address, "hello"], flags].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "HELLO\n");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn client_fails_without_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let closer = std::thread::spawn(move || drop(listener.accept().unwrap()));
    for _closed_then_refused in 0..2 {
        let output = run(&["client", &address, "hello"]);
        assert!(complaint(&output).contains(&address));
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
    }
    closer.join().unwrap();
}

#[test]
fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for piece in ["upper", "hello"] {
        let output = run(&[piece, &address]);
        assert!(complaint(&output).contains(&address));
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_wrong_command_line_gets_one_line_that_names_what_is_wrong() {
    let any = "127.0.0.1:0";
    for (arguments, named) in [
        (&[][..], "upper, hello or client"),
        (&["lower", any], "\"lower\""),
        (&["upper"], "ADDR"),
        (&["upper", "nowhere"], "\"nowhere\""),
        (&["upper", "127.0.0.1:99999"], "\"127.0.0.1:99999\""),
        (&["upper", any, "more"], "\"more\""),
        (&["upper", any, "--nul"], "--nul"),
        (&["upper", any, "--seed", "1"], "--seed"),
        (&["upper", any, "--delay"], "--delay"),
        (&["upper", any, "--delay", "5"], "--delay"),
        (&["upper", any, "--delay", "1s-2s"], "--delay"),
        (&["upper", any, "--delay", "1s", "--delay", "1s"], "--delay"),
        (&["upper", any, "--speed", "5"], "--speed"),
        (&["upper", any, "-x"], "-x"),
        (&["hello"], "ADDR"),
        (&["hello", any, "--delay", "2s-1s"], "--delay"),
        (&["hello", any, "--delay", "2h"], "--delay"),
        (&["hello", any, "--seed", "x"], "--seed"),
        (&["client", any], "TEXT"),
        (&["client", "nowhere", "text"], "\"nowhere\""),
        (&["client", any, "text", "--nul=1"], "--nul"),
        (&["client", any, "text", "--delay", "1s"], "--delay"),
    ] {
        let output = run(arguments);
        let line = complaint(&output);
        assert!(line.contains(named), "{arguments:?}: {line}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn help_and_version_need_nothing_else() {
    for flag in ["-h", "--help"] {
        let output = run(&[flag]);
        let text = String::from_utf8_lossy(&output.stdout);
        for part in ["upper", "hello", "client", "--delay", "--seed", "--nul", "--version"] {
            assert!(text.contains(part), "no {part}");
        }
        assert_eq!(output.status.code(), Some(0));
    }
    let version = concat!("pointsman-demo ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(&["hello", "-V"]).stdout, version.as_bytes());
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_nobody_reads_is_no_panic() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = demo(&["--help"]).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert!(complaint(&output).contains("standard output"));
    assert_eq!(output.status.code(), Some(1));
}
