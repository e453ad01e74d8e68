//! Any bytes as a ClientHello: whole, and in pieces as long as its first random byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::hello::{Reading, HelloScan, read};

fn in_pieces(bytes: &[u8], piece: usize) -> Reading {
    let mut scan = HelloScan::default();
    let ends = (1..=bytes.len().div_ceil(piece)).map(|count| bytes.len().min(count * piece));
    let mut readings = ends.map(|end| read(&bytes[..end], &mut scan));
    readings.find(|reading| *reading != Reading::More).unwrap_or(Reading::More)
}

fuzz_target!(|input: &[u8]| {
    let whole = read(input, &mut HelloScan::default());
    let piece = input.get(9).map_or(1, |&byte| usize::from(byte).max(1));
    assert_eq!(in_pieces(input, piece), whole);
    if let Reading::Name(Some(name)) = whole {
        let tidy = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        assert!(name.bytes().all(tidy) && !name.ends_with('.') && name.len() <= 253);
    }
});
