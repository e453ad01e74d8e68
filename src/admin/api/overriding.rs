//! What was told and differs from the configuration, in pieces: there may be thousands.

use serde_json::json;

use crate::config::time_text;

use super::super::answer::{More, Pieces};
use super::super::view::View;

/// Backends that are looked at in a piece.
const BACKENDS_PER_PIECE: usize = 32;

/// The list.
#[derive(Default)]
pub struct Overrides {
    /// The pool and the backend that were written last.
    last: Option<(String, String)>,
    has_begun: bool,
    /// A row was written.
    has_rows: bool,
}

impl Pieces for Overrides {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        if !std::mem::replace(&mut self.has_begun, true) {
            out.extend_from_slice(b"{\"items\":[");
        }
        let last = self.last.as_ref().map(|(pool, name)| (&**pool, &**name));
        let overlay = &view.directory.overlay;
        let next: Vec<_> = overlay.behind(last).take(BACKENDS_PER_PIECE).collect();
        for (pool, name, told) in &next {
            for row in told.rows(pool, name) {
                if std::mem::replace(&mut self.has_rows, true) {
                    out.push(b',');
                }
                let row = json!({
                    "pool": row.pool,
                    "backend": row.backend,
                    "member": row.member,
                    "configured": row.configured,
                    "override": row.told,
                    "by": row.mark.by,
                    "at": time_text(row.mark.at),
                });
                out.extend_from_slice(row.to_string().as_bytes());
            }
        }
        match next.last() {
            Some((pool, name, _)) => {
                self.last = Some(((*pool).to_owned(), (*name).to_owned()));
                More::Now
            }
            None => {
                let generation = view.directory.generation;
                let end = format!("],\"next\":null,\"generation\":{generation}}}\n");
                out.extend_from_slice(end.as_bytes());
                More::Never
            }
        }
    }
}
