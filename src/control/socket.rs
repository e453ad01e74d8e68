//! The sockets of listeners.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::config::{Complaint, Listen, ListenerSpec, SettingKey, io_words};
use crate::net::{DatagramListener, Families, StreamListener};

/// A socket that is bound.
pub enum Socket {
    /// For connections.
    Stream(StreamListener),
    /// For datagrams.
    Datagram(DatagramListener),
}

impl Socket {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Socket::Stream(listener) => listener.address(),
            Socket::Datagram(listener) => listener.address(),
        }
    }

    /// One for a listener, which is one of `all`; `holds` says whether a listener of ours has a
    /// port. `[::]` takes IPv4 clients too, unless another listener has the same port for them.
    pub(super) fn bind(
        listen: &Listen,
        all: &[ListenerSpec],
        holds: &dyn Fn(u16, bool) -> bool,
    ) -> Result<Socket, Complaint> {
        let address = listen.address;
        let is_udp = listen.protocol.is_udp();
        let taken = |other: &ListenerSpec| {
            let listen = &other.listen;
            listen.address.is_ipv4()
                && listen.protocol.is_udp() == is_udp
                && listen.address.port() == address.port()
                && address.port() != 0
        };
        let is_shared = address.ip() == IpAddr::from([0u16; 8]) && all.iter().any(taken);
        let families = if is_shared { Families::V6 } else { Families::Both };
        let bound = if is_udp {
            DatagramListener::bind(address, families).map(Socket::Datagram)
        } else {
            StreamListener::bind(address, families).map(Socket::Stream)
        };
        bound.map_err(|error| {
            let is_ours = holds(address.port(), is_udp);
            cannot_listen(address, is_udp, is_ours, &error)
        })
    }
}

fn cannot_listen(
    address: SocketAddr,
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
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 or [::] listens on all it has"
                .to_owned()
        }
        _ => io_words(error),
    };
    let scheme = if is_udp { "udp://" } else { "" };
    Complaint::of(SettingKey::LISTEN, format!("{scheme}{address}"), why)
}
