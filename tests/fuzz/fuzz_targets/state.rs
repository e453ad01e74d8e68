//! Any bytes as a state file: read without a panic, and what is read is written as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::control::state::State;

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = State::parse(bytes) else { return };
    assert_eq!(State::parse(&state.to_bytes()), Ok(state));
});
