//! UNIX sockets as streams: one that is being connected, and one that listens.
//!
//! A stream socket is read, written, shut and spliced by the same calls whatever its family is, so
//! that what has a stream of TCP has this one as well: the type that the standard library calls
//! `TcpStream` is a descriptor. What only TCP has (its buffers' marks, keepalive, addresses) fails
//! on it, which its callers bear.

mod permission;

use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpStream as StdStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::path::{Path, PathBuf};

use mio::net::{TcpStream, UnixListener, UnixStream};
use socket2::{Domain, SockAddr, SockRef, Type};

use crate::config::{Address, UnixName};
use crate::limits::LISTEN_BACKLOG;

/// Whose the file of a socket is, and who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketFile {
    /// Permission as `chmod` takes it.
    pub mode: u32,
    /// The owner that it gets, if it is not to be ours.
    pub owner: Option<FileOwner>,
}

/// The owner of a file, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOwner {
    /// The user.
    pub user: Option<u32>,
    /// The group.
    pub group: Option<u32>,
}

/// The file of a socket that we made, which goes with it.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
    /// Another process has it yet: it stays where it is.
    is_anothers: bool,
}

/// A socket that is being connected. To a UNIX socket that is done at once or never: where there is
/// no file, or the queue of the listener is full, nobody takes the connection, as at a port of TCP
/// where nobody listens.
pub fn connect(to: &Address) -> io::Result<TcpStream> {
    match to {
        Address::Ip(to) => TcpStream::connect(*to),
        Address::Link(to) => TcpStream::connect(to.socket_address().into()),
        Address::Unix(name) => match UnixStream::connect_addr(&address(name)?) {
            Ok(socket) => Ok(as_stream(socket)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::WouldBlock => {
                    Err(ErrorKind::ConnectionRefused.into())
                }
                _ => Err(error),
            },
        },
    }
}

/// The same socket, as the type that streams have.
pub fn as_stream(socket: UnixStream) -> TcpStream {
    TcpStream::from_std(StdStream::from(OwnedFd::from(socket)))
}

/// The name as the system takes it.
pub fn address(name: &UnixName) -> io::Result<SocketAddr> {
    match (name.path(), name.abstract_name()) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => of_abstract(name),
        (None, None) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(linux)]
fn of_abstract(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(linux))]
fn of_abstract(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Listen at this path, its file being like this. A file that a process left behind is replaced;
/// one where somebody listens, or that is no socket, is not.
pub fn bind(path: &Path, file: &SocketFile) -> io::Result<(UnixListener, OwnFile)> {
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // From here on, dropped on an error, it takes the file with it.
    let own = OwnFile::at(path)?;
    // Before it listens nobody can connect, whatever the permission is until now.
    own.become_like(file)?;
    socket.listen(LISTEN_BACKLOG)?;
    let socket = StdListener::from(OwnedFd::from(socket));
    Ok((UnixListener::from_std(socket), own))
}

/// Listen at a name that has no file.
pub fn bind_abstract(name: &UnixName) -> io::Result<UnixListener> {
    let socket = UnixListener::bind_addr(&address(name)?)?;
    // The standard library's own queue is shorter. Failing, it stays so.
    let _ = SockRef::from(&socket.as_fd()).listen(LISTEN_BACKLOG);
    Ok(socket)
}

impl OwnFile {
    fn at(path: &Path) -> io::Result<OwnFile> {
        Ok(OwnFile { path: path.to_owned(), id: id_of(path)?, is_anothers: false })
    }

    /// The file that is there, if it is this one: a process made it in whose place we are to be.
    /// It is that one's until [`OwnFile::own`].
    pub fn taken_over(path: &Path, id: (u64, u64)) -> Option<OwnFile> {
        let file = OwnFile { path: path.to_owned(), id, is_anothers: true };
        file.is_there().then_some(file)
    }

    /// It is ours from now on, and goes with us.
    pub fn own(&mut self) {
        self.is_anothers = false;
    }

    /// Device and inode.
    pub fn id(&self) -> (u64, u64) {
        self.id
    }

    /// It is another process's, and stays.
    pub fn disown(mut self) {
        self.is_anothers = true;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Give it this permission and this owner. Another one that is there meanwhile stays as it is.
    pub fn become_like(&self, file: &SocketFile) -> io::Result<()> {
        permission::set(&self.path, self.id, file)
    }

    /// Whether it may be elsewhere, where a file that a process left behind is removed.
    pub fn may_move_to(&self, path: &Path) -> io::Result<()> {
        match self.is_there() {
            true => remove_stale(path),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    /// It is elsewhere, where nobody looks for it; or here again. What is there meanwhile stays.
    pub fn move_to(&mut self, path: &Path) -> io::Result<()> {
        if !self.is_there() {
            return Err(ErrorKind::NotFound.into());
        }
        if self.path == path {
            return Ok(());
        }
        remove_stale(path)?;
        fs::rename(&self.path, path)?;
        self.path = path.to_owned();
        Ok(())
    }

    /// Another process may have put its own there meanwhile.
    pub fn is_there(&self) -> bool {
        id_of(&self.path).is_ok_and(|id| id == self.id)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !self.is_anothers && self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Remove the file of a socket at which nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Else it would wait where many wait already.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        // It is there, or would be if fewer were waiting.
        Ok(()) | Err(_) => Err(ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests;
