//! A listening socket, and what an accept came to.

mod handing;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Type};

use crate::config::{Address, LinkAddress, UnixName, io_words};
use crate::event::Owner;
use crate::limits::{ACCEPT_TROUBLES_MAX, LISTEN_BACKLOG};

use super::unix::{self, OwnFile, SocketFile};
use super::{Families, HandedSocket, LOCAL_PEER, PortUse, Stream};

/// A listening socket. Accepted sockets inherit its TCP_NODELAY (Linux), which saves a system call
/// for each.
#[derive(Debug)]
pub struct StreamListener {
    socket: Listening,
    address: Address,
    /// There may be connections to accept: set by an event, cleared by WouldBlock.
    ready: bool,
    /// So many in a row were in trouble of their own.
    troubles: u32,
    /// Somebody else made it, and has it open as well.
    is_shared: bool,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    /// At a UNIX socket; abstract ones have no file.
    Unix(UnixListener, Option<OwnFile>),
}

/// What an accept came to: what happened, not what to do about it.
#[derive(Debug)]
pub enum Accepted {
    /// A client, with its address (IPv4-mapped IPv6 as IPv4); [`LOCAL_PEER`] at a UNIX socket.
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
        StreamListener::bind_port(address, families, PortUse::Alone)
    }

    /// The same at a port that may be shared with other processes.
    pub fn bind_port(
        address: SocketAddr,
        families: Families,
        port: PortUse,
    ) -> io::Result<StreamListener> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Failing, a restart waits for old connections, or small writes are slower.
        let _ = socket.set_reuse_address(true);
        let _ = socket.set_tcp_nodelay(true);
        if address.is_ipv6() {
            socket.set_only_v6(families == Families::V6)?;
        }
        if port == PortUse::Shared {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        let address = socket.local_addr()?.into();
        Ok(StreamListener::new(Listening::Tcp(socket), address))
    }

    /// Listen at an address of a link whose interface is known.
    pub fn bind_link(address: &LinkAddress, port: PortUse) -> io::Result<StreamListener> {
        let ip = address.socket_address().into();
        let mut it = StreamListener::bind_port(ip, Families::Both, port)?;
        // It is called as it was written, at the real port.
        let port = it.address.port().unwrap_or_default();
        it.address = address.clone().with_port(port).into();
        Ok(it)
    }

    /// Listen at a UNIX socket, whose file, if it has one, is like this.
    pub fn bind_unix(name: &UnixName, file: &SocketFile) -> io::Result<StreamListener> {
        let socket = match name.path() {
            Some(path) => {
                let (socket, own) = unix::bind(path, file)?;
                Listening::Unix(socket, Some(own))
            }
            None => Listening::Unix(unix::bind_abstract(name)?, None),
        };
        Ok(StreamListener::new(socket, Address::Unix(name.clone())))
    }

    /// Listen at a socket that was handed over. Its queue and its file are as they were made.
    pub fn adopt(handed: &HandedSocket) -> io::Result<StreamListener> {
        let socket = handed.copy()?;
        let address = handed.address().clone();
        let socket = match &address {
            Address::Ip(_) | Address::Link(_) => {
                let _ = SockRef::from(&socket).set_tcp_nodelay(true);
                Listening::Tcp(TcpListener::from_std(socket.into()))
            }
            Address::Unix(_) => {
                Listening::Unix(UnixListener::from_std(socket.into()), handed.own_file())
            }
        };
        let is_shared = handed.is_shared();
        Ok(StreamListener { is_shared, ..StreamListener::new(socket, address) })
    }

    fn new(socket: Listening, address: Address) -> StreamListener {
        StreamListener { socket, address, ready: false, troubles: 0, is_shared: false }
    }

    /// Whether somebody else made it, and has it open as well: clients can come to it for as long
    /// as anybody has.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The poll is to tell nothing more of it. It would go on otherwise where others have the
    /// socket open, whatever becomes of our descriptor.
    pub fn deregister(&mut self, registry: &Registry) {
        if self.is_shared {
            // Failing, it was not registered.
            let _ = match &mut self.socket {
                Listening::Tcp(socket) => registry.deregister(socket),
                Listening::Unix(socket, _) => registry.deregister(socket),
            };
        }
    }

    /// The file of its UNIX socket, if it has one, is like this from now on.
    pub fn change_file(&self, file: &SocketFile) -> io::Result<()> {
        match &self.socket {
            Listening::Unix(_, Some(own)) => own.become_like(file),
            Listening::Unix(_, None) | Listening::Tcp(_) => Ok(()),
        }
    }

    /// Whether it has a file, by which clients find it.
    pub fn has_file(&self) -> bool {
        matches!(&self.socket, Listening::Unix(_, Some(_)))
    }

    /// Whether it had a file that is not there any more, or is another one's: nobody can connect.
    pub fn has_lost_file(&self) -> bool {
        matches!(&self.socket, Listening::Unix(_, Some(own)) if !own.is_there())
    }

    /// It has lost its file: it is made anew, at the same path, and the poll tells of that one.
    pub fn restore(
        &mut self,
        file: &SocketFile,
        registry: &Registry,
        owner: Owner,
    ) -> io::Result<()> {
        let Address::Unix(name) = &self.address else { return Ok(()) };
        let mut new = StreamListener::bind_unix(name, file)?;
        new.register(registry, owner)?;
        std::mem::replace(self, new).hand_over(registry);
        Ok(())
    }

    /// Let TCP ask clients that are silent for so long whether they are there: accepted sockets
    /// inherit it, which saves the system calls for each.
    pub fn set_keepalive(&self, after: Duration) {
        if let Listening::Tcp(socket) = &self.socket {
            super::keepalive::set(socket, after);
        }
    }

    /// The address it really has.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Ask the poll to tell of clients.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(it) => registry.register(it, owner.into(), Interest::READABLE),
            Listening::Unix(it, _) => registry.register(it, owner.into(), Interest::READABLE),
        }
    }

    /// Refuse whoever comes from now on, those too who wait to be accepted: on Linux a listening
    /// socket that is shut for reading listens no more. HAProxy pauses its frontends so. A UNIX
    /// socket could not listen again after that: its file is put aside instead. At one that others
    /// have as well, clients wait until somebody takes them.
    pub fn shut(&mut self) -> io::Result<()> {
        if self.is_shared {
            return Ok(());
        }
        match &mut self.socket {
            Listening::Tcp(socket) => {
                SockRef::from(&*socket).shutdown(std::net::Shutdown::Read)
            }
            Listening::Unix(socket, file) => {
                let file = file.as_mut().ok_or(io::ErrorKind::Unsupported)?;
                let aside = aside(file.path());
                file.move_to(&aside).map_err(|error| is_in_the_way(&aside, &error))?;
                // They are connected, and would wait for ever.
                let waiting = std::iter::repeat_with(|| socket.accept());
                waiting.take_while(Result::is_ok).take(LISTEN_BACKLOG as usize).for_each(drop);
                Ok(())
            }
        }
    }

    /// Whether something is where its file would be put aside, as far as that can be seen.
    pub fn may_be_shut(&self) -> io::Result<()> {
        match &self.socket {
            Listening::Unix(_, Some(file)) if !self.is_shared => {
                let aside = aside(file.path());
                let may = file.may_move_to(&aside);
                may.map_err(|error| is_in_the_way(&aside, &error))
            }
            Listening::Unix(_, None) if !self.is_shared => {
                let why = format!("{} has no file that could be put aside", self.address);
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
            _ => Ok(()),
        }
    }

    /// Listen again, at the same address: a port that was chosen by the system is not kept by a
    /// socket that is shut, and has to be asked for once more.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.is_shared {
            return Ok(());
        }
        match (&mut self.socket, &self.address) {
            (Listening::Tcp(socket), address) => match address.socket_address() {
                Some(address) => listen_again(socket, address),
                None => Ok(()),
            },
            (Listening::Unix(_, Some(file)), Address::Unix(name)) => match name.path() {
                Some(path) => file.move_to(path),
                None => Ok(()),
            },
            _ => Ok(()),
        }
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
        let socket = match &self.socket {
            Listening::Tcp(socket) => socket.as_fd(),
            Listening::Unix(socket, _) => socket.as_fd(),
        };
        let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        // On an error it is looked again later, as if somebody waited.
        let waits = poll(&mut asked, Some(&Timespec::default())).is_err()
            || !asked[0].revents().is_empty();
        self.ready &= waits;
    }

    /// Take the next client.
    pub fn accept(&mut self) -> Accepted {
        let accepted = match &self.socket {
            Listening::Tcp(socket) => socket.accept().map(|(socket, address)| {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                (Stream::accepted(socket), address)
            }),
            Listening::Unix(socket, _) => socket
                .accept()
                .map(|(socket, _)| (Stream::accepted(unix::as_stream(socket)), LOCAL_PEER)),
        };
        match accepted {
            Ok((stream, address)) => {
                self.troubles = 0;
                Accepted::Client(stream, address)
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

fn listen_again(socket: &TcpListener, address: SocketAddr) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match socket.bind(&address.into()) {
        // It is still bound.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        bound => bound?,
    }
    socket.listen(LISTEN_BACKLOG)
}

/// Where the file of a socket is while nobody may connect.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".closed");
    name.into()
}

/// Why the file of a socket cannot be put there, for people.
fn is_in_the_way(aside: &Path, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::AlreadyExists => "a file is there that is no socket; remove it",
        io::ErrorKind::AddrInUse => "somebody listens there; stop who uses it",
        io::ErrorKind::NotFound => "the file of the socket is gone; reload to listen again",
        _ => &io_words(error),
    };
    io::Error::new(error.kind(), format!("{}: {why}", aside.display()))
}

/// Linux hands the network's trouble with a new connection to accept, and a firewall's refusal; the
/// list is that of accept(2).
fn is_of_one_client(error: &io::Error) -> bool {
    #[cfg(linux)]
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
        #[cfg(linux)]
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
        assert_ne!(listener().address().port(), Some(0));
    }

    #[test]
    fn a_port_in_use_is_said_so() {
        let first = listener();
        let address = first.address().socket_address().expect("an address");
        let second = StreamListener::bind(address, Families::Both);
        assert_eq!(second.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
