//! What was, for charts: `GET /api/v1/history?of=pool:web&series=rate,p99_ms&span=1h`.

use std::time::UNIX_EPOCH;

use serde_json::json;

use crate::config::quoted;
use crate::history::plan::Plan;
use crate::history::track::{BACKEND_SERIES, SERIES, SERVICE_SERIES};
use crate::json::number;

use super::super::answer::{Answer, JSON, More, Pieces};
use super::super::change::{missing, no_backend, no_pool};
use super::super::problem::{Kind, Problem};
use super::super::recorder::Subject;
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;

const PARAMETERS: &[&str] = &["of", "series", "span"];

/// How far back, in seconds.
const SPANS: &[(&str, u64)] =
    &[("10m", 600), ("1h", 3600), ("6h", 21_600), ("24h", 86_400), ("7d", 604_800)];

/// How many points are written in a piece: about 0.1 ms.
const POINTS_PER_PIECE: u64 = 1000;

/// Series that are being written.
struct History {
    of: Subject,
    names: Vec<&'static str>,
    span: u64,
    /// How long a step is, in seconds.
    step: u64,
    /// The numbers of the steps.
    steps: std::ops::Range<u64>,
    /// Which of the series, and which of its steps.
    at: (usize, u64),
    has_begun: bool,
}

/// What was.
pub(super) fn history(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    let unknown = |(name, _): &&(String, String)| !PARAMETERS.contains(&&**name);
    if let Some((name, _)) = request.query.iter().find(unknown) {
        return Err(unknown_parameter(name, PARAMETERS));
    }
    let Some(recorder) = view.recorder.filter(|it| it.keeps_history()) else {
        return Err(Problem::new(
            Kind::NOT_FOUND,
            "no history is kept: history_memory is none",
        ));
    };
    let of = request.parameter("of").unwrap_or("process");
    let of = Subject::read(of).ok_or_else(|| {
        let found = quoted(of);
        let want = "process, service:NAME, pool:NAME or backend:POOL/NAME";
        Problem::new(Kind::BAD_REQUEST, format!("of: found {found}, want {want}"))
    })?;
    check(&of, view)?;
    let span = span(request)?;
    let names = names(&of, request)?;
    let track = recorder.track(&of);
    let ring = track.and_then(|it| it.ring(names.first()?, span));
    let step = ring.map_or_else(|| finest(&of, span), |(step, _)| step);
    // In its first second a process has only what is from before.
    let now = view.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let last = if recorder.last() == 0 { now } else { recorder.last() };
    let end = last / step + 1;
    let count = (span / step).min(ring.map_or(u64::MAX, |(_, it)| it.len() as u64));
    let steps = end.saturating_sub(count)..end;
    let at = (0, steps.start);
    let history = History { of, names, span, step, steps, at, has_begun: false };
    Ok(Answer::pieces(JSON, Box::new(history)))
}

/// How long the steps would be, if there were any.
fn finest(of: &Subject, span: u64) -> u64 {
    let plan = Plan::within(usize::MAX, 0, 0);
    let all = match of {
        Subject::Backend(..) => plan.small(),
        _ => plan.large(),
    };
    let reaches = all.iter().find(|it| u64::from(it.seconds) * u64::from(it.steps) >= span);
    u64::from(reaches.or(all.last()).map_or(1, |it| it.seconds))
}

/// Whether there is such a thing.
fn check(of: &Subject, view: &View<'_>) -> Result<(), Problem> {
    let directory = view.directory;
    match of {
        Subject::Process => Ok(()),
        Subject::Service(name) => {
            let mut names = directory.desired.services.iter().map(|it| &*it.name);
            match names.any(|it| it == name) {
                true => Ok(()),
                false => {
                    let names = directory.desired.services.iter().map(|it| &*it.name);
                    Err(Problem::new(Kind::NOT_FOUND, missing("service", name, names)))
                }
            }
        }
        Subject::Pool(name) => {
            directory.pool(name).map(|_| ()).ok_or_else(|| no_pool(name, directory))
        }
        Subject::Backend(pool, name) => {
            let entry = directory.pool(pool).ok_or_else(|| no_pool(pool, directory))?;
            let found = directory.backend(entry, name).map(|_| ());
            found.ok_or_else(|| no_backend(pool, name, directory))
        }
    }
}

fn span(request: &Request) -> Result<u64, Problem> {
    let text = request.parameter("span").unwrap_or("10m");
    let found = SPANS.iter().find(|(name, _)| *name == text);
    found.map(|(_, seconds)| *seconds).ok_or_else(|| {
        let names = SPANS.iter().map(|(name, _)| *name);
        Problem::new(Kind::BAD_REQUEST, missing("span", text, names))
    })
}

fn names(of: &Subject, request: &Request) -> Result<Vec<&'static str>, Problem> {
    let all = match of {
        Subject::Backend(..) => BACKEND_SERIES,
        Subject::Service(_) => SERVICE_SERIES,
        _ => SERIES,
    };
    let all = || all.iter().map(|(name, _)| *name);
    let Some(wanted) = request.parameter("series") else { return Ok(all().collect()) };
    let find = |wanted: &str| {
        let detail = || missing("series", wanted, all());
        all().find(|it| *it == wanted).ok_or_else(|| Problem::new(Kind::BAD_REQUEST, detail()))
    };
    let mut found = wanted.split(',').map(find).collect::<Result<Vec<_>, _>>()?;
    // Each once, however often it is named: they are members of an object.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

impl Pieces for History {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        if !std::mem::replace(&mut self.has_begun, true) {
            let end = (self.steps.end - 1) * self.step;
            let head =
                json!({"of": self.of.text(), "step_s": self.step, "end": end}).to_string();
            out.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
            out.extend_from_slice(b",\"series\":{");
        }
        let (series, mut step) = self.at;
        let Some(name) = self.names.get(series) else {
            out.extend_from_slice(b"}}\n");
            return More::Never;
        };
        if step == self.steps.start {
            let comma = if series > 0 { "," } else { "" };
            out.extend_from_slice(format!("{comma}\"{name}\":[").as_bytes());
        }
        let track = view.recorder.and_then(|it| it.track(&self.of));
        let ring = track.and_then(|it| it.ring(name, self.span));
        // Steps of another length are of no use: less is kept since then.
        let ring = ring.filter(|(step, _)| *step == self.step).map(|(_, it)| it);
        let until = self.steps.end.min(step + POINTS_PER_PIECE);
        while step < until {
            if step > self.steps.start {
                out.push(b',');
            }
            number(ring.and_then(|it| it.get(step).value()), out);
            step += 1;
        }
        self.at = (series, step);
        if step == self.steps.end {
            out.push(b']');
            self.at = (series + 1, self.steps.start);
        }
        More::Now
    }
}
