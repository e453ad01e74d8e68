//! All that can be on at once, with nobody there.

use std::time::{Duration, Instant};

use super::alone;
use crate::common::admin::Admin;
use crate::common::dns::{Dns, Says};
use crate::common::measure::is_release;
use crate::common::{Backend, Balancer, until};

/// So long is looked on.
const TIME: Duration = Duration::from_secs(10);
/// Of a processor; measured: 0.035 to 0.053 %, most of it health checks.
const MOST: f64 = 0.002;

/// Seconds of a processor that its process has had.
fn processor_time(balancer: &Balancer) -> f64 {
    let path = format!("/proc/{}/schedstat", balancer.pid());
    let text = std::fs::read_to_string(path).expect("it runs");
    let nanoseconds = text.split(' ').next().expect("three numbers");
    nanoseconds.parse::<f64>().expect("a number") / 1e9
}

#[test]
fn all_of_it_on_and_nobody_there_takes_next_to_no_processor() {
    if !is_release("what idleness costs") {
        return;
    }
    let _alone = alone();
    let dns = Dns::start();
    let backend = Backend::echo();
    let own = backend.address.ip();
    dns.set("a.test", Says::Addresses(vec![own], 5));
    dns.set("b.test", Says::Addresses(vec![own], 5));
    let backends = ["a", "b"].map(|it| format!("dns://{it}.test:{}", backend.address.port()));
    let resolver = dns.flag();
    let args =
        ["-l", "http://127.0.0.1:0", "-l", "tcp://127.0.0.1:0", "-l", "udp://127.0.0.1:0"];
    let names = ["-b", &backends[0], "-b", &backends[1], "--resolver", &resolver];
    let watched = ["--metrics", "127.0.0.1:0", "--picks", "100", "--log-level", "info"];
    let kept =
        ["--state-file", "@HOME/s", "--history-file", "@HOME/h", "--access-log", "@HOME/log"];
    let guarded = ["--limit-request-rate", "100/s", "--limit-datagram-rate", "1000/s"];
    let admin = Admin::start(&[&args[..], &names, &watched, &kept, &guarded].concat());
    let balancer = &admin.balancer;
    until("all names are known", || balancer.log_so_far().contains("all names were looked up"));
    let began = Instant::now();
    let before = processor_time(balancer);
    std::thread::sleep(TIME);
    let share = (processor_time(balancer) - before) / began.elapsed().as_secs_f64();
    println!("idle with all of it on: {:.3} % of a processor", share * 100.0);
    assert!(share < MOST, "{share} of a processor");
}
