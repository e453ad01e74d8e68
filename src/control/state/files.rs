//! The file, and how it is replaced so that a kill at any moment leaves the old one or the new one.
//!
//! ```text
//!   FILE.new  written in pieces --> FILE kept as FILE.old, a hard link --> renamed to FILE
//! ```
//!
//! No fsync: it would hold up the loop. What a power cut tears, the checksum finds, and FILE.old
//! is taken.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::config::{Complaint, SettingKey, Subject, io_words};
use crate::limits::STATE_BYTES_MAX;

use super::State;
use super::body::Body;

/// What was found at a start.
#[derive(Debug, Default)]
pub struct Found {
    /// The state, if there is one that is whole.
    pub state: Option<State>,
    /// Lines about what is wrong with files.
    pub notes: Vec<String>,
}

/// A state that is being written.
pub struct Saving {
    path: String,
    body: Body,
    written: usize,
    /// The checksum of what was written.
    sum: u32,
    stage: Stage,
    /// What it came to, once it is over.
    pub outcome: io::Result<()>,
}

enum Stage {
    Opening,
    Writing(File),
    Renaming,
    Over,
}

/// Read the state, or the one before if it is torn. A file that is of no use is set aside.
pub fn read(path: &str) -> Found {
    let path = &*resolved(path);
    let mut found = Found::default();
    let old = format!("{path}.old");
    for at in [path, &old] {
        let bytes = match bytes(at) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.notes.push(format!("state file {at}: {}", io_words(&error)));
                continue;
            }
        };
        match State::parse(&bytes) {
            Ok(state) => {
                if at != path {
                    found.notes.push(format!("the state is that of {at}"));
                }
                found.state = Some(state);
                return found;
            }
            Err(why) => found.notes.push(set_aside(path, at, &why.to_string())),
        }
    }
    found
}

fn set_aside(path: &str, at: &str, why: &str) -> String {
    if at != path {
        return format!("state file {at}: {why}");
    }
    match fs::rename(path, format!("{path}.bad")) {
        Ok(()) => format!("state file {path}: {why}; it is set aside as {path}.bad"),
        Err(error) => {
            let error = io_words(&error);
            format!("state file {path}: {why}; it cannot be set aside: {error}")
        }
    }
}

fn bytes(path: &str) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(STATE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why nothing can be saved there, found out before the start.
pub fn saving_mistake(path: &str) -> Option<Complaint> {
    let complaint = |why: String| {
        Some(Complaint::of(SettingKey::STATE_FILE, path, why).about(Subject::Process))
    };
    let path = &*resolved(path);
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return complaint("it is no file; choose another path".to_owned());
    }
    // Written to and removed again: what permissions say is not all that may forbid it.
    let new = format!("{path}.new");
    match open(&new) {
        Ok(_) => {
            let _ = fs::remove_file(&new);
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            complaint("its directory is not there; make it, or choose another path".to_owned())
        }
        Err(error) => complaint(format!("cannot write {new}: {}", io_words(&error))),
    }
}

/// Where a symbolic link leads, for the file is replaced beside its target, and the link stays.
fn resolved(path: &str) -> String {
    let target = fs::canonicalize(path).or_else(|_| {
        // It may lead to a file that is not there yet.
        let target = fs::read_link(path)?;
        Ok::<_, io::Error>(Path::new(path).parent().unwrap_or(Path::new("")).join(target))
    });
    let is_link = fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
    let target = target.ok().filter(|_| is_link);
    let target = target.and_then(|it| it.into_os_string().into_string().ok());
    target.unwrap_or_else(|| path.to_owned())
}

/// Anew: one that was left by a kill may have other permissions, or be somebody's link.
fn open(path: &str) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

impl Saving {
    /// Begin to write there.
    pub fn begin(path: &str, body: Body) -> Saving {
        let path = resolved(path);
        Saving { path, body, written: 0, sum: 0, stage: Stage::Opening, outcome: Ok(()) }
    }

    /// A piece of it: a file opened, so many bytes, or a rename. Says whether there is more.
    pub fn step(&mut self) -> bool {
        match self.advance() {
            Ok(more) => more,
            Err(error) => {
                self.stage = Stage::Over;
                let _ = fs::remove_file(self.new_path());
                self.outcome = Err(error);
                false
            }
        }
    }

    fn new_path(&self) -> String {
        format!("{}.new", self.path)
    }

    fn advance(&mut self) -> io::Result<bool> {
        match &mut self.stage {
            Stage::Opening => {
                let mut file = open(&self.new_path())?;
                file.write_all(self.body.header().as_bytes())?;
                self.stage = Stage::Writing(file);
            }
            Stage::Writing(file) => {
                let piece = self.body.piece(self.written);
                if piece.is_empty() {
                    file.write_all(Body::trailer(self.sum).as_bytes())?;
                    self.stage = Stage::Renaming;
                } else {
                    file.write_all(piece)?;
                    self.written += piece.len();
                    self.sum = crc32c::crc32c_append(self.sum, piece);
                }
            }
            Stage::Renaming => {
                self.stage = Stage::Over;
                self.keep_old()?;
                fs::rename(self.new_path(), &self.path)?;
            }
            Stage::Over => {}
        }
        Ok(!matches!(self.stage, Stage::Over))
    }

    /// A link, for a rename would leave a moment with no file.
    fn keep_old(&self) -> io::Result<()> {
        let old = format!("{}.old", self.path);
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::hard_link(&self.path, &old) {
            // Nothing was saved before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Some file systems have no links: then there is only the one.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_whether_its_target_is_there_or_not() {
        let place = std::env::temp_dir().join(format!("pm-state-link-{}", std::process::id()));
        fs::create_dir_all(place.join("far")).unwrap();
        let at = |name: &str| place.join(name).to_str().unwrap().to_owned();
        std::os::unix::fs::symlink("far/state", at("link")).unwrap();
        for _ in 0..2 {
            let mut saving = Saving::begin(&at("link"), State::default().into_body());
            while saving.step() {}
            saving.outcome.unwrap();
            assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
            assert!(fs::symlink_metadata(at("far/state")).unwrap().is_file());
            assert!(read(&at("link")).state.is_some());
        }
        assert!(fs::metadata(at("far/state.old")).is_ok(), "the one before is beside it");
        let _ = fs::remove_dir_all(place);
    }
}
