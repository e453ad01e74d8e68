//! pointsman as its manual says, but for probes and lines of log, which no peer has either.

use crate::identity;

use super::{IDLE_MAX, Launch, Protocol, Scene};

pub fn launch(scene: &Scene<'_>) -> Launch {
    let listen = match scene.protocol {
        Protocol::Tcp => format!("tcp://{}", scene.listen),
        Protocol::Http => format!("http://{}", scene.listen),
        Protocol::Https => format!("https://{}", scene.listen),
        Protocol::Udp => format!("udp://{}", scene.listen),
    };
    let mut flags = vec![("--listen", listen)];
    flags.extend(scene.backends.iter().map(|address| ("--backend", address.to_string())));
    let rest = [
        ("--balance", "least-connections".to_owned()),
        ("--check", "none".to_owned()),
        ("--log-level", "warn".to_owned()),
        ("--drain-timeout", "0s".to_owned()),
    ];
    flags.extend(rest);
    match scene.protocol {
        Protocol::Udp => flags.push(("--udp-timeout", "1h".to_owned())),
        Protocol::Tcp | Protocol::Http | Protocol::Https => {
            flags.push(("--idle-timeout", "1h".to_owned()));
        }
    }
    if scene.protocol == Protocol::Https {
        let file = |path: std::path::PathBuf| path.display().to_string();
        flags.push(("--cert", file(identity::certificate_file(scene.directory))));
        flags.push(("--key", file(identity::key_file(scene.directory))));
    }
    if scene.protocol.is_http() {
        flags.push(("--keep-alive", "1h".to_owned()));
        // The others say it.
        flags.push(("--via", "on".to_owned()));
        flags.push(("--backend-idle", "1h".to_owned()));
        flags.push(("--backend-idle-connections", IDLE_MAX.to_string()));
    }
    Launch::by_flags(scene.pointsman, &flags)
}
