//! The end of a client's connection, in a way that lets it read our last word (pitfall 8): FIN,
//! then what it still says is read and dropped for a moment; a reset would overtake the word.
//!
//! ```text
//!   the word is sent, FIN behind it ---> the client has finished, said too much, or LINGER is over
//! ```
//!
//! The last talk of every client that was told something: an answer of HTTP, an alert of TLS.

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

/// How far it is.
#[derive(Debug)]
pub struct Parting {
    /// Our last word is out, and FIN behind it.
    told: bool,
    /// Bytes that were read and dropped since.
    dropped: u32,
    /// What the pair is closed for in the end.
    reason: Reason,
}

/// Tell a client of TLS why it is not served.
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
    /// Our last word was given to the client's direction, or to its socket.
    pub fn new(reason: Reason) -> Parting {
        Parting { told: false, dropped: 0, reason }
    }

    /// Whether our last word is out, and nothing is owed to the client.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Its turn: send what is left of the word, then read and drop what comes.
    pub fn act(&mut self, client: &mut Client, cx: &mut Context) -> Verdict {
        let (_, mut buffers) = cx.connection_and_buffers(None);
        let response = &mut client.duplex.response;
        if let Err(fault) = response.flush_to(&mut client.socket, &mut buffers) {
            return client_broke(fault, client);
        }
        let sent = response.held() == 0;
        if sent && !self.told {
            self.told = true;
            client.active_at = cx.now;
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
        client.arm_by(self.deadline(client), cx);
        watch(client, Verdict::Keep, cx)
    }

    /// The timer fired: perhaps too early, for deadlines move without it.
    pub fn on_timer(&self, client: &mut Client, cx: &mut Context) -> Verdict {
        let deadline = self.deadline(client);
        if deadline > cx.now {
            client.arm_by(deadline, cx);
            return Verdict::Keep;
        }
        Verdict::Close(self.reason)
    }

    fn deadline(&self, client: &Client) -> Instant {
        client.active_at + LINGER
    }
}

fn client_broke(fault: Fault, client: &mut Client) -> Verdict {
    client.duplex.client_broke(fault);
    Verdict::Close(Reason::ClientBroke(fault))
}
