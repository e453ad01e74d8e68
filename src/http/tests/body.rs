//! Bodies, whole and torn, in one piece and byte by byte.

use crate::http::body::{BadBody, Decoded, Decoder, Framing, Trailers};
use crate::limits::{HTTP_CHUNK_EXTENSION_BYTES_MAX, HTTP_TRAILER_BYTES_MAX};

/// What a body came to: payload, trailers, and what of the input was not its own.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    payload: Vec<u8>,
    trailers: Vec<u8>,
    rest: Vec<u8>,
    finished: bool,
}

fn read(framing: Framing, input: &[u8], step: usize) -> Result<Body, BadBody> {
    let mut decoder = Decoder::new(framing, Trailers::Keep);
    let mut payload = Vec::new();
    let mut trailers = Vec::new();
    let mut consumed = 0;
    for piece in input.chunks(step) {
        let mut data = Vec::new();
        let decoded = decoder.decode(piece, 0, &mut data, &mut trailers)?;
        let bytes: usize = data.iter().map(|span| span.len()).sum();
        assert_eq!(decoded.bytes, bytes as u64);
        data.iter().for_each(|span| payload.extend_from_slice(span.of(piece)));
        consumed += decoded.consumed;
        assert_eq!(decoded.finished, decoder.is_finished());
        if decoded.finished {
            break;
        }
        assert_eq!(decoded.consumed, piece.len());
    }
    let finished = decoder.is_finished();
    Ok(Body { payload, trailers, rest: input[consumed..].to_vec(), finished })
}

#[track_caller]
fn chunked(input: &[u8]) -> Result<Body, BadBody> {
    let whole = read(Framing::Chunked, input, input.len().max(1));
    for step in [1, 2, 3, 5] {
        assert_eq!(read(Framing::Chunked, input, step), whole, "{:?}", input.escape_ascii());
    }
    whole
}

#[test]
fn chunks_are_joined() {
    let body = chunked(b"5\r\nhello\r\n1;a=\"b;c\" ; d\r\n,\r\n006\r\n world\r\n0\r\n\r\nGET")
        .unwrap();
    assert_eq!(body.payload, b"hello, world");
    assert_eq!(body.trailers, b"\r\n");
    assert_eq!(body.rest, b"GET");
    assert!(body.finished);
}

#[test]
fn trailers_are_kept() {
    let body = chunked(b"A\r\n0123456789\r\n000;x\r\nA: b\r\nC:\r\n\r\nrest").unwrap();
    assert_eq!(body.payload, b"0123456789");
    assert_eq!(body.trailers, b"A: b\r\nC:\r\n\r\n");
    assert_eq!(body.rest, b"rest");
    let mut trailers = Vec::new();
    let mut decoder = Decoder::new(Framing::Chunked, Trailers::Drop);
    let decoded =
        decoder.decode(b"0\r\nA: b\r\n\r\n", 0, &mut Vec::new(), &mut trailers).unwrap();
    assert!(decoded.finished && trailers.is_empty());
}

#[test]
fn chunks_that_two_could_read_differently_are_refused() {
    use BadBody::*;
    let long = "0".repeat(17);
    let extension = "x".repeat(usize::from(HTTP_CHUNK_EXTENSION_BYTES_MAX) + 1);
    let trailer = "x".repeat(usize::from(HTTP_TRAILER_BYTES_MAX));
    for (input, bad) in [
        ("\r\n", Size),
        ("x\r\n", Size),
        ("0x5\r\nhello", Size),
        ("+5\r\nhello", Size),
        ("-5\r\nhello", Size),
        (" 5\r\nhello", Size),
        ("5 5\r\nhello", Size),
        ("5 \nhello", Size),
        (" \r\nhello", Size),
        (&format!("5{}\r\nhello", " ".repeat(300)), Size),
        ("5\nhello", Size),
        ("5_0\r\n", Size),
        (";a\r\n", Size),
        (long.as_str(), Size),
        ("8000000000000000\r\n", Size),
        ("ffffffffffffffff\r\n", Size),
        ("10000000000000005\r\n", Size),
        ("5\rhello", LineEnd),
        ("5\r\r\nhello", LineEnd),
        ("5;a\nhello\r\n", Extension),
        ("5;a\rhello\r\n", LineEnd),
        ("5;a\0\r\nhello\r\n", Extension),
        (&format!("5;{extension}\r\n"), Extension),
        ("5\r\nhello!\r\n", LineEnd),
        ("5\r\nhello\n0\r\n\r\n", LineEnd),
        ("5\r\nhello\r0\r\n\r\n", LineEnd),
        ("5\r\nhell\r\n0\r\n\r\n", LineEnd),
        ("0\r\n\n", Trailer),
        ("0\r\n\rx", Trailer),
        ("0\r\n: b\r\n\r\n", Trailer),
        ("0\r\nA : b\r\n\r\n", Trailer),
        ("0\r\n A: b\r\n\r\n", Trailer),
        ("0\r\nA: b\n\r\n", Trailer),
        ("0\r\nA: b\r\n c\r\n\r\n", Trailer),
        ("0\r\nA: \0\r\n\r\n", Trailer),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", Trailer),
        (&format!("0\r\nA: {trailer}\r\n"), Trailer),
    ] {
        assert_eq!(chunked(input.as_bytes()), Err(bad), "{input:?}");
        assert!(!bad.reason().is_empty());
    }
}

#[test]
fn limits_are_kept_to_the_byte() {
    let extension = "x".repeat(usize::from(HTTP_CHUNK_EXTENSION_BYTES_MAX));
    let body = chunked(format!("1;{extension}\r\na\r\n1;{extension}\r\nb\r\n").as_bytes());
    assert_eq!(body.unwrap().payload, b"ab");
    let value = "x".repeat(usize::from(HTTP_TRAILER_BYTES_MAX) - "A:\r\n\r\n".len());
    assert!(chunked(format!("0\r\nA:{value}\r\n\r\n").as_bytes()).unwrap().finished);
    assert!(chunked(format!("0\r\nA:{value}x\r\n\r\n").as_bytes()).is_err());
    assert!(!chunked(b"7fffffffffffffff\r\nabc").unwrap().finished);
}

#[test]
fn a_length_counts_and_stops() {
    for step in [1, 2, 100] {
        let body = read(Framing::Length(5), b"hello world", step).unwrap();
        assert_eq!(
            (body.payload.as_slice(), body.rest.as_slice()),
            (&b"hello"[..], &b" world"[..])
        );
    }
    let mut decoder = Decoder::new(Framing::Length(10), Trailers::Drop);
    decoder.decode(b"abc", 0, &mut Vec::new(), &mut Vec::new()).unwrap();
    assert_eq!(decoder.plain_remaining(), Some(7));
    assert!(!decoder.may_end());
    decoder.advance(6);
    assert!(!decoder.is_finished());
    decoder.advance(1);
    assert!(decoder.is_finished() && decoder.may_end());
    assert_eq!(decoder.plain_remaining(), Some(0));
}

#[test]
fn only_a_body_without_an_end_may_end_anywhere() {
    let new = |framing| Decoder::new(framing, Trailers::Drop);
    assert!(new(Framing::None).is_finished());
    assert!(new(Framing::Length(0)).is_finished());
    assert!(!new(Framing::Length(1)).may_end());
    assert!(!new(Framing::Chunked).may_end());
    assert_eq!(new(Framing::Chunked).plain_remaining(), None);
    let endless = new(Framing::UntilClose);
    assert!(endless.may_end() && !endless.is_finished());
    assert_eq!(endless.plain_remaining(), Some(u64::MAX));
    let body = read(Framing::UntilClose, b"all of it", 4).unwrap();
    assert_eq!(body.payload, b"all of it");
}

/// A head and a body of one read share the input, so that one write can send both.
#[test]
fn spans_count_from_the_beginning_of_the_input() {
    let mut data = Vec::new();
    let mut trailers = Vec::new();
    let input = b"head5\r\nhello\r\n0\r\n\r\nGET";
    let mut decoder = Decoder::new(Framing::Chunked, Trailers::Drop);
    let decoded = decoder.decode(input, 4, &mut data, &mut trailers).unwrap();
    assert_eq!(decoded, Decoded { consumed: 15, bytes: 5, finished: true });
    assert_eq!(data[0].of(input), b"hello");
    let mut decoder = Decoder::new(Framing::Length(3), Trailers::Drop);
    let decoded = decoder.decode(input, 100, &mut data, &mut trailers).unwrap();
    assert_eq!(decoded, Decoded { consumed: 0, bytes: 0, finished: false });
}

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 16);
}

/// Some servers write sizes in columns, and all readers take that.
#[test]
fn blanks_behind_a_size_mean_nothing() {
    for size in ["5 ", "5\t", "5   ", "5 ;a", "5\t; a=b", "5 ; a "] {
        for step in [1, 2, 100] {
            let input = format!("{size}\r\nhello\r\n0  \r\n\r\n");
            let body = read(Framing::Chunked, input.as_bytes(), step).unwrap();
            assert!(body.finished, "{input:?}");
            assert_eq!(body.payload, b"hello", "{input:?}");
        }
    }
}
