//! How slow a client may be, and how long something of it may take at most.
//!
//! Pure text to value. Called by the table of settings; kept by [`crate::relay`].

use std::fmt;
use std::time::Duration;

use super::complaint::Wrong;
use super::key::SettingKey;
use super::value::{duration, duration_text, size_or_none, size_text};
use crate::limits;

/// What a service bears of its clients. No limit where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slowness {
    /// From the first byte of a request's head to the end of its answer.
    pub max_request_time: Option<Duration>,
    /// From the accept of a connection to its end.
    pub max_connection_time: Option<Duration>,
    /// How much must move while a client is waited for.
    pub min_rate: Option<MinRate>,
}

impl Slowness {
    /// No limits.
    pub const DEFAULT: Slowness =
        Slowness { max_request_time: None, max_connection_time: None, min_rate: None };
}

/// A floor for bodies that come, and for answers that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes a second.
    pub rate: u64,
    /// It is looked at each time that the client was waited for so long.
    pub after: Duration,
}

const MIN_RATE_WANT: &str =
    "bytes a second and since when such as 500/s or 4k/s,after=5s, or none";

impl MinRate {
    /// `SIZE/s[,after=DURATION]`.
    pub fn parse(text: &str) -> Result<Option<MinRate>, Wrong> {
        if text == "none" {
            return Ok(None);
        }
        let wrong = || Wrong::found(text, MIN_RATE_WANT);
        let (rate, after) = match text.split_once(',') {
            Some((rate, after)) => {
                (rate, Some(after.strip_prefix("after=").ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let rate = per_second(rate, MIN_RATE_WANT).map_err(|_| wrong())?;
        let after = match after {
            Some(after) => duration(after, limits::MIN_RATE_AFTER_MIN)?,
            None => limits::MIN_RATE_AFTER_DEFAULT,
        };
        Ok(Some(MinRate { rate, after }))
    }

    /// How many bytes must move in the time after which it is looked at.
    pub fn wanted(&self) -> u64 {
        let bytes = u128::from(self.rate) * self.after.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

impl fmt::Display for MinRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", size_text(self.rate))?;
        if self.after == limits::MIN_RATE_AFTER_DEFAULT {
            return Ok(());
        }
        write!(f, ",after={}", duration_text(self.after))
    }
}

/// `SIZE/s`.
pub(super) fn per_second(text: &str, want: &str) -> Result<u64, Wrong> {
    let size = text.strip_suffix("/s").ok_or_else(|| Wrong::found(text, want.to_owned()))?;
    match size_or_none(size, limits::BYTES_PER_SECOND_MAX)? {
        Some(rate) => Ok(rate),
        None => Err(Wrong::found(text, want.to_owned())),
    }
}

/// A duration, or `none`.
pub fn duration_or_none(text: &str) -> Result<Option<Duration>, Wrong> {
    match text {
        "none" => Ok(None),
        _ => duration(text, limits::TIMEOUT_MIN).map(Some),
    }
}

/// The same as it is written.
pub fn or_none<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "none".to_owned(), text)
}

/// The settings of this file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const MAX_REQUEST_TIME: SettingKey = SettingKey("service.max_request_time");
    pub const MAX_CONNECTION_TIME: SettingKey = SettingKey("service.max_connection_time");
    pub const MIN_RATE: SettingKey = SettingKey("service.min_rate");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_read_and_shown_alike() {
        for text in ["500/s", "4k/s", "1m/s,after=5s", "1/s,after=1500ms"] {
            let floor = MinRate::parse(text).unwrap().unwrap();
            assert_eq!(floor.to_string(), text);
        }
        assert_eq!(MinRate::parse("none").unwrap(), None);
        let short = MinRate::parse("500/s,after=10s").unwrap().unwrap();
        assert_eq!((short.to_string().as_str(), short.wanted()), ("500/s", 5000));
        for text in ["", "500", "0/s", "500/m", "500/s,5s", "500/s,", "-1/s", "none/s"] {
            let wrong = MinRate::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(MIN_RATE_WANT), "{text}: {wrong}");
        }
        assert!(MinRate::parse("500/s,after=1ms").is_err());
    }
}
