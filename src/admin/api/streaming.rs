//! Events as they happen: a stream of server-sent events (WHATWG HTML, section 9.2).

use crate::limits::ADMIN_PIECE_BYTES;

use super::super::answer::{Answer, More, Pieces};
use super::super::change::missing;
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;

/// Events behind the last that was seen, and those to come.
struct Stream {
    /// The number of the last one that was written.
    last: u64,
    /// Only these kinds, if any are named.
    kinds: Vec<String>,
    /// The first words were said.
    has_begun: bool,
}

/// What happens.
const KINDS: &[&str] = &["change", "audit", "health", "process", "guard"];

const PARAMETERS: &[&str] = &["kind", "since"];

/// A stream of events; with `Last-Event-ID` those that were missed come first.
pub(super) fn events(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    let unknown = |(name, _): &&(String, String)| !PARAMETERS.contains(&&**name);
    if let Some((name, _)) = request.query.iter().find(unknown) {
        return Err(unknown_parameter(name, PARAMETERS));
    }
    let kinds = request.parameter("kind").unwrap_or_default();
    let kinds = kinds.split(',').filter(|it| !it.is_empty()).map(str::to_owned);
    let kinds: Vec<String> = kinds.collect();
    let is_unknown = |it: &&String| !KINDS.contains(&&***it);
    if let Some(kind) = kinds.iter().find(is_unknown) {
        let detail = missing("kind of event", kind, KINDS.iter().copied());
        return Err(Problem::new(Kind::BAD_REQUEST, detail));
    }
    let number = |text: &str| {
        let bad = |_| Problem::new(Kind::BAD_REQUEST, format!("since={text}, want a number"));
        text.parse().map_err(bad)
    };
    let since = request.parameter("since").map(number).transpose()?;
    let newest = view.events.last();
    // A number that is still to come is of a process before this one: all of ours was missed.
    let known = |last: u64| if last > newest { 0 } else { last };
    let last = request.last_event.or(since).map_or(newest, known);
    let stream = Stream { last, kinds, has_begun: false };
    Ok(Answer::pieces("text/event-stream", Box::new(stream)))
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
