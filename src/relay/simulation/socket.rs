//! A socket that is played: what the kernel holds, what we were told of it, and a peer that lives
//! by a script drawn from the seed.
//!
//! ```text
//!   peer --sends--> incoming (what the kernel holds) --receive--> the pump
//!   peer <--reads-- outgoing (room is what is left)  <--send----- the pump
//!
//!   would block ---the peer moves---> ready: one edge, pending until the next wait
//! ```
//!
//! The edges are as stingy as they may be: one for each change from would-block to ready and none
//! for more of the same, so whoever stops early without a reason is never woken. The peer moves in
//! the middle of a pump too, and then the edge comes with the next wait. What we want to be woken
//! for ([`Wake`]) decides which change is one.

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::limits::{BUFFER_BYTES, PIPE_BYTES_MIN};
use crate::net::{Fault, Pipe, Received, Sent, Socket, Wake};

/// What happened, if anybody wants to know.
pub type Trace = Rc<RefCell<Option<Vec<String>>>>;

/// What the peer will do.
#[derive(Debug, Clone)]
pub struct Script {
    /// Bytes of the longer stream of this world.
    pub scale: usize,
    /// Bytes it sends.
    pub total: u64,
    /// How it ends.
    pub ending: Ending,
    /// When it breaks off, if it does.
    pub reset: Option<Reset>,
    /// Whether what it had sent is lost with the break.
    pub reset_drops: bool,
    /// Most bytes of one send of it, and of one read.
    pub chunks: (usize, usize),
    /// What the kernel holds for us, and for it.
    pub capacities: (usize, usize),
    /// The connection is still under way.
    pub connecting: bool,
    /// So many moves it makes before it sends or reads anything.
    pub late: u32,
    /// One read in so many is followed by a long sleep; 0 is never.
    pub sleepy: u32,
    /// Reads and writes stop at will, and only WouldBlock says that nothing is left. Else they stop
    /// only when nothing is left, and say so by being short, as a real socket's do.
    pub patient: bool,
}

/// How a peer finishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a FIN after its last byte; it goes on reading.
    Finish,
    /// The same, but only after it saw our FIN.
    FinishAfterUs,
    /// It closes: what comes afterwards is answered with a reset.
    Close,
}

/// When a peer breaks off.
#[derive(Debug, Clone, Copy)]
pub enum Reset {
    /// Having sent so many bytes.
    Sent(u64),
    /// Having been sent so many bytes.
    Taken(u64),
    /// The same, before we can do anything else: the next send finds it broken.
    AtOnce(u64),
    /// At some time after it said FIN.
    Finished,
    /// Instead of taking the connection.
    Refused,
}

/// What there is to tell at the next wait.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Edge {
    read: bool,
    write: bool,
    read_closed: bool,
    error: bool,
}

/// A played socket.
pub struct ScriptedSocket {
    name: String,
    script: Script,
    random: fastrand::Rng,
    trace: Trace,
    /// Where the bytes it sends begin in the noise, and where those it is sent do.
    salts: (u64, u64),
    // The kernel's side.
    pub sent: u64,
    pub read: u64,
    pub taken: u64,
    outgoing: usize,
    /// Of those, what waits for our FIN.
    corked: usize,
    end_follows: bool,
    fin_in: bool,
    pub broken: bool,
    connecting: bool,
    nap: u32,
    pending: Edge,
    wake: Wake,
    // What we know.
    told: Edge,
    fault: Option<Fault>,
    /// A short read came after the news of the FIN.
    spent: bool,
    pub eof_read: bool,
    pub fin_out: bool,
    pub spliced: bool,
    /// It was read into memory after a splice.
    pub demoted: bool,
}

const PERIOD: u64 = 65_521;

/// Any `BUFFER_BYTES` from any place of a stream are one slice of this.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(1);
    let period: Vec<u8> =
        std::iter::repeat_with(|| random.u8(..)).take(PERIOD as usize).collect();
    period.iter().copied().cycle().take(PERIOD as usize + BUFFER_BYTES).collect()
});

fn noise(salt: u64, at: u64, count: usize) -> &'static [u8] {
    let start = ((salt + at) % PERIOD) as usize;
    &NOISE[start..start + count]
}

impl ScriptedSocket {
    pub fn new(
        name: String,
        script: Script,
        salts: (u64, u64),
        random: fastrand::Rng,
        trace: &Trace,
    ) -> ScriptedSocket {
        let connecting = script.connecting;
        // As `Stream`: of a client we do not know yet, and a connect may have succeeded already.
        let told = Edge { read: !connecting, write: true, ..Edge::default() };
        ScriptedSocket {
            name,
            script,
            random,
            trace: Rc::clone(trace),
            salts,
            sent: 0,
            read: 0,
            taken: 0,
            outgoing: 0,
            corked: 0,
            end_follows: false,
            fin_in: false,
            broken: false,
            connecting,
            nap: 0,
            pending: Edge::default(),
            wake: Wake::AnyByte,
            told,
            fault: None,
            spent: false,
            eof_read: false,
            fin_out: false,
            spliced: false,
            demoted: false,
        }
    }

    /// What it sends from now on comes from another backend's noise.
    pub fn expect(&mut self, salt: u64) {
        self.salts.1 = salt;
    }

    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The wait: learn what there is to tell. Whether there was anything.
    pub fn mark(&mut self) -> bool {
        let edge = std::mem::take(&mut self.pending);
        self.told.read |= edge.read;
        self.told.write |= edge.write;
        self.told.read_closed |= edge.read_closed;
        self.told.error |= edge.error;
        if edge != Edge::default() {
            self.note(|| format!("marked {edge:?}"));
        }
        edge != Edge::default()
    }

    /// Nothing can be read, or an edge will tell.
    pub fn read_would_wait(&self) -> bool {
        !self.is_readable() || self.pending.read
    }

    /// What it was last told to wake us for.
    pub fn wakes_for(&self) -> Wake {
        self.wake
    }

    /// Something can be read, and we are not told because it is too little.
    pub fn keeps_back(&self) -> bool {
        self.is_readable() && !self.tells() && matches!(self.wake, Wake::Piece(_))
    }

    /// Nothing can be written, or an edge will tell.
    pub fn write_would_wait(&self) -> bool {
        !self.is_writable() || self.pending.write
    }

    /// The peer does one of the things it can do. `false`: it waits for us.
    pub fn live(&mut self) -> bool {
        if self.broken {
            return false;
        }
        let was = (self.tells(), self.is_writable());
        let moved = self.move_peer();
        if moved {
            let is = (self.tells(), self.is_writable());
            self.pending.read |= is.0 && !was.0;
            self.pending.write |= is.1 && !was.1;
            // A real kernel wakes for more of the same, too.
            if self.random.u8(..16) == 0 {
                self.pending.read |= is.0;
                self.pending.write |= is.1;
            }
        }
        moved
    }

    fn move_peer(&mut self) -> bool {
        if self.is_to_break() {
            self.break_off();
            return true;
        }
        if self.connecting {
            self.connecting = false;
            self.note(|| "connected".to_string());
            return true;
        }
        if self.script.late > 0 {
            self.script.late -= 1;
            return true;
        }
        let reads_first = self.random.bool();
        let can_send = self.can_send();
        if can_send && !(reads_first && self.has_come() > 0) {
            self.send_some();
            return true;
        }
        if self.nap > 0 {
            self.nap -= 1;
            return true;
        }
        if self.has_come() > 0 {
            self.read_some();
            return true;
        }
        self.finish()
    }

    fn is_to_break(&mut self) -> bool {
        let close_answers = self.script.ending == Ending::Close && self.fin_in;
        match self.script.reset {
            _ if close_answers && self.outgoing > 0 => true,
            Some(Reset::Sent(count)) => !self.connecting && self.sent >= count,
            Some(Reset::Taken(count) | Reset::AtOnce(count)) => {
                !self.connecting && self.taken >= count
            }
            Some(Reset::Finished) => self.fin_in && self.random.u8(..4) == 0,
            Some(Reset::Refused) => self.connecting,
            None => false,
        }
    }

    fn break_off(&mut self) {
        self.broken = true;
        self.connecting = false;
        if self.script.reset_drops {
            self.sent = self.read;
        }
        self.pending = Edge { read: true, write: true, read_closed: true, error: true };
        self.note(|| "broke off".to_string());
    }

    fn can_send(&self) -> bool {
        self.sent < self.limit() && self.waiting() < self.script.capacities.0
    }

    /// A peer that will break after so many bytes sends no more.
    fn limit(&self) -> u64 {
        match self.script.reset {
            Some(Reset::Sent(count)) => count.min(self.script.total),
            _ => self.script.total,
        }
    }

    fn send_some(&mut self) {
        let room = self.script.capacities.0 - self.waiting();
        let most = room.min((self.limit() - self.sent).min(usize::MAX as u64) as usize);
        let count = self.some(most.min(self.script.chunks.0));
        self.sent += count as u64;
        self.note(|| format!("peer sent {count}"));
    }

    fn read_some(&mut self) {
        let count = self.some(self.has_come().min(self.script.chunks.1));
        self.outgoing -= count;
        if self.script.sleepy > 0 && self.random.u32(..self.script.sleepy) == 0 {
            self.nap = self.random.u32(..50);
        }
        self.note(|| format!("peer read {count}"));
    }

    fn finish(&mut self) -> bool {
        if self.fin_in && matches!(self.script.reset, Some(Reset::Finished)) {
            // Its break is still to come.
            return true;
        }
        let waits = self.script.ending == Ending::FinishAfterUs && !self.fin_out;
        if self.fin_in || waits || self.sent < self.script.total {
            return false;
        }
        self.fin_in = true;
        // Of a FIN behind bytes only a socket that is told of every FIN can be told.
        let told = !self.script.patient && self.wake != Wake::Never;
        self.pending.read_closed |= told;
        self.pending.read |= told;
        self.note(|| "peer finished".to_string());
        true
    }

    /// What we sent and the peer can read.
    fn has_come(&self) -> usize {
        self.outgoing - self.corked
    }

    /// What the kernel holds for us.
    fn waiting(&self) -> usize {
        (self.sent - self.read) as usize
    }

    fn room(&self) -> usize {
        if self.connecting { 0 } else { self.script.capacities.1 - self.outgoing }
    }

    fn is_readable(&self) -> bool {
        let end = self.fin_in && !self.eof_read;
        let fault = self.broken && self.fault.is_none();
        self.waiting() > 0 || end || fault
    }

    /// Whether the poll would tell that it can be read.
    fn tells(&self) -> bool {
        let end = self.fin_in && !self.eof_read;
        match self.wake {
            _ if self.broken => self.is_readable(),
            Wake::AnyByte => self.is_readable(),
            Wake::Piece(bytes) => {
                let piece = self.script.capacities.0.min(bytes as usize);
                self.waiting() >= piece || end
            }
            Wake::Never => false,
        }
    }

    fn is_writable(&self) -> bool {
        self.broken || self.room() > 0
    }

    /// Between 1 and `most`, all of it half of the time.
    fn some(&mut self, most: usize) -> usize {
        match self.random.u8(..4) {
            0 => self.random.usize(1..=most),
            1 => self.random.usize(1..=most.min(16)),
            _ => most,
        }
    }

    /// How much of what was asked for is moved by a call.
    fn moved(&mut self, most: usize) -> usize {
        if self.script.patient { self.some(most) } else { most }
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = self.trace.borrow_mut().as_mut() {
            trace.push(format!("{}: {}", self.name, what()));
        }
    }

    /// The world does not stand still while we make a call.
    fn meanwhile(&mut self) {
        if self.random.u8(..8) == 0 {
            self.live();
        }
    }

    /// What a read comes to when there are no bytes.
    fn without_bytes(&mut self) -> Option<Received> {
        assert!(self.told.read, "{}: read while nothing can be read", self.name);
        assert!(!self.eof_read, "{}: read behind the end", self.name);
        self.meanwhile();
        if self.waiting() > 0 {
            return None;
        }
        self.told.read = false;
        let received = if self.broken {
            self.told.write = false;
            self.fault = Some(Fault::Reset);
            Received::Broken(Fault::Reset)
        } else if self.fin_in {
            self.eof_read = true;
            Received::Eof
        } else {
            Received::WouldBlock
        };
        self.note(|| format!("read: {received:?}"));
        Some(received)
    }

    /// What a write comes to when there is no room.
    fn without_room(&mut self) -> Option<Sent> {
        assert!(self.told.write, "{}: written to while it takes nothing", self.name);
        assert!(!self.fin_out, "{}: bytes behind the end", self.name);
        self.meanwhile();
        let sent = if self.broken {
            self.fault = self.fault.or(Some(Fault::Reset));
            self.told.read = true;
            Sent::Broken(Fault::Reset)
        } else if self.room() == 0 {
            Sent::WouldBlock
        } else {
            return None;
        };
        self.told.write = false;
        self.note(|| format!("write: {sent:?}"));
        Some(sent)
    }

    /// The peer's kernel takes these.
    fn take(&mut self, bytes: &[u8], wanted: usize) -> Sent {
        assert!(
            bytes == noise(self.salts.1, self.taken, bytes.len()),
            "{}: wrong bytes at {}",
            self.name,
            self.taken
        );
        self.taken += bytes.len() as u64;
        self.outgoing += bytes.len();
        let whole = self.end_follows && bytes.len() == wanted;
        self.corked = if whole { bytes.len() } else { 0 };
        self.note(|| format!("took {} of {wanted}", bytes.len()));
        if matches!(self.script.reset, Some(Reset::AtOnce(count)) if self.taken >= count) {
            self.break_off();
        }
        Sent::Bytes(bytes.len())
    }
}

impl Socket for ScriptedSocket {
    fn can_splice(&self) -> bool {
        true
    }

    fn can_read(&self) -> bool {
        self.told.read
    }

    fn can_write(&self) -> bool {
        self.told.write
    }

    fn fault(&mut self) -> Option<Fault> {
        if self.told.error {
            self.told.error = false;
            self.fault = Some(Fault::Reset);
        }
        self.fault
    }

    fn receive(&mut self, into: &mut [u8]) -> Received {
        self.demoted |= self.spliced;
        if let Some(received) = self.without_bytes() {
            return received;
        }
        let count = self.moved(self.waiting().min(into.len()));
        into[..count].copy_from_slice(noise(self.salts.0, self.read, count));
        self.read += count as u64;
        if count < into.len() && !self.script.patient && self.fault.is_none() {
            self.told.read = self.told.read_closed;
            self.spent = self.told.read_closed && self.waiting() == 0;
        }
        self.note(|| format!("read {count}"));
        Received::Bytes(count)
    }

    fn send(&mut self, from: &[u8]) -> Sent {
        assert!(!from.is_empty(), "{}: an empty write", self.name);
        if let Some(sent) = self.without_room() {
            return sent;
        }
        let count = self.moved(self.room().min(from.len()));
        if count < from.len() && !self.script.patient {
            self.told.write = false;
        }
        self.take(&from[..count], from.len())
    }

    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent {
        let bytes: Vec<u8> = from.iter().flat_map(|slice| slice.to_vec()).collect();
        self.send(&bytes)
    }

    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received {
        self.spliced = true;
        if let Some(received) = self.without_bytes() {
            if received == Received::Eof {
                // Not certain to be the end: a read has to see it again.
                self.eof_read = false;
                self.told.read = true;
            }
            return received;
        }
        // A splice may be short for want of places in the pipe, whatever the socket.
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let most = self.waiting().min(PIPE_BYTES_MIN).min(limit);
        let count = if self.random.bool() { self.some(most) } else { most };
        let count = pipe.pour_in(noise(self.salts.0, self.read, count));
        self.read += count as u64;
        self.note(|| format!("spliced {count}"));
        Received::Bytes(count)
    }

    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent {
        assert!(!pipe.is_empty(), "{}: an empty splice", self.name);
        if let Some(sent) = self.without_room() {
            return sent;
        }
        let wanted = pipe.len();
        let mut bytes = [0; PIPE_BYTES_MIN];
        // A splice may be short because of a signal, whatever the socket: only WouldBlock tells.
        let most = self.room().min(wanted);
        let count = if self.random.bool() { self.some(most) } else { most };
        let count = pipe.pour_out(&mut bytes[..count]);
        self.take(&bytes[..count], wanted)
    }

    fn wake_for(&mut self, wake: Wake) {
        self.wake = wake;
        self.told.read &= !matches!(wake, Wake::Piece(_));
        self.pending.read |= self.tells();
        self.pending.read_closed |= self.tells() && self.fin_in && !self.script.patient;
        self.note(|| format!("wakes for {wake:?}"));
    }

    fn is_ending(&self) -> bool {
        self.told.read_closed || self.told.error || self.fault.is_some()
    }

    fn is_spent(&self) -> bool {
        self.spent
    }

    fn end_follows(&mut self) {
        self.end_follows = true;
    }

    fn finish_sending(&mut self) {
        assert!(!self.fin_out, "{}: told of the end twice", self.name);
        self.corked = 0;
        self.fin_out = true;
        self.note(|| "told of the end".to_string());
    }
}
