//! A socket to a server of names: of UDP from a port of its own, or of TCP.

use std::io;
use std::net::SocketAddr;

use mio::Registry;
use mio::event::Event;

use crate::config::Address;
use crate::dns::ask::Transport;
use crate::dns::framing::Frames;
use crate::event::{Key, Owner};
use crate::net::{Connect, DatagramSocket, Fault, Received, Sent, Socket, Stream};

/// One of a look-up.
pub(super) struct Line {
    /// The name that is looked up.
    pub name: Key,
    pub server: SocketAddr,
    pub transport: Transport,
    wire: Wire,
    /// It is in the run queue.
    pub queued: bool,
    /// Its server closed it, or was not reached.
    pub is_broken: bool,
    /// Its look-up is over.
    pub is_over: bool,
}

enum Wire {
    Udp(DatagramSocket, bool),
    Tcp(Box<Conversation>),
}

struct Conversation {
    stream: Stream,
    is_connected: bool,
    /// What is to be sent, framed.
    out: Vec<u8>,
    frames: Frames,
    message: Vec<u8>,
}

/// What came.
pub(super) enum Heard<'a> {
    Nothing,
    Message(&'a [u8]),
    Broken(String),
}

impl Line {
    pub fn open(name: Key, server: SocketAddr, transport: Transport) -> Result<Line, Fault> {
        let to = Address::from(server);
        let wire = match transport {
            Transport::Udp => Wire::Udp(DatagramSocket::connect(&to)?, false),
            Transport::Tcp => {
                let mut stream = Stream::connect(&to, None, None)?;
                stream.want_write();
                Wire::Tcp(Box::new(Conversation {
                    stream,
                    is_connected: false,
                    out: Vec::new(),
                    frames: Frames::default(),
                    message: Vec::new(),
                }))
            }
        };
        let (queued, is_broken, is_over) = Default::default();
        Ok(Line { name, server, transport, wire, queued, is_broken, is_over })
    }

    /// Whether messages to this server can go by it.
    pub fn serves(&self, server: SocketAddr, transport: Transport) -> bool {
        self.server == server && self.transport == transport && !self.is_broken
    }

    /// Ask the poll to tell of answers, for good; of TCP, [`Line::arm`] does.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match &mut self.wire {
            Wire::Udp(socket, _) => socket.register(registry, owner),
            Wire::Tcp(_) => Ok(()),
        }
    }

    /// Ask the poll for what is wanted and not yet asked for; nothing of UDP.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> Option<io::Result<()>> {
        match &mut self.wire {
            Wire::Udp(..) => None,
            Wire::Tcp(it) => Some(it.stream.arm(registry, owner)),
        }
    }

    pub fn mark(&mut self, event: &Event) {
        match &mut self.wire {
            Wire::Udp(_, ready) => *ready = true,
            Wire::Tcp(it) => it.stream.mark(event),
        }
    }

    /// Whether there may be more than was heard in one turn.
    pub fn has_more(&self) -> bool {
        match &self.wire {
            Wire::Udp(_, ready) => *ready && !self.is_broken,
            Wire::Tcp(it) => it.is_connected && it.stream.can_read() && !self.is_broken,
        }
    }

    /// A message goes out; by TCP as soon as it can.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.wire {
            Wire::Udp(socket, _) => socket.send(bytes).map_err(|fault| fault.to_string()),
            Wire::Tcp(it) => {
                it.out.extend_from_slice(bytes);
                it.flush()
            }
        }
    }

    /// The next message that came.
    pub fn hear<'a>(&'a mut self, scratch: &'a mut [u8]) -> Heard<'a> {
        match &mut self.wire {
            Wire::Udp(socket, ready) => match socket.receive(scratch) {
                Ok(Some(count)) => Heard::Message(&scratch[..count]),
                Ok(None) => {
                    *ready = false;
                    Heard::Nothing
                }
                Err(fault) => Heard::Broken(fault.to_string()),
            },
            Wire::Tcp(it) => it.hear(scratch),
        }
    }
}

impl Conversation {
    fn flush(&mut self) -> Result<(), String> {
        if !self.is_connected {
            match self.stream.connect_outcome() {
                Connect::Pending => return Ok(()),
                Connect::Failed(fault) => return Err(fault.to_string()),
                Connect::Done => self.is_connected = true,
            }
        }
        while !self.out.is_empty() && self.stream.can_write() {
            match self.stream.send(&self.out) {
                Sent::Bytes(count) => drop(self.out.drain(..count)),
                Sent::WouldBlock => break,
                Sent::Broken(fault) => return Err(fault.to_string()),
            }
        }
        if !self.out.is_empty() {
            self.stream.want_write();
        }
        Ok(())
    }

    fn hear(&mut self, scratch: &mut [u8]) -> Heard<'_> {
        if let Err(why) = self.flush() {
            return Heard::Broken(why);
        }
        loop {
            if let Some(message) = self.frames.pop() {
                self.message = message;
                return Heard::Message(&self.message);
            }
            if !self.is_connected || !self.stream.can_read() {
                return Heard::Nothing;
            }
            match self.stream.receive(scratch) {
                Received::Bytes(count) => self.frames.push(&scratch[..count]),
                Received::Eof => return Heard::Broken("it closed the connection".to_owned()),
                Received::WouldBlock => return Heard::Nothing,
                Received::Broken(fault) => return Heard::Broken(fault.to_string()),
            }
        }
    }
}
