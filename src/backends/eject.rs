//! Passive health: a backend that answers badly is ejected for a while, however well it answers
//! its probes.
//!
//! ```text
//!   an answer           counts                         leaves its backend out when
//!   1xx to 4xx          for it: the row is over
//!   501, 505            neither way: they are the client's doing
//!   502, 503, 504,
//!   torn, none, late    in a row, and by their share   --eject-after in a row, of several clients
//!   500, other 5xx      by their share                 --eject-after of them, of several clients,
//!                                                      much more often than the rest of the pool
//!
//!   in --too often--> out for 30 s x (times out so far), at most 5 minutes
//!    ^                  |
//!    +-- time is over --+            forgotten after 5 minutes of good order
//! ```
//!
//! *Several clients* are several addresses, [`EJECT_CLIENTS`] or as many as were here lately
//! ([`Crowd`]): nobody alone, with requests that break whoever is asked, takes a backend from the
//! others. One that serves nobody at all is no loss to them: of it the answers to one client are
//! enough, if the rest of the pool does much better. Datagrams that were refused count in a row as
//! well, where nothing probes, but slowly and only while no answer comes: anybody can forge a
//! refusal, and nobody an answer.
//!
//! The numbers of the times are Envoy's outlier detection's. Who may be ejected at all (never the
//! last one, never more than half) is [`may_spare`], asked by [`super::Pool`], which sees all.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::counted;
use crate::limits::{
    CROWD_REMEMBERED, EJECT_ANSWERS_MIN, EJECT_CLIENTS, EJECT_SHARE_PERCENT, EJECT_WINDOW,
    EJECTION, EJECTION_FORGOTTEN_AFTER, EJECTION_MAX, REFUSAL_EVERY, REFUSAL_SILENCE,
};

/// What a status says of the backend that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// It works.
    Good,
    /// Nothing: the client asked for what no server has to know.
    Unsaid,
    /// Its application failed, perhaps because of what was asked.
    Faulty,
    /// It cannot serve.
    Bad,
}

/// How much of an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Its head, which was told to [`super::Backends::answered`].
    Head,
    /// Nothing that is one.
    Nothing,
}

/// Answers of a time, and those of them that were faulty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub answers: u32,
    /// Those that did not serve their client.
    pub faults: u32,
}

/// How a backend answered lately.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outlier {
    bad_in_a_row: u32,
    /// Whose requests the row of bad answers was for, and the faulty ones.
    bad_for: Faces,
    faulty_for: Faces,
    window: Window,
    /// When an answer last came by datagram, and when a refusal last counted.
    heard_at: Option<Instant>,
    refused_at: Option<Instant>,
    times_out: u32,
    out: Option<Out>,
    last_out: Option<Instant>,
}

/// Being ejected.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// Since when.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
    /// Why.
    pub cause: EjectCause,
}

/// Why a backend is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectCause {
    /// So many bad answers in a row.
    BadAnswers(u32),
    /// These answers, when the rest of a pool had those.
    Faults(Tally, Tally),
    /// So many datagrams that were refused, and no answer.
    Refusals(u32),
}

/// Clients that were here lately, a few of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crowd {
    faces: [Option<(Face, Instant)>; EJECT_CLIENTS],
}

/// A client as far as it is told apart from others: its IPv4 address, or the network of its IPv6
/// address, for whoever has one address there has all of them.
type Face = u64;

/// Different clients, as many as matter.
#[derive(Debug, Clone, Copy, Default)]
struct Faces {
    known: [Face; EJECT_CLIENTS],
    count: usize,
}

/// The answers since a moment, and those of the time before.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    ends: Option<Instant>,
    now: Tally,
    before: Tally,
}

impl Grade {
    /// What this status says.
    pub fn of(status: u16) -> Grade {
        match status {
            0..=499 => Grade::Good,
            501 | 505 => Grade::Unsaid,
            502..=504 => Grade::Bad,
            _ => Grade::Faulty,
        }
    }
}

impl Outlier {
    /// How it is ejected, if it is.
    pub fn out(&self) -> Option<Out> {
        self.out
    }

    /// Whether it is ejected.
    pub fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// When it may come back, if it is out.
    pub fn out_until(&self) -> Option<Instant> {
        self.out.map(|out| out.until)
    }

    /// A whole answer of it was good.
    pub fn good(&mut self) {
        self.bad_in_a_row = 0;
        self.bad_for = Faces::default();
    }

    /// It answered badly to this client; says after how many such answers that was once too often,
    /// where as many clients as `needed` have to have met it.
    pub fn bad(&mut self, client: IpAddr, needed: usize, limit: u32) -> Option<u32> {
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        self.bad_for.add(face(client));
        let too_often = limit > 0 && self.bad_in_a_row >= limit;
        let out = too_often && self.bad_for.count >= needed && !self.is_out();
        out.then_some(self.bad_in_a_row)
    }

    /// The head of an answer of it came.
    pub fn tally(&mut self, now: Instant) {
        if self.window.turn(now) {
            self.faulty_for = Faces::default();
        }
        self.window.now.answers = self.window.now.answers.saturating_add(1);
    }

    /// An answer of those that were tallied did not serve this client.
    pub fn tally_fault(&mut self, client: IpAddr) {
        self.window.now.faults = self.window.now.faults.saturating_add(1);
        self.faulty_for.add(face(client));
    }

    /// What it answered lately.
    pub fn lately(&mut self, now: Instant) -> Tally {
        self.window.turn(now);
        self.window.now + self.window.before
    }

    /// Whether its faults are worth a look at the rest of the pool: so many clients met them, or it
    /// says to all that it cannot serve. Where clients are placed by their address or a cookie, one
    /// client can be all that a backend has, and would be served by nobody.
    pub fn is_faulty(&self, needed: usize, limit: u32) -> bool {
        let lately = self.window.now + self.window.before;
        let often = limit > 0 && lately.faults >= limit;
        let serves_nobody = self.bad_in_a_row >= lately.answers;
        often && (serves_nobody || self.faulty_for.count >= needed) && !self.is_out()
    }

    /// A datagram came from it.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
        self.good();
    }

    /// Its machine, or who claims to be that, refused a datagram; says whether that was once too
    /// often.
    pub fn refused(&mut self, limit: u32, now: Instant) -> bool {
        let within = |at: Option<Instant>, time| {
            at.is_some_and(|at| now.saturating_duration_since(at) < time)
        };
        if within(self.heard_at, REFUSAL_SILENCE) || within(self.refused_at, REFUSAL_EVERY) {
            return false;
        }
        self.refused_at = Some(now);
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        limit > 0 && self.bad_in_a_row >= limit && !self.is_out()
    }

    /// Leave it out; says for how long.
    pub fn eject(&mut self, cause: EjectCause, now: Instant) -> Duration {
        let forgotten = |last: Instant| now.duration_since(last) > EJECTION_FORGOTTEN_AFTER;
        if self.last_out.is_none_or(forgotten) {
            self.times_out = 0;
        }
        self.times_out += 1;
        let time = EJECTION.saturating_mul(self.times_out).min(EJECTION_MAX);
        self.good();
        self.window = Window::default();
        self.faulty_for = Faces::default();
        self.out = Some(Out { since: now, until: now + time, cause });
        self.last_out = Some(now + time);
        time
    }

    /// Take it back in if its time is over; says whether it came back.
    pub fn come_back(&mut self, now: Instant) -> bool {
        let over = self.out.is_some_and(|out| out.until <= now);
        over && self.recall()
    }

    /// Take it back in before its time; says whether it came back.
    pub fn recall(&mut self) -> bool {
        self.out.take().is_some()
    }
}

impl Crowd {
    /// This client is here.
    pub fn see(&mut self, client: IpAddr, now: Instant) {
        let face = face(client);
        let of = |seen: &Option<(Face, Instant)>| seen.map(|(known, _)| known);
        let known = self.faces.iter().position(|seen| of(seen) == Some(face));
        let oldest = || (0..EJECT_CLIENTS).min_by_key(|&at| self.faces[at].map(|seen| seen.1));
        if let Some(at) = known.or_else(oldest) {
            self.faces[at] = Some((face, now));
        }
    }

    /// How many clients have to have met what leaves a backend out: several, or all there are.
    pub fn needed(&self, now: Instant) -> usize {
        let lately = |at: Instant| now.saturating_duration_since(at) < CROWD_REMEMBERED;
        self.faces.iter().flatten().filter(|(_, at)| lately(*at)).count().max(1)
    }
}

impl Faces {
    fn add(&mut self, face: Face) {
        if self.count < EJECT_CLIENTS && !self.known[..self.count].contains(&face) {
            self.known[self.count] = face;
            self.count += 1;
        }
    }
}

impl Window {
    /// Begin anew if it is time; says whether everything before is forgotten.
    fn turn(&mut self, now: Instant) -> bool {
        let Some(ends) = self.ends else {
            self.ends = Some(now + EJECT_WINDOW);
            return false;
        };
        // With each answer: times are compared, which is cheaper than to take their difference.
        if now < ends {
            return false;
        }
        let over = now >= ends + EJECT_WINDOW;
        let before = if over { Tally::default() } else { self.now };
        *self = Window { ends: Some(now + EJECT_WINDOW), now: Tally::default(), before };
        over
    }
}

impl std::ops::Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            answers: self.answers.saturating_add(other.answers),
            faults: self.faults.saturating_add(other.faults),
        }
    }
}

impl std::fmt::Display for EjectCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EjectCause::BadAnswers(count) => {
                f.write_str(&counted(*count as usize, "bad answer"))
            }
            EjectCause::Refusals(count) => f.write_str(&counted(*count as usize, "refusal")),
            EjectCause::Faults(own, rest) => write!(
                f,
                "{} of {} answers were bad, {} of {} of the others",
                own.faults, own.answers, rest.faults, rest.answers
            ),
        }
    }
}

fn face(client: IpAddr) -> Face {
    match client.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// Whether these answers are much worse than those of the rest of the pool: by
/// [`EJECT_SHARE_PERCENT`] of all answers, and enough of them on both sides to say so.
pub fn stands_out(own: Tally, rest: Tally) -> bool {
    let share = |tally: Tally| u64::from(tally.faults) * 100 / u64::from(tally.answers.max(1));
    let enough = own.answers.min(rest.answers) >= EJECT_ANSWERS_MIN;
    enough && share(own) >= share(rest) + EJECT_SHARE_PERCENT
}

/// Whether one more of a pool may be ejected, of `able` that are up and wanted and `out` of those
/// already: at least half of them stay, rounded up, and at least one.
pub fn may_spare(able: usize, out: usize) -> bool {
    (out + 1) * 2 <= able
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn faulty(conduct: &mut Outlier, number: u8, now: Instant) {
        conduct.tally(now);
        conduct.tally_fault(client(number));
    }

    #[test]
    fn what_a_status_says() {
        let table = [
            (101, Grade::Good),
            (200, Grade::Good),
            (404, Grade::Good),
            (499, Grade::Good),
            (500, Grade::Faulty),
            (501, Grade::Unsaid),
            (502, Grade::Bad),
            (503, Grade::Bad),
            (504, Grade::Bad),
            (505, Grade::Unsaid),
            (507, Grade::Faulty),
            (599, Grade::Faulty),
        ];
        for (status, grade) in table {
            assert_eq!(Grade::of(status), grade, "{status}");
        }
    }

    #[test]
    fn only_bad_answers_in_a_row_count() {
        let mut conduct = Outlier::default();
        let bad = |conduct: &mut Outlier| conduct.bad(client(1), 1, 3).is_some();
        for _ in 0..10 {
            assert!(!bad(&mut conduct) && !bad(&mut conduct));
            conduct.good();
        }
        assert!(!bad(&mut conduct) && !bad(&mut conduct) && bad(&mut conduct));
    }

    #[test]
    fn zero_turns_it_off() {
        let mut conduct = Outlier::default();
        let now = Instant::now();
        assert!((0..1000).all(|_| conduct.bad(client(1), 1, 0).is_none()));
        (0..1000).for_each(|_| faulty(&mut conduct, 1, now));
        assert!(!conduct.is_faulty(1, 0) && !conduct.refused(0, now));
    }

    /// Rows of bad answers, a digit for the client of each and `+` for a good answer to anybody,
    /// with a limit of 3; and who else is here.
    #[test]
    fn nobody_alone_takes_a_backend_from_others() {
        let table = [
            ("111", "", true),
            ("11", "", false),
            ("1111111111", "2", false),
            ("112", "", true),
            ("12", "", false),
            ("112", "3", false),
            ("1123", "", true),
            ("11+2", "", false),
            ("1+2+3+1+2+3", "", false),
            ("11111123", "456789", true),
            ("11111122222", "3", false),
        ];
        for (row, others, out) in table {
            let mut conduct = Outlier::default();
            let mut crowd = Crowd::default();
            let now = Instant::now();
            let see = |crowd: &mut Crowd, digit| {
                let number = client(digit as u8 - b'0');
                crowd.see(number, now);
                number
            };
            for digit in others.chars() {
                see(&mut crowd, digit);
            }
            let mut too_often = false;
            for digit in row.chars() {
                if digit == '+' {
                    conduct.good();
                } else {
                    let number = see(&mut crowd, digit);
                    too_often |= conduct.bad(number, crowd.needed(now), 3).is_some();
                }
            }
            assert_eq!(too_often, out, "{row} beside {others}");
        }
    }

    #[test]
    fn a_crowd_is_forgotten_and_a_network_is_one_client() {
        let mut crowd = Crowd::default();
        let now = Instant::now();
        assert_eq!(crowd.needed(now), 1);
        (1..=9).for_each(|number| crowd.see(client(number), now));
        assert_eq!(crowd.needed(now), EJECT_CLIENTS);
        assert_eq!(crowd.needed(now + CROWD_REMEMBERED), 1);
        let mut crowd = Crowd::default();
        for address in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"] {
            crowd.see(address.parse().unwrap(), now);
        }
        assert_eq!(crowd.needed(now), 1);
        for address in ["2001:db8:0:1::1", "::ffff:10.0.0.1", "10.0.0.1"] {
            crowd.see(address.parse().unwrap(), now);
        }
        assert_eq!(crowd.needed(now), 3);
    }

    #[test]
    fn faults_count_by_their_share() {
        let table = [
            ((10, 5), (10, 0), true),
            ((10, 10), (10, 0), true),
            ((9, 9), (10, 0), false),
            ((10, 10), (9, 0), false),
            ((100, 29), (100, 0), false),
            ((100, 30), (100, 0), true),
            ((100, 50), (100, 50), false),
            ((100, 100), (1000, 710), false),
            ((100, 100), (1000, 700), true),
            ((0, 0), (1000, 0), false),
            ((1000, 300), (0, 0), false),
        ];
        for (own, rest, out) in table {
            let tally = |(answers, faults)| Tally { answers, faults };
            assert_eq!(stands_out(tally(own), tally(rest)), out, "{own:?} beside {rest:?}");
        }
    }

    #[test]
    fn faults_are_of_several_clients_and_of_lately() {
        let mut conduct = Outlier::default();
        let now = Instant::now();
        conduct.tally(now);
        (0..10).for_each(|_| faulty(&mut conduct, 1, now));
        assert!(conduct.is_faulty(1, 5) && !conduct.is_faulty(2, 5));
        faulty(&mut conduct, 2, now + EJECT_WINDOW);
        assert!(conduct.is_faulty(2, 11) && !conduct.is_faulty(2, 12));
        conduct.tally(now + 2 * EJECT_WINDOW);
        assert_eq!(
            conduct.lately(now + 2 * EJECT_WINDOW),
            Tally { answers: 2, faults: 1 },
            "the first ten are gone"
        );
        conduct.tally(now + 5 * EJECT_WINDOW);
        assert_eq!(conduct.lately(now + 5 * EJECT_WINDOW), Tally { answers: 1, faults: 0 });
        assert!(!conduct.is_faulty(1, 1));
    }

    /// 56,000 forged refusals in 0.8 s are what somebody tried.
    #[test]
    fn refusals_count_slowly_and_not_beside_answers() {
        let mut conduct = Outlier::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert!((0..56_000).all(|count| !conduct.refused(2, at(count / 70))), "a burst is one");
        assert!(conduct.refused(2, at(2_000)), "nothing but refusals");
        let mut conduct = Outlier::default();
        for second in 0..60 {
            if second % 4 == 0 {
                conduct.heard(at(second * 1_000));
            }
            assert!(!conduct.refused(1, at(second * 1_000)), "it answers");
        }
    }

    #[test]
    fn half_of_the_able_stay() {
        // Of so many, so many may be ejected in the end.
        for (able, most) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4), (10, 5)] {
            let mut out = 0;
            while may_spare(able, out) {
                out += 1;
            }
            assert_eq!(out, most, "of {able}");
            assert!(able - out >= able.div_ceil(2));
        }
    }

    #[test]
    fn the_time_grows_up_to_a_limit_and_is_forgotten() {
        let mut conduct = Outlier::default();
        let mut now = Instant::now();
        let cause = EjectCause::BadAnswers(5);
        for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
            assert_eq!(conduct.eject(cause, now), Duration::from_secs(expected));
            assert!(!conduct.come_back(now + Duration::from_secs(expected - 1)));
            now += Duration::from_secs(expected);
            assert!(conduct.come_back(now) && !conduct.come_back(now));
        }
        now += EJECTION_FORGOTTEN_AFTER + Duration::from_secs(1);
        assert_eq!(conduct.eject(cause, now), EJECTION);
    }
}
