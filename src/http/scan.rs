//! How far a run of allowed bytes goes, eight and more of them tested at a time.

/// A byte of a token: method, field name, connection option (RFC 9110 section 5.6.2).
pub const TOKEN: u8 = 1;
/// A byte of a field value: all but control characters, of which only TAB is allowed.
pub const VALUE: u8 = 2;
/// A byte of a request target: printable ASCII without space and `#`.
pub const TARGET: u8 = 4;
/// A byte of a host name or an IPv4 address.
pub const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        if it.is_ascii_alphanumeric() {
            table[byte] |= TOKEN | HOST;
        }
        if matches!(it, b'-' | b'.' | b'_' | b'~' | b'%') {
            table[byte] |= HOST;
        }
        if matches!(it, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(it, b'^' | b'_' | b'`' | b'|' | b'~')
        {
            table[byte] |= TOKEN;
        }
        if it == b'\t' || (it >= 0x20 && it != 0x7f) {
            table[byte] |= VALUE;
        }
        if it > 0x20 && it < 0x7f && it != b'#' {
            table[byte] |= TARGET;
        }
        byte += 1;
    }
    table
}

/// Whether the byte is of the class.
pub fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether all bytes are of the class, and there is at least one.
pub fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is(byte, class))
}

/// Whether each quoted string in a value ends in it (RFC 9110 section 5.6.4).
pub fn closes_quotes(value: &[u8]) -> bool {
    let mut is_quoted = false;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => {
                bytes.next();
            }
            _ => {}
        }
    }
    !is_quoted
}

/// How many bytes at the beginning are of the class.
pub fn run(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|&byte| !is(byte, class)).unwrap_or(bytes.len())
}

/// The index where the run from `at` on ends, which mostly is `at`.
#[inline(always)]
fn run_from(bytes: &[u8], at: usize, class: u8) -> usize {
    match bytes.get(at) {
        Some(&byte) if is(byte, class) => at + run(&bytes[at..], class),
        _ => at,
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// Index of the first byte whose high bit `odd` sets, eight bytes at a time. Only the lowest such
/// bit counts: sums in `odd` carry from bytes that are not ASCII into those above. The last bytes,
/// fewer than eight, are left to the caller.
#[inline(always)]
fn find(bytes: &[u8], odd: impl Fn(u64) -> u64) -> usize {
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let odd = odd(u64::from_le_bytes(*word)) & HIGH;
        if odd != 0 {
            return bytes.len() - rest.len() + (odd.trailing_zeros() / 8) as usize;
        }
        rest = tail;
    }
    bytes.len() - rest.len()
}

/// The same where it mostly is within the first 16 bytes; `far` searches behind them.
#[inline(always)]
fn find_near(
    bytes: &[u8],
    odd: impl Fn(u64) -> u64,
    far: impl FnOnce(&[u8]) -> usize,
) -> usize {
    const NEAR: usize = 16;
    match bytes.split_first_chunk::<NEAR>() {
        None => find(bytes, odd),
        Some((near, rest)) => match find(near, odd) {
            NEAR => NEAR + far(rest),
            end => end,
        },
    }
}

/// High bits of the bytes that are below `least`, and of those that are not ASCII.
#[inline(always)]
fn below(word: u64, least: u8) -> u64 {
    !((word | HIGH) - ONES * u64::from(least)) | word
}

/// High bits of the bytes that are above `most`, and of those that are not ASCII.
#[inline(always)]
fn above(word: u64, most: u8) -> u64 {
    word.wrapping_add(ONES * u64::from(0x7f - most)) | word
}

/// High bits of the bytes that are not `byte`, and of those that are not ASCII.
#[inline(always)]
fn other(word: u64, byte: u8) -> u64 {
    above(word ^ (ONES * u64::from(byte)), 0)
}

/// Where the field name at the beginning of some bytes ends.
pub struct NameEnd {
    /// Bytes of the name; 0 if there is none.
    pub length: usize,
    /// It is nothing but letters and hyphens, as nearly all are.
    pub is_plain: bool,
}

/// Find the end of the field name at the beginning.
#[inline(always)]
pub fn name_end(bytes: &[u8]) -> NameEnd {
    let odd = |word| {
        let small = word | (0x20 * ONES);
        (below(small, b'a') | above(small, b'z')) & other(word, b'-')
    };
    let plain = find_near(bytes, odd, |rest| find(rest, odd));
    let length = run_from(bytes, plain, TOKEN);
    NameEnd { length, is_plain: length == plain }
}

/// How long the field value at the beginning is. Most are short; long ones are searched in blocks.
#[inline(always)]
pub fn value_end(bytes: &[u8]) -> usize {
    let plain = find_near(bytes, unprinted, far_unprinted);
    run_from(bytes, plain, VALUE)
}

fn far_unprinted(bytes: &[u8]) -> usize {
    const BLOCK: usize = 16;
    // Written so that compilers vectorise it.
    let mut rest = bytes;
    let odd = |found: bool, &byte: &u8| found | !(0x20..=0x7e).contains(&byte);
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>()
        && !block.iter().fold(false, odd)
    {
        rest = tail;
    }
    bytes.len() - rest.len() + find(rest, unprinted)
}

/// High bits of the bytes that are not printable ASCII. Values have hardly any.
#[inline(always)]
fn unprinted(word: u64) -> u64 {
    below(word, 0x20) | above(word, 0x7e)
}

/// How long the request target at the beginning is.
#[inline]
pub fn target_end(bytes: &[u8]) -> usize {
    let odd = |word| below(word, 0x21) | above(word, 0x7e) | !other(word, b'#');
    run_from(bytes, find(bytes, odd), TARGET)
}

/// Whether `text` is `known` in any case; `known` is in lower case letters and hyphens. The bit
/// that makes letters lower case turns nothing else into a letter, and only CR into a hyphen.
#[inline(always)]
pub fn same(text: &[u8], known: &[u8]) -> bool {
    if text.len() != known.len() {
        return false;
    }
    match known.len() {
        4..8 => ends::<4>(text) == ends::<4>(known),
        8..=16 => ends::<8>(text) == ends::<8>(known),
        _ => text.eq_ignore_ascii_case(known),
    }
}

/// The first and the last `COUNT` bytes, in lower case: all of a text of up to twice as many.
#[inline(always)]
fn ends<const COUNT: usize>(text: &[u8]) -> Option<[[u8; COUNT]; 2]> {
    let small = |bytes: &[u8; COUNT]| bytes.map(|byte| byte | 0x20);
    Some([small(text.first_chunk()?), small(text.last_chunk()?)])
}

/// Without the spaces and tabs at its ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// Without the spaces and tabs before it; nearly always it is one space.
#[inline(always)]
pub fn trim_start(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b' ', rest @ ..] if rest.first().is_some_and(u8::is_ascii_graphic) => rest,
        _ => trim_blanks(bytes),
    }
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Without the spaces and tabs behind it.
#[inline(always)]
pub fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, trimmed; empty ones included.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// Parse a decimal number up to 2^63 - 1, with nothing but digits.
pub fn number(digits: &[u8]) -> Option<u64> {
    const MOST: u64 = i64::MAX as u64;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        let longer = (digit < 10 && value <= MOST / 10).then(|| value * 10 + digit)?;
        (longer <= MOST).then_some(longer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_a_time_find_what_one_at_a_time_finds() {
        for length in 0..36 {
            for at in 0..=length {
                for byte in 0..=255 {
                    for other in [b'a', 0xff, b'\t'] {
                        let mut bytes = vec![other; length];
                        if let Some(place) = bytes.get_mut(at) {
                            *place = byte;
                        }
                        assert_eq!(value_end(&bytes), run(&bytes, VALUE), "{bytes:?}");
                        assert_eq!(target_end(&bytes), run(&bytes, TARGET), "{bytes:?}");
                        assert_eq!(name_end(&bytes).length, run(&bytes, TOKEN), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"0012"), Some(12));
        assert_eq!(number(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in ["", "+5", "-5", " 5", "5 ", "0x5", "5,5", "9223372036854775808", "\u{665}"]
        {
            assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
