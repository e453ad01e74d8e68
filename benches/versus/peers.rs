//! Who is compared: how each is found on this machine, configured, and started.
//!
//! All are given the same work and the same freedom: one thread, fewest connections first, kept
//! connections on both sides where HTTP is spoken, no logs, no probes, no timeout that could strike
//! within a run, a long backlog. `docs/benchmarks.md` says what was tuned and why. A peer runs in
//! the foreground, writes nothing outside its scene's directory, and ends with SIGTERM.

mod haproxy;
mod nginx;
mod ours;
mod pointsman;
mod sozu;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is spoken with the clients, and with the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Http,
    Udp,
    /// HTTP through TLS with the clients, without it with the backends.
    Https,
}

impl Protocol {
    /// Whether requests are balanced.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https)
    }

    /// What a request came by, as a backend is told.
    fn scheme(self) -> &'static str {
        if self == Protocol::Https { "https" } else { "http" }
    }
}

/// Where a peer is to stand.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub protocol: Protocol,
    pub listen: SocketAddr,
    pub backends: &'a [SocketAddr],
    /// For configuration and what else must be a file; a new one for each launch. Where TLS is
    /// spoken, certificate and key are there.
    pub directory: &'a Path,
    /// The program that all this is about, built.
    pub pointsman: &'a Path,
}

/// How it is started there.
#[derive(Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    /// What is printed, so that everybody can judge whether it was tuned fairly.
    pub configuration: String,
}

/// One of those that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    pub protocols: &'static [Protocol],
    /// A variant that says something about another peer's tuning; it runs when asked for by name.
    pub on_request: bool,
    /// It was: what takes long to build is built then.
    pub requested: bool,
    /// Another pointsman than the one of this build.
    pub program: Option<&'static Path>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pointsman,
    HaProxy(haproxy::Variant),
    Nginx(nginx::Variant),
    Sozu,
    Ours(&'static ours::Program),
}

const TCP: &[Protocol] = &[Protocol::Tcp];
const HTTP: &[Protocol] = &[Protocol::Http];
const TCP_UDP: &[Protocol] = &[Protocol::Tcp, Protocol::Udp];
const BOTH: &[Protocol] = &[Protocol::Tcp, Protocol::Http];
const HTTPS: &[Protocol] = &[Protocol::Https];
const ALL: &[Protocol] = &[Protocol::Tcp, Protocol::Http, Protocol::Udp];
const ALL_BUT_UDP: &[Protocol] = &[Protocol::Tcp, Protocol::Http, Protocol::Https];
const ALL_AND_TLS: &[Protocol] =
    &[Protocol::Tcp, Protocol::Http, Protocol::Udp, Protocol::Https];

/// Clients at once that each peer has to take, where the limit of open files allows it.
const CLIENTS_MAX: u64 = 9_000;

/// Idle connections to a backend that each peer may keep: more than any row has clients at work.
const IDLE_MAX: u32 = 1_000;

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4_096;

/// Everybody, pointsman first.
pub fn all() -> Vec<Peer> {
    use Kind::{HaProxy, Nginx, Ours, Pointsman, Sozu};
    let peer = |name, protocols, kind| {
        let on_request = false;
        let requested = false;
        Peer { name, protocols, on_request, requested, program: None, kind }
    };
    let variant =
        |name, protocols, kind| Peer { on_request: true, ..peer(name, protocols, kind) };
    vec![
        peer("pointsman", ALL_AND_TLS, Pointsman),
        peer("floor", BOTH, Ours(&ours::FLOOR)),
        peer("haproxy", ALL_BUT_UDP, HaProxy(haproxy::Variant::Copies)),
        peer("haproxy-splice-64k", BOTH, HaProxy(haproxy::Variant::Splices(64 * 1024))),
        peer("haproxy-splice-1m", BOTH, HaProxy(haproxy::Variant::Splices(1024 * 1024))),
        peer("haproxy-64k", BOTH, HaProxy(haproxy::Variant::Buffers(64 * 1024))),
        variant("haproxy-plain", HTTP, HaProxy(haproxy::Variant::Plain)),
        peer("nginx", ALL_AND_TLS, Nginx(nginx::Variant::Usual)),
        peer("nginx-64k", BOTH, Nginx(nginx::Variant::Buffers64k)),
        variant("nginx-closes-both", TCP, Nginx(nginx::Variant::ClosesBoth)),
        variant("nginx-plain", HTTP, Nginx(nginx::Variant::Plain)),
        peer("sozu", ALL, Sozu),
        peer("pingora", HTTP, Ours(&ours::PINGORA)),
        peer("tokio-current-thread", TCP_UDP, Ours(&ours::TOKIO_CURRENT_THREAD)),
        peer("tokio-current-thread-64k", TCP, Ours(&ours::TOKIO_CURRENT_THREAD_64K)),
        peer("tokio-multi-thread", TCP_UDP, Ours(&ours::TOKIO_MULTI_THREAD)),
        peer("tokio-multi-thread-64k", TCP, Ours(&ours::TOKIO_MULTI_THREAD_64K)),
        peer("tokio-splice", TCP, Ours(&ours::TOKIO_SPLICE)),
        peer("hyper-current-thread", HTTP, Ours(&ours::HYPER_CURRENT_THREAD)),
        peer("hyper-rustls-current-thread", HTTPS, Ours(&ours::HYPER_RUSTLS_CURRENT_THREAD)),
        peer("hyper-multi-thread", HTTP, Ours(&ours::HYPER_MULTI_THREAD)),
    ]
}

impl Peer {
    /// Whether it passes bytes on and knows nothing of what they say.
    pub fn understands_nothing(&self) -> bool {
        matches!(self.kind, Kind::Ours(program) if program.name() == ours::FLOOR.name())
    }

    /// Which version is here; or, in one line, why there is none and what would help.
    pub fn version(&self) -> Result<String, String> {
        match self.kind {
            Kind::Pointsman => Ok(format!("pointsman {}", env!("CARGO_PKG_VERSION"))),
            Kind::HaProxy(_) => haproxy::version(),
            Kind::Nginx(_) => nginx::version(self.protocols),
            Kind::Sozu => sozu::version(),
            Kind::Ours(program) => program.version(self.requested),
        }
    }

    /// Writes the configuration, if there is a file of it, and says how to start. The scene's
    /// directory must be there; [`Peer::version`] must have been `Ok`.
    pub fn launch(&self, scene: &Scene<'_>) -> io::Result<Launch> {
        match self.kind {
            Kind::Pointsman => Ok(pointsman::launch(scene)),
            Kind::HaProxy(variant) => haproxy::launch(scene, variant),
            Kind::Nginx(variant) => nginx::launch(scene, variant),
            Kind::Sozu => sozu::launch(scene),
            Kind::Ours(program) => program.launch(scene),
        }
    }
}

impl Launch {
    /// A program that is told everything on its command line.
    fn by_flags(program: &Path, flags: &[(&str, String)]) -> Launch {
        let words = || flags.iter().flat_map(|(flag, value)| [flag, value.as_str()]);
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let line = words().fold(name.into_owned(), |line, word| line + " " + word);
        Launch {
            program: program.to_path_buf(),
            arguments: words().map(OsString::from).collect(),
            environment: Vec::new(),
            configuration: line,
        }
    }

    /// A program that reads a file of configuration, written here.
    fn by_file(
        program: PathBuf,
        file: &Path,
        configuration: String,
        arguments: &[&str],
    ) -> io::Result<Launch> {
        std::fs::write(file, &configuration)?;
        let arguments = arguments.iter().map(OsString::from).collect();
        Ok(Launch { program, arguments, environment: Vec::new(), configuration })
    }
}

/// `CLIENTS_MAX`, or fewer if the hard limit of open files has no room for their two sockets each.
fn clients_max() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let room = limit.maximum.unwrap_or(u64::MAX).saturating_sub(1_024) / 2;
    room.clamp(1, CLIENTS_MAX)
}

/// A program on the PATH, or where distributions and cargo put it.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin"));
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(usual).chain(home);
    places.find_map(|place| Some(place.join(name)).filter(|file| file.is_file()))
}

/// The first line of what a program says of itself, on whichever output.
fn first_line(program: &Path, flag: &str) -> Result<String, String> {
    let whole = all_lines(program, flag)?;
    Ok(whole.lines().next().unwrap_or_default().trim().to_owned())
}

fn all_lines(program: &Path, flag: &str) -> Result<String, String> {
    let output = Command::new(program).arg(flag).output();
    let output = output.map_err(|error| format!("{} {flag}: {error}", program.display()))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What to write where a path goes into a configuration between quotes.
fn quotable(path: &Path) -> io::Result<String> {
    let text = path.display().to_string();
    if text.contains(['"', '\\', '$', '\n']) {
        return Err(io::Error::other(format!(
            "{text:?} cannot be written into configurations"
        )));
    }
    Ok(text)
}
