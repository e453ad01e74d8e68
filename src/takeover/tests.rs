//! Messages survive the way, and what is no message is refused.

use super::*;
use crate::config::{LinkAddress, UnixName};
use crate::limits::{TAKEOVER_MESSAGE_MAX, TAKEOVER_WHY_BYTES};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn flow() -> FlowRow {
    FlowRow {
        listener: 3,
        peer: address("10.0.0.1:5353"),
        local: Some("192.0.2.9".parse().expect("an address")),
        client: Some(address("[2001:db8::1]:7")),
        is_current: false,
        pool: "main".to_owned(),
        backend: "a \"b\"".to_owned(),
        age: 7,
        requests: u64::MAX,
        answers: 0,
        sent: 1,
        received: 2,
        ahead: vec![0, 13, 255],
    }
}

fn all() -> Vec<Message> {
    let unix = |name: &str| Address::Unix(UnixName::parse(name).expect("a name"));
    let link = "fe80::1".parse().expect("an address");
    let row = |way, at: Address, file| SocketRow {
        way,
        asked: at.clone(),
        at,
        file,
        is_shared: file.is_some(),
    };
    vec![
        Message::Hello(Hello {
            protocol: PROTOCOL,
            version: "1.2.3".to_owned(),
            confirms: true,
        }),
        Message::Sockets(vec![
            SocketRow {
                asked: address("0.0.0.0:0").into(),
                ..row(Way::Stream, address("0.0.0.0:80").into(), None)
            },
            row(Way::Datagram, address("[::1]:53").into(), None),
            row(Way::Datagram, address("[fe80::1%3]:53").into(), None),
            row(Way::Stream, LinkAddress::new(link, 80, "3").into(), None),
            row(Way::Stream, LinkAddress::new(link, 80, "eth0").into(), None),
            row(Way::Stream, unix("/run/a b.sock"), Some((u64::MAX, 2))),
            row(Way::Stream, unix(if cfg!(linux) { "@abstract" } else { "/abstract" }), None),
        ]),
        Message::State(b"pointsman-state 1 2\n{}\0".to_vec()),
        Message::Offered(Offered { manager: None, pid: 7, seed: u64::MAX, confirms: true }),
        Message::Offered(Offered {
            manager: Some(Manager { place: "@a".to_owned(), beat: Some(7) }),
            pid: i32::MAX,
            seed: 0,
            confirms: false,
        }),
        Message::Ready(vec![0, 7, u32::MAX]),
        Message::Flows(vec![flow(), FlowRow { local: None, client: None, ..flow() }]),
        Message::Tails(vec![TailRow { pid: 7, begun: vec![b'C', 0] }]),
        Message::Counts(Counts {
            totals: vec![("requests".to_owned(), 7)],
            backends: vec![BackendRow {
                pool: "main".to_owned(),
                name: "a".to_owned(),
                counts: vec![("given".to_owned(), 1)],
            }],
            sums: vec![SumRow {
                of: "rule".to_owned(),
                names: vec!["listener".to_owned(), "web".to_owned(), "deny".to_owned()],
                counts: vec![("refused".to_owned(), u64::MAX)],
            }],
        }),
        Message::Yours,
        Message::Taken,
        Message::Go,
        Message::Serves,
        Message::Over,
        Message::No("it drains".to_owned()),
    ]
}

fn sockets_of(message: &Message) -> usize {
    match message {
        Message::Sockets(rows) => rows.len(),
        Message::Flows(rows) => rows.len(),
        Message::Tails(rows) => rows.len(),
        _ => 0,
    }
}

#[test]
fn every_message_survives_the_way_whatever_pieces_it_comes_in() {
    for piece in [1, 2, 7, usize::MAX] {
        let mut frames = Frames::default();
        let mut number = 0;
        for message in all() {
            let bytes = encode(&message);
            let mut first = true;
            let mut came = Vec::new();
            for part in bytes.chunks(piece.min(bytes.len())) {
                assert_eq!(came, [], "not before it is whole");
                // The kernel hands them out with the first byte.
                let count = if std::mem::take(&mut first) { sockets_of(&message) } else { 0 };
                frames.push(part, number..number + count);
                number += count;
                came.extend(frames.take().expect("a frame"));
            }
            let [frame] = &came[..] else { panic!("{came:?}") };
            assert_eq!(decode(frame.kind, &frame.payload), Ok(message.clone()));
            let sockets = number - sockets_of(&message)..number;
            assert_eq!(frame.sockets, sockets.collect::<Vec<_>>());
        }
        assert!(frames.rest().is_empty());
    }
}

#[test]
fn of_a_long_reason_the_beginning_is_heard() {
    let told = vec![b'x'; 200_000];
    let heard = Message::No("x".repeat(TAKEOVER_WHY_BYTES));
    assert_eq!(decode(b'N', &told).ok(), Some(heard));
}

#[test]
fn what_is_no_message_is_refused() {
    let mut long = Frames::<()>::default();
    let length = (TAKEOVER_MESSAGE_MAX as u32 + 1).to_be_bytes();
    long.push(&[&[b'S', 0][..], &length].concat(), []);
    assert!(long.take().is_err());
    let mut poor = Frames::default();
    poor.push(&encode(&Message::Flows(vec![flow(), flow()])), [1]);
    let why = poor.take().expect_err("one of two came").to_string();
    assert!(why.contains("2 descriptors, of which 1 came"), "{why}");
    assert!(decode(b'?', b"").is_err());
    for message in all() {
        let bytes = encode(&message);
        let payload = &bytes[6..];
        if payload.is_empty() || matches!(bytes[0], b'S' | b'N') {
            continue;
        }
        assert!(decode(bytes[0], &payload[..payload.len() - 1]).is_err(), "{message:?}");
        assert!(decode(bytes[0], b"7").is_err(), "{message:?}");
        assert!(decode(bytes[0], b"[{}]").is_err(), "{message:?}");
    }
}

#[test]
fn bytes_at_random_are_no_reason_to_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    let messages = all();
    for _ in 0..20_000 {
        let mut bytes = encode(&messages[random.usize(..messages.len())]);
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let mut frames = Frames::default();
        frames.push(&bytes, 0..8);
        while let Ok(Some(frame)) = frames.take() {
            let _ = decode(frame.kind, &frame.payload);
        }
    }
}
