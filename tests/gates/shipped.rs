//! The binary as it is shipped.

use super::alone;
use super::common::measure::is_release;

/// What installers and images carry: 8.9 million bytes, 1.9 of them cryptography. The goal is 5.
const SIZE_MAX: u64 = 9_500_000;

#[test]
fn the_binary_is_small() {
    let _alone = alone();
    if !is_release("the size of the binary") {
        return;
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_pointsman")).expect("it is built");
    println!("the binary has {} bytes, at most {SIZE_MAX}", binary.len());
    assert!(binary.len() <= SIZE_MAX, "{} bytes, want {SIZE_MAX} at most", binary.len());
}
