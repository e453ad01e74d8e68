//! What rules do to heads: fields set, added and removed, and another path.
//!
//! ```text
//!   Edits (rules, which of them apply) + a request --> RequestEdits  --> rewrite::request
//!                                                  --> ResponseEdits --> rewrite::response
//! ```
//!
//! All values are filled in as the request comes, before any of it is sent: what does not fit makes
//! it fail with an answer of ours, and an answer is edited by what its request said. Edits hold in
//! the order of the rules, so that a later one may drop what an earlier one wrote. Pure; `relay`
//! fills in, and `rewrite` writes.

use super::expand::{Expand, TooLong, expand};
use super::request::is_host;
use super::scan::{self, TARGET};
use crate::config::{FieldEdit, HeadEdit, PathEdit};
use crate::limits::HTTP_EDITS_BYTES_MAX;

/// The rules of a service that apply to one request.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'a> {
    /// What each rule edits, at most 64.
    pub list: &'a [HeadEdit],
    /// Bit i says that rule i applies.
    pub applied: u64,
}

/// The edits of a request's head, with their values. Kept for reuse: one that is filled in again
/// allocates nothing.
#[derive(Debug, Default)]
pub struct RequestEdits {
    is_some: bool,
    fields: FieldEdits,
    /// Empty if Host is passed on.
    host: Vec<u8>,
    /// Path and query; empty if they are passed on.
    target: Vec<u8>,
}

/// The edits of a response's head, with their values. They are kept with the request until it is
/// answered; as long as no rule edits responses, they hold no memory.
#[derive(Debug, Default)]
pub struct ResponseEdits {
    fields: FieldEdits,
}

/// Edits of fields, whatever order they came in: first all of some names are dropped, then lines
/// are written.
#[derive(Debug, Default)]
struct FieldEdits {
    /// The names, each with a line end behind it; then the lines, each with CR LF.
    bytes: Vec<u8>,
    /// Bytes of the names.
    names: usize,
}

/// Why a request cannot be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// What is added is longer than [`HTTP_EDITS_BYTES_MAX`].
    TooLong,
    /// The path would not begin with a slash, or hold bytes that end a request line.
    Target,
    /// Host would be none.
    Host,
}

impl Unfit {
    /// The status to answer the request with.
    pub fn status(self) -> u16 {
        match self {
            Unfit::TooLong => 431,
            Unfit::Target | Unfit::Host => 400,
        }
    }

    /// What is wrong, in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            Unfit::TooLong => "too much is added to the head here",
            Unfit::Target => "no valid path can be made of this request",
            Unfit::Host => "no valid host can be made of this request",
        }
    }
}

impl From<TooLong> for Unfit {
    fn from(TooLong: TooLong) -> Unfit {
        Unfit::TooLong
    }
}

impl<'a> Edits<'a> {
    /// No rule applies.
    pub const NONE: Edits<'static> = Edits { list: &[], applied: 0 };

    /// Whether none applies.
    pub fn is_empty(self) -> bool {
        self.applied == 0
    }

    fn applying(self) -> impl Iterator<Item = &'a HeadEdit> + Clone {
        let applies = move |(rule, _): &(usize, _)| {
            u32::try_from(*rule)
                .is_ok_and(|rule| self.applied.checked_shr(rule).unwrap_or(0) & 1 == 1)
        };
        self.list.iter().enumerate().filter(applies).map(|(_, edit)| edit)
    }

    /// Fill in what becomes of this request.
    pub fn request(self, with: &Expand<'_>, to: &mut RequestEdits) -> Result<(), Unfit> {
        to.clear();
        if self.is_empty() {
            return Ok(());
        }
        let edits = self.applying().flat_map(|edit| &edit.request);
        let host = edits.clone().filter(|edit| is_host_field(edit)).last();
        if let Some(host) = host.and_then(FieldEdit::value) {
            expand(host, with, HTTP_EDITS_BYTES_MAX, &mut to.host)?;
            if !is_host(&to.host) {
                return Err(Unfit::Host);
            }
        }
        let room = HTTP_EDITS_BYTES_MAX - to.host.len();
        let edits = edits.filter(|edit| !is_host_field(edit));
        to.fields.fill(edits, with, room)?;
        let room = room - to.fields.lines().len();
        edit_target(self.applying().filter_map(|edit| edit.path.as_ref()), with, room, to)?;
        let is_none = to.host.is_empty() && to.target.is_empty() && to.fields.is_empty();
        to.is_some = !is_none;
        Ok(())
    }

    /// Fill in what becomes of the answer to this request.
    pub fn response(self, with: &Expand<'_>, to: &mut ResponseEdits) -> Result<(), Unfit> {
        to.fields.clear();
        if self.is_empty() {
            return Ok(());
        }
        let edits = self.applying().flat_map(|edit| &edit.response);
        Ok(to.fields.fill(edits, with, HTTP_EDITS_BYTES_MAX)?)
    }
}

fn is_host_field(edit: &FieldEdit) -> bool {
    edit.name().eq_ignore_ascii_case("host")
}

/// Write path and query as the edits leave them, one after the other.
fn edit_target<'a>(
    edits: impl Iterator<Item = &'a PathEdit>,
    with: &Expand<'_>,
    room: usize,
    to: &mut RequestEdits,
) -> Result<(), Unfit> {
    let target = &mut to.target;
    let came = with.path().len() + with.query().len();
    let most = came + room;
    for edit in edits {
        if target.is_empty() {
            // `*` stands for the server as a whole, and has no path.
            if with.path() == b"*" {
                return Ok(());
            }
            target.extend_from_slice(with.path());
            target.extend_from_slice(with.query());
        }
        match edit {
            PathEdit::StripPrefix(prefix) => strip_prefix(prefix.as_bytes(), target),
            PathEdit::AddPrefix(prefix) => {
                target.splice(..0, prefix.bytes());
            }
            PathEdit::Rewrite(template) => {
                let old = target.len();
                expand(template, with, old + most, target)?;
                let has_query = target[old..].contains(&b'?');
                let query = target[..old].iter().position(|&byte| byte == b'?');
                if let Some(query) = query.filter(|_| !has_query) {
                    target.extend_from_within(query..old);
                }
                target.drain(..old);
            }
        }
        if target.len() > most {
            return Err(Unfit::TooLong);
        }
        if !target.starts_with(b"/") || !scan::all(target, TARGET) {
            return Err(Unfit::Target);
        }
    }
    Ok(())
}

/// Drop the prefix, if it ends where a part of the path ends.
fn strip_prefix(prefix: &[u8], target: &mut Vec<u8>) {
    match target.strip_prefix(prefix) {
        Some([b'/', ..]) => drop(target.drain(..prefix.len())),
        // The root is left.
        Some([] | [b'?', ..]) => drop(target.splice(..prefix.len(), *b"/")),
        _ => {}
    }
}

impl RequestEdits {
    /// Nothing is edited.
    pub const NONE: &'static RequestEdits = {
        static NONE: RequestEdits = RequestEdits {
            is_some: false,
            fields: FieldEdits::NEW,
            host: Vec::new(),
            target: Vec::new(),
        };
        &NONE
    };

    /// Whether nothing is edited.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.is_some
    }

    /// Edit nothing, and keep the memory.
    pub fn clear(&mut self) {
        self.is_some = false;
        self.fields.clear();
        self.host.clear();
        self.target.clear();
    }

    /// The host, if it is another one than came.
    pub(super) fn host(&self) -> Option<&[u8]> {
        (!self.host.is_empty()).then_some(&self.host)
    }

    /// Path and query, if they are others than came.
    pub(super) fn target(&self) -> Option<&[u8]> {
        (!self.target.is_empty()).then_some(&self.target)
    }

    /// Whether fields of this name are dropped.
    pub(super) fn drops(&self, name: &[u8]) -> bool {
        self.fields.drops(name)
    }

    /// What is written behind the fields that came.
    pub(super) fn lines(&self) -> &[u8] {
        self.fields.lines()
    }
}

impl ResponseEdits {
    /// Nothing is edited.
    pub const NONE: &'static ResponseEdits = {
        static NONE: ResponseEdits = ResponseEdits { fields: FieldEdits::NEW };
        &NONE
    };

    /// None yet, in memory that was used before.
    pub fn reusing(mut memory: Vec<u8>) -> ResponseEdits {
        memory.clear();
        ResponseEdits { fields: FieldEdits { bytes: memory, names: 0 } }
    }

    /// Their memory, for the next ones.
    pub fn into_memory(self) -> Vec<u8> {
        self.fields.bytes
    }

    /// Whether nothing is edited.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether fields of this name are dropped.
    pub(super) fn drops(&self, name: &[u8]) -> bool {
        self.fields.drops(name)
    }

    /// What is written behind the fields that came.
    pub(super) fn lines(&self) -> &[u8] {
        self.fields.lines()
    }

    /// Edit an answer of our own, whose head begins at `from`.
    #[cold]
    pub fn edit_own(&self, from: usize, answer: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let mut at = from;
        let mut is_status = true;
        while let Some(length) = line_length(&answer[at..]) {
            if length == 2 {
                answer.splice(at..at, self.lines().iter().copied());
                return;
            }
            if !is_status && self.drops(name_of(&answer[at..])) {
                answer.drain(at..at + length);
            } else {
                at += length;
            }
            is_status = false;
        }
    }
}

/// Bytes of the line at the beginning, its end included.
fn line_length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1)
}

/// What stands before the colon.
pub(super) fn name_of(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b':').next().unwrap_or_default()
}

impl FieldEdits {
    const NEW: FieldEdits = FieldEdits { bytes: Vec::new(), names: 0 };

    fn clear(&mut self) {
        self.bytes.clear();
        self.names = 0;
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Fill in these edits; the lines may have as many bytes as there is `room` for. There are none
    /// if they do not fit: half a line would end the head.
    fn fill<'a>(
        &mut self,
        edits: impl Iterator<Item = &'a FieldEdit> + Clone,
        with: &Expand<'_>,
        room: usize,
    ) -> Result<(), TooLong> {
        let filled = self.try_fill(edits, with, room);
        if filled.is_err() {
            self.clear();
        }
        filled
    }

    fn try_fill<'a>(
        &mut self,
        edits: impl Iterator<Item = &'a FieldEdit> + Clone,
        with: &Expand<'_>,
        room: usize,
    ) -> Result<(), TooLong> {
        for edit in edits.clone().filter(|edit| edit.drops()) {
            if !self.drops(edit.name().as_bytes()) {
                self.bytes.extend_from_slice(edit.name().as_bytes());
                self.bytes.push(b'\n');
                self.names = self.bytes.len();
            }
        }
        let most = self.names + room;
        let mut rest = edits;
        while let Some(edit) = rest.next() {
            let again = |later: &FieldEdit| {
                later.drops() && later.name().eq_ignore_ascii_case(edit.name())
            };
            if let Some(value) = edit.value()
                && !rest.clone().any(again)
            {
                self.bytes.extend_from_slice(edit.name().as_bytes());
                self.bytes.extend_from_slice(b": ");
                expand(value, with, most, &mut self.bytes)?;
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
        if self.bytes.len() > most { Err(TooLong) } else { Ok(()) }
    }

    fn drops(&self, name: &[u8]) -> bool {
        let names = self.bytes.get(..self.names).unwrap_or_default();
        names.split(|&byte| byte == b'\n').any(|it| it.eq_ignore_ascii_case(name))
    }

    fn lines(&self) -> &[u8] {
        self.bytes.get(self.names..).unwrap_or_default()
    }
}
