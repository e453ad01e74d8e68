//! Bans as a rule of the guard, and those that it makes itself.

use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use crate::config::{BanSettings, Cidr};
use crate::limits::BAN_EVENTS_WAITING;

use super::bans::{BY_STRIKES, Ban, Bans, Made};
use super::rules::{Refused, RuleBook, RuleId, Scope};
use super::strikes::{Strikes, Terms, client_of};
use super::{Refusal, RefusalKind};

/// What the rule is called.
pub const RULE: &str = "ban";

/// Something that was done here, and of which nobody was told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A network was banned.
    Banned(Cidr),
    /// A ban ended for another one.
    Displaced(Cidr),
}

/// Who is banned, and who is about to be.
#[derive(Debug)]
pub struct Banning {
    /// All bans.
    pub bans: Bans,
    /// How often they changed.
    pub changes: u64,
    /// How many were made, by whomever.
    pub made: u64,
    /// How many of those were made here.
    pub made_by_strikes: u64,
    /// What was counted as a strike.
    pub strikes_counted: u64,
    /// What was done here, until somebody tells of it.
    untold: Vec<News>,
    rule: Option<RuleId>,
    terms: Option<Terms>,
    exempt: Vec<Cidr>,
    strikes: Option<Box<Strikes>>,
    key: (u64, u64),
}

impl Banning {
    /// Nobody; the key is a secret.
    pub fn new(key: (u64, u64)) -> Banning {
        Banning {
            bans: Bans::default(),
            changes: 0,
            made: 0,
            made_by_strikes: 0,
            strikes_counted: 0,
            untold: Vec::new(),
            rule: None,
            terms: None,
            exempt: Vec::new(),
            strikes: None,
            key,
        }
    }

    /// From now on by these settings; what was counted stays.
    pub fn follow(&mut self, settings: &BanSettings, now: Instant, book: &mut RuleBook) {
        let BanSettings { after, window, time, exempt } = settings;
        self.exempt.clone_from(exempt);
        self.terms = after.map(|after| Terms { after, window: *window, time: *time });
        if self.rule.is_some() || self.terms.is_some() {
            self.have_rule(book);
        }
        match (&self.terms, &self.strikes) {
            (Some(_), None) => self.strikes = Some(Box::new(Strikes::new(self.key, now))),
            (None, _) => self.strikes = None,
            _ => {}
        }
    }

    /// Whether anybody is banned.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.bans.is_empty()
    }

    /// Whether this address may come, with so much at once.
    #[inline]
    pub fn check(
        &self,
        address: IpAddr,
        count: u64,
        now: Instant,
        book: &mut RuleBook,
    ) -> Result<(), Refusal> {
        if self.bans.is_empty() || !self.is_meant(address, now) {
            return Ok(());
        }
        let Some(rule) = self.rule else { return Ok(()) };
        match book.refuse_some(rule, count) {
            Refused::OnlyCounted => Ok(()),
            Refused::Really => {
                let kind = RefusalKind::Denied;
                Err(Refusal { rule, kind, is_own: false, retry_after: None })
            }
        }
    }

    /// Whether this address may not come, without counting it.
    #[inline]
    pub fn bars(&self, address: IpAddr, now: Instant, book: &RuleBook) -> bool {
        let is_in_force = || self.rule.is_some_and(|rule| book.is_in_force(rule));
        self.is_on() && self.is_meant(address, now) && is_in_force()
    }

    /// Whether there is a ban that holds for this address: one that was made here holds for a whole
    /// /64 of IPv6, and for none of those that are exempt in it.
    fn is_meant(&self, address: IpAddr, now: Instant) -> bool {
        let holds =
            |ban: &Ban| ban.until > now && (!ban.is_by_strikes() || !self.is_exempt(address));
        self.bans.all_of(address).any(|(_, ban)| holds(ban))
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        self.exempt.iter().any(|it| it.contains(address))
    }

    /// Whether strikes are counted.
    #[inline]
    pub fn counts_strikes(&self) -> bool {
        self.terms.is_some()
    }

    /// A client did what it should not; perhaps it is banned for it.
    pub fn strike(&mut self, address: IpAddr, why: &str, now: Instant) {
        let is_exempt = self.is_exempt(address);
        let (Some(terms), Some(strikes)) = (&self.terms, &mut self.strikes) else { return };
        // Who is banned already is not banned longer for what was under way.
        if is_exempt || self.bans.find(address, now).is_some() {
            return;
        }
        self.strikes_counted += 1;
        let Some(out) = strikes.strike(address, terms, now) else { return };
        let why = format!("{} strikes, the last one: {why}", out.strikes);
        let ban = Ban::lasting(out.time, &why, BY_STRIKES, now, SystemTime::now());
        let made = self.bans.set(out.network, ban);
        if made == Made::NoRoom {
            return;
        }
        self.changes += 1;
        self.made += 1;
        self.made_by_strikes += 1;
        self.note(News::Banned(out.network));
        if let Made::InPlaceOf(other) = made {
            self.note(News::Displaced(other));
        }
    }

    fn note(&mut self, news: News) {
        if self.untold.len() < BAN_EVENTS_WAITING {
            self.untold.push(news);
        }
    }

    /// Somebody tells of a ban; it takes the place of one of the same network.
    pub fn ban(&mut self, network: Cidr, ban: Ban, book: &mut RuleBook) -> Made {
        self.have_rule(book);
        self.changes += 1;
        self.made += 1;
        self.bans.set(network, ban)
    }

    /// The rule is there once there are bans, or may be.
    fn have_rule(&mut self, book: &mut RuleBook) {
        self.rule = Some(book.enter(&Scope::Process, RULE));
    }

    /// Somebody takes it back; what was counted of that client as well.
    pub fn unban(&mut self, network: Cidr) -> Option<Ban> {
        let ban = self.bans.remove(network)?;
        self.changes += 1;
        if let Some(strikes) = &mut self.strikes
            && network == client_of(network.address)
        {
            strikes.forgive(network);
        }
        Some(ban)
    }

    /// A ban of the process before.
    pub fn restore(&mut self, network: Cidr, ban: Ban, book: &mut RuleBook) {
        self.have_rule(book);
        self.bans.set(network, ban);
    }

    /// Whether there is something to tell, or to forget.
    #[inline]
    pub fn has_news(&self, now: Instant) -> bool {
        !self.untold.is_empty() || self.bans.next_end().is_some_and(|end| end <= now)
    }

    /// One that is over by now, which is forgotten.
    pub fn end_one(&mut self, now: Instant) -> Option<(Cidr, Ban)> {
        let ended = self.bans.end_one(now)?;
        self.changes += 1;
        Some(ended)
    }

    /// Something that was done here, and of which nobody was told yet.
    pub fn next_untold(&mut self) -> Option<News> {
        self.untold.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DryRun;
    use std::time::Duration;

    #[test]
    fn who_strikes_often_is_banned_but_for_the_exempt() {
        let now = Instant::now();
        let mut book = RuleBook::default();
        let mut banning = Banning::new((1, 2));
        let exempt = Cidr::parse_list("192.0.2.9").unwrap();
        let settings = BanSettings { after: Some(2), exempt, ..BanSettings::DEFAULT };
        book.begin_change(&DryRun::None);
        banning.follow(&settings, now, &mut book);
        book.end_change();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.9".parse().unwrap();
        for _ in 0..3 {
            banning.strike(one, "a bad request", now);
            banning.strike(other, "a bad request", now);
        }
        assert!(banning.check(one, 1, now, &mut book).is_err());
        assert!(banning.check(other, 1, now, &mut book).is_ok());
        assert_eq!((banning.made, banning.strikes_counted), (1, 2));
        let (network, ban) = banning.bans.behind(None).next().unwrap();
        assert_eq!(network.to_string(), "192.0.2.1/32");
        assert_eq!(ban.why, "2 strikes, the last one: a bad request");
        assert!(banning.next_untold().is_some() && banning.next_untold().is_none());
        let after = now + Duration::from_secs(600);
        assert!(banning.check(one, 1, after, &mut book).is_ok());
        assert!(banning.end_one(after).is_some() && banning.end_one(after).is_none());
    }

    #[test]
    fn the_exempt_of_a_network_that_is_banned_by_strikes_come_in() {
        let now = Instant::now();
        let mut book = RuleBook::default();
        let mut banning = Banning::new((1, 2));
        let exempt = Cidr::parse_list("2001:db8::1").unwrap();
        let settings = BanSettings { after: Some(1), exempt, ..BanSettings::DEFAULT };
        book.begin_change(&DryRun::None);
        banning.follow(&settings, now, &mut book);
        book.end_change();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        banning.strike(at("2001:db8::bad"), "a bad request", now);
        assert!(banning.check(at("2001:db8::2"), 1, now, &mut book).is_err());
        assert!(banning.check(at("2001:db8::1"), 1, now, &mut book).is_ok());
        assert!(!banning.bars(at("2001:db8::1"), now, &book));
        let network = Cidr::parse("2001:db8::/64").unwrap();
        let ban = Ban::lasting(Duration::from_secs(9), "", "ops", now, SystemTime::now());
        banning.ban(network, ban, &mut book);
        assert!(
            banning.check(at("2001:db8::1"), 1, now, &mut book).is_err(),
            "somebody told it"
        );
    }

    #[test]
    fn a_ban_that_is_only_tried_is_counted() {
        let now = Instant::now();
        let mut book = RuleBook::default();
        let mut banning = Banning::new((1, 2));
        book.begin_change(&DryRun::All);
        banning.follow(&BanSettings::DEFAULT, now, &mut book);
        book.end_change();
        let all = Cidr::parse("0.0.0.0/0").unwrap();
        let ban = Ban::lasting(Duration::from_secs(1), "", "", now, SystemTime::now());
        banning.ban(all, ban, &mut book);
        assert!(banning.check("192.0.2.1".parse().unwrap(), 1, now, &mut book).is_ok());
        assert_eq!(book.total().would_refuse, 1);
    }
}
