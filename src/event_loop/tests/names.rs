//! What DNS tells while something else is going on.

use std::net::{SocketAddr, UdpSocket};

use super::reload::{pool, service, state};
use super::*;
use crate::config::Target;
use crate::dns::Name;
use crate::dns::lookup::{Answer, Endpoint};

/// So many backends that a reload takes many turns.
const MANY: usize = 3000;

/// A backend by name and many others, where this one has so many connections at most.
fn wanted(resolver: SocketAddr, most: u32) -> Desired {
    let mut backends = vec![format!("db.test:80,max-connections={most}")];
    backends.extend((0..MANY).map(|it| format!("10.0.{}.{}:80", it / 250, it % 250)));
    let services = vec![service("a", "a.test", Some("p"))];
    let mut desired = state(services, vec![pool("p", &backends)]);
    desired.process.dns.resolvers = vec![resolver];
    desired
}

struct AtOnce(Desired);

impl Rereading for AtOnce {
    fn step(&mut self) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Result<Reading, Vec<String>> {
        Ok(Reading { desired: self.0, tell: Box::new(|_| Vec::new()) })
    }
}

fn tell(looping: &mut EventLoop, address: SocketAddr) {
    let at = Target::Host { host: "db.test".to_owned(), port: 80 };
    let target = Name::new("db.test").unwrap();
    let endpoint = Endpoint { address, target: target.clone(), priority: 0, weight: None };
    let answer = Answer {
        endpoints: vec![endpoint],
        ttl: Duration::from_secs(60),
        name: target,
        unheard: Vec::new(),
        left_out: 0,
    };
    looping.resolver.tell(&at, answer, &mut looping.cx);
}

fn is_at(looping: &EventLoop, address: SocketAddr) -> bool {
    let server = &looping.cx.backends[looping.directory.servers[0]];
    server.addresses.are(&[address.into()])
}

/// A change reads where its servers are, and is done turns later: an answer that comes meanwhile
/// must not be undone by it.
#[test]
fn an_answer_in_the_middle_of_a_reload_holds_after_it() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolver = silent.local_addr().unwrap();
    let mut looping = loop_for(wanted(resolver, 1));
    let address = |it: u8| SocketAddr::from(([10, 9, 0, it], 80));
    looping.turn(Some(Duration::ZERO)).unwrap();
    tell(&mut looping, address(0));
    looping.turn(Some(Duration::ZERO)).unwrap();
    assert!(is_at(&looping, address(0)));
    let new = wanted(resolver, 2);
    looping.reread = Some(Box::new(move || Box::new(AtOnce(new.clone()))));
    looping.reload();
    let mut told = 0;
    let until = Instant::now() + Duration::from_secs(20);
    while looping.changing.is_some() {
        assert!(Instant::now() < until, "it does not end");
        if looping.directory.generation == 1 && told < 250 {
            told += 1;
            tell(&mut looping, address(told));
        }
        looping.turn(None).unwrap();
    }
    assert_eq!(looping.directory.generation, 2);
    assert!(told > 2, "it took no turns");
    looping.turn(Some(Duration::ZERO)).unwrap();
    assert!(is_at(&looping, address(told)), "answer {told} is lost");
}
