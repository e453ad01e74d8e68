//! A listening socket, and what an accept came to.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, Type};

use crate::event::Owner;
use crate::limits::LISTEN_BACKLOG;

use super::Stream;

/// A listening socket. Accepted sockets inherit its TCP_NODELAY (Linux), which saves a system call
/// for each.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// There may be connections to accept: set by an event, cleared by WouldBlock.
    ready: bool,
}

/// What an accept came to: what happened, not what to do about it.
#[derive(Debug)]
pub enum Accepted {
    /// A client, with its address (IPv4-mapped IPv6 as IPv4).
    Client(Stream, SocketAddr),
    /// Nobody is waiting; there will be an event.
    Nobody,
    /// That one gave up meanwhile; there may be others (pitfall 12).
    GaveUp,
    /// We or the system have no descriptor or memory left (pitfall 11), or worse.
    Failed(io::Error),
}

impl Listener {
    /// Listen at `address`; port 0 lets the system choose one. `only_v6` keeps a `[::]` listener
    /// from taking IPv4 clients too.
    pub fn bind(address: SocketAddr, only_v6: bool) -> io::Result<Listener> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        let address = socket.local_addr()?;
        Ok(Listener { socket, address, ready: false })
    }

    /// The address it really has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ask the poll to tell of clients.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        registry.register(&mut self.socket, owner.into(), Interest::READABLE)
    }

    /// An event said that somebody is waiting.
    pub fn mark(&mut self) {
        self.ready = true;
    }

    /// Whether somebody may be waiting.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Take the next client.
    pub fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((socket, address)) => {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Accepted::Client(Stream::accepted(socket), address)
            }
            Err(error) => self.sort(error),
        }
    }

    fn sort(&mut self, error: io::Error) -> Accepted {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::WouldBlock => {
                self.ready = false;
                Accepted::Nobody
            }
            // Linux hands pending network errors of the new connection to accept (accept(2)).
            Kind::Interrupted
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown => Accepted::GaveUp,
            _ => Accepted::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn listener() -> Listener {
        Listener::bind("127.0.0.1:0".parse().expect("an address"), false).expect("a listener")
    }

    fn sorted(errno: Errno) -> Accepted {
        let mut listener = listener();
        listener.mark();
        let accepted = listener.sort(errno.into());
        let drained = matches!(accepted, Accepted::Nobody);
        assert_eq!(listener.is_ready(), !drained, "only WouldBlock ends the readiness");
        accepted
    }

    #[test]
    fn pitfall_11_running_out_is_not_being_drained() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(matches!(sorted(errno), Accepted::Failed(_)), "{errno}");
        }
    }

    #[test]
    fn pitfall_12_a_client_that_gave_up_does_not_strand_the_others() {
        let gone = [Errno::INTR, Errno::CONNABORTED, Errno::TIMEDOUT, Errno::HOSTUNREACH];
        for errno in gone {
            assert!(matches!(sorted(errno), Accepted::GaveUp), "{errno}");
        }
    }

    #[test]
    fn port_0_becomes_a_real_port() {
        assert_ne!(listener().address().port(), 0);
    }

    #[test]
    fn a_port_in_use_is_said_so() {
        let first = listener();
        let second = Listener::bind(first.address(), false);
        assert_eq!(second.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
