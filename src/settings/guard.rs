//! The rows of the flags that say who comes in, the group "Who comes in" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use std::time::Duration;

use super::row::{Act, Setting, list, switch};
use crate::config::{
    Bandwidth, Cidr, DryRun, ON_OFF, Rate, Reject, RequestLimit, SettingKey, Wrong, duration,
    duration_or_none, duration_text, number, number_u32, one_of, or_none, word_of,
};
use crate::limits;

pub(super) static GUARD: &[Setting] = &[
    Setting {
        short: "",
        long: "proxy-protocol",
        value: "CIDR[,CIDR]...",
        says: "Peers that begin each connection with a header of the PROXY protocol, version 1 \
               or 2, and each datagram with one of version 2: they have to, connections within \
               3 s, and the client is whom it names, for all that goes by addresses. Bytes of \
               others are never taken for one. Can be repeated.",
        default: |_| "nobody".to_owned(),
        show: |config| list(&config.listener.proxy_protocol),
        act: Act::Values(
            SettingKey::PROXY_PROTOCOL,
            |config, text| {
                config.listener.proxy_protocol.extend(Cidr::parse_list(text)?);
                Ok(())
            },
            |config| config.listener.proxy_protocol.clear(),
        ),
    },
    Setting {
        short: "",
        long: "limit-connections",
        value: "N",
        says: "Connections that one client may have open at once at a listener; those beyond are \
               closed. A client is an IPv4 address or a /64 of IPv6 (--limit-ipv6-prefix).",
        default: |_| "no limit".to_owned(),
        show: |config| config.listener.limits.connections.map(|most| most.to_string()),
        act: Act::Value(SettingKey::LIMIT_CONNECTIONS, |config, text| {
            let most = number_u32(text, 1..=limits::CONNECTIONS_MAX)?;
            config.listener.limits.connections = Some(most);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-connection-rate",
        value: "RATE",
        says: "How often one client may connect to a listener. RATE is N/s, N/m or N/h; behind \
               it ,burst=N says how many may come at once from a client that was silent, which \
               is what comes in a second, at least 1, if nothing is said.",
        default: |_| "no limit".to_owned(),
        show: |config| config.listener.limits.connection_rate.map(|rate| rate.to_string()),
        act: Act::Value(SettingKey::LIMIT_CONNECTION_RATE, |config, text| {
            config.listener.limits.connection_rate = Some(Rate::parse(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-handshake-rate",
        value: "RATE",
        says: "How often one client may begin a handshake at an https:// or tls:// listener. Who \
               is refused is closed before anything dear is reckoned.",
        default: |_| "no limit".to_owned(),
        show: |config| config.listener.limits.handshake_rate.map(|rate| rate.to_string()),
        act: Act::Value(SettingKey::LIMIT_HANDSHAKE_RATE, |config, text| {
            config.listener.limits.handshake_rate = Some(Rate::parse(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-request-rate",
        value: "RATE",
        says: "How often one client may ask a service over HTTP; who asks more often gets 429 \
               with Retry-After. Behind --trusted-proxies the client is the one that \
               X-Forwarded-For names. Behind RATE: ,by=ip; ,by=header:NAME, all who send the \
               same value in a field are counted together, and by address who sends none; \
               ,by=service, all clients together; ,name=NAME, for the log and metrics (default: \
               request-rate); and last ,when=CONDITION, of which requests, as `when` of a rule \
               says it. Can be repeated: all are asked, and what one refuses counts at none.",
        default: |_| "no limit".to_owned(),
        show: |config| {
            let limits = &config.service.request_limits;
            let lines = limits.iter().map(|limit| format!("{limit}\n"));
            (!limits.is_empty()).then(|| lines.collect())
        },
        act: Act::Values(SettingKey::LIMIT_REQUEST_RATE, take_request_limit, |config| {
            config.service.request_limits.clear();
        }),
    },
    Setting {
        short: "",
        long: "limit-ipv6-prefix",
        value: "N",
        says: "How many bits of an IPv6 address are one client, 32 to 128: a household or a \
               server has a /64 at least, and may take any address of it.",
        default: |defaults| defaults.process.client_limits.ipv6_prefix.to_string(),
        show: |config| Some(config.process.client_limits.ipv6_prefix.to_string()),
        act: Act::Value(SettingKey::LIMIT_IPV6_PREFIX, |config, text| {
            config.process.client_limits.ipv6_prefix = ipv6_prefix(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-clients",
        value: "N",
        says: "Clients that each limit remembers, in 32 bytes each, 8 to 16777216, rounded up to \
               a power of two. Only those count who owe something or are connected, so this may \
               be small. Where it is too small, the clients of a /24 or /48 are limited together.",
        default: |defaults| defaults.process.client_limits.clients.to_string(),
        show: |config| Some(config.process.client_limits.clients.to_string()),
        act: Act::Value(SettingKey::LIMIT_CLIENTS, |config, text| {
            let range = limits::LIMIT_WAYS as u32..=limits::LIMIT_CLIENTS_MAX;
            config.process.client_limits.clients = number_u32(text, range)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-exempt",
        value: "CIDR[,CIDR]...",
        says: "Clients that no limit holds for, as networks such as 10.0.0.0/8 or addresses. Can \
               be repeated.",
        default: |_| "nobody".to_owned(),
        show: |config| list(&config.process.client_limits.exempt),
        act: Act::Values(
            SettingKey::LIMIT_EXEMPT,
            |config, text| {
                config.process.client_limits.exempt.extend(Cidr::parse_list(text)?);
                Ok(())
            },
            |config| config.process.client_limits.exempt.clear(),
        ),
    },
    Setting {
        short: "",
        long: "reject",
        value: "close|reset|tarpit",
        says: "What becomes of who is beyond a limit. close: a connection is closed, a request \
               answered with 429. reset: a connection is reset, also of who is denied or \
               banned. tarpit: a connection is held for --tarpit and then reset, and a request \
               then answered; of the connections at most 1 % are held, at least one, and others \
               are refused at once.",
        default: |defaults| {
            word_of(&defaults.process.client_limits.reject, Reject::ALL).to_owned()
        },
        show: |config| {
            Some(word_of(&config.process.client_limits.reject, Reject::ALL).to_owned())
        },
        act: Act::Value(SettingKey::REJECT, |config, text| {
            config.process.client_limits.reject = one_of(text, Reject::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "tarpit",
        value: "DURATION",
        says: "How long --reject tarpit holds a client, at most 10m. Nothing of it is read.",
        default: |defaults| duration_text(defaults.process.client_limits.tarpit),
        show: |config| Some(duration_text(config.process.client_limits.tarpit)),
        act: Act::Value(SettingKey::TARPIT, |config, text| {
            config.process.client_limits.tarpit = tarpit(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "rate-limit-fields",
        value: "on|off",
        says: "Whether answers of 429 say how much is allowed, in RateLimit-Policy and RateLimit \
               as of draft-ietf-httpapi-ratelimit-headers-10. Retry-After they have always.",
        default: |defaults| switch(defaults.process.client_limits.rate_fields),
        show: |config| Some(switch(config.process.client_limits.rate_fields)),
        act: Act::Value(SettingKey::RATE_LIMIT_FIELDS, |config, text| {
            config.process.client_limits.rate_fields = one_of(text, ON_OFF)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "max-connection-time",
        value: "DURATION|none",
        says: "Longest time that a connection of a client is kept, from its accept: one of HTTP \
               ends with the answer that is under way, all others are cut off, those that HTTP \
               made tunnels (WebSocket) too.",
        default: |_| "none, no limit".to_owned(),
        show: |config| {
            Some(or_none(config.service.slowness.max_connection_time, duration_text))
        },
        act: Act::Value(SettingKey::MAX_CONNECTION_TIME, |config, text| {
            config.service.slowness.max_connection_time = duration_or_none(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-bandwidth",
        value: "SIZE/s|none",
        says: "Bytes a second that a client is sent, with all its connections to a listener \
               together, such as 10m/s, 1k/s at least; so much at once as comes in a second, or \
               as said behind it, such as 10m/s,burst=1m. Who has used its share waits: nothing \
               is refused. The rule is bandwidth.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.listener.bandwidth, |it| it.to_string())),
        act: Act::Value(SettingKey::LIMIT_BANDWIDTH, |config, text| {
            config.listener.bandwidth = Bandwidth::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-datagram-rate",
        value: "RATE|none",
        says: "Datagrams that a client may send to a udp:// listener, such as 100/s or \
               100/s,burst=500; others are dropped. The rule is datagram-rate.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.listener.datagrams.rate, |it| it.to_string())),
        act: Act::Value(SettingKey::LIMIT_DATAGRAM_RATE, |config, text| {
            let rate = if text == "none" { None } else { Some(Rate::parse(text)?) };
            config.listener.datagrams.rate = rate;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-datagram-total",
        value: "RATE|none",
        says: "Datagrams that all clients together may send to a udp:// listener, such as \
               50000/s; others are dropped. Asked after the limit of each client. The rule is \
               datagram-total.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.listener.datagrams.total, |it| it.to_string())),
        act: Act::Value(SettingKey::LIMIT_DATAGRAM_TOTAL, |config, text| {
            let total = if text == "none" { None } else { Some(Rate::parse(text)?) };
            config.listener.datagrams.total = total;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "limit-flows",
        value: "N|none",
        says: "Flows that a client may have at once at a udp:// listener, 1 to 1000000; what \
               would begin another one is dropped. The rule is flows.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.listener.datagrams.flows, |it| it.to_string())),
        act: Act::Value(SettingKey::LIMIT_FLOWS, |config, text| {
            let most = |text| number_u32(text, 1..=limits::LIMIT_FLOWS_MAX);
            let flows = if text == "none" { None } else { Some(most(text)?) };
            config.listener.datagrams.flows = flows;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "guard-dry-run",
        value: "all|none|RULE[,RULE]...",
        says: "Rules of the guard that refuse nobody: whom they would refuse is counted and \
               logged. RULE is the name of one, as in the log and in metrics.",
        default: |defaults| defaults.process.guard_dry_run.text(),
        show: |config| Some(config.process.guard_dry_run.text()),
        act: Act::Value(SettingKey::GUARD_DRY_RUN, |config, text| {
            config.process.guard_dry_run = DryRun::parse(text)?;
            Ok(())
        }),
    },
];

/// How many bits of an IPv6 address are one client.
pub(super) fn ipv6_prefix(text: &str) -> Result<u8, Wrong> {
    Ok(number(text, limits::LIMIT_IPV6_PREFIX_MIN.into()..=128)? as u8)
}

/// How long somebody is held.
pub(super) fn tarpit(text: &str) -> Result<Duration, Wrong> {
    let time = duration(text, Duration::from_millis(1))?;
    if time > limits::TARPIT_MAX {
        let most = duration_text(limits::TARPIT_MAX);
        return Err(Wrong::found(text, format!("at most {most}")));
    }
    Ok(time)
}

fn take_request_limit(config: &mut crate::config::Config, text: &str) -> Result<(), Wrong> {
    let limit = RequestLimit::parse(text)?;
    let limits = &mut config.service.request_limits;
    if limits.len() == limits::REQUEST_LIMITS_MAX {
        let want = format!("at most {} of them", limits::REQUEST_LIMITS_MAX);
        return Err(Wrong::found(text, want));
    }
    let is_same = |it: &RequestLimit| it.name.is_some() && it.name == limit.name;
    if limits.iter().any(is_same) {
        return Err(Wrong::found(text, "a name of its own for each"));
    }
    limits.push(limit);
    Ok(())
}
