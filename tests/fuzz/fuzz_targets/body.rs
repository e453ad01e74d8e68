//! Any bytes as a chunked body: whole, and cut as the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::http::body::Trailers;
use pointsman::http::{BadBody, Decoder, Framing};

/// Payload, trailers, bytes consumed, and whether it is whole.
type Body = (Vec<u8>, Vec<u8>, usize, bool);

fn read(input: &[u8], step: usize) -> Result<Body, BadBody> {
    let mut decoder = Decoder::new(Framing::Chunked, Trailers::Keep);
    let mut payload = Vec::new();
    let mut trailers = Vec::new();
    let mut consumed = 0;
    for piece in input.chunks(step) {
        let mut data = Vec::new();
        let decoded = decoder.decode(piece, 0, &mut data, &mut trailers)?;
        consumed += decoded.consumed;
        let before = payload.len();
        data.iter().for_each(|span| payload.extend_from_slice(span.of(piece)));
        assert_eq!((payload.len() - before) as u64, decoded.bytes);
        if decoded.finished {
            break;
        }
        assert_eq!(decoded.consumed, piece.len());
    }
    Ok((payload, trailers, consumed, decoder.is_finished()))
}

fuzz_target!(|input: &[u8]| {
    let Some((&step, body)) = input.split_first() else { return };
    let whole = read(body, body.len().max(1));
    assert_eq!(read(body, usize::from(step).max(1)), whole);
});
