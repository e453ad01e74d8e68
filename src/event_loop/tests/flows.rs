//! Flows of several listeners, each with settings of its own, in a loop with its timer.

use std::net::UdpSocket;

use super::*;
use crate::backends::{Joins, PoolPlan, SeatPlan, ServerPlan};
use crate::balance;
use crate::config::AdminState;
use crate::config::{
    Algorithm, Check, CheckSettings, ListenerSettings, Match, OnListenerRemoved, PoolSettings,
    Protocol, ServiceSettings, UdpSettings,
};
use crate::event::PoolId;
use crate::net::{DatagramListener, Families};
use crate::services::{Choice, ListenerPlan, Service};

/// However slow the machine is, what is to happen happens before this.
const DEADLINE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3600);

struct World {
    looping: EventLoop,
    pool: PoolId,
    /// Never answers, and refuses nothing.
    _backend: UdpSocket,
    clients: Vec<UdpSocket>,
}

impl World {
    fn new() -> World {
        let mut desired = Desired::nothing();
        desired.process.max_flows = Some(10);
        let mut looping = loop_for(desired);
        let pool = looping.add_pool(PoolPlan {
            name: "pool".to_owned(),
            balance: balance::build(Algorithm::First, 1),
            settings: PoolSettings::DEFAULT,
            sticky_key: None,
        });
        let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = backend.local_addr().unwrap().port();
        let check = CheckSettings { kind: Check::None, ..CheckSettings::DEFAULT };
        let server = looping.add_server(ServerPlan::for_tests("backend", port), &check);
        let seat = SeatPlan { weight: 1, backup: false, admin: AdminState::Ready };
        looping.cx.backends.join(server, pool, seat, Joins::AtOnce);
        World { looping, pool, _backend: backend, clients: Vec::new() }
    }

    fn add(&mut self, timeout: Duration) -> ListenerId {
        let listener =
            DatagramListener::bind("127.0.0.1:0".parse().unwrap(), Families::Both).unwrap();
        let service = Service::new("flows", ServiceSettings::DEFAULT, Some(self.pool));
        let service = self.looping.cx.services.insert(service);
        let plan = ListenerPlan {
            name: "flows".to_owned(),
            protocol: Protocol::Udp,
            settings: ListenerSettings::DEFAULT,
            tls: None,
            choice: Choice::new([(Match::all(), service)]),
        };
        let settings = UdpSettings { timeout, ..UdpSettings::DEFAULT };
        self.looping.add_datagram_listener(listener, plan, &settings).unwrap()
    }

    fn change(&mut self, id: ListenerId, timeout: Duration) {
        let settings = UdpSettings { timeout, ..UdpSettings::DEFAULT };
        self.looping.change_datagram_listener(id, &settings);
    }

    /// A client comes to this listener and is given a flow.
    fn open(&mut self, id: ListenerId) {
        let address = self.looping.cx.listeners[id]
            .receiving()
            .unwrap()
            .listener
            .address()
            .socket_address()
            .unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"question", address).unwrap();
        self.clients.push(client);
        let before = self.flows(id);
        self.turn_until("it has a flow", |world| world.flows(id) > before);
    }

    fn flows(&self, id: ListenerId) -> usize {
        self.looping.udp.flows_of(id)
    }

    #[track_caller]
    fn turn_until(&mut self, what: &str, is_so: impl Fn(&World) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(Instant::now() < until, "not so: {what}");
            self.looping.turn(Some(Duration::from_millis(5))).unwrap();
        }
    }
}

#[test]
fn flows_of_two_listeners_expire_at_their_own_times() {
    let mut world = World::new();
    let long = world.add(LONG);
    let short = world.add(SHORT);
    // The timer is set for the later one when the other comes.
    world.open(long);
    let began = Instant::now();
    world.open(short);
    world.turn_until("the one with the short timeout is over", |world| world.flows(short) == 0);
    assert!(began.elapsed() >= SHORT, "too early");
    assert_eq!((world.flows(long), world.looping.cx.stats.udp.idle), (1, 1));
    world.open(short);
    world.turn_until("so is the next one", |world| world.flows(short) == 0);
    assert_eq!((world.flows(long), world.looping.cx.stats.udp.idle), (1, 2));
}

#[test]
fn a_timeout_that_changes_holds_for_flows_that_are_there() {
    let mut world = World::new();
    let lengthened = world.add(DEADLINE);
    let other = world.add(DEADLINE);
    world.open(lengthened);
    world.open(other);
    world.change(lengthened, SHORT);
    world.change(lengthened, LONG);
    world.change(other, SHORT);
    // Had the first one kept its short timeout, it would be over before the other.
    world.turn_until("a shorter timeout ends a flow", |world| world.flows(other) == 0);
    assert_eq!(world.flows(lengthened), 1);
    world.open(lengthened);
    world.change(lengthened, SHORT);
    world.turn_until("so it does of others", |world| world.flows(lengthened) == 0);
    assert_eq!(world.looping.cx.stats.udp.idle, 3);
}

#[test]
fn a_listener_that_leaves_takes_its_class_along_with_its_last_flow() {
    let mut world = World::new();
    let stays = world.add(LONG);
    let leaves = world.add(LONG);
    world.open(stays);
    world.open(leaves);
    world.looping.remove_listener(leaves);
    world.looping.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(world.flows(leaves), 1, "it goes on");
    assert_eq!(world.looping.udp.classes(), 2);
    world.change(leaves, SHORT);
    world.turn_until("the listener is gone", |world| world.looping.cx.listeners.len() == 1);
    assert_eq!((world.looping.udp.classes(), world.flows(stays)), (1, 1));
}

#[test]
fn flows_of_a_listener_that_is_removed_with_its_clients_are_over() {
    let mut world = World::new();
    let stays = world.add(LONG);
    let leaves = world.add(LONG);
    world.open(stays);
    world.open(leaves);
    world.open(leaves);
    world.looping.cx.listeners[leaves].settings.on_removed = OnListenerRemoved::Close;
    world.looping.remove_listener(leaves);
    world.turn_until("the listener is gone", |world| world.looping.cx.listeners.len() == 1);
    assert_eq!((world.flows(leaves), world.flows(stays)), (0, 1));
    assert!(!world.looping.udp.is_leaving(), "it goes on looking for flows");
}
