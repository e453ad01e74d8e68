//! The rows of the flags that say whose the file of a listener's UNIX socket is.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{SettingKey, SocketOwner, socket_mode};

pub(super) static SOCKETS: &[Setting] = &[
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
