//! What can be counted exactly: system calls by strace, instructions by callgrind. Each in runs of
//! its own, for both slow a peer down; and always the difference of a longer run and a shorter one,
//! so that neither the start nor the first connections count.

use std::fs;
use std::io;
use std::path::Path;

use crate::contest::Entry;
use crate::measure;
use crate::peers::Peer;
use crate::stage::{Running, works};
use crate::world::{Outcome, Pace, Script, Until, World};

/// Clients at once while something is counted.
const CLIENTS: usize = 8;

/// Units of the two runs: fewer where each takes long.
fn lengths(script: Script) -> [u64; 2] {
    match (script.answer + script.upload) / 1024 {
        0..128 => [500, 2_500],
        128..2_048 => [20, 100],
        _ => [1, 3],
    }
}

/// Count for this peer, and note it in its entry; or why that could not be done.
pub fn count(
    entry: &mut Entry,
    name: &str,
    peer: &Peer,
    script: Script,
    per_unit: f64,
    world: &mut World,
) {
    let script = Script { clients: script.clients.min(CLIENTS), ..script };
    match calls(name, peer, script, world) {
        Ok(each) => entry.calls = Some(each * per_unit),
        Err(error) => entry.note += &format!("; calls not counted: {error}"),
    }
    match instructions(name, peer, script, world) {
        Ok(each) => entry.instructions = Some(each * per_unit),
        Err(error) => entry.note += &format!("; instructions not counted: {error}"),
    }
}

/// What a unit adds, from two totals.
fn each(totals: [u64; 2], lengths: [u64; 2]) -> f64 {
    (totals[1] as f64 - totals[0] as f64) / (lengths[1] - lengths[0]) as f64
}

/// So many units; an error if one of them was not as it should be.
fn run(running: &Running, script: Script, units: u64, world: &mut World) -> io::Result<()> {
    let until = Until::Units(units);
    let outcome = world.run(running.address, script, Pace::Closed, until, &mut || {})?;
    world.rest()?;
    match outcome {
        Outcome { error: Some(why), .. } => Err(io::Error::other(why)),
        _ => Ok(()),
    }
}

fn calls(name: &str, peer: &Peer, script: Script, world: &mut World) -> io::Result<f64> {
    if !works(&["strace", "--version"]) {
        return Err(io::Error::other("no strace here; apt-get install strace brings it"));
    }
    let running = Running::start(peer, name, script.protocol, &world.backends(), &[])?;
    // What comes once in a process is over before.
    run(&running, script, script.clients as u64, world)?;
    let lengths = lengths(script);
    let mut totals = [0; 2];
    for (total, units) in totals.iter_mut().zip(lengths) {
        let mut work = || run(&running, script, units, world);
        *total = measure::calls(running.pid(), running.directory(), &mut work)
            .map_err(io::Error::other)?;
    }
    Ok(each(totals, lengths))
}

fn instructions(name: &str, peer: &Peer, script: Script, world: &mut World) -> io::Result<f64> {
    if !works(&["valgrind", "--version"]) {
        return Err(io::Error::other("no valgrind here; apt-get install valgrind brings it"));
    }
    let directory =
        std::env::temp_dir().join(format!("versus-callgrind-{}", std::process::id()));
    let lengths = lengths(script);
    let mut totals = [0; 2];
    for (total, units) in totals.iter_mut().zip(lengths) {
        fs::create_dir_all(&directory)?;
        let counted = under_callgrind(name, peer, script, units, &directory, world);
        let _ = fs::remove_dir_all(&directory);
        *total = counted?;
    }
    Ok(each(totals, lengths))
}

/// Instructions of a whole run, of all its processes.
fn under_callgrind(
    name: &str,
    peer: &Peer,
    script: Script,
    units: u64,
    directory: &Path,
    world: &mut World,
) -> io::Result<u64> {
    let out = format!("--callgrind-out-file={}/%p", directory.display());
    let words = ["valgrind", "--tool=callgrind", "--trace-children=yes", &out];
    let wrapper = words.map(String::from);
    let mut running = Running::start(peer, name, script.protocol, &world.backends(), &wrapper)
        .map_err(|error| io::Error::other(format!("valgrind cannot run it: {error}")))?;
    run(&running, script, units, world)?;
    running.stop()?;
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let text = fs::read_to_string(entry?.path())?;
        let line = text.lines().rfind(|line| line.starts_with("totals: "));
        let number = line.and_then(|line| line["totals: ".len()..].trim().parse::<u64>().ok());
        total += number.unwrap_or(0);
    }
    if total == 0 {
        return Err(io::Error::other("callgrind wrote no totals"));
    }
    Ok(total)
}
