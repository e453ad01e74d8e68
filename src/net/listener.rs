//! A listening socket, and what an accept came to.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Interest, Registry};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};

use crate::event::Owner;
use crate::limits::{ACCEPT_TROUBLES_MAX, LISTEN_BACKLOG};

use super::{Families, Stream};

/// A listening socket. Accepted sockets inherit its TCP_NODELAY (Linux), which saves a system call
/// for each.
#[derive(Debug)]
pub struct StreamListener {
    socket: TcpListener,
    address: SocketAddr,
    /// There may be connections to accept: set by an event, cleared by WouldBlock.
    ready: bool,
    /// So many in a row were in trouble of their own.
    troubles: u32,
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

impl StreamListener {
    /// Listen at `address`; port 0 lets the system choose one. At `[::]`,
    /// `families` says which clients it takes.
    pub fn bind(address: SocketAddr, families: Families) -> io::Result<StreamListener> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Failing, a restart waits for old connections, or small writes are slower.
        let _ = socket.set_reuse_address(true);
        let _ = socket.set_tcp_nodelay(true);
        if address.is_ipv6() {
            socket.set_only_v6(families == Families::V6)?;
        }
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        let address = socket.local_addr()?;
        Ok(StreamListener { socket, address, ready: false, troubles: 0 })
    }

    /// Let TCP ask clients that are silent for so long whether they are there: accepted sockets
    /// inherit it, which saves the system calls for each.
    pub fn set_keepalive(&self, after: Duration) {
        super::keepalive::set(&self.socket, after);
    }

    /// The address it really has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ask the poll to tell of clients.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        registry.register(&mut self.socket, owner.into(), Interest::READABLE)
    }

    /// Refuse whoever comes from now on, those too who wait to be accepted: on Linux a listening
    /// socket that is shut for reading listens no more. HAProxy pauses its frontends so.
    pub fn shut(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Read)
    }

    /// Listen again, at the same address: a port that was chosen by the system is not kept by a
    /// socket that is shut, and has to be asked for once more.
    pub fn reopen(&self) -> io::Result<()> {
        let socket = socket2::SockRef::from(&self.socket);
        match socket.bind(&self.address.into()) {
            // It is still bound.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            bound => bound?,
        }
        socket.listen(LISTEN_BACKLOG)
    }

    /// An event said that somebody is waiting.
    pub fn mark(&mut self) {
        self.ready = true;
    }

    /// Whether somebody may be waiting.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Ask whether somebody really waits, where nobody can be taken now: without this it is known
    /// only by accepting. Who comes later is told by an event.
    pub fn check(&mut self) {
        let mut asked = [PollFd::new(&self.socket, PollFlags::IN)];
        // On an error it is looked again later, as if somebody waited.
        let waits = poll(&mut asked, Some(&Timespec::default())).is_err()
            || !asked[0].revents().is_empty();
        self.ready &= waits;
    }

    /// Take the next client.
    pub fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((socket, address)) => {
                self.troubles = 0;
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
                self.troubles = 0;
                Accepted::Nobody
            }
            // One after the other, and nobody else in between: then it is not theirs.
            _ if self.troubles >= ACCEPT_TROUBLES_MAX => Accepted::Failed(error),
            Kind::Interrupted
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::TimedOut => self.gave_up(),
            _ if is_of_one_client(&error) => self.gave_up(),
            _ => Accepted::Failed(error),
        }
    }

    fn gave_up(&mut self) -> Accepted {
        self.troubles += 1;
        Accepted::GaveUp
    }
}

/// Linux hands the network's trouble with a new connection to accept, and a firewall's refusal; the
/// list is that of accept(2).
fn is_of_one_client(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    if Errno::from_io_error(error) == Some(Errno::NONET) {
        return true;
    }
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        [
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::PERM,
            Errno::PROTO,
        ]
        .contains(&errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> StreamListener {
        StreamListener::bind("127.0.0.1:0".parse().expect("an address"), Families::Both)
            .expect("a listener")
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
        let gone = [
            Errno::INTR,
            Errno::CONNABORTED,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::PERM,
            Errno::PROTO,
        ];
        for errno in gone {
            assert!(matches!(sorted(errno), Accepted::GaveUp), "{errno}");
        }
        #[cfg(target_os = "linux")]
        assert!(matches!(sorted(Errno::NONET), Accepted::GaveUp));
    }

    /// A sandbox that forbids to accept would keep the loop busy with nothing.
    #[test]
    fn trouble_that_never_ends_is_nobodys_own() {
        let mut listener = listener();
        listener.mark();
        for _ in 0..ACCEPT_TROUBLES_MAX {
            assert!(matches!(listener.sort(Errno::PERM.into()), Accepted::GaveUp));
        }
        assert!(matches!(listener.sort(Errno::PERM.into()), Accepted::Failed(_)));
        assert!(matches!(listener.sort(Errno::AGAIN.into()), Accepted::Nobody));
        assert!(matches!(listener.sort(Errno::PERM.into()), Accepted::GaveUp));
    }

    #[test]
    fn port_0_becomes_a_real_port() {
        assert_ne!(listener().address().port(), 0);
    }

    #[test]
    fn a_port_in_use_is_said_so() {
        let first = listener();
        let second = StreamListener::bind(first.address(), Families::Both);
        assert_eq!(second.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
