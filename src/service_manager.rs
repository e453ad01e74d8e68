//! What the service manager (systemd) is told of the process: by datagrams to `NOTIFY_SOCKET`, as
//! in sd_notify(3). Without that variable nobody is told anything.
//!
//! ```text
//!   READY=1 STATUS=...                  it serves; a reload is over, however it went
//!   RELOADING=1 MONOTONIC_USEC=...      a reload begins
//!   STOPPING=1 STATUS=...               it drains; EXTEND_TIMEOUT_USEC=... while that lasts
//!   MAINPID=...                         another process serves from now on
//!   WATCHDOG=1                          a turn of the loop has ended
//! ```
//!
//! No datagram waits for the manager. What it does not take at once is kept, up to a limit, in the
//! order in which it was said: who waits for `READY=1` would wait for good.

mod notice;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
#[cfg(linux)]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use log::warn;

use crate::config::io_words;
use crate::limits::NOTICES_KEPT;

pub use notice::{Notice, now_us};

/// Who is told.
#[derive(Debug, Default)]
pub struct ServiceManager {
    way: Option<Way>,
    beat: Option<Duration>,
    /// What is to be sent, the oldest first.
    kept: VecDeque<String>,
    /// The status that was told last.
    status: String,
    /// It was logged that it cannot be told.
    has_complained: bool,
    /// Another process tells it from now on.
    is_over: bool,
}

/// The way to it.
#[derive(Debug)]
struct Way {
    /// As `NOTIFY_SOCKET` has it.
    name: String,
    socket: UnixDatagram,
    to: SocketAddr,
}

impl ServiceManager {
    /// The one that started this process, if any did. The variables stay in the environment: the
    /// program starts no children.
    pub fn from_environment() -> ServiceManager {
        let variable = |name: &str| std::env::var_os(name);
        ServiceManager::by(&variable, std::process::id())
    }

    /// The same by other variables, for a process of this id.
    pub fn by(variable: &dyn Fn(&str) -> Option<OsString>, pid: u32) -> ServiceManager {
        let Some(name) = variable("NOTIFY_SOCKET") else { return ServiceManager::default() };
        let opened = Way::to(name.as_bytes());
        if let Err(error) = &opened {
            let name = name.display();
            let why = io_words(error);
            warn!("NOTIFY_SOCKET: {name}: {why}: the service manager is told nothing");
        }
        let way = opened.ok();
        let beat = way.as_ref().and_then(|_| beat(variable, pid));
        ServiceManager { way, beat, ..ServiceManager::default() }
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.way.is_some() && !self.is_over
    }

    /// How often it wants to be told that the loop turns.
    pub fn beat(&self) -> Option<Duration> {
        self.beat.filter(|_| !self.is_over)
    }

    /// Where it hears, as `NOTIFY_SOCKET` has it: for another process, which it did not start.
    pub fn place(&self) -> Option<&str> {
        self.way.as_ref().map(|it| &*it.name)
    }

    /// The same one for this process, by what another one of it says that it started.
    pub fn of_another(place: &str, beat: Option<Duration>) -> ServiceManager {
        let way = Way::to(place.as_bytes()).ok();
        ServiceManager {
            beat: beat.filter(|_| way.is_some()),
            way,
            ..ServiceManager::default()
        }
    }

    /// This process serves from now on. The kernel has no number for one in a PID namespace that
    /// is not seen from here, and that is not told: 0 would be no process.
    pub fn name_main(&mut self, pid: i32) {
        if pid > 0 {
            self.tell(&Notice::MainPid(pid));
        } else if self.is_there() {
            warn!(
                "the service manager is not told which process serves from now on: it has no \
                 number here; is it in another PID namespace?"
            );
        }
    }

    /// Nothing more is told of ours.
    pub fn be_silent(&mut self) {
        self.is_over = true;
    }

    /// Whether something waits for [`ServiceManager::send_kept`].
    pub fn is_behind(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Tell it something, now or as soon as it can be.
    pub fn tell(&mut self, notice: &Notice<'_>) {
        if !self.is_there() {
            return;
        }
        if let Notice::Alive = notice
            && self.is_behind()
        {
            // It is to be told by a turn that ends when it can hear.
            return;
        }
        if let Some(status) = notice.status() {
            let is_news = self.status != status;
            if matches!(notice, Notice::Status(_)) && !is_news {
                return;
            }
            status.clone_into(&mut self.status);
        }
        if self.kept.len() >= NOTICES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(notice.to_string());
        self.send_kept();
    }

    /// Send what waits, as far as the manager takes it.
    pub fn send_kept(&mut self) {
        let Some(way) = &self.way else { return };
        while let Some(text) = self.kept.front() {
            match way.socket.send_to_addr(text.as_bytes(), &way.to) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.has_complained, true) {
                        let why = io_words(&error);
                        warn!("cannot tell the service manager (NOTIFY_SOCKET): {why}");
                    }
                }
            }
            self.kept.pop_front();
        }
    }
}

impl Way {
    fn to(name: &[u8]) -> io::Result<Way> {
        let to = address(name)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Way { name, socket, to })
    }
}

/// `/a/path`, or `@name` in the abstract namespace.
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name)),
        #[cfg(linux)]
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => {
            let want = "want an absolute path, or @ and an abstract name";
            Err(io::Error::new(ErrorKind::Unsupported, want))
        }
    }
}

/// Half of the time that the manager waits for a sign of life of this process.
fn beat(variable: &dyn Fn(&str) -> Option<OsString>, pid: u32) -> Option<Duration> {
    let text = |name: &str| variable(name).and_then(|it| it.into_string().ok());
    let us: u64 = text("WATCHDOG_USEC")?.parse().ok().filter(|&us| us > 0)?;
    // Without it, the variable is for whoever has it.
    let is_ours = text("WATCHDOG_PID").is_none_or(|it| it.parse() == Ok(pid));
    is_ours.then(|| Duration::from_micros(us) / 2)
}

#[cfg(test)]
#[cfg(linux)]
mod tests {
    use super::*;

    /// A manager of our own, at an abstract name.
    fn manager(name: &str) -> (UnixDatagram, OsString) {
        let name = format!("pointsman-manager-{}-{name}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name);
        let socket = UnixDatagram::bind_addr(&at.unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, format!("@{name}").into())
    }

    fn told_at(name: &OsString) -> ServiceManager {
        let variable = |it: &str| (it == "NOTIFY_SOCKET").then(|| name.clone());
        ServiceManager::by(&variable, 1)
    }

    fn heard(socket: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
    }

    #[test]
    fn a_process_without_a_number_is_not_named() {
        let (socket, name) = manager("no-number");
        let mut it = told_at(&name);
        it.name_main(0);
        assert_eq!(heard(&socket), None);
        it.name_main(7);
        assert_eq!(heard(&socket).as_deref(), Some("MAINPID=7"));
        it.be_silent();
        it.name_main(8);
        assert_eq!(heard(&socket), None);
    }

    #[test]
    fn the_watchdog_is_for_whom_it_names() {
        let beat_of = |us: Option<&str>, pid: Option<&str>| {
            let variable = |name: &str| match name {
                "NOTIFY_SOCKET" => Some("@nobody".into()),
                "WATCHDOG_USEC" => us.map(OsString::from),
                "WATCHDOG_PID" => pid.map(OsString::from),
                _ => None,
            };
            ServiceManager::by(&variable, 42).beat()
        };
        let half = Some(Duration::from_secs(5));
        let table = [
            (Some("10000000"), Some("42"), half),
            (Some("10000000"), None, half),
            (Some("10000000"), Some("43"), None),
            (Some("10000000"), Some("x"), None),
            (Some("0"), Some("42"), None),
            (Some("-1"), Some("42"), None),
            (Some("10 s"), None, None),
            (None, Some("42"), None),
        ];
        for (us, pid, wanted) in table {
            assert_eq!(beat_of(us, pid), wanted, "{us:?} {pid:?}");
        }
    }

    #[test]
    fn nobody_is_told_without_a_socket_that_can_be() {
        for name in [None, Some(""), Some("relative"), Some("vsock:2:1")] {
            let variable = |it: &str| name.filter(|_| it != "WATCHDOG_PID").map(OsString::from);
            let mut it = ServiceManager::by(&variable, 1);
            it.tell(&Notice::Ready("serving"));
            assert!(!it.is_there() && !it.is_behind() && it.beat().is_none(), "{name:?}");
        }
    }

    #[test]
    fn a_manager_that_does_not_listen_is_not_waited_for() {
        let mut it = told_at(&"/nonexistent/notify".into());
        it.tell(&Notice::Ready("serving"));
        assert!(it.is_there() && !it.is_behind() && it.has_complained);
    }

    #[test]
    fn what_it_does_not_take_is_kept_in_order_and_signs_of_life_are_not() {
        let (socket, name) = manager("slow");
        let mut it = told_at(&name);
        let mut said = 0;
        while !it.is_behind() {
            it.tell(&Notice::Ready(&format!("{said}")));
            said += 1;
            assert!(said < 1_000_000, "its queue has an end");
        }
        it.tell(&Notice::Alive);
        for _ in 0..NOTICES_KEPT {
            it.tell(&Notice::Ready(&format!("{said}")));
            said += 1;
        }
        assert_eq!(it.kept.len(), NOTICES_KEPT);
        let mut last = None;
        loop {
            it.send_kept();
            let Some(text) = heard(&socket) else { break };
            last = Some(text);
        }
        assert_eq!(last, Some(format!("READY=1\nSTATUS={}", said - 1)));
        assert!(!it.is_behind());
        it.tell(&Notice::Alive);
        assert_eq!(heard(&socket).as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn a_status_that_is_no_news_is_not_told() {
        let (socket, name) = manager("news");
        let mut it = told_at(&name);
        it.tell(&Notice::Ready("serving"));
        it.tell(&Notice::Status("serving"));
        it.tell(&Notice::Status("drained"));
        assert_eq!(heard(&socket).as_deref(), Some("READY=1\nSTATUS=serving"));
        assert_eq!(heard(&socket).as_deref(), Some("STATUS=drained"));
        assert_eq!(heard(&socket), None);
    }
}
