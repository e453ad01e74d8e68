//! Pipes for `splice(2)`: a direction that streams moves pages from socket to socket through one,
//! and the bytes are never copied to us.
//!
//! One call moves at most one pipe's capacity, so pipes are made large; the kernel grants that only
//! up to a quota for each user, so the capacity is read back. Only Linux has this: elsewhere
//! [`PipePool::take`] never has a pipe, and every direction copies.
//!
//! Some kernels, containers and tracers have no `splice` for sockets, or refuse it. That is no
//! fault of a connection: what is in the pipe then is read out of it and sent by hand, and nobody
//! gets a pipe from then on.

#[cfg(linux)]
pub use linux::{Pipe, PipePool};

#[cfg(not(linux))]
pub use elsewhere::{Pipe, PipePool};

#[cfg(linux)]
mod linux {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::io::Errno;
    use rustix::net::SendFlags;
    use rustix::pipe::{self, PipeFlags, SpliceFlags};

    use crate::limits::{FREE_PIPES_KEPT, FREE_PIPES_MAX, PIPE_BYTES, PIPE_BYTES_MIN};
    use crate::net::{Fault, Received, Sent};

    /// A pipe and what is in it.
    #[derive(Debug)]
    pub struct Pipe {
        read_end: OwnedFd,
        write_end: OwnedFd,
        capacity: usize,
        held: usize,
        /// What had to be read out of it, because it cannot be moved on: the last `held` bytes of
        /// this are still to be sent.
        taken_out: Option<Vec<u8>>,
        /// Why it is of no use.
        trouble: Option<Errno>,
    }

    /// Where pipes come from and go back to.
    #[derive(Debug)]
    pub struct PipePool {
        free: Vec<Pipe>,
        lent: usize,
        limit: usize,
        /// The fewest that were free since the last look.
        spare: usize,
        /// Nothing can be spliced here, ever.
        off: bool,
    }

    /// Whether this says that the kernel cannot or may not do such a thing at all, or not now; and
    /// nothing of a connection.
    fn is_of_the_kernel(errno: Errno) -> bool {
        let never = matches!(
            errno,
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS
        );
        never || errno == Errno::NOMEM
    }

    impl Pipe {
        /// An empty pipe, as large as the kernel grants.
        pub fn new() -> rustix::io::Result<Pipe> {
            let (read_end, write_end) =
                pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
            // Refused beyond the user's quota: the default size may still do.
            let _ = pipe::fcntl_setpipe_size(&write_end, PIPE_BYTES);
            // If it does not say: that is the default.
            let capacity = pipe::fcntl_getpipe_size(&write_end).unwrap_or(PIPE_BYTES_MIN);
            Ok(Pipe { read_end, write_end, capacity, held: 0, taken_out: None, trouble: None })
        }

        /// How much is in it.
        pub fn len(&self) -> usize {
            self.held
        }

        /// Whether nothing is in it.
        pub fn is_empty(&self) -> bool {
            self.held == 0
        }

        /// Move at most `limit` bytes from a socket into the pipe, which must be empty: only then
        /// is "would block" certain to speak of the socket. Where the kernel cannot do it, that
        /// counts as an end: only a read tells.
        pub fn fill_from(&mut self, socket: BorrowedFd<'_>, limit: u64) -> Received {
            debug_assert!(self.is_empty(), "a pipe is filled again only once it is empty");
            let room = self.capacity.min(usize::try_from(limit).unwrap_or(usize::MAX));
            match self.splice(socket, self.write_end.as_fd(), room) {
                Ok(0) => Received::Eof,
                Ok(count) => {
                    self.held = count;
                    Received::Bytes(count)
                }
                Err(Errno::AGAIN) => Received::WouldBlock,
                Err(errno) if is_of_the_kernel(errno) => {
                    self.trouble = Some(errno);
                    Received::Eof
                }
                Err(errno) => Received::Broken(Fault::of(&errno.into())),
            }
        }

        /// Move bytes from the pipe, which must hold some, into a socket. Where the kernel cannot
        /// do it, they are written by hand: they are nowhere else any more.
        pub fn empty_into(&mut self, socket: BorrowedFd<'_>) -> Sent {
            debug_assert!(!self.is_empty(), "nothing to move");
            if self.taken_out.is_none() {
                match self.splice(self.read_end.as_fd(), socket, self.held) {
                    Err(errno) if is_of_the_kernel(errno) => {
                        self.trouble = Some(errno);
                        if let Err(errno) = self.take_out() {
                            return Sent::Broken(Fault::of(&errno.into()));
                        }
                    }
                    moved => return self.note_moved(moved),
                }
            }
            let bytes = self.taken_out.as_deref().unwrap_or_default();
            let rest = bytes.get(bytes.len() - self.held..).unwrap_or_default();
            let send = || rustix::net::send(socket, rest, SendFlags::NOSIGNAL);
            let moved = rustix::io::retry_on_intr(send);
            self.note_moved(moved)
        }

        fn note_moved(&mut self, moved: rustix::io::Result<usize>) -> Sent {
            match moved {
                Ok(count) => {
                    self.held -= count;
                    Sent::Bytes(count)
                }
                Err(Errno::AGAIN) => Sent::WouldBlock,
                Err(errno) => Sent::Broken(Fault::of(&errno.into())),
            }
        }

        /// Read all that it holds into our memory.
        fn take_out(&mut self) -> rustix::io::Result<()> {
            let mut bytes = vec![0; self.held];
            let mut filled = 0;
            while filled < bytes.len() {
                let read = || rustix::io::read(&self.read_end, &mut bytes[filled..]);
                match rustix::io::retry_on_intr(read)? {
                    0 => return Err(Errno::IO),
                    count => filled += count,
                }
            }
            self.taken_out = Some(bytes);
            Ok(())
        }

        fn splice(
            &self,
            from: BorrowedFd<'_>,
            to: BorrowedFd<'_>,
            count: usize,
        ) -> rustix::io::Result<usize> {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            rustix::io::retry_on_intr(|| pipe::splice(from, None, to, None, count, flags))
        }

        /// Put bytes in by hand, where there is no socket; returns how many went in.
        #[cfg(test)]
        pub fn pour_in(&mut self, bytes: &[u8]) -> usize {
            debug_assert!(self.is_empty(), "a pipe is filled again only once it is empty");
            self.held = rustix::io::write(&self.write_end, bytes).expect("it was empty");
            self.held
        }

        /// Count bytes as held that are still to be poured in: a splice of them is short although
        /// the socket has room, as one that a signal ends.
        #[cfg(test)]
        pub fn await_more(&mut self, count: usize) {
            self.held += count;
        }

        /// Take bytes out by hand; returns how many came.
        #[cfg(test)]
        pub fn pour_out(&mut self, into: &mut [u8]) -> usize {
            let count = rustix::io::read(&self.read_end, into).expect("it holds some");
            self.held -= count;
            count
        }
    }

    impl PipePool {
        /// At most `limit` pipes at once.
        pub fn new(limit: usize) -> PipePool {
            PipePool { free: Vec::new(), lent: 0, limit, spare: 0, off: false }
        }

        /// An empty pipe; `None` if there are enough, or the kernel gives none worth having.
        pub fn take(&mut self) -> Option<Pipe> {
            if self.off || self.lent >= self.limit {
                return None;
            }
            let pipe = match self.free.pop().map_or_else(Pipe::new, Ok) {
                Ok(pipe) if pipe.capacity >= PIPE_BYTES_MIN => pipe,
                Ok(_) => return None,
                Err(errno) => {
                    self.note_trouble(errno, "pipe");
                    return None;
                }
            };
            self.lent += 1;
            self.spare = self.spare.min(self.free.len());
            Some(pipe)
        }

        /// Take a pipe back. One that still holds bytes is closed, and the bytes with it.
        pub fn give_back(&mut self, pipe: Pipe) {
            self.lent -= 1;
            if let Some(errno) = pipe.trouble {
                return self.note_trouble(errno, "splice");
            }
            if pipe.is_empty() && self.free.len() < FREE_PIPES_MAX {
                self.free.push(pipe);
            }
        }

        /// Whether more are free than are worth being kept.
        pub fn has_spare(&self) -> bool {
            self.free.len() > FREE_PIPES_KEPT
        }

        /// Close those that nobody needed since the last time this was asked for.
        pub fn close_spare(&mut self) {
            let spare = self.spare.min(self.free.len().saturating_sub(FREE_PIPES_KEPT));
            self.free.truncate(self.free.len() - spare);
            self.spare = self.free.len();
        }

        /// How many are out.
        pub fn lent(&self) -> usize {
            self.lent
        }

        /// What will never work is not tried again. No memory or descriptor is for now.
        fn note_trouble(&mut self, errno: Errno, call: &str) {
            if self.off || !is_of_the_kernel(errno) || errno == Errno::NOMEM {
                return;
            }
            self.off = true;
            self.spare = 0;
            self.free.clear();
            log::warn!("streams are copied from now on: {call} does not work here: {errno}");
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pipes_that_nobody_needs_are_closed_at_the_second_look() {
            let mut pool = PipePool::new(8);
            let take = |pool: &mut PipePool| pool.take().expect("a pipe");
            let pipes: Vec<Pipe> = (0..6).map(|_| take(&mut pool)).collect();
            pipes.into_iter().for_each(|pipe| pool.give_back(pipe));
            assert!(pool.has_spare());
            pool.close_spare();
            assert_eq!(pool.free.len(), 6, "a moment ago all were needed");
            let one = take(&mut pool);
            let other = take(&mut pool);
            pool.give_back(one);
            pool.give_back(other);
            pool.close_spare();
            assert_eq!(pool.free.len(), FREE_PIPES_KEPT, "of four that were not");
            assert!(!pool.has_spare());
        }
    }
}

#[cfg(not(linux))]
mod elsewhere {
    use std::convert::Infallible;

    use crate::net::{Received, Sent};

    /// There are no such pipes here, and so no value of this type.
    #[derive(Debug)]
    pub struct Pipe(Infallible);

    /// A pool that never has a pipe.
    #[derive(Debug)]
    pub struct PipePool;

    impl Pipe {
        /// How much is in it.
        pub fn len(&self) -> usize {
            match self.0 {}
        }

        /// Whether nothing is in it.
        pub fn is_empty(&self) -> bool {
            match self.0 {}
        }

        /// Move bytes from a socket into the pipe.
        pub fn fill_from<S>(&mut self, _socket: S, _limit: u64) -> Received {
            match self.0 {}
        }

        /// Move bytes from the pipe into a socket.
        pub fn empty_into<S>(&mut self, _socket: S) -> Sent {
            match self.0 {}
        }

        /// Put bytes in by hand.
        #[cfg(test)]
        pub fn pour_in(&mut self, _bytes: &[u8]) -> usize {
            match self.0 {}
        }

        /// Take bytes out by hand.
        #[cfg(test)]
        pub fn pour_out(&mut self, _into: &mut [u8]) -> usize {
            match self.0 {}
        }
    }

    impl PipePool {
        /// The limit does not matter here.
        pub fn new(_limit: usize) -> PipePool {
            PipePool
        }

        /// Never a pipe.
        pub fn take(&mut self) -> Option<Pipe> {
            None
        }

        /// Nobody has one to give back.
        pub fn give_back(&mut self, Pipe(never): Pipe) {
            match never {}
        }

        /// None is ever free.
        pub fn has_spare(&self) -> bool {
            false
        }

        /// There is nothing to close.
        pub fn close_spare(&mut self) {}

        /// None is ever out.
        pub fn lent(&self) -> usize {
            0
        }
    }
}
