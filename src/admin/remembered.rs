//! Answers to POSTs by their `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): who
//! does not know whether its request was carried out sends it again, and it is carried out once.
//!
//! ```text
//!   new --> under way --answered--> kept for ten minutes --> forgotten
//!                \--could not be carried out now--> forgotten at once, to be tried again
//! ```

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use aws_lc_rs::digest;

use super::answer::{Answer, Body};
use super::problem::{Kind, Problem};
use super::request::Request;
use crate::http::Method;
use crate::limits::{IDEMPOTENCY_BYTES_MAX, IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_TIME};

/// By which a request is known again: who sent it and the key; and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    who: String,
    key: String,
    asks: [u8; digest::SHA256_OUTPUT_LEN],
}

/// All that are known.
#[derive(Debug, Default)]
pub struct Remembered {
    entries: HashMap<(String, String), Entry>,
    /// In the order in which they came.
    order: VecDeque<((String, String), Instant)>,
}

#[derive(Debug)]
struct Entry {
    asks: [u8; digest::SHA256_OUTPUT_LEN],
    /// `None` while it is under way.
    answer: Option<Kept>,
    since: Instant,
}

/// An answer that can be given again.
#[derive(Debug, Clone)]
pub struct Kept {
    status: u16,
    fields: Vec<(&'static str, String)>,
    content_type: &'static str,
    body: Vec<u8>,
}

/// Whether a request was here before.
#[derive(Debug)]
pub enum Recall {
    /// It was not: it is under way from now on.
    New,
    /// It was, and was answered so.
    Answered(Kept),
    /// It cannot be taken.
    Refused(Problem),
}

impl Identity {
    /// That of a POST with a key.
    pub fn of(request: &Request) -> Option<Identity> {
        let key = request.idempotency_key.clone().filter(|_| request.method == Method::Post)?;
        let mut asks = digest::Context::new(&digest::SHA256);
        let query = request.query.iter().map(|(name, value)| format!("{name}={value}&"));
        for part in [request.path.as_bytes(), query.collect::<String>().as_bytes()] {
            asks.update(part);
            asks.update(b"\n");
        }
        asks.update(&request.body);
        let asks = asks.finish().as_ref().try_into().ok()?;
        Some(Identity { who: request.who.name.clone(), key, asks })
    }

    fn name(&self) -> (String, String) {
        (self.who.clone(), self.key.clone())
    }
}

impl Kept {
    /// A copy of an answer, unless it is too long, or says that it is to be tried again.
    pub fn of(answer: &Answer) -> Option<Kept> {
        let Body::Whole(body) = &answer.body else { return None };
        let is_final = answer.status != 429 && answer.status < 500;
        (is_final && body.len() <= IDEMPOTENCY_BYTES_MAX).then(|| Kept {
            status: answer.status,
            fields: answer.fields.clone(),
            content_type: answer.content_type,
            body: body.clone(),
        })
    }

    /// The same once more.
    pub fn answer(self) -> Answer {
        let Kept { status, fields, content_type, body } = self;
        Answer { status, fields, content_type, body: Body::Whole(body) }
    }
}

impl Remembered {
    /// A request comes in.
    pub fn begin(&mut self, identity: &Identity, now: Instant) -> Recall {
        self.forget_old(now);
        let name = identity.name();
        match self.entries.get(&name) {
            Some(entry) if entry.asks != identity.asks => {
                let detail = "this Idempotency-Key was sent with another request";
                Recall::Refused(Problem::new(Kind::INVALID, detail))
            }
            Some(Entry { answer: Some(kept), .. }) => Recall::Answered(kept.clone()),
            Some(Entry { answer: None, .. }) => {
                let detail = "the request with this Idempotency-Key is under way";
                Recall::Refused(Problem::new(Kind::CONFLICT, detail))
            }
            None => {
                self.order.push_back((name.clone(), now));
                self.entries
                    .insert(name, Entry { asks: identity.asks, answer: None, since: now });
                Recall::New
            }
        }
    }

    /// It is answered; with nothing that is to be kept, it may be sent again.
    pub fn end(&mut self, identity: &Identity, kept: Option<Kept>) {
        let name = identity.name();
        match (self.entries.get_mut(&name), kept) {
            (Some(entry), Some(kept)) => entry.answer = Some(kept),
            (_, None) => drop(self.entries.remove(&name)),
            (None, Some(_)) => {}
        }
    }

    /// Those that are too old, and the oldest if there are too many.
    fn forget_old(&mut self, now: Instant) {
        while let Some((name, since)) = self.order.front() {
            let is_old = now.saturating_duration_since(*since) >= IDEMPOTENCY_TIME;
            if !is_old && self.order.len() < IDEMPOTENCY_KEYS_MAX {
                return;
            }
            // It may have been forgotten and have come again.
            if self.entries.get(name).is_some_and(|it| it.since == *since) {
                self.entries.remove(name);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn identity(key: &str, asks: u8) -> Identity {
        let who = "uid 0".to_owned();
        Identity { who, key: key.to_owned(), asks: [asks; digest::SHA256_OUTPUT_LEN] }
    }

    fn is_new(recall: &Recall) -> bool {
        matches!(recall, Recall::New)
    }

    fn refused(recall: Recall) -> u16 {
        match recall {
            Recall::Refused(problem) => problem.kind().status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_sent_again_is_answered_again_and_other_things_are_not() {
        let now = Instant::now();
        let mut all = Remembered::default();
        let one = identity("k", 1);
        assert!(is_new(&all.begin(&one, now)));
        assert_eq!(refused(all.begin(&one, now)), 409, "under way");
        all.end(&one, Kept::of(&Answer::text(202, "done")));
        let Recall::Answered(kept) = all.begin(&one, now) else { panic!("answered") };
        assert_eq!((kept.status, &*kept.body), (202, &b"done"[..]));
        assert_eq!(refused(all.begin(&identity("k", 2), now)), 422, "another request");
        let other = Identity { who: "deploy".to_owned(), ..one.clone() };
        assert!(is_new(&all.begin(&other, now)), "of somebody else");
        let late = now + IDEMPOTENCY_TIME;
        assert!(is_new(&all.begin(&one, late)), "ten minutes later");
    }

    #[test]
    fn what_is_to_be_tried_again_may_be_and_the_oldest_go_first() {
        let now = Instant::now();
        let mut all = Remembered::default();
        let one = identity("k", 1);
        for status in [429, 503] {
            assert!(is_new(&all.begin(&one, now)));
            all.end(&one, Kept::of(&Answer::text(status, "later")));
        }
        for number in 0..3 * IDEMPOTENCY_KEYS_MAX {
            let it = identity(&number.to_string(), 1);
            let at = now + Duration::from_millis(number as u64);
            assert!(is_new(&all.begin(&it, at)));
            all.end(&it, Kept::of(&Answer::text(200, "")));
            assert!(all.entries.len() <= IDEMPOTENCY_KEYS_MAX);
            assert!(all.order.len() <= IDEMPOTENCY_KEYS_MAX);
        }
        let last = identity(&(3 * IDEMPOTENCY_KEYS_MAX - 1).to_string(), 1);
        assert!(matches!(all.begin(&last, now), Recall::Answered(_)));
        assert!(is_new(&all.begin(&identity("0", 1), now)), "it was forgotten");
    }
}
