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

/// How long a peer waited for its processor while others had it, in nanoseconds. Of one with
/// several threads that cannot be said: they wait for each other.
pub fn waited_ns(root: u32) -> u64 {
    let family = family(root);
    let tasks = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    if family.iter().flat_map(tasks).count() != 1 {
        return 0;
    }
    let stat = fs::read_to_string(format!("/proc/{root}/schedstat")).unwrap_or_default();
    stat.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// System calls of a peer while `work` goes on, but for those that only wait: how many of these
/// there are is a matter of how much comes at once.
pub fn calls(
    root: u32,
    directory: &Path,
    work: &mut dyn FnMut() -> io::Result<()>,
) -> Result<u64, String> {
    let file = directory.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-qq", "-o"]).arg(&file);
    let family = family(root);
    for pid in &family {
        strace.args(["-p", &pid.to_string()]);
    }
    let spawned = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut strace = spawned.map_err(|error| format!("strace: {error}"))?;
    let traced = wait_for_tracer(&family);
    let worked = if traced { work().map_err(|error| error.to_string()) } else { Ok(()) };
    if let Some(pid) = rustix::process::Pid::from_raw(strace.id() as i32) {
        // Failing, it has ended by itself, and its table says how far it came.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    strace.wait().map_err(|error| format!("strace: {error}"))?;
    worked?;
    if !traced {
        return Err("strace does not get hold of it; may it trace?".to_owned());
    }
    let table = fs::read_to_string(&file).map_err(|error| format!("strace: {error}"))?;
    Ok(count_calls(&table))
}

/// Whether it came, to all threads of all of them.
fn wait_for_tracer(pids: &[u32]) -> bool {
    let tasks = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let is_traced = |task: io::Result<fs::DirEntry>| {
        let status = task.and_then(|task| fs::read_to_string(task.path().join("status")));
        !status.unwrap_or_default().contains("TracerPid:\t0\n")
    };
    for _ in 0..100 {
        if pids.iter().flat_map(tasks).all(is_traced) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Rows of `strace -c`: `% seconds usecs calls [errors] name`.
fn count_calls(table: &str) -> u64 {
    let waits = |name: &str| name.starts_with("epoll_") && name.contains("wait");
    let calls = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.last()?;
        let count = words.get(3)?.parse::<u64>().ok()?;
        (*name != "total" && !waits(name)).then_some(count)
    });
    calls.sum()
}

/// What is read from a table of strace, asserted with every benchmark.
pub fn check() {
    let table = "% time     seconds  usecs/call     calls    errors syscall\n\
        ------ ----------- ----------- --------- --------- ----------------\n \
        50.00    0.000100           1       100        10 recvfrom\n \
        30.00    0.000060           1        60           sendto\n \
        20.00    0.000040           1        40           epoll_wait\n\
        ------ ----------- ----------- --------- --------- ----------------\n\
        100.00    0.000200           1       200        10 total\n";
    assert_eq!(count_calls(table), 160);
}
