//! What stands on the screen: one story as a golden text, and what any size shows.

use std::net::SocketAddr;
use std::time::Instant;

use super::super::crowd::{Quantiles, Told};
use super::super::watch::{Seen, SeenBackend};
use super::*;

const ALL: Looks = Looks { colour: true, unicode: true };
const PLAIN: Looks = Looks { colour: false, unicode: false };
const NAMES: [&str; 3] = ["fast", "middling", "slow"];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What is seen under this algorithm: how many are at work, requests in half a second, times.
struct Look {
    algorithm: &'static str,
    active: [u64; 3],
    requests: [u64; 3],
    p99: [u64; 3],
    down: Option<&'static str>,
}

const STEADY: Look = Look {
    algorithm: "least-connections",
    active: [3, 3, 4],
    requests: [40, 22, 8],
    p99: [49, 99, 297],
    down: None,
};
const HURT: Look = Look {
    algorithm: "round-robin",
    active: [1, 2, 27],
    requests: [11, 11, 11],
    p99: [48, 97, 1640],
    down: None,
};
const ASLEEP: Look = Look {
    algorithm: "round-robin",
    active: [0, 9, 30],
    requests: [0, 21, 11],
    p99: [48, 243, 812],
    down: Some("fast"),
};

/// Half a second for each.
fn scene(looks: &[&Look]) -> Scene {
    let start = Instant::now();
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let words = ["takes 10 to 50 ms", "takes 25 to 100 ms", "takes 100 to 300 ms"];
    let actors = NAMES.iter().zip(8001..).zip(words);
    let actors =
        actors.map(|((name, port), words)| Actor::new(name, at(port), words.to_owned()));
    let mut scene = Scene::new(at(8000), at(9000), actors.collect(), start);
    let mut totals = [0; 3];
    for (look, number) in looks.iter().zip(1..) {
        let times = |p99: u64| Quantiles { p50: Some(ms(p99 / 2)), p99: Some(ms(p99)) };
        let told = Told {
            clients: 48,
            failed: 0,
            answered: 100,
            all: times(look.p99[2]),
            each: look.p99.map(times).to_vec(),
        };
        let backend = |index: usize| {
            totals[index] += look.requests[index];
            let is_down = look.down == Some(NAMES[index]);
            SeenBackend {
                name: NAMES[index].to_owned(),
                state: if is_down { "down" } else { "up" }.to_owned(),
                reason: is_down.then(|| "a connect refused".to_owned()),
                active: look.active[index],
                requests: totals[index],
            }
        };
        let seen = Seen {
            algorithm: look.algorithm.to_owned(),
            backends: (0..3).map(backend).collect(),
        };
        let naps = [look.down.map(|_| ms(7000)), None, None];
        scene.add(start + ms(500) * number, told, Ok(seen), &naps);
    }
    scene
}

fn text(scene: &Scene, columns: usize, rows: usize, looks: Looks) -> String {
    let lines = draw(scene, Size { columns, rows }, looks);
    lines.iter().map(|line| format!("{}\n", line.text().trim_end())).collect()
}

fn story() -> Scene {
    scene(&[[&STEADY; 30].as_slice(), &[&HURT; 12], &[&ASLEEP; 6]].concat())
}

#[test]
fn the_picture_of_a_story_is_this_one() {
    let golden = include_str!("golden.txt");
    let found = text(&story(), 80, 24, ALL);
    assert_eq!(found, golden, "\n{found}");
    assert_eq!(found.lines().count(), 24);
}

#[test]
fn in_ascii_it_is_ascii() {
    let found = text(&story(), 80, 24, PLAIN);
    assert!(found.is_ascii(), "{found}");
    assert!(found.contains("v down"), "{found}");
}

#[test]
fn it_begins_with_nothing_known() {
    let found = text(&scene(&[]), 80, 24, ALL);
    for part in ["○ unknown", "http://127.0.0.1:8000/", "http://127.0.0.1:9000/", "q quit"] {
        assert!(found.contains(part), "no {part} in\n{found}");
    }
}

#[test]
fn a_small_terminal_has_the_numbers_and_the_keys() {
    let found = text(&story(), 40, 10, ALL);
    let expected = "\
round-robin  64/s  p99 812 ms
1 ▼ down fast       0    0/s   48 ms
2 ● up   middling   9   42/s  243 ms
3 ● up   slow      30   22/s  812 ms
http://127.0.0.1:8000/
http://127.0.0.1:9000/
 fast is down: a connect refused


1 2 3 nap  a  + -  l log  q quit
";
    assert_eq!(found, expected, "\n{found}");
}

#[test]
fn no_size_gets_more_rows_or_columns_than_it_has() {
    let mut scene = story();
    scene.note = "x".repeat(60);
    scene.told.clients = 480;
    scene.told.failed = 999;
    scene.told.all.p99 = Some(Duration::from_secs(59));
    for actor in &mut scene.actors {
        actor.active = 480;
        actor.rate = 9999.0;
        actor.state = "draining".to_owned();
        actor.times = Quantiles { p50: Some(ms(59_000)), p99: Some(ms(59_000)) };
    }
    for is_log in [false, true] {
        scene.log = is_log.then(|| (0..100).map(|it| format!("line {it}")).collect());
        for (columns, rows) in
            [(80, 22), (80, 24), (80, 23), (200, 60), (79, 24), (1, 1), (20, 3)]
        {
            let lines = draw(&scene, Size { columns, rows }, ALL);
            assert!(lines.len() <= rows, "{} in {columns}x{rows}", lines.len());
            let widest = lines.iter().map(|it| it.text().chars().count()).max();
            assert!(rows < 22 || columns < 80 || widest <= Some(80), "{widest:?}");
            let last = lines.last().map(Line::text).unwrap_or_default();
            assert!(last.contains('q'), "{columns}x{rows}: {last}");
        }
    }
}

#[test]
fn the_log_takes_the_stage_with_its_last_lines() {
    let mut scene = story();
    let line = |it| format!("[2026-11-28T14:54:23Z INFO  pointsman::event_loop] line {it}");
    scene.log = Some((0..100).map(line).collect());
    let found = text(&scene, 80, 24, ALL);
    assert_eq!(found.lines().count(), 24);
    assert!(found.contains("\n 14:54:23 INFO  line 99\n"), "{found}");
    assert!(found.contains("l back") && !found.contains("middling"), "{found}");
}

#[test]
fn lines_of_the_log_lose_their_date_and_nothing_else() {
    for (line, found) in [
        ("[2026-11-28T14:54:23Z WARN  pointsman::a::b] x] y", "14:54:23 WARN  x] y"),
        ("2026-11-28T14:54:23.123Z INFO backend x", "14:54:23.123 INFO  backend x"),
        ("no date", "no date"),
    ] {
        assert_eq!(short(line), found);
    }
}
