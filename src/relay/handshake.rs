//! A client that has to shake hands before it is served: TLS at an `https://` or `tls://` listener.
//!
//! ```text
//!   Handshaking ---- done ----> Picking: served like any other client from now on
//!       |  |
//!       |  +-- it fails -------> the alert is sent; FIN, hear it out for a moment, close
//!       |  +-- plain HTTP -----> a 400 that can be read, in the clear; the same
//!       +----- too late -------> closed
//! ```
//!
//! No backend is looked for before the handshake is done. Handshakes are dear, so only a few are
//! worked on in a turn; the others wait in the run queue, and the relays come in between.

use std::time::Instant;

use crate::config::Protocol;
use crate::context::Context;
use crate::net::tls::Handshake;
use crate::net::{Fault, Socket};

use super::connect::watch;
use super::http;
use super::pair::{Pair, Reason, Stage, Verdict};

/// The turn of a client that was shaking hands before.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if cx.handshakes_left == 0 && pair.client.can_read() {
        return Verdict::Again;
    }
    cx.handshakes_left = cx.handshakes_left.saturating_sub(1);
    proceed(pair, cx)
}

/// Get on with the handshake.
pub fn proceed(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.client.shake_hands() {
        Handshake::Pending => {
            pair.arm_by(deadline(pair, cx), cx);
            watch(pair, Verdict::Keep, cx)
        }
        Handshake::Done => {
            cx.stats.handshakes.done += 1;
            let resumed = pair.client.tls().is_some_and(|tls| tls.is_resumed());
            cx.stats.handshakes.resumed += u64::from(resumed);
            pair.stage = Stage::Picking;
            pair.active_at = cx.now;
            super::serve(pair, cx)
        }
        Handshake::Plain => {
            cx.stats.handshakes.failed += 1;
            pair.client.drop_tls();
            pair.stage = Stage::Picking;
            match pair.protocol {
                Protocol::Http => http::refuse_plain(pair, cx),
                _ => http::hear_out(pair, cx),
            }
        }
        Handshake::Failed(fault) => {
            cx.stats.handshakes.failed += 1;
            log::debug!("pair {}: {}: {fault}", pair.number, pair.doing());
            if !matches!(fault, Fault::Tls(_)) {
                return Verdict::Close(Reason::ClientBroke(fault));
            }
            pair.client.drop_tls();
            pair.stage = Stage::Picking;
            http::hear_out(pair, cx)
        }
    }
}

/// The timer fired: the client took too long, unless it is another deadline's.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let deadline = deadline(pair, cx);
    if deadline > cx.now {
        pair.arm_by(deadline, cx);
        return Verdict::Keep;
    }
    cx.stats.handshakes.failed += 1;
    Verdict::Close(Reason::ClientBroke(Fault::TimedOut))
}

fn deadline(pair: &Pair, cx: &Context) -> Instant {
    pair.opened_at + cx.settings.tls_handshake_timeout
}
