//! A listening socket that goes to another process, which has it open as well from then on: it is
//! never shut here, its file stays, and the poll is told that it is over.

use std::io;
use std::os::fd::OwnedFd;

use mio::Registry;

use super::super::copy_of;
use super::{Listening, StreamListener};

impl StreamListener {
    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Listening::Tcp(socket) => copy_of(socket),
            Listening::Unix(socket, _) => copy_of(socket),
        }
    }

    /// Device and inode of its file, if that goes with it.
    pub fn file_id(&self) -> Option<(u64, u64)> {
        match &self.socket {
            Listening::Unix(_, file) => file.as_ref().map(super::OwnFile::id),
            Listening::Tcp(_) => None,
        }
    }

    /// The process that had it has given it up: its file is ours.
    pub fn own_file(&mut self) {
        if let Listening::Unix(_, Some(file)) = &mut self.socket {
            file.own();
        }
    }

    /// It is another process's from now on.
    pub fn hand_over(mut self, registry: &Registry) {
        // because: failing, it was not registered.
        let _ = match &mut self.socket {
            Listening::Tcp(socket) => registry.deregister(socket),
            Listening::Unix(socket, _) => registry.deregister(socket),
        };
        if let Listening::Unix(_, Some(file)) = self.socket {
            file.disown();
        }
    }
}
