//! Bans in the turn: those that are told, those that the guard made, those that are over.

use std::time::{Duration, SystemTime};

use log::info;
use serde_json::{Value, json};

use crate::admin::ban::{BanAsked, BanDone, BanOrder, row};
use crate::admin::change::Done;
use crate::admin::problem::{Kind, Problem};
use crate::config::{Cidr, duration_text};
use crate::control::state::{SavedBan, bans_of};
use crate::event::Key;
use crate::guard::Guard;
use crate::guard::banning::News;
use crate::guard::bans::{Ban, Made};
use crate::limits::{
    BAN_EVENTS_PER_TURN, BANS_ENDED_PER_TURN, DURATION_MAX, GUARD_LINES, SWEPT_PER_TURN,
};
use crate::relay::Reason;
use crate::stats::LogThrottle;

use super::EventLoop;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Banishing {
    lines: LogThrottle,
    /// Networks whose connections are being closed.
    networks: Vec<Cidr>,
    /// How far the walk through the pairs is.
    at: usize,
}

impl Banishing {
    pub fn is_going_on(&self) -> bool {
        !self.networks.is_empty()
    }
}

impl EventLoop {
    /// Somebody asks for a ban, or for the end of one.
    pub(super) fn tell_ban(&mut self, key: Key, asked: BanAsked) {
        let done = match asked {
            BanAsked::Ban(order) => Ok(self.ban(order)),
            BanAsked::Unban(network) => match self.cx.guard.banning.unban(network) {
                Some(_) => {
                    self.tell_of_ban(network, json!({"what": "lifted"}));
                    Ok(BanDone::Lifted)
                }
                // It ended while this was asked.
                None => Err(Problem::new(Kind::NOT_FOUND, format!("{network} is not banned"))),
            },
        };
        self.note_told_ban();
        self.answer_admin(key, done.map(Done::Ban));
    }

    fn ban(&mut self, order: BanOrder) -> BanDone {
        let BanOrder { network, time, why, by, closes } = order;
        let ban = Ban::lasting(time, &why, &by, self.cx.now, SystemTime::now());
        let data = row(network, &ban, self.cx.now);
        let Guard { banning, book, .. } = &mut self.cx.guard;
        let made = banning.ban(network, ban, book);
        self.tell_of_ban(network, with_what("banned", data));
        if let Made::InPlaceOf(other) = made {
            self.tell_of_ban(other, json!({"what": "displaced"}));
        }
        if closes {
            self.banishing.networks.push(network);
            self.banishing.at = 0;
            self.udp.leave_clients(network, &self.cx);
        }
        BanDone::Made { is_new: !matches!(made, Made::Instead(_)), closes }
    }

    /// What the guard did by itself since the last turn, and what is over.
    #[inline]
    pub(super) fn follow_bans(&mut self) {
        if self.cx.guard.banning.has_news(self.cx.now) {
            self.tell_of_bans();
        }
        if self.banishing.is_going_on() {
            self.banish_some();
        }
    }

    #[cold]
    fn tell_of_bans(&mut self) {
        let now = self.cx.now;
        for _ in 0..BAN_EVENTS_PER_TURN {
            let network = match self.cx.guard.banning.next_untold() {
                Some(News::Banned(network)) => network,
                Some(News::Displaced(network)) => {
                    self.tell_of_ban(network, json!({"what": "displaced"}));
                    continue;
                }
                None => break,
            };
            let Some(ban) = self.cx.guard.banning.bans.get(network) else { continue };
            if self.banishing.lines.allows(now, GUARD_LINES) {
                let time = duration_text(ban.until.saturating_duration_since(now));
                let made = self.cx.guard.banning.made_by_strikes;
                info!("guard: {network} is banned for {time}: {}; {made} so far", ban.why);
            }
            let data = row(network, ban, now);
            self.tell_of_ban(network, with_what("banned", data));
        }
        for _ in 0..BANS_ENDED_PER_TURN {
            let Some((network, _)) = self.cx.guard.banning.end_one(now) else { break };
            self.tell_of_ban(network, json!({"what": "over"}));
        }
    }

    fn tell_of_ban(&mut self, network: Cidr, mut data: Value) {
        data["network"] = json!(network.to_string());
        self.admin.events.push("guard", data, SystemTime::now());
    }

    /// Connections of those who were banned and are to leave at once are closed: so many are looked
    /// at in a turn.
    #[cold]
    fn banish_some(&mut self) {
        for _ in 0..SWEPT_PER_TURN {
            let Some(at) = Some(self.banishing.at).filter(|&at| at < self.pairs.places())
            else {
                return self.banishing.networks.clear();
            };
            let is_banned =
                |address| self.banishing.networks.iter().any(|it| it.contains(address));
            let found = self.pairs.at(at).filter(|(_, it)| is_banned(it.client.address.ip()));
            if let Some(key) = found.map(|(key, _)| key) {
                self.close(key, Reason::Told);
            }
            self.banishing.at += 1;
        }
    }

    /// Bans of the process before that are not over, by the clock on the wall.
    pub(super) fn restore_bans(&mut self, saved: &str) {
        let wall = SystemTime::now();
        let saved = serde_json::from_str(saved).unwrap_or(Value::Null);
        let mut count = 0;
        // What could not be read was found when the file was.
        for it in bans_of(&saved).unwrap_or_default() {
            let SavedBan { network, ends, since, why, by } = it;
            let left = ends.duration_since(wall).unwrap_or(Duration::ZERO);
            if !left.is_zero() {
                let until = self.cx.now + left.min(DURATION_MAX);
                let ban = Ban { until, ends, since, why, by };
                let Guard { banning, book, .. } = &mut self.cx.guard;
                banning.restore(network, ban, book);
                count += 1;
            }
        }
        if count > 0 {
            info!("bans made before the restart hold: {count}");
        }
    }
}

fn with_what(what: &str, row: Value) -> Value {
    let mut data = json!({"what": what});
    if let (Value::Object(data), Value::Object(row)) = (&mut data, row) {
        data.extend(row);
    }
    data
}
