//! The programs of `benches/peers`: a package of its own, built when one of them is asked for.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::identity;

use super::{Launch, Protocol, Scene};

/// One of them, with what makes it this variant.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    flags: &'static [(&'static str, &'static str)],
    /// The package whose version is worth knowing.
    of: Option<&'static str>,
}

pub const FLOOR: Program = Program { name: "floor-relay", flags: &[], of: None };

const CURRENT_THREAD: (&str, &str) = ("--runtime", "current-thread");
const MULTI_THREAD: (&str, &str) = ("--runtime", "multi-thread");
const SMALL: (&str, &str) = ("--buffer", "8192");
const LARGE: (&str, &str) = ("--buffer", "65536");

const fn tokio(name: &'static str, flags: &'static [(&str, &str)]) -> Program {
    Program { name, flags, of: Some("tokio") }
}

pub const TOKIO_CURRENT_THREAD: Program = tokio("tokio-relay", &[CURRENT_THREAD, SMALL]);
pub const TOKIO_CURRENT_THREAD_64K: Program = tokio("tokio-relay", &[CURRENT_THREAD, LARGE]);
pub const TOKIO_MULTI_THREAD: Program = tokio("tokio-relay", &[MULTI_THREAD, SMALL]);
pub const TOKIO_MULTI_THREAD_64K: Program = tokio("tokio-relay", &[MULTI_THREAD, LARGE]);

pub const TOKIO_SPLICE: Program = tokio("tokio-splice", &[]);

pub const HYPER_CURRENT_THREAD: Program =
    Program { name: "hyper-proxy", flags: &[CURRENT_THREAD], of: Some("hyper") };
pub const HYPER_MULTI_THREAD: Program =
    Program { name: "hyper-proxy", flags: &[MULTI_THREAD], of: Some("hyper") };

pub const HYPER_RUSTLS_CURRENT_THREAD: Program =
    Program { name: "hyper-proxy", flags: &[CURRENT_THREAD], of: Some("tokio-rustls") };

/// Large, and slow to build: only when asked for, or when it is there.
pub const PINGORA: Program = Program { name: "pingora-proxy", flags: &[], of: Some("pingora") };

impl Program {
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Builds it, if that has not been done; what takes minutes, only if it was `requested`.
    pub fn version(&self, requested: bool) -> Result<String, String> {
        self.place(requested)?;
        let Some(package) = self.of else { return Ok(format!("{}, ours", self.name)) };
        let lock = std::fs::read_to_string(package_directory().join("Cargo.lock"))
            .map_err(|error| format!("benches/peers/Cargo.lock: {error}"))?;
        let named = format!("name = \"{package}\"\nversion = \"");
        let version = lock.split_once(&named).and_then(|(_, rest)| rest.split('"').next());
        let version = version.ok_or(format!("benches/peers/Cargo.lock has no {package}"))?;
        Ok(format!("{package} {version}"))
    }

    pub fn launch(&self, scene: &Scene<'_>) -> io::Result<Launch> {
        let name = match (scene.protocol, self.of) {
            (Protocol::Udp, Some("tokio")) => "tokio-udp",
            _ => self.name,
        };
        let program = self.place(false).map_err(io::Error::other)?.join(name);
        let mut flags = vec![("--listen", scene.listen.to_string())];
        flags.extend(scene.backends.iter().map(|address| ("--backend", address.to_string())));
        flags.extend(self.flags.iter().map(|&(flag, value)| (flag, value.to_owned())));
        if scene.protocol == Protocol::Https {
            let file = |path: PathBuf| path.display().to_string();
            flags.push(("--cert", file(identity::certificate_file(scene.directory))));
            flags.push(("--key", file(identity::key_file(scene.directory))));
        }
        Ok(Launch::by_flags(&program, &flags))
    }

    fn place(&self, requested: bool) -> Result<&'static Path, String> {
        if self.name == PINGORA.name { built_pingora(requested) } else { built() }
    }
}

fn package_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// Where they are; built by the first who asks.
fn built() -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let target = target()?.join("peers");
        if !target.join("release/tokio-relay").exists() {
            eprintln!("building benches/peers (tokio, hyper), once; it takes a minute");
        }
        build(&target, &[])
    };
    BUILT.get_or_init(build).as_deref().map_err(String::clone)
}

/// The same for Pingora. By itself, for its packages ask for other features of tokio, and what it
/// does not need for itself must not change the others.
fn built_pingora(requested: bool) -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let target = target()?.join("pingora");
    if !target.join("release").join(PINGORA.name).exists() {
        if !requested {
            return Err("not built; --peers pingora builds it, which needs cmake".to_owned());
        }
        eprintln!("building Pingora, once; it takes some minutes");
    }
    let build = || build(&target, &["--features", "pingora", "--bin", PINGORA.name]);
    BUILT.get_or_init(build).as_deref().map_err(String::clone)
}

/// This program is in TARGET/release/deps.
fn target() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    own.ancestors()
        .nth(3)
        .map(Path::to_path_buf)
        .ok_or_else(|| "no target directory".to_owned())
}

/// Cargo looks itself whether there is something to do.
fn build(target: &Path, what: &[&str]) -> Result<PathBuf, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(package_directory().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(what)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if output.status.success() {
        return Ok(target.join("release"));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason =
        said.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
    Err(format!("benches/peers cannot be built: {reason}; its packages come from crates.io"))
}
