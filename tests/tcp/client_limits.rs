//! Limits by client through the real binary: of connections, how those beyond end, and reloads.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{Backend, Balancer, ask, connect_from, read_to_end, until};

fn serves(stream: &TcpStream) -> bool {
    use std::io::Write;
    let mut stream = stream;
    let mut byte = [0];
    stream.write_all(b"x").is_ok() && matches!(stream.read(&mut byte), Ok(1))
}

fn from(source: &str, balancer: &Balancer) -> TcpStream {
    connect_from(source, balancer.address())
}

#[test]
fn exactly_the_burst_connects_from_idle_and_others_are_not_concerned() {
    let backend = Backend::echo();
    let flags = ["--limit-connection-rate", "1/h,burst=4"];
    let balancer = Balancer::before(&[&backend], &flags);
    for source in ["127.0.0.1", "127.0.0.2"] {
        let served = (0..7).filter(|_| serves(&from(source, &balancer))).count();
        assert_eq!(served, 4, "{source}");
    }
    assert_eq!(backend.accepted(), 8, "no backend hears of the others");
    balancer.wait_for_log("guard: connection-rate of listener ");
    balancer.stop();
}

#[test]
fn who_is_refused_is_closed_or_reset_as_was_asked_for() {
    for (reject, is_reset) in [("close", false), ("reset", true)] {
        let backend = Backend::echo();
        let flags = ["--limit-connections", "1", "--reject", reject];
        let balancer = Balancer::before(&[&backend], &flags);
        let first = from("127.0.0.1", &balancer);
        assert_eq!(ask(&first, b"here"), b"here");
        let second = from("127.0.0.1", &balancer);
        assert_eq!(read_to_end(&second).is_reset(), is_reset, "{reject}");
        balancer.stop_after((first, second));
    }
}

#[test]
fn in_the_tarpit_a_connection_waits_and_is_reset() {
    let backend = Backend::echo();
    let flags = ["--limit-connections", "1", "--reject", "tarpit", "--tarpit", "600ms"];
    let flags = [&flags[..], &["--max-connections", "100"]].concat();
    let balancer = Balancer::before(&[&backend], &flags);
    let first = from("127.0.0.1", &balancer);
    assert_eq!(ask(&first, b"here"), b"here");
    let began = Instant::now();
    let held = from("127.0.0.1", &balancer);
    balancer.wait_for_log("guard: connections of listener ");
    let at_once = from("127.0.0.1", &balancer);
    assert!(!read_to_end(&at_once).is_reset(), "there is one place");
    assert!(read_to_end(&held).is_reset());
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    balancer.stop_after(first);
}

#[test]
fn a_stop_does_not_wait_for_who_is_held() {
    let backend = Backend::echo();
    let flags = ["--limit-connection-rate", "1/h", "--reject", "tarpit", "--tarpit", "10m"];
    let balancer = Balancer::before(&[&backend], &flags);
    drop(from("127.0.0.1", &balancer));
    let held = from("127.0.0.1", &balancer);
    balancer.wait_for_log("guard: connection-rate of listener ");
    balancer.stop();
    drop(held);
}

#[test]
fn a_limit_follows_reloads_and_what_is_open_counts_on() {
    let backend = Backend::echo();
    let text = |limit: &str| {
        format!(
            "[listener.a]\nbind = \"127.0.0.1:0\"\n{limit}\n[service.a]\nlisten = [\"a\"]\n\
             pool = \"a\"\n[pool.a]\nbackends = [\"{}\"]\ncheck = \"none\"\n",
            backend.flag()
        )
    };
    let file = std::env::temp_dir().join(format!("limits-{}.toml", std::process::id()));
    let path = file.to_str().expect("text").to_owned();
    let write = |limit: &str| std::fs::write(&file, text(limit)).expect("a file");
    write("limit_connections = 2");
    let balancer = Balancer::start(&["--config", &path]);
    let mut generation = 1;
    let mut reload = |limit: &str| {
        write(limit);
        generation += 1;
        balancer.signal(Signal::HUP);
        balancer.wait_for_log(&format!(" generation {generation}: "));
    };
    let client = || from("127.0.0.1", &balancer);
    let two = [client(), client()];
    assert!(two.iter().all(serves) && !serves(&client()));
    reload("limit_connections = 3");
    let third = client();
    assert!(serves(&third) && !serves(&client()), "those before count");
    reload("");
    let free = [client(), client()];
    assert!(free.iter().all(serves));
    reload("limit_connections = 1");
    let counted = client();
    assert!(serves(&counted) && !serves(&client()), "those before do not");
    drop((two, third, free));
    until("they are gone", || balancer.count("open of") == 1);
    assert!(!serves(&client()), "who went took nothing off");
    drop(counted);
    until("there is room", || serves(&client()));
    balancer.stop();
    std::fs::remove_file(&file).expect("it is there");
}

#[test]
fn a_listener_may_refuse_in_its_own_way_and_spare_others() {
    let backend = Backend::echo();
    let file = std::env::temp_dir().join(format!("limit-terms-{}.toml", std::process::id()));
    let all = "[global]\nreject = \"reset\"\nlimit_exempt = [\"127.0.0.9\"]\n";
    let start = |own: &str| {
        let text = format!(
            "{all}[listener.a]\nbind = \"127.0.0.1:0\"\nlimit_connections = 1\n{own}\n\
             [service.a]\nlisten = [\"a\"]\npool = \"a\"\n\
             [pool.a]\nbackends = [\"{}\"]\ncheck = \"none\"\n",
            backend.flag()
        );
        std::fs::write(&file, text).expect("a file");
        Balancer::start(&["--config", file.to_str().expect("text")])
    };
    // Whether a second connection of this client ends with a reset; nothing, if it is served.
    let second = |balancer: &Balancer, source: &str, is_exempt: bool| {
        let first = from(source, balancer);
        assert_eq!(ask(&first, b"here"), b"here");
        let second = from(source, balancer);
        if is_exempt {
            assert!(serves(&second), "{source}");
            return None;
        }
        Some(read_to_end(&second).is_reset())
    };
    let as_all = start("");
    assert_eq!(second(&as_all, "127.0.0.1", false), Some(true));
    assert_eq!(second(&as_all, "127.0.0.9", true), None);
    as_all.stop();
    let own = start("reject = \"close\"\nlimit_exempt = [\"127.0.0.8\"]");
    assert_eq!(second(&own, "127.0.0.1", false), Some(false));
    assert_eq!(second(&own, "127.0.0.9", false), Some(false), "its own list takes the place");
    assert_eq!(second(&own, "127.0.0.8", true), None);
    own.stop();
    let held = start("reject = \"tarpit\"\ntarpit = \"300ms\"\nlimit_exempt = \"none\"");
    let began = Instant::now();
    assert_eq!(second(&held, "127.0.0.9", false), Some(true));
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    held.stop();
    let _ = std::fs::remove_file(file);
}
