//! Any bytes as what servers of names send, and as the files that say whom to ask: a look-up ends
//! with an answer that is not empty or with a reason in words, and both files are read.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use pointsman::dns::Random;
use pointsman::dns::ask::Transport;
use pointsman::dns::hosts::Hosts;
use pointsman::dns::lookup::{Families, Lookup, Step, Wanted};
use pointsman::dns::resolv_conf::ResolvConf;
use pointsman::dns::search::Written;

// The first byte says what is looked up; each message has its length before it, and gets the id
// of the question if its first byte is odd.
fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let conf = ResolvConf::read(&text, |_| Some(1));
    assert!(!conf.servers.is_empty());
    let Some((&first, mut rest)) = input.split_first() else { return };
    let Ok(written) = Written::new("_http._tcp.example") else { return };
    let wanted =
        if first & 1 == 0 { Wanted::Addresses(written, 80) } else { Wanted::Services(written) };
    let hosts = Hosts::read(text.as_bytes());
    let mut lookup = Lookup::new(&wanted, Families::Both, &conf, &hosts, Random::seeded(1));
    let mut now = Instant::now();
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 50_000, "no end");
        let sent = match lookup.next(now) {
            Step::Send { server, transport, bytes } => (server, transport, bytes),
            Step::Wait { until } => {
                assert!(until > now);
                now = until + Duration::from_millis(1);
                continue;
            }
            Step::Done(Ok(answer)) => {
                assert!(!answer.endpoints.is_empty());
                return;
            }
            Step::Done(Err(failure)) => {
                assert!(!failure.to_string().is_empty());
                return;
            }
        };
        let Some(&[kind, length]) = rest.first_chunk::<2>() else { continue };
        let (message, after) = rest[2..].split_at(usize::from(length).min(rest.len() - 2));
        rest = after;
        let (server, transport, bytes) = sent;
        let bytes = if transport == Transport::Tcp { &bytes[2..] } else { &bytes };
        let mut answer = message.to_vec();
        if kind & 1 == 1 && answer.len() > 2 {
            answer[..2].copy_from_slice(&bytes[..2]);
            answer[2] |= 0x80;
        }
        if kind & 2 == 2 {
            // The question as it was asked, with what the input says behind it.
            answer = [&bytes[..2], &[0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1], &bytes[12..]].concat();
            answer.truncate(bytes.len().saturating_sub(11));
            answer.extend_from_slice(message);
        }
        if kind & 4 == 4 {
            lookup.failed(server, transport, "reset");
        }
        lookup.heard(server, transport, &answer);
    }
});
