//! On which terms the limits of one listener or service hold.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Cidr, LimitSettings, LimitTerms, Reject};

/// Its own terms where it has some, and those of all for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Bits of an IPv6 address that are one client.
    pub ipv6_prefix: u8,
    /// Who is never limited.
    pub exempt: Vec<Cidr>,
    /// What becomes of who is refused.
    pub reject: Reject,
    /// How long who is refused is held, where that is asked for.
    pub tarpit: Duration,
    /// Answers of 429 have the fields RateLimit-Policy and RateLimit.
    pub rate_fields: bool,
}

impl Terms {
    /// What holds by the settings of its own and of all.
    pub fn new(own: &LimitTerms, all: &LimitSettings) -> Terms {
        Terms {
            ipv6_prefix: own.ipv6_prefix.unwrap_or(all.ipv6_prefix),
            exempt: own.exempt.as_ref().unwrap_or(&all.exempt).clone(),
            reject: own.reject.unwrap_or(all.reject),
            tarpit: own.tarpit.unwrap_or(all.tarpit),
            rate_fields: own.rate_fields.unwrap_or(all.rate_fields),
        }
    }

    /// Whether no limit holds for this client.
    pub(super) fn exempts(&self, client: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(client))
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms::new(&LimitTerms::SAME, &LimitSettings::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_for_all() {
        let all = LimitSettings {
            exempt: Cidr::parse_list("10.0.0.0/8").unwrap(),
            reject: Reject::Tarpit,
            ..LimitSettings::DEFAULT
        };
        let of = |own| Terms::new(&own, &all);
        let client = IpAddr::from([10, 1, 2, 3]);
        let same = of(LimitTerms::SAME);
        assert_eq!((same.reject, same.exempts(client)), (Reject::Tarpit, true));
        assert_eq!(same.tarpit, LimitSettings::DEFAULT.tarpit);
        let nobody = of(LimitTerms { exempt: Some(Vec::new()), ..LimitTerms::SAME });
        assert_eq!((nobody.reject, nobody.exempts(client)), (Reject::Tarpit, false));
        let other = of(LimitTerms { reject: Some(Reject::Reset), ..LimitTerms::SAME });
        assert_eq!((other.reject, other.exempts(client)), (Reject::Reset, true));
    }
}
