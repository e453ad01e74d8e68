//! What a pick costs: nanoseconds for one pick with its two changes (a connection more at the
//! chosen backend, one less at another), by algorithm and number of backends; and what it costs
//! that one of 10,000 leaves and joins again: until the next pick, in all, and the longest slice of
//! what was put off. `cargo bench --bench pick`; nothing here waits, so time is the processor's.

#[path = "common/picks.rs"]
mod picks;

use std::time::{Duration, Instant};

use picks::{BACKENDS, Rejoined, Scene};
use pointsman::config::Algorithm;

fn main() {
    // `cargo test --all-targets` runs this without the flag: then it only shows that it works.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let picks = if measured { 300_000 } else { 100 };
    println!(
        "{:<18}{:>10}{:>10}{:>10}      at once, in all, longest slice",
        "ns a pick", 10, 1_000, 10_000
    );
    for row in Algorithm::ALL {
        print!("{:<18}", row.name);
        let mut rejoined = None;
        for count in BACKENDS {
            let mut scene = Scene::new(row.algorithm, count);
            run(&mut scene, picks / 3);
            // The best of three: what the machine's other users take is not ours.
            let best = (0..3).map(|_| run(&mut scene, picks)).min().unwrap_or_default();
            print!("{:>10.0}", best.as_nanos() as f64 / f64::from(picks));
            let times = (0..5).map(|_| scene.rejoin(Instant::now()));
            rejoined = times.reduce(Rejoined::best);
        }
        if let Some(Rejoined { at_once, in_all, longest_slice }) = rejoined {
            let [at_once, in_all, longest] =
                [at_once, in_all, longest_slice].map(|time| time.as_secs_f64() * 1e3);
            println!("{at_once:>10.3} ms{in_all:>10.3} ms{longest:>10.3} ms");
        }
    }
}

fn run(scene: &mut Scene, picks: u32) -> Duration {
    let now = Instant::now();
    (0..picks).for_each(|_| scene.pick(now));
    now.elapsed()
}
