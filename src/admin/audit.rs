//! A line for every write, refused ones as well: who asked what, from where, and what came of it.

use serde_json::{Value, json};

use crate::config::escaped;

/// A write and what came of it.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Who asked.
    pub who: String,
    /// From where.
    pub from: String,
    /// What: `PATCH /api/v1/pools/web/backends/a`, or one of HAProxy's commands.
    pub what: String,
    /// What for, if that was said.
    pub reason: Option<String>,
    /// The status of its answer.
    pub status: u16,
    /// What it did, or why not.
    pub result: String,
    /// By which the answer is found again.
    pub request_id: String,
}

/// So much of a reason is kept.
const REASON_CHARS_MAX: usize = 256;

impl Audit {
    /// As a line of the log.
    pub fn line(&self) -> String {
        let Audit { who, from, what, status, result, request_id, .. } = self;
        let mut line = format!(
            "audit: {} from {} {}: {status} {} (request {request_id})",
            escaped(who),
            escaped(from),
            escaped(what),
            escaped(result)
        );
        if let Some(reason) = &self.reason {
            line += &format!(", because {}", shortened(reason));
        }
        line
    }

    /// As an event.
    pub fn event(&self) -> Value {
        json!({
            "who": self.who,
            "from": self.from,
            "what": self.what,
            "status": self.status,
            "result": self.result,
            "request_id": self.request_id,
            "reason": self.reason.as_deref().map(shortened),
        })
    }
}

fn shortened(reason: &str) -> String {
    escaped(&reason.chars().take(REASON_CHARS_MAX).collect::<String>())
}
