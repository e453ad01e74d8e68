//! Where a backend is: all addresses of its name, and which of them works.
//!
//! ```text
//!   a b c    one is in use; a connect begins there, and goes on in a circle where one is refused,
//!   ^        cannot be reached, or takes too long; within the time that a connect has at all
//!   a b c    what took a connection or passed a probe is in use from then on, for everybody
//!     ^
//! ```

use std::time::{Duration, Instant};

use crate::config::Address;
use crate::net::Fault;

/// The addresses of one backend; none until its name is known.
#[derive(Debug, Clone)]
pub struct Addresses {
    list: Box<[Address]>,
    in_use: u8,
    /// How many refused datagrams since one of them answered.
    refused: u8,
    /// Counts the lists that there were: places in one say nothing of another.
    edition: u8,
}

/// How far an attempt to connect is with the addresses of its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// The address that it began with.
    first: u8,
    /// How many failed.
    failed: u8,
    /// Of which list.
    edition: u8,
    /// When it began.
    began_at: Instant,
}

/// The same beside a connection, of which there may be many: in half of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourseOf {
    first: u8,
    failed: u8,
    edition: u8,
    /// So long before the connection began, in milliseconds.
    began_before: u32,
}

impl CourseOf {
    /// That of a connection which began at this time.
    pub fn new(course: Course, started_at: Instant) -> CourseOf {
        let before = || started_at.saturating_duration_since(course.began_at).as_millis();
        // Most connections are to the first address that was tried.
        let began_before = match course.began_at == started_at {
            true => 0,
            false => u32::try_from(before()).unwrap_or(u32::MAX),
        };
        let Course { first, failed, edition, .. } = course;
        CourseOf { first, failed, edition, began_before }
    }

    /// With its times again.
    pub fn course(self, started_at: Instant) -> Course {
        let before = Duration::from_millis(u64::from(self.began_before));
        let began_at = started_at.checked_sub(before).unwrap_or(started_at);
        Course { first: self.first, failed: self.failed, edition: self.edition, began_at }
    }
}

impl Addresses {
    /// The first of these is in use.
    pub fn new(list: Vec<Address>) -> Addresses {
        Addresses { list: list.into(), in_use: 0, refused: 0, edition: 0 }
    }

    /// Whether it is one of them.
    pub fn has(&self, address: &Address) -> bool {
        self.list.iter().any(|it| it.canonical() == address.canonical())
    }

    /// The one in use.
    pub fn in_use(&self) -> Option<&Address> {
        self.list.get(usize::from(self.in_use))
    }

    /// Whether these are the same, in whatever order.
    pub fn are(&self, others: &[Address]) -> bool {
        self.list.len() == others.len() && self.list.iter().all(|it| others.contains(it))
    }

    /// Whether nobody has told yet where it is.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The name means these from now on. The one in use goes on, if it is among them.
    pub fn become_these(&mut self, list: Vec<Address>) {
        let in_use = self.in_use().and_then(|it| list.iter().position(|other| other == it));
        let in_use = in_use.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        let edition = self.edition.wrapping_add(1);
        *self = Addresses { list: list.into(), in_use, refused: 0, edition };
    }

    /// All of them.
    pub fn all(&self) -> &[Address] {
        &self.list
    }

    fn count(&self) -> u8 {
        u8::try_from(self.list.len()).unwrap_or(u8::MAX)
    }

    /// This one works. Says whether another one was in use.
    pub fn settle(&mut self, course: Course) -> bool {
        if course.edition != self.edition {
            return false;
        }
        let before = self.in_use;
        self.in_use = course.index(self);
        self.in_use != before
    }

    /// The one at this place refused datagrams: whoever comes next is sent on to another one.
    /// Says whether there is one that did not refuse lately.
    pub fn refuse(&mut self, address: &Address) -> bool {
        if self.in_use() != Some(address) {
            // Somebody was refused before.
            return self.list.len() > 1;
        }
        self.in_use = (self.in_use + 1) % self.count().max(1);
        self.refused += 1;
        let others = self.refused < self.count();
        if !others {
            self.refused = 0;
        }
        others
    }

    /// One of them answered.
    pub fn answered(&mut self) {
        self.refused = 0;
    }
}

impl Course {
    /// Begin with the address in use.
    pub fn begin(at: &Addresses, now: Instant) -> Course {
        Course { first: at.in_use, failed: 0, edition: at.edition, began_at: now }
    }

    fn index(self, of: &Addresses) -> u8 {
        // There may be fewer than when it began: the name means others by now.
        let count = u16::from(of.count().max(1));
        ((u16::from(self.first) + u16::from(self.failed)) % count) as u8
    }

    /// The address that it is at.
    pub fn address(self, of: &Addresses) -> Result<&Address, Fault> {
        of.list.get(usize::from(self.index(of))).ok_or(Fault::Unreachable)
    }

    /// Whether an address failed already.
    pub fn has_turned(self) -> bool {
        self.failed > 0
    }

    /// Until when the address that it is at may take the connection, tried from now on: those left
    /// share what is left of the time, so that one in a black hole does not use up all of it.
    pub fn deadline(self, of: &Addresses, timeout: Duration, now: Instant) -> Instant {
        let end = (self.began_at + timeout).max(now);
        match of.count().saturating_sub(self.failed) {
            0 | 1 => end,
            several => now + end.saturating_duration_since(now) / u32::from(several),
        }
    }

    /// After this address failed: on to the next one, if there is one and time is left for it.
    pub fn next(
        self,
        fault: Fault,
        of: &Addresses,
        timeout: Duration,
        now: Instant,
    ) -> Option<Course> {
        let is_of_the_address = match fault {
            Fault::Refused
            | Fault::Reset
            | Fault::TimedOut
            | Fault::Unreachable
            | Fault::NoPort
            | Fault::Other(_) => true,
            Fault::Closed
            | Fault::GivenUp
            | Fault::CutShort
            | Fault::Tls(_)
            | Fault::Exhausted => false,
        };
        let failed = self.failed + 1;
        let goes_on = is_of_the_address && failed < of.count() && now < self.began_at + timeout;
        goes_on.then_some(Course { failed, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(4);

    fn at(text: &str) -> Address {
        text.parse::<std::net::SocketAddr>().expect("an address").into()
    }

    fn three() -> Addresses {
        let list = ["[::1]:80", "127.0.0.1:80", "127.0.0.2:80"];
        Addresses::new(list.iter().map(|text| at(text)).collect())
    }

    #[test]
    fn a_connect_goes_once_around_and_what_works_is_in_use() {
        let mut addresses = three();
        let now = Instant::now();
        let next =
            |course: Course, of: &Addresses| course.next(Fault::Refused, of, TIMEOUT, now);
        let course = Course::begin(&addresses, now);
        let course = next(course, &addresses).expect("there is another one");
        assert_eq!(course.address(&addresses).unwrap().clone(), addresses.all()[1]);
        assert!(addresses.settle(course));
        assert!(!addresses.settle(course));
        assert_eq!(addresses.in_use(), Some(&addresses.all()[1]));

        let mut course = Course::begin(&addresses, now);
        let mut seen = vec![course.address(&addresses).unwrap().clone()];
        while let Some(on) = next(course, &addresses) {
            course = on;
            seen.push(course.address(&addresses).unwrap().clone());
        }
        assert_eq!(seen, [1, 2, 0].map(|index| addresses.all()[index].clone()));
        assert_eq!(
            addresses.in_use(),
            Some(&addresses.all()[1]),
            "nothing works: nothing changes"
        );
    }

    #[test]
    fn the_addresses_share_the_time_of_one_connect() {
        let addresses = three();
        let mut now = Instant::now();
        let end = now + TIMEOUT;
        let mut course = Course::begin(&addresses, now);
        loop {
            let deadline = course.deadline(&addresses, TIMEOUT, now);
            assert!(deadline > now && deadline <= end);
            now = deadline;
            match course.next(Fault::TimedOut, &addresses, TIMEOUT, now) {
                Some(on) => course = on,
                None => break,
            }
        }
        assert!(end - now < Duration::from_millis(1), "all of it was used");
        let late = Course::begin(&addresses, end - TIMEOUT);
        assert_eq!(late.next(Fault::TimedOut, &addresses, TIMEOUT, end), None);
    }

    #[test]
    fn what_is_no_matter_of_the_address_does_not_lead_to_another_one() {
        let addresses = three();
        let now = Instant::now();
        let course = Course::begin(&addresses, now);
        for fault in [Fault::Exhausted, Fault::GivenUp, Fault::Closed] {
            assert_eq!(course.next(fault, &addresses, TIMEOUT, now), None);
        }
        let alone = Addresses::new(vec![addresses.in_use().unwrap().clone()]);
        let course = Course::begin(&alone, now);
        assert_eq!(course.next(Fault::Refused, &alone, TIMEOUT, now), None);
        assert_eq!(course.deadline(&alone, TIMEOUT, now), now + TIMEOUT);
    }

    #[test]
    fn datagrams_go_once_around_before_the_backend_is_to_blame() {
        let mut addresses = three();
        assert!(addresses.refuse(&addresses.in_use().unwrap().clone()));
        assert!(
            addresses.refuse(&addresses.all()[0].clone()),
            "another flow of the same address"
        );
        assert_eq!(addresses.in_use(), Some(&addresses.all()[1]));
        assert!(addresses.refuse(&addresses.in_use().unwrap().clone()));
        assert!(!addresses.refuse(&addresses.in_use().unwrap().clone()), "all of them did");
        addresses.answered();
        assert!(addresses.refuse(&addresses.in_use().unwrap().clone()));
        let mut alone = Addresses::new(vec![addresses.in_use().unwrap().clone()]);
        assert!(!alone.refuse(&alone.in_use().unwrap().clone()));
    }

    #[test]
    fn a_name_may_mean_others_while_a_connect_is_under_way() {
        let mut addresses = three();
        let now = Instant::now();
        let mut course = Course::begin(&addresses, now);
        course = course.next(Fault::Refused, &addresses, TIMEOUT, now).expect("there is one");
        course = course.next(Fault::Refused, &addresses, TIMEOUT, now).expect("there is one");
        addresses.settle(course);
        let last = addresses.in_use().expect("one is").clone();
        addresses.become_these(vec![at("127.0.0.9:80"), last.clone()]);
        assert_eq!(addresses.in_use(), Some(&last), "it stays");
        addresses.become_these(vec![at("127.0.0.9:80")]);
        assert!(!addresses.settle(course), "what it was at is another by now");
        assert!(course.deadline(&addresses, TIMEOUT, now) >= now);
        assert_eq!(course.address(&addresses), Ok(&at("127.0.0.9:80")));
        assert_eq!(course.next(Fault::Refused, &addresses, TIMEOUT, now), None);
    }

    #[test]
    fn nobody_is_asked_before_the_name_is_known() {
        let mut nowhere = Addresses::new(Vec::new());
        let course = Course::begin(&nowhere, Instant::now());
        assert_eq!(course.address(&nowhere), Err(Fault::Unreachable));
        assert_eq!(nowhere.in_use(), None);
        assert!(!nowhere.settle(course) && !nowhere.refuse(&at("127.0.0.1:80")));
    }
}
