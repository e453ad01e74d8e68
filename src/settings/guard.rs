//! The rows of the flags that say who comes in, the group "Who comes in" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{
    Bandwidth, DryRun, Rate, SettingKey, duration_or_none, duration_text, number_u32, or_none,
};
use crate::limits;

pub(super) static GUARD: &[Setting] = &[
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
        long: "limit-flows",
        value: "N",
        says: "Flows that a client may have at once at a udp:// listener, 1 to 1000000; what \
               would begin another one is dropped. The rule is flows.",
        default: |_| "no limit".to_owned(),
        show: |config| config.listener.datagrams.flows.map(|it| it.to_string()),
        act: Act::Value(SettingKey::LIMIT_FLOWS, |config, text| {
            let most = number_u32(text, 1..=limits::LIMIT_FLOWS_MAX)?;
            config.listener.datagrams.flows = Some(most);
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
