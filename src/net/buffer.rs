//! Bytes on their way: one scratch buffer for the whole process, and pooled buffers for what a
//! slow target would not take.
//!
//! With one thread, only one read is ever in progress, so all reads can go into the same memory,
//! which stays in the processor's cache. A pair holds a buffer only from the moment its target
//! blocked until the target took the rest; an idle pair holds none.

use std::io::IoSlice;

use crate::limits::{BUFFER_BYTES, FREE_BUFFERS_MAX};

/// Bytes that wait for their target: `data[start..end]`.
#[derive(Debug)]
pub struct Buffer {
    data: Box<[u8]>,
    start: usize,
    end: usize,
}

/// Where buffers come from and go back to.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Vec<Box<[u8]>>,
    lent: usize,
}

impl Buffer {
    /// What waits.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first `count` bytes were taken.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len(), "a target took more than there was");
        self.start += count;
    }
}

impl BufferPool {
    /// A buffer that keeps these bytes, which are at most a buffer's worth, from `skip` on.
    pub fn keep(&mut self, slices: &[IoSlice<'_>], skip: usize) -> Buffer {
        let mut data = self.free.pop().unwrap_or_else(zeroed);
        let (mut skip, mut end) = (skip, 0);
        for slice in slices {
            let rest = slice.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(slice.len());
            data[end..end + rest.len()].copy_from_slice(rest);
            end += rest.len();
        }
        self.lent += 1;
        Buffer { data, start: 0, end }
    }

    /// Take a buffer back.
    pub fn give_back(&mut self, buffer: Buffer) {
        self.lent -= 1;
        if self.free.len() < FREE_BUFFERS_MAX {
            self.free.push(buffer.data);
        }
    }

    /// How many are out.
    pub fn lent(&self) -> usize {
        self.lent
    }
}

/// The one buffer that all reads go into. What is in it is gone at the next read.
pub fn scratch() -> Box<[u8]> {
    zeroed()
}

fn zeroed() -> Box<[u8]> {
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

    #[test]
    fn only_so_many_free_buffers_are_kept() {
        let mut pool = BufferPool::default();
        let buffers: Vec<_> =
            (0..FREE_BUFFERS_MAX + 5).map(|_| pool.keep(&[IoSlice::new(b"x")], 0)).collect();
        buffers.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!((pool.free.len(), pool.lent()), (FREE_BUFFERS_MAX, 0));
    }
}
