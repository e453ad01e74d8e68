//! A request that is beyond a limit, held for a while before it is told so (`--reject tarpit`).
//!
//! It costs a timer: no backend hears of it, and nothing more of its client is read.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::http::answer::How;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::{Http, HttpState, HttpStep, reply};

/// A request that is held.
#[derive(Debug)]
pub(super) struct Held {
    own: OwnAnswer,
    how: How,
    /// When it is answered.
    pub until: Instant,
}

/// Hold a request back that is answered so in the end.
pub(super) fn begin(
    own: OwnAnswer,
    time: Duration,
    how: How,
    http: &mut Http,
    cx: &Context,
) -> HttpStep {
    let until = cx.now + time;
    http.state = HttpState::Held(Box::new(Held { own, how, until }));
    HttpStep::Wait
}

impl Held {
    /// Its turn: answer it, if it was held for long enough.
    pub fn proceed(
        self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if self.until > cx.now && !cx.draining {
            http.state = HttpState::Held(self);
            return HttpStep::Wait;
        }
        cx.guard.release_held();
        let keep_alive = self.how.keep_alive && !cx.lets_go(client.listener);
        reply::answer(self.own, How { keep_alive, ..self.how }, http, client, cx)
    }
}
