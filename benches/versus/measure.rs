//! What a peer costs, as the kernel counts it: processor time, memory, system calls, instructions.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A process and all that come from it.
pub fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let parents: Vec<(u32, u32)> =
        processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    loop {
        let before = all.len();
        for &(pid, parent) in &parents {
            if all.contains(&parent) && !all.contains(&pid) {
                all.push(pid);
            }
        }
        if all.len() == before {
            return all;
        }
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Processor time of all its threads, in nanoseconds. A thread that has ended does not count: no
/// peer ends one while it is measured.
pub fn processor_ns(root: u32) -> u64 {
    family(root).into_iter().map(processor_ns_alone).sum()
}

fn processor_ns_alone(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lines = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    lines.filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// Its memory, in bytes: what is its own, and its share of what it shares (Pss).
pub fn memory(root: u32) -> u64 {
    let one = |pid: u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    family(root).into_iter().filter_map(one).sum::<u64>() * 1024
}

/// How long this process waited for its processor while others had it, and what a hypervisor took
/// of the machine: in nanoseconds. Others show here however short they live.
pub fn kept_waiting_ns() -> u64 {
    const TICK_NS: u64 = 10_000_000;
    let own = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let waited = own.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let stolen = stat.split_whitespace().nth(8).and_then(|it| it.parse::<u64>().ok());
    waited.unwrap_or(0) + stolen.unwrap_or(0) * TICK_NS
}

/// System calls of a peer while `work` goes on: all, and those of them that only wait.
pub fn calls(
    root: u32,
    directory: &Path,
    work: &mut dyn FnMut() -> io::Result<()>,
) -> Result<(u64, u64), String> {
    let file = directory.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-qq", "-o"]).arg(&file);
    for pid in family(root) {
        strace.args(["-p", &pid.to_string()]);
    }
    let spawned = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut strace = spawned.map_err(|error| format!("strace: {error}"))?;
    wait_for_tracer(root);
    let worked = work().map_err(|error| error.to_string());
    if let Some(pid) = rustix::process::Pid::from_raw(strace.id() as i32) {
        // Failing, it has ended by itself, and its table says how far it came.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    strace.wait().map_err(|error| format!("strace: {error}"))?;
    worked?;
    let table = fs::read_to_string(&file).map_err(|error| format!("strace: {error}"))?;
    Ok(count_calls(&table))
}

fn wait_for_tracer(pid: u32) {
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    };
    for _ in 0..100 {
        if traced() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Rows of `strace -c`: `% seconds usecs calls [errors] name`.
fn count_calls(table: &str) -> (u64, u64) {
    let (mut all, mut waits) = (0, 0);
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(Ok(count))) =
            (words.last(), words.get(3).map(|it| it.parse::<u64>()))
        else {
            continue;
        };
        if *name != "total" {
            all += count;
            waits +=
                if name.starts_with("epoll_") && name.contains("wait") { count } else { 0 };
        }
    }
    (all, waits)
}
