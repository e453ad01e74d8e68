//! A new process takes our place: the side of the old one, in small pieces beside the traffic. What
//! the two say, and in which order, stands at the head of [`crate::takeover`].
//!
//! ```text
//!   Greeting --Hello--> Listing --> Gathering --> State --> Opening --Ready--> Flows --> Yours
//!      |                                                                              | Taken
//!      |  up to Serves anything that goes wrong has all go on as it was              v
//!      +--> given up: a line, a count    Draining <--Serves-- Confirming <--Go-- Counting
//!                                            |              each second              ^
//!                                            +---------------------------------------+
//! ```

mod asking;
mod giving;
mod told;

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use log::warn;

use crate::config::duration_text;
use crate::control::state::Pieces;
use crate::event::{Key, ListenerId};
use crate::limits::{
    TAKEOVER_COUNTS, TAKEOVER_HELD, TAKEOVER_HELD_FLOW, TAKEOVER_RESTED, TAKEOVER_RETRY,
    TAKEOVER_STEP, TAKEOVER_TIME, TAKEOVER_WAITING_BYTES,
};
use crate::net::{LocalPeer, LocalStream, Received, Sent};
use crate::takeover::{Frames, Hello, Message, PROTOCOL, decode, encode};

use super::EventLoop;
use super::saving::Gathering;
use told::Told;

/// The one that is under way, and whether there was one.
#[derive(Default)]
pub(super) struct Handovers {
    /// With a process that takes our place, or has taken it.
    under_way: Option<Box<Handover>>,
    /// Who asked for our place and waits for a change to end.
    asked: Option<asking::Asked>,
    /// Another process serves.
    is_over: bool,
    /// It was said after that that we are to stop.
    is_told_to_stop: bool,
}

/// A talk with the process that takes our place.
pub(super) struct Handover {
    socket: LocalStream,
    peer: LocalPeer,
    phase: Phase,
    frames: Frames<OwnedFd>,
    /// What is to be sent.
    waiting: VecDeque<Outgoing>,
    /// The listening sockets, in the order in which they are told.
    offered: Vec<Offer>,
    /// The places of those that the other takes, by the listeners whose they are.
    taken: HashMap<ListenerId, u32>,
    /// So many flows were told.
    flows: u32,
    /// What was counted, as it was told last.
    told: Told,
    /// When it is given up, or what was counted is told next.
    due: Instant,
    /// It says that it serves.
    confirms: bool,
    /// It may go on.
    is_ready: bool,
}

enum Phase {
    Greeting,
    Listing(usize),
    Gathering(Gathering),
    State(Box<Pieces>),
    /// It has all that it takes to open everything.
    Opening,
    /// At which place the next flow is.
    Flows(usize),
    Yours,
    /// At which backend the next counts are.
    Counting(usize),
    /// It may serve, and did not say yet that it does.
    Confirming,
    Draining,
}

/// A message, and descriptors that go with its first byte.
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    with: Vec<OwnedFd>,
}

/// A listening socket that the other may take.
struct Offer {
    of: Listening,
    is_taken: bool,
}

/// Where somebody listens.
#[derive(Clone, Copy)]
enum Listening {
    Listener(ListenerId),
    Admin(Key),
    Heartbeats,
}

/// How a step went.
enum Step {
    Again,
    Waits,
}

impl EventLoop {
    /// Whether a new process is about to take our place: nothing is changed meanwhile.
    pub(super) fn hands_over(&self) -> bool {
        self.handovers.under_way.is_some() && !self.handovers.is_over
    }

    /// Whether another process serves, and ours ends with its connections.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handovers.is_over
    }

    /// Whether the connections to those who drain are on their way to another process, or there.
    pub(super) fn hands_over_tails(&self) -> bool {
        let phase = self.handovers.under_way.as_ref().map(|it| &it.phase);
        let are_on_their_way =
            matches!(phase, Some(Phase::Yours | Phase::Counting(_) | Phase::Confirming));
        are_on_their_way || self.handovers.is_over
    }

    /// Whether a stop that is asked for is begun already, by the handover: the first time.
    pub(super) fn excuses_stop(&mut self) -> bool {
        self.handovers.is_over && !std::mem::replace(&mut self.handovers.is_told_to_stop, true)
    }

    /// An event of the other process's socket.
    pub(super) fn mark_takeover(&mut self, event: &mio::event::Event) {
        if let Some(handover) = &mut self.handovers.under_way {
            handover.socket.mark(event);
            handover.is_ready = true;
        }
    }

    /// Its time is over: it waited for too long, or is told what was counted.
    pub(super) fn on_takeover_timer(&mut self) {
        let now = self.cx.now;
        let Some(handover) = &mut self.handovers.under_way else {
            return self.on_patience_timer();
        };
        handover.is_ready = true;
        if handover.due > now {
            return self.cx.timers.arm(self.chores.takeover, handover.due);
        }
        if !self.handovers.is_over && handover.socket.can_read() {
            // Both may have slept: it is heard first.
            handover.wait_from(now);
            return self.cx.timers.arm(self.chores.takeover, handover.due);
        }
        if !self.handovers.is_over {
            let why = handover.why_late();
            return self.give_up_handover(&why);
        }
        // Else it has not taken yet what was counted before.
        if matches!(handover.phase, Phase::Draining) {
            handover.phase = Phase::Counting(0);
        }
        handover.due = now + TAKEOVER_COUNTS;
        self.cx.timers.arm(self.chores.takeover, handover.due);
        self.close_rested(TAKEOVER_RESTED);
    }

    /// Whether there is something to be said to the process that takes our place, or to be heard of
    /// those in whose place we are.
    #[inline]
    pub(super) fn has_words_with_processes(&self) -> bool {
        let is_ready = self.handovers.under_way.as_ref().is_some_and(|it| it.is_ready);
        is_ready || self.has_tails_to_hear() || self.may_begin_to_hand_over()
    }

    /// Some of that.
    #[inline]
    pub(super) fn talk_to_processes(&mut self) {
        if self.has_words_with_processes() {
            self.hear_tails();
            self.hand_over_some();
            self.begin_what_was_asked_for();
        }
    }

    /// Whether it was not told everything yet.
    pub(super) fn has_words_left(&self) -> bool {
        let under_way = self.handovers.under_way.as_ref();
        under_way.is_some_and(|it| !it.waiting.is_empty())
    }

    /// Some of what there is to do.
    #[cold]
    pub(super) fn hand_over_some(&mut self) {
        let Some(mut handover) = self.handovers.under_way.take() else { return };
        let mut share = self.pace.share(TAKEOVER_STEP, usize::MAX);
        handover.is_ready = false;
        let outcome = loop {
            if !share.allows(&mut self.pace) {
                handover.is_ready = true;
                break Ok(());
            }
            match self.step_handover(&mut handover) {
                Ok(Step::Again) => share.note_large(),
                Ok(Step::Waits) => break Ok(()),
                Err(why) => break Err(why),
            }
        };
        match outcome {
            Ok(()) => self.handovers.under_way = Some(handover),
            Err(why) => self.end_handover(handover, &why),
        }
        if self.handovers.is_over {
            self.close_resting_admins();
        }
    }

    fn step_handover(&mut self, it: &mut Handover) -> Result<Step, String> {
        let gone = it.read();
        // Its last words may be why it went.
        while let Some(frame) = it.frames.take().map_err(|wrong| wrong.to_string())? {
            let message = decode(frame.kind, &frame.payload);
            self.hear_new(it, message.map_err(|wrong| wrong.to_string())?)?;
        }
        gone?;
        if it.socket.can_read() {
            return Ok(Step::Again);
        }
        let before = it.unsent();
        let flushed = it.flush()?;
        if it.unsent() < before && it.holds_datagrams() && !self.handovers.is_over {
            it.wait_from(self.cx.now);
        }
        match flushed {
            Flushed::All => {}
            Flushed::Blocked => return Ok(Step::Waits),
            Flushed::Later => {
                self.cx.timers.arm(self.chores.takeover, self.cx.now + TAKEOVER_RETRY);
                return Ok(Step::Waits);
            }
        }
        Ok(if self.say_more(it)? { Step::Again } else { Step::Waits })
    }

    /// The new process said something.
    fn hear_new(&mut self, it: &mut Handover, message: Message) -> Result<(), String> {
        match (&it.phase, message) {
            (Phase::Greeting, Message::Hello(hello)) if hello.protocol == PROTOCOL => {
                it.confirms = hello.confirms;
                let offers = self.all_offers().into_iter();
                it.offered = offers.map(|of| Offer { of, is_taken: false }).collect();
                it.phase = Phase::Listing(0);
            }
            (Phase::Greeting, Message::Hello(hello)) => {
                let Hello { protocol, version, .. } = hello;
                return Err(format!(
                    "its version, {version}, hands over by protocol {protocol}, ours by {PROTOCOL}"
                ));
            }
            (Phase::Opening, Message::Ready(places)) => {
                for place in places {
                    let offer = it.offered.get_mut(place as usize);
                    let offer = offer.ok_or("it took a socket that is none")?;
                    offer.is_taken = true;
                    if let Listening::Listener(id) = offer.of {
                        it.taken.insert(id, place);
                    }
                }
                self.udp.freeze();
                it.phase = Phase::Flows(0);
            }
            (Phase::Yours, Message::Taken) => it.phase = Phase::Counting(0),
            (Phase::Confirming, Message::Serves) => {
                self.leave_place(it);
                it.say(&Message::Over, Vec::new());
                it.phase = Phase::Draining;
                return Ok(());
            }
            (_, Message::No(why)) => return Err(why),
            _ => return Err("it said what was not to be said then".to_owned()),
        }
        it.wait_from(self.cx.now);
        self.cx.timers.arm(self.chores.takeover, it.due);
        Ok(())
    }

    /// A handover that is under way comes to nothing, for this reason of ours.
    pub(super) fn give_up_handover(&mut self, why: &str) {
        if self.hands_over()
            && let Some(handover) = self.handovers.under_way.take()
        {
            self.end_handover(handover, why);
        }
    }

    /// It came to an end. Before the other one serves, all goes on here as if nothing had been.
    fn end_handover(&mut self, mut handover: Box<Handover>, why: &str) {
        handover.socket.deregister(&self.cx.registry);
        if self.handovers.is_over {
            return;
        }
        let process = handover.peer.process();
        warn!("{process} does not take our place, and all goes on as it was: {why}");
        self.cx.stats.takeovers_failed += 1;
        // It may still wait to be told why.
        handover.waiting.clear();
        handover.say(&Message::No(why.to_owned()), Vec::new());
        let _ = handover.flush();
        self.udp.thaw(&mut self.cx);
        self.thaw_tails();
    }
}

/// How far sending came.
enum Flushed {
    All,
    Blocked,
    /// The system takes no more descriptors now.
    Later,
}

impl Handover {
    fn wait_from(&mut self, now: Instant) {
        self.due = now + self.patience();
    }

    /// For how long it may take nothing.
    fn patience(&self) -> Duration {
        match self.phase {
            _ if !self.holds_datagrams() => TAKEOVER_TIME,
            Phase::Yours => TAKEOVER_HELD + TAKEOVER_HELD_FLOW * self.flows,
            _ => TAKEOVER_HELD,
        }
    }

    /// Datagrams wait until it has all flows, or is given up.
    fn holds_datagrams(&self) -> bool {
        matches!(
            self.phase,
            Phase::Flows(_) | Phase::Yours | Phase::Counting(_) | Phase::Confirming
        )
    }

    fn why_late(&self) -> String {
        let within = duration_text(self.patience());
        let held = if self.holds_datagrams() { ", and datagrams waited for it" } else { "" };
        format!("it did not go on within {within}{held}")
    }

    /// Messages and bytes of the first one.
    fn unsent(&self) -> (usize, usize) {
        let first = self.waiting.front();
        (self.waiting.len(), first.map_or(0, |it| it.bytes.len() - it.sent))
    }

    fn say(&mut self, message: &Message, with: Vec<OwnedFd>) {
        self.say_bytes(encode(message), with);
    }

    fn say_bytes(&mut self, bytes: Vec<u8>, with: Vec<OwnedFd>) {
        self.waiting.push_back(Outgoing { bytes, sent: 0, with });
    }

    /// Some of what came: there is more if the socket can be read then.
    fn read(&mut self) -> Result<(), String> {
        let mut scratch = [0; 4096];
        let mut came = Vec::new();
        let mut all = 0;
        while self.socket.can_read() && all < TAKEOVER_WAITING_BYTES {
            match self.socket.receive_with(&mut scratch, &mut came) {
                Received::Bytes(count) => {
                    all += count;
                    self.frames.push(&scratch[..count], came.drain(..));
                }
                Received::WouldBlock => {}
                Received::Eof => return Err("it went away".to_owned()),
                Received::Broken(fault) => return Err(fault.to_string()),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Flushed, String> {
        while let Some(first) = self.waiting.front_mut() {
            let sent = self.socket.send_with(&first.bytes[first.sent..], &first.with);
            match sent {
                Ok(Sent::Bytes(count)) => {
                    first.sent += count;
                    first.with.clear();
                    if first.sent == first.bytes.len() {
                        self.waiting.pop_front();
                    }
                }
                Ok(Sent::WouldBlock) => return Ok(Flushed::Blocked),
                Ok(Sent::Broken(fault)) => return Err(fault.to_string()),
                Err(_) => return Ok(Flushed::Later),
            }
        }
        Ok(Flushed::All)
    }
}
