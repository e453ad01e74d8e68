//! Running out: of descriptors, of room, of patience, of a reader.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::http::{Origin, Wire, ok, post};
use crate::common::{
    Backend, Balancer, DEADLINE, End, ask, connect, front_args, noise, read_to_end, until,
    write_on_thread,
};

const QUIET: &[&str] = &["--log-level", "info"];

fn with<'a>(some: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [some, more].concat()
}

/// Started with at most so many descriptors.
fn with_descriptors(limit: usize, args: &[&str]) -> Balancer {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {limit}; exec \"$@\"");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_pointsman")]);
    Balancer::start_command(shell, args)
}

/// Clients that connect, and are seen to be served or reset, or neither so far.
fn crowd(balancer: &Balancer, count: usize) -> Vec<TcpStream> {
    let clients = (0..count).map(|_| {
        let mut client = balancer.connect();
        let _ = client.write_all(b"word");
        client
    });
    clients.collect()
}

#[test]
fn pitfall_11_out_of_descriptors_accepting_pauses_and_recovers() {
    // With an even number left, accepting fails; with an odd one, connecting.
    for limit in [40, 41] {
        let backend = Backend::echo();
        let args = front_args(&[&backend], &["--max-connections", "1000"]);
        let balancer = with_descriptors(limit, &args);
        let old = balancer.connect();
        assert_eq!(ask(&old, b"word"), b"word");
        let crowd = crowd(&balancer, 60);
        until("it is out of descriptors", || balancer.count("times out of descriptors") > 1);
        // It does not spin, and those who are in do not notice.
        let ticks = balancer.cpu_ticks();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(600) {
            assert_eq!(ask(&old, b"word"), b"word");
            thread::sleep(Duration::from_millis(20));
        }
        let used = balancer.cpu_ticks() - ticks;
        assert!(used < 20, "{used} ticks of 60");
        drop(crowd);
        // A client that comes too early may still be reset.
        until("there is room again", || {
            let mut client = balancer.connect();
            let mut word = [0; 4];
            client.write_all(b"word").and_then(|()| client.read_exact(&mut word)).is_ok()
        });
        drop(old);
        balancer.wait_until_idle();
        balancer.stop();
    }
}

#[test]
fn pitfall_32_out_of_descriptors_is_said_once_a_second() {
    let backend = Backend::echo();
    let args = front_args(&[&backend], &with(QUIET, &["--max-connections", "1000"]));
    // Of both limits one makes accepting fail and not connecting.
    let began = Instant::now();
    let balancers = [40, 41].map(|limit| with_descriptors(limit, &args));
    let crowds = balancers.each_ref().map(|balancer| crowd(balancer, 60));
    let cannot = |balancer: &&Balancer| balancer.log_so_far().contains("cannot accept");
    until("one of them cannot accept", || balancers.iter().any(|balancer| cannot(&balancer)));
    let failing = balancers.iter().find(cannot).expect("it was there");
    until("it has failed often", || failing.count("times out of descriptors") >= 15);
    let lines = failing.log().matches("cannot accept").count();
    let seconds = began.elapsed().as_secs() as usize + 1;
    assert!(lines <= seconds, "{lines} lines in {seconds} s");
    drop(crowds);
}

#[test]
fn beyond_max_connections_clients_wait_for_their_turn() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &["--max-connections", "3"]);
    let mut inside: Vec<TcpStream> = (0..3).map(|_| balancer.connect()).collect();
    inside.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    let waiting = crowd(&balancer, 10);
    waiting[0].set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = (&waiting[0]).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "neither served nor refused");
    waiting[0].set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(balancer.count("open of"), 3);
    let ticks = balancer.cpu_ticks();
    inside.clear();
    for client in waiting {
        let mut word = [0; 4];
        (&client).read_exact(&mut word).unwrap();
        assert_eq!(&word, b"word");
    }
    assert!(balancer.cpu_ticks() - ticks < 50);
    balancer.stop();
}

#[test]
fn pitfall_17_a_reader_that_stops_costs_one_buffer() {
    const STREAM: usize = 250_000_000;
    let (backend, taken) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let before = balancer.memory();
    let descriptors = balancer.descriptors();
    let client = balancer.connect();
    let mut served = taken.recv_timeout(DEADLINE).unwrap();
    served.set_nonblocking(true).unwrap();
    let block = noise(1, 1 << 20);
    let mut sent = 0;
    let mut stuck = Instant::now();
    while sent < STREAM && stuck.elapsed() < Duration::from_millis(300) {
        match served.write(&block[sent % block.len()..]) {
            Ok(count) => {
                sent += count;
                stuck = Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(sent < STREAM / 2, "{sent} bytes were taken for a reader that reads nothing");
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes more");
    assert!(balancer.descriptors() <= descriptors + 2 + 2, "two sockets and a pipe");
    // And all of it arrives once somebody reads.
    served.set_nonblocking(false).unwrap();
    let rest = block[sent % block.len()..].to_vec();
    let total = sent + rest.len();
    let writing = write_on_thread(&served, rest, true);
    let received = read_to_end(&client).bytes();
    assert_eq!(received.len(), total);
    assert!(received.chunks(block.len()).all(|chunk| chunk == &block[..chunk.len()]));
    writing.join().unwrap().unwrap();
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes more in the end");
    drop((client, served));
    balancer.stop();
}

#[test]
fn a_byte_at_a_time_arrives_as_it_was() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], QUIET);
    let client = balancer.connect();
    client.set_nodelay(true).unwrap();
    let bytes = noise(2, 3000);
    let mut writer = client.try_clone().unwrap();
    let copy = bytes.clone();
    let writing = thread::spawn(move || {
        copy.iter().for_each(|byte| writer.write_all(&[*byte]).unwrap());
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert_eq!(read_to_end(&client), End::Finished(bytes));
    writing.join().unwrap();
    drop(client);
    balancer.stop();
}

#[test]
fn nobody_may_be_idle_for_too_long() {
    const IDLE: Duration = Duration::from_millis(300);
    let (backend, taken) = Backend::manual();
    let more = ["--idle-timeout", "300ms", "--half-close-timeout", "1h"];
    let balancer = Balancer::before(&[&backend], &more);
    until("bytes in either direction keep it alive", || {
        let client = balancer.connect();
        let served = taken.recv_timeout(DEADLINE).unwrap();
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        let mut ticks = (0..8).map(|round| {
            let last = Instant::now();
            thread::sleep(IDLE / 5);
            let (from, to) =
                if round % 2 == 0 { (&client, &served) } else { (&served, &client) };
            let ticked = (&mut { from }).write_all(b"tick");
            let ticked = ticked.and_then(|()| (&mut { to }).read_exact(&mut [0; 4]));
            longest = longest.max(last.elapsed());
            ticked
        });
        let all = ticks.try_for_each(|ticked| ticked);
        // Whom a busy machine made wait for so long says nothing.
        if longest >= IDLE {
            return false;
        }
        all.unwrap();
        assert!(began.elapsed() > IDLE);
        assert_eq!(read_to_end(&client), End::Finished(vec![]), "then it is idle");
        true
    });
    balancer.wait_for_log("idle for too long");
    balancer.stop();
}

#[test]
fn pitfall_07_half_close_does_not_last_for_ever() {
    for by_client in [true, false] {
        let (backend, taken) = Backend::manual();
        let more = ["--idle-timeout", "1h", "--half-close-timeout", "200ms"];
        let balancer = Balancer::before(&[&backend], &more);
        let client = balancer.connect();
        let served = taken.recv_timeout(DEADLINE).unwrap();
        let (first, other) = if by_client { (&client, &served) } else { (&served, &client) };
        let closed = Instant::now();
        first.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_to_end(other), End::Finished(vec![]));
        // The other one says nothing: its silence is cut off, and is no end of its answer.
        assert_eq!(read_to_end(first), End::Reset(0));
        assert!(closed.elapsed() >= Duration::from_millis(200), "{:?}", closed.elapsed());
        balancer.wait_for_log("half closed and idle for too long");
        drop((client, served));
        balancer.stop();
    }
}

/// Such as one who asks something hard, waits, and finishes before the answer comes.
#[test]
fn half_close_after_a_long_silence_leaves_time_for_the_answer() {
    let (backend, taken) = Backend::manual();
    let more = ["--idle-timeout", "1h", "--half-close-timeout", "2s"];
    let balancer = Balancer::before(&[&backend], &more);
    let client = balancer.connect();
    let mut served = taken.recv_timeout(DEADLINE).unwrap();
    thread::sleep(Duration::from_millis(2200));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&served), End::Finished(vec![]));
    served.write_all(b"answer").unwrap();
    drop(served);
    assert_eq!(read_to_end(&client), End::Finished(b"answer".to_vec()));
    balancer.stop();
}

#[test]
fn idle_pairs_cost_nothing() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], QUIET);
    let clients: Vec<TcpStream> = (0..100).map(|_| connect(balancer.address())).collect();
    clients.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    // The connect deadlines lie ahead of the idle ones: each pair looks at its timer once.
    let sleeps = balancer.sleeps();
    let ticks = balancer.cpu_ticks();
    thread::sleep(Duration::from_secs(2));
    let sleeps = balancer.sleeps() - sleeps;
    let ticks = balancer.cpu_ticks() - ticks;
    println!("100 idle pairs, 2 s: {sleeps} sleeps, {ticks} ticks");
    assert!(sleeps <= 5, "{sleeps} sleeps in two idle seconds");
    assert!(ticks <= 1, "{ticks} ticks");
    drop(clients);
    balancer.stop();
}

/// Each wave of requests leaves its connections idle at another backend: together they are more
/// than there are descriptors, though each wave alone has room.
#[test]
fn out_of_descriptors_idle_backend_connections_give_way() {
    const CLIENTS: usize = 36;
    let slow = || {
        Origin::start(|request, wire| {
            // All of a wave are under way at once.
            thread::sleep(Duration::from_millis(200));
            wire.try_say(ok(&request.body))
        })
    };
    let origins = [slow(), slow(), slow(), slow()];
    let flags: Vec<String> = origins.iter().map(|origin| origin.backend.flag()).collect();
    let mut args =
        vec!["-l", "http://127.0.0.1:0", "--balance", "ip-hash", "--hash-key", "uri"];
    args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
    args.extend(["--max-connections", "40", "--backend-idle-connections", "1000"]);
    args.extend(["--check", "tcp", "--check-interval", "100ms"]);
    let balancer = with_descriptors(130, &args);
    for wave in 0..40 {
        let clients: Vec<Wire> = (0..CLIENTS).map(|_| Wire::to(&balancer)).collect();
        clients.iter().for_each(|client| client.say(post(&format!("/{wave}"), "word")));
        for mut client in clients {
            assert_eq!(client.answer().status(), 200, "wave {wave}");
        }
        if balancer.log_so_far().contains("not probed")
            || origins.iter().all(|it| it.count() > 100)
        {
            break;
        }
    }
    assert!(origins.iter().filter(|it| it.count() > 0).count() >= 3, "there were several");
    assert!(!balancer.log().contains("not probed"), "probes have descriptors");
    assert_eq!(balancer.count("times out of descriptors"), 0);
    let line = balancer.page_line(" idle connections to backends and ");
    assert!(!line.starts_with("0 "), "they are counted: {line}");
    balancer.stop();
}
