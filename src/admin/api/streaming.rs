//! Events as they happen: a stream of server-sent events (WHATWG HTML, section 9.2).

use crate::limits::ADMIN_PIECE_BYTES;

use super::super::answer::{Answer, More, Pieces};
use super::super::request::Request;
use super::super::view::View;

/// Events behind the last that was seen, and those to come.
struct Stream {
    /// The number of the last one that was written.
    last: u64,
    /// Only these kinds, if any are named.
    kinds: Vec<String>,
    /// The first words were said.
    has_begun: bool,
}

/// A stream of events; with `Last-Event-ID` those that were missed come first.
pub(super) fn events(request: &Request, view: &View<'_>) -> Answer {
    let kinds = request.parameter("kind").unwrap_or_default();
    let kinds = kinds.split(',').filter(|it| !it.is_empty()).map(str::to_owned);
    let since = request.parameter("since").and_then(|it| it.parse().ok());
    let newest = view.events.last();
    // A number that is still to come is of a process before this one: all of ours was missed.
    let known = |last: u64| if last > newest { 0 } else { last };
    let last = request.last_event.or(since).map_or(newest, known);
    let stream = Stream { last, kinds: kinds.collect(), has_begun: false };
    Answer::pieces("text/event-stream", Box::new(stream))
}

impl Pieces for Stream {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let began = out.len();
        if !std::mem::replace(&mut self.has_begun, true) {
            out.extend_from_slice(b"retry: 2000\n\n");
        }
        while let Some(event) = view.events.behind(self.last) {
            self.last = event.id;
            if !self.kinds.is_empty() && !self.kinds.iter().any(|it| it == event.kind) {
                continue;
            }
            let text =
                format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.kind, event.data);
            out.extend_from_slice(text.as_bytes());
            if out.len() - began > ADMIN_PIECE_BYTES {
                return More::Now;
            }
        }
        More::Later
    }
}
