//! A client that has to shake hands before it is served: TLS at an `https://` or `tls://` listener.
//!
//! ```text
//!   Handshaking ---- done ----> Picking: served like any other client from now on
//!       |  |
//!       |  +-- it fails -------> the alert is sent; FIN, hear it out for a moment, close
//!       |  +-- plain HTTP -----> a 400 that can be read, in the clear; the same
//!       |  +-- not a byte -----> closed: a look whether the port is open is no failure
//!       +----- too late -------> closed
//!
//! What fails is counted, and has a line in the access log that says why.
//! ```
//!
//! No backend is looked for before the handshake is done. Handshakes are dear, so only a few are
//! worked on in a turn, those with backends and of probes included; the others wait in the run
//! queue, and the relays come in between.

use std::time::Instant;

use crate::config::Protocol;
use crate::context::Context;
use crate::limits::{CLIENT_SUBJECT_BYTES_MAX, TLS_WARNINGS};
use crate::net::Fault;
use crate::net::tls::{Handshake, Tls, Trouble};

use super::connect::watch;
use super::pair::{Pair, Reason, Stage, Verdict};
use super::{account, http};

/// The turn of a client that is new, or was shaking hands before.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if Context::must_wait(&mut cx.handshakes_left, &pair.client) {
        return Verdict::Again;
    }
    proceed(pair, cx)
}

/// Get on with the handshake.
fn proceed(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.client.shake_hands() {
        Handshake::Pending => {
            pair.arm_by(deadline(pair, cx), cx);
            watch(pair, Verdict::Keep, cx)
        }
        Handshake::Done => {
            cx.stats.handshakes.done += 1;
            let resumed = pair.client.tls().is_some_and(|tls| tls.is_resumed());
            cx.stats.handshakes.resumed += u64::from(resumed);
            if pair.client.tls().is_some_and(Tls::leaves_subject_out) {
                note_untold_subject(pair, cx);
            }
            pair.stage = Stage::Picking;
            pair.active_at = cx.now;
            super::serve(pair, cx)
        }
        Handshake::Plain => {
            cx.stats.handshakes.failed += 1;
            pair.client.drop_tls();
            pair.stage = Stage::Picking;
            if pair.protocol == Protocol::Http {
                // Its 400 has a line of its own.
                return http::refuse_plain(pair, cx);
            }
            account::handshake_failed(Fault::Tls(Trouble::NotTls), pair, cx);
            http::hear_out(pair, cx)
        }
        Handshake::Failed(fault) if !has_spoken(pair) => {
            Verdict::Close(if fault == Fault::CutShort {
                Reason::Finished
            } else {
                Reason::ClientBroke(fault)
            })
        }
        Handshake::Failed(fault) => {
            note_failure(fault, pair, cx);
            if !matches!(fault, Fault::Tls(_)) {
                return Verdict::Close(Reason::ClientBroke(fault));
            }
            pair.client.drop_tls();
            pair.stage = Stage::Picking;
            http::hear_out(pair, cx)
        }
    }
}

fn has_spoken(pair: &Pair) -> bool {
    pair.client.tls().is_some_and(Tls::has_heard)
}

#[cold]
fn note_untold_subject(pair: &Pair, cx: &mut Context) {
    cx.stats.handshakes.subjects_left_out += 1;
    if cx.tls_warnings.lets_through(cx.now, TLS_WARNINGS) {
        log::warn!(
            "client {} shows a certificate whose subject is longer than \
             {CLIENT_SUBJECT_BYTES_MAX} bytes or cannot be read: no X-SSL-Client-S-DN for it",
            pair.client_address
        );
    }
}

fn note_failure(fault: Fault, pair: &Pair, cx: &mut Context) {
    cx.stats.handshakes.failed += 1;
    let (number, doing, client) = (pair.number, pair.doing(), pair.client_address);
    log::debug!("pair {number}: {doing}: {client}: {fault}");
    account::handshake_failed(fault, pair, cx);
}

/// The timer fired: the client took too long, unless it is another deadline's.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let deadline = deadline(pair, cx);
    if deadline > cx.now {
        pair.arm_by(deadline, cx);
        return Verdict::Keep;
    }
    note_failure(Fault::TimedOut, pair, cx);
    Verdict::Close(Reason::ClientBroke(Fault::TimedOut))
}

fn deadline(pair: &Pair, cx: &Context) -> Instant {
    pair.opened_at + cx.settings.tls_handshake_timeout
}
