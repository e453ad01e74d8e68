//! The retry budget: backends that fail are not asked several times as often as those that work,
//! and one that is not there costs nobody an answer.

use std::time::Instant;

use crate::common::http::{Origin, Wire, get};
use crate::common::{Balancer, free_port};

/// Retries that a pool may have in ten seconds without any requests.
const FREE: usize = 100;

const REQUESTS: usize = 400;

/// In front of backends by address, without probes, each request to the next one first.
fn front(backends: &[String], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "-a", "round-robin"];
    args.extend(backends.iter().flat_map(|backend| ["-b", backend]));
    args.extend(more);
    Balancer::start(&args)
}

#[test]
fn a_pool_that_refuses_everything_is_not_stormed() {
    let dead = [(); 3].map(|()| free_port().to_string());
    for (budget, percent) in [("20%", 20), ("0%", 0), ("100%", 100)] {
        let balancer = front(&dead, &["--retry-budget", budget]);
        let began = Instant::now();
        let mut client = Wire::to(&balancer);
        for _ in 0..REQUESTS {
            assert_eq!(client.ask(get("/")).status(), 502, "{budget}");
        }
        let attempts: usize = dead.iter().map(|name| balancer.row(name).failed).sum();
        let periods = 1 + began.elapsed().as_secs() as usize / 10;
        let most = REQUESTS + REQUESTS * percent / 100 + periods * FREE;
        assert!(attempts <= most, "{budget}: {attempts} attempts, want {most} at most");
        assert!(attempts >= REQUESTS + FREE, "{budget}: {attempts}: what is free was used");
        assert_eq!(balancer.count("retries"), attempts - REQUESTS, "{budget}");
        let why =
            "connect-failed: no backend could be reached; too many retries to ask another";
        balancer.wait_for_log(&format!("answered 502 here: {why}"));
        balancer
            .wait_for_log("too many retries for its budget: 1 refused so far: --retry-budget");
        balancer.stop_after(client);
    }
}

#[test]
fn without_probes_and_without_a_word_there_is_no_budget() {
    let dead = [(); 3].map(|()| free_port().to_string());
    for more in [&[][..], &["--retry-budget", "none"]] {
        let balancer = front(&dead, more);
        let mut client = Wire::to(&balancer);
        for _ in 0..REQUESTS / 2 {
            assert_eq!(client.ask(get("/")).status(), 502);
        }
        assert_eq!(balancer.count("retries"), REQUESTS, "two others each");
        balancer.stop_after(client);
    }
}

#[test]
fn one_of_three_that_is_dead_costs_no_client_its_answer() {
    let origins = [(); 2].map(|()| Origin::named("hello"));
    let mut backends = vec![free_port().to_string()];
    backends.extend(origins.iter().map(|origin| origin.backend.flag()));
    let balancer = front(&backends, &["--retry-budget", "20%"]);
    let mut client = Wire::to(&balancer);
    for _ in 0..REQUESTS {
        assert_eq!(client.ask(get("/")).text(), "hello");
    }
    assert!(balancer.count("retries") >= REQUESTS / 4, "it was picked in its turn");
    balancer.stop_after(client);
}

#[test]
fn with_probes_a_dead_one_is_taken_out_long_before_the_budget_ends() {
    let origin = Origin::named("hello");
    let dead = free_port().to_string();
    let alive = origin.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &dead, "-b", &alive, "-a", "first"];
    let balancer = Balancer::start(&args);
    let mut client = Wire::to(&balancer);
    for _ in 0..2 * REQUESTS {
        assert_eq!(client.ask(get("/")).text(), "hello");
    }
    assert!(balancer.count("retries") <= 3, "three failures take it out");
    balancer.stop_after(client);
}
