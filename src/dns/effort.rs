//! How much work the names of a message would be, before a parser takes them up.
//!
//! ```text
//!   12: c0 0a?  a name may end in a pointer to an earlier byte, where another one may stand:
//!   a chain of 8,000 in 16 KB, and each of 4,000 records begins at its end: 32 million steps
//! ```
//!
//! Each pointer leads back by at least a byte, so that every name ends. What is counted is all the
//! pointers that are followed; what is allowed is far more than any server needs.

use crate::limits::DNS_POINTERS_MAX;

/// Pointers that a record counts for whose data may have names in places not known here.
const OTHER_RECORD: usize = 512;

/// Bytes of a name, with the lengths of its labels and its root.
const NAME_BYTES_MAX: usize = 255;

/// Whether the names of a message, of so many questions and records, are little work. `None` if a
/// name or a record does not end.
pub(super) fn is_little(message: &[u8], questions: usize, records: usize) -> Option<bool> {
    let mut at = 12;
    let mut followed = 0;
    for _ in 0..questions {
        at = name(message, at, &mut followed)? + 4;
    }
    for _ in 0..records {
        at = name(message, at, &mut followed)?;
        let head: &[u8; 10] = message.get(at..)?.first_chunk()?;
        let data = at + head.len();
        match u16::from_be_bytes([head[0], head[1]]) {
            // A, TXT, AAAA, OPT.
            1 | 16 | 28 | 41 => {}
            // NS, CNAME, PTR, DNAME.
            2 | 5 | 12 | 39 => {
                name(message, data, &mut followed)?;
            }
            // SOA has two.
            6 => {
                let second = name(message, data, &mut followed)?;
                name(message, second, &mut followed)?;
            }
            // MX, SRV.
            15 => {
                name(message, data + 2, &mut followed)?;
            }
            33 => {
                name(message, data + 6, &mut followed)?;
            }
            _ => followed += OTHER_RECORD,
        }
        at = data + usize::from(u16::from_be_bytes([head[8], head[9]]));
        if followed > DNS_POINTERS_MAX {
            return Some(false);
        }
    }
    (at <= message.len()).then_some(true)
}

/// Walks along a name; where what is behind it begins. Goes no further than is allowed.
fn name(message: &[u8], start: usize, followed: &mut usize) -> Option<usize> {
    let mut at = start;
    let mut end = None;
    let mut bytes = 0;
    loop {
        let length = usize::from(*message.get(at)?);
        match length >> 6 {
            0 if length == 0 => return Some(end.unwrap_or(at + 1)),
            0 => {
                bytes += 1 + length;
                at += 1 + length;
                if bytes >= NAME_BYTES_MAX {
                    return None;
                }
            }
            3 => {
                let back = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                let after = *end.get_or_insert(at + 2);
                *followed += 1;
                if back >= at {
                    return None;
                }
                if *followed > DNS_POINTERS_MAX {
                    return Some(after);
                }
                at = back;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of this owner, type and data.
    fn record(owner: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u16).to_be_bytes();
        [owner, &[0, kind, 0, 1, 0, 0, 0, 9], &length, data].concat()
    }

    #[test]
    fn names_with_a_pointer_each_are_little_work() {
        let mut message = vec![0; 12];
        message.extend(b"\x01a\x07example\0\0\x01\0\x01");
        for _ in 0..1000 {
            message.extend(record(b"\xc0\x0c", 33, b"\0\0\0\0\0\x50\x01b\xc0\x0e"));
            message.extend(record(b"\x01b\xc0\x0e", 1, &[10, 0, 0, 1]));
        }
        assert_eq!(is_little(&message, 1, 2000), Some(true));
        assert_eq!(is_little(&message, 1, 2001), None, "one that is not there");
    }

    #[test]
    fn long_chains_of_pointers_are_too_much_work() {
        let mut message = vec![0; 12];
        // The data of a NULL record is a root, and pointers each to the one before it.
        let mut chain = vec![0];
        let first = 12 + 11;
        for number in 0..8000_usize {
            let back = if number == 0 { first } else { first + 1 + 2 * (number - 1) };
            chain.extend((0xc000 | back as u16).to_be_bytes());
        }
        let last = (0xc000 | (first + 1 + 2 * 7999) as u16).to_be_bytes();
        message.extend(record(b"\0", 10, &chain));
        for _ in 0..3000 {
            message.extend(record(&last, 1, &[10, 0, 0, 1]));
        }
        assert!(message.len() < 65_536);
        assert_eq!(is_little(&message, 0, 2), Some(true), "8,000 once");
        assert_eq!(is_little(&message, 0, 3001), Some(false));
    }

    #[test]
    fn names_that_do_not_end_are_found() {
        for name in [&b"\xc0\x0c"[..], b"\x01a\xc0\x10", b"\x40a", b"\x05a", b"\xc0", b""] {
            let message = [&[0; 12], name].concat();
            assert_eq!(is_little(&message, 1, 0), None, "{name:?}");
        }
        let round = [&[0; 12][..], b"\x01a\xc0\x0c\0\x01\0\x01"].concat();
        assert_eq!(is_little(&round, 1, 0), None, "it grows with each round");
    }
}
