//! What came of a write, as it is answered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::duration_text;
use crate::http::Method;

use super::super::answer::{Answer, Body, line};
use super::super::change::{Done, receipt};
use super::super::place::Place;
use super::super::request::Request;
use super::super::view::View;
use super::banning;
use super::showing;
use super::target::Target;

/// What came of a write.
pub(super) fn answer(request: &Request, done: Done, view: &View<'_>) -> Answer {
    let segments: Vec<&str> = request.segments.iter().map(|it| &**it).collect();
    let target = Target::of(&segments);
    let directory = view.directory;
    match (target, done) {
        (_, Done::Would(would)) => {
            Answer::json(200, &json!({"dry_run": true, "receipt": receipt(&would)}))
        }
        (_, Done::WouldDo(what)) => Answer::json(200, &json!({"dry_run": true, "would": what})),
        (Some(Target::Backend(pool, name)), done) => {
            after_backend(request, pool, name, &done, view)
        }
        (Some(Target::Registration(pool, name)), done) => {
            after_heartbeat(request, &Place::new(pool, name), &done, view)
        }
        (Some(Target::Ban(network)), Done::Ban(done)) => banning::after(network, done, view),
        (_, Done::Ban(_)) => Answer::empty(204),
        (_, Done::Changed(it)) => {
            let value = json!({"receipt": receipt(&it)});
            Answer::json(200, &value).with("ETag", directory.whole_tag())
        }
        (_, Done::Same) => {
            Answer::json(200, &json!({"unchanged": true})).with("ETag", directory.whole_tag())
        }
        (_, Done::Checked) => Answer::json(200, &json!({"good": true})),
        (_, Done::Said(text)) => Answer::json(200, &json!({"said": text})),
        (_, Done::Closing(count)) => Answer::json(202, &json!({"closing": count})),
        // It is answered first: nobody is left to do so afterwards.
        (Some(Target::Stop), Done::Begun) => Answer::json(202, &json!({"state": "stopping"})),
        (_, Done::Begun) => {
            let value = json!({"state": view.state.word(), "process": showing::process(view)});
            Answer::json(202, &value)
        }
    }
}

fn after_backend(
    request: &Request,
    pool: &str,
    name: &str,
    done: &Done,
    view: &View<'_>,
) -> Answer {
    let directory = view.directory;
    let receipt = match done {
        Done::Changed(it) => receipt(it),
        _ => Value::Null,
    };
    let found = directory.pool(pool).and_then(|it| Some((it, directory.backend(it, name)?)));
    let Some((entry, backend)) = found else {
        return match view.leaving(pool, name) {
            Some(mut value) => {
                value["receipt"] = receipt;
                Answer::json(202, &value)
            }
            None => Answer::empty(204),
        };
    };
    let created = match done {
        Done::Changed(it) => {
            it.members.iter().any(|it| it.name == pool && it.counted.added > 0)
        }
        _ => false,
    };
    let status = if created && request.method == Method::Put { 201 } else { 200 };
    let mut value = match request.method {
        // Who takes a backend out of work wants to know when that is done.
        Method::Patch => showing::backend_alone(view, entry, backend),
        _ => showing::backend(view, entry, backend),
    };
    value["receipt"] = receipt;
    Answer::json(status, &value).with("ETag", directory.tag(pool, name))
}

/// The backend, and how soon it has to be heard again.
fn after_heartbeat(request: &Request, place: &Place, done: &Done, view: &View<'_>) -> Answer {
    let Place { pool, name } = place;
    let mut answer = after_backend(request, pool, name, done, view);
    let within = view.registry.next_within(place).map(text);
    let directory = view.directory;
    let found = directory.pool(pool).and_then(|it| Some((it, directory.backend(it, name)?)));
    if let (Some(within), Some((entry, backend))) = (within, found) {
        let mut value = showing::backend(view, entry, backend);
        value["next_within"] = json!(within);
        answer.body = Body::Whole(line(&value));
    }
    answer
}

fn text(time: Duration) -> String {
    duration_text(Duration::from_millis(time.as_millis() as u64))
}
