//! Those that were in our place and drain: each tells what it counts until it ends, so that the
//! sums are here.

use std::os::unix::net::UnixStream;

use log::{info, warn};

use crate::event::{Key, Owner, Slots};
use crate::limits::{STEP_TIME, TAKEOVER_WAITING_BYTES};
use crate::net::{LocalStream, Received};
use crate::stats::BackendCounts;
use crate::takeover::{Counts, Frames, Message, TailRow, decode, encode};

use super::EventLoop;

/// One of them.
pub(super) struct Tail {
    pub socket: LocalStream,
    pub pid: i32,
    pub frames: Frames<()>,
    is_queued: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Tails {
    pub all: Slots<Tail>,
    /// It is to say that it does not serve any more, or that it goes on.
    awaited: Option<Key>,
    /// At which something may have come.
    ready: Vec<Key>,
    scratch: Vec<u8>,
}

impl EventLoop {
    /// This process was in our place, and tells here what it counts.
    pub fn listen_to(&mut self, row: TailRow, socket: UnixStream) -> Option<Key> {
        let TailRow { pid, begun } = row;
        let mut socket = match LocalStream::of(socket) {
            Ok(socket) => socket,
            Err(error) => {
                warn!("what process {pid} counts is not heard: {error}");
                return None;
            }
        };
        let registry = &self.cx.registry;
        let mut armed = Ok(());
        let key = self.tails.all.insert_with(|key| {
            armed = socket.arm(registry, Owner::Tail(key));
            Tail { socket, pid, frames: Frames::begun(begun), is_queued: false }
        });
        match armed {
            Ok(()) => {
                self.queue_tail(key);
                Some(key)
            }
            Err(error) => {
                warn!("what process {pid} counts is not heard: {error}");
                self.tails.all.remove(key);
                None
            }
        }
    }

    /// This one hears that we serve, and says then that it does not any more. Until it does, the
    /// files are its own.
    pub fn confirm_to(&mut self, key: Key) {
        self.tails.awaited = Some(key);
    }

    /// Whether the process before may still go on in our place.
    pub(super) fn awaits_word(&self) -> bool {
        self.tails.awaited.is_some()
    }

    /// From the next turn on this process serves.
    pub(super) fn say_that_it_serves(&mut self) {
        if let Some(tail) = self.tails.awaited.and_then(|key| self.tails.all.get_mut(key)) {
            // because: where it is gone, reading says so.
            let _ = tail.socket.send(&encode(&Message::Serves));
        }
    }

    /// Nobody else serves any more.
    fn on_last_word(&mut self, of: Key) {
        if self.tails.awaited.take_if(|it| *it == of).is_some() {
            self.own_place();
            self.tell_ready();
        }
    }

    /// An event said that something came.
    pub(super) fn mark_tail(&mut self, key: Key, event: &mio::event::Event) {
        if let Some(tail) = self.tails.all.get_mut(key) {
            tail.socket.mark(event);
            self.queue_tail(key);
        }
    }

    /// Something may have come unseen.
    pub(super) fn look_at_tail(&mut self, key: Key) {
        if let Some(tail) = self.tails.all.get_mut(key) {
            tail.socket.look();
        }
        self.queue_tail(key);
    }

    fn queue_tail(&mut self, key: Key) {
        if let Some(tail) = self.tails.all.get_mut(key)
            && !std::mem::replace(&mut tail.is_queued, true)
        {
            self.tails.ready.push(key);
        }
    }

    /// Whether something may have come that is heard now: while they are on their way to another
    /// process, that one hears it.
    pub(super) fn has_tails_to_hear(&self) -> bool {
        !self.tails.ready.is_empty() && !self.hands_over_tails()
    }

    /// Some of what came.
    #[cold]
    pub(super) fn hear_tails(&mut self) {
        if !self.has_tails_to_hear() {
            return;
        }
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        while share.allows(&mut self.pace)
            && let Some(key) = self.tails.ready.pop()
        {
            self.hear_tail(key);
            share.note_large();
        }
    }

    fn hear_tail(&mut self, key: Key) {
        let mut scratch = std::mem::take(&mut self.tails.scratch);
        scratch.resize(TAKEOVER_WAITING_BYTES, 0);
        let Some(tail) = self.tails.all.get_mut(key) else { return };
        tail.is_queued = false;
        let received = tail.socket.receive(&mut scratch);
        if let Received::Bytes(count) = received {
            tail.frames.push(&scratch[..count], []);
        }
        self.tails.scratch = scratch;
        while let Some(tail) = self.tails.all.get_mut(key) {
            let message = match tail.frames.take() {
                Ok(None) => break,
                Ok(Some(frame)) => decode(frame.kind, &frame.payload),
                Err(wrong) => Err(wrong),
            };
            match message {
                Ok(Message::Counts(counts)) => self.add_counts(&counts),
                Ok(Message::Over) => self.on_last_word(key),
                Ok(Message::No(why)) if self.tails.awaited == Some(key) => {
                    self.tails.awaited = None;
                    let pid = tail.pid;
                    self.tails.all.remove(key);
                    return self.give_place_back(pid, &why);
                }
                Ok(_) => {}
                Err(wrong) => {
                    warn!("process {} said what cannot be read: {wrong}", tail.pid);
                    self.tails.all.remove(key);
                    return self.on_last_word(key);
                }
            }
        }
        match received {
            Received::Bytes(_) => self.queue_tail(key),
            Received::WouldBlock => {}
            Received::Eof | Received::Broken(_) => {
                if let Some(tail) = self.tails.all.remove(key) {
                    info!("process {}, which was in our place, is gone", tail.pid);
                }
                if self.tails.all.is_empty() {
                    self.forget_names();
                }
                self.on_last_word(key);
            }
        }
    }

    /// What another process counted. Backends that are not here any more are left out.
    pub(super) fn add_counts(&mut self, counts: &Counts) {
        let before = self.cx.stats.clone();
        self.cx.stats.add_totals(&counts.totals);
        self.keeping.run.leave_out(&before, &self.cx.stats);
        for row in &counts.backends {
            let Some(id) = self.server_named(&row.pool, &row.name) else { continue };
            let mut more = BackendCounts::default();
            for (name, count) in more.numbers() {
                let told = row.counts.iter().find(|(it, _)| it == name);
                *count = told.map_or(0, |(_, it)| *it);
            }
            self.cx.backends.add_counts(id, more);
        }
        self.add_sums(&counts.sums);
    }
}
