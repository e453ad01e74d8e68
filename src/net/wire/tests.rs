//! What a wire makes of calls that say less than it seems, with sockets of the kernel.

use std::net::{TcpListener, TcpStream as Peer};
use std::time::Instant;

use mio::{Events, Poll};

use crate::event::{Generation, Key};
use crate::net::PipePool;

use super::*;

const LONG: Duration = Duration::from_secs(25);

fn connected() -> (Wire, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    (Wire::accepted(TcpStream::from_std(socket)), peer)
}

/// A signal ends a splice between two of the pieces that it is made of. The socket has room then:
/// who waits until it can be written waits for ever.
#[test]
fn pitfall_03_a_splice_that_ends_early_does_not_mean_that_the_socket_is_full() {
    let (mut wire, mut peer) = connected();
    let mut pipe = PipePool::new(1).take().unwrap();
    pipe.pour_in(b"some");
    pipe.await_more(5);
    assert_eq!(wire.send_out_of(&mut pipe), Sent::Bytes(4));
    assert!(wire.can_write(), "no event would ever say so");
    assert!(!wire.wants_write());
    let mut came = [0; 4];
    peer.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"some");
}

#[test]
fn a_socket_that_is_full_says_so_to_the_next_splice_and_is_waited_for() {
    let mut poll = Poll::new().unwrap();
    let (mut wire, mut peer) = connected();
    let mut pipe = PipePool::new(1).take().unwrap();
    let mut sent = 0;
    while wire.can_write() {
        if pipe.is_empty() {
            pipe.pour_in(&[7; 64 * 1024]);
        }
        match wire.send_out_of(&mut pipe) {
            Sent::Bytes(count) => sent += count,
            other => assert_eq!(other, Sent::WouldBlock),
        }
    }
    assert!(wire.wants_write() && !pipe.is_empty());
    let key = Key { index: 0, generation: Generation::FIRST };
    wire.arm(poll.registry(), Owner::Pair(key)).unwrap();
    peer.read_exact(&mut vec![0; sent]).unwrap();
    let mut events = Events::with_capacity(4);
    let began = Instant::now();
    while !wire.can_write() && began.elapsed() < LONG {
        poll.poll(&mut events, Some(LONG)).unwrap();
        events.iter().for_each(|event| wire.mark(event));
    }
    assert!(matches!(wire.send_out_of(&mut pipe), Sent::Bytes(1..)));
}

/// A signal that comes in at the urgent mark makes the kernel say "would block" of bytes that are
/// here, of which it has told already.
#[test]
fn would_block_is_not_believed_where_urgent_data_is_or_was() {
    let mut poll = Poll::new().unwrap();
    let (mut wire, peer) = connected();
    let key = Key { index: 0, generation: Generation::FIRST };
    let mut events = Events::with_capacity(4);
    let mut into = [0; 16];
    for urgent in [false, true] {
        if urgent {
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        } else {
            (&peer).write_all(b"some").unwrap();
        }
        wire.arm(poll.registry(), Owner::Pair(key)).unwrap();
        let began = Instant::now();
        while wire.readiness.urgent != urgent || !wire.can_read() {
            assert!(began.elapsed() < LONG);
            poll.poll(&mut events, Some(LONG)).unwrap();
            events.iter().for_each(|event| wire.mark(event));
        }
        wire.readiness.can_read = true;
        while wire.can_read() {
            wire.receive(&mut into);
        }
        assert_eq!(wire.armed != Some(wire.wanted), urgent, "the poll is asked anew");
    }
}
