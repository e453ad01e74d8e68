//! The flag of a process that takes the place of another.

use crate::config::{SettingKey, socket_path};

use super::row::{Act, Setting};

/// `--takeover`.
pub(super) const TAKEOVER: Setting = Setting {
    short: "",
    long: "takeover",
    value: "SOCKET",
    says: "Take the place of the process that runs, of which this is the path of an admin UNIX \
           socket (--admin unix:PATH): its listening sockets, flows of UDP, counters and what was \
           told of it. Nobody is refused and no connection is reset: those that are open end in \
           the old process. If anything is wrong, that one goes on as if nothing had been. For a \
           new binary: see docs/handbook/upgrade.md.",
    default: |_| "none, sockets are bound".to_owned(),
    show: |_| None,
    act: Act::Value(SettingKey::TAKEOVER, |config, text| {
        config.takeover = Some(socket_path(text)?.to_owned());
        Ok(())
    }),
};
