//! The rows of the flags with which limits of listeners or of services hold on other terms than all
//! others do, the group "Terms of limits" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::guard::{ipv6_prefix, tarpit};
use super::row::{Act, Setting, list, switch};
use crate::config::{
    Cidr, LimitTerms, ON_OFF, Reject, SettingKey, Wrong, duration_text, one_of, word_of,
};

pub(super) static LIMIT_TERMS: &[Setting] = &[
    Setting {
        short: "",
        long: "listener-reject",
        value: "close|reset|tarpit",
        says: "What becomes of who is refused at a listener.",
        default: |_| "that of --reject".to_owned(),
        show: |config| reject_text(&config.listener.terms),
        act: Act::Value(SettingKey::LISTENER_REJECT, |config, text| {
            config.listener.terms.reject = Some(one_of(text, Reject::ALL)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "listener-tarpit",
        value: "DURATION",
        says: "How long a listener's tarpit holds a connection, at most 10m.",
        default: |_| "that of --tarpit".to_owned(),
        show: |config| config.listener.terms.tarpit.map(duration_text),
        act: Act::Value(SettingKey::LISTENER_TARPIT, |config, text| {
            config.listener.terms.tarpit = Some(tarpit(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "listener-limit-exempt",
        value: "CIDR[,CIDR]...|none",
        says: "Clients that no limit of a listener holds for; those of --limit-exempt are not \
               among them. Can be repeated.",
        default: |_| "those of --limit-exempt".to_owned(),
        show: |config| exempt_text(&config.listener.terms),
        act: Act::Values(
            SettingKey::LISTENER_LIMIT_EXEMPT,
            |config, text| exempt(&mut config.listener.terms, text),
            |config| config.listener.terms.exempt = None,
        ),
    },
    Setting {
        short: "",
        long: "listener-limit-ipv6-prefix",
        value: "N",
        says: "How many bits of an IPv6 address are one client at a listener, 32 to 128.",
        default: |_| "that of --limit-ipv6-prefix".to_owned(),
        show: |config| config.listener.terms.ipv6_prefix.map(|bits| bits.to_string()),
        act: Act::Value(SettingKey::LISTENER_LIMIT_IPV6_PREFIX, |config, text| {
            config.listener.terms.ipv6_prefix = Some(ipv6_prefix(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "service-reject",
        value: "close|reset|tarpit",
        says: "What becomes of a request, or of a connection that is relayed as it is, that is \
               refused by a service; 403 and 429 are answered at once but for tarpit.",
        default: |_| "that of --reject".to_owned(),
        show: |config| reject_text(&config.service.terms),
        act: Act::Value(SettingKey::SERVICE_REJECT, |config, text| {
            config.service.terms.reject = Some(one_of(text, Reject::ALL)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "service-tarpit",
        value: "DURATION",
        says: "How long a service's tarpit holds a request, at most 10m.",
        default: |_| "that of --tarpit".to_owned(),
        show: |config| config.service.terms.tarpit.map(duration_text),
        act: Act::Value(SettingKey::SERVICE_TARPIT, |config, text| {
            config.service.terms.tarpit = Some(tarpit(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "service-limit-exempt",
        value: "CIDR[,CIDR]...|none",
        says: "Clients that no limit of a service holds for; those of --limit-exempt are not \
               among them. Can be repeated.",
        default: |_| "those of --limit-exempt".to_owned(),
        show: |config| exempt_text(&config.service.terms),
        act: Act::Values(
            SettingKey::SERVICE_LIMIT_EXEMPT,
            |config, text| exempt(&mut config.service.terms, text),
            |config| config.service.terms.exempt = None,
        ),
    },
    Setting {
        short: "",
        long: "service-limit-ipv6-prefix",
        value: "N",
        says: "How many bits of an IPv6 address are one client of a service, 32 to 128.",
        default: |_| "that of --limit-ipv6-prefix".to_owned(),
        show: |config| config.service.terms.ipv6_prefix.map(|bits| bits.to_string()),
        act: Act::Value(SettingKey::SERVICE_LIMIT_IPV6_PREFIX, |config, text| {
            config.service.terms.ipv6_prefix = Some(ipv6_prefix(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "service-rate-limit-fields",
        value: "on|off",
        says: "Whether a service's answers of 429 have RateLimit-Policy and RateLimit.",
        default: |_| "that of --rate-limit-fields".to_owned(),
        show: |config| config.service.terms.rate_fields.map(switch),
        act: Act::Value(SettingKey::SERVICE_RATE_LIMIT_FIELDS, |config, text| {
            config.service.terms.rate_fields = Some(one_of(text, ON_OFF)?);
            Ok(())
        }),
    },
];

fn reject_text(terms: &LimitTerms) -> Option<String> {
    terms.reject.map(|reject| word_of(&reject, Reject::ALL).to_owned())
}

fn exempt_text(terms: &LimitTerms) -> Option<String> {
    let exempt = terms.exempt.as_ref()?;
    Some(list(exempt).unwrap_or_else(|| "none".to_owned()))
}

/// What is said several times adds up; `none` alone exempts nobody.
fn exempt(terms: &mut LimitTerms, text: &str) -> Result<(), Wrong> {
    let more = if text == "none" { Vec::new() } else { Cidr::parse_list(text)? };
    terms.exempt.get_or_insert_default().extend(more);
    Ok(())
}
