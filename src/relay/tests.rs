//! What a pair takes, and tests of this room's parts together.

mod pump;

use super::*;

/// There may be a hundred thousand: what only some of them need is in a box.
#[test]
fn a_pair_takes_a_quarter_of_a_kibibyte() {
    assert!(size_of::<Pair>() <= 256, "{} bytes", size_of::<Pair>());
}
