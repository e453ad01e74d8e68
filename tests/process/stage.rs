//! The demo on a terminal: the real binary at a pseudo-terminal, and what stands on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pointsman::demo::client::ask;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

const DEADLINE: Duration = Duration::from_secs(30);

/// A terminal with the demo at it.
struct Seat {
    child: Child,
    /// Where keys are pressed.
    keyboard: File,
    /// The side that the demo has.
    line: OwnedFd,
    before: String,
    told: Arc<Mutex<Vec<u8>>>,
    columns: usize,
    rows: usize,
}

/// What stands where, of what was written.
struct Glass {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Seat {
    fn start(columns: usize, rows: usize, variables: &[(&str, &str)]) -> Seat {
        Seat::with(columns, rows, variables, &[])
    }

    fn with(columns: usize, rows: usize, variables: &[(&str, &str)], flags: &[&str]) -> Seat {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line =
            rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        resize(&line, columns, rows);
        let before = modes(&line);
        let end = || Stdio::from(line.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(["--demo", "--listen", "http://127.0.0.1:0"]);
        command.args(["--admin", "http://127.0.0.1:0", "--check-interval", "200ms"]);
        command.args(flags).env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command.envs(variables.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = screen.read(&mut bytes) {
                heard.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Seat { child, keyboard, line, before, told, columns, rows }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.told.lock().unwrap()).into_owned()
    }

    /// What stands there; nothing may be written outside.
    fn screen(&self) -> String {
        Glass::of(&self.told(), self.columns, self.rows).text()
    }

    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(start.elapsed() < DEADLINE, "still not: {what}\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// It ends by itself, and the terminal is as it was.
    fn ends(mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < DEADLINE, "it does not end\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(modes(&self.line), self.before, "the modes of the terminal");
        self.until("it left the screen", |_| self.told().contains("\x1b[?1049l"));
        let told = self.told();
        for (taken, given) in [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h")] {
            assert!(told.rfind(taken) < told.rfind(given), "{given:?} is missing at the end");
        }
        status
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(line: &OwnedFd, columns: usize, rows: usize) {
    let size =
        Winsize { ws_row: rows as u16, ws_col: columns as u16, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(line, size).unwrap();
}

fn modes(line: &OwnedFd) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } =
        tcgetattr(line).unwrap();
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}

impl Glass {
    /// From when the screen was taken until it was given back.
    fn of(told: &str, columns: usize, rows: usize) -> Glass {
        let mut glass = Glass { rows: vec![vec![' '; columns]; rows], row: 0, column: 0 };
        let Some((_, told)) = told.rsplit_once("\x1b[?1049h") else { return glass };
        let mut rest = told.split("\x1b[?1049l").next().unwrap_or_default().chars();
        while let Some(it) = rest.next() {
            if it != '\x1b' {
                glass.put(it);
                continue;
            }
            assert!(matches!(rest.next(), Some('[') | None), "an unknown sequence");
            let mut parameters = String::new();
            for it in rest.by_ref() {
                if it.is_ascii_alphabetic() {
                    glass.obey(it, &parameters);
                    break;
                }
                parameters.push(it);
            }
        }
        glass
    }

    fn put(&mut self, it: char) {
        assert!(!it.is_control(), "{it:?} in a frame");
        let place = self.rows.get_mut(self.row).and_then(|row| row.get_mut(self.column));
        *place.unwrap_or_else(|| panic!("{it:?} outside: {}, {}", self.row, self.column)) = it;
        self.column += 1;
    }

    fn obey(&mut self, command: char, parameters: &str) {
        match command {
            'H' => {
                let numbers: Vec<usize> =
                    parameters.split(';').map(|it| it.parse().unwrap()).collect();
                self.row = numbers[0] - 1;
                self.column = numbers[1] - 1;
            }
            'K' => self.rows[self.row][self.column..].fill(' '),
            _ => {}
        }
    }

    fn text(&self) -> String {
        let rows = self.rows.iter().map(|row| row.iter().collect::<String>());
        rows.map(|row| format!("{}\n", row.trim_end())).collect()
    }
}

/// The address behind this word.
fn address(screen: &str, word: &str) -> String {
    let rest = screen.split_once(word).unwrap().1;
    let rest = rest.split_once("http://").unwrap().1;
    rest[..rest.find('/').unwrap()].to_owned()
}

fn row<'a>(screen: &'a str, start: &str) -> &'a str {
    screen.lines().find(|line| line.starts_with(start)).unwrap_or_default()
}

#[test]
fn keys_send_backends_to_sleep_and_change_algorithm_and_clients() {
    let mut seat = Seat::start(80, 24, &[]);
    let screen = seat.until("all are up", |screen| screen.matches("● up").count() == 3);
    assert!(
        screen.contains(" least-connections ") && screen.contains("48 clients"),
        "{screen}"
    );
    let admin = address(&screen, "dashboard");

    // Keys that mean nothing, an arrow among them.
    seat.press("z9\x1b[A\x01");
    seat.press("1");
    seat.until("the first one sleeps and is down", |screen| {
        row(screen, " 1 fast").contains("▼ down") && screen.contains("asleep, ")
    });
    seat.press("1");
    let screen = seat.until("it works again", |screen| {
        row(screen, " 1 fast").contains("● up") && !screen.contains("asleep")
    });
    assert!(screen.contains(" 0 failed"), "{screen}");

    for algorithm in ["least-time", "round-robin", "least-connections"] {
        seat.press("a");
        seat.until(algorithm, |screen| screen.contains(&format!("\n {algorithm}  ")));
        let question = "GET /api/v1/pools/main HTTP/1.0\r\nHost: localhost\r\n\r\n";
        let answer = String::from_utf8(ask(&admin, question.as_bytes()).unwrap()).unwrap();
        assert!(answer.contains(&format!("\"algorithm\":\"{algorithm}\"")), "{answer}");
    }
    seat.press("+");
    seat.shows("56 clients");
    seat.press("--");
    seat.shows("40 clients");
    seat.press("l");
    let screen = seat.shows("l back");
    assert!(screen.contains("backend fast is up"), "{screen}");
    seat.press("l");
    seat.shows("l log");
    seat.press("q");
    assert!(seat.ends().success());
}

#[test]
fn the_terminal_is_whole_again_whatever_ends_it() {
    for what in ["q", "Ctrl-C", "SIGTERM", "SIGINT", "SIGHUP"] {
        let mut seat = Seat::start(80, 24, &[]);
        seat.shows("q quit");
        match what {
            "q" => seat.press("q"),
            "Ctrl-C" => seat.press("\x03"),
            "SIGTERM" => seat.signal(Signal::TERM),
            "SIGINT" => seat.signal(Signal::INT),
            _ => seat.signal(Signal::HUP),
        }
        let status = seat.ends();
        assert!(status.success(), "{what}: {status}");
    }
}

#[test]
fn a_small_terminal_is_not_garbled_and_may_grow() {
    let mut seat = Seat::start(40, 10, &[]);
    let screen = seat.until("all are up", |screen| screen.matches("● up").count() == 3);
    assert!(screen.lines().nth(9).unwrap().contains("q quit"), "{screen}");
    assert!(screen.contains(&format!("http://{}/", address(&screen, "slow"))), "{screen}");
    resize(&seat.line, 80, 24);
    seat.columns = 80;
    seat.rows = 24;
    seat.signal(Signal::WINCH);
    seat.shows("dashboard");
    seat.press("q");
    assert!(seat.ends().success());
}

#[test]
fn without_colours_or_unicode_it_draws_without() {
    let mut seat = Seat::start(80, 24, &[("NO_COLOR", "1"), ("LANG", "C")]);
    seat.until("all are up", |screen| screen.matches("* up").count() == 3);
    assert!(!seat.told().contains("[38;5") && seat.told().is_ascii(), "{}", seat.told());
    seat.press("q");
    assert!(seat.ends().success());
}

/// Also where the access log would be written over the picture.
#[test]
fn a_dumb_terminal_gets_the_plain_log() {
    let dumb = Seat::start(80, 24, &[("TERM", "dumb")]);
    let taken = Seat::with(80, 24, &[], &["--access-log", "-"]);
    for (seat, escape) in [(dumb, "\x1b"), (taken, "\x1b[?")] {
        seat.until("it says how to end it", |_| seat.told().contains("Ctrl-C or closing"));
        seat.until("the log has its table", |_| seat.told().contains("3s up, "));
        assert!(!seat.told().contains(escape), "{}", seat.told());
        seat.signal(Signal::TERM);
    }
}
