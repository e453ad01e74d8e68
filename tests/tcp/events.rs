//! What an edge-triggered loop can get wrong with events, timers and closing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{
    Backend, Balancer, BlackHole, DEADLINE, End, ask, free_port, front_args, noise,
    read_to_end, reset, until, write_on_thread,
};

const QUIET: &[&str] = &["--log-level", "info"];

#[test]
fn pitfall_02_the_timer_of_one_does_not_close_the_next_in_its_place() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &["--idle-timeout", "2s"]);
    let first = balancer.connect();
    assert_eq!(ask(&first, b"word"), b"word");
    thread::sleep(Duration::from_millis(1500));
    drop(first);
    balancer.wait_until_idle();
    // The same place in the slab, 1.5 s later.
    let second = balancer.connect();
    let began = Instant::now();
    assert_eq!(ask(&second, b"word"), b"word");
    assert_eq!(read_to_end(&second), End::Finished(vec![]));
    assert!(began.elapsed() >= Duration::from_millis(1999), "{:?}", began.elapsed());
    drop(second);
    balancer.stop();
}

#[test]
fn pitfall_03_one_edge_for_many_clients_serves_them_all() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], QUIET);
    for round in 0..3 {
        balancer.signal(Signal::STOP);
        let clients: Vec<TcpStream> = (0..100)
            .map(|_| {
                let mut client = balancer.connect();
                client.write_all(b"word").unwrap();
                client
            })
            .collect();
        balancer.signal(Signal::CONT);
        for client in &clients {
            let mut word = [0; 4];
            (&*client).read_exact(&mut word).unwrap();
            assert_eq!(&word, b"word", "round {round}");
        }
    }
    balancer.stop();
}

#[test]
fn pitfall_03_one_edge_for_many_bytes_moves_them_all() {
    let (backend, taken) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let client = balancer.connect();
    let served = taken.recv_timeout(DEADLINE).unwrap();
    // Windows grow first, so that more than a turn's budget fits into the kernel.
    let warm = noise(1, 20_000_000);
    let writing = write_on_thread(&client, warm.clone(), false);
    let mut received = vec![0; warm.len()];
    (&served).read_exact(&mut received).unwrap();
    writing.join().unwrap().unwrap();
    assert!(received == warm);
    for size in [1_000, 1_000_000, 3_000_000] {
        let bytes = noise(2, size);
        balancer.signal(Signal::STOP);
        let writing = write_on_thread(&client, bytes.clone(), false);
        // As much as fits goes in before the loop sees any of it.
        let began = Instant::now();
        while !writing.is_finished() && began.elapsed() < Duration::from_millis(100) {
            thread::yield_now();
        }
        balancer.signal(Signal::CONT);
        let mut received = vec![0; size];
        (&served).read_exact(&mut received).unwrap();
        assert!(received == bytes, "{size}");
        writing.join().unwrap().unwrap();
    }
    drop((client, served));
    balancer.stop();
}

/// A signal ends a splice while its target has room, of which no edge tells. So does a stop by
/// SIGSTOP or by a container's freezer.
#[test]
fn pitfall_03_signals_in_the_middle_of_a_stream_do_not_stall_it() {
    let (backend, taken) = Backend::manual();
    let balancer = Balancer::before(&[&backend], &["--log-level", "error"]);
    let client = balancer.connect();
    let mut served = taken.recv_timeout(DEADLINE).unwrap();
    let bytes = noise(8, 300_000_000);
    let writing = write_on_thread(&client, bytes.clone(), true);
    let mut piece = vec![0; 1 << 20];
    let mut received = 0;
    thread::scope(|scope| {
        let signals = scope.spawn(|| {
            while !writing.is_finished() {
                balancer.signal(Signal::USR1);
                thread::sleep(Duration::from_micros(50));
            }
        });
        while let count @ 1.. = served.read(&mut piece).unwrap() {
            assert!(piece[..count] == bytes[received..received + count], "at {received}");
            received += count;
        }
        signals.join().unwrap();
    });
    assert_eq!(received, bytes.len());
    writing.join().unwrap().unwrap();
    drop((client, served));
    balancer.stop();
}

/// Writes until nothing is taken any more; says how much was.
fn fill(mut stream: &TcpStream, block: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let mut stuck = Instant::now();
    while stuck.elapsed() < Duration::from_millis(150) {
        match stream.write(&block[sent % block.len()..]) {
            Ok(count) => {
                sent += count;
                stuck = Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn pitfall_04_bytes_that_waited_for_room_go_on_when_there_is_some() {
    let (backend, taken) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let client = balancer.connect();
    let served = taken.recv_timeout(DEADLINE).unwrap();
    let block = noise(3, 1_000_003);
    // Both directions full at once, then emptied one after the other, and again.
    for _ in 0..2 {
        let up = fill(&client, &block);
        let down = fill(&served, &block);
        for (count, mut reader) in [(up, &served), (down, &client)] {
            let mut received = vec![0; count];
            reader.read_exact(&mut received).unwrap();
            assert!(received.chunks(block.len()).all(|part| part == &block[..part.len()]));
        }
        (&client).write_all(b"ping").unwrap();
        let mut word = [0; 4];
        (&served).read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ping");
    }
    // A socket that could not be written once wakes nobody now that it can (pitfall 5).
    let sleeps = balancer.sleeps();
    let ticks = balancer.cpu_ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(balancer.sleeps() - sleeps <= 3, "{}", balancer.sleeps() - sleeps);
    assert!(balancer.cpu_ticks() - ticks <= 1);
    drop((client, served));
    balancer.stop();
}

#[test]
fn pitfall_05_a_blocked_writer_wakes_nobody() {
    let (backend, taken) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let client = balancer.connect();
    let served = taken.recv_timeout(DEADLINE).unwrap();
    fill(&client, &noise(4, 1_000_000));
    // The response's direction can be written all the time, and more waits to be read.
    let sleeps = balancer.sleeps();
    let ticks = balancer.cpu_ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(balancer.sleeps() - sleeps <= 3, "{}", balancer.sleeps() - sleeps);
    assert!(balancer.cpu_ticks() - ticks <= 1);
    drop((client, served));
    balancer.stop();
}

#[test]
fn pitfall_08_an_answer_before_the_question_is_read_arrives() {
    let answer = noise(5, 50_000);
    for closes in [false, true] {
        let text = answer.clone();
        let backend = Backend::start(move |mut stream| {
            stream.read_exact(&mut [0; 1000]).unwrap();
            stream.write_all(&text).unwrap();
            if !closes {
                stream.shutdown(Shutdown::Write).unwrap();
                let _ = read_to_end(&stream);
            }
            // With unread bytes, the kernel says reset and not FIN.
        });
        let balancer = Balancer::before(&[&backend], QUIET);
        let mut client = balancer.connect();
        client.write_all(&noise(6, 60_000)).unwrap();
        let mut received = vec![0; answer.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == answer, "closes: {closes}");
        if !closes {
            assert_eq!(read_to_end(&client), End::Finished(vec![]));
            client.write_all(&noise(7, 3_000_000)).unwrap();
        }
        drop(client);
        balancer.stop();
    }
}

#[test]
fn pitfall_20_waiting_for_a_deadline_is_no_spinning() {
    let holes = [BlackHole::start(), BlackHole::start()];
    let flags = holes.each_ref().map(BlackHole::flag);
    let more =
        ["-b", &flags[0], "-b", &flags[1], "--connect-timeout", "333ms", "--retries", "1"];
    let balancer = Balancer::start(&front_args(&[], &more));
    let sleeps = balancer.sleeps();
    let ticks = balancer.cpu_ticks();
    let began = Instant::now();
    let clients: Vec<TcpStream> = (0..10).map(|_| balancer.connect()).collect();
    clients.iter().for_each(|client| assert_eq!(read_to_end(client), End::Reset(0)));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(666), "{took:?}");
    let sleeps = balancer.sleeps() - sleeps;
    let ticks = balancer.cpu_ticks() - ticks;
    assert!(sleeps < 200, "{sleeps} sleeps");
    assert!(ticks < 20, "{ticks} ticks");
    balancer.stop();
}

#[test]
fn pitfall_25_a_burst_fits_into_the_backlog() {
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    if somaxconn.trim().parse::<usize>().unwrap() < 1000 {
        println!("skipped: this machine allows a backlog of {}", somaxconn.trim());
        return;
    }
    let backend = Backend::named("here");
    let balancer = Balancer::before(&[&backend], QUIET);
    balancer.signal(Signal::STOP);
    let mut slow = 0;
    let clients: Vec<TcpStream> = (0..800)
        .map(|_| {
            let began = Instant::now();
            let client = balancer.connect();
            slow += usize::from(began.elapsed() > Duration::from_millis(900));
            client
        })
        .collect();
    // A SYN that is dropped is sent again after a second. A busy machine may hold up a few.
    assert!(slow < 10, "{slow} of 800 connects took a second");
    balancer.signal(Signal::CONT);
    for client in &clients {
        assert_eq!(read_to_end(client), End::Finished(b"here".to_vec()));
    }
    drop(clients);
    balancer.stop();
}

#[test]
fn pitfall_31_counts_come_back_to_zero_on_every_path() {
    let echo = Backend::echo();
    let resets = Backend::start(reset);
    let hole = BlackHole::start();
    let others = [free_port().to_string(), hole.flag(), format!("{},backup", free_port())];
    let mut args = front_args(&[&echo, &resets], &["--connect-timeout", "50ms"]);
    args.extend(others.iter().flat_map(|flag| ["-b", flag]));
    args.extend(["--balance", "round-robin", "--retries", "2"]);
    let balancer = Balancer::start(&args);
    let before = balancer.descriptors();
    for round in 0..60 {
        let client = balancer.connect();
        match round % 4 {
            0 => reset(client),
            1 => drop((&client).write(b"word")),
            2 => drop(write_on_thread(&client, b"word".to_vec(), true).join()),
            _ => drop(client.set_read_timeout(Some(Duration::from_millis(20)))),
        }
    }
    balancer.wait_until_idle();
    let names = [echo.name(), resets.name(), others[0].clone(), others[1].clone()];
    for name in &names {
        assert_eq!(balancer.row(name).active, 0, "{name}");
    }
    assert!(balancer.row(&names[2]).failed > 0 && balancer.row(&names[3]).failed > 0);
    until("all descriptors are given back", || balancer.descriptors() <= before);
    balancer.stop();
}

/// How often a process went to sleep.
fn sleeps(balancer: &Balancer) -> u64 {
    let path = format!("/proc/{}/status", balancer.pid().as_raw_pid());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn with_as_many_clients_as_may_be_and_nobody_waiting_it_sleeps() {
    let echo = Backend::echo();
    let args =
        ["-l", "127.0.0.1:0", "-b", &echo.flag(), "--max-connections", "2", "--check", "none"];
    let balancer = Balancer::start(&args);
    let echoed = || {
        let mut stream = balancer.connect();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    };
    let clients = [echoed(), echoed()];
    let began = Instant::now();
    let before = sleeps(&balancer);
    std::thread::sleep(Duration::from_secs(1));
    let often = (sleeps(&balancer) - before) as f64 / began.elapsed().as_secs_f64();
    assert!(often < 10.0, "{often} times a second, 35 when it looks for room");
    // Who comes then waits, and is served once there is room.
    let mut third = balancer.connect();
    third.write_all(b"z").unwrap();
    drop(clients);
    third.read_exact(&mut [0]).unwrap();
}
