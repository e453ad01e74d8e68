//! Files that somebody names, opened so that no pipe and no device holds up the loop.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

use crate::config::io_words;

/// A file to be read; never a directory or a pipe.
pub fn open_file(file: &str) -> io::Result<File> {
    // To open a pipe waits for who writes to it, unless it is asked not to.
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let opened = options.open(file)?;
    // A directory opens as well, and a pipe never ends.
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(opened)
}

/// What is in a file, if it is one and has at most so many bytes; if not, why.
pub fn read_bytes(file: &str, most: u64) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let opened =
        open_file(file).and_then(|opened| opened.take(most + 1).read_to_end(&mut text));
    match opened {
        Err(error) => Err(io_words(&error)),
        Ok(count) if count as u64 > most => Err(format!("it has more than {most} bytes")),
        Ok(_) => Ok(text),
    }
}
