//! Bans as they are told and shown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{Cidr, duration_text, time_text};
use crate::guard::bans::Ban;

use super::view::whole_seconds;

/// What is asked about a ban.
#[derive(Debug)]
pub enum BanAsked {
    /// It is to be.
    Ban(BanOrder),
    /// It is to be no more.
    Unban(Cidr),
}

/// A ban that is to be.
#[derive(Debug)]
pub struct BanOrder {
    /// Of this network.
    pub network: Cidr,
    /// For so long.
    pub time: Duration,
    /// For people.
    pub why: String,
    /// Who says so.
    pub by: String,
    /// Connections that are there already are closed as well.
    pub closes: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanDone {
    /// It is; connections are being closed for it, or not.
    Made {
        /// There was none of this network.
        is_new: bool,
        /// Those that are there already are being closed.
        closes: bool,
    },
    /// It is no more.
    Lifted,
}

impl BanDone {
    /// In a line, for the audit.
    pub fn text(self) -> &'static str {
        match self {
            BanDone::Made { is_new: true, closes: false } => "banned",
            BanDone::Made { is_new: true, closes: true } => "banned, connections are closed",
            BanDone::Made { closes: false, .. } => "banned anew",
            BanDone::Made { closes: true, .. } => "banned anew, connections are closed",
            BanDone::Lifted => "not banned any more",
        }
    }
}

/// A ban as it is shown.
pub fn row(network: Cidr, ban: &Ban, now: Instant) -> Value {
    json!({
        "network": network.to_string(),
        "since": time_text(ban.since),
        "until": time_text(ban.ends),
        "left": duration_text(whole_seconds(ban.left(now))),
        "why": ban.why,
        "by": ban.by,
    })
}
