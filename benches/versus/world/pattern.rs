//! The bytes that go back and forth: noise with a long period, the same for everybody, so that any
//! passage of any stream is one slice and can be compared in one go.

use std::sync::LazyLock;

/// A prime, so that no buffer's size divides it: what is shifted is noticed.
const PERIOD: usize = 65_521;

/// Longest passage.
pub const PASSAGE_MAX: usize = 256 * 1024;

static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(7);
    let period: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(PERIOD).collect();
    period.iter().copied().cycle().take(PERIOD + PASSAGE_MAX).collect()
});

/// The bytes from `at` on, as many as there are until `end`, at most `PASSAGE_MAX`.
pub fn passage(at: u64, end: u64) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    let count = (end - at).min(PASSAGE_MAX as u64) as usize;
    &NOISE[start..start + count]
}

/// Whether these are the bytes from `at` on.
pub fn is_right(bytes: &[u8], at: u64) -> bool {
    let mut at = at;
    bytes.chunks(PASSAGE_MAX).all(|chunk| {
        let end = at + chunk.len() as u64;
        let right = chunk == passage(at, end);
        at = end;
        right
    })
}
