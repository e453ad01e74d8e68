//! UNIX sockets whose file is gone, or is another one's: nobody can connect to them, and nothing
//! tells of it. At a reload they are looked for, and made anew at the same path if that is free.
//! Who had connected before, and waits to be accepted, is let go.

use std::io;

use log::info;

use crate::config::io_words;
use crate::control::socket_file;
use crate::event::{ListenerId, Owner};
use crate::services::Intake;

use super::EventLoop;

impl EventLoop {
    /// Says what cannot be had.
    pub(super) fn restore_sockets(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.waits_for_place() {
            return wrong;
        }
        for id in self.directory.listeners.clone() {
            if let Err(why) = self.restore_socket(id) {
                wrong.push(why);
            }
        }
        let mode = self.directory.desired.process.admin.socket_mode;
        for (key, listener) in self.admin.listeners.iter_mut() {
            match listener.restore(mode, &self.cx.registry, Owner::AdminListener(key)) {
                Ok(false) => {}
                Ok(true) => info!("{}: {AGAIN}", listener.place),
                Err(error) => wrong.push(format!("{}: {}", listener.place, lost(&error))),
            }
        }
        wrong
    }

    /// One that a frontend put aside stays so.
    fn restore_socket(&mut self, id: ListenerId) -> Result<(), String> {
        let Some(listener) = self.cx.listeners.get_mut(id) else { return Ok(()) };
        let Some(accepting) = listener.accepting() else { return Ok(()) };
        if accepting.intake == Intake::Closed || !accepting.listener.has_lost_file() {
            return Ok(());
        }
        let address = accepting.listener.address().clone();
        self.make_socket_anew(id).map_err(|error| format!("{address}: {}", lost(&error)))?;
        info!("{address}: {AGAIN}");
        Ok(())
    }

    /// The listening socket of this one, which has lost its file, is another from now on.
    pub(super) fn make_socket_anew(&mut self, id: ListenerId) -> io::Result<()> {
        let Some(listener) = self.cx.listeners.get_mut(id) else { return Ok(()) };
        let file = socket_file(&listener.settings);
        let file = file.map_err(|wrong| io::Error::other(wrong.spelled(self.cx.spelling)))?;
        let Some(accepting) = listener.accepting() else { return Ok(()) };
        accepting.listener.restore(&file, &self.cx.registry, Owner::Listener(id))
    }
}

const AGAIN: &str = "its file was gone, or another was in its place: it listens there anew";

fn lost(error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "somebody else listens there".to_owned(),
        io::ErrorKind::AlreadyExists => "what is there is no socket".to_owned(),
        io::ErrorKind::NotFound => "its directory is not there".to_owned(),
        _ => io_words(error),
    };
    format!("its file is gone, or another is in its place, so that nobody can connect: {why}")
}
