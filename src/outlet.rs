//! Lines on their way to a descriptor that may not take them now.
//!
//! What a log writes must not hold up the loop, whoever reads it or does not. So lines are kept
//! here, up to a limit, and written as far as that goes at once; a line that is over the limit is
//! refused whole, and who offered it counts it. Both logs are built on this: `logging` for people
//! on standard error, `access_log` for programs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe takes this much without blocking whenever it can be written at all (PIPE_BUF, pipe(7)).
const CHUNK_BYTES: usize = 4096;

/// How a descriptor is written to without waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A write never waits for a reader: a regular file, or a descriptor that is nonblocking.
    AtOnce,
    /// Others share the descriptor, which may block: ask first, then write what it must take.
    AskFirst,
}

/// Lines that wait.
#[derive(Debug)]
pub struct Outlet {
    bytes: VecDeque<u8>,
    bytes_max: usize,
    /// The last byte written was not the end of a line.
    within_line: bool,
}

impl Outlet {
    /// Room for so many bytes.
    pub fn new(bytes_max: usize) -> Outlet {
        Outlet { bytes: VecDeque::new(), bytes_max, within_line: false }
    }

    /// Keep a line, if there is room for all of it.
    #[must_use]
    pub fn keep(&mut self, line: &[u8]) -> bool {
        let fits = self.bytes.len() + line.len() <= self.bytes_max;
        if fits {
            self.bytes.extend(line);
        }
        fits
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Write what `target` takes now. An error is what it will not get over by waiting.
    pub fn write_to(
        &mut self,
        target: &mut (impl Write + AsFd),
        manner: Manner,
    ) -> io::Result<()> {
        while !self.bytes.is_empty() {
            let mut chunk = self.bytes.make_contiguous();
            if manner == Manner::AskFirst {
                if !takes_more(target) {
                    return Ok(());
                }
                let count = chunk.len().min(CHUNK_BYTES);
                chunk = &mut chunk[..count];
            }
            match target.write(chunk) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.within_line = chunk[count - 1] != b'\n';
                    self.bytes.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Drop what waits; says how many lines that were.
    pub fn clear(&mut self) -> u64 {
        let ends = self.bytes.iter().filter(|&&byte| byte == b'\n').count();
        self.bytes.clear();
        ends as u64
    }

    /// What comes next goes elsewhere, where the rest of a line would be none. Says whether there
    /// was one.
    pub fn begin_anew(&mut self) -> bool {
        let torn = std::mem::take(&mut self.within_line);
        if torn {
            let end = self.bytes.iter().position(|&byte| byte == b'\n');
            self.bytes.drain(..end.map_or(self.bytes.len(), |end| end + 1));
        }
        torn
    }
}

fn takes_more(target: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(target, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A closed reader shows as an error, which the write then finds.
    matches!(poll(&mut fds, Some(&at_once)), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn a_line_over_the_limit_is_refused_whole() {
        let mut outlet = Outlet::new(10);
        assert!(outlet.keep(b"12345\n"));
        assert!(!outlet.keep(b"1234\n"));
        assert!(outlet.keep(b"123\n"));
        assert_eq!((outlet.len(), outlet.clear(), outlet.is_empty()), (10, 2, true));
    }

    #[test]
    fn a_full_pipe_gets_the_rest_when_it_is_read_whatever_the_manner() {
        for (manner, flags) in
            [(Manner::AtOnce, PipeFlags::NONBLOCK), (Manner::AskFirst, PipeFlags::empty())]
        {
            let (reader, writer) = pipe_with(flags).unwrap();
            let mut reader = File::from(reader);
            let mut writer = File::from(writer);
            let mut outlet = Outlet::new(1 << 20);
            let line = [&[b'x'; 999][..], b"\n"].concat();
            (0..1000).for_each(|_| assert!(outlet.keep(&line)));
            outlet.write_to(&mut writer, manner).unwrap();
            assert!(!outlet.is_empty(), "a pipe holds 64 KiB");
            let mut read = Vec::new();
            let mut buffer = vec![0; 100_000];
            while read.len() < 1_000_000 {
                let count = reader.read(&mut buffer).unwrap();
                read.extend_from_slice(&buffer[..count]);
                outlet.write_to(&mut writer, manner).unwrap();
            }
            assert!(read == line.repeat(1000));
            assert!(outlet.is_empty());
            drop(reader);
            assert!(outlet.keep(b"nobody reads\n"));
            let error = outlet.write_to(&mut writer, manner).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    }

    #[test]
    fn the_rest_of_a_line_is_not_written_elsewhere() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut writer = File::from(writer);
        let mut outlet = Outlet::new(1 << 20);
        assert!(outlet.keep(&[&[b'x'; 200_000][..], b"\n"].concat()));
        assert!(outlet.keep(b"whole\n"));
        outlet.write_to(&mut writer, Manner::AtOnce).unwrap();
        assert!(outlet.begin_anew());
        assert_eq!(outlet.len(), b"whole\n".len());
        assert!(!outlet.begin_anew());
        drop(reader);
    }
}
