//! How far a run of allowed bytes goes. Long runs are looked through eight bytes at a time.

/// A byte of a token: method, field name, connection option (RFC 9110 section 5.6.2).
pub const TOKEN: u8 = 1;
/// A byte of a field value: all but control characters, of which only TAB is allowed.
pub const VALUE: u8 = 2;
/// A byte of a request target: what is printed, but no space and no fragment.
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

/// Whether all are, and there is at least one.
pub fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is(byte, class))
}

/// Index of the first byte at or after `at` that is not of the class; the length if there is none.
pub fn run(bytes: &[u8], mut at: usize, class: u8) -> usize {
    while let Some(&byte) = bytes.get(at)
        && is(byte, class)
    {
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?;
    eight.try_into().ok().map(u64::from_le_bytes)
}

/// The high bit of each byte that is below `limit`. Bits above the lowest one set may be wrong: a
/// subtraction borrows from the byte above.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH
}

/// The same for each byte that equals `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// Index of the first byte at or after `at` that a field value cannot have.
pub fn value_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(bytes, at) {
        let odd = below(word, 0x20) | equal(word, 0x7f);
        if odd == 0 {
            at += 8;
            continue;
        }
        at += (odd.trailing_zeros() / 8) as usize;
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
    run(bytes, at, VALUE)
}

/// Index of the first byte at or after `at` that a request target cannot have.
pub fn target_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(bytes, at) {
        let odd = below(word, 0x21) | (word & HIGH) | equal(word, 0x7f) | equal(word, b'#');
        if odd != 0 {
            return at + (odd.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    run(bytes, at, TARGET)
}

/// Without the spaces and tabs at its ends.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a list that commas separate, trimmed; empty ones are left in.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// A decimal number of digits alone, up to 2^63 - 1.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        let value = value.checked_mul(10)?.checked_add(digit)?;
        (value <= i64::MAX as u64).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_finds() {
        for length in 0..20 {
            for at in 0..=length {
                for byte in 0..=255 {
                    for other in [b'a', 0xff, b'\t', 0x20, 0x7f] {
                        let mut bytes = vec![other; length];
                        if let Some(place) = bytes.get_mut(at) {
                            *place = byte;
                        }
                        assert_eq!(value_end(&bytes, 0), run(&bytes, 0, VALUE), "{bytes:?}");
                        assert_eq!(target_end(&bytes, 0), run(&bytes, 0, TARGET), "{bytes:?}");
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
