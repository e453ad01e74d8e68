//! System calls that are not there, forbidden, or of no use for this socket: what they save is not
//! saved then, it is said once, and nobody loses a byte. `strace` refuses them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::common::http::{Origin, Wire, get, ok};
use crate::common::measure::only_linux;
use crate::common::trace::{Call, Trace};
use crate::common::udp::{UdpBackend, ask_text, client, hear, udp_args};
use crate::common::{
    Backend, Balancer, DEADLINE, End, front_args, noise, read_to_end, until, write_on_thread,
};

const QUIET: &[&str] = &["--log-level", "info"];
const STREAM_BYTES: usize = 30_000_000;

/// A stream each way, of another kind each, at the same time.
fn carry_streams(balancer: &Balancer) {
    let client = balancer.connect();
    let bytes = noise(1, STREAM_BYTES);
    let writer = write_on_thread(&client, bytes.clone(), true);
    match read_to_end(&client) {
        End::Finished(echo) => assert!(echo == bytes, "{} bytes", echo.len()),
        end => panic!("{end:?}"),
    }
    writer.join().expect("no panic").expect("taken");
}

fn refused(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.result < 0).count()
}

/// Sends back all that comes, the more of it at once the better.
fn large_echo() -> Backend {
    Backend::start(|mut stream: TcpStream| {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
    })
}

#[test]
fn without_splice_streams_are_copied() {
    if !only_linux("splice") {
        return;
    }
    for errno in ["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM"] {
        let backend = large_echo();
        let refusing = format!("splice:error={errno}");
        let started = Trace::start_refusing(&[&refusing], &front_args(&[&backend], QUIET));
        let Some((balancer, trace)) = started else { return };
        carry_streams(&balancer);
        carry_streams(&balancer);
        balancer.wait_for_log("splice does not work here");
        let log = balancer.log();
        assert_eq!(log.matches("splice does not work here").count(), 1, "{errno}: {log}");
        balancer.stop();
        // Each direction may have had a pipe by then.
        let count = refused(&trace.calls());
        assert!((1..=2).contains(&count), "{errno}: tried {count} times");
    }
}

/// What is in the pipe is nowhere else any more: it is read out again, wherever the stream is.
#[test]
fn what_is_in_a_pipe_that_cannot_be_emptied_is_not_lost() {
    if !only_linux("splice") {
        return;
    }
    for which in [2, 3, 4, 5, 8, 11] {
        let backend = large_echo();
        let refusing = format!("splice:error=EINVAL:when={which}+");
        let started = Trace::start_refusing(&[&refusing], &front_args(&[&backend], QUIET));
        let Some((balancer, _)) = started else { return };
        carry_streams(&balancer);
        balancer.wait_for_log("splice does not work here");
        balancer.stop();
    }
}

/// For want of memory it does not work now, which says nothing of the next time.
#[test]
fn a_splice_that_fails_once_for_want_of_memory_is_copied_once() {
    if !only_linux("splice") {
        return;
    }
    for which in [2, 3] {
        let backend = large_echo();
        let refusing = format!("splice:error=ENOMEM:when={which}");
        let started = Trace::start_refusing(&[&refusing], &front_args(&[&backend], QUIET));
        let Some((balancer, trace)) = started else { return };
        carry_streams(&balancer);
        assert!(!balancer.log().contains("splice does not work here"));
        balancer.stop();
        // Those that found nothing fail as well.
        let moved = |call: &&Call| call.result > 0;
        let after = trace.calls().iter().skip(which).filter(moved).count();
        assert!(after > 10, "pipes are used again: {after}");
    }
}

#[test]
fn without_pipes_streams_are_copied() {
    if !only_linux("splice") {
        return;
    }
    let backend = large_echo();
    // The first is the signals'.
    for (refusing, is_said) in
        [("pipe2:error=ENOSYS:when=1+", true), ("pipe2:error=EMFILE:when=1+", false)]
    {
        let started = Trace::start_refusing(&[refusing], &front_args(&[&backend], QUIET));
        let Some((balancer, _)) = started else { return };
        carry_streams(&balancer);
        if is_said {
            balancer.wait_for_log("pipe does not work here");
        }
        assert_eq!(balancer.log().contains("pipe does not work here"), is_said);
        balancer.stop();
    }
}

/// Options make things faster. Nothing depends on one.
#[test]
fn without_socket_options_all_goes_on() {
    let refusing = "setsockopt:error=ENOPROTOOPT";
    let backend = large_echo();
    let started = Trace::start_refusing(&[refusing], &front_args(&[&backend], QUIET));
    let Some((balancer, _)) = started else { return };
    carry_streams(&balancer);
    balancer.stop();

    let origin = Origin::start(|request, wire| {
        let size = request.target()[1..].parse().expect("a size");
        wire.try_say(ok(noise(2, size)))
    });
    let mut args = front_args(&[&origin.backend], QUIET);
    args[1] = "http://127.0.0.1:0";
    let Some((balancer, _)) = Trace::start_refusing(&[refusing], &args) else { return };
    let mut wire = Wire::to(&balancer);
    for size in [0, 10, 300_000, STREAM_BYTES, 10] {
        assert!(wire.ask(get(&format!("/{size}"))).body == noise(2, size), "{size}");
    }
    balancer.stop_after(wire);

    let backend = UdpBackend::echo();
    let args = udp_args(&[&backend], QUIET);
    let Some((balancer, _)) = Trace::start_refusing(&[refusing], &args) else { return };
    let asker = client(balancer.address());
    assert_eq!(ask_text(&asker, "word"), "word");
    balancer.stop();
}

#[test]
fn without_calls_for_many_datagrams_they_go_one_by_one() {
    if !only_linux("recvmmsg and sendmmsg") {
        return;
    }
    let refusals: [&[&str]; 4] = [
        &["recvmmsg:error=ENOSYS"],
        &["sendmmsg:error=ENOSYS"],
        &["recvmmsg:error=EPERM", "sendmmsg:error=ENOSYS"],
        &["sendmmsg:error=EOPNOTSUPP:when=1"],
    ];
    for refused in refusals {
        let backend = UdpBackend::echo();
        let started = Trace::start_refusing(refused, &udp_args(&[&backend], QUIET));
        let Some((balancer, _)) = started else { return };
        let askers: Vec<_> = (0..3).map(|_| client(balancer.address())).collect();
        for round in 0..40 {
            for asker in &askers {
                if round == 0 && refused[0].contains("when=1") {
                    // One datagram is refused for itself, and lost.
                    let _ = asker.send(b"0");
                    continue;
                }
                asker.send(round.to_string().as_bytes()).expect("sent");
            }
            for asker in askers.iter().filter(|_| round > 0) {
                let wanted = round.to_string();
                // What the first round got is of no interest.
                while hear(asker) != wanted.as_bytes() {}
            }
        }
        let lasting = |one: &&&str| one.contains("ENOSYS") || one.contains("EPERM");
        let wanted = refused.iter().filter(lasting).count();
        until("it was said, once each", || {
            balancer.log_so_far().matches("datagrams go one by one").count() == wanted
        });
        balancer.stop();
    }
}

#[test]
fn without_an_alarm_of_its_own_sleeps_end_in_time() {
    let backend = Backend::echo();
    let args = front_args(&[&backend], &["--idle-timeout", "100ms", "--log-level", "info"]);
    let started = Trace::start_refusing(&["timerfd_create:error=ENOSYS"], &args);
    let Some((balancer, _)) = started else { return };
    let client = balancer.connect();
    client.set_read_timeout(Some(DEADLINE)).expect("not zero");
    assert_eq!(read_to_end(&client), End::Finished(vec![]));
    balancer.stop();
}

/// A firewall's refusal, and the like, is that client's trouble: the others need not wait.
#[test]
fn a_client_in_trouble_does_not_pause_the_listener() {
    for errno in ["EPERM", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EOPNOTSUPP", "EHOSTDOWN"] {
        let backend = Backend::named("here");
        let refusing = format!("accept4:error={errno}:when=1..3");
        let started = Trace::start_refusing(&[&refusing], &front_args(&[&backend], QUIET));
        let Some((balancer, _)) = started else { return };
        assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"here".to_vec()));
        let log = balancer.log();
        assert!(!log.contains("cannot accept"), "{errno}: {log}");
        balancer.stop();
    }
}

#[test]
fn a_listener_that_may_not_accept_at_all_does_not_spin() {
    let backend = Backend::named("here");
    let refusing = ["accept4:error=EPERM"];
    let started = Trace::start_refusing(&refusing, &front_args(&[&backend], QUIET));
    let Some((balancer, trace)) = started else { return };
    let client = balancer.connect();
    balancer.wait_for_log("cannot accept");
    drop(client);
    balancer.stop();
    assert!(trace.calls().len() < 5_000, "it rests in between");
}
