//! Any bytes as a header of the PROXY protocol: one has the same length whatever comes behind it,
//! and each part of it is the beginning of one. What stands before a datagram is read no other way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::proxy_header::read::{Reading, Why, read, read_datagram};

fuzz_target!(|input: &[u8]| {
    match read_datagram(input) {
        Ok((header, length)) => {
            assert_eq!(read(input), Reading::Header(Box::new(header), length));
            assert_eq!(read_datagram(&input[..length - 1]), Err(Why::CutShort));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    match read(input) {
        Reading::More => {}
        Reading::Header(_, length) => {
            assert_eq!(read(&input[..length]), read(input));
            for end in 0..length {
                assert_eq!(read(&input[..end]), Reading::More);
            }
        }
        Reading::Bad(why) => assert!(!why.to_string().is_empty()),
    }
});
