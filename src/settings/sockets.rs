//! The rows of the flags about the sockets of listeners: who else may have the port, and whose the
//! file of a UNIX socket is.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, switch};
use crate::config::{SettingKey, SocketOwner, socket_mode};

pub(super) static SOCKETS: &[Setting] = &[
    Setting {
        short: "",
        long: "reuse-port",
        value: "",
        says: "Share the ports of listeners, of TCP and UDP, with other processes of the same \
               user that have this flag too: the kernel spreads clients over them by their \
               addresses and ports, so that there may be one process for each core. Each \
               counts for itself: --max-connections, limits of clients, max-connections of \
               backends, checks, bans, statistics; sticky cookies need the same --sticky-key, TLS \
               sessions the same --ticket-keys. See docs/more-than-one.md.",
        default: |_| String::new(),
        show: |config| Some(switch(config.listener.reuse_port)),
        act: Act::Switch(SettingKey::REUSE_PORT, |config, on| config.listener.reuse_port = on),
    },
    Setting {
        short: "",
        long: "socket-mode",
        value: "MODE",
        says: "Permission in octal of the file of a listener at unix:PATH: who may write to it \
               may connect.",
        default: |defaults| format!("{:04o}", defaults.listener.socket_mode),
        show: |config| Some(format!("{:04o}", config.listener.socket_mode)),
        act: Act::Value(SettingKey::SOCKET_MODE, |config, text| {
            config.listener.socket_mode = socket_mode(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "socket-owner",
        value: "USER|USER:GROUP|:GROUP",
        says: "To whom that file is given, by names of /etc/passwd and /etc/group or by \
               numbers.",
        default: |_| "who started us".to_owned(),
        show: |config| config.listener.socket_owner.as_ref().map(ToString::to_string),
        act: Act::Value(SettingKey::SOCKET_OWNER, |config, text| {
            config.listener.socket_owner = Some(SocketOwner::parse(text)?);
            Ok(())
        }),
    },
];
