//! A seat: a server as a member of one pool. The same server may have seats in several.
//!
//! What belongs to the pool's own view of its member is kept here: whether it is a backup, how it
//! answered by the pool's rules, how far its slow start is. Its weight is the candidate's, which
//! the algorithm sees. What is true of the server for everybody comes as a [`View`].

use std::time::Instant;

use crate::config::AdminState;
use crate::event::ServerId;

use super::eject::Outlier;
use super::pool::rests::Rest;

/// Who sits where, beside what the algorithm sees of it.
#[derive(Debug)]
pub(super) struct Seat {
    pub server: ServerId,
    /// Takes connections only while no other member of the pool can.
    pub backup: bool,
    /// What the operator says of it: one that is not ready takes nothing new.
    pub admin: AdminState,
    pub presence: Presence,
    /// It is up, and the operator wants it to have work: one of those that the pool has.
    pub serves: bool,
    /// The server may have another connection.
    pub has_room: bool,
    /// Left out of the pick that is under way.
    pub tried: bool,
    /// How it answered lately, by the rules of this pool.
    pub outlier: Outlier,
    /// Whether it rests after a connect that failed.
    pub rest: Rest,
    /// When its slow start began, if it is in one.
    pub ramp_from: Option<Instant>,
    /// It may be picked, but for the backups, which wait for the others.
    pub available: bool,
}

/// What the operator says of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatPlan {
    /// Its share of the traffic, 0 to [`crate::limits::WEIGHT_MAX`].
    pub weight: u32,
    /// Takes connections only while no other member of the pool can.
    pub backup: bool,
    /// Whether it is to have work.
    pub admin: AdminState,
}

/// What a pool has to know of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub presence: Presence,
    pub has_room: bool,
    pub connections: u32,
}

/// Whether a server is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Up,
    /// Clients could not connect to it, and no probe has said the same yet. A pool of which it was
    /// the last one goes on with it; for the others it is down.
    Suspected,
    Down,
}

impl Seat {
    /// A seat of a server of which nothing is known yet.
    pub fn new(server: ServerId, plan: SeatPlan, has_room: bool) -> Seat {
        Seat {
            server,
            backup: plan.backup,
            admin: plan.admin,
            presence: Presence::Down,
            serves: false,
            has_room,
            tried: false,
            outlier: Outlier::default(),
            rest: Rest::default(),
            ramp_from: None,
            available: false,
        }
    }

    /// Whether the operator lets it have work.
    pub fn is_ready(&self) -> bool {
        self.admin == AdminState::Ready
    }

    pub fn is_up(&self) -> bool {
        self.presence == Presence::Up
    }

    pub fn is_down(&self) -> bool {
        self.presence == Presence::Down
    }
}
