//! What a pick costs: nanoseconds for one pick with its two changes (a connection more at the
//! chosen backend, one less at another), by algorithm and number of backends; and what a change of
//! the whole set costs. `cargo bench --bench pick`; nothing here waits, so time is the processor's.

#[path = "common/picks.rs"]
mod picks;

use std::time::{Duration, Instant};

use picks::{BACKENDS, Scene};
use pointsman::config::Algorithm;

fn main() {
    // `cargo test --all-targets` runs this without the flag: then it only shows that it works.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let picks = if measured { 300_000 } else { 100 };
    println!("{:<18}{:>10}{:>10}{:>10}   set changed", "ns a pick", 10, 1_000, 10_000);
    for row in Algorithm::ALL {
        print!("{:<18}", row.name);
        let mut rebuild = Duration::ZERO;
        for count in BACKENDS {
            let mut scene = Scene::new(row.algorithm, count);
            run(&mut scene, picks / 3);
            // The best of three: what the machine's other users take is not ours.
            let best = (0..3).map(|_| run(&mut scene, picks)).min().unwrap_or_default();
            print!("{:>10.0}", best.as_nanos() as f64 / f64::from(picks));
            let start = Instant::now();
            scene.rebuild();
            rebuild = start.elapsed();
        }
        println!("{:>10.2} ms", rebuild.as_secs_f64() * 1e3);
    }
}

fn run(scene: &mut Scene, picks: u32) -> Duration {
    let now = Instant::now();
    (0..picks).for_each(|_| scene.pick(now));
    now.elapsed()
}
