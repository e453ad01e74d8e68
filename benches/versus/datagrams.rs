//! Datagrams through a proxy that has more of them than it can take: clients, backends, and the
//! processor time of what is between.
//!
//! ```text
//!   stop the proxy -> 64 clients send -> let it go -> the backends hear all
//!   stop the proxy -> the backends answer -> let it go -> the clients hear all, byte for byte
//! ```
//!
//! It stands still while its queues are filled: so it is saturated on any machine, however slow
//! those who send, and only its own work is counted. A *unit* is a datagram relayed, so that one
//! that is answered is two.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use rustix::process::{Pid, Signal, kill_process};

use crate::measure;
use crate::world::{Outcome, pattern};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volley {
    /// Of each datagram.
    pub bytes: usize,
    /// How a sender hands its datagrams to the kernel.
    pub by: By,
}

/// How datagrams are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// One at a time: they arrive one by one.
    Ones,
    /// A sender's share at once, cut up by the kernel (GSO), as QUIC's senders do: they arrive
    /// together where the receiver lets them (GRO).
    Bursts,
}

const FLOWS: usize = 64;

/// Datagrams of a flow that wait at once.
const EACH: usize = 8;

/// Of the sockets of clients and backends, so that the loss is not here.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Who has not come by then is lost.
const PATIENCE: Duration = Duration::from_millis(500);

/// Number of the flow and of the datagram, in front of the pattern.
const HEAD_BYTES: usize = 8;

/// Volleys that open the flows and warm up.
const FIRST: usize = 2;

/// Whether a socket that asks for no more has room for a volley; the kernel counts its own part of
/// each datagram.
pub fn room() -> bool {
    let text = std::fs::read_to_string("/proc/sys/net/core/rmem_default").unwrap_or_default();
    text.trim().parse().map_or(true, |bytes: usize| bytes >= BUFFER_BYTES)
}

/// The sockets around a proxy.
struct Field {
    clients: Vec<UdpSocket>,
    backends: Vec<UdpSocket>,
    volley: Volley,
    sent: u32,
    outcome: Outcome,
}

/// Send volleys through a proxy for so long; its processor time, in nanoseconds, and what it did.
pub fn play(
    pid: u32,
    target: SocketAddr,
    backends: &[SocketAddr],
    volley: Volley,
    time: Duration,
) -> io::Result<(Outcome, u64)> {
    let family = measure::family(pid);
    let mut field = Field::new(target, backends, volley)?;
    let mut began = Instant::now();
    let mut before = 0;
    let mut number = 0;
    while number <= FIRST || began.elapsed() < time {
        if number == FIRST {
            began = Instant::now();
            before = measure::processor_ns(pid);
            field.outcome.units = 0;
        }
        standing_still(&family, || field.ask())?;
        let senders = field.hear_asks();
        standing_still(&family, || field.answer(&senders))?;
        field.hear_answers();
        number += 1;
        if field.outcome.errors > 0 {
            break;
        }
    }
    let spent = measure::processor_ns(pid).saturating_sub(before);
    field.outcome.seconds = began.elapsed().as_secs_f64();
    Ok((field.outcome, spent))
}

/// Do this while these processes are stopped.
fn standing_still(all: &[u32], work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let tell = |signal| -> io::Result<()> {
        for pid in all.iter().filter_map(|&pid| Pid::from_raw(pid as i32)) {
            kill_process(pid, signal)?;
        }
        Ok(())
    };
    tell(Signal::STOP)?;
    let end = Instant::now() + PATIENCE;
    while !all.iter().all(|&pid| is_stopped(pid)) {
        if Instant::now() > end {
            return Err(io::Error::other("it does not stand still"));
        }
        std::thread::yield_now();
    }
    let done = work();
    tell(Signal::CONT)?;
    done
}

fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    // Who has ended stands still as well.
    matches!(state, Some('T' | 't' | 'Z' | 'X') | None)
}

impl Field {
    fn new(target: SocketAddr, backends: &[SocketAddr], volley: Volley) -> io::Result<Field> {
        let bind = |address: SocketAddr| -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES)?;
            if volley.by == By::Bursts {
                setsockopt(&socket, UdpGsoSegment, &(volley.bytes as i32))?;
            }
            Ok(socket)
        };
        let connect = |_| {
            let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.connect(target)?;
            Ok(socket)
        };
        Ok(Field {
            clients: (0..FLOWS).map(connect).collect::<io::Result<_>>()?,
            backends: backends.iter().map(|&at| bind(at)).collect::<io::Result<_>>()?,
            volley,
            sent: 0,
            outcome: Outcome::default(),
        })
    }

    /// Every client sends its share.
    fn ask(&mut self) -> io::Result<()> {
        for (flow, client) in self.clients.iter().enumerate() {
            let one = |number| datagram(flow as u32, self.sent + number, self.volley.bytes);
            let share: Vec<Vec<u8>> = (0..EACH as u32).map(one).collect();
            send(self.volley.by, &share, |bytes| client.send(bytes))?;
        }
        Ok(())
    }

    /// What the backends got, and from which client.
    fn hear_asks(&mut self) -> Vec<HashMap<SocketAddr, Vec<Vec<u8>>>> {
        let mut all = vec![HashMap::<SocketAddr, Vec<Vec<u8>>>::new(); self.backends.len()];
        let mut buffer = vec![0; 65_535];
        let mut left = FLOWS * EACH;
        let mut waits = true;
        while left > 0 {
            let before = left;
            for (backend, heard) in self.backends.iter().zip(&mut all) {
                // Whichever comes first: nobody knows how the flows are spread.
                let _ = backend.set_nonblocking(true);
                while let Ok((count, from)) = backend.recv_from(&mut buffer) {
                    heard.entry(from).or_default().push(buffer[..count].to_vec());
                    left -= 1;
                }
            }
            if left < before {
                waits = true;
            } else if std::mem::take(&mut waits) {
                self.wait_for_any();
            } else {
                self.fail(left, "datagrams never came to a backend");
                break;
            }
        }
        self.outcome.units += (FLOWS * EACH - left) as u64;
        all
    }

    /// Until something is at a backend, or too much time has gone.
    fn wait_for_any(&self) {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut fds: Vec<PollFd<'_>> =
            self.backends.iter().map(|it| PollFd::new(it, PollFlags::IN)).collect();
        let patience = rustix::event::Timespec {
            tv_sec: PATIENCE.as_secs() as i64,
            tv_nsec: i64::from(PATIENCE.subsec_nanos()),
        };
        // Interrupted or late, it is seen by the next look.
        let _ = poll(&mut fds, Some(&patience));
    }

    /// Every datagram goes back as it is.
    fn answer(&mut self, heard: &[HashMap<SocketAddr, Vec<Vec<u8>>>]) -> io::Result<()> {
        for (backend, heard) in self.backends.iter().zip(heard) {
            backend.set_nonblocking(false)?;
            for (&to, share) in heard {
                send(self.volley.by, share, |bytes| backend.send_to(bytes, to))?;
            }
        }
        Ok(())
    }

    /// Every client hears what it has sent, and nothing else.
    fn hear_answers(&mut self) {
        let mut buffer = vec![0; 65_535];
        let mut lost = 0;
        for flow in 0..self.clients.len() {
            let mut seen = [false; EACH];
            for _ in 0..EACH {
                let Ok(count) = self.clients[flow].recv(&mut buffer) else {
                    lost += seen.iter().filter(|seen| !**seen).count();
                    break;
                };
                match number(&buffer[..count], flow as u32, self.volley.bytes) {
                    Some(number) if number.wrapping_sub(self.sent) < EACH as u32 => {
                        seen[(number - self.sent) as usize] = true;
                        self.outcome.units += 1;
                    }
                    _ => self.fail(1, "an answer to somebody else, or with other bytes"),
                }
            }
        }
        self.sent += EACH as u32;
        if lost > 0 {
            self.fail(lost, "answers never came to their client");
        }
    }

    fn fail(&mut self, count: usize, what: &str) {
        self.outcome.errors += count as u64;
        self.outcome.error.get_or_insert_with(|| format!("{count} {what}"));
    }
}

fn send(
    by: By,
    share: &[Vec<u8>],
    mut send: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    match by {
        By::Ones => share.iter().try_for_each(|bytes| send(bytes).map(drop)),
        By::Bursts => send(&share.concat()).map(drop),
    }
}

fn datagram(flow: u32, number: u32, bytes: usize) -> Vec<u8> {
    let mut datagram = vec![0; bytes];
    datagram[..4].copy_from_slice(&flow.to_le_bytes());
    datagram[4..HEAD_BYTES].copy_from_slice(&number.to_le_bytes());
    datagram[HEAD_BYTES..].copy_from_slice(pattern::passage(HEAD_BYTES as u64, bytes as u64));
    datagram
}

/// The number in a datagram of this flow, if all of it is right.
fn number(datagram: &[u8], flow: u32, bytes: usize) -> Option<u32> {
    let (head, rest) = datagram.split_at_checked(HEAD_BYTES)?;
    let right = datagram.len() == bytes
        && head[..4] == flow.to_le_bytes()
        && pattern::is_right(rest, HEAD_BYTES as u64);
    right.then(|| u32::from_le_bytes([head[4], head[5], head[6], head[7]]))
}
