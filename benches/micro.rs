//! What the parts cost by themselves: heads, bodies, timers, picks, choices, buffers. Without
//! sockets and without the system, so a change of a part shows here before it drowns in what the
//! kernel takes.
//!
//! `cargo bench --bench micro`, or `cargo bench --bench micro -- head` for some of it. Run it
//! before and after a change: the second run says what has changed, and whether that is noise.

#[path = "common/picks.rs"]
mod picks;

use std::hint::black_box;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime};

use criterion::{
    BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use pointsman::config::{Algorithm, Cidr, Condition, ForwardedFields, Match, Rate, RouteName};
use pointsman::event::{Generation, Key, Owner, Slots, Timers};
use pointsman::guard::bans::{Ban, Bans};
use pointsman::guard::ranges::{Building, Found, Listing};
use pointsman::guard::strikes::{Strikes, Terms};
use pointsman::guard::{ClientKey, Gcra, Secret, Table};
use pointsman::http::added::{Added, Proto};
use pointsman::http::edits::{RequestEdits, ResponseEdits};
use pointsman::http::rewrite::{Back, Forward};
use pointsman::http::{
    Asked, Decoder, Fields, Framing, Outgoing, Parse, RequestFacts, Scan, Trailers, Version,
    parse_request, parse_response, rewrite,
};
use pointsman::net::BufferPool;
use pointsman::services::Choice;

use picks::{BACKENDS, Scene};

/// As wrk and the like ask.
const SHORT: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:9000\r\nUser-Agent: bench/1\r\n\r\n";

/// As a browser asks.
const BROWSER: &[u8] = b"GET /wiki/Point_duty?action=view HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: https://www.example.org/wiki/Traffic\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; seen=1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    If-None-Match: \"5f3c-61d2a\"\r\n\r\n";

/// As nginx answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Mon, 02 Feb 2026 10:00:00 GMT\r\n\
    Content-Type: text/html\r\n\
    Content-Length: 1024\r\n\
    Last-Modified: Mon, 02 Feb 2026 09:00:00 GMT\r\n\
    Connection: keep-alive\r\n\
    ETag: \"69806ac0-400\"\r\n\
    Accept-Ranges: bytes\r\n\r\n";

/// What the backend is told of a client.
const FORWARD: Forward<'_> = Forward {
    client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    proto: Proto::Http,
    port: "8000",
    trusted: false,
    host: "127.0.0.1:8080",
    added: &Added { via: Some("pointsman"), ..Added::NONE },
    told: ForwardedFields::DEFAULT,
    subject: None,
    edits: RequestEdits::NONE,
};

/// What a client is told of its connection.
const BACK: Back<'_> = Back {
    client_version: Version::Http11,
    keep_alive: true,
    chunk: true,
    takes_trailers: false,
    cookie: None,
    added: &Added::NONE,
    edits: ResponseEdits::NONE,
};

criterion_group! {
    name = parts;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50);
    targets = heads, bodies, timers, all_picks, choices, buffers, slots,
        limits, guard
}
criterion_main!(parts);

/// A head parsed; and parsed and written for the other side.
fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    for (name, text) in [("short", SHORT), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("request-parsed", name), |bencher| {
            bencher.iter(|| parse_request(black_box(text), &mut Scan::default(), &mut fields));
        });
        group.bench_function(BenchmarkId::new("request-passed-on", name), |bencher| {
            bencher.iter(|| {
                let parse = parse_request(black_box(text), &mut Scan::default(), &mut fields);
                let Parse::Done(head) = parse else { panic!("{name}: {parse:?}") };
                out.clear();
                rewrite::request(&head, &fields, text, &FORWARD, &mut out);
                out.len()
            });
        });
    }
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    group.bench_function("response-passed-on", |bencher| {
        bencher.iter(|| {
            let asked = Asked::default();
            let text = black_box(ANSWER);
            let parse = parse_response(text, &mut Scan::default(), &mut fields, &asked);
            let Parse::Done(head) = parse else { panic!("{parse:?}") };
            out.clear();
            rewrite::response(&head, &fields, text, &BACK, &mut out)
        });
    });
    group.throughput(Throughput::Bytes(BROWSER.len() as u64));
    group.bench_function("request-in-pieces-of-64", |bencher| {
        bencher.iter(|| {
            let mut scan = Scan::default();
            let ends = (64..BROWSER.len()).step_by(64).chain([BROWSER.len()]);
            let parses = ends
                .map(|end| parse_request(black_box(&BROWSER[..end]), &mut scan, &mut fields));
            parses.filter(|parse| matches!(parse, Parse::Done(_))).count()
        });
    });
    group.finish();
}

/// 64 KiB of a chunked body found in what was read, and framed afresh for the other side.
fn bodies(criterion: &mut Criterion) {
    const PAYLOAD: usize = 64 * 1024;
    let mut group = criterion.benchmark_group("body");
    let mut spans = Vec::new();
    let mut trailers = Vec::new();
    let mut out = Outgoing::new();
    for size in [128, 4_096, PAYLOAD] {
        let input = chunked(PAYLOAD, size);
        group.bench_function(BenchmarkId::new("chunks-passed-on", size), |bencher| {
            bencher.iter(|| {
                spans.clear();
                out.clear();
                let mut decoder = Decoder::new(Framing::Chunked, Trailers::Drop);
                let decoded = decoder.decode(black_box(&input), 0, &mut spans, &mut trailers);
                assert!(decoded.is_ok() && decoder.is_finished());
                rewrite::chunk(&spans, &input, &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

fn chunked(payload: usize, size: usize) -> Vec<u8> {
    let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    [chunk.repeat(payload / size).as_slice(), b"0\r\n\r\n"].concat()
}

/// Among ten thousand others: one set, moved, left as it is, and given up; and a thousand fired.
fn timers(criterion: &mut Criterion) {
    let now = Instant::now();
    let owner = |index| Owner::Pair(Key { index, generation: Generation::FIRST });
    let crowd = |count: u32| {
        let mut timers = Timers::new(now);
        for index in 0..count {
            let timer = timers.create(owner(index));
            timers.arm(timer, now + Duration::from_millis(1 + u64::from(index) * 7 % 60_000));
        }
        timers
    };
    let mut group = criterion.benchmark_group("timer");
    let mut timers = crowd(10_000);
    group.bench_function("set-and-cancelled", |bencher| {
        bencher.iter(|| {
            let timer = timers.create(owner(0));
            timers.arm(timer, black_box(now + Duration::from_secs(30)));
            timers.remove(timer);
        });
    });
    let timer = timers.create(owner(0));
    group.bench_function("moved", |bencher| {
        let mut later = 0;
        bencher.iter(|| {
            later = (later + 17) % 60_000;
            timers.arm(timer, now + Duration::from_millis(black_box(later)));
        });
    });
    group.bench_function("left-where-it-was", |bencher| {
        timers.arm(timer, now + Duration::from_secs(1));
        bencher.iter(|| timers.arm_by(timer, black_box(now + Duration::from_secs(30))));
    });
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("a-thousand-fired", |bencher| {
        let end = now + Duration::from_secs(60);
        let fire = |timers: &mut Timers| {
            let fired = std::iter::from_fn(|| timers.pop_due(end)).count();
            assert_eq!(fired, 1_000);
        };
        bencher.iter_batched_ref(|| crowd(1_000), fire, BatchSize::SmallInput);
    });
    group.finish();
}

/// One pick with a connection more and one less, by algorithm and number of backends; and what it
/// costs that the set has changed.
fn all_picks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for row in Algorithm::ALL {
        for count in BACKENDS {
            let mut scene = Scene::new(row.algorithm, count);
            let now = Instant::now();
            group.bench_function(BenchmarkId::new(row.name, count), |bencher| {
                bencher.iter(|| scene.pick(now));
            });
        }
        let mut scene = Scene::new(row.algorithm, 1_000);
        let now = Instant::now();
        group.bench_function(BenchmarkId::new(row.name, "1000-set-changed"), |bencher| {
            bencher.iter(|| scene.rejoin(now));
        });
    }
    group.finish();
}

/// The service that takes a request, among others: each for a host of its own, below a host, for a
/// path or under a condition of its own. The last are asked one by one.
fn choices(criterion: &mut Criterion) {
    let mut fields = Fields::new();
    let parse = parse_request(BROWSER, &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{parse:?}") };
    let facts = RequestFacts {
        path: head.plain_path(BROWSER),
        head: &head,
        fields: &fields,
        bytes: BROWSER,
        client: FORWARD.client,
        listener: "main",
        sni: None,
        subject: None,
        is_tls: false,
    };
    let host = |host| Match { host, ..Match::all() };
    let exact = |name: &str| host(RouteName::Exact(format!("{name}.example.org")));
    let below = |name: &str| host(RouteName::Below(format!("{name}example.org")));
    let path = |end: &str| Match { path: Some(format!("/wiki/Point_{end}")), ..exact("www") };
    let asked = |value: &str| {
        let conditions = Vec::from_iter(Condition::cookie_is("theme", value));
        Match { conditions, ..exact("www") }
    };
    let choice = |count: u32, found: Match, other: &dyn Fn(&str) -> Match| {
        let others = (1..count).map(|number| (other(&format!("{number}.")), number));
        Choice::new(others.chain([(found, 0)]))
    };
    let table = [
        ("hosts/1000", choice(1_000, exact("www"), &exact)),
        ("hosts-below/1000", choice(1_000, below(""), &below)),
        ("paths/1000", choice(1_000, path("duty"), &path)),
        ("conditions/10", choice(10, asked("dark"), &asked)),
    ];
    let mut group = criterion.benchmark_group("choice-of-a-service");
    for (name, choice) in table {
        assert_eq!(choice.find(&facts), Some(0), "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&choice).find(black_box(&facts)));
        });
    }
    group.finish();
}

/// What a slow target did not take, kept and given back; and a head kept that outlives its input.
fn buffers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("buffer");
    let mut pool = BufferPool::default();
    for size in [1_024, 64 * 1_024] {
        let bytes = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("kept-and-given-back", size), |bencher| {
            bencher.iter(|| {
                let buffer = pool.keep(&[IoSlice::new(black_box(&bytes))], 0);
                pool.give_back(buffer);
            });
        });
    }
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let mut kept = Vec::new();
    let parse = parse_request(BROWSER, &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{parse:?}") };
    rewrite::request(&head, &fields, BROWSER, &FORWARD, &mut out);
    group.finish();
    let mut group = criterion.benchmark_group("outgoing");
    group.bench_function("head-as-slices", |bencher| {
        bencher.iter(|| {
            let mut slices = [IoSlice::new(&[]); 64];
            out.slices(black_box(BROWSER), 0, &mut slices)
        });
    });
    group.bench_function("head-copied", |bencher| {
        bencher.iter(|| {
            kept.clear();
            out.copy_to(black_box(BROWSER), 0, &mut kept);
        });
    });
    group.finish();
}

/// A slot taken, found by its key, and left, among six thousand others.
fn slots(criterion: &mut Criterion) {
    let mut slots: Slots<[u64; 16]> = Slots::default();
    for _ in 0..6_000 {
        slots.insert_with(|_| [0; 16]);
    }
    criterion.bench_function("slot/taken-found-and-left", |bencher| {
        bencher.iter(|| {
            let key = slots.insert_with(|_| [1; 16]);
            let found = slots.get(black_box(key)).is_some();
            slots.remove(key);
            found
        });
    });
}

/// A limit's decision, among as many clients as its table is for: each comes in turn, so that none
/// is in the cache by chance.
fn limits(criterion: &mut Criterion) {
    const CLIENTS: u32 = 32_768;
    let mut group = criterion.benchmark_group("limit");
    let law = Gcra::new(Rate::parse("10/s,burst=100").expect("a rate"));
    let mut table = Table::new(CLIENTS as usize, Secret::of(1));
    let mut now = 0;
    let mut client = 0;
    group.bench_function("decided", |bencher| {
        bencher.iter(|| {
            now += 1_000;
            client = (client + 7919) % CLIENTS;
            let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + client));
            table.ask(ClientKey::of_address(address, 64), 1, &law, now)
        });
    });
    group.finish();
}

/// An address looked up in lists and among bans, and a strike; each time another one.
fn guard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guard");
    let mut random = fastrand::Rng::with_seed(1);
    let mut addresses: Vec<IpAddr> =
        (0..65_536).map(|_| IpAddr::V4(random.u32(..).into())).collect();
    addresses.dedup();
    let mut next = addresses.iter().copied().cycle();
    for count in [10_000, 1_000_000] {
        let mut building = Building::default();
        let list = building.list("deny", Listing::Deny);
        for _ in 0..count {
            let address = IpAddr::V4(random.u32(..).into());
            building.add(list, Cidr::around(address, random.u8(20..=32)));
        }
        let ranges = building.finish();
        group.bench_function(BenchmarkId::new("lists", count), |bencher| {
            bencher.iter(|| {
                let found = ranges.find(next.next().expect("endless"));
                black_box(matches!(found, Found::Denied(_)))
            });
        });
    }
    let now = Instant::now();
    let mut bans = Bans::default();
    for address in &addresses {
        let ban = Ban::lasting(Duration::from_secs(60), "", "", now, SystemTime::UNIX_EPOCH);
        bans.set(Cidr::around(*address, 32), ban);
    }
    group.bench_function(BenchmarkId::new("bans", bans.len()), |bencher| {
        bencher.iter(|| black_box(bans.find(next.next().expect("endless"), now).is_some()));
    });
    let mut strikes = Strikes::new((1, 2), now);
    let terms =
        Terms { after: 1_000, window: Duration::from_secs(60), time: Duration::from_secs(60) };
    group.bench_function("strike", |bencher| {
        bencher.iter(|| strikes.strike(next.next().expect("endless"), &terms, now).is_some());
    });
    group.finish();
}
