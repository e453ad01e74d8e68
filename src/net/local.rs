//! UNIX sockets: a listening one whose file has a permission, and the connections of those who may.

mod passing;

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry};

use crate::event::{Owner, Readiness};

use super::unix::{self, OwnFile, SocketFile};
use super::{Fault, HandedSocket, Received, Sent};

pub use passing::{copy_of, receive_with, send_with};

/// Who is at the other end, as the kernel says it, of the moment of the connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPeer {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process; 0 if it is not seen from here, or the system does not tell.
    pub pid: i32,
}

impl LocalPeer {
    /// For people: `process 12`.
    pub fn process(&self) -> String {
        match self.pid {
            0 => format!("a process of user {}", self.uid),
            pid => format!("process {pid}"),
        }
    }
}

/// A listening UNIX socket. Its file goes when it is dropped.
#[derive(Debug)]
pub struct LocalListener {
    socket: UnixListener,
    /// Its own file; none if somebody else made the socket.
    file: Option<OwnFile>,
    /// There may be connections to accept: set by an event, cleared by WouldBlock.
    ready: bool,
}

/// What an accept came to.
#[derive(Debug)]
pub enum LocalAccepted {
    /// A client, and who that is.
    Client(LocalStream, LocalPeer),
    /// Nobody is waiting; there will be an event.
    Nobody,
    /// We or the system have no descriptor or memory left, or worse.
    Failed(io::Error),
}

/// A connection of a UNIX socket.
#[derive(Debug)]
pub struct LocalStream {
    socket: UnixStream,
    readiness: Readiness,
    is_armed: bool,
    /// The other end is closed, not only for sending.
    is_gone: bool,
}

impl LocalListener {
    /// Listen at this path, its file having this permission. A file that a process left behind is
    /// removed; one where somebody listens, or that is no socket, is not.
    pub fn bind(path: &Path, mode: u32) -> io::Result<LocalListener> {
        let (socket, file) = unix::bind(path, &SocketFile { mode, owner: None })?;
        Ok(LocalListener { socket, file: Some(file), ready: false })
    }

    /// Listen at a socket that was handed over. Its file is as it was made.
    pub fn adopt(handed: &HandedSocket) -> io::Result<LocalListener> {
        let socket = UnixListener::from_std(handed.copy()?.into());
        Ok(LocalListener { socket, file: handed.own_file(), ready: false })
    }

    /// Whether its file is not there any more, or is another one's: nobody can connect.
    pub fn has_lost_file(&self) -> bool {
        self.file.as_ref().is_some_and(|own| !own.is_there())
    }

    /// It has lost its file: it is made anew at this path, and the poll tells of that one.
    pub fn restore(
        &mut self,
        path: &Path,
        mode: u32,
        registry: &Registry,
        owner: Owner,
    ) -> io::Result<()> {
        let mut new = LocalListener::bind(path, mode)?;
        new.register(registry, owner)?;
        std::mem::replace(self, new).hand_over(registry);
        Ok(())
    }

    /// The poll is to tell nothing more of it, whoever has the socket open as well.
    pub fn deregister(&mut self, registry: &Registry) {
        if self.file.is_none() {
            let _ = registry.deregister(&mut self.socket);
        }
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
    pub fn accept(&mut self) -> LocalAccepted {
        loop {
            match self.socket.accept() {
                // One that went away again has nobody to speak of, and nothing to say.
                Ok((socket, _)) => match peer_of(&socket) {
                    Ok(peer) => return LocalAccepted::Client(LocalStream::new(socket), peer),
                    Err(error) => return LocalAccepted::Failed(error),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    return LocalAccepted::Nobody;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return LocalAccepted::Failed(error),
            }
        }
    }
}

#[cfg(linux)]
fn peer_of(socket: &UnixStream) -> io::Result<LocalPeer> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    // Not by rustix, whose process ids are never 0: those of other namespaces are.
    let found = getsockopt(socket, PeerCredentials).map_err(io::Error::from)?;
    Ok(LocalPeer { uid: found.uid(), gid: found.gid(), pid: found.pid() })
}

/// Of the process nothing is told elsewhere.
#[cfg(not(linux))]
fn peer_of(socket: &UnixStream) -> io::Result<LocalPeer> {
    let (uid, gid) = user_of(socket)?;
    Ok(LocalPeer { uid, gid, pid: 0 })
}

#[cfg(not(target_os = "linux"))]
fn user_of(socket: &UnixStream) -> io::Result<(u32, u32)> {
    let (user, group) = nix::unistd::getpeereid(socket).map_err(io::Error::from)?;
    Ok((user.as_raw(), group.as_raw()))
}

/// Linux has no `getpeereid(3)`; this is as good for the fallback's tests.
#[cfg(all(target_os = "linux", not(linux)))]
fn user_of(socket: &UnixStream) -> io::Result<(u32, u32)> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    let found = getsockopt(socket, PeerCredentials).map_err(io::Error::from)?;
    Ok((found.uid(), found.gid()))
}

impl LocalStream {
    fn new(socket: UnixStream) -> LocalStream {
        // Both at once, to save a turn: the first bytes are often here already.
        let readiness = Readiness { can_read: true, can_write: true, ..Readiness::default() };
        LocalStream { socket, readiness, is_armed: false, is_gone: false }
    }

    /// Ask the poll to tell of both directions, once.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        if !self.is_armed {
            let both = Interest::READABLE.add(Interest::WRITABLE);
            registry.register(&mut self.socket, owner.into(), both)?;
            self.is_armed = true;
        }
        Ok(())
    }

    /// Note what an event says; nothing is read, written or closed.
    pub fn mark(&mut self, event: &Event) {
        self.readiness.mark(event);
        self.is_gone |= event.is_write_closed();
    }

    /// Whether nobody would read an answer.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether a read may bring something.
    pub fn can_read(&self) -> bool {
        self.readiness.can_read
    }

    /// Whether a write may be taken.
    pub fn can_write(&self) -> bool {
        self.readiness.can_write
    }

    /// Read into a buffer that has room.
    pub fn receive(&mut self, into: &mut [u8]) -> Received {
        loop {
            match self.socket.read(into) {
                Ok(0) => {
                    self.readiness.can_read = false;
                    return Received::Eof;
                }
                Ok(count) => return Received::Bytes(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.readiness.can_read = false;
                    return match error.kind() {
                        ErrorKind::WouldBlock => Received::WouldBlock,
                        _ => Received::Broken(Fault::of(&error)),
                    };
                }
            }
        }
    }

    /// Write from a buffer that is not empty.
    pub fn send(&mut self, from: &[u8]) -> Sent {
        loop {
            match self.socket.write(from) {
                Ok(count) => return Sent::Bytes(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.readiness.can_write = false;
                    return match error.kind() {
                        ErrorKind::WouldBlock => Sent::WouldBlock,
                        _ => Sent::Broken(Fault::of(&error)),
                    };
                }
            }
        }
    }
}

impl LocalStream {
    /// Nothing more will be sent.
    pub fn finish_sending(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream as Client;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    /// A directory of its own that goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("pointsman-local-{}-{number}", std::process::id());
            let place = std::env::temp_dir().join(name);
            fs::create_dir_all(&place).expect("a directory");
            Place(place)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn accepted(listener: &mut LocalListener) -> (LocalStream, LocalPeer) {
        match listener.accept() {
            LocalAccepted::Client(stream, peer) => (stream, peer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_go_both_ways_and_the_peer_is_known() {
        let place = Place::new();
        let mut listener = LocalListener::bind(&place.socket(), 0o600).expect("a listener");
        listener.mark();
        assert!(matches!(listener.accept(), LocalAccepted::Nobody) && !listener.is_ready());
        let mut client = Client::connect(place.socket()).expect("connected");
        let (mut stream, peer) = accepted(&mut listener);
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getgid().as_raw());
        assert_eq!(peer.pid, if cfg!(linux) { std::process::id() as i32 } else { 0 });
        let mut buffer = [0; 16];
        assert_eq!(stream.receive(&mut buffer), Received::WouldBlock);
        assert!(!stream.can_read());
        let mut poll = mio::Poll::new().expect("a poll");
        stream.arm(poll.registry(), Owner::Signals).expect("armed");
        client.write_all(b"ask").expect("written");
        let until = Instant::now() + Duration::from_secs(10);
        let mut events = mio::Events::with_capacity(8);
        while !stream.can_read() && Instant::now() < until {
            poll.poll(&mut events, Some(Duration::from_millis(100))).expect("polled");
            events.iter().for_each(|event| stream.mark(event));
        }
        assert_eq!(stream.receive(&mut buffer), Received::Bytes(3));
        assert_eq!(stream.send(b"told"), Sent::Bytes(4));
        client.read_exact(&mut buffer[..4]).expect("an answer");
        assert_eq!(&buffer[..4], b"told");
        drop(client);
        assert_eq!(stream.receive(&mut buffer), Received::Eof);
        assert_eq!(stream.send(b"gone"), Sent::Broken(Fault::Closed));
    }

    #[test]
    fn one_that_reads_nothing_is_waited_for() {
        let place = Place::new();
        let mut listener = LocalListener::bind(&place.socket(), 0o600).expect("a listener");
        let _client = Client::connect(place.socket()).expect("connected");
        let (mut stream, _) = accepted(&mut listener);
        let mut sent = 0;
        while let Sent::Bytes(count) = stream.send(&[0; 65536]) {
            sent += count;
            assert!(sent < 1 << 30, "nobody takes so much");
        }
        assert!(!stream.can_write());
    }

    #[test]
    fn the_file_has_its_permission_whatever_the_umask_is_and_goes_with_the_listener() {
        let place = Place::new();
        for mode in [0o600, 0o660, 0o666] {
            let listener = LocalListener::bind(&place.socket(), mode).expect("a listener");
            let there = fs::metadata(place.socket()).expect("a file");
            assert_eq!(there.permissions().mode() & 0o777, mode);
            drop(listener);
            assert!(!place.socket().exists());
        }
    }

    #[test]
    fn what_a_killed_process_left_is_replaced_and_what_somebody_has_is_not() {
        let place = Place::new();
        drop(std::os::unix::net::UnixListener::bind(place.socket()).expect("a stale file"));
        assert!(place.socket().exists());
        let first = LocalListener::bind(&place.socket(), 0o600).expect("a listener");
        let second = LocalListener::bind(&place.socket(), 0o600).expect_err("taken");
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
        Client::connect(place.socket()).expect("the first one listens still");
        // Somebody took the name over: that file is not ours to remove.
        fs::rename(place.socket(), place.0.join("moved")).expect("moved");
        let _other = std::os::unix::net::UnixListener::bind(place.socket()).expect("another");
        drop(first);
        Client::connect(place.socket()).expect("the other one listens still");
    }

    #[test]
    fn what_is_no_socket_is_never_removed() {
        let place = Place::new();
        fs::write(place.socket(), "precious").expect("a file");
        let wrong = LocalListener::bind(&place.socket(), 0o600).expect_err("a file");
        assert_eq!(wrong.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(place.socket()).expect("still there"), b"precious");
        let target = place.0.join("target");
        fs::rename(place.socket(), &target).expect("moved");
        std::os::unix::fs::symlink(&target, place.socket()).expect("a link");
        let wrong = LocalListener::bind(&place.socket(), 0o600).expect_err("a link");
        assert_eq!(wrong.kind(), ErrorKind::AlreadyExists);
        assert!(target.exists());
    }
}
