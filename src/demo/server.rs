//! The blocking server under the demo backends: one thread accepts, and one thread a connection
//! does the rest.
//!
//! ```text
//! accept --> seat --> thread: answer(client) --> seat given back --> socket closed
//!   ^ |
//!   | +-- nap asked for: stop listening, hang up on who rests, sleep, listen again on the port
//!   +--------------------------------------------------------------------------+
//! ```
//!
//! It owns the listener and the count of open connections. It never reads or writes a byte; what
//! is said is up to `upper` and `hello`.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::{DEMO_CLIENTS_MAX, DEMO_IDLE_TIMEOUT, DEMO_RETRY_PAUSE, DEMO_STACK_BYTES};

/// A listening socket that nobody serves yet.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What the accepting thread and the connection threads both know. The event loop needs no such
/// thing: with one thread these would be plain numbers.
struct Shared {
    address: SocketAddr,
    clients: AtomicUsize,
    /// Seconds of the nap somebody asked for; 0 is none.
    nap_seconds: AtomicU64,
    /// When the nap that was asked for is over; none once somebody wakes it.
    until: Mutex<Option<Instant>>,
    wake: Condvar,
    /// Connections that are kept for another request, which none may send during a nap.
    resting: Mutex<HashMap<u64, TcpStream>>,
    /// Gives each of them a number.
    numbers: AtomicU64,
}

/// One connection, as its thread sees it. The fields drop in this order: the seat is given back
/// before the socket closes, so whoever saw the close is not counted any more.
pub struct Client {
    seat: Seat,
    /// Blocking, with time limits on both directions.
    pub stream: TcpStream,
}

/// A connection that waits for another request, until it is dropped.
pub struct Rest<'a> {
    shared: &'a Shared,
    number: u64,
}

/// Where a server sleeps: who has it may send the server there and wake it.
#[derive(Clone)]
pub struct Bed(Arc<Shared>);

/// Counts as one client until it is dropped, which a panicking thread does as well.
struct Seat(Arc<Shared>);

impl Server {
    /// Listens; connections queue up until [`Server::serve`].
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let clients = AtomicUsize::new(0);
        let shared = Shared {
            address,
            clients,
            nap_seconds: AtomicU64::new(0),
            until: Mutex::default(),
            wake: Condvar::new(),
            resting: Mutex::default(),
            numbers: AtomicU64::new(0),
        };
        Ok(Server { listener, shared: Arc::new(shared) })
    }

    /// The real address, also where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Sends it to sleep and wakes it, from any thread.
    pub fn bed(&self) -> Bed {
        Bed(Arc::clone(&self.shared))
    }

    /// Gives each connection to `answer` on a thread of its own, for ever.
    pub fn serve<Answer>(self, answer: Answer) -> !
    where
        Answer: Fn(&Client) -> io::Result<()> + Send + Sync + 'static,
    {
        let Server { mut listener, shared } = self;
        let answer = Arc::new(answer);
        loop {
            match listener.accept() {
                Ok((stream, _)) => start_client(stream, &shared, &answer),
                Err(error) => {
                    log::warn!("{}: cannot accept: {error}", shared.address);
                    thread::sleep(DEMO_RETRY_PAUSE);
                }
            }
            if shared.nap_seconds.load(SeqCst) > 0 {
                // The queue would be reset with the listener: serve first who is in it.
                if listener.set_nonblocking(true).is_ok() {
                    while let Ok((stream, _)) = listener.accept() {
                        start_client(stream, &shared, &answer);
                    }
                }
                drop(listener);
                listener = shared.nap();
            }
        }
    }
}

/// Takes a seat for the connection and starts its thread. Where there is no seat or no thread the
/// connection is dropped, and so closed.
fn start_client<Answer>(stream: TcpStream, shared: &Arc<Shared>, answer: &Arc<Answer>)
where
    Answer: Fn(&Client) -> io::Result<()> + Send + Sync + 'static,
{
    // Only this thread adds, so nobody can take the last seat between the look and the taking.
    if shared.clients.load(SeqCst) >= DEMO_CLIENTS_MAX {
        log::warn!("{}: {DEMO_CLIENTS_MAX} clients are enough", shared.address);
        return;
    }
    shared.clients.fetch_add(1, SeqCst);
    let client = Client { seat: Seat(Arc::clone(shared)), stream };
    let answer = Arc::clone(answer);
    let work = move || {
        // A connection that breaks is daily business for a server; the balancer reports it.
        if let Err(error) = client.prepare().and_then(|()| answer(&client)) {
            log::debug!("{}: {error}", client.address());
        }
    };
    if let Err(error) = thread::Builder::new().stack_size(DEMO_STACK_BYTES).spawn(work) {
        log::warn!("{}: cannot start a thread: {error}", shared.address);
    }
}

impl Client {
    /// Makes the socket block, but not for ever, and send small answers at once.
    fn prepare(&self) -> io::Result<()> {
        // Outside Linux a socket inherits this from its listener, which may be off to a nap.
        self.stream.set_nonblocking(false)?;
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(DEMO_IDLE_TIMEOUT))?;
        self.stream.set_write_timeout(Some(DEMO_IDLE_TIMEOUT))
    }

    /// The address the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.seat.0.address
    }

    /// How many connections are open besides this one.
    pub fn others(&self) -> usize {
        self.seat.0.clients.load(SeqCst) - 1
    }

    /// The client may ask again on this connection, and is waited for. A server that naps, or
    /// goes to sleep meanwhile, hangs up.
    pub fn rest(&self) -> io::Result<Rest<'_>> {
        let shared = &*self.seat.0;
        let stream = self.stream.try_clone()?;
        let mut resting = shared.resting();
        if shared.naps() {
            stream.shutdown(Shutdown::Both)?;
        }
        let number = shared.numbers.fetch_add(1, SeqCst);
        resting.insert(number, stream);
        Ok(Rest { shared, number })
    }

    /// Whether the server naps, or is about to: then an answer is the last one of its connection.
    pub fn naps(&self) -> bool {
        self.seat.0.naps()
    }

    /// Sends the server to sleep: connects are refused and resting connections closed, requests
    /// that are under way are answered.
    pub fn send_to_nap(&self, seconds: u64) {
        self.seat.0.send_to_nap(seconds);
    }
}

impl Bed {
    /// How long the server sleeps yet, if it does.
    pub fn left(&self) -> Option<Duration> {
        let until = self.0.until().filter(|_| self.0.naps())?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// As [`Client::send_to_nap`]; one that sleeps sleeps on.
    pub fn nap(&self, seconds: u64) {
        self.0.send_to_nap(seconds);
    }

    /// Ends the nap at once.
    pub fn wake(&self) {
        *self.0.until() = None;
        self.0.wake.notify_all();
    }
}

impl std::fmt::Debug for Bed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bed").field(&self.0.address).finish()
    }
}

impl Shared {
    fn naps(&self) -> bool {
        self.nap_seconds.load(SeqCst) > 0
    }

    fn send_to_nap(&self, seconds: u64) {
        *self.until() = Some(Instant::now() + Duration::from_secs(seconds));
        self.nap_seconds.store(seconds, SeqCst);
        // The accepting thread is stuck in accept, and one more connection is all that wakes it:
        // the event loop's `Waker`, done by hand. If it is asleep already, this is refused.
        let _ = TcpStream::connect(self.address);
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps as long as was asked for and listens again.
    fn nap(&self) -> TcpListener {
        let seconds = self.nap_seconds.load(SeqCst);
        log::info!("{}: napping for {seconds} s", self.address);
        for stream in self.resting().values() {
            // Its thread reads the end, and is done. Failing, the client has hung up itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let length = Duration::from_secs(seconds);
        let asleep = |until: &mut Option<Instant>| until.is_some();
        drop(self.wake.wait_timeout_while(self.until(), length, asleep));
        // Whoever asked for a nap during the nap has had it.
        self.nap_seconds.store(0, SeqCst);
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => return listener,
                Err(error) => log::warn!("{}: cannot listen again: {error}", self.address),
            }
            thread::sleep(DEMO_RETRY_PAUSE);
        }
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.shared.resting().remove(&self.number);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_server_that_sleeps_can_be_woken() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.address();
        let bed = server.bed();
        thread::spawn(move || server.serve(|_| Ok(())));
        let until = |awake: bool| {
            let start = Instant::now();
            while TcpStream::connect(address).is_ok() != awake {
                assert!(start.elapsed() < Duration::from_secs(20), "awake: not yet {awake}");
                thread::sleep(Duration::from_millis(5));
            }
        };
        for _ in 0..2 {
            bed.nap(3600);
            assert!(bed.left().is_some());
            until(false);
            bed.wake();
            until(true);
            assert_eq!(bed.left(), None);
        }
    }

    #[test]
    fn a_panic_gives_its_seat_back() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.address();
        thread::spawn(move || {
            server.serve(|client| {
                let mut word = [0; 4];
                (&client.stream).read_exact(&mut word)?;
                assert_ne!(&word, b"trip", "a bug in the demo, played");
                (&client.stream).write_all(&[client.others() as u8])
            })
        });
        let ask = |word: &[u8]| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(word).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        };
        for _ in 0..10 {
            assert_eq!(ask(b"trip"), [0; 0]);
            assert_eq!(ask(b"tell"), [0], "nobody else is there");
        }
    }
}
