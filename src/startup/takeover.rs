//! Takes the place of the process that runs: the side of the new one. What the two say stands at
//! the head of [`crate::takeover`].
//!
//! Nobody is served yet, so each step may wait, but never for longer than the other would.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use log::{info, warn};
use socket2::{Domain, SockAddr, Type};

use crate::config::{Complaint, Desired, SettingKey, duration_text, io_words};
use crate::control::state::State;
use crate::control::{self, Adoption};
use crate::event_loop::EventLoop;
use crate::limits::{
    STATE_BYTES_MAX, TAKEOVER_ANSWER_BYTES_MAX, TAKEOVER_DEATH, TAKEOVER_TIME,
    TAKEOVER_WAITING_BYTES,
};
use crate::net::{HandedSocket, HandedSockets, Predecessor, Watched, receive_with};
use crate::resolver;
use crate::service_manager::ServiceManager;
use crate::takeover::{
    Counts, FlowRow, Frames, Hello, Manager, Message, PATH, PROTOCOL, SocketRow, TailRow,
    UPGRADE, decode, encode,
};

use super::StartError;

/// A handover that is under way.
pub(super) struct Taking {
    offer: Offer,
}

/// Which of its sockets are whose.
pub(super) struct Taken(Vec<(u32, Option<usize>)>);

impl Taking {
    /// Asks the process with an admin socket at this path for its place, if all that is wanted can
    /// be had.
    pub fn begin(path: &str, desired: &Desired) -> Result<Taking, StartError> {
        let known = resolver::known_by_file(desired.process.dns.families);
        let wrong = control::check(desired, &known);
        if !wrong.is_empty() {
            return Err(StartError::Settings(wrong));
        }
        let offer = Offer::ask(path).map_err(|why| not_taken(path, why))?;
        info!("takes the place of process {}", offer.talk.pid);
        Ok(Taking { offer })
    }

    /// Where it goes on from.
    pub fn state(&mut self) -> State {
        std::mem::take(&mut self.offer.state)
    }

    /// Of its random choices.
    pub fn seed(&self) -> u64 {
        self.offer.seed
    }

    /// Who is told that this process serves, if the other one knows.
    pub fn manager(&mut self) -> Option<ServiceManager> {
        self.offer.manager.take()
    }

    /// Its sockets.
    pub fn sockets(&self) -> &HandedSockets {
        &self.offer.sockets
    }

    /// Which of its sockets are taken.
    pub fn taken(&self, adoption: &Adoption) -> Taken {
        let all = self.offer.sockets.all();
        let place = |at: usize| Some(all.get(at)?.predecessor()?.place);
        let listeners = adoption.listeners.iter().enumerate();
        let listeners = listeners.filter_map(|(at, it)| Some((place((*it)?)?, Some(at))));
        let others = adoption.admin.iter().flatten().chain(&adoption.heartbeats);
        let others = others.filter_map(|it| Some((place(*it)?, None)));
        Taken(listeners.chain(others).collect())
    }

    /// It cannot be, and the other process is told why.
    pub fn give_up(mut self, why: &str) {
        // because: it goes on in any case.
        let _ = self.offer.talk.say(&Message::No(why.to_owned()));
    }

    /// Everything is open: from here on this process serves.
    pub fn finish(
        self,
        path: &str,
        taken: &Taken,
        looping: &mut EventLoop,
    ) -> Result<(), StartError> {
        let Offer { sockets, confirms, mut talk, .. } = self.offer;
        // Others than the listeners' own copies would keep what a reload closes.
        drop(sockets);
        if !looping.look_up_names().map_err(StartError::EventLoop)? {
            let why = "it was told to stop".to_owned();
            let _ = talk.say(&Message::No(why.clone()));
            return Err(not_taken(path, NotTaken(why)));
        }
        if let Some(name) = looping.lost_since_then()
            && !talk.has_died()
        {
            let why = format!(
                "the name of the backend {name} is not found now, and the process that runs \
                 knows it: it goes on; see to DNS first"
            );
            let _ = talk.say(&Message::No(why.clone()));
            return Err(not_taken(path, NotTaken(why)));
        }
        let places = taken.0.iter().map(|(place, _)| *place).collect();
        let mut gift = Gift::default();
        let ready = talk.ready(places, &mut gift);
        talk.goes_on_after(ready).map_err(|why| not_taken(path, why))?;
        let Gift { mut flows, tails } = gift;
        // One that waits for answers alone makes way for its client's next.
        flows.sort_by_key(|(row, _)| row.is_current);
        let place_of = |place: u32| taken.0.iter().find(|it| it.0 == place)?.1;
        looping.take_flows(flows, place_of);
        let mut counts = Vec::new();
        let taken = talk.take(&mut counts);
        talk.goes_on_after(taken).map_err(|why| not_taken(path, why))?;
        looping.take_place(&counts);
        for (row, socket) in tails {
            looping.listen_to(row, socket);
        }
        let is_asked = confirms && !talk.has_died;
        let (row, socket) = talk.into_tail();
        match looping.listen_to(row, socket) {
            Some(key) if is_asked => looping.confirm_to(key),
            None if is_asked => {
                let why = "it cannot be told that this one serves".to_owned();
                return Err(not_taken(path, NotTaken(why)));
            }
            Some(_) | None => looping.own_place(),
        }
        Ok(())
    }
}

fn not_taken(path: &str, why: NotTaken) -> StartError {
    StartError::Takeover(Complaint::of(SettingKey::TAKEOVER, path, why.0))
}

/// What the process that runs offers.
struct Offer {
    /// Its listening sockets.
    pub sockets: HandedSockets,
    /// Where it goes on from.
    pub state: State,
    /// Who is told that the new one serves.
    pub manager: Option<ServiceManager>,
    /// Of its random choices.
    pub seed: u64,
    /// It is to be told that this process serves.
    pub confirms: bool,
    /// Goes on with it.
    pub talk: Talk,
}

/// What it gives once everything is open.
#[derive(Default)]
struct Gift {
    /// Flows of UDP and their sockets.
    pub flows: Vec<(FlowRow, OwnedFd)>,
    /// Connections to those that were in its place.
    pub tails: Vec<(TailRow, UnixStream)>,
}

/// Why it is not to be.
#[derive(Debug)]
struct NotTaken(String);

/// The talk with it.
struct Talk {
    socket: UnixStream,
    frames: Frames<OwnedFd>,
    pid: i32,
    /// The process, once it has told everything that another one needs.
    process: Option<Watched>,
    /// It died, and was found out.
    has_died: bool,
}

impl Offer {
    /// Asks the process with an admin socket at this path for its place.
    pub fn ask(path: &str) -> Result<Offer, NotTaken> {
        let socket = connect(path)?;
        let mut talk =
            Talk { socket, frames: Frames::default(), pid: 0, process: None, has_died: false };
        talk.ask_for_it()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        talk.say(&Message::Hello(Hello { protocol: PROTOCOL, version, confirms: true }))?;
        let mut sockets = Vec::new();
        let mut told = 0;
        let mut state: Vec<u8> = Vec::new();
        let offered = loop {
            match talk.hear()? {
                (Message::Sockets(rows), came) => {
                    for (row, socket) in rows.into_iter().zip(came) {
                        sockets.extend(checked(row, socket, told)?);
                        told += 1;
                    }
                }
                (Message::State(piece), _) => {
                    state.extend_from_slice(&piece);
                    if state.len() as u64 > STATE_BYTES_MAX {
                        return Err(NotTaken("the state that it told is too large".to_owned()));
                    }
                }
                (Message::Offered(offered), _) => break offered,
                (other, _) => return Err(unexpected(&other)),
            }
        };
        talk.pid = offered.pid;
        talk.process = Watched::of(offered.pid);
        let state = State::parse(&state)
            .map_err(|why| NotTaken(format!("the state that it told: {why}")))?;
        let manager = offered.manager.map(|Manager { place, beat }| {
            ServiceManager::of_another(&place, beat.map(Duration::from_micros))
        });
        let sockets = HandedSockets::of(sockets);
        let confirms = offered.confirms;
        Ok(Offer { sockets, state, manager, seed: offered.seed, confirms, talk })
    }
}

impl Talk {
    /// Everything is open, with those of its sockets at these places.
    pub fn ready(&mut self, taken: Vec<u32>, gift: &mut Gift) -> Result<(), NotTaken> {
        self.say(&Message::Ready(taken))?;
        loop {
            match self.hear()? {
                (Message::Flows(rows), came) => gift.flows.extend(rows.into_iter().zip(came)),
                (Message::Tails(rows), came) => {
                    let sockets = came.into_iter().map(UnixStream::from);
                    gift.tails.extend(rows.into_iter().zip(sockets));
                }
                (Message::Yours, _) => return Ok(()),
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// All of it was taken in: what was counted meanwhile. From then on the other process serves
    /// nobody new.
    pub fn take(&mut self, counts: &mut Vec<Counts>) -> Result<(), NotTaken> {
        if self.has_died {
            return Ok(());
        }
        self.say(&Message::Taken)?;
        loop {
            match self.hear()? {
                (Message::Counts(more), _) => counts.push(more),
                (Message::Go, _) => return Ok(()),
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// The connection over which the rest of what it counts comes.
    pub fn into_tail(self) -> (TailRow, UnixStream) {
        let row = TailRow { pid: self.pid, begun: self.frames.rest().to_vec() };
        (row, self.socket)
    }

    /// Whether the process died: what it told is enough for another one to serve, and nobody else
    /// does.
    pub fn has_died(&self) -> bool {
        self.process.as_ref().is_some_and(|it| it.ends_within(Duration::ZERO))
    }

    /// A step went wrong, or not: if the process died of it, this one goes on with what it has. One
    /// that only gave up serves, and has all to itself.
    pub fn goes_on_after(&mut self, step: Result<(), NotTaken>) -> Result<(), NotTaken> {
        let Err(why) = step else { return Ok(()) };
        // The system closes its sockets first, and says then that it is over.
        let dies = |it: &Watched| it.ends_within(TAKEOVER_DEATH);
        if !self.process.as_ref().is_some_and(dies) {
            return Err(why);
        }
        if !std::mem::replace(&mut self.has_died, true) {
            warn!("process {} died while its place was taken: this one serves", self.pid);
        }
        Ok(())
    }

    fn ask_for_it(&mut self) -> Result<(), NotTaken> {
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
             Content-Type: application/json\r\n\
             Connection: Upgrade\r\nUpgrade: {UPGRADE}\r\n\r\n"
        );
        self.write(request.as_bytes())?;
        let until = Instant::now() + TAKEOVER_TIME;
        let mut answer = Vec::new();
        let end = loop {
            if let Some(at) = answer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_answer(&mut answer, until)?;
        };
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if status == "101" {
            return Ok(());
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length.unwrap_or(0);
        while answer.len() < end + length {
            self.read_answer(&mut answer, until)?;
        }
        Err(refusal(&status, &answer[end..]))
    }

    fn read_answer(&mut self, answer: &mut Vec<u8>, until: Instant) -> Result<(), NotTaken> {
        if answer.len() > TAKEOVER_ANSWER_BYTES_MAX {
            return Err(NotTaken("what answers there is no pointsman".to_owned()));
        }
        self.wait_until(until)?;
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(NotTaken("it closed the connection".to_owned())),
            Ok(count) => {
                answer.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) => Err(broken(&error)),
        }
    }

    fn say(&mut self, message: &Message) -> Result<(), NotTaken> {
        self.write(&encode(message))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        let timed = self.socket.set_write_timeout(Some(TAKEOVER_TIME));
        timed.and_then(|()| self.socket.write_all(bytes)).map_err(|error| broken(&error))
    }

    /// The next message, and what came with it.
    fn hear(&mut self) -> Result<(Message, Vec<OwnedFd>), NotTaken> {
        let until = Instant::now() + TAKEOVER_TIME;
        let mut buffer = vec![0; TAKEOVER_WAITING_BYTES];
        let wrong = |it: crate::takeover::Wrong| NotTaken(format!("it said {it}"));
        loop {
            if let Some(frame) = self.frames.take().map_err(wrong)? {
                let message = decode(frame.kind, &frame.payload).map_err(wrong)?;
                if let Message::No(why) = message {
                    return Err(NotTaken(why));
                }
                return Ok((message, frame.sockets));
            }
            self.wait_until(until)?;
            let mut came = Vec::new();
            match receive_with(&self.socket, &mut buffer, &mut came) {
                Ok(0) => return Err(NotTaken("it closed the connection".to_owned())),
                Ok(count) => self.frames.push(&buffer[..count], came),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    fn wait_until(&self, until: Instant) -> Result<(), NotTaken> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(broken(&io::ErrorKind::WouldBlock.into()));
        }
        self.socket.set_read_timeout(Some(left)).map_err(|error| broken(&error))
    }
}

/// A socket, if it is what it is said to be; nothing, if its file was removed.
fn checked(
    row: SocketRow,
    socket: OwnedFd,
    place: u32,
) -> Result<Option<HandedSocket>, NotTaken> {
    let handed = HandedSocket::new(socket, None, format!("socket {}", place + 1));
    let handed = handed.map_err(|why| NotTaken(format!("it gave what is of no use: {why}")))?;
    if *handed.address() != row.at {
        let found = handed.address();
        let why = format!("it gave a socket at {found} as one at {}", row.at);
        return Err(NotTaken(why));
    }
    let SocketRow { asked, file, is_shared, .. } = row;
    Ok(handed.of_predecessor(Predecessor { place, asked, file, is_shared }))
}

/// Never waits: where nobody takes connections there is nobody to ask.
fn connect(path: &str) -> Result<UnixStream, NotTaken> {
    let connected = || -> io::Result<UnixStream> {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(false)?;
        Ok(UnixStream::from(OwnedFd::from(socket)))
    };
    connected().map_err(|error| {
        NotTaken(match error.kind() {
            io::ErrorKind::NotFound => {
                "nobody listens there: it is not there; want the path of an admin UNIX socket of \
                 the process that runs"
                    .to_owned()
            }
            io::ErrorKind::ConnectionRefused => {
                "nobody listens there; start the new process without it".to_owned()
            }
            io::ErrorKind::WouldBlock => "its queue is full: ask again".to_owned(),
            _ => io_words(&error),
        })
    })
}

fn refusal(status: &str, body: &[u8]) -> NotTaken {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = body["detail"].as_str().unwrap_or_default();
    NotTaken(match status {
        "404" | "405" => {
            "the process there does not know how to hand over: it is of an older version".into()
        }
        _ if detail.is_empty() => format!("it answers {status}"),
        _ => format!("it refuses: {detail}"),
    })
}

fn broken(error: &io::Error) -> NotTaken {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let within = duration_text(TAKEOVER_TIME);
            NotTaken(format!("it said nothing for {within}"))
        }
        _ => NotTaken(io_words(error)),
    }
}

fn unexpected(message: &Message) -> NotTaken {
    let text = format!("{message:?}");
    let word: String = text.chars().take_while(|it| it.is_alphanumeric()).collect();
    NotTaken(format!("it said {word}, which was not to be said then"))
}
