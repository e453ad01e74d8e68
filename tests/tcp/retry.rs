//! Connects that fail: another backend takes over as long as nobody can notice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::hello;
use crate::common::servers::missing;
use crate::common::trace::{slow_sends, while_stopped};
use crate::common::{
    Backend, Balancer, BlackHole, DEADLINE, End, ask, connect, free_port, noise, read_to_end,
    reset, write_on_thread,
};

/// In front of backends by address, the first one asked first, without probes.
fn front(backends: &[String], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "127.0.0.1:0", "--check", "none", "--balance", "first"];
    args.extend(backends.iter().flat_map(|backend| ["-b", backend]));
    args.extend(more);
    Balancer::start(&args)
}

/// A client that has sent all this and finished before the balancer as much as accepts it.
fn client_that_was_quick(balancer: &Balancer, bytes: &[u8]) -> TcpStream {
    balancer.signal(Signal::STOP);
    let mut client = balancer.connect();
    client.write_all(bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    balancer.signal(Signal::CONT);
    client
}

#[test]
fn pitfall_09_a_refused_connect_goes_to_the_next_with_what_was_sent() {
    let (backend, ends) = Backend::silent();
    let dead = free_port().to_string();
    let balancer = front(&[dead.clone(), backend.flag()], &[]);
    for (round, size) in [0, 5, 60_000].into_iter().enumerate() {
        let bytes = noise(1, size);
        let client = client_that_was_quick(&balancer, &bytes);
        assert_eq!(ends.recv_timeout(DEADLINE), Ok(End::Finished(bytes)));
        assert_eq!(read_to_end(&client), End::Finished(vec![]));
        assert_eq!(balancer.row(&dead).failed, round + 1);
    }
    assert_eq!(balancer.count("retries"), 3);
    balancer.wait_for_log(&format!("picked {} of !{dead}=", backend.name()));
    balancer.stop();
}

#[test]
fn a_black_hole_costs_the_connect_timeout_and_no_more() {
    let (backend, ends) = Backend::silent();
    let hole = BlackHole::start();
    let balancer = front(&[hole.flag(), backend.flag()], &["--connect-timeout", "300ms"]);
    let began = Instant::now();
    let client = client_that_was_quick(&balancer, b"patience");
    assert_eq!(ends.recv_timeout(DEADLINE), Ok(End::Finished(b"patience".to_vec())));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert_eq!(read_to_end(&client), End::Finished(vec![]));
    balancer.wait_for_log("timed out");
    balancer.stop();
}

#[test]
fn a_client_that_gives_up_while_connecting_is_not_waited_for() {
    let hole = BlackHole::start();
    let balancer = front(&[hole.flag()], &["--connect-timeout", "1h"]);
    let client = balancer.connect();
    balancer.wait_for_row(&hole.flag(), |row| row.active == 1);
    reset(client);
    balancer.wait_for_row(&hole.flag(), |row| row.active == 0);
    balancer.stop();
}

#[test]
fn a_backend_that_resets_before_a_byte_is_passed_over() {
    let bad = Backend::start(reset);
    let good = Backend::named("good");
    let balancer = front(&[bad.flag(), good.flag()], &[]);
    for _ in 0..20 {
        let client = balancer.connect();
        assert_eq!(read_to_end(&client), End::Finished(b"good".to_vec()));
    }
    assert_eq!(balancer.row(&bad.name()).failed, 20);
    balancer.stop();
}

#[test]
fn a_reset_long_after_the_connect_is_no_failed_connect() {
    let (bad, taken) = Backend::manual();
    let good = Backend::named("good");
    let balancer = front(&[bad.flag(), good.flag()], &["--connect-timeout", "100ms"]);
    let client = balancer.connect();
    let connection = taken.recv_timeout(DEADLINE).unwrap();
    thread::sleep(Duration::from_millis(200));
    reset(connection);
    assert_eq!(read_to_end(&client), End::Finished(b"good".to_vec()), "nobody notices");
    assert_eq!(balancer.row(&bad.name()).failed, 0);
    drop(client);
    balancer.stop();
}

#[test]
fn pitfall_10_no_byte_goes_to_two_backends() {
    let bad = Backend::start(|mut stream| {
        let _ = stream.read_exact(&mut [0; 5]);
        reset(stream);
    });
    let good = Backend::named("good");
    let balancer = front(&[bad.flag(), good.flag()], &[]);
    let mut client = balancer.connect();
    client.write_all(b"hello").unwrap();
    assert_eq!(read_to_end(&client), End::Reset(0));
    assert_eq!((bad.accepted(), good.accepted()), (1, 0));
    balancer.stop();
}

/// A backend that takes the first byte and resets, in the middle of the first pump: each send takes
/// a moment longer, so that the next one of the same pump finds it broken.
#[test]
fn pitfall_10_what_follows_a_byte_that_was_taken_goes_to_nobody_else() {
    if missing(&["strace"]) {
        return;
    }
    let hello = hello::asking_for("a.example");
    for (protocol, first) in [("tcp", &[][..]), ("sni", &hello)] {
        let bad = Backend::start(|mut stream| {
            let _ = stream.read_exact(&mut [0]);
            reset(stream);
        });
        let (good, ends) = Backend::silent();
        let bad_flag = bad.flag();
        let good_flag = good.flag();
        let listener = format!("{protocol}://127.0.0.1:0");
        let balancer = Balancer::start_command(
            slow_sends(),
            &["-l", &listener, "--check", "none", "--balance", "first"]
                .into_iter()
                .chain(["-b", &bad_flag, "-b", &good_flag])
                .collect::<Vec<_>>(),
        );
        let mut client = balancer.connect();
        let bytes = [first, &noise(1, 300_000)].concat();
        while_stopped(&balancer, || client.write_all(&bytes).unwrap());
        assert_eq!(read_to_end(&client), End::Reset(0), "{protocol}");
        balancer.wait_for_log("the backend's connection broke");
        assert_eq!(balancer.row(&bad_flag).total, 1, "{protocol}");
        assert_eq!(balancer.row(&good_flag).total, 0, "{protocol}");
        assert!(ends.try_recv().is_err());
        balancer.stop();
    }
}

#[test]
fn when_all_fail_the_client_is_reset() {
    let dead = [free_port(), free_port(), free_port(), free_port(), free_port()];
    let dead = dead.map(|address| address.to_string());
    let balancer = front(&dead, &["--retries", "2"]);
    let client = client_that_was_quick(&balancer, b"anybody?");
    assert_eq!(read_to_end(&client), End::Reset(0));
    let tries: Vec<usize> = dead.iter().map(|name| balancer.row(name).failed).collect();
    assert_eq!(tries, [1, 1, 1, 0, 0]);
    balancer.wait_for_log("no backend could be reached: refused");
    balancer.stop();

    let balancer = front(&dead[..2], &["--retries", "9"]);
    assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    assert_eq!(balancer.row(&dead[1]).failed, 1, "each is tried once");
    balancer.stop();
}

#[test]
fn retries_0_means_none() {
    let good = Backend::named("good");
    let balancer = front(&[free_port().to_string(), good.flag()], &["--retries", "0"]);
    assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    assert_eq!(good.accepted(), 0);
    balancer.stop();
}

#[test]
fn a_backend_that_cannot_be_reached_at_all_counts_as_failed() {
    let good = Backend::named("good");
    // An address of some link, and no link with it: the connect itself says so.
    let nowhere = "[fe80::1%lo]:9".to_string();
    let balancer = front(&[nowhere.clone(), good.flag()], &[]);
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"good".to_vec()));
    assert_eq!(balancer.row(&nowhere).failed, 1);
    balancer.stop();
}

#[test]
fn pitfall_35_what_happened_to_the_old_socket_does_not_touch_the_new_one() {
    let echo = Backend::echo();
    let resets = Backend::start(reset);
    let dead = free_port().to_string();
    let balancer = Balancer::start(&[
        "-l",
        "127.0.0.1:0",
        "--check",
        "none",
        "--balance",
        "round-robin",
        "--log-level",
        "debug",
        "-b",
        &dead,
        "-b",
        &resets.flag(),
        "-b",
        &echo.flag(),
    ]);
    let address = balancer.address();
    let clients = (0..4u64).map(|seed| {
        thread::spawn(move || {
            for round in 0..50 {
                let bytes = noise(seed * 1000 + round, 20_000);
                let client = connect(address);
                // Only the echo sends: that is how the client knows that it is there.
                let answer = answer_or_reset(&client, &bytes);
                if let Some(answer) = answer {
                    assert!(answer == bytes, "{} of {} bytes", answer.len(), bytes.len());
                }
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    balancer.wait_until_idle();
    assert_eq!(balancer.row(&dead).active, 0);
    balancer.stop();
}

/// The echo, or nothing if the backend that resets had taken the first bytes.
fn answer_or_reset(client: &TcpStream, bytes: &[u8]) -> Option<Vec<u8>> {
    let writing = write_on_thread(client, bytes.to_vec(), true);
    let end = read_to_end(client);
    let _ = writing.join().unwrap();
    match end {
        End::Finished(bytes) => Some(bytes),
        End::Reset(count) => {
            assert_eq!(count, 0, "the backend that resets answers nothing");
            None
        }
    }
}

#[test]
fn a_retry_keeps_both_directions_going() {
    let echo = Backend::echo();
    let balancer = front(&[free_port().to_string(), echo.flag()], &[]);
    let client = balancer.connect();
    for round in 0..10 {
        let word = noise(round, 1000);
        assert_eq!(ask(&client, &word), word);
    }
    drop(client);
    balancer.stop();
}

/// Retries that a pool may have in ten seconds without any connections.
const FREE: usize = 100;

#[test]
fn a_pool_that_refuses_every_connection_is_not_stormed() {
    const CLIENTS: usize = 200;
    let dead = [(); 3].map(|()| free_port().to_string());
    let balancer = front(&dead, &["--retry-budget", "20%"]);
    let began = Instant::now();
    for _ in 0..CLIENTS {
        let client = balancer.connect();
        assert!(matches!(read_to_end(&client), End::Reset(0)));
    }
    let attempts: usize = dead.iter().map(|name| balancer.row(name).failed).sum();
    let periods = 1 + began.elapsed().as_secs() as usize / 10;
    let most = CLIENTS + CLIENTS / 5 + periods * FREE;
    assert!(attempts <= most, "{attempts} attempts, want {most} at most");
    assert_eq!(balancer.count("retries"), attempts - CLIENTS);
    balancer.wait_for_log("refused; too many retries to ask another one: --retry-budget");
    balancer.stop();
}
