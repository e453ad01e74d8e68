//! Sockets of a process in whose place we are: they are ours from then on, files and all.

use crate::config::Address;

use super::super::unix::OwnFile;
use super::HandedSocket;

/// What that process says of a socket of its own.
#[derive(Debug, Clone)]
pub struct Predecessor {
    /// Which of its sockets it is.
    pub place: u32,
    /// As it was asked for: with port 0, the system chose one.
    pub asked: Address,
    /// Device and inode of its file, where that is to go with it.
    pub file: Option<(u64, u64)>,
    /// Somebody else made it, and has it open as well.
    pub is_shared: bool,
}

impl HandedSocket {
    /// It is one of the process in whose place we are. Nothing, if its file is not where it was:
    /// nobody could connect.
    pub fn of_predecessor(mut self, before: Predecessor) -> Option<HandedSocket> {
        self.predecessor = Some(before);
        let predecessor = self.predecessor.as_ref()?;
        let has_lost_it = predecessor.file.is_some() && self.own_file().is_none();
        (!has_lost_it).then_some(self)
    }

    /// What the process in whose place we are says of it, if it is of one.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// Whether somebody else has it open as well, and for good.
    pub fn is_shared(&self) -> bool {
        self.predecessor.as_ref().is_none_or(|it| it.is_shared)
    }

    /// Its file, where that goes with it.
    pub(in crate::net) fn own_file(&self) -> Option<OwnFile> {
        let id = self.predecessor.as_ref()?.file?;
        let Address::Unix(name) = &self.address else { return None };
        OwnFile::taken_over(name.path()?, id)
    }
}
