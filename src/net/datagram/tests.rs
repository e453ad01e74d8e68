//! Datagrams through the kernel and back: what goes in comes out, whole, from the right address.

use std::net::UdpSocket as Plain;
use std::time::{Duration, Instant};

use super::*;

fn listener(address: &str) -> DatagramListener {
    DatagramListener::bind(address.parse().unwrap(), Families::Both).unwrap()
}

fn client(address: &str) -> Plain {
    let client = Plain::bind(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

/// Take so many datagrams.
fn take(batch: &mut Batch, listener: &DatagramListener, count: u32) -> Vec<RecvMeta> {
    let mut list = Vec::new();
    let end = Instant::now() + Duration::from_secs(10);
    while list.iter().map(|meta: &RecvMeta| meta.piece.count()).sum::<u32>() < count {
        assert!(Instant::now() < end, "only {list:?}");
        if let RecvOutcome::Failed(fault) = batch.take(listener, &mut list) {
            panic!("{fault}");
        }
    }
    list
}

fn bytes(batch: &Batch, piece: Piece) -> &[u8] {
    &batch.memory()[piece.start as usize..(piece.start + piece.bytes) as usize]
}

#[test]
fn datagrams_of_every_length_arrive_whole_and_go_back() {
    let listener = listener("127.0.0.1:0");
    let client = client("127.0.0.1:0");
    let mut batch = Batch::new();
    let mut post = Sender::new();
    for length in [0, 1, 64, 1472, 1473, 9000, 65_507] {
        let text = vec![b'x'; length];
        client.send_to(&text, listener.address().socket_address().unwrap()).unwrap();
        let metas = take(&mut batch, &listener, 1);
        let meta = metas[0];
        assert_eq!(meta.from, Some(client.local_addr().unwrap()));
        assert_eq!((bytes(&batch, meta.piece), meta.piece.count()), (&*text, 1));
        let transmit = Transmit { piece: meta.piece, to: meta.from, from: None };
        let outcome = post.answer(&listener, &[transmit], batch.memory());
        assert_eq!((outcome.sent, outcome.bytes, outcome.dropped), (1, length as u64, 0));
        let mut answer = vec![0; 65_535];
        let count = client.recv(&mut answer).unwrap();
        assert_eq!(&answer[..count], text);
        batch.clear();
    }
}

#[test]
fn equal_ones_for_the_same_receiver_go_out_as_one() {
    let listener = listener("127.0.0.1:0");
    let clients = [client("127.0.0.1:0"), client("127.0.0.1:0")];
    let mut batch = Batch::new();
    let mut post = Sender::new();
    let mut transmits = Vec::new();
    let lengths =
        [(0, 100), (0, 100), (0, 40), (0, 100), (1, 100), (1, 0), (1, 120), (0, 9000)];
    let mut all = Vec::new();
    for (number, (to, length)) in lengths.into_iter().enumerate() {
        let text = vec![number as u8; length];
        clients[to].send_to(&text, listener.address().socket_address().unwrap()).unwrap();
        all.extend(take(&mut batch, &listener, 1));
        let piece = all[number].piece;
        let to = Some(clients[to].local_addr().unwrap());
        transmits.push(Transmit { piece, to, from: None });
    }
    let outcome = post.answer(&listener, &transmits, batch.memory());
    assert_eq!((outcome.sent, outcome.dropped), (8, 0));
    for (number, (to, length)) in lengths.into_iter().enumerate() {
        let mut answer = vec![0; 65_535];
        let count = clients[to].recv(&mut answer).unwrap();
        assert_eq!(answer[..count], vec![number as u8; length], "number {number}");
    }
}

/// A piece of several datagrams, as GRO makes them, sent to a socket that takes them one by one.
#[test]
fn a_piece_of_many_is_cut_where_it_was_put_together() {
    let listener = listener("127.0.0.1:0");
    let backend = client("127.0.0.1:0");
    let client = client("127.0.0.1:0");
    let mut batch = Batch::new();
    let mut post = Sender::new();
    let text: Vec<u8> = (0..60_000_u32).map(|number| (number / 7) as u8).collect();
    client.send_to(&text, listener.address().socket_address().unwrap()).unwrap();
    let whole = take(&mut batch, &listener, 1)[0].piece;
    let socket = DatagramSocket::connect(&backend.local_addr().unwrap().into()).unwrap();
    for size in [1, 700, 1452, 1453, 20_000] {
        let most = (size * 150).min(60_000);
        let piece = Piece::new(whole.start as usize, most, size);
        let (head, rest) = piece.split(2);
        let pieces = [Some(head), rest].into_iter().flatten();
        let transmits: Vec<Transmit> =
            pieces.map(|piece| Transmit { piece, to: None, from: None }).collect();
        let outcome = post.pass_on(&socket, &transmits, batch.memory());
        assert_eq!((outcome.sent, outcome.dropped), (u64::from(piece.count()), 0), "{size}");
        for part in text[..most].chunks(size) {
            let mut answer = vec![0; 65_535];
            let count = backend.recv(&mut answer).unwrap();
            assert_eq!(&answer[..count], part, "{size}");
        }
    }
}

#[test]
#[cfg(linux)]
fn a_wildcard_listener_answers_from_where_it_was_asked() {
    for (bind, asked, from) in [
        ("0.0.0.0:0", "127.0.0.2", "127.0.0.1:0"),
        ("[::]:0", "127.0.0.2", "127.0.0.1:0"),
        ("[::]:0", "::1", "[::1]:0"),
    ] {
        let listener = listener(bind);
        let client = client(from);
        let asked = SocketAddr::new(asked.parse().unwrap(), listener.address().port().unwrap());
        // Connected: an answer from another address is not heard.
        client.connect(asked).unwrap();
        let mut batch = Batch::new();
        let mut post = Sender::new();
        for round in [b"one", b"two"] {
            client.send(round).unwrap();
            let meta = take(&mut batch, &listener, 1)[0];
            assert_eq!(meta.local.map(|ip| ip.to_canonical()), Some(asked.ip()));
            let transmit = Transmit { piece: meta.piece, to: meta.from, from: meta.local };
            assert_eq!(post.answer(&listener, &[transmit, transmit], batch.memory()).sent, 2);
            for _ in 0..2 {
                let mut answer = [0; 16];
                let count = client.recv(&mut answer).unwrap();
                assert_eq!(&answer[..count], round);
            }
        }
    }
}

#[test]
fn who_is_not_there_is_said_once() {
    let gone = client("127.0.0.1:0").local_addr().unwrap();
    let socket = DatagramSocket::connect(&gone.into()).unwrap();
    let mut batch = Batch::new();
    let mut post = Sender::new();
    socket.send(b"anybody").unwrap();
    let mut list = Vec::new();
    assert_eq!(batch.hear(&socket, 8, &mut list), RecvOutcome::Failed(Fault::Refused));
    assert_eq!(batch.hear(&socket, 8, &mut list), RecvOutcome::All(0));
    socket.send(b"anybody").unwrap();
    let listener = listener("127.0.0.1:0");
    client("127.0.0.1:0").send_to(b"x", listener.address().socket_address().unwrap()).unwrap();
    let piece = take(&mut batch, &listener, 1)[0].piece;
    let transmits = [Transmit { piece, to: None, from: None }];
    let outcome = post.pass_on(&socket, &transmits, batch.memory());
    let refused = Refused { fault: Fault::Refused, from: Cursor::default() };
    assert_eq!(outcome, SendOutcome { refused: Some(refused), ..SendOutcome::default() });
}

#[test]
fn a_datagram_loses_what_stands_at_its_front_and_stays_one() {
    let memory = b"..headhello";
    let all = Piece::new(2, 9, 9);
    assert_eq!(all.of(memory), b"headhello");
    assert_eq!(all.without_front(4).of(memory), b"hello");
    for bytes in [9, 10] {
        let none = all.without_front(bytes);
        assert_eq!((none.count(), none.bytes(), none.of(memory)), (1, 0, &b""[..]));
    }
}

#[test]
fn coalesced_answers_are_counted_as_what_they_are() {
    let backend = client("127.0.0.1:0");
    let mut socket = DatagramSocket::connect(&backend.local_addr().unwrap().into()).unwrap();
    socket.coalesce();
    let back = socket.socket.local_addr().unwrap();
    let mut batch = Batch::new();
    let mut list = Vec::new();
    for length in [10, 0, 300] {
        backend.send_to(&vec![1; length], back).unwrap();
        list.clear();
        let end = Instant::now() + Duration::from_secs(10);
        while list.is_empty() && Instant::now() < end {
            batch.hear(&socket, 8, &mut list);
        }
        assert_eq!((list[0].piece.count(), list[0].piece.bytes()), (1, length as u64));
    }
}
