//! What exchanges are found again by: lent while one goes on, so that an idle client holds none.

use std::num::NonZeroU8;
use std::time::{Instant, SystemTime};

use crate::http::{RequestId, RequestIdMaker};
use crate::limits::TRACES_SPARE_MAX;
use crate::picks::{AskedText, PickNumber};

/// What one exchange, or one connection, is found again by.
#[derive(Debug, Default)]
pub struct Trace {
    /// The id of its request; none, if it has none.
    pub id: RequestId,
    /// It is for the log, and for the backend by the PROXY header: nobody wants it in heads.
    pub is_of_the_header: bool,
    /// What is asked for; nothing, if no picks are kept.
    pub asked: AskedText,
    /// It is a request.
    pub is_request: bool,
    /// The rule that chose the pool, counted from 1, if one did.
    pub rule: Option<NonZeroU8>,
    /// The pick that is in force.
    pub pick: Option<PickNumber>,
    /// The status of the answer whose head was passed on; 0 before that.
    pub status: u16,
}

/// What makes ids, and traces to be lent: nothing is allocated for one once there are enough.
#[derive(Debug)]
pub struct Traces {
    /// Where ids come from.
    pub maker: RequestIdMaker,
    #[expect(clippy::vec_box, reason = "the boxes are what is lent")]
    spare: Vec<Box<Trace>>,
}

impl Trace {
    /// The id of the request, if it has one.
    pub fn id(&self) -> Option<&RequestId> {
        Some(&self.id).filter(|id| !id.is_none())
    }

    /// The same, if it is to be in heads.
    pub fn id_in_heads(&self) -> Option<&RequestId> {
        self.id().filter(|_| !self.is_of_the_header)
    }
}

impl Traces {
    /// None is lent.
    pub fn new(seed: u64, now: Instant) -> Traces {
        let maker = RequestIdMaker::new(seed, now, SystemTime::now());
        Traces { maker, spare: Vec::new() }
    }

    /// A trace of nothing.
    pub fn lend(&mut self) -> Box<Trace> {
        self.spare.pop().unwrap_or_default()
    }

    /// What it was lent for is over.
    pub fn give_back(&mut self, mut trace: Box<Trace>) {
        if self.spare.len() < TRACES_SPARE_MAX {
            *trace = Trace::default();
            self.spare.push(trace);
        }
    }
}
