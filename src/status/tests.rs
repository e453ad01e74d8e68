//! How pages are cut into slices, and that they are whole all the same.

mod sums;

use std::net::SocketAddr;
use std::time::Instant;

use mio::Poll;

use super::*;
use crate::backends::{Backends, Joins, PoolPlan, SeatPlan, ServerId, ServerPlan};
use crate::balance;
use crate::config::AdminState;
use crate::config::{Algorithm, MAIN, PoolSettings, ProcessSettings};
use crate::context::Settings;
use crate::event::{Generation, Key};
use crate::limits::STATS_ROWS_PER_TURN;
use crate::net::PipePool;

const BACKENDS: usize = 10_000;

/// More would be more than a millisecond.
const SLICE_BYTES_MAX: usize = 1000 * STATS_ROWS_PER_TURN;

fn server(index: usize) -> ServerPlan {
    let [high, low] = (index as u16).to_be_bytes();
    ServerPlan {
        addresses: vec![SocketAddr::from(([127, 0, high, low], 80)).into()],
        ..ServerPlan::for_tests(&format!("backend-{index}.example.net"), 80)
    }
}

/// A context with so many backends in as many pools; the first is that of no route.
fn context(backends: usize, pools: usize, poll: &Poll) -> Context {
    let now = Instant::now();
    let mut set = Backends::default();
    (0..backends).for_each(|index| {
        set.add_server(server(index), now);
    });
    let servers: Vec<ServerId> = set.iter().map(|(id, _)| id).collect();
    for index in 0..pools {
        let pool = set.add_pool(PoolPlan {
            name: if index == 0 { MAIN.to_owned() } else { "pool".to_owned() },
            balance: balance::build(Algorithm::RoundRobin, 1),
            settings: PoolSettings::DEFAULT,
            sticky_key: None,
        });
        let seat = SeatPlan { weight: 1, backup: false, admin: AdminState::Ready };
        servers.iter().for_each(|&id| set.join(id, pool, seat, Joins::AtOnce));
    }
    let settings = Settings::of(&ProcessSettings::DEFAULT, 1);
    let registry = poll.registry().try_clone().expect("a descriptor");
    Context::new(registry, set, PipePool::new(0), settings, now)
}

/// What was done in the slices of a page, and what was made.
#[derive(Default)]
struct Slices {
    times: Vec<Duration>,
    longest: usize,
    /// How often a page grew after its first slice.
    copied: usize,
    page: String,
}

impl Slices {
    fn of_statistics(cx: &mut Context) -> Slices {
        let pair = Key { index: 7, generation: Generation::FIRST };
        cx.pages.wait(pair);
        let mut slices = Slices::default();
        let mut before = 0;
        let mut capacity = None;
        let mut called = Vec::new();
        while cx.pages.is_making() {
            let began = Instant::now();
            let mut rows = 0..STATS_ROWS_PER_TURN;
            called = make_statistics(|| rows.next().is_some(), cx);
            slices.times.push(began.elapsed());
            let Some(making) = cx.pages.take_making() else { break };
            slices.longest = slices.longest.max(making.bytes.len() - before);
            let grew = capacity.is_some_and(|before| before != making.bytes.capacity());
            slices.copied += usize::from(grew);
            capacity = Some(making.bytes.capacity());
            before = making.bytes.len();
            cx.pages.put_back(making);
        }
        assert_eq!(called, [pair], "it is called once the page is whole");
        let page = cx.pages.read_newest().expect("it is there");
        slices.page = String::from_utf8(cx.pages.bytes(page).expect("it").to_vec()).unwrap();
        cx.pages.release(page);
        slices
    }

    fn of_status(cx: &mut Context) -> Slices {
        let mut page = Some(StatusPage::begin(cx));
        let mut slices = Slices::default();
        while let Some(making) = &mut page {
            let began = Instant::now();
            let before = slices.page.len();
            let mut over = false;
            for _ in 0..STATS_ROWS_PER_TURN {
                match making.step(cx) {
                    PageStep::Line(line) => slices.page += &(line + "\n"),
                    PageStep::Going => {}
                    PageStep::Over => over = true,
                }
                if over {
                    page = None;
                    break;
                }
            }
            slices.times.push(began.elapsed());
            slices.longest = slices.longest.max(slices.page.len() - before);
        }
        slices
    }

    /// Other processes make a slice longer, never shorter: of several runs the shortest counts.
    fn tell(what: &str, runs: &[Slices]) {
        let count = runs[0].times.len();
        let shortest = |at: usize| runs.iter().map(|run| run.times[at]).min().unwrap();
        let all: Duration = (0..count).map(shortest).sum();
        let last = count - 1;
        let longest = (0..last).map(shortest).max().unwrap();
        println!(
            "{what}: {count} slices in {all:?}, the longest {longest:?}, the last {:?}",
            shortest(last)
        );
    }
}

/// For the times: `cargo test --release --lib status -- --nocapture`.
fn runs(make: fn(&mut Context) -> Slices, pools: usize) -> (Context, Vec<Slices>) {
    let poll = Poll::new().expect("a descriptor");
    let mut cx = context(BACKENDS, pools, &poll);
    let count = if cfg!(debug_assertions) { 2 } else { 20 };
    let runs = (0..count).map(|_| make(&mut cx)).collect();
    (cx, runs)
}

#[test]
fn the_statistics_of_ten_thousand_backends_are_made_in_slices_of_a_few_rows() {
    let (_, runs) = runs(Slices::of_statistics, 3);
    Slices::tell("statistics", &runs);
    for Slices { times, longest, copied, page } in &runs {
        // Taken, twice by its address, itself, and freed; and its name in both pools. What the
        // page was written from, and the page before, have the last slices for themselves.
        let rows = 5 * BACKENDS + 2 * BACKENDS / crate::limits::STATS_NAMES_AT_ONCE;
        let slices = rows / STATS_ROWS_PER_TURN;
        assert!((slices..slices + 3).contains(&times.len()), "{} slices", times.len());
        assert_eq!(*copied, 0, "a page that grows is copied");
        assert!(*longest < SLICE_BYTES_MAX, "{longest} bytes in a slice");
        for number in [0, 1, BACKENDS - 1] {
            let name = format!("{{\"name\":\"backend-{number}.example.net\",");
            assert_eq!(page.matches(&name).count(), 1, "{name}");
            let name = format!("\"backend-{number}.example.net\"");
            assert_eq!(page.matches(&name).count(), 3, "{name}: in two pools and of itself");
        }
        assert!(page.ends_with("}]}\n"));
    }
}

#[test]
fn the_status_page_of_ten_thousand_backends_is_written_in_slices_of_a_few_rows() {
    let (_, runs) = runs(Slices::of_status, 1);
    Slices::tell("status page", &runs);
    for Slices { times, longest, page, .. } in &runs {
        // Taken, written, asked for its addresses, and freed.
        let slices = 4 * BACKENDS / STATS_ROWS_PER_TURN;
        assert!((slices..slices + 2).contains(&times.len()), "{} slices", times.len());
        assert!(*longest < SLICE_BYTES_MAX, "{longest} bytes in a slice");
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.len(), 2 + BACKENDS);
        assert!(lines[1].starts_with("backend  "), "{}", lines[1]);
        let widths: Vec<usize> = lines[1..].iter().map(|line| line.len()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "columns");
    }
}

#[test]
fn a_snapshot_says_when_it_was_begun_and_ended() {
    let poll = Poll::new().expect("a descriptor");
    let mut cx = context(3, 1, &poll);
    let began = cx.now;
    let second = Duration::from_secs(1);
    let mut snapshot = taking::begin(&cx);
    while !snapshot.is_whole() {
        cx.now += second;
        taking::take_row(&mut snapshot, &cx);
    }
    assert_eq!((snapshot.began, snapshot.ended), (began, began + 3 * second));
    let ages: Vec<u64> = snapshot.backends.iter().map(|it| it.state_for.as_secs()).collect();
    assert_eq!(ages, [1, 2, 3], "each is of its own moment");
}

/// Of pools alone it does not follow that anybody is led by a name.
#[test]
fn names_are_spoken_of_once_somebody_asked_for_one_that_nobody_serves() {
    let poll = Poll::new().expect("a poll");
    let mut cx = context(1, 2, &poll);
    let line = |cx: &mut Context| {
        let mut snapshot = taking::begin(cx);
        while !snapshot.is_whole() {
            taking::take_row(&mut snapshot, cx);
        }
        names_line(&snapshot)
    };
    assert_eq!(line(&mut cx), None);
    cx.stats.names_unknown = 1;
    assert!(line(&mut cx).is_some_and(|line| line.starts_with("1 client asked for names")));
}
