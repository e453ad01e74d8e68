//! What a socket can do, as far as we know: two bits a direction, and three hints.
//!
//! ```text
//!   can_read    set by an event (readable, read-closed, error)    cleared by WouldBlock, a short
//!                                                                  read (see below), or EOF
//!   can_write   set by an event (writable, write-closed, error)   cleared by WouldBlock or a
//!                                                                  short write, not a short splice
//!   read_closed  hint: the peer's FIN is here, so a short read has emptied the socket for good
//!   urgent       hint: reads stop at the urgent mark, so a short read says nothing
//!   error        hint: the socket has an errno to tell; ask it
//! ```
//!
//! The poll is edge-triggered: who clears `can` without the kernel having said WouldBlock waits for
//! an edge that never comes (pitfall 3). A short read counts as WouldBlock, because for stream
//! sockets `epoll(7)` says so, unless the event said read-closed (then the FIN was in the same edge
//! and there will be no other: pitfall 14) or there is urgent data. Hints never close anything
//! (pitfall 6): bytes may still wait behind a HUP, and only `read() == 0` or an errno ends a flow.

use mio::event::Event;

/// The bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may bring something.
    pub can_read: bool,
    /// A write may be taken.
    pub can_write: bool,
    /// The peer has finished sending.
    pub read_closed: bool,
    /// Urgent data is or was under way.
    pub urgent: bool,
    /// The socket has an error to tell.
    pub error: bool,
}

impl Readiness {
    /// Add what an event says. Hints stay: a FIN is not taken back.
    pub fn mark(&mut self, event: &Event) {
        let closed = event.is_read_closed() || event.is_write_closed();
        self.error |= event.is_error();
        self.can_read |=
            event.is_readable() || closed || event.is_error() || event.is_priority();
        self.can_write |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.read_closed |= event.is_read_closed();
        self.urgent |= event.is_priority();
    }
}
