//! Lingering close (pitfall 8): our last answer and a FIN are sent, then what the client still
//! sends is read and dropped for a while. Closing with unread bytes would send a reset, and that
//! could overtake the answer.
//!
//! ```text
//!   answer and FIN are sent ---> the client finished, sent too much, or LINGER is over: closed
//! ```
//!
//! The last talk of every client that gets an answer of HTTP or an alert of TLS from us.

use std::io::IoSlice;
use std::time::Instant;

use log::debug;

use crate::context::Context;
use crate::hello::Alert;
use crate::limits::{LINGER, LINGER_BYTES_MAX};
use crate::net::{Fault, Received, Socket};

use super::client::Client;
use super::connect::watch;
use super::verdict::{Reason, Successor, Verdict};

/// How far the close is.
#[derive(Debug)]
pub struct Parting {
    /// The answer is sent, and a FIN behind it.
    told: bool,
    /// Bytes that were read and dropped since, at most [`LINGER_BYTES_MAX`] and a read.
    dropped: u32,
    /// What the pair is closed for in the end.
    reason: Reason,
}

/// Send a TLS client the alert that says why it is not served.
pub fn alert(alert: Alert, client: &mut Client, cx: &mut Context) -> Verdict {
    debug!("pair {}: refused with the alert {alert}", client.number);
    let record = alert.record();
    client.socket.end_follows();
    let response = &mut client.duplex.response;
    match response.offer(&[IoSlice::new(&record)], &mut client.socket, &mut cx.buffers) {
        Ok(()) => Verdict::Become(Successor::Parting(Reason::Alerted(alert))),
        Err(fault) => client_broke(fault, client),
    }
}

impl Parting {
    /// The last answer was handed to the client's direction, or to its socket.
    pub fn new(reason: Reason) -> Parting {
        Parting { told: false, dropped: 0, reason }
    }

    /// Whether the answer is sent, so that closing now loses nothing of it.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Its turn: send what is left of the answer, then read and drop what comes.
    pub fn act(&mut self, client: &mut Client, cx: &mut Context) -> Verdict {
        let (_, mut buffers) = cx.connection_and_buffers(None);
        let response = &mut client.duplex.response;
        if let Err(fault) = response.flush_to(&mut client.socket, &mut buffers) {
            return client_broke(fault, client);
        }
        let sent = response.held() == 0;
        if sent && !self.told {
            self.told = true;
            client.note_active(cx);
            client.socket.finish_sending();
        }
        while sent && client.socket.can_read() {
            match client.socket.receive(&mut cx.scratch) {
                Received::Bytes(count) => self.dropped += count as u32,
                Received::WouldBlock => break,
                Received::Eof | Received::Broken(_) => return Verdict::Close(self.reason),
            }
            if self.dropped >= LINGER_BYTES_MAX as u32 {
                return Verdict::Close(self.reason);
            }
        }
        client.arm_by(self.deadline(client, cx), cx);
        watch(client, Verdict::Keep, cx)
    }

    /// The timer fired: perhaps too early, for deadlines move without it.
    pub fn on_timer(&self, client: &mut Client, cx: &mut Context) -> Verdict {
        let deadline = self.deadline(client, cx);
        if deadline > cx.now {
            client.arm_by(deadline, cx);
            return Verdict::Keep;
        }
        Verdict::Close(self.reason)
    }

    fn deadline(&self, client: &Client, cx: &Context) -> Instant {
        client.active_at(cx) + LINGER
    }
}

fn client_broke(fault: Fault, client: &mut Client) -> Verdict {
    client.duplex.client_broke(fault);
    Verdict::Close(Reason::ClientBroke(fault))
}
