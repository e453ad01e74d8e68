//! The TLS handshake with a client of an `https://` or `tls://` listener, as a phase.
//!
//! ```text
//!   begin ---- done ----> the next phase; nothing above `net::stream` deals with TLS from now on
//!     |  |
//!     |  +-- it fails -------> the alert is sent; then `relay::parting`
//!     |  +-- plain HTTP -----> a 400 that can be read, in the clear; the same
//!     |  +-- not a byte -----> closed: a TCP health check is no failure
//!     +----- too late -------> closed
//!
//! Failures are counted, and have a line in the access log that says why.
//! ```
//!
//! No backend is looked for before the handshake is done. Handshakes are expensive, so only a few
//! are worked on in a turn, those with backends and of probes included; the others wait in the run
//! queue, and the relays come in between.

use std::time::Instant;

use crate::config::Service;
use crate::context::Context;
use crate::limits::{CLIENT_SUBJECT_BYTES_MAX, TLS_WARNINGS};
use crate::net::Fault;
use crate::net::tls::server::Inside;
use crate::net::tls::{Handshake, Tls, Trouble};

use super::client::Client;
use super::connect::watch;
use super::verdict::{Reason, Successor, Verdict};
use super::{report, strike};

/// Start the handshake of a client.
pub fn begin(client: &mut Client, cx: &mut Context) -> Verdict {
    let inside = match service(client, cx) {
        Service::Http => Inside::Http,
        Service::Bytes => Inside::Bytes,
    };
    let begun = match &cx.listeners[client.listener].tls {
        Some(server_tls) => client.socket.begin_tls(server_tls.config(inside)),
        // because: the flags are refused where a listener speaks TLS without certificates.
        None => Err(Fault::Tls(Trouble::Other)),
    };
    match begun {
        Ok(()) => act(client, cx),
        Err(fault) => Verdict::Close(Reason::ClientBroke(fault)),
    }
}

/// Its turn: go on with the handshake.
pub fn act(client: &mut Client, cx: &mut Context) -> Verdict {
    if Context::must_wait(&mut cx.handshakes_left, &client.socket) {
        return Verdict::Again;
    }
    match client.socket.shake_hands() {
        Handshake::Pending => {
            client.arm_by(deadline(client, cx), cx);
            watch(client, Verdict::Keep, cx)
        }
        Handshake::Done => done(client, cx),
        Handshake::Plain => plain(client, cx),
        Handshake::Failed(fault) => failed(fault, client, cx),
    }
}

/// The timer fired: the client took too long, unless it is another deadline's.
pub fn on_timer(client: &mut Client, cx: &mut Context) -> Verdict {
    let deadline = deadline(client, cx);
    if deadline > cx.now {
        client.arm_by(deadline, cx);
        return Verdict::Keep;
    }
    note_failure(Fault::TimedOut, client, cx);
    Verdict::Close(Reason::ClientBroke(Fault::TimedOut))
}

fn service(client: &Client, cx: &Context) -> Service {
    cx.listeners[client.listener].phases.service
}

fn done(client: &mut Client, cx: &mut Context) -> Verdict {
    cx.stats.handshakes.done += 1;
    let resumed = client.socket.tls().is_some_and(|tls| tls.is_resumed());
    cx.stats.handshakes.resumed += u64::from(resumed);
    if client.socket.tls().is_some_and(Tls::leaves_subject_out) {
        note_subject_left_out(client, cx);
    }
    client.note_active(cx);
    Verdict::Become(Successor::NextPhase)
}

/// What came is not TLS. A client of HTTP gets an answer that says so.
fn plain(client: &mut Client, cx: &mut Context) -> Verdict {
    cx.stats.handshakes.failed += 1;
    client.socket.drop_tls();
    if service(client, cx) == Service::Http {
        // The 400 is logged as an HTTP answer.
        return Verdict::Become(Successor::PlainHttp);
    }
    strike::by_client(client, "a TLS handshake that failed", cx);
    report::handshake_failed(Fault::Tls(Trouble::NotTls), client, cx);
    Verdict::Become(Successor::Parting(Reason::Finished))
}

fn failed(fault: Fault, client: &mut Client, cx: &mut Context) -> Verdict {
    let has_spoken = client.socket.tls().is_some_and(Tls::has_heard);
    if !has_spoken && fault == Fault::CutShort {
        return Verdict::Close(Reason::Finished);
    }
    if !has_spoken {
        return Verdict::Close(Reason::ClientBroke(fault));
    }
    note_failure(fault, client, cx);
    if !matches!(fault, Fault::Tls(_)) {
        return Verdict::Close(Reason::ClientBroke(fault));
    }
    client.socket.drop_tls();
    Verdict::Become(Successor::Parting(Reason::Finished))
}

#[cold]
fn note_subject_left_out(client: &Client, cx: &mut Context) {
    cx.stats.handshakes.subjects_left_out += 1;
    if cx.tls_warnings.allows(cx.now, TLS_WARNINGS) {
        log::warn!(
            "client {} shows a certificate whose subject is longer than \
             {CLIENT_SUBJECT_BYTES_MAX} bytes or cannot be read: no X-SSL-Client-S-DN for it",
            client.address
        );
    }
}

fn note_failure(fault: Fault, client: &Client, cx: &mut Context) {
    cx.stats.handshakes.failed += 1;
    log::debug!("pair {}: shaking hands: {}: {fault}", client.number, client.address);
    strike::by_client(client, "a TLS handshake that failed", cx);
    report::handshake_failed(fault, client, cx);
}

fn deadline(client: &Client, cx: &Context) -> Instant {
    client.opened_at(cx) + cx.listener(client.listener).tls_handshake_timeout
}
