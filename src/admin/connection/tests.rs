//! The end of those who take too long.

use std::net::TcpListener;

use crate::control::Speaks;
use crate::event::{Owner, Timers};
use crate::net::Stream;

use super::*;

/// What somebody watches.
struct Shown;

impl Pieces for Shown {
    fn write(&mut self, _: &View<'_>, _: &mut Vec<u8>) -> More {
        More::Later
    }

    fn watches(&self) -> bool {
        true
    }
}

/// A connection, and its client.
fn accepted(now: Instant) -> (Connection, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, from) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = Stream::accepted(mio::net::TcpStream::from_std(socket));
    let arrived = Arrived {
        socket: AdminSocket::Stream(socket),
        entry: Entry::tcp(from.to_string(), false),
        speaks: Speaks::Api,
    };
    let timer = Timers::new(now).create(Owner::Alarm);
    (Connection::new(arrived, 1, timer, now), client)
}

/// Whoever closes it counts one less, and otherwise nobody could watch any more after a few.
#[test]
fn who_watches_and_takes_nothing_watched_until_it_is_closed() {
    let now = Instant::now();
    for sleeps in [true, false] {
        let (mut connection, _client) = accepted(now);
        connection.output = b"more than it takes".to_vec();
        connection.state = State::Writing(Writing {
            sending: request::LAST,
            chunked: true,
            pieces: Some(Box::new(Shown)),
            sleeps,
        });
        assert!(!connection.on_timer(now), "its time is over");
        assert!(connection.watches());
    }
}
