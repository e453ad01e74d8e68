//! A peer on the stage: started, listening, pinned to its processor, and gone when dropped.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::identity;
use crate::peers::{Peer, Protocol, Scene};
use crate::world::free_port;

/// How long a peer may take until it listens.
const START: Duration = Duration::from_secs(30);

/// How long it may take until it is gone, when it is asked to.
const END: Duration = Duration::from_secs(20);

/// A peer that runs.
pub struct Running {
    pub name: String,
    pub address: SocketAddr,
    pub configuration: String,
    directory: PathBuf,
    child: Child,
}

impl Running {
    /// Start a peer before these backends, and wait until it listens.
    pub fn start(
        peer: &Peer,
        name: &str,
        protocol: Protocol,
        backends: &[SocketAddr],
        wrapper: &[String],
    ) -> io::Result<Running> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let directory = std::env::temp_dir().join(format!(
            "versus-{}-{name}-{}",
            std::process::id(),
            address.port()
        ));
        fs::create_dir_all(&directory)?;
        if protocol == Protocol::Https {
            identity::write(&directory)?;
        }
        let pointsman = peer.program.unwrap_or(Path::new(env!("CARGO_BIN_EXE_pointsman")));
        let scene =
            Scene { protocol, listen: address, backends, directory: &directory, pointsman };
        let launch = peer.launch(&scene)?;
        let log = fs::File::create(directory.join("log"))?;
        let mut words = pinned().into_iter().chain(wrapper.iter().cloned());
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&launch.program);
                command
            }
            None => Command::new(&launch.program),
        };
        let child = command
            .args(&launch.arguments)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let configuration = launch.configuration;
        let mut running =
            Running { name: name.to_owned(), address, configuration, directory, child };
        running.wait_until_listening(protocol)?;
        Ok(running)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it may leave files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn wait_until_listening(&mut self, protocol: Protocol) -> io::Result<()> {
        // callgrind needs longer.
        let end = Instant::now() + START;
        while Instant::now() < end {
            let listens = match protocol {
                Protocol::Udp => takes_datagrams(self.address),
                Protocol::Tcp | Protocol::Http | Protocol::Https => {
                    TcpStream::connect(self.address).is_ok()
                }
            };
            if listens {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                let line = said.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(io::Error::other(format!("{}: {status}: {line}", self.name)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("{} does not listen after {START:?}", self.name)))
    }

    /// Let it end by itself, as callgrind wants it to: all its processes.
    pub fn stop(&mut self) -> io::Result<()> {
        let mut family = crate::measure::family(self.child.id());
        family.iter().for_each(|&pid| signal(pid, rustix::process::Signal::TERM));
        let end = Instant::now() + END;
        while Instant::now() < end {
            // Who has ended and is our own child is there until it is waited for.
            let _ = self.child.try_wait()?;
            family.retain(|pid| Path::new(&format!("/proc/{pid}")).exists());
            if family.is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("{} is still there {END:?} after SIGTERM", self.name)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A peer that forked leaves nobody. One that has ended may have lent its number on.
        if let Ok(None) = self.child.try_wait() {
            for pid in crate::measure::family(self.child.id()) {
                signal(pid, rustix::process::Signal::KILL);
            }
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// To one of a peer's processes; it may be gone already.
fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Whether somebody has bound this address for datagrams, as the kernel lists them.
fn takes_datagrams(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { return false };
    let ip = u32::from_ne_bytes(address.ip().octets());
    let listed = format!("{ip:08X}:{:04X}", address.port());
    let sockets = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    sockets.lines().any(|line| line.split_whitespace().nth(1) == Some(&listed))
}

/// Words before a command that give it the second processor, and let it end with us however we end.
fn pinned() -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    if works(&["setpriv", "--pdeathsig", "KILL", "true"]) {
        words.extend(["setpriv", "--pdeathsig", "KILL"].map(String::from));
    }
    if processors() > 1 && works(&["taskset", "-c", "1", "true"]) {
        words.extend(["taskset", "-c", "1"].map(String::from));
    }
    words
}

/// Whether this command can be run here.
pub fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    let status = command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Processors of this machine, whatever this process is pinned to.
pub fn processors() -> usize {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// Give this process the first processor, by becoming what `taskset` starts. Comes back if there is
/// one processor only, or no `taskset`.
pub fn pin_ourselves() {
    const DONE: &str = "POINTSMAN_VERSUS_PINNED";
    use std::os::unix::process::CommandExt;
    if std::env::var_os(DONE).is_some() {
        return;
    }
    if processors() < 2 || !works(&["taskset", "-c", "0", "true"]) {
        eprintln!("not pinned: the proxies share a processor with their load");
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(program) = arguments.next() else { return };
    let error = Command::new("taskset")
        .args(["-c", "0"])
        .arg(program)
        .args(arguments)
        .env(DONE, "1")
        .exec();
    eprintln!("taskset: {error}; not pinned");
}
