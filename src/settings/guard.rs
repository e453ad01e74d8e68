//! The rows of the flags that say who comes in, the group "Who comes in" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list};
use crate::config::{Cidr, DryRun, SettingKey};

pub(super) static GUARD: &[Setting] = &[
    Setting {
        short: "",
        long: "proxy-protocol",
        value: "CIDR[,CIDR]...",
        says: "Peers that begin each connection with a header of the PROXY protocol, version 1 or 2: \
           they have to, within 3 s, and the client is whom it names, for all that goes by \
           addresses. Bytes of others are never taken for one. Not at udp:// listeners. \
           Can be repeated.",
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
        long: "guard-dry-run",
        value: "all|none|RULE[,RULE]...",
        says: "Rules of the guard that refuse nobody: whom they would refuse is counted and logged. \
           RULE is the name of one, as in the log and in metrics.",
        default: |defaults| defaults.process.guard_dry_run.text(),
        show: |config| Some(config.process.guard_dry_run.text()),
        act: Act::Value(SettingKey::GUARD_DRY_RUN, |config, text| {
            config.process.guard_dry_run = DryRun::parse(text)?;
            Ok(())
        }),
    },
];
