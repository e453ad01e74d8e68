//! Where admin connections come in.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use mio::Registry;

use crate::config::AdminListen;
use crate::control::{AdminBound, Speaks};
use crate::event::Owner;
use crate::net::tls::server::{Inside, ServerTls};
use crate::net::{Accepted, LocalAccepted};

use super::entry::Entry;
use super::socket::AdminSocket;

/// A listener for admin connections.
pub struct AdminListener {
    /// Where it was asked for.
    pub place: AdminListen,
    /// What is spoken there.
    pub speaks: Speaks,
    socket: AdminBound,
    /// What is shown where TLS is spoken.
    pub tls: Option<Arc<ServerTls>>,
}

/// A client of it.
pub struct Arrived {
    /// Its socket.
    pub socket: AdminSocket,
    /// By which way it came, and from where.
    pub entry: Entry,
    /// What is spoken with it.
    pub speaks: Speaks,
}

/// What an accept came to.
pub enum Arrival {
    /// Somebody.
    Client(Arrived),
    /// Somebody who was gone already.
    Gone,
    /// Nobody waits.
    Nobody,
    /// It does not work now.
    Failed(io::Error),
}

impl AdminListener {
    /// One at a socket that is bound.
    pub fn new(place: AdminListen, speaks: Speaks, socket: AdminBound) -> AdminListener {
        AdminListener { place, speaks, socket, tls: None }
    }

    /// Where it really is.
    pub fn real(&self) -> AdminListen {
        match (&self.place, &self.socket) {
            (AdminListen::Http(at), AdminBound::Stream(it)) => {
                AdminListen::Http(it.address().socket_address().unwrap_or(*at))
            }
            (AdminListen::Https(at), AdminBound::Stream(it)) => {
                AdminListen::Https(it.address().socket_address().unwrap_or(*at))
            }
            (place, _) => place.clone(),
        }
    }

    /// The same socket by another descriptor, and device and inode of its file.
    pub fn copy(&self) -> io::Result<(OwnedFd, Option<(u64, u64)>)> {
        match &self.socket {
            AdminBound::Local(it) => Ok((it.copy()?, it.file_id())),
            AdminBound::Stream(it) => Ok((it.copy()?, it.file_id())),
        }
    }

    /// Whether somebody else made it, and has it open as well.
    pub fn is_shared(&self) -> bool {
        match &self.socket {
            AdminBound::Local(it) => it.file_id().is_none(),
            AdminBound::Stream(it) => it.is_shared(),
        }
    }

    /// The process that had it has given it up: its file is ours.
    pub fn own_file(&mut self) {
        match &mut self.socket {
            AdminBound::Local(it) => it.own_file(),
            AdminBound::Stream(it) => it.own_file(),
        }
    }

    /// It is another process's from now on.
    pub fn hand_over(self, registry: &Registry) {
        match self.socket {
            AdminBound::Local(it) => it.hand_over(registry),
            AdminBound::Stream(it) => it.hand_over(registry),
        }
    }

    /// Its socket is made anew if its file is gone, or is another one's. Says whether it was.
    pub fn restore(
        &mut self,
        mode: u32,
        registry: &Registry,
        owner: Owner,
    ) -> io::Result<bool> {
        match (&mut self.socket, &self.place) {
            (AdminBound::Local(it), AdminListen::Unix(path)) if it.has_lost_file() => {
                it.restore(Path::new(path), mode, registry, owner).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Ask the poll to tell of clients.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match &mut self.socket {
            AdminBound::Local(it) => it.register(registry, owner),
            AdminBound::Stream(it) => it.register(registry, owner),
        }
    }

    /// The poll is to tell nothing more of it: others may have its socket as well.
    pub fn deregister(&mut self, registry: &Registry) {
        match &mut self.socket {
            AdminBound::Local(it) => it.deregister(registry),
            AdminBound::Stream(it) => it.deregister(registry),
        }
    }

    /// An event said that somebody is waiting.
    pub fn mark(&mut self) {
        match &mut self.socket {
            AdminBound::Local(it) => it.mark(),
            AdminBound::Stream(it) => it.mark(),
        }
    }

    /// Take the next client.
    pub fn accept(&mut self) -> Arrival {
        match &mut self.socket {
            AdminBound::Local(it) => match it.accept() {
                LocalAccepted::Client(socket, peer) => Arrival::Client(Arrived {
                    socket: AdminSocket::Local(socket),
                    entry: Entry::local(self.place.to_string(), peer),
                    speaks: self.speaks,
                }),
                LocalAccepted::Nobody => Arrival::Nobody,
                LocalAccepted::Failed(error) => Arrival::Failed(error),
            },
            AdminBound::Stream(it) => match it.accept() {
                Accepted::Client(mut stream, address) => {
                    let entry = match self.speaks {
                        Speaks::Metrics => Entry::scraper(address.to_string()),
                        _ => Entry::tcp(address.to_string(), self.tls.is_some()),
                    };
                    if let Some(tls) = &self.tls
                        && stream.begin_tls(tls.config(Inside::Http)).is_err()
                    {
                        return Arrival::Gone;
                    }
                    let socket = AdminSocket::Stream(stream);
                    Arrival::Client(Arrived { socket, entry, speaks: self.speaks })
                }
                Accepted::GaveUp => Arrival::Gone,
                Accepted::Nobody => Arrival::Nobody,
                Accepted::Failed(error) => Arrival::Failed(error),
            },
        }
    }
}

impl fmt::Debug for AdminListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminListener({})", self.place)
    }
}
