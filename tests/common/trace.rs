//! What pointsman asks of the kernel, as `strace` writes it down: call by call, and turn by turn.
//!
//! Counts are exact where times on a busy machine are not. A process that stands still while its
//! queues are filled is saturated on any machine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use super::measure::skip;
use super::{Balancer, until};

/// Where the calls of a running pointsman are written to.
pub struct Trace {
    file: PathBuf,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `recvmmsg`.
    pub name: String,
    /// What it came to: a count or a descriptor; -1 for a failure.
    pub result: i64,
}

impl Trace {
    /// Start under `strace`. `None`: there is none, and that is said.
    pub fn start(args: &[&str]) -> Option<(Balancer, Trace)> {
        Trace::start_with(&[], args)
    }

    /// Start where the kernel refuses something: each of these is what `strace -e inject=` takes,
    /// such as `splice:error=EINVAL`, and only such calls are written down.
    pub fn start_refusing(refused: &[&str], args: &[&str]) -> Option<(Balancer, Trace)> {
        let names: Vec<&str> = refused.iter().filter_map(|one| one.split(':').next()).collect();
        let mut flags = vec!["-e".to_string(), format!("trace={}", names.join(","))];
        refused
            .iter()
            .for_each(|one| flags.extend(["-e".to_string(), format!("inject={one}")]));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Trace::start_with(&flags, args)
    }

    fn start_with(flags: &[&str], args: &[&str]) -> Option<(Balancer, Trace)> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if let Err(error) = Command::new("strace").arg("-V").output() {
            skip(&format!("no system calls are counted without strace: {error}"));
            return None;
        }
        let process = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("pointsman-trace-{process}-{number}.txt");
        let file = std::env::temp_dir().join(name);
        let mut strace = Command::new("strace");
        // -D: strace is the child, and who gets our signals is pointsman.
        strace.args(["-D", "-f", "-q"]).args(flags);
        strace.arg("-o").arg(&file).arg(env!("CARGO_BIN_EXE_pointsman"));
        let balancer = Balancer::start_command(strace, args);
        Some((balancer, Trace { file }))
    }

    /// All calls in their order, once the process is over.
    pub fn calls(self) -> Vec<Call> {
        self.text().lines().filter_map(Call::parse).collect()
    }

    /// The same as strace wrote it.
    pub fn text(self) -> String {
        let mut log = String::new();
        until("strace has written all of it", || {
            log = std::fs::read_to_string(&self.file).unwrap_or_default();
            log.contains("+++ exited with")
        });
        let _ = std::fs::remove_file(&self.file);
        log
    }
}

/// Runs pointsman so that each send takes 50 ms longer: its peer has acted before the next one.
pub fn slow_sends() -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=sendto"]);
    strace.args(["-e", "inject=sendto:delay_exit=50000", env!("CARGO_BIN_EXE_pointsman")]);
    strace
}

impl Call {
    /// `1234  socket(AF_INET, ...) = 7`; signals and exits are no calls.
    fn parse(line: &str) -> Option<Call> {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let (name, rest) = line.split_once('(')?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let result = rest.rsplit_once(" = ").and_then(|(_, text)| text.split(' ').next());
        let result = result.and_then(|text| text.parse().ok()).unwrap_or(-1);
        Some(Call { name: name.to_string(), result })
    }
}

/// The calls of each turn; what was called before the first wait is none.
pub fn turns(calls: &[Call]) -> impl Iterator<Item = &[Call]> {
    calls.split(|call| ["epoll_wait", "epoll_pwait"].contains(&&*call.name)).skip(1)
}

/// How often these calls are made in a turn, at most, and in all of them together.
pub fn most_and_all(calls: &[Call], name: &str) -> (usize, usize) {
    let each = turns(calls).map(|turn| turn.iter().filter(|call| call.name == name).count());
    each.fold((0, 0), |(most, all), count| (most.max(count), all + count))
}

/// Do this while the process stands still.
pub fn while_stopped(balancer: &Balancer, work: impl FnOnce()) {
    balancer.signal(Signal::STOP);
    let path = format!("/proc/{}/status", balancer.pid());
    until("it is stopped", || {
        let status = std::fs::read_to_string(&path).expect("it runs");
        let value = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a line").trim().to_string()
        };
        // strace stops it at every call as well, but then the signal is still to come.
        let pending = u64::from_str_radix(&value("ShdPnd:"), 16).expect("a number");
        value("State:").to_lowercase().starts_with('t')
            && pending & 1 << (Signal::STOP.as_raw() - 1) == 0
    });
    work();
    balancer.signal(Signal::CONT);
}
