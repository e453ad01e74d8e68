//! What Prometheus reads: `/metrics`, with our names, and `/metrics/haproxy`, with those of
//! HAProxy's exporter for the dashboards that were made for it.
//!
//! ```text
//!   taking backends, some a piece --> writing metric after metric, some series a piece --> the end
//! ```
//!
//! All series of a metric have to stand together, and a backend has some twenty: so it is looked at
//! once, and what was seen is written for each of its metrics.

mod haproxy;
mod ours;
pub mod process;

use crate::stats::exposition::Format;

use super::answer::Answer;
use super::problem::{Kind, Problem};
use super::request::Request;
use super::view::View;

/// Backends that are taken, or series that are written, in a piece.
const ROWS_PER_PIECE: usize = 32;

/// Which pools and backends are shown; the sums of a process are always.
#[derive(Debug, Clone, Default)]
struct Filter {
    /// Of this pool alone.
    pool: Option<String>,
    /// Backends of this name alone.
    name: Option<String>,
    /// None that is in maintenance.
    no_maint: bool,
}

const PARAMETERS: &[&str] = &["pool", "name", "no-maint"];

/// `/metrics`.
pub fn ours(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    let filter = Filter::of(request, view)?;
    let format = wanted(request);
    let page = ours::Metrics::new(filter, format);
    Ok(Answer::pieces(format.content_type(), Box::new(page)))
}

/// `/metrics/haproxy`.
pub fn haproxy(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    let filter = Filter::of(request, view)?;
    let format = wanted(request);
    let page = haproxy::Metrics::new(filter, format);
    Ok(Answer::pieces(format.content_type(), Box::new(page)))
}

fn wanted(request: &Request) -> Format {
    Format::accepted(request.accept.as_deref().unwrap_or_default())
}

impl Filter {
    fn of(request: &Request, view: &View<'_>) -> Result<Filter, Problem> {
        let unknown = |(name, _): &&(String, String)| !PARAMETERS.contains(&&**name);
        if let Some((name, _)) = request.query.iter().find(unknown) {
            let known = PARAMETERS.join(", ");
            let detail = format!("{name}: no such parameter, want {known}");
            return Err(Problem::new(Kind::BAD_REQUEST, detail));
        }
        let text = |name| request.parameter(name).map(str::to_owned);
        let pool = text("pool");
        if let Some(name) = pool.as_deref().filter(|it| view.directory.pool(it).is_none()) {
            return Err(super::change::no_pool(name, view.directory));
        }
        let no_maint = request.parameter("no-maint").is_some_and(|it| it != "false");
        Ok(Filter { pool, name: text("name"), no_maint })
    }

    fn takes_pool(&self, name: &str) -> bool {
        self.pool.as_deref().is_none_or(|it| it == name)
    }
}
