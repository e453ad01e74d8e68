//! Many at once: fairness, floods, signals and errors under load; nothing is left behind.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pointsman::limits::{
    ACCEPTS_PER_BUSY_TURN, BYTES_PER_DIRECTION_PER_TURN, ITEMS_PER_LOOK, PIPE_BYTES,
};
use rustix::process::Signal;

use crate::common::trace::{Call, Trace, most_and_all, turns, while_stopped};
use crate::common::{
    Backend, Balancer, End, ask, connect, front_args, noise, read_to_end, until,
    write_on_thread,
};

const QUIET: &[&str] = &["--log-level", "info"];

/// Runs `work` on threads until dropped, and counts how often it was done.
struct Busy {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn start(threads: usize, work: impl Fn() + Send + Sync + 'static) -> Busy {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let work = Arc::new(work);
        let one = |_| {
            let stop = Arc::clone(&stop);
            let done = Arc::clone(&done);
            let work = Arc::clone(&work);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    work();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..threads).map(one).collect();
        Busy { stop, done, threads }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// However long so many take, the next one must not be long in coming.
    fn wait_until_done(&self, more: u64) {
        let goal = self.done() + more;
        while self.done() < goal {
            let before = self.done();
            until("the others get on", || {
                let alive = self.threads.iter().all(|thread| !thread.is_finished());
                assert!(alive, "one of them failed");
                self.done() > before
            });
        }
    }

    fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("all went well"));
        self.done()
    }
}

/// A client with a question of its own size, which finishes, and has all of it back.
fn exchange(address: SocketAddr, seed: u64) {
    let size = [0, 1, 100, 5_000, 40_000][seed as usize % 5];
    let bytes = noise(seed, size);
    let client = connect(address);
    (&client).write_all(&bytes).expect("small enough for the buffers");
    client.shutdown(Shutdown::Write).expect("still open");
    let end = read_to_end(&client);
    assert!(end == End::Finished(bytes), "{seed}");
}

#[test]
fn pitfall_01_places_change_hands_in_the_same_turn() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], QUIET);
    let descriptors = balancer.descriptors();
    let address = balancer.address();
    let seed = AtomicU64::new(0);
    let clients = Busy::start(16, move || {
        exchange(address, seed.fetch_add(1, Ordering::Relaxed));
    });
    clients.wait_until_done(2_000);
    clients.finish();
    balancer.wait_until_idle();
    until("all are closed", || balancer.descriptors() <= descriptors);
    assert_eq!(balancer.count("failed"), 0);
    balancer.stop();
}

#[test]
fn pitfall_01_mixed_with_resets_nothing_is_left_behind() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], QUIET);
    let descriptors = balancer.descriptors();
    let address = balancer.address();
    let seed = AtomicU64::new(0);
    let clients = Busy::start(8, move || {
        let seed = seed.fetch_add(1, Ordering::Relaxed);
        if seed.is_multiple_of(3) {
            let client = connect(address);
            let _ = (&client).write(&noise(seed, 30_000));
            crate::common::reset(client);
        } else {
            exchange(address, seed);
        }
    });
    clients.wait_until_done(1_000);
    clients.finish();
    balancer.wait_until_idle();
    until("all are closed", || balancer.descriptors() <= descriptors);
    balancer.stop();
}

/// The bytes that a turn moves from one socket to another through pipes.
fn spliced(turn: &[Call]) -> i64 {
    let spliced = turn.iter().filter(|call| call.name == "splice" && call.result > 0);
    // Into the pipe and out of it.
    spliced.map(|call| call.result).sum::<i64>() / 2
}

/// What they have to wait for is counted, not timed: until all who asked were served the stream has
/// a turn for each few of them at most, and in each it moves no more than it may.
#[test]
fn pitfall_15_a_stream_at_full_speed_does_not_starve_the_others() {
    const OTHERS: usize = 100;
    let echo = Backend::echo();
    let source = Backend::start(endless);
    // The first connection goes to the source, the others to the echo.
    let first = format!("{},max-connections=1", source.flag());
    let more = ["--balance", "first", "-b", &first, "-b", &echo.flag(), "--log-level", "info"];
    let Some((mut balancer, trace)) = Trace::start(&front_args(&[], &more)) else { return };
    let mut stream = balancer.connect();
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let reading = thread::spawn(move || {
        let mut block = vec![0; 1 << 20];
        while let Ok(count @ 1..) = stream.read(&mut block) {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    });
    let goes_on = || {
        let goal = received.load(Ordering::Relaxed) + 10_000_000;
        until("the stream goes on", || received.load(Ordering::Relaxed) > goal);
    };
    goes_on();
    let others: Vec<TcpStream> = (0..OTHERS).map(|_| balancer.connect()).collect();
    others.iter().for_each(|client| assert_eq!(ask(client, b"ping"), b"ping"));
    while_stopped(&balancer, || {
        others.iter().for_each(|mut client| client.write_all(b"ping").unwrap());
    });
    others.iter().for_each(|mut client| client.read_exact(&mut [0; 4]).unwrap());
    goes_on();
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("stopping: 101 connections");
    balancer.signal(Signal::TERM);
    assert!(balancer.wait().success());
    reading.join().unwrap();
    let calls = trace.calls();
    // Each word goes to the echo and back: first one by one, then all at once.
    let is_word = |call: &Call| call.name == "sendto" && call.result == 4;
    let words: Vec<usize> = (0..calls.len()).filter(|&at| is_word(&calls[at])).collect();
    assert_eq!(words.len(), 4 * OTHERS);
    let waited = spliced(&calls[words[2 * OTHERS]..words[3 * OTHERS - 1]]);
    let most = turns(&calls).map(spliced).max().expect("there were turns");
    println!("while {OTHERS} were served {waited} bytes went by");
    println!("at most {most} bytes a turn");
    // A pipe of the turn before is emptied first, which counts half, and the last splice before the
    // budget is spent may fill a whole one.
    let turn = (BYTES_PER_DIRECTION_PER_TURN + PIPE_BYTES + PIPE_BYTES / 2) as i64;
    // However slow the machine, so many are served before a turn's time may be over.
    let turns = (OTHERS / ITEMS_PER_LOOK + 2) as i64;
    assert!(most <= turn && waited <= turns * turn, "{most} and {waited} bytes");
}

/// In a debug build the balancer itself checks the run queue after each turn, and panics.
#[test]
fn pitfall_15_a_timer_gives_nobody_a_second_place_in_the_queue() {
    let source = Backend::start(endless);
    let balancer = Balancer::before(&[&source], &["--idle-timeout", "200ms"]);
    let mut block = vec![0; 1 << 20];
    let began = Instant::now();
    let mut stream = balancer.connect();
    while began.elapsed() < Duration::from_secs(2) {
        if stream.read(&mut block).unwrap() == 0 {
            // The machine let the source wait for so long.
            balancer.wait_for_log("idle for too long");
            stream = balancer.connect();
        }
    }
    balancer.stop_after(stream);
}

/// Sends as long as anybody takes it.
fn endless(mut stream: TcpStream) {
    let block = vec![b'x'; 1 << 18];
    while stream.write_all(&block).is_ok() {}
}

#[test]
fn pitfall_13_a_flood_of_clients_does_not_starve_those_inside() {
    let backend = Backend::echo();
    let args = front_args(&[&backend], QUIET);
    let Some((balancer, trace)) = Trace::start(&args) else { return };
    let inside = balancer.connect();
    assert_eq!(ask(&inside, b"word"), b"word");
    let mut flood: Vec<TcpStream> = Vec::new();
    while_stopped(&balancer, || flood.extend((0..200).map(|_| balancer.connect())));
    let address = balancer.address();
    let more = Busy::start(6, move || {
        let client = connect(address);
        client.shutdown(Shutdown::Write).unwrap();
        let _ = read_to_end(&client);
    });
    more.wait_until_done(100);
    for round in 0..200 {
        let word = noise(round, 100);
        assert_eq!(ask(&inside, &word), word);
    }
    let count = 201 + more.finish() as usize;
    balancer.stop_after((inside, flood));
    // Who is inside has a turn after every few who come; more come after a turn that was long.
    let (most, all) = most_and_all(&trace.calls(), "accept4");
    println!("{count} clients, {all} calls of accept, at most {most} in a turn");
    assert!(all >= count && most <= ACCEPTS_PER_BUSY_TURN, "{most} of {all} in one turn");
}

#[test]
fn pitfall_26_signals_interrupt_nothing() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &["--log-level", "error"]);
    let address = balancer.address();
    let seed = AtomicU64::new(0);
    let clients = Busy::start(4, move || {
        exchange(address, seed.fetch_add(1, Ordering::Relaxed));
    });
    for _ in 0..100 {
        (0..5).for_each(|_| balancer.signal(Signal::USR1));
        balancer.signal(Signal::STOP);
        balancer.signal(Signal::CONT);
        clients.wait_until_done(2);
    }
    assert!(clients.finish() >= 200);
    balancer.stop();
}

/// Under `strace`, which lets system calls fail as told; `None` where it cannot.
fn with_failing_calls(inject: &[&str], backend: &Backend) -> Option<Balancer> {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("skipped: no strace here, or it is not allowed");
        return None;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-D", "-qq", "-o", "/dev/null"]);
    strace.args(inject.iter().flat_map(|what| ["-e", what]));
    strace.arg(env!("CARGO_BIN_EXE_pointsman"));
    Some(Balancer::start_command(strace, &front_args(&[backend], &[])))
}

#[test]
fn pitfall_12_a_client_that_gave_up_strands_nobody() {
    let backend = Backend::echo();
    for error in ["ECONNABORTED", "EINTR", "EPROTO", "ENFILE", "ENOBUFS", "EMFILE"] {
        let inject = format!("inject=accept4:error={error}:when=1..12+2");
        let Some(balancer) = with_failing_calls(&[&inject], &backend) else { return };
        // All at once, so that some wait behind one that fails.
        let clients: Vec<TcpStream> = (0..8).map(|_| balancer.connect()).collect();
        let echoes = clients.iter().map(|client| write_on_thread(client, noise(1, 100), true));
        echoes.for_each(|writing| writing.join().unwrap().unwrap());
        for client in &clients {
            assert_eq!(read_to_end(client), End::Finished(noise(1, 100)), "{error}");
        }
        drop(clients);
        balancer.stop();
    }
}

#[test]
fn interrupted_calls_are_repeated() {
    let backend = Backend::echo();
    let inject = ["recvfrom", "sendto", "epoll_wait", "splice"]
        .map(|call| format!("inject={call}:error=EINTR:when=1+3"));
    let inject = inject.each_ref().map(|text| text.as_str());
    let Some(mut balancer) = with_failing_calls(&inject, &backend) else { return };
    for size in [10, 5_000_000] {
        let client = balancer.connect();
        let writing = write_on_thread(&client, noise(2, size), true);
        assert!(read_to_end(&client).bytes() == noise(2, size), "{size}");
        writing.join().unwrap().unwrap();
    }
    // The handler of signals sends a byte to the loop, and does not repeat that one.
    until("a signal gets through", || {
        balancer.signal(Signal::TERM);
        balancer.log_so_far().contains("stopping: 0 connections")
    });
    assert!(balancer.wait().success());
}
