//! Half-close in both directions, RST at each moment, urgent data: how connections end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};
use socket2::SockRef;

use crate::common::{
    Backend, Balancer, DEADLINE, End, ask, noise, read_to_end, reset, until, write_on_thread,
};

/// More than fits into a few reads, less than fits into the kernel's buffers.
const SOME: usize = 300_000;

/// More than is moved in a few turns.
const LOTS: usize = 8_000_000;

/// More than all buffers on the way hold.
const MUCH: usize = 30_000_000;

/// A client and a backend connected through a balancer, both in the test's hands.
struct Rig {
    balancer: Balancer,
    _backend: Backend,
    taken: Receiver<TcpStream>,
    descriptors: usize,
}

impl Rig {
    fn new() -> Rig {
        let (backend, taken) = Backend::manual();
        let balancer = Balancer::before(&[&backend], &["--log-level", "info"]);
        let descriptors = balancer.descriptors();
        Rig { balancer, _backend: backend, taken, descriptors }
    }

    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.balancer.connect();
        (client, self.taken.recv_timeout(DEADLINE).expect("the backend is connected"))
    }

    /// All is given back, whatever happened before, and no invariant was broken.
    fn finish(self) {
        self.balancer.wait_until_idle();
        // Free pipes are kept.
        let kept = 2 * 16;
        assert!(self.balancer.descriptors() <= self.descriptors + kept);
        self.balancer.stop();
    }
}

#[test]
fn pitfall_07_half_close_by_the_client_leaves_the_answer_alone() {
    let rig = Rig::new();
    for (question, answer) in [(0, SOME), (10, 10), (SOME, LOTS), (LOTS, SOME)] {
        let (client, backend) = rig.connect();
        let writing = write_on_thread(&client, noise(1, question), true);
        assert!(read_to_end(&backend).bytes() == noise(1, question), "{question}");
        let answering = write_on_thread(&backend, noise(2, answer), true);
        assert!(read_to_end(&client).bytes() == noise(2, answer), "{answer}");
        writing.join().unwrap().unwrap();
        answering.join().unwrap().unwrap();
    }
    rig.finish();
}

#[test]
fn pitfall_07_half_close_by_the_backend_leaves_the_request_alone() {
    let rig = Rig::new();
    for (answer, question) in [(0, SOME), (10, 10), (SOME, LOTS), (LOTS, SOME)] {
        let (client, backend) = rig.connect();
        let answering = write_on_thread(&backend, noise(2, answer), true);
        assert!(read_to_end(&client).bytes() == noise(2, answer), "{answer}");
        let writing = write_on_thread(&client, noise(1, question), true);
        assert!(read_to_end(&backend).bytes() == noise(1, question), "{question}");
        writing.join().unwrap().unwrap();
        answering.join().unwrap().unwrap();
    }
    rig.finish();
}

/// How far one direction is brought before the other one goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Until {
    /// Bytes have arrived, the sender has not finished.
    Open,
    /// The sender is about to finish, and nobody reads.
    Unread,
    /// The end has arrived.
    Done,
}

type Writing = thread::JoinHandle<std::io::Result<()>>;

fn begin(
    to: Until,
    from: &TcpStream,
    at: &TcpStream,
    bytes: &[u8],
) -> (Vec<u8>, Option<Writing>) {
    match to {
        Until::Open => {
            let half = &bytes[..bytes.len() / 2];
            let writing = write_on_thread(from, half.to_vec(), false);
            let mut read = vec![0; half.len()];
            (&mut { at }).read_exact(&mut read).unwrap();
            writing.join().unwrap().unwrap();
            (read, None)
        }
        Until::Unread => (Vec::new(), Some(write_on_thread(from, bytes.to_vec(), true))),
        Until::Done => {
            let writing = write_on_thread(from, bytes.to_vec(), true);
            (read_to_end(at).bytes(), Some(writing))
        }
    }
}

fn end(
    begun: (Vec<u8>, Option<Writing>),
    (from, at): (&TcpStream, &TcpStream),
    bytes: &[u8],
) -> bool {
    let (mut read, writing) = begun;
    let rest = bytes[bytes.len() / 2..].to_vec();
    let writing = writing.unwrap_or_else(|| write_on_thread(from, rest, true));
    // After the end there is only the end again.
    read.extend(read_to_end(at).bytes());
    writing.join().unwrap().unwrap();
    read == bytes
}

#[test]
fn pitfall_07_half_close_in_all_nine_combinations() {
    let rig = Rig::new();
    let request = noise(3, 3_500_000);
    let response = noise(4, 3_500_000);
    let all = [Until::Open, Until::Unread, Until::Done];
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other))) {
        let (client, backend) = rig.connect();
        let sending = begin(one, &client, &backend, &request);
        let answering = begin(other, &backend, &client, &response);
        assert!(end(answering, (&backend, &client), &response), "{one:?} {other:?}: response");
        assert!(end(sending, (&client, &backend), &request), "{one:?} {other:?}: request");
    }
    rig.finish();
}

#[test]
fn pitfall_14_a_fin_without_data_or_right_behind_it_is_seen() {
    let (backend, ends) = Backend::silent();
    let balancer = Balancer::before(&[&backend], &["--log-level", "info"]);
    for round in 0..300 {
        let bytes = noise(round, round as usize % 3);
        let mut client = balancer.connect();
        client.write_all(&bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ends.recv_timeout(DEADLINE), Ok(End::Finished(bytes)));
        assert_eq!(read_to_end(&client), End::Finished(vec![]));
    }
    balancer.stop();
}

#[test]
fn pitfall_06_a_hang_up_behind_unread_bytes_loses_none() {
    let rig = Rig::new();
    for size in [1, 128 * 1024, SOME, LOTS] {
        let (client, mut backend) = rig.connect();
        // The backend is gone for good before anybody reads.
        let answering = thread::spawn(move || backend.write_all(&noise(5, size)));
        if size <= SOME {
            answering.join().unwrap().unwrap();
            assert!(read_to_end(&client).bytes() == noise(5, size), "{size}");
        } else {
            assert!(read_to_end(&client).bytes() == noise(5, size), "{size}");
            answering.join().unwrap().unwrap();
        }
    }
    rig.finish();
}

/// The state of the socket at this end, as the kernel's table has it; none once it is gone.
fn tcp_state(local: SocketAddr, remote: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let row = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row[1].ends_with(&port(local)) && row[2].ends_with(&port(remote)))?;
    Some(row[3].to_string())
}

#[test]
fn pitfall_06_an_answer_with_its_fin_stays_whole_when_the_backend_resets_later() {
    const FIN_WAIT_2: &str = "05";
    let rig = Rig::new();
    for size in [100, 3_500_000] {
        let (mut client, backend) = rig.connect();
        // The client reads nothing yet, so most of the answer waits in the kernel's buffers.
        let here = backend.local_addr().unwrap();
        let there = backend.peer_addr().unwrap();
        let answering = write_on_thread(&backend, noise(6, size), true);
        let has = |state| tcp_state(here, there).as_deref() == Some(state);
        let deadline = Instant::now() + Duration::from_millis(500);
        let mut fits = has(FIN_WAIT_2);
        while !fits && Instant::now() < deadline {
            // The table is long, and reading it is slow.
            thread::sleep(Duration::from_millis(5));
            fits = has(FIN_WAIT_2);
        }
        if fits {
            answering.join().unwrap().unwrap();
            drop(backend);
            // The backend does not read any more: its kernel answers this with a reset.
            client.write_all(b"more").unwrap();
            until("the backend's kernel forgets it", || tcp_state(here, there).is_none());
            assert!(read_to_end(&client).bytes() == noise(6, size), "{size}");
        } else {
            reset(client);
            let _ = answering.join();
        }
    }
    rig.finish();
}

#[test]
fn a_reset_by_the_client_reaches_the_backend_at_each_moment() {
    let rig = Rig::new();
    // Before anything.
    let (client, backend) = rig.connect();
    reset(client);
    assert!(read_to_end(&backend).is_reset());
    // After a question.
    let (client, mut backend) = rig.connect();
    let mut asked = [0; 5];
    (&client).write_all(b"hello").unwrap();
    backend.read_exact(&mut asked).unwrap();
    reset(client);
    assert_eq!(read_to_end(&backend), End::Reset(0));
    // In the middle of an upload.
    let (client, backend) = rig.connect();
    let writing = write_on_thread(&client, noise(7, MUCH), false);
    let mut part = vec![0; SOME];
    (&backend).read_exact(&mut part).unwrap();
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    client.shutdown(Shutdown::Both).unwrap();
    let _ = writing.join().unwrap();
    drop(client);
    let _ = read_to_end(&backend);
    // In the middle of a download that it does not read.
    let (client, backend) = rig.connect();
    let answering = write_on_thread(&backend, noise(8, MUCH), false);
    let mut part = vec![0; SOME];
    (&client).read_exact(&mut part).unwrap();
    reset(client);
    assert!(answering.join().unwrap().is_err(), "the backend's write is told");
    // After it had finished sending.
    let (client, backend) = rig.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&backend), End::Finished(vec![]));
    reset(client);
    until("the backend is told", || (&backend).write(b"late").is_err());
    // After the backend had.
    let (client, backend) = rig.connect();
    backend.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), End::Finished(vec![]));
    reset(client);
    assert!(read_to_end(&backend).is_reset());
    rig.finish();
}

#[test]
fn a_reset_by_the_backend_reaches_the_client_at_each_moment() {
    let rig = Rig::new();
    // After the question.
    let (client, mut backend) = rig.connect();
    (&client).write_all(b"hello").unwrap();
    backend.read_exact(&mut [0; 5]).unwrap();
    reset(backend);
    assert_eq!(read_to_end(&client), End::Reset(0));
    // In the middle of its answer: what came before is not lost.
    let (client, mut backend) = rig.connect();
    backend.write_all(&noise(9, SOME)).unwrap();
    let mut part = vec![0; SOME];
    (&client).read_exact(&mut part).unwrap();
    reset(backend);
    assert_eq!(read_to_end(&client), End::Reset(0));
    // While the client sends and nobody reads.
    let (client, backend) = rig.connect();
    let writing = write_on_thread(&client, noise(10, MUCH), false);
    (&backend).read_exact(&mut vec![0; SOME]).unwrap();
    reset(backend);
    assert!(writing.join().unwrap().is_err(), "the client's write is told");
    // After the client had finished sending.
    let (client, backend) = rig.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&backend), End::Finished(vec![]));
    reset(backend);
    assert_eq!(read_to_end(&client), End::Reset(0));
    // After it had finished itself, while the client goes on sending.
    let (client, backend) = rig.connect();
    backend.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), End::Finished(vec![]));
    reset(backend);
    (&client).write_all(b"late").unwrap();
    drop(client);
    rig.finish();
}

#[test]
fn urgent_data_stalls_nothing() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &[]);
    let client = balancer.connect();
    for round in 0..100 {
        let word = noise(round, 100);
        assert_eq!(ask(&client, &word), word);
        send(&client, b"!", SendFlags::OOB).unwrap();
        assert_eq!(ask(&client, &word), word, "round {round}");
    }
    drop(client);
    balancer.stop();
    // In the middle of a stream, and right before its end.
    let backend = Backend::start(|stream| {
        let bytes = read_to_end(&stream).bytes();
        let _ = (&stream).write_all(&(bytes.len() as u64).to_be_bytes());
    });
    let balancer = Balancer::before(&[&backend], &[]);
    for finale in [0, 1, 1_000_000] {
        let mut client = balancer.connect();
        client.write_all(&noise(11, 5_000_000)).unwrap();
        send(&client, b"!", SendFlags::OOB).unwrap();
        client.write_all(&noise(12, finale)).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut counted = [0; 8];
        client.read_exact(&mut counted).unwrap();
        assert_eq!(u64::from_be_bytes(counted), 5_000_000 + finale as u64);
        assert_eq!(read_to_end(&client), End::Finished(vec![]));
    }
    balancer.stop();
}

#[test]
fn urgent_data_in_a_stream_that_stays_open_stalls_nothing() {
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &[]);
    let client = balancer.connect();
    let bytes = noise(13, 8_000_000);
    let copy = bytes.clone();
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&copy[..5_000_000]).unwrap();
        send(&writer, b"!", SendFlags::OOB).unwrap();
        writer.write_all(&copy[5_000_000..]).unwrap();
    });
    let mut echoed = vec![0; bytes.len()];
    (&client).read_exact(&mut echoed).unwrap();
    assert!(echoed == bytes);
    writing.join().unwrap();
    drop(client);
    balancer.stop();
}

/// The reset may come in the middle of a splice, which then says only what it moved.
#[test]
fn a_reset_in_the_middle_of_an_upload_is_never_taken_for_an_end() {
    let rig = Rig::new();
    let upload = noise(14, 8_000_000);
    for round in 0..200 {
        let (client, backend) = rig.connect();
        let writing = write_on_thread(&client, upload.clone(), false);
        (&backend).write_all(b"half an answer").unwrap();
        let mut part = vec![0; 1_000_000 + round * 7919 % 500_000];
        (&backend).read_exact(&mut part).unwrap();
        reset(backend);
        // Who writes and reads is told of a reset once, at whichever comes first.
        let end = read_to_end(&client);
        let told = writing.join().unwrap().is_err() || end.is_reset();
        assert!(told, "round {round}: that looks whole: {end:?}");
    }
    rig.finish();
}
