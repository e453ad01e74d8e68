//! The rows of the flags about how names of backends are looked up.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list};
use crate::config::{
    DnsFamilies, SettingKey, duration, duration_text, one_of, resolver, word_of,
};
use crate::limits;

pub(super) static NAMES: &[Setting] = &[
    Setting {
        short: "",
        long: "resolver",
        value: "ADDRESS[:PORT][,ADDRESS[:PORT]]...",
        says: "A server of DNS that is asked for the names of backends, in the order given; the \
               next one where one is silent or fails. Can be repeated. Names of /etc/hosts are \
               asked of nobody.",
        default: |_| "those of /etc/resolv.conf".to_owned(),
        show: |config| list(&config.process.dns.resolvers),
        act: Act::Values(
            SettingKey::DNS_RESOLVERS,
            |config, text| {
                for part in text.split(',') {
                    config.process.dns.resolvers.push(resolver(part)?);
                }
                Ok(())
            },
            |config| config.process.dns.resolvers.clear(),
        ),
    },
    Setting {
        short: "",
        long: "dns-min-ttl",
        value: "DURATION",
        says: "An answer holds for so long at least, whatever its TTL says; 1s or more.",
        default: |defaults| duration_text(defaults.process.dns.min_ttl),
        show: |config| Some(duration_text(config.process.dns.min_ttl)),
        act: Act::Value(SettingKey::DNS_MIN_TTL, |config, text| {
            config.process.dns.min_ttl = duration(text, limits::DNS_TTL_MIN_DEFAULT)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "dns-max-ttl",
        value: "DURATION",
        says: "And for so long at most: then the name is looked up again. What DNS said last \
               holds until it says something else; no answer, or an empty one, takes no backend \
               away.",
        default: |defaults| duration_text(defaults.process.dns.max_ttl),
        show: |config| Some(duration_text(config.process.dns.max_ttl)),
        act: Act::Value(SettingKey::DNS_MAX_TTL, |config, text| {
            config.process.dns.max_ttl = duration(text, limits::DNS_TTL_MIN_DEFAULT)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "dns-families",
        value: "both|ipv4|ipv6",
        says: "Which addresses of names are asked for and used.",
        default: |defaults| {
            word_of(&defaults.process.dns.families, DnsFamilies::ALL).to_owned()
        },
        show: |config| Some(word_of(&config.process.dns.families, DnsFamilies::ALL).to_owned()),
        act: Act::Value(SettingKey::DNS_FAMILIES, |config, text| {
            config.process.dns.families = one_of(text, DnsFamilies::ALL)?;
            Ok(())
        }),
    },
];
