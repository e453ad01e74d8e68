//! Two ends of TLS and a line between them that delivers what its script says: in any pieces, held
//! up, changed, cut off, with strange bytes in between.
//!
//! Whatever happens, neither end panics, neither goes on without a byte or an end to show for it,
//! and what arrives is what was sent, as far as it goes. If nothing was changed, all of it arrives.
#![no_main]

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pointsman::net::tls::client::{ClientTls, Roots};
use pointsman::net::tls::{Handshake, Tls};
use pointsman::net::{Fault, Pipe, Received, Sent, Socket, Wake};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What both sides are made of: one cipher, one certificate.
static SERVER: LazyLock<[Arc<ServerConfig>; 2]> = LazyLock::new(|| {
    [&rustls::version::TLS13, &rustls::version::TLS12].map(|version| {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls.key")).unwrap();
        let builder = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
    })
});

static DIAL: LazyLock<ClientTls> =
    LazyLock::new(|| Roots::unverified().unwrap().dial("localhost", &[]).expect("a name"));

/// Most calls that one call of ours may make.
const PATIENCE: usize = 10_000;

/// One end of the line: what was delivered and not yet read, and what may still be written.
#[derive(Default)]
struct End {
    delivered: VecDeque<u8>,
    written: VecDeque<u8>,
    room: usize,
    /// Nothing more will be delivered.
    over: bool,
    told: bool,
    finished: bool,
    calls: usize,
}

impl End {
    fn be_called(&mut self) {
        self.calls += 1;
        assert!(self.calls < PATIENCE, "it spins");
    }
}

impl Socket for End {
    fn can_splice(&self) -> bool {
        false
    }

    fn can_read(&self) -> bool {
        !self.delivered.is_empty() || (self.over && !self.told)
    }

    fn can_write(&self) -> bool {
        self.room > 0
    }

    fn fault(&mut self) -> Option<Fault> {
        None
    }

    fn receive(&mut self, into: &mut [u8]) -> Received {
        self.be_called();
        let count = self.delivered.len().min(into.len());
        for (to, byte) in into.iter_mut().zip(self.delivered.drain(..count)) {
            *to = byte;
        }
        match count {
            0 if self.over => {
                self.told = true;
                Received::Eof
            }
            0 => Received::WouldBlock,
            count => Received::Bytes(count),
        }
    }

    fn send(&mut self, from: &[u8]) -> Sent {
        self.be_called();
        assert!(!self.finished, "bytes behind FIN");
        let count = from.len().min(self.room);
        self.room -= count;
        self.written.extend(&from[..count]);
        if count > 0 { Sent::Bytes(count) } else { Sent::WouldBlock }
    }

    fn send_slices(&mut self, _: &[IoSlice<'_>]) -> Sent {
        unreachable!("TLS gathers first")
    }

    fn receive_into(&mut self, _: &mut Pipe, _: u64) -> Received {
        unreachable!("TLS is not spliced")
    }

    fn send_out_of(&mut self, _: &mut Pipe) -> Sent {
        unreachable!("TLS is not spliced")
    }

    fn wake_for(&mut self, _: Wake) {}

    fn is_ending(&self) -> bool {
        self.told
    }

    fn is_spent(&self) -> bool {
        false
    }

    fn end_follows(&mut self) {}

    fn finish_sending(&mut self) {
        assert!(!self.finished, "two FINs");
        self.finished = true;
    }
}

/// One of the two, with what it has still to say and what it heard.
struct Peer {
    tls: Box<Tls>,
    end: End,
    /// Bytes that it was asked to send and that were not taken, counted from the first ever.
    owes: usize,
    sent: usize,
    heard: usize,
    /// How its incoming side ended.
    ended: Option<Received>,
    finishing: bool,
    broken: bool,
}

/// What is said: known to both, so that what is heard can be compared.
fn said(at: usize) -> u8 {
    (at % 251) as u8
}

impl Peer {
    fn new(tls: Box<Tls>) -> Peer {
        let end = End::default();
        let ended = None;
        let owes = 0;
        let sent = 0;
        let heard = 0;
        Peer { tls, end, owes, sent, heard, ended, finishing: false, broken: false }
    }

    /// Everything that can be done now.
    fn act(&mut self, scratch: &mut [u8], small: bool) {
        self.end.calls = 0;
        if self.broken {
            return;
        }
        if self.tls.is_shaking_hands() {
            match self.tls.shake_hands(&mut self.end) {
                Handshake::Pending => {
                    assert!(!self.end.can_read(), "there is more to hear");
                    return;
                }
                Handshake::Done => {}
                Handshake::Plain | Handshake::Failed(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
        self.listen(scratch, small);
        self.talk();
        self.tls.settle(&mut self.end);
    }

    fn listen(&mut self, scratch: &mut [u8], small: bool) {
        let room = if small { 700 } else { scratch.len() };
        while self.tls.can_read(&self.end) {
            match self.tls.receive(&mut self.end, &mut scratch[..room]) {
                Received::Bytes(count) => {
                    assert!(count > 0 && self.ended.is_none());
                    for &byte in &scratch[..count] {
                        assert_eq!(byte, said(self.heard), "not what was sent");
                        self.heard += 1;
                    }
                }
                Received::WouldBlock => assert!(!self.tls.can_read(&self.end), "it spins"),
                ended => {
                    assert!(self.ended.replace(ended).is_none(), "two ends");
                    assert!(!self.tls.can_read(&self.end), "it goes on behind its end");
                }
            }
        }
    }

    fn talk(&mut self) {
        while self.owes > 0 && self.tls.fault().is_none() {
            let bytes: Vec<u8> = (self.sent..self.sent + self.owes).map(said).collect();
            match self.tls.send(&mut self.end, &bytes) {
                Sent::Bytes(count) => {
                    assert!((1..=self.owes).contains(&count));
                    self.sent = self.sent + count;
                    self.owes = self.owes - count;
                }
                Sent::WouldBlock => return assert!(!self.end.can_write(), "it could"),
                Sent::Broken(_) => return self.broken = true,
            }
        }
        if self.finishing && self.owes == 0 {
            self.tls.finish_sending(&mut self.end);
        }
    }
}

/// Deliver some of what one wrote to the other.
fn deliver(from: &mut End, to: &mut End, count: usize) {
    let count = count.min(from.written.len());
    to.delivered.extend(from.written.drain(..count));
    to.over |= from.finished && from.written.is_empty();
}

/// The script, a byte after the other.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<usize> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(first))
    }

    fn amount(&mut self) -> usize {
        // From single bytes to more than a record.
        let byte = self.next().unwrap_or(1);
        if byte < 128 { byte } else { (byte - 127) * 300 }
    }
}

struct World {
    client: Peer,
    server: Peer,
    /// A byte on the line is not what was sent. Then nobody finishes, and where somebody does,
    /// nothing is changed: builds of rustls with debug assertions want no alert behind a
    /// close_notify, and panic.
    changed: bool,
    /// The line was cut, and what was on it is lost.
    cut: bool,
}

impl World {
    fn step(&mut self, what: usize, script: &mut Script<'_>) {
        let client = &mut self.client;
        let server = &mut self.server;
        let changed = self.changed;
        let finishing = client.finishing || server.finishing;
        let to_server = what & 1 == 0;
        let (from, to) = if to_server { (client, server) } else { (server, client) };
        match (what >> 1) % 8 {
            0 | 1 => deliver(&mut from.end, &mut to.end, script.amount()),
            2 => from.owes += if from.finishing { 0 } else { script.amount() },
            3 => from.end.room += script.amount(),
            4 => from.end.room += 100_000,
            5 => from.finishing |= !from.tls.is_shaking_hands() && !changed,
            6 => {
                let at = script.amount();
                let flip = script.next().unwrap_or(1);
                if let Some(byte) = from.end.written.get_mut(at)
                    && flip > 0
                    && !finishing
                {
                    *byte ^= flip as u8;
                    self.changed = true;
                }
            }
            _ if script.next().unwrap_or(0) < 16 => {
                to.end.over = true;
                from.end.written.clear();
                self.cut = true;
            }
            _ => {
                let count = script.amount().min(script.0.len());
                let (strange, rest) = script.0.split_at(count);
                if !to.end.over && !finishing {
                    to.end.delivered.extend(strange);
                    self.changed |= count > 0;
                }
                script.0 = rest;
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&kind, script)) = input.split_first() else { return };
    let config = &SERVER[usize::from(kind & 1)];
    let mut world = World {
        client: Peer::new(Box::new(Tls::dial(&DIAL, None).unwrap())),
        server: Peer::new(Box::new(Tls::accept(config).unwrap())),
        changed: false,
        cut: false,
    };
    let mut scratch = vec![0; 128 * 1024];
    // Half of the scripts begin behind the handshake.
    let mut script = Script(script);
    if kind & 2 == 0 {
        for _ in 0..6 {
            let World { client, server, .. } = &mut world;
            client.end.room = 100_000;
            server.end.room = 100_000;
            client.act(&mut scratch, false);
            deliver(&mut client.end, &mut server.end, usize::MAX);
            server.act(&mut scratch, false);
            deliver(&mut server.end, &mut client.end, usize::MAX);
        }
        assert!(!world.client.tls.is_shaking_hands() && !world.server.tls.is_shaking_hands());
        world.client.end.room = 0;
        world.server.end.room = 0;
    }
    let small = kind & 4 != 0;
    while let Some(what) = script.next() {
        world.step(what, &mut script);
        world.client.act(&mut scratch, small);
        world.server.act(&mut scratch, small);
    }
    // In the end everything is delivered, and each has room for all.
    let World { client, server, changed, cut } = &mut world;
    for _ in 0..12 {
        client.end.room = 1_000_000;
        server.end.room = 1_000_000;
        client.act(&mut scratch, small);
        deliver(&mut client.end, &mut server.end, usize::MAX);
        server.act(&mut scratch, small);
        deliver(&mut server.end, &mut client.end, usize::MAX);
    }
    for (from, to) in [(&*client, &*server), (&*server, &*client)] {
        assert!(to.heard <= from.sent + from.owes, "more than was sent");
        if !*changed && !*cut {
            assert!(!from.broken, "{:?}", from.tls);
            assert_eq!((from.owes, to.heard), (0, from.sent));
            assert_eq!(to.ended, from.finishing.then_some(Received::Eof));
        }
    }
});
