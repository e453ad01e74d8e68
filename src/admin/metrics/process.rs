//! What is known of the process beside what it counts.

use std::fs;
use std::time::UNIX_EPOCH;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::stats::exposition::{Format, label, sample};
use crate::stats::field::NumberKind;

use super::super::view::View;

/// Name, kind, what it is, and the number, if it is to be had.
type Number = (&'static str, NumberKind, &'static str, Option<f64>);

/// All of it.
pub fn write(view: &View<'_>, format: Format, out: &mut Vec<u8>) {
    let info = "pointsman_build_info";
    format.head(info, NumberKind::Gauge, "1, of this version", out);
    let mut labels = String::new();
    label("version", env!("CARGO_PKG_VERSION"), &mut labels);
    sample(info, NumberKind::Gauge, &labels, 1.0, out);
    for (name, kind, help, value) in numbers(view) {
        if let Some(value) = value {
            format.head(name, kind, help, out);
            sample(name, kind, "", value, out);
        }
    }
}

fn numbers(view: &View<'_>) -> [Number; 9] {
    use NumberKind::{Counter, Gauge};
    let now = view.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let started = now.saturating_sub(view.ago(view.cx.started)).as_secs_f64();
    let generation = view.directory.generation as f64;
    let reloaded = view.reloaded.and_then(|it| it.succeeded);
    let reloaded = reloaded.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    let is_good = view.reloaded.is_none_or(|it| it.ok);
    [
        (
            "pointsman_config_generation",
            Gauge,
            "how often what runs was changed, 1 for the start",
            Some(generation),
        ),
        (
            "pointsman_config_last_reload_successful",
            Gauge,
            "1 if the last reload did what was asked; none was asked yet: 1",
            Some(f64::from(u8::from(is_good))),
        ),
        (
            "pointsman_config_last_reload_success_timestamp_seconds",
            Gauge,
            "when a reload or the start last did, since 1970",
            Some(reloaded.map_or(started, |it| it.as_secs_f64())),
        ),
        (
            "pointsman_start_time_seconds",
            Gauge,
            "when it began to serve, since 1970",
            Some(started),
        ),
        ("process_start_time_seconds", Gauge, "the same", Some(started)),
        (
            "process_cpu_seconds",
            Counter,
            "processor time of all threads, user and system",
            Some(cpu()),
        ),
        ("process_resident_memory_bytes", Gauge, "memory in use", resident()),
        ("process_open_fds", Gauge, "open file descriptors", open_files()),
        (
            "process_max_fds",
            Gauge,
            "how many may be open",
            open_files_max().map(|it| it as f64),
        ),
    ]
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes of memory in use.
pub fn resident() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// How many descriptors may be open.
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// How many descriptors are open. The size of the directory is their number since Linux 6.2; before
/// that it is 0, and to count them takes long where there are many.
pub fn open_files() -> Option<f64> {
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    (size > 0).then_some(size as f64)
}
