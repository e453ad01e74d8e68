//! A program on a terminal of its own: what it draws, keys for it, the modes that it leaves.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::common::until;

/// The terminal and who sits at it.
pub struct Pty {
    child: Child,
    /// The side of the keyboard; gone once it is hung up.
    keyboard: Option<File>,
    /// The program's side, for a look at its modes.
    line: OwnedFd,
    before: Termios,
    drawn: Arc<Mutex<String>>,
}

impl Pty {
    /// Run it on a terminal of 80 x 24.
    pub fn run(mut command: Command) -> Pty {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("unlocked");
        let line = ioctl_tiocgptpeer(&master, flags).expect("the other side");
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).expect("a size");
        let before = tcgetattr(&line).expect("modes");
        let side = || line.try_clone().expect("a descriptor");
        command.stdin(side()).stdout(side()).stderr(side());
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        // What stops its job must not stop the tests.
        let child = command.process_group(0).spawn().expect("it starts");
        drop(command);
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().expect("a descriptor");
        let drawn = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&drawn);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                sink.lock().expect("no panic").push_str(&text);
            }
        });
        Pty { child, keyboard: Some(keyboard), line, before, drawn }
    }

    /// All that was written to it.
    pub fn drawn(&self) -> String {
        self.drawn.lock().expect("no panic").clone()
    }

    /// Forget what was written, and press these keys.
    pub fn press(&self, keys: &str) {
        self.drawn.lock().expect("no panic").clear();
        let mut keyboard = self.keyboard.as_ref().expect("it is not hung up");
        keyboard.write_all(keys.as_bytes()).expect("it takes keys");
    }

    /// Wait until this was drawn.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let mut last = String::new();
        until(&format!("{text:?} is drawn"), || {
            last = self.drawn();
            last.contains(text)
        });
    }

    /// Another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.line, size).expect("a size");
        self.signal(Signal::WINCH);
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it runs");
    }

    /// Whether the terminal is as it was before the program came.
    pub fn has_its_modes(&self) -> bool {
        let now = tcgetattr(&self.line).expect("modes");
        format!("{now:?}") == format!("{:?}", self.before)
    }

    /// Wait until it is over, by itself.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it is over")
    }

    /// Wait until it is over, and see that the terminal is whole: its modes, its usual screen with
    /// a cursor, and nothing drawn after that.
    #[track_caller]
    pub fn ends_whole(&mut self) -> ExitStatus {
        let status = self.ends();
        assert!(self.has_its_modes(), "{:?}", tcgetattr(&self.line));
        self.shows("\x1b[?1049l");
        let drawn = self.drawn();
        let (before, after) = drawn.rsplit_once("\x1b[?1049l").expect("just seen");
        assert!(before.ends_with("\x1b[?25h"), "{before:?}");
        assert!(!after.contains("\x1b["), "{after:?}");
        status
    }

    /// Whether it stopped, as Ctrl-Z has it.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.is_ok_and(|it| it.rsplit(')').next().is_some_and(|it| it.starts_with(" T")))
    }

    /// The terminal goes away.
    pub fn hang_up(&mut self) {
        self.keyboard = None;
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
