//! What must not get worse, as numbers: system calls, memory of idle pairs, and what 200,000
//! connections leave behind.
//!
//! System calls are counted by `strace` and are exact where times on a busy machine are not: the
//! cost of a connection is the difference of two runs, divided by the connections that one has
//! more. Memory and churn are measured in a release build; without `strace` the counts are
//! skipped, except under `CI=true`, where that is a failure. The gates take turns, so that none
//! disturbs another.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::alone;
use crate::common::hello;
use crate::common::http::{Wire, get, ok};
use crate::common::measure::{
    Queue, is_release, only_linux, private_dirty, queues, raise_descriptor_limit, skip,
};
use crate::common::{Backend, Balancer, DEADLINE, until};

/// One listener is enough, mostly.
const LOCAL: [&str; 1] = ["127.0.0.1:0"];

/// How often each system call was made.
type Calls = BTreeMap<String, f64>;

/// What a backend does with a connection, and those it keeps.
type Serve = fn(TcpStream, &mut Vec<TcpStream>);

#[test]
fn a_connection_costs_at_most_14_calls() {
    let ask = |count| count_calls(answer_and_close, |address| ask_and_be_left(address, count));
    let _alone = alone();
    // A client that the machine stops between connecting and sending costs a call more: what a
    // connection costs by itself is the least of a few measurements.
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let (Some(few), Some(many)) = (ask(20), ask(220)) else { return };
        least =
            least.min(difference("a connection, asked, answered, closed", &few, &many, 200));
        if least <= 14.02 {
            return;
        }
    }
    panic!("{least} calls a connection");
}

/// A name is read and a route found without a call of its own.
#[test]
fn a_connection_led_by_its_name_costs_at_most_14_calls_too() {
    let hello = hello::asking_for("a.example");
    let ask = |count| {
        count_calls_at(&["sni://127.0.0.1:0"], greet_and_close, |address| {
            (0..count).for_each(|_| {
                let mut client = crate::common::connect(address);
                client.write_all(&hello).unwrap();
                client.read_exact(&mut [0; 4]).unwrap();
                assert_eq!(client.read(&mut [0; 4]).unwrap(), 0, "the backend closed");
            });
        })
    };
    let _alone = alone();
    // A client that is accepted before its hello is here costs a call more: not ours to choose.
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let (Some(few), Some(many)) = (ask(20), ask(220)) else { return };
        least = least.min(difference("a connection led by its name", &few, &many, 200));
        if least <= 14.05 {
            return;
        }
    }
    panic!("{least} calls a connection");
}

#[test]
fn a_message_costs_at_most_4_1_calls() {
    let ask = |count| count_calls(echo, |address| ask_again_and_again(address, count));
    let _alone = alone();
    let (Some(few), Some(many)) = (ask(20), ask(1020)) else { return };
    let sum = difference("a question and its answer", &few, &many, 1000);
    assert!(sum <= 4.1, "{sum} calls a message");
}

#[test]
fn an_http_request_costs_at_most_4_1_calls() {
    let ask = |count| {
        count_http_calls(|address| {
            let mut client = Wire::new(crate::common::connect(address));
            (0..count).for_each(|_| assert_eq!(client.ask(get("/")).body, b"hello"));
        })
    };
    let _alone = alone();
    let (Some(few), Some(many)) = (ask(20), ask(1020)) else { return };
    let sum = difference("a request on a kept connection", &few, &many, 1000);
    assert!(sum <= 4.1, "{sum} calls a request");
}

#[test]
fn an_http_client_that_asks_once_costs_at_most_7_calls() {
    let ask = |count| {
        count_http_calls(|address| {
            let request = get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            (0..count).for_each(|_| {
                let mut client = Wire::new(crate::common::connect(address));
                assert_eq!(client.ask(&request).body, b"hello");
                assert!(client.ends());
            });
        })
    };
    let _alone = alone();
    // A client that is accepted before its request is here costs two more: not ours to choose.
    let mut least = f64::MAX;
    for _ in 0..5 {
        let (Some(few), Some(many)) = (ask(20), ask(220)) else { return };
        least = least.min(difference("a client that asks once", &few, &many, 200));
        // Not a packet for the answer and one for the FIN.
        assert_eq!(many["sendto with the FIN"] - few["sendto with the FIN"], 200.0);
        if least <= 7.05 {
            return;
        }
    }
    panic!("{least} calls a client");
}

#[test]
fn a_gibibyte_costs_under_10_000_calls() {
    let ask = |count| count_calls(send_zeros, |address| ask_for_zeros(address, count));
    let _alone = alone();
    let (Some(none), Some(all)) = (ask(0), ask(1 << 30)) else { return };
    let sum = difference("streaming 1 GiB", &none, &all, 1);
    assert!(sum < 10_000.0, "{sum} calls");
}

/// Clients that read 8 MiB and then nothing: what the kernel takes in of their backends' endless
/// answers is bounded, and so is what it has for clients.
#[test]
fn what_is_taken_in_for_stalled_readers_is_bounded() {
    if !only_linux("SO_BUF_LOCK and TCP_NOTSENT_LOWAT") {
        return;
    }
    const MIB: usize = 1 << 20;
    let _alone = alone();
    for (clients, protocol) in [(20, "tcp"), (20, "http"), (200, "tcp"), (200, "http")] {
        let backend = Backend::start(answer_for_ever);
        let balancer = Balancer::start(&[
            "-l",
            &format!("{protocol}://127.0.0.1:0"),
            "-b",
            &backend.flag(),
            "--check",
            "none",
            "--log-level",
            "info",
        ]);
        let stalled: Vec<TcpStream> = (0..clients).map(|_| stall(&balancer)).collect();
        let received = || queues(Queue::ReceivedFrom(backend.address.port()));
        let mut held = received();
        until("the queues are full", || {
            thread::sleep(Duration::from_millis(200));
            let before = std::mem::replace(&mut held, received());
            before == held
        });
        let median = held[clients / 2];
        let most = held[clients - 1];
        let mean = held.iter().sum::<usize>() / clients;
        println!("{clients} at {protocol}: median {median}, mean {mean}, most {most} bytes");
        // With more clients than there are pipes, some are copied.
        let bound = 33 * MIB / 10;
        assert!(median <= bound && most <= bound, "bytes for clients that read nothing");
        let sent = queues(Queue::SentBy(balancer.address().port()));
        let median = sent[clients / 2];
        let most = sent[clients - 1];
        println!("for clients: median {median}, most {most} bytes");
        assert!(median <= 3 * MIB / 2 && most <= 2 * MIB, "what is not sent is bounded, too");
        drop(stalled);
    }
}

#[test]
fn an_idle_pair_costs_at_most_half_a_kibibyte() {
    if !is_release("the memory of idle pairs") {
        return;
    }
    let _alone = alone();
    const PAIRS: usize = 6000;
    let limit = raise_descriptor_limit();
    if limit < 2 * PAIRS as u64 + 500 {
        skip(&format!("{PAIRS} pairs need more than {limit} descriptors"));
        return;
    }
    let backend = Listening::start(answer_and_keep);
    let balancer =
        start_quietly(Command::new(env!("CARGO_BIN_EXE_pointsman")), &LOCAL, &[&backend]);
    let exchange = || {
        let mut client = balancer.connect();
        client.write_all(b"ping").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        client
    };
    // The first ones pay for what is there once.
    let mut clients: Vec<TcpStream> = (0..10).map(|_| exchange()).collect();
    let before = private_dirty(&balancer);
    clients.extend((0..PAIRS).map(|_| exchange()));
    let after = private_dirty(&balancer);
    let each = (after - before) / PAIRS as f64;
    println!("memory: {before} bytes, with {PAIRS} more pairs {after}: {each:.0} bytes each");
    assert!(each <= 512.0, "{each} bytes a pair");
}

#[test]
fn two_hundred_thousand_connections_leave_nothing() {
    if !is_release("churn") {
        return;
    }
    let _alone = alone();
    const THREADS: u32 = 6;
    const EACH: u32 = 200_000 / THREADS / 2;
    const TIME: Duration = Duration::from_secs(20);
    let backends: Vec<Listening> =
        (1..=4).map(|host| Listening::start_at([127, 0, 1, host], answer_and_close)).collect();
    let backends: Vec<&Listening> = backends.iter().collect();
    // An address for each client: more ports before one has to be used again.
    let fronts: Vec<String> = (1..=THREADS).map(|host| format!("127.0.2.{host}:0")).collect();
    let fronts: Vec<&str> = fronts.iter().map(String::as_str).collect();
    let balancer =
        start_quietly(Command::new(env!("CARGO_BIN_EXE_pointsman")), &fronts, &backends);
    churn(&balancer, 500, TIME);
    wait_until_empty(&balancer);
    let descriptors = balancer.descriptors();
    let began = Instant::now();
    let mut done = 0;
    let mut memory = Vec::new();
    for _ in 0..2 {
        done += churn(&balancer, EACH, TIME);
        wait_until_empty(&balancer);
        memory.push(private_dirty(&balancer));
    }
    let time = began.elapsed().as_secs_f64();
    let grown = memory[1] - memory[0];
    println!("churn: {done} connections in {time:.1} s, then {grown} bytes more than half way");
    assert!(done >= 50_000, "too slow a machine to say anything: {done} connections");
    until("descriptors are back", || balancer.descriptors() <= descriptors);
    assert!(grown < 64.0 * 1024.0, "{memory:?}: memory grows with connections that are gone");
    balancer.stop();
}

/// A client for each address, on a thread: one connection after another, until the count or the
/// time is up.
fn churn(balancer: &Balancer, each: u32, time: Duration) -> u32 {
    let end = Instant::now() + time;
    let start = |&address: &SocketAddr| {
        thread::spawn(move || {
            let mut done = 0;
            while done < each && Instant::now() < end {
                exchange_and_close(address, done % 2 == 0);
                done += 1;
            }
            done
        })
    };
    let clients: Vec<_> = balancer.addresses.iter().map(start).collect();
    clients.into_iter().map(|client| client.join().unwrap()).sum()
}

/// One connection that asks and is answered; who closes first keeps the port for a while.
fn exchange_and_close(address: SocketAddr, we_close: bool) {
    let mut client = crate::common::connect(address);
    client.write_all(if we_close { b"stay" } else { b"quit" }).unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    if !we_close {
        assert_eq!(client.read(&mut [0; 4]).unwrap(), 0, "the backend closed");
    }
}

/// Wait until the status page knows of no connection, at any backend.
fn wait_until_empty(balancer: &Balancer) {
    until("no connection is open", || {
        let page = balancer.page();
        let active = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let state = words.iter().position(|word| *word == "up?").expect("never probed");
            words[state + 2] == "0"
        };
        page[0].contains(" 0 open of ") && page[2..].iter().all(active)
    });
}

/// Backends for gates: one thread, one connection after another.
struct Listening {
    address: SocketAddr,
}

impl Listening {
    fn start(serve: Serve) -> Listening {
        Listening::start_at([127, 0, 0, 1], serve)
    }

    fn start_at(host: [u8; 4], serve: Serve) -> Listening {
        let listener = TcpListener::bind(SocketAddr::from((host, 0))).expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
                serve(stream, &mut kept);
            }
        });
        Listening { address }
    }
}

/// Whatever is asked, an answer that does not end in our days.
fn answer_for_ever(mut stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(256 * 1024);
    let mut question = [0; 512];
    let zeros = vec![0; 256 * 1024];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
    if stream.read(&mut question).is_ok() && stream.write_all(head.as_bytes()).is_ok() {
        while stream.write_all(&zeros).is_ok() {}
    }
}

/// A client that reads 8 MiB of its answer.
fn stall(balancer: &Balancer) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(256 * 1024).expect("an option");
    socket.connect(&balancer.address().into()).expect("it listens");
    let mut client = crate::common::with_deadline(socket.into());
    client.write_all(get("/").as_bytes()).expect("taken");
    let mut buffer = vec![0; 64 * 1024];
    let mut left = 8 << 20;
    while left > 0 {
        left -= client.read(&mut buffer).expect("more of it").min(left);
    }
    client
}

fn answer_and_keep(mut stream: TcpStream, kept: &mut Vec<TcpStream>) {
    let mut message = [0; 4];
    if stream.read_exact(&mut message).and_then(|()| stream.write_all(&message)).is_ok() {
        kept.push(stream);
    }
}

fn answer_and_close(mut stream: TcpStream, _kept: &mut Vec<TcpStream>) {
    let mut message = [0; 4];
    if stream.read_exact(&mut message).and_then(|()| stream.write_all(&message)).is_ok()
        && &message == b"stay"
    {
        let _ = stream.read(&mut message);
    }
}

fn greet_and_close(mut stream: TcpStream, _kept: &mut Vec<TcpStream>) {
    let _ = hello::read_one(&stream).and_then(|_| stream.write_all(b"well"));
}

/// Answers what comes on one connection until it ends.
fn echo(mut stream: TcpStream, _kept: &mut Vec<TcpStream>) {
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn answer_requests(stream: TcpStream, _kept: &mut Vec<TcpStream>) {
    let mut wire = Wire::new(stream);
    while wire.request().is_some() && wire.try_say(ok("hello")) {}
}

/// Sends as many zeros as it is asked for.
fn send_zeros(mut stream: TcpStream, _kept: &mut Vec<TcpStream>) {
    let mut count = [0; 8];
    if stream.read_exact(&mut count).is_err() {
        return;
    }
    let zeros = vec![0; 256 * 1024];
    let mut left = u64::from_be_bytes(count) as usize;
    while left > 0 {
        let piece = left.min(zeros.len());
        if stream.write_all(&zeros[..piece]).is_err() {
            return;
        }
        left -= piece;
    }
}

fn ask_and_be_left(address: SocketAddr, count: u32) {
    (0..count).for_each(|_| exchange_and_close(address, false));
}

fn ask_again_and_again(address: SocketAddr, count: u32) {
    let mut client = crate::common::connect(address);
    for _ in 0..count {
        client.write_all(b"ping").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 4]).unwrap(), 0, "the backend closed");
}

fn ask_for_zeros(address: SocketAddr, count: u64) {
    let mut client = crate::common::connect(address);
    client.write_all(&count.to_be_bytes()).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut received = 0;
    loop {
        match client.read(&mut buffer).unwrap() {
            0 => break,
            count => received += count as u64,
        }
    }
    assert_eq!(received, count, "all of it, and no more");
}

/// The same where HTTP is spoken, by a backend whose connections live on.
fn count_http_calls(work: impl FnOnce(SocketAddr)) -> Option<Calls> {
    count_calls_at(&["http://127.0.0.1:0"], answer_requests, work)
}

fn count_calls(serve: Serve, work: impl FnOnce(SocketAddr)) -> Option<Calls> {
    count_calls_at(&LOCAL, serve, work)
}

/// Run pointsman under strace while `work` is done through it, and count what it calls beyond
/// waiting. `None`: there is no strace, or it is another system that counts.
fn count_calls_at(
    fronts: &[&str],
    serve: Serve,
    work: impl FnOnce(SocketAddr),
) -> Option<Calls> {
    if !only_linux("calls as few as these") {
        return None;
    }
    if let Err(error) = Command::new("strace").arg("-V").output() {
        skip(&format!("no system calls are counted without strace: {error}"));
        return None;
    }
    let directory = std::env::temp_dir();
    let file = directory.join(format!("pointsman-calls-{}.txt", std::process::id()));
    let mut strace = Command::new("strace");
    // -D: strace is the child, and who gets our signals is pointsman.
    strace.args(["-D", "-f", "-q", "-o"]).arg(&file).arg(env!("CARGO_BIN_EXE_pointsman"));
    let backend = Listening::start(serve);
    let balancer = start_quietly(strace, fronts, &[&backend]);
    work(balancer.address());
    balancer.stop();
    let mut text = String::new();
    until("strace has written all of it", || {
        text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains("+++ exited with")
    });
    let _ = std::fs::remove_file(&file);
    let mut calls = Calls::new();
    for name in text.lines().filter_map(called) {
        *calls.entry(name).or_default() += 1.0;
    }
    Some(calls)
}

/// The name in `1234 name(arguments) = result`, unless it only waits or is no call. What leaves
/// with the FIN has a name of its own.
fn called(line: &str) -> Option<String> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let (name, arguments) = line.split_once('(')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let waits = ["epoll_wait", "epoll_pwait", "epoll_pwait2"].contains(&name);
    // std asks so before each close, in a debug build.
    let checks = cfg!(debug_assertions) && name == "fcntl" && arguments.contains("F_GETFD");
    let with_fin = if arguments.contains("MSG_MORE") { " with the FIN" } else { "" };
    (is_name && !waits && !checks).then(|| format!("{name}{with_fin}"))
}

/// What one more costs, call by call; the sum.
fn difference(what: &str, few: &Calls, many: &Calls, more: u32) -> f64 {
    let mut sum = 0.0;
    println!("{what}:");
    for (name, count) in many {
        let each = (count - few.get(name).unwrap_or(&0.0)) / f64::from(more);
        if each != 0.0 {
            println!("{each:12.3}  {name}");
        }
        sum += each;
    }
    println!("{sum:12.3}  in all");
    sum
}

/// Nothing but what the clients cause: no probes, no log lines.
fn start_quietly(command: Command, fronts: &[&str], backends: &[&Listening]) -> Balancer {
    let backends: Vec<String> = backends.iter().map(|b| b.address.to_string()).collect();
    let mut args = vec!["--check", "none", "--log-level", "info"];
    fronts.iter().for_each(|front| args.extend(["--listen", front]));
    backends.iter().for_each(|backend| args.extend(["--backend", backend]));
    Balancer::start_command(command, &args)
}
