//! The rows of the flags that say who comes in, the group "Who comes in" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{Bandwidth, DryRun, SettingKey, duration_or_none, duration_text, or_none};

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
