//! Bytes on their way: one scratch buffer for the whole process, and pooled buffers for what a
//! slow target would not take.
//!
//! With one thread, only one read is ever in progress, so all reads can go into the same memory,
//! which stays in the processor's cache. A pair holds a buffer only from the moment its target
//! blocked until the target took the rest; an idle pair holds none.

use std::io::IoSlice;

use crate::limits::{BUFFER_BYTES, FREE_BUFFERS_MAX};

/// Bytes that wait for their target: `data[start..]`.
#[derive(Debug)]
pub struct Buffer {
    data: Vec<u8>,
    start: usize,
}

/// Where buffers come from and go back to.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
    lent: usize,
}

impl Buffer {
    /// What waits.
    pub fn bytes(&self) -> &[u8] {
        self.data.get(self.start..).unwrap_or_default()
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.data.len().saturating_sub(self.start)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` bytes were taken.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len(), "a target took more than there was");
        self.start += count;
    }
}

impl BufferPool {
    /// A buffer that keeps these bytes from `skip` on. They are at most a buffer's worth; should
    /// they ever be more, it grows for once rather than that a byte is lost or the process ends.
    pub fn keep(&mut self, slices: &[IoSlice<'_>], mut skip: usize) -> Buffer {
        let mut data = self.free.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
        for slice in slices {
            data.extend_from_slice(slice.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(slice.len());
        }
        self.lent += 1;
        Buffer { data, start: 0 }
    }

    /// Take a buffer back.
    pub fn give_back(&mut self, buffer: Buffer) {
        self.lent -= 1;
        let mut data = buffer.data;
        if self.free.len() < FREE_BUFFERS_MAX && data.capacity() <= BUFFER_BYTES {
            data.clear();
            self.free.push(data);
        }
    }

    /// How many are out.
    pub fn lent(&self) -> usize {
        self.lent
    }
}

/// The one buffer that all reads go into. What is in it is gone at the next read.
pub fn scratch() -> Box<[u8]> {
    // Zeroed pages come from the system untouched: memory is used only as far as it is written.
    vec![0; BUFFER_BYTES].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_asked_and_no_more() {
        let mut pool = BufferPool::default();
        let mut buffer = pool.keep(&[IoSlice::new(b"cdef")], 0);
        assert_eq!(buffer.bytes(), b"cdef");
        buffer.consume(3);
        assert_eq!(buffer.bytes(), b"f");
        buffer.consume(1);
        assert!(buffer.is_empty());
        assert_eq!(pool.lent(), 1);
        pool.give_back(buffer);
        assert_eq!(pool.lent(), 0);
    }

    #[test]
    fn keeps_slices_from_anywhere_on() {
        let mut pool = BufferPool::default();
        let slices = [&b"abc"[..], b"", b"de", b"f"].map(IoSlice::new);
        for skip in 0..=6 {
            let buffer = pool.keep(&slices, skip);
            assert_eq!(buffer.bytes(), &b"abcdef"[skip..]);
            pool.give_back(buffer);
        }
    }

    /// It was a panic, and so the end of the process, when a head that we had made was longer.
    #[test]
    fn more_than_a_buffer_is_kept_as_well_but_not_its_memory() {
        let mut pool = BufferPool::default();
        let long = vec![b'l'; BUFFER_BYTES];
        let more = [b'm'; 1000];
        let mut buffer = pool.keep(&[IoSlice::new(&long), IoSlice::new(&more)], 1);
        assert_eq!(buffer.len(), BUFFER_BYTES + 999);
        buffer.consume(BUFFER_BYTES - 1);
        assert_eq!(buffer.bytes(), more);
        pool.give_back(buffer);
        assert_eq!((pool.free.len(), pool.lent()), (0, 0));
        let usual = pool.keep(&[IoSlice::new(&long)], 0);
        pool.give_back(usual);
        assert_eq!((pool.free.len(), pool.lent()), (1, 0));
        assert!(pool.free[0].is_empty());
    }

    #[test]
    fn only_so_many_free_buffers_are_kept() {
        let mut pool = BufferPool::default();
        let buffers: Vec<_> =
            (0..FREE_BUFFERS_MAX + 5).map(|_| pool.keep(&[IoSlice::new(b"x")], 0)).collect();
        buffers.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!((pool.free.len(), pool.lent()), (FREE_BUFFERS_MAX, 0));
    }
}
