//! Stands between two processes and passes on what they say, up to a message of one kind.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::read_head;

const SPACE: usize = cmsg_space!(ScmRights(253));

/// What comes from one of them, as it is to be passed on.
struct Reader {
    stream: UnixStream,
    bytes: Vec<u8>,
    sockets: VecDeque<OwnedFd>,
}

struct Frame {
    bytes: Vec<u8>,
    sockets: Vec<OwnedFd>,
}

impl Reader {
    fn new(stream: &UnixStream) -> Reader {
        let stream = stream.try_clone().expect("a descriptor");
        Reader { stream, bytes: Vec::new(), sockets: VecDeque::new() }
    }

    /// Says whether something came.
    fn read(&mut self) -> bool {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 65536];
        let mut into = [IoSliceMut::new(&mut buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let Ok(came) = recvmsg(&self.stream, &mut into, &mut control, flags) else {
            return false;
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                self.sockets.extend(sockets);
            }
        }
        self.bytes.extend_from_slice(&buffer[..came.bytes]);
        came.bytes > 0
    }

    /// The next message, if the other one does not end before.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.bytes.first_chunk::<6>() {
                let [_, sockets, length @ ..] = *head;
                let end = 6 + u32::from_be_bytes(length) as usize;
                if self.bytes.len() >= end {
                    let bytes = self.bytes.drain(..end).collect();
                    let sockets = self.sockets.drain(..usize::from(sockets)).collect();
                    return Some(Frame { bytes, sockets });
                }
            }
            if !self.read() {
                return None;
            }
        }
    }
}

fn pass_on(frame: &Frame, to: &UnixStream) -> bool {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<_> = frame.sockets.iter().map(AsFd::as_fd).collect();
    if !sockets.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&sockets)), "there is room");
    }
    let all = [IoSlice::new(&frame.bytes)];
    let Ok(sent) = sendmsg(to, &all, &mut control, SendFlags::NOSIGNAL) else { return false };
    let mut to = to;
    to.write_all(&frame.bytes[sent..]).is_ok()
}

/// A head of HTTP, from one to the other.
fn pass_head_on(from: &mut UnixStream, to: &mut UnixStream) {
    to.write_all(read_head(from).as_bytes()).expect("taken");
}

/// What becomes of the first message of a kind.
#[derive(Clone, Copy)]
enum Then {
    /// Nobody hears of it, nor anything behind it.
    Cut,
    /// The same, and this process is killed.
    Kill(Pid),
    /// Nobody hears of it, but all else goes on.
    Lost,
}

/// Whoever asks at this path for the place of the process with this admin socket speaks with it,
/// but for messages of a kind.
pub fn without(kind: u8, admin: PathBuf, path: &Path) -> thread::JoinHandle<()> {
    stand(kind, Then::Lost, admin, path)
}

/// Whoever asks at this path for the place of the process with this admin socket speaks with it,
/// up to the first message of a kind, from either. Then that process is killed, if it is named, and
/// neither hears of the other any more.
pub fn cut_at(
    kind: u8,
    killed: Option<Pid>,
    admin: PathBuf,
    path: &Path,
) -> thread::JoinHandle<()> {
    stand(kind, killed.map_or(Then::Cut, Then::Kill), admin, path)
}

fn stand(kind: u8, then: Then, admin: PathBuf, path: &Path) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a path of its own");
    thread::spawn(move || {
        let (mut new, _) = listener.accept().expect("it asks");
        let mut other = UnixStream::connect(admin).expect("it listens");
        pass_head_on(&mut new, &mut other);
        pass_head_on(&mut other, &mut new);
        let up = pass_all_on(&new, &other, kind, then);
        let down = pass_all_on(&other, &new, kind, then);
        up.join().expect("no panic");
        down.join().expect("no panic");
    })
}

fn pass_all_on(
    from: &UnixStream,
    to: &UnixStream,
    kind: u8,
    then: Then,
) -> thread::JoinHandle<()> {
    let mut reader = Reader::new(from);
    let to = to.try_clone().expect("a descriptor");
    thread::spawn(move || {
        while let Some(frame) = reader.frame() {
            if frame.bytes[0] == kind {
                match then {
                    Then::Lost => continue,
                    Then::Cut => break,
                    Then::Kill(pid) => {
                        kill_process(pid, Signal::KILL).expect("it is there");
                        break;
                    }
                }
            }
            if !pass_on(&frame, &to) {
                break;
            }
        }
        let _ = reader.stream.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    })
}
