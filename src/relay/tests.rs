//! What a pair takes, and tests of this room's parts together.

mod pump;

use super::*;

/// There may be a hundred thousand: what only some of them need is in a box. The last eight
/// bytes are the trace's, or would be; debug builds have mio's eight on top.
#[test]
fn a_pair_takes_a_quarter_of_a_kibibyte() {
    let mio = if cfg!(debug_assertions) { size_of::<usize>() } else { 0 };
    let pair = size_of::<Pair>() - mio;
    assert!(pair <= 256, "{pair} bytes");
}
