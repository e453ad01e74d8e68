//! Hellos of real clients and of hostile ones, whole and in every kind of piece.

use super::*;

/// What was captured of real clients, and what was made by hand in the manner of browsers and of
/// attackers; the fuzz target begins with the same files.
macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fuzz/corpus/hello/", $name)).as_slice()
    };
}

fn whole(bytes: &[u8]) -> Reading {
    read(bytes, &mut HelloScan::default())
}

/// The answer to bytes that come in such pieces, the first that is one.
fn in_pieces(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Reading {
    let mut scan = HelloScan::default();
    let mut end = 0;
    while end < bytes.len() {
        end = bytes.len().min(end + piece());
        match read(&bytes[..end], &mut scan) {
            Reading::More => {}
            reading => return reading,
        }
    }
    Reading::More
}

fn named(name: &str) -> Reading {
    Reading::Name(Some(name.into()))
}

fn with_length(width: usize, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_be_bytes();
    [&length[8 - width..], data].concat()
}

/// An extension of this type.
fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(2, data)].concat()
}

/// A server_name extension with such names.
fn server_name(names: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|(kind, name)| [&[*kind][..], &with_length(2, name)].concat())
        .collect();
    extension(SERVER_NAME, &with_length(2, &list))
}

/// What stands before the extensions.
fn beginning() -> Vec<u8> {
    let session = with_length(1, &[7; 32]);
    let ciphers = with_length(2, &[0x0a, 0x0a, 0x13, 0x01]);
    [&[3, 3][..], &[9; 32], &session, &ciphers, &[1, 0]].concat()
}

fn message_of(body: &[u8]) -> Vec<u8> {
    [&[CLIENT_HELLO][..], &with_length(3, body)].concat()
}

/// The message of a hello with these extensions.
fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    message_of(&[beginning(), with_length(2, &extensions.concat())].concat())
}

/// Records with so many bytes of the message in each.
fn in_records(message: &[u8], fragment: usize) -> Vec<u8> {
    let record = |piece: &[u8]| [&[HANDSHAKE, 3, 1][..], &with_length(2, piece)].concat();
    message.chunks(fragment).flat_map(record).collect()
}

fn garbage(alert: Alert) -> Reading {
    Reading::Malformed(alert)
}

#[test]
fn the_hellos_of_real_clients_are_read() {
    let table = [
        (captured!("openssl-13"), Some("www.example.com")),
        (captured!("openssl-12"), Some("www.example.com")),
        (captured!("openssl-10"), Some("www.example.com")),
        (captured!("openssl-no-name"), None),
        (captured!("curl"), Some("www.example.com")),
        (captured!("curl-address"), None),
        (captured!("python"), Some("www.example.com")),
        (captured!("chrome-like"), Some("www.example.com")),
        (captured!("chrome-like-in-records"), Some("www.example.com")),
        (captured!("firefox-like"), Some("www.example.com")),
        (captured!("early-data"), Some("www.example.com")),
        (captured!("tls10-no-extensions"), None),
        (captured!("address"), None),
        (captured!("one-byte-records"), Some("a.example")),
    ];
    for (bytes, name) in table {
        let reading = Reading::Name(name.map(Into::into));
        assert_eq!(whole(bytes), reading, "{name:?}");
        assert_eq!(in_pieces(bytes, || 1), reading, "{name:?}");
    }
}

#[test]
fn what_is_no_hello_is_refused_as_soon_as_it_shows() {
    let table = [
        (captured!("http"), Alert::UnexpectedMessage, 1),
        (captured!("sslv2"), Alert::UnexpectedMessage, 1),
        (captured!("alert"), Alert::UnexpectedMessage, 1),
        (&[HANDSHAKE, 2, 0, 0, 0], Alert::ProtocolVersion, 2),
        (&[HANDSHAKE, 3, 1, 0, 0], Alert::UnexpectedMessage, 5),
        (&[HANDSHAKE, 3, 1, 0x40, 1], Alert::RecordOverflow, 5),
        (&[HANDSHAKE, 3, 1, 0, 9, 2], Alert::UnexpectedMessage, 6),
        (&[HANDSHAKE, 3, 1, 0, 9, 1, 0, 0x3f, 0xfd], Alert::IllegalParameter, 9),
        (&[HANDSHAKE, 3, 1, 0, 1, 1, 20], Alert::UnexpectedMessage, 7),
    ];
    for (bytes, alert, first) in table {
        assert_eq!(whole(bytes), garbage(alert), "{bytes:?}");
        for length in 0..=bytes.len() {
            let is_garbage = whole(&bytes[..length]) == garbage(alert);
            assert_eq!(is_garbage, length >= first, "{length} of {bytes:?}");
        }
    }
}

#[test]
fn names_that_could_be_read_in_two_ways_are_refused() {
    let host = HOST_NAME;
    let a = &b"a.example"[..];
    let b = &b"b.example"[..];
    let one = server_name(&[(host, a)]);
    let table: [(&[Vec<u8>], Reading); 14] = [
        (std::slice::from_ref(&one), named("a.example")),
        (&[extension(0x1a1a, b""), one.clone(), extension(0xfafa, b"\0")], named("a.example")),
        // ECH: what the client really wants is not for us to see.
        (&[extension(0xfe0d, &[0; 200]), one.clone()], named("a.example")),
        (&[], Reading::Name(None)),
        (&[server_name(&[(7, a)])], Reading::Name(None)),
        (&[server_name(&[(7, b), (host, a)])], named("a.example")),
        (&[server_name(&[(host, a), (host, b)])], garbage(Alert::IllegalParameter)),
        (&[one.clone(), one.clone()], garbage(Alert::IllegalParameter)),
        (&[server_name(&[(host, b"")])], garbage(Alert::DecodeError)),
        (&[server_name(&[(host, b"a b")])], garbage(Alert::IllegalParameter)),
        (&[server_name(&[])], garbage(Alert::DecodeError)),
        (&[extension(SERVER_NAME, b"")], garbage(Alert::DecodeError)),
        (&[extension(SERVER_NAME, b"\0\x05\0\0\x03a.b")], garbage(Alert::DecodeError)),
        (&[extension(SERVER_NAME, b"\0\x06\0\0\x03a.b\0")], garbage(Alert::DecodeError)),
    ];
    for (extensions, reading) in table {
        assert_eq!(whole(&in_records(&hello(extensions), 1 << 14)), reading, "{extensions:?}");
    }
}

#[test]
fn what_stands_before_the_extensions_is_checked_as_far_as_it_leads_there() {
    let extensions = with_length(2, &server_name(&[(HOST_NAME, b"a.example")]));
    let read_body = |parts: &[&[u8]]| whole(&in_records(&message_of(&parts.concat()), 100));
    let start = [&[3, 3][..], &[0; 32]].concat();
    let rest = &extensions[..];
    let table: [(&[&[u8]], Reading); 12] = [
        (&[&start, &[0], &[0, 2, 1, 1], &[1, 0], rest], named("a.example")),
        (
            &[&start, &with_length(1, &[1; 32]), &[0, 2, 1, 1], &[1, 0], rest],
            named("a.example"),
        ),
        (
            &[&start, &with_length(1, &[1; 33]), &[0, 2, 1, 1], &[1, 0], rest],
            garbage(Alert::DecodeError),
        ),
        (&[&start, &[0], &[0, 0], &[1, 0], rest], garbage(Alert::DecodeError)),
        (&[&start, &[0], &[0, 3, 1, 1, 1], &[1, 0], rest], garbage(Alert::DecodeError)),
        (&[&start, &[0], &[0, 2, 1, 1], &[0], rest], garbage(Alert::DecodeError)),
        (&[&start, &[0], &[0, 2, 1, 1], &[1, 0]], Reading::Name(None)),
        (&[&start, &[0], &[0, 2, 1, 1], &[1, 0], &[0]], garbage(Alert::DecodeError)),
        (&[&start, &[0], &[0, 2, 1, 1], &[1, 0], rest, &[0]], garbage(Alert::DecodeError)),
        (&[&start, &[0], &[0, 2, 1, 1], &[1, 0], &rest[..9]], garbage(Alert::DecodeError)),
        (&[&start[..33]], garbage(Alert::DecodeError)),
        (&[], garbage(Alert::DecodeError)),
    ];
    for (parts, reading) in table {
        assert_eq!(read_body(parts), reading, "{parts:?}");
    }
}

#[test]
fn it_may_be_as_long_as_a_record_and_no_longer() {
    let name = server_name(&[(HOST_NAME, b"a.example")]);
    let padded = |length: usize| {
        let bare = hello(&[extension(21, b""), name.clone()]).len();
        hello(&[extension(21, &vec![0; length - bare]), name.clone()])
    };
    let longest = padded(CLIENT_HELLO_BYTES_MAX);
    assert_eq!(longest.len(), CLIENT_HELLO_BYTES_MAX);
    for fragment in [1 << 14, 1000, 32] {
        assert_eq!(whole(&in_records(&longest, fragment)), named("a.example"), "{fragment}");
    }
    let longer = in_records(&padded(CLIENT_HELLO_BYTES_MAX + 1), 1 << 14);
    assert_eq!(whole(&longer[..9]), garbage(Alert::IllegalParameter), "said, not sent");
    // Small pieces must not make us keep more than the limit.
    let crumbs = in_records(&longest, 19);
    assert!(crumbs.len() > CLIENT_HELLO_WIRE_BYTES_MAX);
    assert_eq!(whole(&crumbs), garbage(Alert::IllegalParameter));
    assert_eq!(whole(&crumbs[..CLIENT_HELLO_WIRE_BYTES_MAX - 1]), Reading::More);
    let at_the_limit = &crumbs[..CLIENT_HELLO_WIRE_BYTES_MAX];
    assert_eq!(whole(at_the_limit), garbage(Alert::IllegalParameter));
}

/// What follows is the backend's, be it early data or nonsense.
#[test]
fn nothing_after_it_is_looked_at() {
    let one = in_records(&hello(&[server_name(&[(HOST_NAME, b"a.example")])]), 1 << 14);
    for after in [&b"GET / HTTP/1.1"[..], &[0; 30_000], &[HANDSHAKE, 9, 9, 0xff, 0xff]] {
        assert_eq!(whole(&[&one, after].concat()), named("a.example"));
    }
}

/// A second reader, as plain as can be: all fragments together, then the message.
fn plainly(bytes: &[u8]) -> Option<Reading> {
    let mut message = Vec::new();
    let mut at = 0;
    let bytes = &bytes[..bytes.len().min(CLIENT_HELLO_WIRE_BYTES_MAX)];
    loop {
        if let [1, a, b, c, ..] = message[..] {
            let length = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
            if message.len() >= length {
                return Some(match name_in(&message[..length]) {
                    Ok(name) => Reading::Name(name),
                    Err(alert) => garbage(alert),
                });
            }
        }
        let header = bytes.get(at..at + 5)?;
        let length = usize::from(header[3]) << 8 | usize::from(header[4]);
        let fragment = &bytes[at + 5..bytes.len().min(at + 5 + length)];
        message.extend_from_slice(fragment);
        at += 5 + length;
    }
}

/// Any records, any cuts, any bytes changed: the same answer as to the whole, and where it is a
/// name, the one that the plain reader finds.
#[test]
fn any_way_of_cutting_gives_the_same_answer() {
    let mut names = 0;
    let mut refusals = 0;
    let mut open = 0;
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut extensions: Vec<Vec<u8>> = (0..random.usize(0..4))
            .map(|_| extension(random.u16(1..), &vec![random.u8(..); random.usize(0..60)]))
            .collect();
        if random.u8(..8) > 0 {
            let at = random.usize(..=extensions.len());
            extensions.insert(at, server_name(&[(HOST_NAME, b"www.example.com")]));
        }
        let mut bytes = in_records(&hello(&extensions), random.usize(1..300));
        if random.bool() {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = if random.bool() { random.u8(..) } else { bytes[at] ^ 1 };
            }
        }
        if random.u8(..8) == 0 {
            bytes.truncate(random.usize(..bytes.len()));
        }
        let expected = whole(&bytes);
        let most = random.usize(1..200);
        assert_eq!(in_pieces(&bytes, || random.usize(1..=most)), expected, "seed {seed}");
        assert_eq!(in_pieces(&bytes, || 1), expected, "seed {seed}");
        match &expected {
            Reading::Name(_) => {
                names += 1;
                assert_eq!(plainly(&bytes), Some(expected), "seed {seed}");
            }
            Reading::Malformed(_) => refusals += 1,
            Reading::More => open += 1,
        }
    }
    assert!(names > 5000 && refusals > 2000 && open > 1000, "{names} {refusals} {open}");
}

#[test]
fn alerts_are_seven_bytes() {
    assert_eq!(Alert::UnrecognizedName.record(), [0x15, 3, 3, 0, 2, 2, 112]);
    assert_eq!(Alert::UnexpectedMessage.record()[6], 10);
    let all = [
        (Alert::UnexpectedMessage, 10, "unexpected_message"),
        (Alert::RecordOverflow, 22, "record_overflow"),
        (Alert::IllegalParameter, 47, "illegal_parameter"),
        (Alert::DecodeError, 50, "decode_error"),
        (Alert::ProtocolVersion, 70, "protocol_version"),
        (Alert::UnrecognizedName, 112, "unrecognized_name"),
    ];
    for (alert, number, name) in all {
        assert_eq!((alert.record()[6], alert.to_string().as_str()), (number, name));
    }
}
