//! What to try the balancer with: three backends, a few clients, and a page that says what to do.
//!
//! This room is the event loop's counterpart, written the way servers were written first: **one
//! thread a connection, and every call may block**. Nothing here has a state machine; where a
//! connection stands is simply which line its thread is on. Read it beside `event_loop` to see
//! what one thread with one poll buys (no thread a client, no lock) and what it costs (every
//! pause has to be a state).
//!
//! - `server`: accepts, counts, starts the threads; can take a nap
//! - `upper`: a line in, the same line in capitals out
//! - `hello`: a small HTTP/1.1 server with a random delay
//! - `echo`: datagrams, sent back as they are, at the same ports
//! - `client`: asks once
//! - `crowd`: clients that keep asking, how many there are, and how long they wait
//!
//! On a terminal the demo is a picture that is drawn twice a second:
//!
//! ```text
//!   crowd: response times --+
//!                           +-- watch --> scene: what is known --> picture: lines --> stage
//!   the balancer's API -----+                                                          ^
//!                                 keys: naps, clients, PUT of another algorithm -------+
//! ```
//!
//! - `api`: asks the balancer's admin listener, as anybody could
//! - `watch`: what it answers, twice a second
//! - `scene`: the last half minute of that
//! - `picture`: a scene as text, without a terminal
//! - `stage`: the thread that has the terminal and hears the keys
//!
//! `startup` starts the set for `pointsman --demo`; the binary `pointsman-demo` runs the pieces
//! singly. The balancer knows nothing of this room: it meets it through sockets alone.

mod api;
pub mod client;
pub mod crowd;
pub mod echo;
pub mod hello;
mod picture;
mod scene;
pub mod server;
pub mod stage;
pub mod upper;
mod watch;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use crowd::Crowd;
use hello::Hello;
use server::{Bed, Server};

use crate::limits::DEMO_HANDS;

/// The running backends.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Name and address of each.
    pub backends: Vec<(String, SocketAddr)>,
    /// Where each of them sleeps.
    pub beds: Vec<Bed>,
}

/// A backend of the demo: its name, the port it would like, and how long it lets clients wait.
struct Plan {
    name: &'static str,
    port: u16,
    delay_ms: (u64, u64),
}

impl Plan {
    fn words(&self) -> String {
        let (min, max) = self.delay_ms;
        format!("answers in {min} to {max} ms, {DEMO_HANDS} at a time")
    }

    fn short(&self) -> String {
        let (min, max) = self.delay_ms;
        format!("takes {min} to {max} ms")
    }
}

/// The path of the service that has the first backend alone.
pub const OWN_PATH: &str = "/fast";

/// Different enough in speed that least-connections visibly gives the fast one most of the work,
/// and that a third of all requests is more than the slow one can do: round-robin shows it.
const PLANS: [Plan; 3] = [
    Plan { name: "fast", port: 8001, delay_ms: (10, 50) },
    Plan { name: "middling", port: 8002, delay_ms: (25, 100) },
    Plan { name: "slow", port: 8003, delay_ms: (100, 300) },
];

/// Starts the three backends. They listen when this returns, and live as long as the process.
pub fn start(seed: u64) -> io::Result<Demo> {
    let mut backends = Vec::new();
    let mut beds = Vec::new();
    for (number, plan) in (0..).zip(&PLANS) {
        // The wished-for port reads well in a terminal, but any port will do.
        let server = Server::bind((Ipv4Addr::LOCALHOST, plan.port))
            .or_else(|_| Server::bind((Ipv4Addr::LOCALHOST, 0)))?;
        // The same port for datagrams may be taken: then HTTP is all there is to try.
        if let Err(error) = echo::start(server.address(), plan.name) {
            log::warn!("demo backend {}: no UDP echo: {error}", plan.name);
        }
        backends.push((plan.name.to_owned(), server.address()));
        beds.push(server.bed());

        let (min, max) = plan.delay_ms;
        let delay = Duration::from_millis(min)..=Duration::from_millis(max);
        let hello = Hello::new(delay, seed.wrapping_add(number)).with_hands(DEMO_HANDS);
        thread::Builder::new()
            .name(format!("demo-{}", plan.name))
            .spawn(move || server.serve(move |client| hello.answer(client)))?;
    }
    Ok(Demo { backends, beds })
}

/// Starts clients that keep asking `front` for as long as the process lives.
pub fn start_traffic(front: SocketAddr, clients: usize) -> Crowd {
    Crowd::start(front, clients)
}

/// What is running and what to try, for a terminal 80 columns wide.
pub fn banner(
    front: SocketAddr,
    udp: Option<SocketAddr>,
    stats_path: Option<&str>,
    admin: Option<&str>,
    demo: &Demo,
) -> String {
    let mut text = format!(
        "\n  pointsman --demo: one balancer, {} backends, all in this process\n\n  \
         {:<10} {front}\n",
        demo.backends.len(),
        "balancer"
    );
    for ((name, address), plan) in demo.backends.iter().zip(&PLANS) {
        let address = address.to_string();
        text += &format!("  {name:<10} {address:<17} {}\n", plan.words());
    }
    text +=
        &format!("\n  Try:\n\n    curl http://{front}/\n        one of the three greets you\n");
    if let Some((name, _)) = demo.backends.first() {
        text += &format!(
            "\n    curl http://{front}{OWN_PATH}\n        \
             a second service on the same port: the greeting is always that of {name}\n"
        );
    }
    if let Some(path) = stats_path {
        text += &format!(
            "\n    curl http://{front}{path}\n        the numbers: who is up, how busy, how fast\n"
        );
    }
    if let Some(admin) = admin {
        let program = std::env::args().next().unwrap_or_else(|| "pointsman".to_owned());
        text += &format!(
            "\n    export POINTSMAN_ADMIN={admin}\n    {program} ctl show\n        \
             the backends; 'ctl drain main/fast' takes one out of work, and\n        \
             'ctl ready main/fast' gives it back\n"
        );
    }
    if let Some(udp) = udp {
        let ip = udp.ip();
        let port = udp.port();
        text += &format!(
            "\n    echo hello | nc -u -w1 {ip} {port}\n        \
             the same backends echo UDP: one of them says hello\n"
        );
    }
    if let Some((name, address)) = demo.backends.first() {
        text += &format!(
            "\n    curl http://{address}/nap\n        \
             {name} refuses connections for {} s: watch it go down and come back,\n        \
             and no client see an error\n",
            crate::limits::DEMO_NAP_SECONDS
        );
    }
    text += &format!(
        "\n    kill -USR1 {}\n        the status page: who has how much work\n\n  \
         Ctrl-C or closing the terminal ends it; a second Ctrl-C ends it at once.\n",
        std::process::id()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_everything_and_fits_a_terminal() {
        let front: SocketAddr =
            "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 65535));
        let backends = PLANS.iter().map(|plan| (plan.name.to_owned(), address)).collect();
        let text = banner(
            front,
            Some(front),
            Some("/stats"),
            None,
            &Demo { backends, beds: Vec::new() },
        );
        for part in [
            "fast",
            "middling",
            "slow",
            "100 to 300 ms, 4 at a time",
            "/nap",
            "kill -USR1",
            "nc -u",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(text.contains(&format!("curl http://{front}/\n")));
        assert!(text.contains(&format!("curl http://{front}/stats\n")));
        assert_eq!(text.lines().find(|line| line.chars().count() > 79), None);
    }
}
