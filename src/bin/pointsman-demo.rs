//! The demo's backends and client, singly: flags to one of them, exit codes, nothing else.
//!
//! The pieces are in `pointsman::demo`. Exit code 0 is done, 1 is a failure of the network, 2 is
//! a command line nobody understands; 1 and 2 come with one line on standard error.

use std::env;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use getopts::{Fail, Matches, Options};
use pointsman::ctl::heartbeat::Heartbeat;
use pointsman::demo::hello::Hello;
use pointsman::demo::server::Server;
use pointsman::demo::{client, upper};
use pointsman::limits::{DEMO_DELAY_MAX, TTL_MAX, TTL_MIN};
use pointsman::logging::LogSink;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

const HELP: &str = "\
pointsman-demo: backends and a client to try pointsman with

Usage:
  pointsman-demo upper ADDR [--delay D]
      Answers a line or a NUL-terminated text of up to 100 bytes in capitals, then closes.
      The text __clients? is answered at once with the number of other clients, for
      --check load:__clients?; after __nap N it stops listening for N seconds (1 to 3600).
  pointsman-demo hello ADDR [--delay MIN-MAX] [--seed N] [--register PLACE ...]
      A small HTTP server. /health says OK at once; /nap or /nap?seconds=N stops listening
      for 10 or N seconds after the answer; all the rest is greeted after a random delay.
      With --register it is a backend of a pointsman that runs with --admin PLACE and
      --register: SIGTERM has it say goodbye, and serve on for a moment.
  pointsman-demo client ADDR TEXT [--nul]
      Sends TEXT and a line feed, and prints the answer.

ADDR is HOST:PORT. With port 0 the system chooses one; the first line a server prints is
'listening on HOST:PORT' with the real one.

Options:
      --delay D         how long an answer takes; upper: 0ms unless given, up to 1h
      --delay MIN-MAX   hello: drawn from this range, 100ms-2s unless given
      --seed N          hello: seed of the draws, from the clock unless given
      --register PLACE  hello: unix:PATH or http://ADDR:PORT of the API to register at
      --pool NAME       hello: the pool, main unless given
      --name NAME       hello: its name there, its address unless given
      --ttl D           hello: how long a heartbeat holds, 2s to 5m; 6s unless given
      --token TOKEN     hello: what the API wants to be shown
      --nul             client: end TEXT with a NUL byte instead of a line feed
  -h, --help            print this and exit
  -V, --version         print the version and exit

A duration is a number with a unit: 250ms, 1.5s, 2m, 1h.
";

fn main() -> ExitCode {
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    LogSink::default().install(level.unwrap_or(log::LevelFilter::Warn), None);
    let (code, message) = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (2, format!("{message} (--help says more)")),
        Err(Failure::Network(message)) => (1, message),
    };
    // If standard error is gone too, the exit code still tells.
    let _ = writeln!(io::stderr(), "pointsman-demo: {message}");
    ExitCode::from(code)
}

/// What ends the program early, in one line.
enum Failure {
    Usage(String),
    Network(String),
}

/// One of the pieces: its arguments, the flags that are its own, and how to run it.
struct Piece {
    name: &'static str,
    arguments: &'static [&'static str],
    flags: &'static [&'static str],
    run: fn(&Matches) -> Result<(), Failure>,
}

const HELLO_FLAGS: &[&str] = &["delay", "seed", "register", "pool", "name", "ttl", "token"];

const PIECES: [Piece; 3] = [
    Piece { name: "upper", arguments: &["ADDR"], flags: &["delay"], run: run_upper },
    Piece { name: "hello", arguments: &["ADDR"], flags: HELLO_FLAGS, run: run_hello },
    Piece { name: "client", arguments: &["ADDR", "TEXT"], flags: &["nul"], run: run_client },
];

fn run() -> Result<(), Failure> {
    let mut options = Options::new();
    options.optflag("h", "help", "").optflag("V", "version", "").optflag("", "nul", "");
    for flag in HELLO_FLAGS {
        options.optopt("", flag, "", "");
    }
    let matches =
        options.parse(env::args_os().skip(1)).map_err(|fail| usage(explain(&fail)))?;
    if matches.opt_present("help") {
        return print(HELP.as_bytes());
    }
    if matches.opt_present("version") {
        return print(concat!("pointsman-demo ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    }

    let (name, given) =
        matches.free.split_first().ok_or(usage("say upper, hello or client".to_owned()))?;
    let piece = PIECES
        .iter()
        .find(|piece| piece.name == name)
        .ok_or_else(|| usage(format!("{name:?} is not upper, hello or client")))?;
    if let Some(missing) = piece.arguments.get(given.len()) {
        return Err(usage(format!("{name} needs {missing}")));
    }
    if let Some(extra) = given.get(piece.arguments.len()) {
        return Err(usage(format!("{name} has no use for {extra:?}")));
    }
    for flag in HELLO_FLAGS.iter().copied().chain(["nul"]) {
        if matches.opt_present(flag) && !piece.flags.contains(&flag) {
            return Err(usage(format!("{name} has no --{flag}")));
        }
    }
    (piece.run)(&matches)
}

fn run_upper(matches: &Matches) -> Result<(), Failure> {
    let delay = match matches.opt_str("delay") {
        Some(text) => parse_duration(&text).map_err(|why| usage(format!("--delay {why}")))?,
        None => Duration::ZERO,
    };
    listen(&matches.free[1])?.serve(move |client| upper::answer(client, delay))
}

fn run_hello(matches: &Matches) -> Result<(), Failure> {
    let delay = matches.opt_str("delay").unwrap_or("100ms-2s".to_owned());
    let delay = parse_range(&delay).map_err(|why| usage(format!("--delay {why}")))?;
    let seed = match matches.opt_str("seed") {
        Some(text) => {
            text.parse().map_err(|_| usage(format!("--seed {text:?} is not a number")))?
        }
        None => fastrand::u64(..),
    };
    let hello = Hello::new(delay, seed);
    let server = listen(&matches.free[1])?;
    register(matches, server.address())?;
    server.serve(move |client| hello.answer(client))
}

/// From now on it says that it is there, on a thread of its own, if that is asked for.
fn register(matches: &Matches, address: SocketAddr) -> Result<(), Failure> {
    let Some(place) = matches.opt_str("register") else {
        let alone = ["pool", "name", "ttl", "token"];
        let stray = alone.into_iter().find(|flag| matches.opt_present(flag));
        return stray
            .map_or(Ok(()), |flag| Err(usage(format!("--{flag} needs --register PLACE"))));
    };
    let ttl = matches.opt_str("ttl").unwrap_or("6s".to_owned());
    let ttl = parse_duration(&ttl).map_err(|why| usage(format!("--ttl {why}")))?;
    if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
        return Err(usage(format!("--ttl {ttl:?} is not between 2s and 5m")));
    }
    let pool = matches.opt_str("pool").unwrap_or("main".to_owned());
    let name = matches.opt_str("name").unwrap_or_else(|| address.to_string());
    let token = matches.opt_str("token");
    let place_of = (&*pool, &*name);
    let heartbeat = Heartbeat::new(&place, token, place_of, address.to_string(), ttl)
        .map_err(|why| usage(format!("--register {why}")))?;
    let ends = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register(signal, Arc::clone(&ends))
            .map_err(|error| Failure::Network(format!("cannot handle signals: {error}")))?;
    }
    thread::spawn(move || {
        heartbeat.beat(&ends);
        std::process::exit(0);
    });
    Ok(())
}

fn run_client(matches: &Matches) -> Result<(), Failure> {
    let address = &matches.free[1];
    let text = &matches.free[2];
    let end = if matches.opt_present("nul") { '\0' } else { '\n' };
    let mut answer = client::ask(&*resolve(address)?, format!("{text}{end}").as_bytes())
        .map_err(|error| Failure::Network(format!("{address}: {error}")))?;
    // A terminal wants a line, whatever the answer ended with.
    answer.pop_if(|byte| matches!(byte, b'\n' | 0));
    answer.push(b'\n');
    print(&answer)
}

/// Listens, and says where.
fn listen(address: &str) -> Result<Server, Failure> {
    let server = Server::bind(&*resolve(address)?)
        .map_err(|error| Failure::Network(format!("cannot listen on {address}: {error}")))?;
    // Nobody reading that line is no reason not to serve.
    let _ = print(format!("listening on {}\n", server.address()).as_bytes());
    Ok(server)
}

fn resolve(address: &str) -> Result<Vec<SocketAddr>, Failure> {
    match address.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(usage(format!("ADDR {address:?} is not HOST:PORT: {error}"))),
    }
}

/// Unlike `println!`, survives that nobody reads.
fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::Network(format!("standard output: {error}")))
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}

/// getopts' failures, with the flag as it was typed.
fn explain(fail: &Fail) -> String {
    let typed = |name: &str| match name.chars().count() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    };
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", typed(name)),
        Fail::UnrecognizedOption(name) => format!("there is no {}", typed(name)),
        Fail::OptionMissing(name) => format!("{} is missing", typed(name)),
        Fail::OptionDuplicated(name) => format!("{} is given twice", typed(name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", typed(name)),
    }
}

/// `MIN-MAX`, or one duration for both.
fn parse_range(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let min = parse_duration(min)?;
    let max = parse_duration(max)?;
    if min > max {
        return Err(format!("{text:?} begins above its end"));
    }
    Ok(min..=max)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a number with a unit, such as 250ms, 1.5s, 2m, 1h");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let seconds = digits.parse::<f64>().map_err(|_| wrong())? * unit_seconds;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= DEMO_DELAY_MAX => Ok(duration),
        _ => Err(format!("{text:?} is over 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let ms = Duration::from_millis;
        for (text, duration) in
            [("0ms", ms(0)), ("250ms", ms(250)), ("1.5s", ms(1500)), ("1h", ms(3_600_000))]
        {
            assert_eq!(parse_duration(text), Ok(duration));
        }
        for text in ["", "5", "ms", "5 s", "-1s", "+1s", "1e3s", "infs", "1.2.3s", "61m", "5d"]
        {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_range("100ms-2s"), Ok(ms(100)..=ms(2000)));
        assert_eq!(parse_range("5ms"), Ok(ms(5)..=ms(5)));
        for text in ["2s-1s", "1s-", "-1s", "1s-2s-3s"] {
            assert!(parse_range(text).is_err(), "{text:?}");
        }
    }
}
