//! How many bytes a second a client may be sent.
//!
//! Pure text to value. Called by the table of settings; kept by [`crate::guard`].

use std::fmt;

use super::complaint::Wrong;
use super::key::SettingKey;
use super::slowness::per_second;
use super::value::{size_or_none, size_text};
use crate::limits;

/// A share of what we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes at once for who was silent before.
    pub burst: u64,
}

const WANT: &str = "bytes a second such as 1m/s, perhaps with ,burst=SIZE, or none";

impl Bandwidth {
    /// `SIZE/s[,burst=SIZE]`; the burst is what comes in a second, if nothing is said.
    pub fn parse(text: &str) -> Result<Option<Bandwidth>, Wrong> {
        if text == "none" {
            return Ok(None);
        }
        let wrong = || Wrong::found(text, WANT);
        let (rate, burst) = match text.split_once(',') {
            Some((rate, burst)) => {
                (rate, Some(burst.strip_prefix("burst=").ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let rate = per_second(rate, WANT).map_err(|_| wrong())?;
        if rate < limits::BANDWIDTH_MIN {
            return Err(Wrong::found(
                text,
                format!("at least {}/s", size_text(limits::BANDWIDTH_MIN)),
            ));
        }
        let burst = match burst {
            Some(burst) => {
                size_or_none(burst, limits::BYTES_PER_SECOND_MAX)?.ok_or_else(wrong)?
            }
            None => rate,
        };
        Ok(Some(Bandwidth { rate, burst }))
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", size_text(self.rate))?;
        if self.burst == self.rate {
            return Ok(());
        }
        write!(f, ",burst={}", size_text(self.burst))
    }
}

/// The settings of this file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LIMIT_BANDWIDTH: SettingKey = SettingKey("listener.limit_bandwidth");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_and_shown_alike() {
        for text in ["64k/s", "1m/s,burst=64k", "1500/s,burst=1"] {
            assert_eq!(Bandwidth::parse(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(Bandwidth::parse("none").unwrap(), None);
        for text in ["", "1m", "1m/s,64k", "1m/s,burst=none", "1/s", "0/s", "x/s"] {
            assert!(Bandwidth::parse(text).is_err(), "{text}");
        }
    }
}
