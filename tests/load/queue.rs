//! Twice as many requests as a pool can do, for a while: those that are served have not waited for
//! longer than they may, as many are served as can be, and nobody is left waiting.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::http::{Origin, get, ok};
use crate::common::{Balancer, connect, free_port, until, with_deadline};

/// How long a backend works on a request.
const WORK: Duration = Duration::from_millis(20);

/// Requests that it works on at once; there are two.
const AT_ONCE: usize = 4;

const QUEUE_TIMEOUT: Duration = Duration::from_millis(200);

/// What a busy machine may add to a wait.
const SLACK: Duration = Duration::from_millis(150);

/// Each asks at its own times, whatever became of the request before: none takes longer than the
/// time between two.
const CLIENTS: u32 = 256;

/// How long the overload lasts. By hand it may be a minute.
const OVERLOAD: Duration = Duration::from_secs(4);

/// Other tests may take the processors meanwhile; what is wrong by itself is so each time.
const TRIES: usize = 5;

/// What became of the requests.
#[derive(Debug)]
struct Outcome {
    served: u64,
    refused: u64,
    longest: Duration,
    took: Duration,
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.served as f64 / self.took.as_secs_f64()
    }
}

fn ask(stream: &mut TcpStream) -> u16 {
    stream.write_all(get("/").as_bytes()).expect("it is open");
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        let whole = text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.ends_with("done") || body.ends_with('\n'));
        if whole {
            return text.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        }
        let read = stream.read(&mut block).expect("an answer");
        assert!(read > 0, "it ends after {text:?}");
        answer.extend_from_slice(&block[..read]);
    }
}

/// So many clients, each asking every so often; without a pause, one after the other.
fn load(to: SocketAddr, clients: u32, every: Duration, time: Duration) -> Outcome {
    let began = Instant::now();
    let one = move |index: u32| {
        let mut stream = connect(to);
        let mut served = 0;
        let mut refused = 0;
        let mut longest = Duration::ZERO;
        let mut due = began + every * index / clients;
        while due < began + time && began.elapsed() < time {
            // A pace, not a wait for anything.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let asked = Instant::now();
            match ask(&mut stream) {
                200 => {
                    served += 1;
                    longest = longest.max(asked.elapsed());
                }
                503 => refused += 1,
                status => panic!("{status}"),
            }
            due += every;
        }
        (served, refused, longest)
    };
    let all: Vec<_> = (0..clients).map(|index| thread::spawn(move || one(index))).collect();
    let all: Vec<_> = all.into_iter().map(|it| it.join().expect("no panic")).collect();
    Outcome {
        served: all.iter().map(|it| it.0).sum(),
        refused: all.iter().map(|it| it.1).sum(),
        longest: all.iter().map(|it| it.2).max().unwrap_or_default(),
        took: began.elapsed(),
    }
}

#[test]
fn twice_the_capacity_is_served_as_far_as_it_goes_and_nobody_waits_too_long() {
    let origin = || {
        Origin::start(|_, wire| {
            thread::sleep(WORK);
            wire.try_say(ok("done"))
        })
    };
    let origins = [origin(), origin()];
    let flags =
        origins.each_ref().map(|it| format!("{},max-connections={AT_ONCE}", it.backend.flag()));
    let metrics = free_port();
    let timeout = format!("{}ms", QUEUE_TIMEOUT.as_millis());
    let place = metrics.to_string();
    let all = ["-l", "http://127.0.0.1:0", "-b", &flags[0], "-b", &flags[1], "--queue", "400"];
    let more = ["--queue-timeout", &timeout, "--metrics", &place, "--log-level", "info"];
    let balancer = Balancer::start(&[&all[..], &more, &["--check", "none"]].concat());
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        // As many clients as there are places: what the pool can do.
        let places = 2 * AT_ONCE as u32;
        let can = load(balancer.address(), places, Duration::ZERO, Duration::from_secs(1));
        let every = Duration::from_secs_f64(f64::from(CLIENTS) / (2.0 * can.rate()));
        let did = load(balancer.address(), CLIENTS, every, OVERLOAD);
        println!("alone {:.0}/s; at twice that {:.0}/s of {did:?}", can.rate(), did.rate());
        let waiting = || {
            let mut stream = with_deadline(TcpStream::connect(metrics).unwrap());
            let ask = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            stream.write_all(ask.as_bytes()).unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            let line = page.lines().find(|it| it.starts_with("pointsman_pool_waiting{"));
            line.expect("the pool").ends_with(" 0")
        };
        until("nobody waits any more", waiting);
        assert!(did.refused > 0, "it was no overload");
        let is_quick = did.longest <= QUEUE_TIMEOUT + WORK + SLACK;
        if did.rate() >= 0.95 * can.rate() && is_quick {
            return;
        }
        seen.push((can.rate(), did));
    }
    panic!("{seen:?}");
}
