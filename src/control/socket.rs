//! The sockets of listeners.

use std::io;
use std::net::{IpAddr, SocketAddr};

use log::{info, warn};

use crate::config::{
    Address, Complaint, ListenerSettings, ListenerSpec, Phrase, SettingKey, UnixName, io_words,
};
use crate::net::{
    DatagramListener, Families, HandedSocket, PortUse, SocketFile, StreamListener, Transport,
    zone,
};

use super::owner;

/// A socket that is bound.
pub enum Socket {
    /// For connections.
    Stream(StreamListener),
    /// For datagrams.
    Datagram(DatagramListener),
}

impl Socket {
    pub(super) fn address(&self) -> Address {
        match self {
            Socket::Stream(listener) => listener.address().clone(),
            Socket::Datagram(listener) => listener.address().clone(),
        }
    }

    /// One that was handed over for this listener. Two at one socket would each get some of the
    /// datagrams.
    pub(super) fn adopt(
        wanted: &ListenerSpec,
        handed: &HandedSocket,
        file: Option<&SocketFile>,
        holds: &dyn Fn(u16, bool) -> bool,
    ) -> Result<Socket, Complaint> {
        let is_udp = handed.transport() == Transport::Datagram;
        let complain = |is_ours, error: io::Error| match handed.address() {
            Address::Unix(name) => cannot_listen_at(name, &error),
            address => cannot_listen(address, is_udp, is_ours, &error),
        };
        if is_udp && handed.address().port().is_some_and(|port| holds(port, true)) {
            return Err(complain(true, io::ErrorKind::AddrInUse.into()));
        }
        let adopted = match handed.transport() {
            Transport::Stream => StreamListener::adopt(handed).map(Socket::Stream),
            Transport::Datagram => DatagramListener::adopt(handed).map(Socket::Datagram),
        };
        let adopted = adopted.map_err(|error| complain(false, error))?;
        if let (Socket::Stream(it), Some(file)) = (&adopted, file)
            && let Err(error) = it.change_file(file)
        {
            warn!("{}: its file stays as it is: {error}", handed.address());
        }
        info!("listener {} takes {}", wanted.name, handed.shown());
        Ok(adopted)
    }

    /// One for a listener, which is one of `all`; its file, if it has one, is to be like `file`;
    /// `holds` says whether a listener of ours has a
    /// port. `[::]` takes IPv4 clients too, unless another listener has the same port for them.
    pub(super) fn bind(
        wanted: &ListenerSpec,
        file: Option<&SocketFile>,
        all: &[ListenerSpec],
        holds: &dyn Fn(u16, bool) -> bool,
    ) -> Result<Socket, Complaint> {
        let is_udp = wanted.listen.protocol.is_udp();
        let address = &wanted.listen.address;
        if let Address::Unix(name) = address {
            let as_asked = SocketFile { mode: wanted.settings.socket_mode, owner: None };
            let bound = StreamListener::bind_unix(name, file.unwrap_or(&as_asked));
            return bound.map(Socket::Stream).map_err(|error| cannot_listen_at(name, &error));
        }
        let shares = wanted.settings.reuse_port;
        let port = if shares { PortUse::Shared } else { PortUse::Alone };
        let is_ours = address.port().is_some_and(|port| holds(port, is_udp));
        let bound = match address {
            // The kernel would let us share it with ourselves, with a listener that is going.
            _ if shares && is_ours => Err(io::ErrorKind::AddrInUse.into()),
            Address::Link(link) => {
                let link = zone::resolve_link(link).map_err(|error| {
                    Complaint::of(SettingKey::LISTEN, address.to_string(), error.to_string())
                })?;
                match is_udp {
                    true => DatagramListener::bind_link(&link, port).map(Socket::Datagram),
                    false => StreamListener::bind_link(&link, port).map(Socket::Stream),
                }
            }
            Address::Ip(ip) => {
                let families = families(*ip, is_udp, all);
                match is_udp {
                    true => {
                        DatagramListener::bind_port(*ip, families, port).map(Socket::Datagram)
                    }
                    false => StreamListener::bind_port(*ip, families, port).map(Socket::Stream),
                }
            }
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse if shares && !is_ours => not_shared(address, is_udp),
            _ => cannot_listen(address, is_udp, is_ours, &error),
        })
    }
}

fn families(address: SocketAddr, is_udp: bool, all: &[ListenerSpec]) -> Families {
    let taken = |other: &ListenerSpec| {
        let listen = &other.listen;
        listen.address.is_ipv4()
            && listen.protocol.is_udp() == is_udp
            && listen.address.port() == Some(address.port())
            && address.port() != 0
    };
    let is_shared = address.ip() == IpAddr::from([0u16; 8]) && all.iter().any(taken);
    if is_shared { Families::V6 } else { Families::Both }
}

/// Permission and owner of the file of a listener's UNIX socket.
pub fn socket_file(settings: &ListenerSettings) -> Result<SocketFile, Complaint> {
    let owner = settings.socket_owner.as_ref().map(owner::look_up).transpose();
    let about = |why: String| {
        let text = settings.socket_owner.as_ref().map(ToString::to_string).unwrap_or_default();
        Complaint::of(SettingKey::SOCKET_OWNER, text, why)
    };
    Ok(SocketFile { mode: settings.socket_mode, owner: owner.map_err(about)? })
}

fn cannot_listen_at(name: &UnixName, error: &io::Error) -> Complaint {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "somebody listens there; stop who uses it, or choose another path".to_owned()
        }
        io::ErrorKind::AlreadyExists => {
            "a file is there that is no socket; remove it, or choose another path".to_owned()
        }
        io::ErrorKind::NotFound => "its directory is not there; make it first".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "not allowed to make or to replace the file there, or to give it away".to_owned()
        }
        _ => io_words(error),
    };
    Complaint::of(SettingKey::LISTEN, name.to_string(), why)
}

fn cannot_listen(
    address: &Address,
    is_udp: bool,
    is_ours: bool,
    error: &io::Error,
) -> Complaint {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse if is_ours => {
            "a listener of ours has the port until its clients or flows have come in or ended; \
             leave both out of one reload, and have this one in a later one"
                .to_owned()
        }
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop who uses it, or choose another (0 lets the system choose)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "not allowed to use port {}; ports below 1024 need CAP_NET_BIND_SERVICE, or choose \
             a higher one",
            address.port().unwrap_or_default()
        ),
        io::ErrorKind::AddrNotAvailable if matches!(address, Address::Link(_)) => {
            "that interface does not have that address; see ip -6 address".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 or [::] listens on all it has"
                .to_owned()
        }
        _ => io_words(error),
    };
    complaint(address, is_udp, why)
}

/// Which of the two it is the kernel does not say.
fn not_shared(address: &Address, is_udp: bool) -> Complaint {
    let rest = " by a process that does not share it, or that another user started: stop it, or \
                start all as one user and with ";
    complaint(
        address,
        is_udp,
        Phrase::from("the port is in use").text(rest).name(SettingKey::REUSE_PORT),
    )
}

fn complaint(address: &Address, is_udp: bool, why: impl Into<Phrase>) -> Complaint {
    let scheme = if is_udp { "udp://" } else { "" };
    Complaint::of(SettingKey::LISTEN, format!("{scheme}{address}"), why)
}
