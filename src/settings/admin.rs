//! The rows of the flags about who may ask and change what runs, the group "Admin" of the manual.
//!
//! Apart from the other rows because they are many. Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list, switch};
use super::tls::file;
use crate::config::{
    AdminListen, ClientCert, HaproxyLevel, OnLapse, SettingKey, allowed_host, metrics_address,
    number, one_of, size_or_none, size_text, socket_mode, socket_path, udp_address, word_of,
};
use crate::limits::{self, HISTORY_BYTES_MAX};

pub(super) static ADMIN: &[Setting] = &[
    Setting {
        short: "",
        long: "admin",
        value: "PLACE[,PLACE]...",
        says: "Where operators and programs ask and change what runs: unix:PATH, \
               http://ADDR:PORT or https://ADDR:PORT. Can be repeated. http is for loopback \
               alone; https needs --admin-cert, and off loopback --admin-tokens or \
               --admin-client-ca. Who may connect to the UNIX socket may do everything.",
        default: |_| "nowhere".to_owned(),
        show: |config| list(&config.process.admin.listen),
        act: Act::Values(
            SettingKey::ADMIN_LISTEN,
            |config, text| {
                for part in text.split(',') {
                    config.process.admin.listen.push(AdminListen::parse(part)?);
                }
                Ok(())
            },
            |config| config.process.admin.listen.clear(),
        ),
    },
    Setting {
        short: "",
        long: "admin-tokens",
        value: "FILE",
        says: "Whoever comes to --admin over TCP needs a token of this file: a line for each, \
               NAME ROLE SHA256, the role being read, operate, admin or register:POOL. Read \
               again at SIGHUP.",
        default: |_| "none is asked for".to_owned(),
        show: |config| config.process.admin.tokens.clone(),
        act: Act::Value(SettingKey::ADMIN_TOKENS, |config, text| {
            config.process.admin.tokens = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "admin-allowed-host",
        value: "NAME[,NAME]...",
        says: "A name that requests to --admin over TCP may have in their Host, besides those of \
               loopback and the address listened at: what keeps pages of others out. Can be \
               repeated.",
        default: |_| "none".to_owned(),
        show: |config| list(&config.process.admin.allowed_hosts),
        act: Act::Values(
            SettingKey::ADMIN_ALLOWED_HOSTS,
            |config, text| {
                for part in text.split(',') {
                    let host = allowed_host(part)?.to_owned();
                    config.process.admin.allowed_hosts.push(host);
                }
                Ok(())
            },
            |config| config.process.admin.allowed_hosts.clear(),
        ),
    },
    Setting {
        short: "",
        long: "admin-cert",
        value: "FILE",
        says: "Certificate for https:// of --admin, in PEM, followed by those that lead to its \
               root. Needs --admin-key.",
        default: |_| "none, https:// needs one".to_owned(),
        show: |config| {
            let pair = config.process.admin.tls.certificates.first()?;
            super::row::named(&pair.cert)
        },
        act: Act::Value(SettingKey::ADMIN_CERT, |config, text| {
            file(text)?.clone_into(&mut config.process.admin.identity().cert);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "admin-key",
        value: "FILE",
        says: "Private key of --admin-cert, as at --key.",
        default: |_| "none, --admin-cert needs one".to_owned(),
        show: |config| {
            let pair = config.process.admin.tls.certificates.first()?;
            super::row::named(&pair.key)
        },
        act: Act::Value(SettingKey::ADMIN_KEY, |config, text| {
            file(text)?.clone_into(&mut config.process.admin.identity().key);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "admin-client-ca",
        value: "FILE",
        says: "Who comes to https:// of --admin has to show a certificate that leads to one in \
               this file, in PEM. Without --admin-tokens everybody who does may do everything.",
        default: |_| "none, no certificate is asked for".to_owned(),
        show: |config| config.process.admin.tls.client_ca.clone(),
        act: Act::Value(SettingKey::ADMIN_CLIENT_CA, |config, text| {
            config.process.admin.tls.client_ca = Some(file(text)?.to_owned());
            config.process.admin.tls.client_cert = ClientCert::Required;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "admin-socket-mode",
        value: "MODE",
        says: "The permission of UNIX sockets of --admin and --haproxy-socket, in octal: 0660 \
               lets the user and the group connect that this runs as.",
        default: |defaults| format!("{:04o}", defaults.process.admin.socket_mode),
        show: |config| Some(format!("{:04o}", config.process.admin.socket_mode)),
        act: Act::Value(SettingKey::ADMIN_SOCKET_MODE, |config, text| {
            config.process.admin.socket_mode = socket_mode(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "haproxy-socket",
        value: "PATH",
        says: "Take HAProxy's commands at a UNIX socket of this path, for tools that speak them.",
        default: |_| "none".to_owned(),
        show: |config| config.process.admin.haproxy_socket.clone(),
        act: Act::Value(SettingKey::HAPROXY_SOCKET, |config, text| {
            config.process.admin.haproxy_socket = Some(socket_path(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "haproxy-level",
        value: "user|operator|admin",
        says: "What those may who connect to --haproxy-socket. user: read what is not \
               sensitive; operator: read everything; admin: change it as well.",
        default: |defaults| {
            word_of(&defaults.process.admin.haproxy_level, HaproxyLevel::ALL).to_owned()
        },
        show: |config| {
            Some(word_of(&config.process.admin.haproxy_level, HaproxyLevel::ALL).to_owned())
        },
        act: Act::Value(SettingKey::HAPROXY_LEVEL, |config, text| {
            config.process.admin.haproxy_level = one_of(text, HaproxyLevel::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "register",
        value: "",
        says: "Servers may register themselves as backends, by a heartbeat to the API (see \
               docs/registration.md), if they have a token for the pool.",
        default: |_| String::new(),
        show: |config| Some(switch(config.pool.register)),
        act: Act::Switch(SettingKey::REGISTER, |config, on| config.pool.register = on),
    },
    Setting {
        short: "",
        long: "register-udp",
        value: "ADDR:PORT",
        says: "Take heartbeats of such servers in datagrams here, signed by a key of \
               --admin-tokens, and never answered. With port 0 the system chooses one, and the \
               log says which.",
        default: |_| "none".to_owned(),
        show: |config| config.process.admin.register_udp.map(|at| at.to_string()),
        act: Act::Value(SettingKey::REGISTER_UDP, |config, text| {
            config.process.admin.register_udp = Some(udp_address(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "on-lapse",
        value: "drain|down|keep",
        says: "When a server that registered itself is not heard in time, give it no new work, \
               no work at all, or go on. It is back with its next heartbeat. If more than half \
               of them fall silent at once nothing is done.",
        default: |defaults| word_of(&defaults.pool.on_lapse, OnLapse::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.on_lapse, OnLapse::ALL).to_owned()),
        act: Act::Value(SettingKey::ON_LAPSE, |config, text| {
            config.pool.on_lapse = one_of(text, OnLapse::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "metrics",
        value: "ADDR:PORT",
        says: "A listener where /metrics is read, by anybody who reaches it and in the clear, and \
               nothing else but /health, /live and /ready. Works without --admin. With port 0 \
               the system chooses one, and the log says which.",
        default: |_| "none".to_owned(),
        show: |config| config.process.admin.metrics.map(|at| at.to_string()),
        act: Act::Value(SettingKey::METRICS, |config, text| {
            config.process.admin.metrics = Some(metrics_address(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "history-memory",
        value: "SIZE|none",
        says: "How much memory the history of --admin may take, for charts: rates, times and \
               errors of services and pools for a week, of backends for a day. If it is too \
               little for all, the oldest of backends goes first. none keeps nothing.",
        default: |defaults| memory(defaults.process.admin.history_memory),
        show: |config| Some(memory(config.process.admin.history_memory)),
        act: Act::Value(SettingKey::HISTORY_MEMORY, |config, text| {
            config.process.admin.history_memory = size_or_none(text, HISTORY_BYTES_MAX)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "history-file",
        value: "PATH",
        says: "A file in which each minute of the last day is kept, so that charts go on after \
               a restart. It is appended to each minute, and written anew each day. Needs \
               --admin.",
        default: |_| "none, what was is forgotten".to_owned(),
        show: |config| config.process.admin.history_file.clone(),
        act: Act::Value(SettingKey::HISTORY_FILE, |config, text| {
            config.process.admin.history_file = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "state-file",
        value: "PATH",
        says: "A file of what survives a restart: what was told while it runs beside what was \
               configured then, which backends were down, the last good answers of DNS, and \
               the counters. It is replaced 1s after a change and at the end. Where the \
               configuration was changed meanwhile it wins, and the log says so. See \
               docs/admin.md.",
        default: |_| "none, what was told is forgotten".to_owned(),
        show: |config| config.process.state_file.clone(),
        act: Act::Value(SettingKey::STATE_FILE, |config, text| {
            config.process.state_file = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "picks",
        value: "N",
        says: "Keep the last N picks of a backend, 0 to 100000, so that --admin can say why a \
               request, a connection or a flow went where it went: what each backend was at that \
               moment, and what the algorithm compared. Each takes less than a kibibyte. 0: none.",
        default: |defaults| defaults.process.admin.picks.to_string(),
        show: |config| Some(config.process.admin.picks.to_string()),
        act: Act::Value(SettingKey::PICKS, |config, text| {
            config.process.admin.picks = number(text, 0..=limits::PICKS_MAX as u64)? as usize;
            Ok(())
        }),
    },
];

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "none".to_owned(), size_text)
}
