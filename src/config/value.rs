//! Single values as people write them: durations, numbers, sizes, words.
//!
//! Pure text to value. Called by `config` and by the table of settings, for flags and files alike.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::complaint::Wrong;
use crate::limits::{self, CLOSEST_LOOKED_AT};

const DURATION_WANT: &str = "a duration with its unit such as 500ms, 2s, 5m or 1h";

/// A number and its unit, `ms`, `s`, `m` or `h`; decimal fractions are fine, bare numbers are not:
/// nobody should have to know which unit a program likes.
pub fn duration(text: &str, min: Duration) -> Result<Duration, Wrong> {
    let value = exact_duration(text).ok_or_else(|| Wrong::found(text, DURATION_WANT))?;
    if value < min {
        return Err(Wrong::found(text, format!("at least {}", duration_text(min))));
    }
    if value > limits::DURATION_MAX {
        let days = limits::DURATION_MAX.as_secs() / (24 * 3600);
        let most = duration_text(limits::DURATION_MAX);
        return Err(Wrong::found(text, format!("at most {most}, which is {days} days")));
    }
    Ok(value)
}

/// After how long a silent peer is asked by TCP: zero, or what the kernel takes.
pub fn tcp_keepalive(text: &str) -> Result<Duration, Wrong> {
    let value = if text == "off" { Duration::ZERO } else { duration(text, Duration::ZERO)? };
    let least = limits::TCP_KEEPALIVE_MIN;
    let most = limits::TCP_KEEPALIVE_MAX;
    if value.is_zero() || (least..=most).contains(&value) {
        return Ok(value);
    }
    let least = duration_text(least);
    let most = duration_text(most);
    Err(Wrong::found(text, format!("from {least} to {most}, or off")))
}

/// A duration as [`duration`] reads it, in the largest unit that needs no fraction.
pub fn duration_text(value: Duration) -> String {
    let millis = value.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let fitting =
        units.into_iter().find(|(_, size)| millis >= *size && millis.is_multiple_of(*size));
    match fitting {
        Some((unit, size)) => format!("{}{unit}", millis / size),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A whole number within the range: digits alone, no sign.
pub fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    match digits(text) {
        Some(value) if range.contains(&value) => Ok(value),
        _ => Err(Wrong::found(text, number_want(&range))),
    }
}

/// As [`number`], where the value and its limits have 32 bits.
pub fn number_u32(text: &str, range: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let wide = u64::from(*range.start())..=u64::from(*range.end());
    let value = number(text, wide.clone())?;
    u32::try_from(value).map_err(|_| Wrong::found(text, number_want(&wide)))
}

pub(super) fn number_want(range: &RangeInclusive<u64>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

/// Digits and nothing else. `str::parse` alone would take a plus sign.
pub(super) fn digits(text: &str) -> Option<u64> {
    if all_digits(text) { text.parse().ok() } else { None }
}

const SIZE_OR_NONE_WANT: &str = "a size such as 4096, 512k, 10m or 1g, or none";

/// A number of bytes, or one with its unit, `k`, `m` or `g`, each 1024 times the one before; or
/// `none`. Zero is refused: some would mean nothing by it and some no limit.
pub fn size_or_none(text: &str, max: u64) -> Result<Option<u64>, Wrong> {
    if text == "none" {
        return Ok(None);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(unit_at);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(Wrong::found(text, format!("{SIZE_OR_NONE_WANT}{}", size_hint(text)))),
    };
    if !all_digits(amount) {
        return Err(Wrong::found(text, SIZE_OR_NONE_WANT));
    }
    // Too large for 64 bits is a size all the same.
    let amount = amount.parse::<u64>().unwrap_or(u64::MAX);
    match amount.checked_mul(1 << shift) {
        Some(0) => Err(Wrong::found(text, "at least 1 byte, or none for no limit")),
        Some(bytes) if bytes <= max => Ok(Some(bytes)),
        _ => Err(Wrong::found(text, format!("at most {}, or none", size_text(max)))),
    }
}

/// `10MB`, `10 MiB` and `10M` are what others write for `10m`.
fn size_hint(text: &str) -> String {
    let small = text.to_ascii_lowercase().replace(' ', "");
    let small = small.strip_suffix("ib").or(small.strip_suffix('b')).unwrap_or(&small);
    let amount = small.strip_suffix(['k', 'm', 'g']).unwrap_or(small);
    match all_digits(amount) {
        true => format!("; did you mean {small}?"),
        false => String::new(),
    }
}

/// A number of bytes as [`size_or_none`] reads it, in the largest unit that needs no fraction.
pub fn size_text(bytes: u64) -> String {
    let units = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];
    match units.into_iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

/// One of a few words; the table says what each stands for.
pub fn one_of<T: Copy>(text: &str, table: &[(&str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = table.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
    Err(Wrong::found(text, alternatives(&words)))
}

/// For flags that say whether something is done.
pub const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];

/// The word for a value: the way back from [`one_of`].
pub fn word_of<T: PartialEq>(value: &T, table: &[(&'static str, T)]) -> &'static str {
    table.iter().find(|(_, known)| known == value).map_or("?", |(word, _)| word)
}

/// `a`, `a or b`, `a, b or c`.
pub fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}

/// What the system says of a failure, without its number, which is for programmers.
pub fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => return "there is no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => return "not allowed to open it".to_owned(),
        _ => {}
    }
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// The known word that was probably meant: within a third of its letters, or begun with it. Of
/// equals the first by its letters, in whatever order they are known.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    if word.len() < 3 {
        return None;
    }
    let begun: String = word.iter().collect();
    let distance = |candidate: &str| {
        let letters: Vec<char> = candidate.chars().collect();
        if candidate.starts_with(&begun) { 1 } else { edits(&word, &letters) }
    };
    let nearest = known
        .into_iter()
        .take(CLOSEST_LOOKED_AT)
        .map(|known| (distance(known), known))
        .min()?;
    (nearest.0 <= (word.len() / 3).min(3)).then_some(nearest.1)
}

fn exact_duration(text: &str) -> Option<Duration> {
    const NANOS_PER_SECOND: u128 = 1_000_000_000;
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (amount, unit) = text.split_at(unit_at);
    let nanos_per_unit = match unit {
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    // Too large for 64 bits is a duration all the same, and the caller says that it is too long.
    let whole = u128::from(whole.parse::<u64>().unwrap_or(u64::MAX));
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = fraction.parse::<u128>().ok()?;
    let nanos = whole * nanos_per_unit + fraction * nanos_per_unit / places;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(u64::MAX);
    Some(Duration::new(seconds, u32::try_from(nanos % NANOS_PER_SECOND).ok()?))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Letters to add, drop, change or swap with a neighbour: optimal string alignment.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_bear_their_unit() {
        let table = [
            ("500ms", Duration::from_millis(500)),
            ("1.5ms", Duration::from_micros(1500)),
            ("0s", Duration::ZERO),
            ("0.5s", Duration::from_millis(500)),
            ("0.000000001s", Duration::from_nanos(1)),
            ("007s", Duration::from_secs(7)),
            ("5m", Duration::from_secs(300)),
            ("1.5h", Duration::from_secs(5400)),
            ("8760h", limits::DURATION_MAX),
        ];
        for (text, value) in table {
            assert_eq!(duration(text, Duration::ZERO), Ok(value), "{text}");
        }
    }

    #[test]
    fn durations_without_or_with_a_wrong_unit_are_refused() {
        let table = [
            "",
            "0",
            "5",
            "s",
            "ms",
            ".5s",
            "5.s",
            "1.2.3s",
            "5 s",
            " 5s",
            "5s ",
            "-5s",
            "+5s",
            "5S",
            "5d",
            "5us",
            "5sec",
            "1h30m",
            "1e3s",
            "0x5s",
            "٣s",
            "0.0000000001s",
            "infs",
        ];
        for text in table {
            let wrong = duration(text, Duration::ZERO).unwrap_err().to_string();
            assert!(
                wrong.ends_with("want a duration with its unit such as 500ms, 2s, 5m or 1h")
            );
        }
    }

    #[test]
    fn durations_have_a_floor_and_a_ceiling() {
        let ten = Duration::from_millis(10);
        assert_eq!(duration("10ms", ten), Ok(ten));
        assert_eq!(duration("9ms", ten), Err(Wrong::found("9ms", "at least 10ms")));
        for text in ["8761h", "8760.1h", "99999999999999999999999999999h", "31536001s"] {
            let wrong = duration(text, ten).unwrap_err().to_string();
            assert!(wrong.ends_with("want at most 8760h, which is 365 days"), "{wrong}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_read() {
        for text in ["0s", "1ms", "999ms", "1s", "90s", "2m", "61m", "1h", "8760h"] {
            let value = duration(text, Duration::ZERO).unwrap();
            assert_eq!(duration_text(value), text);
        }
    }

    #[test]
    fn numbers_are_digits_within_a_range() {
        assert_eq!(number("1", 1..=10), Ok(1));
        assert_eq!(number("010", 1..=10), Ok(10));
        assert_eq!(number("18446744073709551615", 0..=u64::MAX), Ok(u64::MAX));
        for text in ["", "0", "11", "+1", "-1", "1.0", "1 ", "0x1", "18446744073709551616", "x"]
        {
            let wrong = number(text, 1..=10).unwrap_err();
            assert_eq!(wrong, Wrong::found(text, "a whole number from 1 to 10"));
        }
        assert_eq!(number_u32("4294967295", 0..=u32::MAX), Ok(u32::MAX));
        assert!(number_u32("4294967296", 0..=u32::MAX).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit_of_1024() {
        let max = 8 << 30;
        let table = [
            ("none", None),
            ("1", Some(1)),
            ("007", Some(7)),
            ("4k", Some(4096)),
            ("10m", Some(10 << 20)),
            ("8g", Some(max)),
        ];
        for (text, size) in table {
            assert_eq!(size_or_none(text, max), Ok(size), "{text}");
        }
        let bad = [
            "", "k", "-1", "+1", "1.5m", "1 k", " 1k", "1k ", "1K", "1kb", "1kk", "1t", "0x1",
            "None", "٣k", "1m1", "off",
        ];
        for text in bad {
            let wrong = size_or_none(text, max).unwrap_err().to_string();
            let says = Wrong::found(text, SIZE_OR_NONE_WANT).to_string();
            let meant = wrong.strip_prefix(&says).unwrap();
            let meant =
                meant.strip_prefix("; did you mean ").map(|it| it.trim_end_matches('?'));
            assert!(meant.is_none_or(|it| size_or_none(it, max).is_ok()), "{wrong}");
            assert_eq!(meant.is_some(), ["1 k", "1k ", " 1k", "1K", "1kb"].contains(&text));
        }
        for text in ["0", "0k", "000g"] {
            let want = "at least 1 byte, or none for no limit";
            assert_eq!(size_or_none(text, max), Err(Wrong::found(text, want)));
        }
        for text in ["8589934593", "9g", "18446744073709551615g", "99999999999999999999999"] {
            assert_eq!(size_or_none(text, max), Err(Wrong::found(text, "at most 8g, or none")),);
        }
        assert_eq!(size_or_none("18446744073709551615", u64::MAX), Ok(Some(u64::MAX)));
    }

    #[test]
    fn sizes_are_shown_as_they_are_read() {
        for text in ["1", "1023", "1k", "1025", "1536k", "1m", "1g", "1048576g"] {
            let bytes = size_or_none(text, u64::MAX).unwrap().unwrap();
            assert_eq!(size_text(bytes), text);
        }
    }

    #[test]
    fn words_are_listed_when_none_fits() {
        let table = [("keep", 1), ("close", 2), ("drop", 3)];
        assert_eq!(one_of("close", &table), Ok(2));
        assert_eq!(word_of(&2, &table), "close");
        let wrong = one_of("Close", &table).unwrap_err().to_string();
        assert_eq!(wrong, "found 'Close', want keep, close or drop");
    }

    #[test]
    fn the_closest_word_is_near_or_absent() {
        let known = ["balance", "backend", "check-interval", "listen"];
        let table = [
            ("balence", Some("balance")),
            ("blaance", Some("balance")),
            ("Backend", Some("backend")),
            ("backends", Some("backend")),
            ("check-int", Some("check-interval")),
            ("lis", Some("listen")),
            ("li", None),
            ("", None),
            ("timeout", None),
        ];
        for (word, near) in table {
            assert_eq!(closest(word, known), near, "{word}");
        }
        for known in [["limit_rate", "limit_flows"], ["limit_flows", "limit_rate"]] {
            assert_eq!(closest("limit", known), Some("limit_flows"));
        }
    }
}
