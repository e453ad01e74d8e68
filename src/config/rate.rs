//! Rates as people write them, `N/s`, `N/m` or `N/h`, and how many may come at once.
//!
//! Pure text and numbers. Called by the table of settings and by the limits by client.

use std::fmt;
use std::num::NonZeroU32;

use super::complaint::Wrong;
use super::value::digits;
use crate::limits;

const WANT: &str = "a rate such as 10/s, 100/m or 1000/h, perhaps with ,burst=N";

/// How much may come in a time, and how much of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many.
    pub count: NonZeroU32,
    /// In so long.
    pub per: RateUnit,
    /// So many at once from who was silent before.
    pub burst: NonZeroU32,
}

/// The time of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    /// One of them.
    Second,
    /// 60 seconds.
    Minute,
    /// 3600 seconds.
    Hour,
}

impl RateUnit {
    /// The letters for them.
    const ALL: &'static [(&'static str, RateUnit)] =
        &[("s", RateUnit::Second), ("m", RateUnit::Minute), ("h", RateUnit::Hour)];

    /// How long it is.
    pub fn seconds(self) -> u64 {
        match self {
            RateUnit::Second => 1,
            RateUnit::Minute => 60,
            RateUnit::Hour => 3600,
        }
    }
}

impl Rate {
    /// So many in such a time; at once what comes in a second, or one.
    pub fn new(count: NonZeroU32, per: RateUnit) -> Rate {
        let second = u64::from(count.get()) / per.seconds();
        let burst = u32::try_from(second).ok().and_then(NonZeroU32::new);
        Rate { count, per, burst: burst.unwrap_or(NonZeroU32::MIN) }
    }

    /// `N/s`, `N/m` or `N/h`, perhaps with `,burst=N` behind it.
    pub fn parse(text: &str) -> Result<Rate, Wrong> {
        let (rate, left) = Rate::parse_first(text)?;
        match left[..] {
            [] => Ok(rate),
            [option, ..] => Err(Wrong::found_in(option, text, "burst=N and nothing else")),
        }
    }

    /// The same, and what other options there are behind it.
    pub fn parse_first(text: &str) -> Result<(Rate, Vec<&str>), Wrong> {
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let mut rate = Rate::parse_alone(first, text)?;
        let mut left = Vec::new();
        let mut has_burst = false;
        for part in parts {
            match part.strip_prefix("burst=") {
                Some(_) if std::mem::replace(&mut has_burst, true) => {
                    return Err(Wrong::found_in(part, text, "one burst"));
                }
                Some(burst) => {
                    let want = format!("burst= and a number from 1 to {}", limits::BURST_MAX);
                    let wrong = || Wrong::found_in(part, text, want.clone());
                    rate.burst = number(burst, limits::BURST_MAX).ok_or_else(wrong)?;
                }
                None => left.push(part),
            }
        }
        Ok((rate, left))
    }

    fn parse_alone(part: &str, whole: &str) -> Result<Rate, Wrong> {
        let wrong = |want: String| match part == whole {
            true => Wrong::found(part, want),
            false => Wrong::found_in(part, whole, want),
        };
        let Some((count, unit)) = part.split_once('/') else {
            let hint = match digits(part) {
                Some(_) => format!("; did you mean {part}/s?"),
                None => String::new(),
            };
            return Err(wrong(format!("{WANT}{hint}")));
        };
        let Some((_, per)) = RateUnit::ALL.iter().find(|(letter, _)| *letter == unit) else {
            return Err(wrong(WANT.to_owned()));
        };
        let want = || wrong(format!("a number from 1 to {} before /{unit}", limits::RATE_MAX));
        let count = number(count, limits::RATE_MAX).ok_or_else(want)?;
        Ok(Rate::new(count, *per))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = super::value::word_of(&self.per, RateUnit::ALL);
        write!(f, "{}/{per}", self.count)?;
        if self.burst != Rate::new(self.count, self.per).burst {
            write!(f, ",burst={}", self.burst)?;
        }
        Ok(())
    }
}

fn number(text: &str, most: u32) -> Option<NonZeroU32> {
    let value = u32::try_from(digits(text)?).ok()?;
    NonZeroU32::new(value).filter(|value| value.get() <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown_alike() {
        let table = [
            ("10/s", 10, 1, 10),
            ("1/s,burst=5", 1, 1, 5),
            ("90/m", 90, 60, 1),
            ("600/m", 600, 60, 10),
            ("1000/h,burst=20", 1000, 3600, 20),
        ];
        for (text, count, seconds, burst) in table {
            let rate = Rate::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            let shown = (rate.count.get(), rate.per.seconds(), rate.burst.get());
            assert_eq!(shown, (count, seconds, burst), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(Rate::parse("10/s,burst=10").map(|it| it.to_string()), Ok("10/s".into()));
    }

    #[test]
    fn what_is_no_rate_is_refused_in_words() {
        let table = [
            ("", "found nothing, want a rate such as"),
            ("10", "; did you mean 10/s?"),
            ("10/d", "found '10/d', want a rate such as"),
            ("0/s", "found '0/s', want a number from 1 to 1000000 before /s"),
            ("-1/s", "want a number from 1 to 1000000 before /s"),
            ("1000001/s", "want a number from 1 to 1000000 before /s"),
            (
                "10/s,burst=1,burst=2",
                "found 'burst=2' in '10/s,burst=1,burst=2', want one burst",
            ),
            ("10/s,burst=0", "want burst= and a number from 1 to 1000000"),
            ("10/s,5", "want burst=N and nothing else"),
            ("10,burst=5", "; did you mean 10/s?"),
        ];
        for (text, says) in table {
            let wrong = Rate::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }
}
