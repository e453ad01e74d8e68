//! Who asks for our place: whether it may have it, and whether it has to wait.

use std::collections::HashMap;
use std::time::Instant;

use log::{info, warn};

use crate::admin::change::Asked as AskedOfAdmin;
use crate::admin::problem::{Kind, Problem};
use crate::event::{Key, Owner};
use crate::limits::{TAKEOVER_PATIENCE, TAKEOVER_TIME};
use crate::net::LocalPeer;
use crate::takeover::{Frames, UPGRADE};

use super::super::{EventLoop, RunState};
use super::told::Told;
use super::{Handover, Phase};

/// Who asked, and waits for the end of a change.
pub(super) struct Asked {
    /// Its admin connection.
    key: Key,
    peer: LocalPeer,
    /// Until then.
    until: Instant,
}

impl EventLoop {
    /// A process asks for our place.
    pub(in super::super) fn begin_to_hand_over(&mut self, key: Key) {
        let peer = self.admin.connections.get(key).and_then(|it| it.peer());
        let peer = match self.may_hand_over(peer) {
            Ok(peer) if self.changing_is_under_way() => return self.let_wait(key, peer),
            Ok(peer) => peer,
            Err(problem) => return self.refuse_place(key, problem),
        };
        let Some(client) = self.admin.connections.remove(key) else { return };
        self.cx.timers.remove(client.timer());
        let Some(mut socket) = client.into_local() else { return };
        if let Err(error) = socket.give_to(&self.cx.registry, Owner::Takeover) {
            return warn!("a process asked for our place: {error}");
        }
        info!("{} takes our place: everything goes on until it can", peer.process());
        let hello = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {UPGRADE}\r\n\r\n"
        );
        let mut handover = Handover {
            socket,
            peer,
            phase: Phase::Greeting,
            frames: Frames::default(),
            waiting: Default::default(),
            offered: Vec::new(),
            taken: HashMap::new(),
            flows: 0,
            told: Told::default(),
            due: self.cx.now + TAKEOVER_TIME,
            confirms: false,
            is_ready: true,
        };
        handover.say_bytes(hello.into_bytes(), Vec::new());
        self.cx.timers.arm(self.chores.takeover, handover.due);
        self.handovers.under_way = Some(Box::new(handover));
    }

    fn refuse_place(&mut self, key: Key, problem: Problem) {
        warn!("a process asked for our place: {}", problem.detail());
        self.cx.stats.takeovers_failed += 1;
        self.answer_admin(key, Err(problem));
    }

    fn may_hand_over(&self, peer: Option<LocalPeer>) -> Result<LocalPeer, Problem> {
        let conflict = |why: String| Err(Problem::new(Kind::CONFLICT, why));
        let Some(peer) = peer else {
            let why = "it is asked for by an admin UNIX socket: unix:PATH";
            return Err(Problem::new(Kind::FORBIDDEN, why));
        };
        let us = rustix::process::geteuid().as_raw();
        if peer.uid != us && peer.uid != 0 {
            let why = format!("user {} may not: want user {us}, or root", peer.uid);
            return Err(Problem::new(Kind::FORBIDDEN, why));
        }
        let under_way = self.handovers.under_way.as_ref().filter(|_| self.hands_over());
        let other = under_way.map(|it| it.peer);
        let waits = |it: &&Asked| self.admin.connections.get(it.key).is_some();
        let waiting = self.handovers.asked.as_ref().filter(waits).map(|it| it.peer);
        if let Some(other) = other.or(waiting) {
            let process = other.process();
            return conflict(format!("another handover is under way, to {process}"));
        }
        if self.state != RunState::Serving {
            return conflict("it drains: start the new process as any other".to_owned());
        }
        if self.directory.desired.process.demo {
            return conflict("it is a demo, whose backends end with it".to_owned());
        }
        Ok(peer)
    }

    /// What is under way is to be known to the process that takes our place: that one waits. What
    /// is asked for from here on is refused, so that there is an end.
    fn let_wait(&mut self, key: Key, peer: LocalPeer) {
        let process = peer.process();
        info!("{process} is to take our place: it waits for the change that is under way");
        let until = self.cx.now + TAKEOVER_PATIENCE;
        self.cx.timers.arm(self.chores.takeover, until);
        self.handovers.asked = Some(Asked { key, peer, until });
    }

    /// Whether somebody waited for the change that is over now.
    #[inline]
    pub(super) fn may_begin_to_hand_over(&self) -> bool {
        self.handovers.asked.is_some() && !self.changing_is_under_way()
    }

    pub(super) fn begin_what_was_asked_for(&mut self) {
        if self.may_begin_to_hand_over()
            && let Some(asked) = self.handovers.asked.take()
            && self.admin.connections.get(asked.key).is_some()
        {
            self.begin_to_hand_over(asked.key);
        }
    }

    /// The change takes too long for whoever waits for it.
    pub(super) fn on_patience_timer(&mut self) {
        let now = self.cx.now;
        if let Some(asked) = self.handovers.asked.take_if(|it| it.until <= now) {
            let why = "a change is under way: ask again";
            return self.refuse_place(asked.key, Problem::new(Kind::CONFLICT, why));
        }
        if let Some(asked) = &self.handovers.asked {
            self.cx.timers.arm(self.chores.takeover, asked.until);
        }
    }

    /// What is asked for now would not be known to the process that takes our place. Says whether
    /// it was refused.
    pub(in super::super) fn waits_for_another_process(
        &mut self,
        key: Key,
        asked: &AskedOfAdmin,
    ) -> bool {
        let changes_nothing = matches!(
            asked,
            AskedOfAdmin::Stop | AskedOfAdmin::Rehearse(_) | AskedOfAdmin::Takeover
        );
        if changes_nothing || !self.hands_over() && self.handovers.asked.is_none() {
            return false;
        }
        let why = "a new process takes our place: ask again in a moment";
        self.answer_admin(key, Err(Problem::new(Kind::CONFLICT, why)));
        true
    }
}
