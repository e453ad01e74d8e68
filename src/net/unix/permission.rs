//! Permission and owner of the file of a socket, of that one alone.
//!
//! Who may write its directory can put something else in its place at any moment, a symbolic link
//! to a file that is ours above all. So what is there is held first, then looked at, and what was
//! looked at is changed: never what a path leads to by then.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, RawMode, chmodat, chownat};
#[cfg(linux)]
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::{FileOwner, SocketFile};

/// The socket that is there, if it is this one (device and inode), is like `file` from now on.
#[cfg(linux)]
pub(super) fn set(path: &Path, id: (u64, u64), file: &SocketFile) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{OFlags, open};
    let held = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let held = std::fs::File::from(held);
    let there = held.metadata()?;
    check(&there, id)?;
    if there.mode() & MODE_BITS != file.mode {
        // A descriptor that can neither be read nor written has no fchmod(2).
        let by_number = format!("/proc/self/fd/{}", held.as_raw_fd());
        match chmodat(CWD, by_number, mode_of(file), AtFlags::empty()) {
            Err(Errno::NOENT) => set_by_path(path, id, file)?,
            changed => changed?,
        }
    }
    let Some(owner) = file.owner else { return Ok(()) };
    let (user, group) = ids(owner);
    Ok(chownat(&held, "", user, group, AtFlags::EMPTY_PATH)?)
}

/// In a root without /proc, as images have it: what a path leads to is looked at once more, right
/// before it is changed. Whoever may write the directory could still be faster.
#[cfg(linux)]
fn set_by_path(path: &Path, id: (u64, u64), file: &SocketFile) -> io::Result<()> {
    check(&std::fs::symlink_metadata(path)?, id)?;
    Ok(chmodat(CWD, path, mode_of(file), AtFlags::empty())?)
}

/// The same where nothing can be held that is not read or written: a link is never followed.
#[cfg(not(linux))]
pub(super) fn set(path: &Path, id: (u64, u64), file: &SocketFile) -> io::Result<()> {
    check(&std::fs::symlink_metadata(path)?, id)?;
    // Linux, where this is only tested, has no such flag.
    let how = match cfg!(target_os = "linux") {
        true => AtFlags::empty(),
        false => AtFlags::SYMLINK_NOFOLLOW,
    };
    chmodat(CWD, path, mode_of(file), how)?;
    let Some(owner) = file.owner else { return Ok(()) };
    let (user, group) = ids(owner);
    Ok(chownat(CWD, path, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A second name of a socket is somebody else's: a hard link is put there as easily as another.
fn check(there: &Metadata, id: (u64, u64)) -> io::Result<()> {
    let is_it = (there.dev(), there.ino()) == id;
    match is_it && there.file_type().is_socket() && there.nlink() == 1 {
        true => Ok(()),
        false => Err(io::Error::other("another file was put in its place")),
    }
}

fn mode_of(file: &SocketFile) -> Mode {
    Mode::from_raw_mode(file.mode as RawMode)
}

fn ids(owner: FileOwner) -> (Option<Uid>, Option<Gid>) {
    (owner.user.map(Uid::from_raw), owner.group.map(Gid::from_raw))
}

#[cfg(linux)]
const MODE_BITS: u32 = 0o7777;
