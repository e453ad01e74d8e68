//! What is, each second: `GET /api/v1/live`, a stream of server-sent events for dashboards.

use crate::limits::{ADMIN_PIECE_BYTES, LIVE_WATCHERS_MAX};

use super::super::answer::{Answer, More, Pieces};
use super::super::live::COLUMNS;
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;

/// One who watches.
struct Watcher {
    at: At,
    has_begun: bool,
}

/// How far it is.
enum At {
    /// It waits for the first look.
    Waits,
    /// Rows of the snapshot, behind this one; the deltas behind this number follow.
    Rows(Option<(String, String)>, u64),
    /// It has all up to this delta.
    Seen(u64),
}

/// All of it, and then what changes.
pub(super) fn live(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    if let Some((name, _)) = request.query.first() {
        return Err(unknown_parameter(name, &[]));
    }
    if view.live.watchers() >= LIVE_WATCHERS_MAX {
        let detail = format!("{LIVE_WATCHERS_MAX} watch already, more may not");
        return Err(Problem::new(Kind::TOO_MANY_WATCH, detail));
    }
    let watcher = Watcher { at: At::Waits, has_begun: false };
    Ok(Answer::pieces("text/event-stream", Box::new(watcher)))
}

impl Watcher {
    /// Some of what there is; `false` if that was all for now.
    fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        let live = view.live;
        match &mut self.at {
            At::Waits => {
                if !live.is_shown() {
                    return false;
                }
                let columns = serde_json::json!(COLUMNS);
                let head = format!(
                    "id: {}\nevent: snapshot\ndata: {{{},\"columns\":{columns},\"backends\":[",
                    live.id(),
                    live.head()
                );
                out.extend_from_slice(head.as_bytes());
                self.at = At::Rows(None, live.number());
                true
            }
            At::Rows(last, number) => {
                match live.behind(last.as_ref()) {
                    Some((place, row)) => {
                        if last.is_some() {
                            out.push(b',');
                        }
                        out.extend_from_slice(row);
                        *last = Some(place);
                    }
                    None => {
                        out.extend_from_slice(b"]}\n\n");
                        self.at = At::Seen(*number);
                    }
                }
                true
            }
            At::Seen(number) if *number == live.number() => false,
            At::Seen(number) => {
                match live.delta(*number + 1) {
                    Some(delta) => {
                        out.extend_from_slice(delta);
                        *number += 1;
                    }
                    // It was too slow: all of it again.
                    None => {
                        out.extend_from_slice(b"event: resync\ndata: {}\n\n");
                        self.at = At::Waits;
                    }
                }
                true
            }
        }
    }
}

impl Pieces for Watcher {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        if !std::mem::replace(&mut self.has_begun, true) {
            out.extend_from_slice(b"retry: 2000\n\n");
        }
        while out.len() < ADMIN_PIECE_BYTES {
            if !self.step(view, out) {
                return More::Later;
            }
        }
        More::Now
    }

    fn watches(&self) -> bool {
        true
    }
}
