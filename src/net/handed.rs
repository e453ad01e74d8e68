//! Listening sockets that another process made and handed over: the service manager (systemd),
//! which starts us with them, as in sd_listen_fds(3).
//!
//! ```text
//!   LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES --from_environment--> HandedSocket, checked
//!   HandedSockets --control finds who wants it--> StreamListener::adopt, DatagramListener::adopt
//! ```
//!
//! Whoever made it keeps it: others have the same socket open, so it is never shut and its file
//! never removed, and a poll hears of it until it is told not to (pitfall 27). The pool keeps its
//! own descriptor, and a listener gets a copy: a reload that is refused, or that removes a listener
//! which a later one has again, loses nothing.

mod predecessor;

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{SockAddr, SockRef, Type};

use crate::config::{Address, UnixName, counted, io_words, quoted};
use crate::limits::HANDED_SOCKETS_MAX;

use super::local::receive_with;

pub use predecessor::Predecessor;

/// What comes to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Connections.
    Stream,
    /// Datagrams.
    Datagram,
}

/// A listening socket that somebody else made.
#[derive(Debug)]
pub struct HandedSocket {
    name: Option<Box<str>>,
    /// Which one it is among all, for people.
    which: Box<str>,
    transport: Transport,
    address: Address,
    socket: OwnedFd,
    predecessor: Option<Predecessor>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct HandedSockets(Vec<HandedSocket>);

/// The first descriptor that a service manager hands over.
const FIRST: i32 = 3;

impl HandedSocket {
    /// One that is called so by whoever handed it over. If it is none at which clients come in, a
    /// line that says what it is and what would be right.
    pub fn new(
        socket: OwnedFd,
        name: Option<&str>,
        which: String,
    ) -> Result<HandedSocket, String> {
        let shown = match name {
            Some(name) => format!("{which} ({})", quoted(name)),
            None => which.clone(),
        };
        let wrong = |why: String| format!("{shown}: {why}");
        let (transport, address) = look_at(&socket).map_err(wrong)?;
        let failed = |error: io::Error| format!("{shown}: {}", io_words(&error));
        fcntl_setfd(&socket, FdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        SockRef::from(&socket).set_nonblocking(true).map_err(failed)?;
        let name = name.map(Into::into);
        let which = which.into();
        Ok(HandedSocket { name, which, transport, address, socket, predecessor: None })
    }

    /// What it is called, if anything.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What comes to it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// For people: `descriptor 3 ('web', tcp at 0.0.0.0:80)`.
    pub fn shown(&self) -> String {
        let name = self.name.as_deref().map(|it| format!("{}, ", quoted(it)));
        let what = match (self.transport, &self.address) {
            (_, Address::Unix(_)) => "",
            (Transport::Stream, _) => "tcp at ",
            (Transport::Datagram, _) => "udp at ",
        };
        format!("{} ({}{what}{})", self.which, name.unwrap_or_default(), self.address)
    }
}

impl HandedSockets {
    /// Those with which the service manager started this process: only the first call gets them,
    /// and nothing may have been opened before. The variables stay in the environment, for the
    /// program starts no children, and another process's are none of ours.
    pub fn from_environment() -> Result<HandedSockets, Vec<String>> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(HandedSockets::default());
        }
        let variable = |name: &str| std::env::var_os(name);
        HandedSockets::by(&variable, std::process::id(), &inherited)
    }

    /// The same by other variables, for a process of this id, whose descriptors these are.
    fn by(
        variable: &dyn Fn(&str) -> Option<OsString>,
        pid: u32,
        take: &dyn Fn(i32) -> Option<OwnedFd>,
    ) -> Result<HandedSockets, Vec<String>> {
        let text = |name: &str| variable(name).map(|it| it.to_string_lossy().into_owned());
        let is_ours = text("LISTEN_PID").is_some_and(|it| it.parse() == Ok(pid));
        let Some(count) = text("LISTEN_FDS").filter(|_| is_ours) else {
            return Ok(HandedSockets::default());
        };
        let count = match count.parse::<usize>() {
            Ok(it) if it <= HANDED_SOCKETS_MAX => it,
            _ => {
                let found = quoted(&count);
                let want = format!("a number up to {HANDED_SOCKETS_MAX}");
                return Err(vec![format!("LISTEN_FDS: found {found}, want {want}")]);
            }
        };
        let names = text("LISTEN_FDNAMES");
        let names: Vec<&str> = names.iter().flat_map(|it| it.split(':')).collect();
        let are_named = !(names.is_empty() || count == 0);
        if are_named && names.len() != count {
            let want = format!("{count}, as LISTEN_FDS says");
            return Err(vec![format!(
                "LISTEN_FDNAMES: found {}, want {want}",
                counted(names.len(), "name")
            )]);
        }
        let mut sockets = Vec::new();
        let mut wrong = Vec::new();
        for at in 0..count {
            let fd = FIRST + at as i32;
            let which = format!("descriptor {fd}");
            let name = names.get(at).copied().filter(|it| !it.is_empty());
            let socket = take(fd).ok_or_else(|| format!("{which} is not open"));
            match socket.and_then(|it| HandedSocket::new(it, name, which)) {
                Ok(it) => sockets.push(it),
                Err(why) => wrong.push(format!("LISTEN_FDS: {why}")),
            }
        }
        if wrong.is_empty() { Ok(HandedSockets(sockets)) } else { Err(wrong) }
    }

    /// These.
    pub fn of(sockets: Vec<HandedSocket>) -> HandedSockets {
        HandedSockets(sockets)
    }

    /// All, in the order in which they were handed over.
    pub fn all(&self) -> &[HandedSocket] {
        &self.0
    }
}

/// A descriptor that was open when the process began, by another number: it is sent to ourselves,
/// because what comes in a message is owned by who receives it. Of a bare number nobody knows that.
fn inherited(fd: RawFd) -> Option<OwnedFd> {
    let (from, to) = UnixStream::pair().ok()?;
    // It was free, then.
    if [from.as_raw_fd(), to.as_raw_fd()].contains(&fd) {
        return None;
    }
    let byte = [IoSlice::new(&[0])];
    let rights = [ControlMessage::ScmRights(&[fd])];
    sendmsg::<()>(from.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None).ok()?;
    let mut came = Vec::new();
    receive_with(&to, &mut [0], &mut came).ok()?;
    let owned = came.pop()?;
    // because: the service manager opened it for this process, and nothing else in it owns it.
    let _ = nix::unistd::close(fd);
    Some(owned)
}

/// What it is, if clients can come in there.
fn look_at(socket: &OwnedFd) -> Result<(Transport, Address), String> {
    const WANT: &str = "want a listening socket of TCP or UNIX, or one of UDP";
    let it = SockRef::from(socket);
    let kind = it.r#type().map_err(|_| format!("found no socket, {WANT}"))?;
    let at = it.local_addr().map_err(|error| io_words(&error))?;
    let transport = match kind {
        Type::STREAM => Transport::Stream,
        Type::DGRAM if at.as_socket().is_some() => Transport::Datagram,
        Type::DGRAM => return Err(format!("found a UNIX socket for datagrams, {WANT}")),
        _ => return Err(format!("found a socket of another type, {WANT}")),
    };
    let address = address_of(&at)?;
    if !is_usual(&it, transport) {
        return Err(format!("found a socket of another protocol, {WANT}"));
    }
    let is_open = match transport {
        Transport::Stream => listens(&it),
        Transport::Datagram => it.peer_addr().is_err(),
    };
    if !is_open {
        return Err(format!(
            "found a socket that is connected or does not listen, {WANT} \
                            (Accept=no in the unit)"
        ));
    }
    Ok((transport, address))
}

fn address_of(at: &SockAddr) -> Result<Address, String> {
    if let Some(address) = at.as_socket() {
        return Ok(address.into());
    }
    let name = match (at.as_pathname(), at.as_abstract_namespace()) {
        (Some(path), _) => path.to_str().map(str::to_owned),
        (None, Some(name)) => str::from_utf8(name).ok().map(|name| format!("@{name}")),
        (None, None) => None,
    };
    let name = name.ok_or("found a socket without an address that can be written")?;
    UnixName::parse(&name).map(Address::Unix).map_err(|wrong| wrong.to_string())
}

#[cfg(linux)]
fn listens(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// Elsewhere it is found out by the first accept.
#[cfg(not(linux))]
fn listens(_: &SockRef<'_>) -> bool {
    true
}

#[cfg(linux)]
fn is_usual(socket: &SockRef<'_>, transport: Transport) -> bool {
    use socket2::Protocol;
    match socket.protocol() {
        // What UNIX sockets say.
        Ok(None) => true,
        // Multipath TCP is TCP to who reads and writes.
        Ok(Some(it)) if transport == Transport::Stream => {
            [Protocol::TCP, Protocol::MPTCP].contains(&it)
        }
        Ok(Some(it)) => it == Protocol::UDP,
        Err(_) => false,
    }
}

#[cfg(not(linux))]
fn is_usual(_: &SockRef<'_>, _: Transport) -> bool {
    true
}

#[cfg(test)]
mod tests;
