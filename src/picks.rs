//! The last picks, so that it can be asked why a request went where it went.
//!
//! ```text
//!   relay: begin(ask) --> a record: when, who, pool, a picture of its members
//!          pick       --> chosen: one of them, or nobody
//!          over       --> ended: status, cause, time; or another try, which is another record
//!   admin: newest first, by number; a number is that of one pick for good
//! ```
//!
//! A ring of records of one size, in memory that is taken once: the next pick overwrites the
//! oldest, and what is said of a record that was overwritten is dropped. Names are looked up when
//! somebody reads; of a backend that is gone meanwhile there is none. Without `--picks` nothing is
//! kept, and a pick costs a look at a number.

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU64};
use std::time::{Duration, Instant, SystemTime};

use crate::access_log::Cause;
use crate::backends::Picture;
use crate::event::{ListenerId, PoolId, ServerId, ServiceId};
use crate::http::RequestId;
use crate::limits::PICK_ASKED_BYTES_MAX;
use crate::net::Fault;

/// The last picks.
#[derive(Debug, Default)]
pub struct Picks {
    /// Pick n lies at n modulo `most`.
    ring: Vec<Pick>,
    most: usize,
    /// Picks so far, kept or not.
    count: u64,
    /// None before this one is kept: the ring had another size.
    first: u64,
}

/// The number of a pick, from 1 on.
pub type PickNumber = NonZeroU64;

/// A pick.
#[derive(Debug, Clone)]
pub struct Pick {
    /// Which one.
    pub number: u64,
    /// When.
    pub at: Instant,
    /// The same by the clock of the wall.
    pub wall: SystemTime,
    /// Who asked, and what for.
    pub asker: Asker,
    /// The pool as it was found.
    pub picture: Picture,
    /// What decided.
    pub by: PickedBy,
    /// Which try of the same client it is, from 1 on.
    pub attempt: u32,
    /// Who was picked; `None`, if nobody could be.
    pub choice: Option<ServerId>,
    /// What came of it, once that is known.
    pub ended: Option<PickEnd>,
}

/// Who asked for a pick.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The client.
    pub client: SocketAddr,
    /// Where it came in.
    pub listener: ListenerId,
    /// The service that it is of.
    pub service: Option<ServiceId>,
    /// The pool that it goes to.
    pub pool: Option<PoolId>,
    /// The rule that chose the pool, counted from 1; `None`, if it is the service's own.
    pub rule: Option<NonZeroU8>,
    /// The id of its request, if it has one.
    pub request_id: RequestId,
    /// What it asked for.
    pub asked: AskedText,
}

/// Method and path of a request, or a server name, as far as it is kept.
#[derive(Clone, Copy)]
pub struct AskedText {
    bytes: [u8; PICK_ASKED_BYTES_MAX],
    length: u8,
}

/// What decided about a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickedBy {
    /// The algorithm.
    Algorithm,
    /// The cookie that leads a client back to its backend.
    Cookie,
    /// The connection on which the client is logged in.
    Login,
}

/// What came of a pick.
#[derive(Debug, Clone, Copy)]
pub struct PickEnd {
    /// How long after the pick.
    pub after: Duration,
    /// The status of the answer, ours or the backend's; 0, if there was none.
    pub status: u16,
    /// Why it did not come to its end, or was answered here.
    pub cause: Option<Cause>,
    /// Its backend did not do, and another pick follows.
    pub tried_another: bool,
    /// Why it did not, if that was its connection.
    pub fault: Option<Fault>,
}

impl Picks {
    /// Keep so many from now on; none that are kept are kept on if that is another number.
    pub fn keep(&mut self, most: usize) {
        if most != self.most {
            self.most = most;
            self.ring = Vec::with_capacity(most);
            self.first = self.count;
        }
    }

    /// Whether any are kept.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.most > 0
    }

    /// How many are kept at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// A pick begins: a record of it, if any are kept, whose picture is an old one.
    pub fn begin(
        &mut self,
        asker: Asker,
        by: PickedBy,
        attempt: u32,
        now: Instant,
    ) -> Option<&mut Pick> {
        if self.most == 0 {
            return None;
        }
        self.count += 1;
        let number = self.count;
        let at = self.place(number);
        let wall = SystemTime::now();
        if at == self.ring.len() {
            self.ring.push(Pick {
                number,
                at: now,
                wall,
                asker,
                picture: Picture::default(),
                by,
                attempt,
                choice: None,
                ended: None,
            });
        } else {
            let pick = &mut self.ring[at];
            pick.number = number;
            pick.at = now;
            pick.wall = wall;
            pick.asker = asker;
            pick.by = by;
            pick.attempt = attempt;
            pick.choice = None;
            pick.ended = None;
        }
        self.ring.get_mut(at)
    }

    /// This pick, if it is kept.
    pub fn get(&self, number: u64) -> Option<&Pick> {
        let is_here = number > self.first && self.most > 0;
        let pick = self.ring.get(self.place(number)).filter(|_| is_here)?;
        (pick.number == number).then_some(pick)
    }

    /// The same, to say what came of it.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Pick> {
        let at = self.get(number).map(|_| self.place(number))?;
        self.ring.get_mut(at)
    }

    /// This one is over; what is said of one that is not kept any more is dropped.
    pub fn end(&mut self, number: PickNumber, end: PickEnd, now: Instant) {
        if let Some(pick) = self.get_mut(number.get()) {
            let after = now.saturating_duration_since(pick.at);
            pick.ended.get_or_insert(PickEnd { after, ..end });
        }
    }

    /// The number of the newest; 0, if there was none.
    pub fn newest(&self) -> u64 {
        self.count
    }

    /// None of this number or below it is kept.
    pub fn oldest(&self) -> u64 {
        self.first.max(self.count.saturating_sub(self.most as u64))
    }

    fn place(&self, number: u64) -> usize {
        // Behind `first`, so that the ring is filled from its beginning.
        let from_first = number.wrapping_sub(self.first + 1);
        (from_first % self.most.max(1) as u64) as usize
    }
}

impl AskedText {
    /// Nothing.
    pub const NONE: AskedText = AskedText { bytes: [0; PICK_ASKED_BYTES_MAX], length: 0 };

    /// The beginning of these, one behind the other.
    pub fn of(parts: &[&[u8]]) -> AskedText {
        let mut text = AskedText::NONE;
        for part in parts {
            let from = usize::from(text.length);
            let taken = part.len().min(PICK_ASKED_BYTES_MAX - from);
            text.bytes[from..from + taken].copy_from_slice(&part[..taken]);
            text.length += taken as u8;
        }
        text
    }

    /// As it came: perhaps no text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for AskedText {
    fn default() -> AskedText {
        AskedText::NONE
    }
}

impl std::fmt::Debug for AskedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl PickedBy {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            PickedBy::Algorithm => "algorithm",
            PickedBy::Cookie => "cookie",
            PickedBy::Login => "login",
        }
    }
}

impl PickEnd {
    /// Another one was tried, because of this fault.
    pub fn tried_another(fault: Option<Fault>) -> PickEnd {
        PickEnd { fault, tried_another: true, ..PickEnd::of(0, None) }
    }

    /// It came to its end with this status, or did not for this cause.
    pub fn of(status: u16, cause: Option<Cause>) -> PickEnd {
        let after = Duration::ZERO;
        PickEnd { after, status, cause, fault: None, tried_another: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker() -> Asker {
        Asker {
            client: "127.0.0.1:1".parse().unwrap(),
            listener: ListenerId::for_tests(0),
            service: None,
            pool: None,
            rule: None,
            request_id: RequestId::NONE,
            asked: AskedText::NONE,
        }
    }

    fn pick(picks: &mut Picks) -> Option<PickNumber> {
        let pick = picks.begin(asker(), PickedBy::Algorithm, 1, Instant::now())?;
        NonZeroU64::new(pick.number)
    }

    fn end(status: u16) -> PickEnd {
        PickEnd::of(status, None)
    }

    #[test]
    fn the_oldest_are_overwritten_and_what_is_said_of_them_is_dropped() {
        let mut picks = Picks::default();
        assert_eq!(pick(&mut picks), None);
        picks.keep(3);
        let all: Vec<PickNumber> = (0..5).map(|_| pick(&mut picks).unwrap()).collect();
        assert_eq!((picks.newest(), picks.oldest()), (5, 2));
        for number in &all {
            picks.end(*number, end(200), Instant::now());
            picks.end(*number, end(500), Instant::now());
        }
        let kept: Vec<u64> =
            (0..9).filter_map(|it| picks.get(it)).map(|it| it.number).collect();
        assert_eq!(kept, [3, 4, 5]);
        for number in kept {
            let ended = picks.get(number).unwrap().ended.unwrap();
            assert_eq!(ended.status, 200, "the first that is said holds");
        }
        let next = pick(&mut picks).unwrap();
        assert!(picks.get(next.get()).unwrap().ended.is_none(), "it inherits no end");
    }

    #[test]
    fn another_size_begins_anew_and_numbers_go_on() {
        let mut picks = Picks::default();
        picks.keep(4);
        let six: Vec<PickNumber> = (0..6).map(|_| pick(&mut picks).unwrap()).collect();
        let old = six[5];
        picks.keep(2);
        picks.end(old, end(200), Instant::now());
        assert!((0..9).all(|number| picks.get(number).is_none()));
        let three: Vec<u64> = (0..3).map(|_| pick(&mut picks).unwrap().get()).collect();
        assert_eq!((&*three, picks.oldest()), (&[7, 8, 9][..], 7));
        assert!(picks.get(8).is_some() && picks.get(9).is_some() && picks.get(7).is_none());
        picks.keep(0);
        assert_eq!((pick(&mut picks), picks.is_on()), (None, false));
    }

    #[test]
    fn what_was_asked_is_cut_and_may_be_no_text() {
        let text = AskedText::of(&[b"GET", b" ", b"/\xff\n"]);
        assert_eq!(text.as_bytes(), b"GET /\xff\n");
        let long = [b'x'; 500];
        assert_eq!(AskedText::of(&[b"GET ", &long]).as_bytes().len(), PICK_ASKED_BYTES_MAX);
    }

    /// As the limit on their number has it, and the page.
    #[test]
    fn a_record_takes_less_than_a_kibibyte() {
        assert!(size_of::<Pick>() <= 900, "{} bytes", size_of::<Pick>());
    }
}
