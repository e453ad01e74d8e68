//! UDP: datagrams find a backend, and their answers the way back.
//!
//! ```text
//!   client --> listener --receive--> flows (src/flow) --deliver--> line --> backend
//!   client <-- listener <---flush--- transmits <---------answer----- line <-- backend
//! ```
//!
//! A *line* is what a flow carries: a connected socket of its own and the backend that it leads to.
//! What arrives at a listener in a turn is sorted by flow before
//! anything is sent, and answers of many flows are gathered before they leave, so that a system
//! call moves many. Which flow takes what, and when one is over, is decided by [`crate::flow`].
//!
//! Datagrams are dropped where a stream would wait: there is no room, no backend, or a full socket.
//! Each is counted.

mod budget;
mod ending;
mod fronted;
mod guarded;
mod handing;
mod lapse;
mod leaving;
mod listeners;
mod opening;

use crate::backends::ServerId;
use crate::context::{Context, Home};
use crate::event::{Key, ListenerId, Owner};
use crate::flow::{Flow, FlowKey, Placement, Shunned, Table};
use crate::guard::FlowCount;
use crate::limits::{
    DATAGRAM_BYTES_PER_TURN, FLOWS_SHUNNED_FOR, FLOWS_SHUNNED_MAX, HEARD_AT_FIRST,
    HEARD_UNTIL_BUSY, MESSAGES_PER_CALL, REROUTES_PER_TURN, SLOTS,
};
use crate::net::{
    Batch, DatagramSocket, Fault, Headed, Piece, RecvMeta, RecvOutcome, Refused, SendOutcome,
    Sender, Transmit,
};
use crate::picks::PickNumber;
use crate::services::{Listener, Receiving};
use crate::stats::{LogThrottle, Moved};

use super::guard;
use super::proxied::Proxied;
use budget::Budget;
use ending::FlowEnd;
use leaving::Leaving;
use listeners::ClassesOf;

/// Answers, for a bound on them.
#[derive(Debug, Default)]
struct HeardAnswers {
    messages: usize,
    bytes: usize,
}

/// Everything that is UDP.
pub struct Udp {
    /// The listeners at which datagrams of clients may have arrived.
    ready: Vec<ListenerId>,
    /// Those from which answers are to leave.
    answering: Vec<ListenerId>,
    /// What holds for the flows of each listener.
    classes: ClassesOf,
    flows: Table<Upstream>,
    shunned: Shunned<ServerId>,
    batch: Batch,
    sender: Sender,
    metas: Vec<RecvMeta>,
    /// What was received at a listener, each with the next one of the same flow.
    sorted: Vec<(Piece, u32)>,
    /// The flows that got some of it.
    touched: Vec<Key>,
    /// What is sent on one upstream.
    transmits: Vec<Transmit>,
    /// The same with the header that its backend asks for.
    headed: Headed,
    /// What may still be done for the listener that is at work.
    budget: Budget,
    /// Over: their sockets are closed at the end of the turn.
    ended: Vec<Flow<Upstream>>,
    /// Answers heard in this turn.
    heard: HeardAnswers,
    /// Datagrams that were refused and given to another backend in this turn.
    reroutes: u32,
    stopping: bool,
    /// Nothing is read: the flows are on their way to another process.
    is_frozen: bool,
    /// There were more flows to be let go than a turn may end.
    more_to_let_go: bool,
    leaving: Leaving,
    warnings: LogThrottle,
    /// Of datagrams without the header that is required.
    unheaded: LogThrottle,
}

/// What a flow carries.
#[derive(Debug)]
pub struct Upstream {
    socket: DatagramSocket,
    backend: ServerId,
    /// The service, and the pool that the backend was picked from; counted at both.
    home: Home,
    /// The record of its pick, if picks are kept.
    pick: Option<PickNumber>,
    /// It waits in the run queue.
    queued: bool,
    /// Messages asked for at once.
    wanted: u8,
    /// The first and the last of [`Udp::sorted`] that wait to be sent.
    waiting: Waiting,
    bytes_sent: u64,
    bytes_received: u64,
    /// Where the guard counts it.
    counted: FlowCount,
    /// What the PROXY header said with which it was begun.
    proxied: Option<Box<Proxied>>,
    /// What precedes each datagram to the backend, if it asks for that.
    ahead: Option<Box<[u8]>>,
}

/// Places in [`Udp::sorted`]: what waits to be sent on one flow, from its first to its last.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    first: u32,
    last: u32,
}

/// No place in that list: nothing follows, or nothing waits.
const LAST: u32 = u32::MAX;

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { first: LAST, last: LAST }
    }
}

impl Udp {
    /// No listeners yet; `most` flows at once.
    pub fn new(most: usize) -> Udp {
        Udp {
            ready: Vec::new(),
            answering: Vec::new(),
            classes: ClassesOf::default(),
            flows: Table::new(most),
            shunned: Shunned::new(FLOWS_SHUNNED_MAX, FLOWS_SHUNNED_FOR),
            batch: Batch::new(),
            sender: Sender::new(),
            metas: Vec::new(),
            sorted: Vec::new(),
            touched: Vec::new(),
            transmits: Vec::new(),
            headed: Headed::default(),
            budget: Budget::default(),
            ended: Vec::new(),
            heard: HeardAnswers::default(),
            reroutes: 0,
            stopping: false,
            is_frozen: false,
            more_to_let_go: false,
            leaving: Leaving::default(),
            warnings: LogThrottle::default(),
            unheaded: LogThrottle::default(),
        }
    }

    /// An event said that datagrams are at a listener.
    pub fn mark_listener(&mut self, id: ListenerId, cx: &mut Context) {
        let listener = cx.listeners.get_mut(id);
        let Some(receiving) = listener.and_then(Listener::receiving) else { return };
        receiving.listener.mark();
        if !std::mem::replace(&mut receiving.is_queued, true) {
            self.ready.push(id);
        }
    }

    /// An event said that answers are at a flow's socket.
    pub fn mark_flow(&mut self, key: Key, cx: &mut Context) {
        if let Some(flow) = self.flows.get_mut(key) {
            cx.run_queue.push(Owner::Flow(key), &mut flow.upstream.queued);
        }
    }

    /// Whether datagrams may be at a listener.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty() && !self.is_frozen
    }

    /// How many flows came in at this listener.
    pub fn flows_of(&self, id: ListenerId) -> usize {
        self.flows.iter().filter(|(_, flow)| flow.client.listener == id).count()
    }

    /// How many flows are counted at a pool.
    pub fn flows_in_pools(&self) -> usize {
        self.flows.iter().filter(|(_, flow)| flow.upstream.home.pool.is_some()).count()
    }

    /// So many flows at once.
    #[cfg(test)]
    pub fn most(&self) -> usize {
        self.flows.most()
    }

    /// From now on so many flows at once, for all listeners together: see [`Table::set_most`].
    pub fn set_most(&mut self, most: usize) {
        self.flows.set_most(most);
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Whether the flow of this key is there.
    pub fn has_flow(&self, key: Key) -> bool {
        self.flows.get(key).is_some()
    }

    /// How many classes of flows there are: one a listener.
    #[cfg(test)]
    pub fn classes(&self) -> usize {
        self.flows.classes()
    }

    /// The keys of all flows.
    #[cfg(test)]
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.flows.iter().map(|(key, _)| key)
    }

    /// Whether enough answers were heard in this turn.
    pub fn is_spent(&self) -> bool {
        self.heard.messages >= SLOTS || self.heard.bytes >= DATAGRAM_BYTES_PER_TURN
    }

    /// A line's turn: hear its answers. They leave with the next flush.
    pub fn answer(&mut self, key: Key, cx: &mut Context) {
        let spent = self.is_spent();
        let Some(flow) = self.flows.get_mut(key) else { return };
        flow.upstream.queued = false;
        if self.is_frozen {
            return;
        }
        if spent {
            return cx.run_queue.push(Owner::Flow(key), &mut flow.upstream.queued);
        }
        if self.batch.room() < MESSAGES_PER_CALL {
            self.flush(cx);
        }
        self.metas.clear();
        let Some(flow) = self.flows.get_mut(key) else { return };
        let upstream = &mut flow.upstream;
        let wanted = usize::from(upstream.wanted);
        let mut refusal = None;
        let mut drained = false;
        // An error is told before what came earlier is handed out: what is there is taken first.
        for _ in 0..MESSAGES_PER_CALL {
            match self.batch.hear(&upstream.socket, wanted, &mut self.metas) {
                RecvOutcome::Failed(fault @ (Fault::Refused | Fault::Unreachable)) => {
                    refusal = Some(fault);
                }
                RecvOutcome::Failed(_) => cx.stats.udp.errors += 1,
                RecvOutcome::Some(_) => {
                    upstream.wanted = MESSAGES_PER_CALL as u8;
                    break;
                }
                RecvOutcome::All(count) => {
                    let usual = (2 * count).clamp(HEARD_AT_FIRST, MESSAGES_PER_CALL);
                    upstream.wanted = usual as u8;
                    drained = true;
                    break;
                }
            }
        }
        if !drained {
            cx.run_queue.push(Owner::Flow(key), &mut upstream.queued);
        }
        self.note_answers(key, cx);
        if let Some(fault) = refusal {
            self.refused(key, fault, cx);
        } else if self.flows.is_over(key) {
            self.close(key, FlowEnd::Finished, cx);
        }
    }

    /// What was heard from a backend becomes transmits to its client.
    fn note_answers(&mut self, key: Key, cx: &mut Context) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let client = flow.client;
        let upstream = &mut flow.upstream;
        let listener = cx.listeners.get_mut(client.listener);
        let Some(receiving) = listener.and_then(Listener::receiving) else { return };
        let to = Some(client.peer());
        let from = client.local();
        let is_first = receiving.transmits.is_empty();
        let mut count = 0;
        let mut bytes = 0;
        for meta in &self.metas {
            count += meta.piece.count();
            bytes += meta.piece.bytes();
            receiving.transmits.push(Transmit { piece: meta.piece, to, from });
        }
        if count == 0 {
            return;
        }
        if is_first {
            self.answering.push(client.listener);
        }
        if flow.answers == 0 {
            let took = cx.now.saturating_duration_since(flow.opened_at);
            cx.backends.datagram_answered(upstream.backend, took, cx.now);
        }
        upstream.bytes_received += bytes;
        if flow.answers < HEARD_UNTIL_BUSY
            && flow.answers + u64::from(count) >= HEARD_UNTIL_BUSY
        {
            upstream.socket.coalesce();
        }
        cx.backends.datagram_heard(upstream.backend, cx.now);
        cx.moved(upstream.home, upstream.backend, Moved::to_client(bytes));
        cx.stats.udp.from_backends += u64::from(count);
        self.heard.messages += self.metas.len();
        self.heard.bytes += bytes as usize;
        self.flows.answers(key, count, cx.now);
    }

    /// Send the answers that were heard.
    pub fn flush(&mut self, cx: &mut Context) {
        while let Some(id) = self.answering.pop() {
            let listener = cx.listeners.get_mut(id);
            let Some(receiving) = listener.and_then(Listener::receiving) else { continue };
            let Receiving { listener, transmits, .. } = receiving;
            let outcome = self.sender.answer(listener, transmits, self.batch.memory());
            cx.stats.udp.to_clients += outcome.sent;
            cx.stats.udp.dropped_unsent += outcome.dropped;
            transmits.clear();
        }
        self.batch.clear();
    }

    /// Take what arrived at the listeners, and send it on.
    pub fn receive(&mut self, cx: &mut Context) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.retain(|&id| {
            self.flush(cx);
            self.take(id, cx);
            self.deliver(cx);
            self.batch.clear();
            let Some(receiving) = cx.listeners[id].receiving() else { return false };
            receiving.is_queued = receiving.listener.is_ready();
            receiving.is_queued
        });
        self.ready = ready;
    }

    /// Receive until there is nothing, or enough: then the listener stays ready, and the next turn
    /// does not sleep. What a call brought is sorted before the next one, for what it costs is
    /// known only then.
    fn take(&mut self, id: ListenerId, cx: &mut Context) {
        self.budget = Budget::of_a_turn();
        let mut errors = 0;
        while errors < MESSAGES_PER_CALL
            && !self.budget.is_spent()
            && self.batch.bytes() < DATAGRAM_BYTES_PER_TURN
        {
            self.metas.clear();
            let Some(receiving) = cx.listeners[id].receiving() else { return };
            let listener = &mut receiving.listener;
            match self.batch.take(listener, &mut self.metas) {
                RecvOutcome::Some(_) => {}
                RecvOutcome::All(_) => listener.drained(),
                // Told once, and of one datagram: the others are still there.
                RecvOutcome::Failed(_) => {
                    cx.stats.udp.errors += 1;
                    errors += 1;
                }
            }
            self.budget.received(self.metas.len());
            self.sort_all(id, cx);
            if !cx.listeners[id].is_ready() {
                return;
            }
        }
    }

    /// What a call brought goes to the flows, in its order.
    fn sort_all(&mut self, id: ListenerId, cx: &mut Context) {
        let metas = std::mem::take(&mut self.metas);
        let has_fronts = !cx.listener(id).proxy_protocol.is_empty();
        for meta in &metas {
            let Some(address) = meta.from else { continue };
            let client = FlowKey::new(id, address, meta.local);
            cx.stats.udp.from_clients += u64::from(meta.piece.count());
            if has_fronts && cx.listener(id).requires_proxy_header(address.ip()) {
                self.sort_fronted(&client, meta.piece, cx);
            } else if let Some(piece) = guarded::admitted(&client, meta.piece, cx) {
                self.sort(&client, piece, None, cx);
            }
        }
        self.metas = metas;
    }

    /// Find the flow that takes these datagrams of a client, of whom perhaps a proxy said this, or
    /// open one.
    fn sort(
        &mut self,
        client: &FlowKey,
        piece: Piece,
        proxied: Option<&Proxied>,
        cx: &mut Context,
    ) {
        self.leave_before(client, cx);
        let mut left = Some(piece);
        while let Some(piece) = left {
            match self.flows.datagrams(client, piece.count(), cx.now) {
                Placement::Taken(key, count) => {
                    let (taken, rest) = piece.split(count);
                    self.append(key, taken);
                    left = rest;
                }
                Placement::Wanted
                    if self.stopping || cx.listeners.is_leaving(client.listener) =>
                {
                    cx.stats.udp.dropped_stopping += u64::from(piece.count());
                    return;
                }
                Placement::Wanted if !guarded::may_open(client, piece.count(), cx) => return,
                Placement::Wanted => {
                    if !guard::datagrams(*client, u64::from(piece.count()), cx) {
                        return;
                    }
                    if !self.open(*client, proxied, cx) {
                        cx.stats.udp.dropped_no_backend += u64::from(piece.count());
                        return;
                    }
                }
                Placement::Full => {
                    cx.stats.udp.dropped_full += u64::from(piece.count());
                    return;
                }
            }
        }
    }

    /// Behind the others that wait for the same flow.
    fn append(&mut self, key: Key, piece: Piece) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let index = self.sorted.len() as u32;
        self.sorted.push((piece, LAST));
        let waiting = &mut flow.upstream.waiting;
        match self.sorted.get_mut(waiting.last as usize) {
            Some((_, next)) => *next = index,
            None => {
                waiting.first = index;
                self.touched.push(key);
            }
        }
        waiting.last = index;
    }

    /// Send to the backends what was sorted.
    fn deliver(&mut self, cx: &mut Context) {
        let mut at = 0;
        // Datagrams that are refused are given to another flow, at the end of this list.
        while let Some(&key) = self.touched.get(at) {
            at += 1;
            let Some(flow) = self.flows.get_mut(key) else { continue };
            let waiting = std::mem::take(&mut flow.upstream.waiting);
            gather(waiting, &self.sorted, &mut self.transmits);
            let memory = self.batch.memory();
            let way = (&mut self.sender, &mut self.headed);
            let outcome = pass_on(way, &flow.upstream, &self.transmits, memory);
            note_sent(&mut flow.upstream, &outcome, cx);
            if let Some(refused) = outcome.refused {
                self.reroute(key, refused, cx);
            } else if self.flows.is_over(key) {
                self.close(key, FlowEnd::Finished, cx);
            }
        }
        self.touched.clear();
        self.sorted.clear();
    }

    /// The last words of a flow that has to go.
    fn send_waiting(&mut self, upstream: &mut Upstream, cx: &mut Context) {
        let waiting = std::mem::take(&mut upstream.waiting);
        gather(waiting, &self.sorted, &mut self.transmits);
        let way = (&mut self.sender, &mut self.headed);
        let outcome = pass_on(way, upstream, &self.transmits, self.batch.memory());
        note_sent(upstream, &outcome, cx);
        if let Some(refused) = outcome.refused {
            cx.stats.udp.dropped_unsent += refused.from.left(&self.transmits);
        }
    }

    /// The backend refused what it was sent before: what it was not sent yet goes to another one.
    fn reroute(&mut self, key: Key, refused: Refused, cx: &mut Context) {
        let Refused { fault, from } = refused;
        let Some(flow) = self.flows.get_mut(key) else { return };
        let client = flow.client;
        let proxied = flow.upstream.proxied.clone();
        self.refused(key, fault, cx);
        let transmits = std::mem::take(&mut self.transmits);
        if self.reroutes >= REROUTES_PER_TURN || self.stopping {
            cx.stats.udp.dropped_unsent += from.left(&transmits);
        } else {
            self.reroutes += 1;
            for (index, transmit) in transmits.iter().enumerate().skip(from.transmit) {
                let sent = if index == from.transmit { from.datagram } else { 0 };
                let rest =
                    if sent == 0 { Some(transmit.piece) } else { transmit.piece.split(sent).1 };
                if let Some(piece) = rest {
                    self.sort(&client, piece, proxied.as_deref(), cx);
                }
            }
        }
        self.transmits = transmits;
    }

    /// The backend's machine said that nobody listens there; or somebody, that there is no way.
    fn refused(&mut self, key: Key, fault: Fault, cx: &mut Context) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let client = flow.client;
        let backend = flow.upstream.backend;
        let address = flow.upstream.socket.peer();
        let moved_on = address.is_some_and(|it| cx.backends.address_refused(backend, it));
        if !moved_on {
            cx.backends.datagram_failed(backend, fault, cx.now);
            self.shunned.note(client, backend, cx.now);
        }
        self.close(key, FlowEnd::Refused, cx);
    }

    /// Nobody is waited for any longer.
    pub fn cut_off(&mut self, cx: &mut Context) {
        let keys: Vec<Key> = self.flows.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.close(key, FlowEnd::Stopped, cx));
    }

    /// The end of the turn: close the sockets of flows that are over.
    pub fn reap(&mut self) {
        self.ended.clear();
        self.heard = HeardAnswers::default();
        self.reroutes = 0;
    }

    /// What this room's parts must agree on; how many of its flows wait in the run queue.
    pub fn check_invariants(&self) -> usize {
        self.flows.check_invariants();
        assert_eq!(self.flows.classes(), self.classes.len(), "a class of flows a listener");
        assert!(self.ended.is_empty() && self.touched.is_empty(), "flows of this turn");
        assert!(self.answering.is_empty(), "answers were sent");
        assert!(
            self.flows.iter().all(|(_, flow)| flow.upstream.waiting.first == LAST),
            "all was sent"
        );
        self.flows.iter().filter(|(_, flow)| flow.upstream.queued).count()
    }

    fn close(&mut self, key: Key, end: FlowEnd, cx: &mut Context) {
        if let Some(flow) = self.flows.close(key) {
            self.end(flow, end, cx);
        }
    }
}

/// Send these to an upstream's backend, each datagram behind the header that it asks for.
fn pass_on(
    (sender, headed): (&mut Sender, &mut Headed),
    upstream: &Upstream,
    transmits: &[Transmit],
    memory: &[u8],
) -> SendOutcome {
    let Some(header) = &upstream.ahead else {
        return sender.pass_on(&upstream.socket, transmits, memory);
    };
    let (transmits, memory) = headed.put(header, transmits, memory);
    let outcome = sender.pass_on(&upstream.socket, transmits, memory);
    // What is counted is the client's.
    let ours = outcome.sent * header.len() as u64;
    SendOutcome { bytes: outcome.bytes.saturating_sub(ours), ..outcome }
}

/// What waits, as transmits.
fn gather(waiting: Waiting, sorted: &[(Piece, u32)], transmits: &mut Vec<Transmit>) {
    transmits.clear();
    let mut next = waiting.first;
    while let Some(&(piece, after)) = sorted.get(next as usize) {
        transmits.push(Transmit { piece, to: None, from: None });
        next = after;
    }
}

fn note_sent(upstream: &mut Upstream, outcome: &SendOutcome, cx: &mut Context) {
    upstream.bytes_sent += outcome.bytes;
    cx.moved(upstream.home, upstream.backend, Moved::to_backend(outcome.bytes));
    cx.stats.udp.to_backends += outcome.sent;
    cx.stats.udp.dropped_unsent += outcome.dropped;
}
