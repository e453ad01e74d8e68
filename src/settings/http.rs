//! The rows of the flags that only HTTP listeners heed, the group "HTTP" of the manual.
//!
//! Apart from the other rows because they are many. Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list};
use super::tls::file;
use crate::config::{
    Cidr, ForwardedFields, HashKey, MinRate, ON_OFF, RequestIds, SameSite, SettingKey,
    StickyDrain, duration, duration_or_none, duration_text, number, number_u32, one_of,
    or_none, own_path, size_or_none, size_text, sticky_cookie, word_of,
};
use crate::limits;

pub(super) static HTTP: &[Setting] = &[
    Setting {
        short: "",
        long: "header-timeout",
        value: "DURATION",
        says: "Within this time from its first byte the head of a request must be complete, \
               however steadily it drips; else 408.",
        default: |defaults| duration_text(defaults.listener.header_timeout),
        show: |config| Some(duration_text(config.listener.header_timeout)),
        act: Act::Value(SettingKey::HEADER_TIMEOUT, |config, text| {
            config.listener.header_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "keep-alive",
        value: "DURATION",
        says: "How long a client's connection is kept open for its next request, and for one \
               that takes nothing of an answer of ours.",
        default: |defaults| duration_text(defaults.listener.keep_alive),
        show: |config| Some(duration_text(config.listener.keep_alive)),
        act: Act::Value(SettingKey::KEEP_ALIVE, |config, text| {
            config.listener.keep_alive = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "server-timeout",
        value: "DURATION",
        says: "A backend that says nothing for so long is cut off, before its answer and in the \
               middle of it: 504, or a reset once the answer has begun. A stream that may be \
               silent for longer needs more. The same holds for a request's body (408) and for \
               a client that takes nothing of its answer.",
        default: |defaults| duration_text(defaults.service.server_timeout),
        show: |config| Some(duration_text(config.service.server_timeout)),
        act: Act::Value(SettingKey::SERVER_TIMEOUT, |config, text| {
            config.service.server_timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "max-request-time",
        value: "DURATION|none",
        says: "Longest time from the first byte of a request's head to the end of its answer, \
               however much moves: then 408 if the client is waited for, 504 if the backend is, \
               and a reset once the answer has begun.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.service.slowness.max_request_time, duration_text)),
        act: Act::Value(SettingKey::MAX_REQUEST_TIME, |config, text| {
            config.service.slowness.max_request_time = duration_or_none(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "min-rate",
        value: "RATE|none",
        says: "Least that a client must send of a request's body, or take of its answer, while \
               it is waited for: bytes a second such as 500/s or 4k/s, looked at each time that \
               it was waited for 10s, or as long as said behind it, such as 500/s,after=5s; else \
               408, or a reset if it does not take its answer. A slow backend, an answer that \
               pauses and a tunnel (WebSocket) do not count.",
        default: |_| "none, no limit".to_owned(),
        show: |config| Some(or_none(config.service.slowness.min_rate, |it| it.to_string())),
        act: Act::Value(SettingKey::MIN_RATE, |config, text| {
            config.service.slowness.min_rate = MinRate::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "abort-on-close",
        value: "on|off",
        says: "Whether a request is given up once its client has finished sending, has nothing \
               more to ask, and has waited for a quarter of a second: the connection to the \
               backend is reset, so that no work is done for nobody. off: who has only finished \
               sending and still reads gets the answer, and work goes on for those who are gone.",
        default: |defaults| word_of(&defaults.service.abort_on_close, ON_OFF).to_owned(),
        show: |config| Some(word_of(&config.service.abort_on_close, ON_OFF).to_owned()),
        act: Act::Value(SettingKey::ABORT_ON_CLOSE, |config, text| {
            config.service.abort_on_close = one_of(text, ON_OFF)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "max-body",
        value: "SIZE|none",
        says: "Largest body of a request, a number of bytes or one with its unit, k, m or g, \
               each 1024 times the one before, such as 512k; else 413.",
        default: |_| "none, no limit".to_owned(),
        show: |config| {
            Some(config.service.max_body.map_or_else(|| "none".to_owned(), size_text))
        },
        act: Act::Value(SettingKey::MAX_BODY, |config, text| {
            config.service.max_body = size_or_none(text, limits::BODY_BYTES_MAX)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "trusted-proxies",
        value: "CIDR[,CIDR]...",
        says: "Peers that are proxies themselves, as networks such as 10.0.0.0/8 or addresses: \
               the X-Forwarded fields that they send are kept and added to, those of all others \
               thrown away. From nobody passes what a backend could take for another field: \
               names with anything but letters, digits and hyphens, and Proxy. Can be repeated.",
        default: |_| "nobody is trusted".to_owned(),
        show: |config| list(&config.listener.trusted_proxies),
        act: Act::Values(
            SettingKey::TRUSTED_PROXIES,
            |config, text| {
                config.listener.trusted_proxies.extend(Cidr::parse_list(text)?);
                Ok(())
            },
            |config| config.listener.trusted_proxies.clear(),
        ),
    },
    Setting {
        short: "",
        long: "forwarded-fields",
        value: "FIELD[,FIELD]...",
        says: "Which fields tell a backend of the client. x-forwarded: X-Forwarded-For, -Proto, \
               -Host and -Port. forwarded: Forwarded, as RFC 7239 has it: for, proto and host. \
               x-real-ip: X-Real-IP, the address alone. none: none of them. Of fields that are \
               not asked for, those of --trusted-proxies pass as they came.",
        default: |defaults| defaults.service.forwarded_fields.show(),
        show: |config| Some(config.service.forwarded_fields.show()),
        act: Act::Value(SettingKey::FORWARDED_FIELDS, |config, text| {
            config.service.forwarded_fields = ForwardedFields::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "via",
        value: "on|off",
        says: "Tell backends in a Via field that a request came through this program, as HTTP \
               wants it of proxies. nginx takes such a request for one that must not be answered \
               compressed (gzip_proxied), and others have rules of their own.",
        default: |_| "off".to_owned(),
        show: |config| Some(word_of(&config.service.via, ON_OFF).to_owned()),
        act: Act::Value(SettingKey::VIA, |config, text| {
            config.service.via = one_of(text, ON_OFF)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "request-id",
        value: "off|keep|new",
        says: "Give each request an id, for its backend and its client in X-Request-Id, for the \
               access log and for our own pages. keep: that which the client sends, if it is one \
               to 128 letters, digits or + - . / : ; = @ _ ~, and else a new one. new: always a \
               new one. off: X-Request-Id passes as other fields do.",
        default: |_| "off".to_owned(),
        show: |config| Some(word_of(&config.service.request_ids, RequestIds::ALL).to_owned()),
        act: Act::Value(SettingKey::REQUEST_ID, |config, text| {
            config.service.request_ids = one_of(text, RequestIds::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "hash-key",
        value: "KEY",
        says: "What ip-hash and consistent-hash place a request by. ip: the client's address. \
               uri: path and query. path: the path alone. header:NAME and cookie:NAME: the \
               value of that header or cookie; a request without it goes by the client's \
               address. All but ip need http:// listeners alone.",
        default: |defaults| defaults.pool.hash_key.to_string(),
        show: |config| Some(config.pool.hash_key.to_string()),
        act: Act::Value(SettingKey::HASH_KEY, |config, text| {
            config.pool.hash_key = HashKey::parse(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "sticky-cookie",
        value: "NAME",
        says: "Keep a client on its backend by a cookie of this name. A client whose backend is \
               down or draining gets another backend and a new cookie. It is HttpOnly, and Secure \
               where the client speaks HTTPS. Needs an http:// listener.",
        default: |_| "no cookie".to_owned(),
        show: |config| config.pool.sticky.cookie.clone(),
        act: Act::Value(SettingKey::STICKY_COOKIE, |config, text| {
            config.pool.sticky.cookie = Some(sticky_cookie(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "sticky-key",
        value: "FILE",
        says: "The secret that the sticky cookie is made with, 32 bytes or more, such as \
               'openssl rand -hex 32' writes. Instances with the same secret and the same names of \
               backends know each other's cookies, as does this one after a restart.",
        default: |_| "drawn at start".to_owned(),
        show: |config| config.pool.sticky.key.clone(),
        act: Act::Value(SettingKey::STICKY_KEY, |config, text| {
            config.pool.sticky.key = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "sticky-drain",
        value: "rehome|keep",
        says: "When a backend is told to drain, give its clients with a sticky cookie another one \
               and a new cookie, or let them stay for as long as it is up. In maintenance it has \
               none of them.",
        default: |defaults| word_of(&defaults.pool.sticky.drain, StickyDrain::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.sticky.drain, StickyDrain::ALL).to_owned()),
        act: Act::Value(SettingKey::STICKY_DRAIN, |config, text| {
            config.pool.sticky.drain = one_of(text, StickyDrain::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "sticky-same-site",
        value: "WHEN",
        says: "Which requests that other sites cause browsers send the sticky cookie with. lax: \
               those that open a page. strict: none of them. none: all of them; the cookie is \
               then Secure at all listeners, for browsers drop it if not.",
        default: |defaults| word_of(&defaults.pool.sticky.same_site, SameSite::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.sticky.same_site, SameSite::ALL).to_owned()),
        act: Act::Value(SettingKey::STICKY_SAME_SITE, |config, text| {
            config.pool.sticky.same_site = one_of(text, SameSite::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "eject-after",
        value: "N",
        says: "Bad answers that take a backend out for a while, 0 to 1000: 30s the first time, \
               30s longer each time, at most 5m. 502, 503, 504 and broken ones count in a row; \
               they and other 5xx count if they are much more frequent than the others' (by 30 % \
               of all answers); 501 and 505 never do. All this only if several clients met them, \
               or nobody was served. At least half of those that are up stay, rounded up. 0: no \
               answer does.",
        default: |defaults| defaults.pool.eject_after.to_string(),
        show: |config| Some(config.pool.eject_after.to_string()),
        act: Act::Value(SettingKey::EJECT_AFTER, |config, text| {
            config.pool.eject_after = number_u32(text, 0..=limits::EJECT_AFTER_MAX)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "health-path",
        value: "/PATH",
        says: "Answer at this path of every http:// listener whether there is somebody to serve \
               it: 200 while at least one backend is up, else 503, and 503 once we are drained or \
               stop. Needs an http:// listener.",
        default: |_| "none, every request goes to a backend".to_owned(),
        show: |config| config.service.health_path.clone(),
        act: Act::Value(SettingKey::HEALTH_PATH, |config, text| {
            config.service.health_path = Some(own_path(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "stats-path",
        value: "/PATH",
        says: "Answer at this path of every http:// listener with the state and the counts of \
               all backends in JSON. Whoever can reach the listener can read it, unless \
               --stats-allow says otherwise. Needs an http:// listener.",
        default: |_| "none, every request goes to a backend".to_owned(),
        show: |config| config.service.stats_path.clone(),
        act: Act::Value(SettingKey::STATS_PATH, |config, text| {
            config.service.stats_path = Some(own_path(text)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "stats-allow",
        value: "CIDR[,CIDR]...",
        says: "Who may read --stats-path, by the address of the connection: all others are \
               answered with 403. --health-path is for everybody. Can be repeated. Needs \
               --stats-path.",
        default: |_| "everybody".to_owned(),
        show: |config| list(&config.service.stats_allow),
        act: Act::Values(
            SettingKey::STATS_ALLOW,
            |config, text| {
                config.service.stats_allow.extend(Cidr::parse_list(text)?);
                Ok(())
            },
            |config| config.service.stats_allow.clear(),
        ),
    },
    Setting {
        short: "",
        long: "backend-idle",
        value: "DURATION",
        says: "How long an idle connection to a backend is kept for the next request.",
        default: |defaults| duration_text(defaults.pool.backend_idle),
        show: |config| Some(duration_text(config.pool.backend_idle)),
        act: Act::Value(SettingKey::BACKEND_IDLE, |config, text| {
            config.pool.backend_idle = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "backend-idle-connections",
        value: "N",
        says: "Idle connections kept to one backend at most, 0 to 100000. 0: none is kept.",
        default: |defaults| defaults.pool.backend_idle_connections.to_string(),
        show: |config| Some(config.pool.backend_idle_connections.to_string()),
        act: Act::Value(SettingKey::BACKEND_IDLE_CONNECTIONS, |config, text| {
            let most = number(text, 0..=limits::BACKEND_IDLE_CONNECTIONS_MAX as u64)?;
            config.pool.backend_idle_connections = most as usize;
            Ok(())
        }),
    },
];
