//! The rows of the flags about where traffic comes from and goes to.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{BackendSpec, Listen, Route, SettingKey};

pub(super) static TRAFFIC: &[Setting] = &[
    Setting {
        short: "l",
        long: "listen",
        value: "[SCHEME://]ADDR:PORT|[SCHEME://]unix:PATH",
        says: "Where clients connect. Can be repeated. tcp, or no scheme: bytes are relayed as \
               they are; http: HTTP/1.1, each request is balanced; tls and https: the same \
               through TLS, which ends here and needs --cert and --key; sni: TLS is relayed as \
               it is, to the backends of the --route for the server name that the client asks \
               for; udp: datagrams, each client's flow of them is balanced. ADDR is IPv4, or \
               IPv6 in brackets, a link-local one with its interface: [fe80::1%eth0]; * is \
               every IPv4 address, [::] every address, localhost is 127.0.0.1. With port 0 the \
               system chooses one, and the log says which; \
               8000-8009 is a listener for each port. PATH is that \
               of a UNIX socket, or @NAME for one without a file (Linux).",
        default: |_| "none, one is needed".to_owned(),
        show: |_| None,
        act: Act::Values(
            SettingKey::LISTEN,
            |config, text| {
                config.listeners.extend(Listen::parse_all(text)?);
                Ok(())
            },
            |config| config.listeners.clear(),
        ),
    },
    Setting {
        short: "b",
        long: "backend",
        value: "[SCHEME://]HOST:PORT|unix:PATH[,OPTION]...",
        says: "Where connections go that no --route leads elsewhere. Can be repeated. What is \
               spoken follows from the listener; https:// or tls:// in front, or the option tls, \
               encrypts it. A HOST that is a name is one backend: all its addresses are tried. \
               dns://NAME:PORT is a backend for each address of the name, srv://NAME one for \
               each of its services (SRV), with their weights and priorities. Names are looked \
               up again as their TTL says; until one is found its backend is down. HOST:8001-8004 \
               is a backend for each port, without name=. unix:PATH or \
               unix:@NAME is a UNIX socket. Options: \
               weight=N, its share relative to the others, 0 to 65535, 0 for no new \
               connections (default: 1); \
               max-connections=N, how many it takes at once (default: no limit); backup, to be \
               used only while no other backend can take connections; check-port=N, where its \
               probes go (default: PORT); tls, to speak TLS; \
               sni=NAME, the name that its certificate is for (default: HOST); proxy=v1 or \
               proxy=v2, to begin each connection with a header of the PROXY protocol that says \
               who the client is, and over UDP each datagram (v2 alone); proxy-tlvs=NAME+NAME, \
               what a header of v2 says beside that, out of alpn, authority, crc32c, unique-id \
               and ssl; at-most=N, how many members of dns:// or srv:// are used (default: \
               all); name=NAME, for \
               the log and the hashes (default: HOST:PORT).",
        default: |_| "none, one is needed unless there are routes".to_owned(),
        show: |_| None,
        act: Act::Values(
            SettingKey::BACKEND,
            |config, text| {
                config.backends.extend(BackendSpec::parse_all(text)?);
                Ok(())
            },
            |config| config.backends.clear(),
        ),
    },
    Setting {
        short: "",
        long: "route",
        value: "NAME[/PATH]=BACKEND[,BACKEND]...",
        says: "Where clients go that ask for this name: at sni:// and tls:// listeners by the \
               server name, at http:// and https:// ones by the Host of each request. Can be \
               repeated. NAME is a host name; or *.DOMAIN, every name below DOMAIN, however deep; \
               or *, all that no other route is for and clients that say no name. The longest \
               that fits wins. With /PATH the route is for requests whose path begins with it, \
               up to a slash or its end; again the longest wins. \
               BACKEND is written as at --backend, options included: weight=3 \
               behind it is its weight. The same backend at --backend or in several routes is \
               one: probed once, its connections counted together; its options need to stand \
               at one place only. NAME=refuse: nobody serves it. Without a route for * the rest \
               goes to what --backend says, and if that says nothing nobody serves it: a \
               connection is closed with the TLS alert unrecognized_name, a request is answered \
               with 404.",
        default: |_| "none".to_owned(),
        show: |_| None,
        act: Act::Values(
            SettingKey::ROUTE,
            |config, text| {
                config.routes.push(Route::parse(text)?);
                Ok(())
            },
            |config| config.routes.clear(),
        ),
    },
];
