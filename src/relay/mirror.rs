//! Copies of requests under way: each is sent to a server of another pool, and its answer is read
//! and dropped.
//!
//! ```text
//!   start --picked--> connecting --> sending and hearing at once --> over --reap--> gone
//!                      |      ^            |
//!                      +------+            +-- broken, too late, no answer of HTTP --> failed
//!                    next address
//! ```
//!
//! No client waits for one: copies act behind everybody else, are begun in a step of their own, and
//! give way where descriptors run out. Nothing of what becomes of them is told to health or outlier
//! detection. Each counts at its server and its pool while it is under way, so that neither is
//! freed, and has one timer. What is to be copied is decided in [`super::http`]; the event loop
//! owns this and calls it.

mod answer;
mod run;

use std::time::Duration;

use log::debug;
use mio::event::Event;

use crate::backends::{Course, NoBackend, ServerId};
use crate::balance::Ask;
use crate::context::{Context, RequestCopy};
use crate::event::{Key, Owner, PoolId, Slots};
use crate::limits::MIRROR_TIMEOUT;
use crate::net::{Fault, Stream};
use crate::stats::Moved;

use run::{Mirror, MirrorProgress, Way};

/// All copies under way.
pub struct Mirrors {
    mirrors: Slots<Mirror>,
    /// To be reaped.
    over: Vec<Key>,
    timeout: Duration,
    /// How often there was no descriptor when that was asked last.
    shortages: u64,
}

/// What a copy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MirrorEnd {
    /// Sent, and answered whole.
    Answered,
    /// Not.
    Failed(Fault),
    /// What came is no answer of HTTP.
    Bad,
    /// Another address of its server is tried in its place.
    Replaced,
}

impl Default for Mirrors {
    fn default() -> Mirrors {
        Mirrors::new(MIRROR_TIMEOUT)
    }
}

impl Mirrors {
    /// None yet; each may take so long.
    pub fn new(timeout: Duration) -> Mirrors {
        Mirrors { mirrors: Slots::default(), over: Vec::new(), timeout, shortages: 0 }
    }

    /// Send this to a server of its pool. Says whether it is under way.
    pub fn start(&mut self, copy: RequestCopy, cx: &mut Context) -> bool {
        if self.is_empty() {
            self.shortages = cx.stats.shortages();
        }
        let RequestCopy { pool, client, hash_key, asked, bytes } = copy;
        let ask = Ask { client, key: hash_key, now: cx.now };
        let server = match cx.backends.pick(Some(pool), &ask, &[]) {
            Ok(server) => server,
            Err(NoBackend::NoRoom | NoBackend::QueueFull | NoBackend::QueueTimeout) => {
                cx.stats.mirror.dropped_busy += 1;
                return false;
            }
            Err(NoBackend::AllDown) => {
                cx.stats.mirror.failed += 1;
                return false;
            }
        };
        let course = Course::begin(&cx.backends[server].addresses, cx.now);
        let ends_at = cx.now + self.timeout;
        self.open(Way { pool, server, course, ends_at, asked, request: bytes }, cx)
    }

    /// Note what an event says, and let its copy act.
    pub fn mark(&mut self, key: Key, event: &Event, cx: &mut Context) {
        let found = self.mirrors.get_mut(key).filter(|mirror| !mirror.is_over);
        if let Some(mirror) = found
            && let Some(stream) = cx.copies.socket(mirror.socket)
        {
            stream.mark(event);
            cx.run_queue.push(Owner::Mirror(key), &mut mirror.queued);
        }
    }

    /// A copy's turn. Says whether it may have taken long.
    pub fn act(&mut self, key: Key, cx: &mut Context) -> bool {
        let Some(mirror) = self.mirrors.get_mut(key) else { return false };
        mirror.queued = false;
        if mirror.is_over {
            return false;
        }
        let owner = Owner::Mirror(key);
        let Some(stream) = cx.copies.socket(mirror.socket) else { return false };
        if Context::must_wait(&mut cx.handshakes_left, stream) {
            cx.run_queue.push(owner, &mut mirror.queued);
            return false;
        }
        let before = mirror.moved;
        let progress = mirror.proceed(stream, &mut cx.scratch, &mut cx.http);
        cx.backends.moved(mirror.way.server, mirror.moved.since(before));
        match progress {
            MirrorProgress::Rest => self.watch(key, cx),
            MirrorProgress::Again => {
                cx.run_queue.push(owner, &mut mirror.queued);
                return true;
            }
            MirrorProgress::Refused(fault) => {
                self.turn(key, fault, cx);
                return true;
            }
            MirrorProgress::Answered => self.end(key, MirrorEnd::Answered, cx),
            MirrorProgress::Bad => self.end(key, MirrorEnd::Bad, cx),
            MirrorProgress::Broken(fault) => self.end(key, MirrorEnd::Failed(fault), cx),
        }
        false
    }

    /// A copy's timer fired: perhaps too early, for it has more time once it is connected.
    pub fn on_timer(&mut self, key: Key, cx: &mut Context) {
        let Some(mirror) = self.mirrors.get_mut(key).filter(|mirror| !mirror.is_over) else {
            return;
        };
        if mirror.deadline > cx.now {
            cx.timers.arm(mirror.timer, mirror.deadline);
        } else if mirror.is_connected || mirror.way.ends_at <= cx.now {
            self.end(key, MirrorEnd::Failed(Fault::TimedOut), cx);
        } else {
            self.turn(key, Fault::TimedOut, cx);
        }
    }

    /// Those end whose sockets gave way; all of them, if something was out of reach all the same
    /// since that was asked last: clients need what they hold more.
    pub fn give_way(&mut self, cx: &mut Context) {
        let shortages = cx.stats.shortages();
        let all = std::mem::replace(&mut self.shortages, shortages) != shortages;
        if !cx.copies.take_gave_way() && !all {
            return;
        }
        let mut loses = |mirror: &Mirror| all || cx.copies.socket(mirror.socket).is_none();
        let losers = self.mirrors.iter().filter(|(_, it)| !it.is_over && loses(it));
        let losers: Vec<Key> = losers.map(|(key, _)| key).collect();
        for key in losers {
            self.end(key, MirrorEnd::Failed(Fault::Exhausted), cx);
        }
    }

    /// Whether one of them is to be reaped.
    pub fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Close the socket of one that is over; only the reaping calls this.
    pub fn reap_one(&mut self, cx: &mut Context) {
        let Some(mirror) = self.over.pop().and_then(|key| self.mirrors.remove(key)) else {
            return;
        };
        cx.timers.remove(mirror.timer);
        cx.copies.close_socket(mirror.socket);
    }

    /// How many there are, those that wait to be reaped among them.
    pub fn len(&self) -> usize {
        self.mirrors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }

    /// How many of them are still under way.
    pub fn under_way(&self) -> usize {
        self.mirrors.len() - self.over.len()
    }

    /// Whether this one is there, over or not.
    pub fn has(&self, key: Key) -> bool {
        self.mirrors.get(key).is_some()
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.mirrors.iter().map(|(key, _)| key)
    }

    /// What copies, timers and the run queue must agree on; how many of them wait in it.
    pub fn check_invariants(&self, cx: &Context) -> usize {
        for (key, mirror) in self.mirrors.iter() {
            let is_own = cx.timers.belongs_to(mirror.timer, Owner::Mirror(key));
            assert!(is_own, "a copy and its timer");
        }
        let over = self.mirrors.iter().filter(|(_, mirror)| mirror.is_over).count();
        assert_eq!(over, self.over.len(), "copies that are over are to be reaped");
        assert_eq!(cx.copies.open, self.under_way(), "copies under way, counted");
        let sockets = cx.copies.sockets();
        let all_have_one = sockets == self.len();
        let is_known = cx.copies.has_given_way() || over > 0;
        assert!(sockets <= self.len() && (all_have_one || is_known), "copies and sockets");
        self.mirrors.iter().filter(|(_, mirror)| mirror.queued).count()
    }

    /// Begin to connect to the address that it is at, or to the next one of the same server.
    fn open(&mut self, mut way: Way, cx: &mut Context) -> bool {
        let mut stream = loop {
            let to = &cx.backends[way.server];
            // Not by `Context::open_with`: no idle connection gives way to a copy.
            let begun = way.course.address(&to.addresses).and_then(|address| {
                Ok((address, Stream::connect(address, to.dial.as_ref(), None)?))
            });
            match begun {
                Ok((address, mut stream)) => {
                    // Nobody hears what it is answered: it says of no client that it asks.
                    let own = || stream.local_address().ok();
                    if to.proxy.is_some()
                        && let Some(header) = to.own_header(own(), address)
                    {
                        stream.begin_with(header);
                    }
                    break stream;
                }
                Err(Fault::Exhausted) => {
                    cx.stats.mirror.dropped_busy += 1;
                    return false;
                }
                Err(fault) => match way.next(fault, cx) {
                    Some(course) => way.course = course,
                    None => {
                        cx.stats.mirror.failed += 1;
                        return false;
                    }
                },
            }
        };
        let Way { pool, server, .. } = way;
        let deadline = way.connects_by(cx);
        stream.want_write();
        let socket = cx.copies.add_socket(stream);
        let timers = &mut cx.timers;
        let key = self.mirrors.insert_with(|key| {
            let timer = timers.create(Owner::Mirror(key));
            timers.arm(timer, deadline);
            Mirror::new(socket, way, timer, deadline)
        });
        cx.copies.open += 1;
        cx.backends.opened(server, cx.now);
        cx.backends.enter(Some(pool));
        self.watch(key, cx);
        true
    }

    /// Ask the poll for what its socket has to tell.
    fn watch(&mut self, key: Key, cx: &mut Context) {
        let Some(mirror) = self.mirrors.get_mut(key) else { return };
        // Without its events it would hang until its time is over.
        let Some(stream) = cx.copies.socket(mirror.socket) else { return };
        if stream.arm(&cx.registry, Owner::Mirror(key)).is_err() {
            self.end(key, MirrorEnd::Failed(Fault::Exhausted), cx);
        }
    }

    /// The address that it is at did not take the connection: on to the next one, under a key of
    /// its own, so that events of the old socket do not reach the new one.
    fn turn(&mut self, key: Key, fault: Fault, cx: &mut Context) {
        let Some(mirror) = self.mirrors.get_mut(key) else { return };
        let Some(course) = mirror.way.next(fault, cx) else {
            return self.end(key, MirrorEnd::Failed(fault), cx);
        };
        let request = std::mem::take(&mut mirror.way.request);
        let way = Way { course, request, ..mirror.way };
        // Opened first: its server and its pool are counted on all the time.
        self.open(way, cx);
        self.end(key, MirrorEnd::Replaced, cx);
    }

    /// It is over: the end of the turn closes its socket.
    fn end(&mut self, key: Key, end: MirrorEnd, cx: &mut Context) {
        let Some(mirror) = self.mirrors.get_mut(key).filter(|mirror| !mirror.is_over) else {
            return;
        };
        mirror.is_over = true;
        self.over.push(key);
        let Way { pool, server, .. } = mirror.way;
        cx.copies.open -= 1;
        tell(end, mirror.moved, server, pool, cx);
        cx.backends.closed(server);
        cx.backends.exit(Some(pool));
        match end {
            MirrorEnd::Answered => cx.stats.mirror.sent += 1,
            MirrorEnd::Failed(_) | MirrorEnd::Bad => cx.stats.mirror.failed += 1,
            MirrorEnd::Replaced => {}
        }
    }
}

fn tell(end: MirrorEnd, moved: Moved, server: ServerId, pool: PoolId, cx: &Context) {
    let name = cx.backends.name(server);
    let pool = cx.backends.pool_name(Some(pool));
    let Moved { to_backend, to_client } = moved;
    match end {
        MirrorEnd::Answered => {
            debug!(
                "copy to {name} of {pool}: {to_backend} bytes sent, {to_client} of an answer"
            );
        }
        MirrorEnd::Failed(fault) => debug!("copy to {name} of {pool}: {fault}"),
        MirrorEnd::Bad => debug!("copy to {name} of {pool}: no answer of HTTP"),
        MirrorEnd::Replaced => debug!("copy to {name} of {pool}: its next address is tried"),
    }
}
