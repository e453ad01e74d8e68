//! Open descriptors that go with the bytes of a UNIX socket (SCM_RIGHTS).
//!
//! They go with the first byte of what they are sent with: if any of it is taken, they are. What is
//! received is closed on exec, and nobody's but ours.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;

use mio::Registry;
use mio::net::UnixStream;
use rustix::cmsg_space;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::event::Owner;
use crate::limits::TAKEOVER_DESCRIPTORS_MAX;

use super::super::{Fault, Received, Sent};
use super::{LocalListener, LocalStream};

/// Closed on exec from the beginning, where that can be asked for.
#[cfg(linux)]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(linux))]
const RECEIVE: RecvFlags = RecvFlags::empty();

/// That a broken connection is an error and no signal, which programs in Rust ignore in any case.
#[cfg(linux)]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(linux))]
const SEND: SendFlags = SendFlags::empty();

const SPACE: usize = cmsg_space!(ScmRights(TAKEOVER_DESCRIPTORS_MAX));

/// The same socket by another descriptor, for a message. It is closed once that is sent; whoever
/// gives up the socket itself tells the poll, for which it would be open elsewhere.
pub fn copy_of(socket: impl AsFd) -> io::Result<OwnedFd> {
    socket.as_fd().try_clone_to_owned()
}

/// Some of these bytes, and with the first of them the descriptors. Says how many bytes were taken.
pub fn send_with(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = [IoSlice::new(bytes)];
    loop {
        match sendmsg(&socket, &bytes, &mut control, SEND) {
            Err(Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Into a buffer that has room, and the descriptors that came with it behind those that are there.
pub fn receive_with(
    socket: impl AsFd,
    into: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(into)];
    let received = loop {
        match recvmsg(&socket, &mut into, &mut control, RECEIVE) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            for descriptor in came {
                if !cfg!(linux) {
                    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
                }
                descriptors.push(descriptor);
            }
        }
    }
    Ok(received.bytes)
}

impl LocalListener {
    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        copy_of(&self.socket)
    }

    /// Device and inode of its file.
    pub fn file_id(&self) -> Option<(u64, u64)> {
        self.file.as_ref().map(super::OwnFile::id)
    }

    /// The process that had it has given it up: its file is ours.
    pub fn own_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.own();
        }
    }

    /// It is another process's from now on, and so is its file.
    pub fn hand_over(mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.socket);
        self.file.into_iter().for_each(super::OwnFile::disown);
    }
}

impl LocalStream {
    /// One that was connected elsewhere.
    pub fn of(socket: StdStream) -> io::Result<LocalStream> {
        socket.set_nonblocking(true)?;
        Ok(LocalStream::new(UnixStream::from_std(socket)))
    }

    /// From now on its events are this owner's.
    pub fn give_to(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        if std::mem::take(&mut self.is_armed) {
            registry.deregister(&mut self.socket)?;
        }
        self.readiness.can_read = true;
        self.readiness.can_write = true;
        self.arm(registry, owner)
    }

    /// The poll is to tell nothing more of it, though others have it open as well.
    pub fn deregister(&mut self, registry: &Registry) {
        if std::mem::take(&mut self.is_armed) {
            let _ = registry.deregister(&mut self.socket);
        }
    }

    /// Something may have come that no event told of.
    pub fn look(&mut self) {
        self.readiness.can_read = true;
    }

    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        copy_of(&self.socket)
    }

    /// Write from a buffer that is not empty; these descriptors go with its first byte.
    pub fn send_with(&mut self, from: &[u8], descriptors: &[OwnedFd]) -> io::Result<Sent> {
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        match send_with(&self.socket, from, &borrowed) {
            Ok(count) => Ok(Sent::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readiness.can_write = false;
                Ok(Sent::WouldBlock)
            }
            // Too many are on their way: nothing was taken, and no event tells when it will be.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::TOOMANYREFS) => {
                Err(error)
            }
            Err(error) => Ok(Sent::Broken(Fault::of(&error))),
        }
    }

    /// Read into a buffer that has room; descriptors that come go behind those that are there.
    pub fn receive_with(&mut self, into: &mut [u8], came: &mut Vec<OwnedFd>) -> Received {
        match receive_with(&self.socket, into, came) {
            Ok(0) => {
                self.readiness.can_read = false;
                Received::Eof
            }
            Ok(count) => Received::Bytes(count),
            Err(error) => {
                self.readiness.can_read = false;
                match error.kind() {
                    io::ErrorKind::WouldBlock => Received::WouldBlock,
                    _ => Received::Broken(Fault::of(&error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn descriptors_come_with_the_first_byte_of_what_they_were_sent_with() {
        let (ours, theirs) = StdStream::pair().expect("a pair");
        let files: Vec<(File, File)> = (0..TAKEOVER_DESCRIPTORS_MAX)
            .map(|_| {
                let (read, write) = rustix::pipe::pipe().expect("a pipe");
                (read.into(), write.into())
            })
            .collect();
        let writers: Vec<BorrowedFd<'_>> = files.iter().map(|it| it.1.as_fd()).collect();
        assert_eq!(send_with(&ours, b"plain", &[]).expect("sent"), 5);
        assert_eq!(send_with(&ours, b"with", &writers).expect("sent"), 4);
        assert_eq!(send_with(&ours, b"after", &[]).expect("sent"), 5);
        let mut came = Vec::new();
        let mut buffer = [0; 64];
        // Never beyond bytes that came with others.
        let first = receive_with(&theirs, &mut buffer, &mut came).expect("bytes");
        assert!(came.is_empty() || &buffer[..first] == b"plainwith", "{first}");
        while came.is_empty() {
            receive_with(&theirs, &mut buffer, &mut came).expect("bytes");
        }
        assert_eq!(came.len(), TAKEOVER_DESCRIPTORS_MAX);
        for (at, fd) in came.into_iter().enumerate() {
            let flags = rustix::io::fcntl_getfd(&fd).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            File::from(fd).write_all(&[at as u8]).expect("written");
            let mut byte = [0];
            (&files[at].0).read_exact(&mut byte).expect("the same pipe");
            assert_eq!(byte, [at as u8]);
        }
    }

    #[test]
    fn more_than_the_system_takes_is_refused_here() {
        let (ours, _theirs) = StdStream::pair().expect("a pair");
        let many = vec![ours.as_fd(); TAKEOVER_DESCRIPTORS_MAX + 1];
        let wrong = send_with(&ours, b"x", &many).expect_err("too many");
        assert_eq!(wrong.kind(), io::ErrorKind::InvalidInput);
    }
}
