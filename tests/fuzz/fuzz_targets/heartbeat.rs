//! Any bytes as a heartbeat in a datagram: as they are, which is signed by nobody, and with a good
//! signature. What is heard is what was said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::admin::registry::datagram::{read, signed};
use pointsman::config::Tokens;

fuzz_target!(|input: &[u8]| {
    let tokens = format!("web register:web hmac:{}\n", "6b".repeat(16));
    let tokens = Tokens::parse(&tokens).expect("a file of tokens");
    assert!(read(input, &tokens).is_err());
    let Ok(said) = std::str::from_utf8(input) else { return };
    let Ok(heard) = read(signed(said, &[b'k'; 16]).as_bytes(), &tokens) else { return };
    let words: Vec<&str> = said.split(' ').collect();
    assert_eq!((words[1], words[3], words[4]), ("web", "web", heard.place.name.as_str()));
    assert_eq!((heard.place.pool.as_str(), heard.spec.name.as_str()), ("web", words[4]));
    assert_eq!(words[2].parse().ok(), heard.sequence);
});
