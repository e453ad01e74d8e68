//! The rows of the flags about access lists and bans, the group "Access lists and bans" of the
//! manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list};
use super::tls::file;
use crate::config::{Cidr, SettingKey, Wrong, duration, duration_text, number_u32};
use crate::limits;

pub(super) static ACCESS: &[Setting] = &[
    Setting {
        short: "",
        long: "allow",
        value: "CIDR[,CIDR]...",
        says: "Who may come in, by the address of the connection or of the PROXY header: all \
               others are closed right after accept, and their datagrams dropped. Can be \
               repeated. Of the networks in --allow, --deny and their files that an address is \
               in, the smallest decides; --deny where one is in both.",
        default: |_| "everybody".to_owned(),
        show: |config| list(&config.listener.access.allow),
        act: Act::Values(
            SettingKey::ALLOW,
            |config, text| networks(&mut config.listener.access.allow, text),
            |config| config.listener.access.allow.clear(),
        ),
    },
    Setting {
        short: "",
        long: "deny",
        value: "CIDR[,CIDR]...",
        says: "Who may not come in, as at --allow. Can be repeated.",
        default: |_| "nobody".to_owned(),
        show: |config| list(&config.listener.access.deny),
        act: Act::Values(
            SettingKey::DENY,
            |config, text| networks(&mut config.listener.access.deny, text),
            |config| config.listener.access.deny.clear(),
        ),
    },
    Setting {
        short: "",
        long: "allow-file",
        value: "FILE[,FILE]...",
        says: "Files of networks as at --allow, one a line; what follows a # is a comment. Read \
               again at SIGHUP. An empty file allows nobody. Can be repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.listener.access.allow_files),
        act: Act::Values(
            SettingKey::ALLOW_FILES,
            |config, text| files(&mut config.listener.access.allow_files, text),
            |config| config.listener.access.allow_files.clear(),
        ),
    },
    Setting {
        short: "",
        long: "deny-file",
        value: "FILE[,FILE]...",
        says: "Files of networks as at --deny, as at --allow-file. Can be repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.listener.access.deny_files),
        act: Act::Values(
            SettingKey::DENY_FILES,
            |config, text| files(&mut config.listener.access.deny_files, text),
            |config| config.listener.access.deny_files.clear(),
        ),
    },
    Setting {
        short: "",
        long: "service-allow",
        value: "CIDR[,CIDR]...",
        says: "Who is served, as at --allow, but by the client that is meant: behind \
               --trusted-proxies the last address of X-Forwarded-For that is none of theirs. \
               All other requests are answered with 403; connections that are relayed as they \
               are, are closed. Can be repeated.",
        default: |_| "everybody".to_owned(),
        show: |config| list(&config.service.access.allow),
        act: Act::Values(
            SettingKey::SERVICE_ALLOW,
            |config, text| networks(&mut config.service.access.allow, text),
            |config| config.service.access.allow.clear(),
        ),
    },
    Setting {
        short: "",
        long: "service-deny",
        value: "CIDR[,CIDR]...",
        says: "Who is not served, as at --service-allow. Can be repeated.",
        default: |_| "nobody".to_owned(),
        show: |config| list(&config.service.access.deny),
        act: Act::Values(
            SettingKey::SERVICE_DENY,
            |config, text| networks(&mut config.service.access.deny, text),
            |config| config.service.access.deny.clear(),
        ),
    },
    Setting {
        short: "",
        long: "service-allow-file",
        value: "FILE[,FILE]...",
        says: "Files of networks as at --service-allow, as at --allow-file. Can be repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.service.access.allow_files),
        act: Act::Values(
            SettingKey::SERVICE_ALLOW_FILES,
            |config, text| files(&mut config.service.access.allow_files, text),
            |config| config.service.access.allow_files.clear(),
        ),
    },
    Setting {
        short: "",
        long: "service-deny-file",
        value: "FILE[,FILE]...",
        says: "Files of networks as at --service-deny, as at --allow-file. Can be repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.service.access.deny_files),
        act: Act::Values(
            SettingKey::SERVICE_DENY_FILES,
            |config, text| files(&mut config.service.access.deny_files, text),
            |config| config.service.access.deny_files.clear(),
        ),
    },
    Setting {
        short: "",
        long: "ban-after",
        value: "N",
        says: "A client (an IPv4 address, or a /64 of IPv6) is banned once it had N strikes \
               within --ban-window, 1 to 60000: bad requests, failed handshakes, refusals by \
               limits. A client that is banned is closed right after accept at every listener.",
        default: |_| "nobody is banned but by the API".to_owned(),
        show: |config| config.process.bans.after.map(|count| count.to_string()),
        act: Act::Value(SettingKey::BAN_AFTER, |config, text| {
            config.process.bans.after = Some(number_u32(text, 1..=limits::STRIKES_MAX)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "ban-window",
        value: "DURATION",
        says: "Within this time from the first of them the strikes of --ban-after count \
               together; at least 1s.",
        default: |defaults| duration_text(defaults.process.bans.window),
        show: |config| Some(duration_text(config.process.bans.window)),
        act: Act::Value(SettingKey::BAN_WINDOW, |config, text| {
            config.process.bans.window = duration(text, limits::BAN_TIME_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "ban-time",
        value: "DURATION",
        says: "How long --ban-after bans; at least 1s. Each time twice as long, up to a day, \
               until a client behaved for as long as it was banned.",
        default: |defaults| duration_text(defaults.process.bans.time),
        show: |config| Some(duration_text(config.process.bans.time)),
        act: Act::Value(SettingKey::BAN_TIME, |config, text| {
            config.process.bans.time = duration(text, limits::BAN_TIME_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "ban-exempt",
        value: "CIDR[,CIDR]...",
        says: "Who is never banned by --ban-after: besides those named by an --allow list, and \
               --trusted-proxies. Can be repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.process.bans.exempt),
        act: Act::Values(
            SettingKey::BAN_EXEMPT,
            |config, text| networks(&mut config.process.bans.exempt, text),
            |config| config.process.bans.exempt.clear(),
        ),
    },
];

fn networks(to: &mut Vec<Cidr>, text: &str) -> Result<(), Wrong> {
    to.extend(Cidr::parse_list(text)?);
    Ok(())
}

fn files(to: &mut Vec<String>, text: &str) -> Result<(), Wrong> {
    for part in text.split(',') {
        to.push(file(part)?.to_owned());
    }
    Ok(())
}
