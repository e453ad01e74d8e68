//! How much each client may do: of a listener, of a service, and what holds for all such limits.

use std::fmt;
use std::time::Duration;

use super::complaint::Wrong;
use super::condition::Condition;
use super::guard::{OWN_RULES, is_rule_name};
use super::key::SettingKey;
use super::rate::Rate;
use super::{Cidr, escaped};
use crate::limits;

const BY_WANT: &str = "by=ip, by=header:NAME or by=service, name=NAME, or when=CONDITION";

/// What all limits by client have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Bits of an IPv6 address that are one client.
    pub ipv6_prefix: u8,
    /// Clients that each limit remembers.
    pub clients: u32,
    /// Who is never limited.
    pub exempt: Vec<Cidr>,
    /// What becomes of who is refused.
    pub reject: Reject,
    /// How long who is refused is held, where that is asked for.
    pub tarpit: Duration,
    /// Answers of 429 have the fields RateLimit-Policy and RateLimit.
    pub rate_fields: bool,
}

/// What one listener or service has of these by itself; what is `None` is as for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitTerms {
    /// Bits of an IPv6 address that are one client.
    pub ipv6_prefix: Option<u8>,
    /// Who is never limited here.
    pub exempt: Option<Vec<Cidr>>,
    /// What becomes of who is refused.
    pub reject: Option<Reject>,
    /// How long who is refused is held, where that is asked for.
    pub tarpit: Option<Duration>,
    /// Answers of 429 have the fields RateLimit-Policy and RateLimit; only of a service.
    pub rate_fields: Option<bool>,
}

/// What becomes of a connection that is refused; requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// It is held for a while, then reset; a request is held, then answered.
    Tarpit,
}

/// What a listener allows each client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerLimits {
    /// So many connections at once.
    pub connections: Option<u32>,
    /// So many new ones.
    pub connection_rate: Option<Rate>,
    /// So many handshakes of TLS.
    pub handshake_rate: Option<Rate>,
}

/// How often a service may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimit {
    /// So often.
    pub rate: Rate,
    /// By whom.
    pub by: LimitBy,
    /// What it is called in logs and metrics, if the operator says so.
    pub name: Option<String>,
    /// Of which requests; `None` is of all.
    pub when: Option<Condition>,
}

/// Whom a limit counts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitBy {
    /// A client.
    Ip,
    /// All who send the same value in this field; who sends none is counted by address.
    Header(String),
    /// All clients of the service.
    Service,
}

impl Reject {
    /// The words for it.
    pub const ALL: &'static [(&'static str, Reject)] =
        &[("close", Reject::Close), ("reset", Reject::Reset), ("tarpit", Reject::Tarpit)];
}

impl LimitSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: LimitSettings = LimitSettings {
        ipv6_prefix: limits::LIMIT_IPV6_PREFIX_DEFAULT,
        clients: limits::LIMIT_CLIENTS_DEFAULT,
        exempt: Vec::new(),
        reject: Reject::Close,
        tarpit: limits::TARPIT_DEFAULT,
        rate_fields: false,
    };
}

impl LimitTerms {
    /// Those of all.
    pub const SAME: LimitTerms = LimitTerms {
        ipv6_prefix: None,
        exempt: None,
        reject: None,
        tarpit: None,
        rate_fields: None,
    };
}

impl ListenerLimits {
    /// None.
    pub const NONE: ListenerLimits =
        ListenerLimits { connections: None, connection_rate: None, handshake_rate: None };
}

impl RequestLimit {
    /// A rate, perhaps with `,by=...`, `,name=...` and at the end `,when=...` behind it: commas
    /// may stand in a condition.
    pub fn parse(text: &str) -> Result<RequestLimit, Wrong> {
        let (text, when) = match text.split_once(",when=") {
            Some((before, condition)) => (before, Some(Condition::parse(condition)?)),
            None => (text, None),
        };
        let (rate, options) = Rate::parse_first(text)?;
        let mut limit = RequestLimit { rate, by: LimitBy::Ip, name: None, when };
        for option in options {
            let wrong = |want: &str| Wrong::found_in(option, text, want);
            match option.split_once('=') {
                Some(("by", by)) => {
                    limit.by = LimitBy::parse(by).ok_or_else(|| wrong(BY_WANT))?;
                }
                Some(("name", name)) if OWN_RULES.contains(&name) => {
                    return Err(wrong("a name that no other rule has"));
                }
                Some(("name", name)) if is_rule_name(name) => {
                    limit.name = Some(name.to_owned());
                }
                Some(("name", _)) => {
                    return Err(wrong("a name of letters, digits, hyphens, dots and _"));
                }
                _ => return Err(wrong(&format!("burst=N, {BY_WANT}"))),
            }
        }
        Ok(limit)
    }
}

impl LimitBy {
    fn parse(text: &str) -> Option<LimitBy> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        match text.split_once(':') {
            None if text == "ip" => Some(LimitBy::Ip),
            None if text == "service" => Some(LimitBy::Service),
            Some(("header", name)) if !name.is_empty() && name.bytes().all(is_token) => {
                Some(LimitBy::Header(name.to_ascii_lowercase()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rate.fmt(f)?;
        match &self.by {
            LimitBy::Ip => {}
            LimitBy::Header(name) => write!(f, ",by=header:{}", escaped(name))?,
            LimitBy::Service => f.write_str(",by=service")?,
        }
        if let Some(name) = &self.name {
            write!(f, ",name={name}")?;
        }
        match &self.when {
            Some(condition) => write!(f, ",when={condition}"),
            None => Ok(()),
        }
    }
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LIMIT_CONNECTIONS: SettingKey = SettingKey("listener.limit_connections");
    pub const LIMIT_CONNECTION_RATE: SettingKey = SettingKey("listener.limit_connection_rate");
    pub const LIMIT_HANDSHAKE_RATE: SettingKey = SettingKey("listener.limit_handshake_rate");
    pub const LIMIT_REQUEST_RATE: SettingKey = SettingKey("service.limit_request_rate");
    pub const LIMIT_IPV6_PREFIX: SettingKey = SettingKey("global.limit_ipv6_prefix");
    pub const LIMIT_CLIENTS: SettingKey = SettingKey("global.limit_clients");
    pub const LIMIT_EXEMPT: SettingKey = SettingKey("global.limit_exempt");
    pub const REJECT: SettingKey = SettingKey("global.reject");
    pub const TARPIT: SettingKey = SettingKey("global.tarpit");
    pub const RATE_LIMIT_FIELDS: SettingKey = SettingKey("global.rate_limit_fields");
    pub const LISTENER_REJECT: SettingKey = SettingKey("listener.reject");
    pub const LISTENER_TARPIT: SettingKey = SettingKey("listener.tarpit");
    pub const LISTENER_LIMIT_EXEMPT: SettingKey = SettingKey("listener.limit_exempt");
    pub const LISTENER_LIMIT_IPV6_PREFIX: SettingKey = SettingKey("listener.limit_ipv6_prefix");
    pub const SERVICE_REJECT: SettingKey = SettingKey("service.reject");
    pub const SERVICE_TARPIT: SettingKey = SettingKey("service.tarpit");
    pub const SERVICE_LIMIT_EXEMPT: SettingKey = SettingKey("service.limit_exempt");
    pub const SERVICE_LIMIT_IPV6_PREFIX: SettingKey = SettingKey("service.limit_ipv6_prefix");
    pub const SERVICE_RATE_LIMIT_FIELDS: SettingKey = SettingKey("service.rate_limit_fields");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_requests_are_read_and_shown_alike() {
        for text in [
            "10/s",
            "10/s,burst=50",
            "100/m,burst=20,by=header:x-api-key,name=api",
            "1000/s,by=service",
            "5/h,name=login.post_2",
            "5/m,burst=2,name=login,when=path ^= \"/login\" && method in [\"POST\", \"PUT\"]",
            "5/m,when=host == \"a.example\" || header(\"x\") == \",when=\"",
        ] {
            assert_eq!(RequestLimit::parse(text).map(|it| it.to_string()), Ok(text.to_owned()));
        }
        let limit = RequestLimit::parse("10/s,by=ip,burst=3").expect("in any order");
        assert_eq!(limit.to_string(), "10/s,burst=3");
    }

    #[test]
    fn what_is_no_limit_is_refused_in_words() {
        let table = [
            ("10", "did you mean 10/s?"),
            ("10/s,by=cookie", "want by=ip, by=header:NAME or by=service, name=NAME, or when="),
            ("10/s,by=header:", "want by=ip"),
            ("10/s,by=header:a b", "want by=ip"),
            ("10/s,name=a b", "want a name of letters, digits"),
            ("10/s,name=ban", "want a name that no other rule has"),
            ("10/s,name=", "want a name of letters, digits"),
            ("10/s,burst", "want burst=N, by=ip, by=header:NAME or by=service, name=NAME"),
            ("10/s,when=/login", "found '/' at character 1, want client, method, path"),
            ("10/s,when=path ^= \"/\",name=a", "found ',' at character 12"),
        ];
        for (text, says) in table {
            let wrong = RequestLimit::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }
}
