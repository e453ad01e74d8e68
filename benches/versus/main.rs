//! pointsman against the others: the same work for all of them in turns, and what each turn cost.
//!
//! ```text
//!   processor 0:  clients and backends, one loop (world)     processor 1:  the proxy (stage)
//!
//!   a round:      pointsman  floor  haproxy  nginx  tokio ... pointsman-again
//!   the figure:   processor time for a unit of work, and pointsman's divided by each other's
//! ```
//!
//! `cargo bench --bench versus` runs all rows with all peers that this machine has;
//! `docs/benchmarks.md` says what a row is and how far to trust it. Without `--bench`, as in
//! `cargo test --benches`, one short turn shows that it works.

mod contest;
mod counts;
mod datagrams;
mod identity;
mod measure;
mod peers;
mod picking;
#[path = "../common/picks.rs"]
mod picks;
mod plan;
mod plot;
mod priority;
mod report;
mod rows;
mod stage;
mod statistics;
mod turns;
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use contest::Effort;
use getopts::Options;
use peers::Peer;
use rows::{ROWS, Row};
use world::World;

/// What the command line asks for.
struct Wanted {
    rows: Vec<&'static Row>,
    peers: Vec<(String, Peer)>,
    effort: Effort,
    json: Option<PathBuf>,
    markdown: Option<PathBuf>,
    plots: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    statistics::check();
    world::pattern::check();
    measure::check();
    let wanted = match parse(&arguments) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("versus: {wrong}");
            return ExitCode::from(2);
        }
    };
    stage::pin_ourselves();
    match run(wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt("", "peers", "only these, beside pointsman; separated by commas", "NAMES")
        .optopt(
            "",
            "before",
            "another pointsman to compare with, as of before a change",
            "PROGRAM",
        )
        .optopt("", "rounds", "turns of each peer in a row of work (7)", "N")
        .optopt("", "seconds", "of a turn (0.25)", "S")
        .optopt("", "connections", "that rest while memory is measured (6000)", "N")
        .optflag("", "counts", "count system calls and instructions as well (strace, valgrind)")
        .optopt("", "json", "write the figures there", "FILE")
        .optopt("", "markdown", "write the tables there", "FILE")
        .optopt("", "plots", "write a picture of each row there", "DIRECTORY")
        .optflag("", "list", "say which rows and peers there are, and how long this would take")
        .optflag("h", "help", "say this")
        // What cargo adds by itself.
        .optflag("", "bench", "");
    options
}

fn parse(arguments: &[String]) -> Result<Option<Wanted>, String> {
    let options = options();
    let given = options.parse(arguments).map_err(|wrong| wrong.to_string())?;
    if given.opt_present("help") {
        println!("{}", options.usage("cargo bench --bench versus -- [ROW...] [options]"));
        return Ok(None);
    }
    let measured = given.opt_present("bench") || !given.free.is_empty();
    let number = |name: &str, usual: f64, least: f64| match given.opt_str(name) {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .ok()
            .filter(|&number| number >= least)
            .ok_or(format!("--{name}: found '{text}', want a number of at least {least}")),
    };
    let effort = Effort {
        rounds: number("rounds", if measured { 7.0 } else { 1.0 }, 1.0)? as usize,
        time: Duration::from_secs_f64(number(
            "seconds",
            if measured { 0.25 } else { 0.2 },
            0.01,
        )?),
        connections: number("connections", 6_000.0, 1.0)? as usize,
        counts: given.opt_present("counts"),
    };
    let mut rows: Vec<&Row> = ROWS.iter().collect();
    let mut names = given
        .opt_str("peers")
        .map(|text| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
    if !measured {
        rows.truncate(1);
        names.get_or_insert_default();
    }
    if !given.free.is_empty() {
        let find = |name: &String| {
            ROWS.iter().find(|row| row.name == *name).ok_or(format!(
                "found '{name}', want a row: {}",
                ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
            ))
        };
        rows = given.free.iter().map(find).collect::<Result<_, _>>()?;
    }
    let before = given.opt_str("before").map(PathBuf::from);
    let peers = choose(names.as_deref(), before)?;
    if given.opt_present("list") {
        list(&rows, peers, effort);
        return Ok(None);
    }
    Ok(Some(Wanted {
        rows,
        peers,
        effort,
        json: given.opt_str("json").map(PathBuf::from),
        markdown: given.opt_str("markdown").map(PathBuf::from),
        plots: given.opt_str("plots").map(PathBuf::from),
    }))
}

/// pointsman first, itself once more last: what differs between the two is noise. A build `before`
/// a change stands beside them, if there is one.
fn choose(
    names: Option<&[String]>,
    before: Option<PathBuf>,
) -> Result<Vec<(String, Peer)>, String> {
    let all = peers::all();
    // Without a proxy it is measured anyhow.
    let known = |name: &&String| {
        **name == contest::DIRECT || all.iter().any(|peer| peer.name == **name)
    };
    if let Some(unknown) = names.unwrap_or_default().iter().find(|name| !known(name)) {
        let known: Vec<&str> = all.iter().map(|peer| peer.name).collect();
        return Err(format!("--peers: found '{unknown}', want some of {}", known.join(", ")));
    }
    let wanted = |peer: &&Peer| match names {
        _ if peer.name == contest::OURS => true,
        Some(names) => names.iter().any(|name| name == peer.name),
        None => !peer.on_request,
    };
    let mut chosen: Vec<(String, Peer)> =
        all.iter().filter(wanted).map(|peer| (peer.name.to_owned(), *peer)).collect();
    for (_, peer) in &mut chosen {
        peer.requested = names.is_some();
    }
    if let Some((_, ours)) = chosen.first().cloned() {
        if let Some(before) = before {
            let mut peer = ours;
            peer.program = Some(Box::leak(before.into_boxed_path()));
            chosen.push(("pointsman-before".to_owned(), peer));
        }
        chosen.push(("pointsman-again".to_owned(), ours));
    }
    Ok(chosen)
}

fn list(rows: &[&Row], peers: Vec<(String, Peer)>, effort: Effort) {
    println!("rows:");
    for row in ROWS {
        println!("  {:<24}{}", row.name, row.what);
    }
    println!("peers:");
    for peer in peers::all() {
        let said = peer.version().unwrap_or_else(|why| format!("not here: {why}"));
        let asked = if peer.on_request { " (when asked for)" } else { "" };
        println!("  {:<28}{said}{asked}", peer.name);
    }
    println!("  {:<28}no proxy: the limit, measured with every row", contest::DIRECT);
    let here: Vec<_> = peers.into_iter().filter(|(_, peer)| peer.version().is_ok()).collect();
    let time = plan::about(plan::time(rows, &here, effort));
    println!("a run of {} rows with {} peers takes {time}", rows.len(), here.len());
}

/// Whether all went without an error.
fn run(wanted: Wanted) -> std::io::Result<bool> {
    raise_descriptor_limit();
    if report::congestion_control() != "cubic" {
        eprintln!(
            "congestion control is {}: on loopback it paces and measures itself; \
             sysctl -w net.ipv4.tcp_congestion_control=cubic",
            report::congestion_control()
        );
    }
    if !datagrams::room() {
        eprintln!(
            "sockets that ask for no buffer get too small a one for the udp rows, and sozu asks \
             for none; sysctl -w net.core.rmem_default=4194304"
        );
    }
    let mut versions = Vec::new();
    let mut here = Vec::new();
    for (name, peer) in wanted.peers {
        match peer.version() {
            Ok(version) => {
                versions.push((name.clone(), version));
                here.push((name, peer));
            }
            Err(why) => eprintln!("without {name}: {why}"),
        }
    }
    let _alone = alone()?;
    let _first = priority::First::go();
    let time = plan::about(plan::time(&wanted.rows, &here, wanted.effort));
    eprintln!("{} rows, {} peers: {time}", wanted.rows.len(), here.len());
    let began = Instant::now();
    let mut world = World::new()?;
    let mut results = Vec::new();
    for row in wanted.rows {
        let players: Vec<(String, Peer)> = row.players(&here).cloned().collect();
        let result = contest::play(row, &players, wanted.effort, &mut world)?;
        print!("{}", report::table(&result, wanted.effort));
        if let Some(directory) = &wanted.plots {
            fs::create_dir_all(directory)?;
            fs::write(directory.join(format!("{}.svg", row.name)), plot::svg(&result))?;
        }
        results.push(result);
    }
    eprintln!("took {} seconds", began.elapsed().as_secs());
    if let Some(file) = &wanted.json {
        fs::write(file, report::json(&results, wanted.effort))?;
    }
    if let Some(file) = &wanted.markdown {
        fs::write(file, report::markdown(&results, &versions, wanted.effort))?;
    }
    Ok(results.iter().flat_map(|it| &it.entries).all(|entry| entry.errors == 0))
}

/// Two runs at once would measure each other, and take each other's ports: the second one waits.
fn alone() -> std::io::Result<fs::File> {
    use rustix::fs::{FlockOperation, flock};
    let path = std::env::temp_dir().join("pointsman-versus.lock");
    let file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!("waiting for another run to end, which has {}", path.display());
        flock(&file, FlockOperation::LockExclusive)?;
    }
    Ok(file)
}

/// As many descriptors as we may have, for us and for those we start.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Failing, the rows that need many say so.
    let _ =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
