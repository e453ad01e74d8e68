//! Our own answers, and the end of a client's connection.

use std::io::IoSlice;

use crate::context::Context;
use crate::http::answer::{self, How};
use crate::net::{Fault, Socket};

use super::super::account::{self, Own};
use super::super::pair::{Pair, Reason};
use super::super::parting::{Parted, Parting};
use super::{Http, Phase, Step, client_broke};

/// Answer what could not be understood, for the last time.
#[cold]
pub(super) fn refuse(own: Own, http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
    answer(own, How::LAST, http, pair, cx)
}

/// Send an answer of ours; nothing of a final one must be on its way.
pub(super) fn answer(
    own: Own,
    how: How,
    http: &mut Http,
    pair: &mut Pair,
    cx: &mut Context,
) -> Step {
    if pair.duplex.response.held() > 0 {
        // An interim answer that the client did not take: it takes no other one either.
        return client_broke(Fault::TimedOut);
    }
    http.phase = after(how.keep_alive);
    let mut flat = std::mem::take(&mut cx.http.flat);
    flat.clear();
    let how = How { hsts: hsts(pair, cx), ..how };
    answer::answer(own.status, own.why, how, &mut flat);
    if !how.keep_alive {
        pair.client.end_follows();
    }
    let flow = &mut pair.duplex.response;
    let sent = flow.offer(&[IoSlice::new(&flat)], &mut pair.client, &mut cx.buffers);
    account::own_answer(own, &flat, http.head_since.take(), pair, cx);
    cx.http.flat = flat;
    match sent {
        Ok(()) => Step::Next,
        Err(fault) => client_broke(fault),
    }
}

/// What answers to this client say of Strict-Transport-Security: in the clear, nothing.
pub(super) fn hsts(pair: &Pair, cx: &Context) -> Option<u64> {
    cx.settings.hsts.filter(|_| pair.client.tls().is_some())
}

/// What follows on an answer of ours.
pub(super) fn after(keep_alive: bool) -> Phase {
    if keep_alive { Phase::Head } else { Phase::Parting(Parting::default()) }
}

/// The parting's turn.
pub(super) fn part(
    mut parting: Parting,
    http: &mut Http,
    pair: &mut Pair,
    cx: &mut Context,
) -> Step {
    match parting.proceed(pair, cx) {
        Parted::Yes => Step::Close(Reason::Finished),
        Parted::Broke(fault) => client_broke(fault),
        Parted::NotYet => {
            http.phase = Phase::Parting(parting);
            Step::Wait
        }
    }
}
