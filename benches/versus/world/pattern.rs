//! The bytes that go back and forth: noise with a long period, the same for everybody, so that any
//! passage of any stream is one slice and can be compared in one go. An answer begins with the tag
//! of its ask instead, which no other ask has: somebody else's answer is a wrong one.

use std::sync::LazyLock;

/// A prime, so that no buffer's size divides it: what is shifted is noticed.
const PERIOD: usize = 65_521;

/// Longest passage.
pub const PASSAGE_MAX: usize = 256 * 1024;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 8;

/// A number in hexadecimal digits, so that it can be part of a path.
pub type Tag = [u8; TAG_BYTES];

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

/// The tag of this ask.
pub fn tag(number: u32) -> Tag {
    let digit = |shift: u32| b"0123456789abcdef"[(number >> shift & 15) as usize];
    [28, 24, 20, 16, 12, 8, 4, 0].map(digit)
}

/// Whether these are the bytes from `at` on of the answer to the ask with this tag.
pub fn answers(bytes: &[u8], at: u64, tag: &Tag) -> bool {
    let of_tag = tag.get(at as usize..).unwrap_or_default();
    let (begin, rest) = bytes.split_at(of_tag.len().min(bytes.len()));
    of_tag.starts_with(begin) && is_right(rest, at + begin.len() as u64)
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

/// What is known of these, asserted with every benchmark.
pub fn check() {
    let tag = tag(0x12ab);
    assert_eq!(&tag, b"000012ab");
    let right = [&tag, passage(TAG_BYTES as u64, 1024)].concat();
    for step in [1, 3, 8, 9, 1024] {
        let parts = || right.chunks(step).enumerate();
        let judge = |tag: &Tag| parts().all(|(i, part)| answers(part, (i * step) as u64, tag));
        assert!(judge(&tag));
        assert!(!judge(b"000012ac"), "somebody else's answer, read by {step}");
    }
    for wrong in 0..right.len() {
        let mut bytes = right.clone();
        bytes[wrong] ^= 1;
        assert!(!answers(&bytes, 0, &tag), "wrong at {wrong}");
    }
    assert!(!is_right(passage(1, 9), 0) && !is_right(passage(65_521, 65_529), 1));
    assert!(is_right(passage(65_530, 700_000), 65_530));
}
