//! Every setting, one row each, in the groups of the manual.
//!
//! The command line, its manual, the configuration file and its manual all read these rows, so that
//! none can know a setting that another does not.

use std::time::Duration;

use super::access::ACCESS;
use super::admin::ADMIN;
use super::guard::GUARD;
use super::http::HTTP;
use super::limit_terms::LIMIT_TERMS;
use super::names::NAMES;
use super::queue::QUEUE;
use super::retry::RETRY_BUDGET;
use super::row::{Act, Answer, Setting, SettingGroup};
use super::sockets::SOCKETS;
use super::takeover::TAKEOVER;
use super::tls::{TLS, file};
use super::traffic::TRAFFIC;
use super::udp::UDP;
use crate::config::{
    AccessLogFormat, AccessLogPlace, Algorithm, AllDown, Check, LOG_LEVELS, LogFormat, OnDown,
    OnListenerRemoved, OnRemoved, SettingKey, Task, check_host, duration, duration_text,
    number, number_u32, one_of, tcp_keepalive, word_of,
};
use crate::limits;

/// What stands behind the address of a backend, where others have to speak of it.
pub const OPTIONS: &[(SettingKey, &str)] = &[
    (SettingKey::BACKEND_WEIGHT, "weight"),
    (SettingKey::BACKEND_MAX_CONNECTIONS, "max-connections"),
    (SettingKey::BACKEND_BACKUP, "backup"),
    (SettingKey::BACKEND_SNI, "sni"),
];

/// All groups, in the order of the manual.
pub static GROUPS: &[SettingGroup] = &[
    SettingGroup {
        topic: "traffic",
        title: "Where traffic comes from and goes to",
        flags: TRAFFIC,
    },
    SettingGroup { topic: "sockets", title: "Sockets", flags: SOCKETS },
    SettingGroup { topic: "names", title: "Names of backends", flags: NAMES },
    SettingGroup { topic: "balancing", title: "Balancing", flags: BALANCING },
    SettingGroup { topic: "health", title: "Health", flags: HEALTH },
    SettingGroup { topic: "limits", title: "Limits and timeouts", flags: LIMITS },
    SettingGroup { topic: "queue", title: "Waiting for a backend", flags: QUEUE },
    SettingGroup { topic: "guard", title: "Who comes in", flags: GUARD },
    SettingGroup { topic: "terms", title: "Terms of limits", flags: LIMIT_TERMS },
    SettingGroup { topic: "access", title: "Access lists and bans", flags: ACCESS },
    SettingGroup { topic: "http", title: "HTTP", flags: HTTP },
    SettingGroup { topic: "tls", title: "TLS", flags: TLS },
    SettingGroup { topic: "udp", title: "UDP", flags: UDP },
    SettingGroup { topic: "admin", title: "Admin", flags: ADMIN },
    SettingGroup { topic: "operation", title: "Operation", flags: OPERATION },
    SettingGroup { topic: "demo", title: "Demo", flags: DEMO },
];

static BALANCING: &[Setting] = &[
    Setting {
        short: "a",
        long: "balance",
        value: "NAME",
        says: "How a backend is chosen. All honour weights.",
        default: |defaults| defaults.pool.algorithm.to_string(),
        show: |config| Some(config.pool.algorithm.to_string()),
        act: Act::Value(SettingKey::BALANCE, |config, text| {
            config.pool.algorithm = Algorithm::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "slow-start",
        value: "DURATION",
        says: "Over this time the weight of a backend grows from a tenth to the whole once it \
               was added or is back: after it was down, ejected, drained or in maintenance; not \
               for those there at start. 0s: at once.",
        default: |defaults| duration_text(defaults.pool.slow_start),
        show: |config| Some(duration_text(config.pool.slow_start)),
        act: Act::Value(SettingKey::SLOW_START, |config, text| {
            config.pool.slow_start = duration(text, Duration::ZERO)?;
            Ok(())
        }),
    },
];

static HEALTH: &[Setting] = &[
    Setting {
        short: "",
        long: "check",
        value: "KIND",
        says: "What a probe asks. tcp: to be connected. tcp:TEXT[,expect=TEXT]: the text, \\xNN \
               for any byte, answered with anything, or with the second text in it. \
               http:/PATH[,expect=STATUSES]: GET of the path, answered with a status from 200 to \
               299, or with one of the list (200-399,401), through TLS where the backend speaks \
               it; https:/PATH: the same, always through TLS. load:TEXT: the text and a NUL \
               byte, answered with a decimal number of at most 100 bytes, ended by NUL or \
               newline, which is the load. udp:TEXT[,expect=TEXT]: as tcp:TEXT, in datagrams. \
               none: nothing, backends count as up.",
        default: |defaults| {
            format!("{}; none where all listeners are udp", defaults.pool.check.kind)
        },
        show: |config| Some(config.pool.check.kind.to_string()),
        act: Act::Value(SettingKey::CHECK, |config, text| {
            config.pool.check.kind = Check::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "check-host",
        value: "NAME",
        says: "The host that http: and https: probes ask for, perhaps with a port. It changes \
               nothing of where they go.",
        default: |_| "each backend's HOST:PORT as it was written".to_owned(),
        show: |config| config.pool.check.host.clone(),
        act: Act::Value(SettingKey::CHECK_HOST, |config, text| {
            config.pool.check.host = Some(check_host(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "check-interval",
        value: "DURATION",
        says: "From one probe of a backend to the next; at least 10ms.",
        default: |defaults| duration_text(defaults.pool.check.interval),
        show: |config| Some(duration_text(config.pool.check.interval)),
        act: Act::Value(SettingKey::CHECK_INTERVAL, |config, text| {
            config.pool.check.interval = duration(text, limits::CHECK_INTERVAL_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "check-timeout",
        value: "DURATION",
        says: "Within this time a probe must be answered.",
        default: |defaults| duration_text(defaults.pool.check.timeout),
        show: |config| Some(duration_text(config.pool.check.timeout)),
        act: Act::Value(SettingKey::CHECK_TIMEOUT, |config, text| {
            config.pool.check.timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "rise",
        value: "N",
        says: "Good probes in a row that bring a backend up, 1 to 1000.",
        default: |defaults| defaults.pool.check.rise.to_string(),
        show: |config| Some(config.pool.check.rise.to_string()),
        act: Act::Value(SettingKey::RISE, |config, text| {
            config.pool.check.rise = number_u32(text, 1..=limits::RISE_FALL_MAX)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "fall",
        value: "N",
        says: "Bad probes in a row that take a backend down, 1 to 1000. A connect that fails \
               counts as one, and so does a datagram that is refused; where nothing is probed, \
               so many refused datagrams in a row leave a backend out for 30s, longer each time.",
        default: |defaults| defaults.pool.check.fall.to_string(),
        show: |config| Some(config.pool.check.fall.to_string()),
        act: Act::Value(SettingKey::FALL, |config, text| {
            config.pool.check.fall = number_u32(text, 1..=limits::RISE_FALL_MAX)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "all-down",
        value: "refuse|spread",
        says: "While every backend is down, refuse new connections at once, or spread them as \
               if all were up.",
        default: |defaults| word_of(&defaults.pool.all_down, AllDown::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.all_down, AllDown::ALL).to_owned()),
        act: Act::Value(SettingKey::ALL_DOWN, |config, text| {
            config.pool.all_down = one_of(text, AllDown::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "on-down",
        value: "keep|close",
        says: "When a backend goes down, keep its connections for as long as they live, or \
               close them.",
        default: |defaults| word_of(&defaults.pool.on_down, OnDown::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.on_down, OnDown::ALL).to_owned()),
        act: Act::Value(SettingKey::ON_DOWN, |config, text| {
            config.pool.on_down = one_of(text, OnDown::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "on-removed",
        value: "drain|close",
        says: "When a backend is removed, which only a changed file of --config does, let its \
               connections go on until they end, or close them. Requests that have no answer \
               yet are asked elsewhere where that is safe.",
        default: |defaults| word_of(&defaults.pool.on_removed, OnRemoved::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.on_removed, OnRemoved::ALL).to_owned()),
        act: Act::Value(SettingKey::ON_REMOVED, |config, text| {
            config.pool.on_removed = one_of(text, OnRemoved::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "on-listener-removed",
        value: "drain|keep|close",
        says: "When a listener is removed, which only a changed file of --config does, let the \
               connections that came in there go on until they end, or close them. With drain \
               those of HTTP end with the request that is under way, with keep they are kept \
               for further ones.",
        default: |defaults| {
            word_of(&defaults.listener.on_removed, OnListenerRemoved::ALL).to_owned()
        },
        show: |config| {
            Some(word_of(&config.listener.on_removed, OnListenerRemoved::ALL).to_owned())
        },
        act: Act::Value(SettingKey::ON_LISTENER_REMOVED, |config, text| {
            config.listener.on_removed = one_of(text, OnListenerRemoved::ALL)?;
            Ok(())
        }),
    },
];

static LIMITS: &[Setting] = &[
    Setting {
        short: "",
        long: "max-connections",
        value: "N",
        says: "Client connections open at once, at least 1. To the next ones the HTTP clients \
               that rest longest between two requests give way; while there are none, they wait \
               to be accepted.",
        default: |_| "what the limit on file descriptors allows".to_owned(),
        show: |config| config.process.max_connections.map(|most| most.to_string()),
        act: Act::Value(SettingKey::MAX_CONNECTIONS, |config, text| {
            let most = number_u32(text, 1..=limits::CONNECTIONS_MAX)?;
            config.process.max_connections = usize::try_from(most).ok();
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "connect-timeout",
        value: "DURATION",
        says: "Within this time a backend must take a connection.",
        default: |defaults| duration_text(defaults.pool.connect_timeout),
        show: |config| Some(duration_text(config.pool.connect_timeout)),
        act: Act::Value(SettingKey::CONNECT_TIMEOUT, |config, text| {
            config.pool.connect_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "tls-handshake-timeout",
        value: "DURATION",
        says: "Within this time from being accepted a client of an https:// or tls:// listener \
               must have shaken hands, and one of an sni:// listener have sent its whole \
               ClientHello; else it is closed.",
        default: |defaults| duration_text(defaults.listener.tls_handshake_timeout),
        show: |config| Some(duration_text(config.listener.tls_handshake_timeout)),
        act: Act::Value(SettingKey::TLS_HANDSHAKE_TIMEOUT, |config, text| {
            config.listener.tls_handshake_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "retries",
        value: "N",
        says: "Other backends tried after a connect failed, 0 to 100. Nothing is lost: what \
               the client sent goes to the one that takes it.",
        default: |defaults| defaults.pool.retries.to_string(),
        show: |config| Some(config.pool.retries.to_string()),
        act: Act::Value(SettingKey::RETRIES, |config, text| {
            config.pool.retries = number_u32(text, 0..=limits::RETRIES_MAX)?;
            Ok(())
        }),
    },
    RETRY_BUDGET,
    Setting {
        short: "",
        long: "idle-timeout",
        value: "DURATION",
        says: "A TCP connection, or one that HTTP made a tunnel (WebSocket), on which no byte \
               moves for so long is closed. Requests and answers of HTTP have --server-timeout.",
        default: |defaults| duration_text(defaults.service.idle_timeout),
        show: |config| Some(duration_text(config.service.idle_timeout)),
        act: Act::Value(SettingKey::IDLE_TIMEOUT, |config, text| {
            config.service.idle_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "half-close-timeout",
        value: "DURATION",
        says: "The same, once one side has finished sending.",
        default: |defaults| duration_text(defaults.service.half_close_timeout),
        show: |config| Some(duration_text(config.service.half_close_timeout)),
        act: Act::Value(SettingKey::HALF_CLOSE_TIMEOUT, |config, text| {
            config.service.half_close_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "tcp-keepalive",
        value: "DURATION",
        says: "A client or backend that is silent for so long is asked by TCP whether it is still \
               there, and again four times in as much time; then the connection is closed. It \
               also keeps NAT and firewalls from forgetting the connection. 0s or off: never.",
        default: |defaults| duration_text(defaults.process.tcp_keepalive),
        show: |config| Some(duration_text(config.process.tcp_keepalive)),
        act: Act::Value(SettingKey::TCP_KEEPALIVE, |config, text| {
            config.process.tcp_keepalive = tcp_keepalive(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "drain-delay",
        value: "DURATION",
        says: "How long clients still come in after SIGTERM or SIGINT, while /ready of --admin \
               and --health-path say 503: time for whoever spreads clients over several of us \
               to see it. Then --drain-timeout begins.",
        default: |defaults| duration_text(defaults.process.drain_delay),
        show: |config| Some(duration_text(config.process.drain_delay)),
        act: Act::Value(SettingKey::DRAIN_DELAY, |config, text| {
            config.process.drain_delay = duration(text, Duration::ZERO)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "drain-timeout",
        value: "DURATION",
        says: "How long connections may go on after SIGTERM or SIGINT. 0s: not at all.",
        default: |defaults| duration_text(defaults.process.drain_timeout),
        show: |config| Some(duration_text(config.process.drain_timeout)),
        act: Act::Value(SettingKey::DRAIN_TIMEOUT, |config, text| {
            config.process.drain_timeout = duration(text, Duration::ZERO)?;
            Ok(())
        }),
    },
];

static OPERATION: &[Setting] = &[
    Setting {
        short: "",
        long: "config",
        value: "FILE",
        says: "Read from this file, in TOML, what is served: listeners, services and pools by \
               name, see docs/configuration.md. Read again at SIGHUP: what is different is \
               changed, connections live on, and a file with mistakes changes nothing. Flags \
               beside it may set what the process has (limits and timeouts that are global, \
               logs, seed), and add a service of their own.",
        default: |_| "none, flags say all".to_owned(),
        show: |config| config.file.clone(),
        act: Act::Value(SettingKey::CONFIG, |config, text| {
            config.file = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "t",
        long: "check-config",
        value: "",
        says: "Say all that is wrong with --config, or with the flags, and end: certificates are \
               read, no names are looked up, nothing is bound. 0 if nothing is wrong, else 1, or \
               2 where a flag is wrong by itself. With --config also --check, alone at the end.",
        default: |_| String::new(),
        show: |_| None,
        act: Act::Switch(SettingKey::CHECK_CONFIG, |config, on| {
            if on {
                config.task = Task::Check;
            }
        }),
    },
    Setting {
        short: "",
        long: "print-config",
        value: "",
        says: "Show what is in force as a file for --config, each value with where it comes \
               from, and end.",
        default: |_| String::new(),
        show: |_| None,
        act: Act::Switch(SettingKey::PRINT_CONFIG, |config, on| {
            if on {
                config.task = Task::Print;
            }
        }),
    },
    TAKEOVER,
    Setting {
        short: "",
        long: "access-log",
        value: "FILE|-",
        says: "Write a line for every request, every TCP connection and every flow of UDP, to \
               the end of this file; - is standard output. Lines that cannot be written are \
               dropped and counted.",
        default: |_| "none is written".to_owned(),
        show: |config| config.process.access_log.as_ref().map(|place| place.to_string()),
        act: Act::Value(SettingKey::ACCESS_LOG, |config, text| {
            config.process.access_log = Some(AccessLogPlace::parse(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "access-log-format",
        value: "combined|haproxy|json|custom:TEXT",
        says: "How its lines look. combined: as Apache's and nginx's. haproxy: as HAProxy's, with \
               timers and how it ended. json: an object a line, with the reason of \
               what was refused, answered here or cut off, the backends that were \
               tried, and the client's TLS. custom: text with variables as in '$client \
               [$time] \"$request\" $status'; docs/logs.md lists them. Needs \
               --access-log.",
        default: |defaults| defaults.process.access_log_format.to_string(),
        show: |config| Some(config.process.access_log_format.to_string()),
        act: Act::Value(SettingKey::ACCESS_LOG_FORMAT, |config, text| {
            config.process.access_log_format = AccessLogFormat::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "log-level",
        value: "LEVEL",
        says: "What is logged to standard error: off, error, warn, info, debug (why each \
               backend was picked) or trace.",
        default: |defaults| word_of(&defaults.process.log_level, LOG_LEVELS).to_owned(),
        show: |config| Some(word_of(&config.process.log_level, LOG_LEVELS).to_owned()),
        act: Act::Value(SettingKey::LOG_LEVEL, |config, text| {
            config.process.log_level = one_of(text, LOG_LEVELS)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "log-format",
        value: "text|json|journald",
        says: "How a line of that looks. text: time, level, message. json: an object a line with \
               these three. journald: the message behind its priority, as in <6>, for systemd's \
               journal; chosen by itself where standard error is the journal's \
               ($JOURNAL_STREAM). A reload changes it.",
        default: |_| "text, or journald where the journal listens".to_owned(),
        show: |config| {
            config.process.log_format.map(|it| word_of(&it, LogFormat::ALL).to_owned())
        },
        act: Act::Value(SettingKey::LOG_FORMAT, |config, text| {
            config.process.log_format = Some(one_of(text, LogFormat::ALL)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "seed",
        value: "N",
        says: "Seed of everything random, so that a run can be repeated; 64 bits.",
        default: |_| "from the clock".to_owned(),
        show: |config| config.process.seed.map(|seed| seed.to_string()),
        act: Act::Value(SettingKey::SEED, |config, text| {
            config.process.seed = Some(number(text, 0..=u64::MAX)?);
            Ok(())
        }),
    },
    Setting {
        short: "V",
        long: "version",
        value: "",
        says: "Say which version this is.",
        default: |_| String::new(),
        show: |_| None,
        act: Act::Answer(Answer::Version),
    },
    Setting {
        short: "h",
        long: "help",
        value: "",
        says: "Show a screen of help (-h), this manual (--help), a chapter of it (--help TOPIC) \
               or one flag (--help NAME). Chapters: traffic, sockets, names, balancing, \
               algorithms, health, limits, queue, guard, terms, access, http, tls, udp, \
               operation, admin, demo, signals, environment, exit-codes, examples.",
        default: |_| String::new(),
        show: |_| None,
        act: Act::Answer(Answer::Help),
    },
];

static DEMO: &[Setting] = &[Setting {
    short: "",
    long: "demo",
    value: "",
    says: "Start three small backends of different speed on loopback, which echo UDP as well, \
           listen in front of them at http://127.0.0.1:8000 and udp://127.0.0.1:8000 unless \
           --listen says where, with /health and /stats unless the flags for them say \
           otherwise, and tell what to try. On a terminal it draws what happens: keys send a \
           backend to sleep, change the algorithm and the number of clients, and the API and \
           the dashboard are at http://127.0.0.1:9000 unless --admin says where. Brings its \
           own backends, so it takes no --backend.",
    default: |_| String::new(),
    show: |_| None,
    act: Act::Switch(SettingKey::DEMO, |config, on| config.process.demo = on),
}];
