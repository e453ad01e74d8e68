//! Listeners, pools, servers and their probes come and go thousands of times, with clients in
//! between and copies of requests, and with events, timers and places in the run queue that were
//! meant for those who went.
//!
//! Servers have a colour, and so have pools and listeners: whoever answers a client has the colour
//! of the listener that it came to, or something reached another one's.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use super::*;
use crate::backends::{Joins, PoolPlan, SeatPlan, ServerPlan};
use crate::balance;
use crate::config::AdminState;
use crate::config::{
    Algorithm, AllDown, CheckSettings, ListenerSettings, Match, OnDown, PoolSettings, Protocol,
    ServiceSettings, UdpSettings,
};
use crate::context::{Copies, RequestCopy};
use crate::event::{PoolId, ServerId, ServiceId};
use crate::http::Asked;
use crate::net::{DatagramListener, Families, StreamListener};
use crate::services::{Choice, ListenerPlan, Service};

/// Each is added and removed so often.
const TIMES: usize = 2_000;

const CLIENTS_MAX: usize = 24;

const COLOURS: usize = 2;
const SERVERS_A_COLOUR: usize = 3;

/// Says its colour to whoever connects or sends it a datagram, for as long as the process lives.
fn real_server(colour: u8) -> SocketAddr {
    loop {
        let streams = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = streams.local_addr().unwrap();
        let Ok(datagrams) = UdpSocket::bind(address) else { continue };
        thread::spawn(move || {
            for stream in streams.incoming().flatten() {
                thread::spawn(move || answer(stream, colour));
            }
        });
        thread::spawn(move || {
            let mut asked = [0; 16];
            while let Ok((_, from)) = datagrams.recv_from(&mut asked) {
                let _ = datagrams.send_to(&[colour], from);
            }
        });
        return address;
    }
}

/// Until the client leaves.
fn answer(mut stream: TcpStream, colour: u8) {
    let _ = stream.write_all(&[colour]);
    let _ = stream.read(&mut [0]);
}

/// A client, and the colour of the listener that it came to.
enum Client {
    Stream(TcpStream, u8),
    Datagram(UdpSocket, u8),
}

/// Somebody with a colour.
type Coloured<T> = Vec<(T, u8)>;

#[derive(Debug, Default)]
struct Counts {
    listeners: usize,
    udp_listeners: usize,
    pools: usize,
    servers: usize,
    copies: u64,
    answered: [usize; 2],
}

struct World {
    looping: EventLoop,
    random: fastrand::Rng,
    real: Vec<Vec<SocketAddr>>,
    listeners: Coloured<(ListenerId, SocketAddr)>,
    /// Of each listener.
    services: HashMap<ListenerId, ServiceId>,
    udp_listeners: Coloured<(ListenerId, SocketAddr)>,
    pools: Coloured<PoolId>,
    servers: Coloured<ServerId>,
    clients: Vec<Client>,
    /// Removed: nothing may reach them any more.
    gone: Vec<Owner>,
    /// An event that comes too late.
    events: Events,
    /// Sockets whose events are for those who went.
    stale: Vec<(mio::net::UnixStream, mio::net::UnixStream)>,
    added: Counts,
    removed: Counts,
}

fn empty_loop() -> EventLoop {
    let mut desired = Desired::nothing();
    desired.process.max_flows = Some(64);
    loop_for(desired)
}

fn check(random: &mut fastrand::Rng) -> CheckSettings {
    let interval = Duration::from_millis(random.u64(5..8));
    CheckSettings { interval, rise: 1, fall: random.u32(1..3), ..CheckSettings::DEFAULT }
}

/// That somebody can read, and write.
fn some_event() -> Events {
    let mut poll = Poll::new().unwrap();
    let (mut here, mut there) = mio::net::UnixStream::pair().unwrap();
    let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
    there.write_all(b"late").unwrap();
    poll.registry().register(&mut here, mio::Token(0), interest).unwrap();
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, None).unwrap();
    events
}

impl World {
    fn new(seed: u64) -> World {
        let colours = 0..COLOURS as u8;
        let real = |colour| (0..SERVERS_A_COLOUR).map(|_| real_server(colour)).collect();
        World {
            looping: empty_loop(),
            random: fastrand::Rng::with_seed(seed),
            real: colours.map(real).collect(),
            listeners: Vec::new(),
            services: HashMap::new(),
            udp_listeners: Vec::new(),
            pools: Vec::new(),
            servers: Vec::new(),
            clients: Vec::new(),
            gone: Vec::new(),
            events: some_event(),
            stale: Vec::new(),
            added: Counts::default(),
            removed: Counts::default(),
        }
    }

    fn turn(&mut self) {
        self.looping.turn(Some(Duration::ZERO)).unwrap();
    }

    fn colour(&mut self) -> u8 {
        self.random.u8(..COLOURS as u8)
    }

    fn one_of<T: Copy>(&mut self, list: &[(T, u8)], colour: u8) -> Option<T> {
        let fitting: Vec<T> =
            list.iter().filter(|(_, its)| *its == colour).map(|(it, _)| *it).collect();
        self.random.choice(fitting)
    }

    fn change(&mut self) {
        match self.random.u8(..10) {
            0 => self.change_listener(),
            1 => self.change_udp_listener(),
            9 => self.change_udp_settings(),
            2 | 3 => self.change_pool(),
            4 | 5 => self.change_server(),
            _ => self.change_seat(),
        }
    }

    fn pool_for(&mut self, colour: u8) -> Option<PoolId> {
        let pools = self.pools.clone();
        self.one_of(&pools, colour)
    }

    /// A service of its own for a listener, which goes with it.
    fn plan(&mut self, protocol: Protocol, colour: u8) -> (ListenerPlan, ServiceId) {
        let pool = self.pool_for(colour);
        let service = Service::new("churned", ServiceSettings::DEFAULT, pool);
        let service = self.looping.cx.services.insert(service);
        let choice = Choice::new([(Match::all(), service)]);
        let settings = ListenerSettings::DEFAULT;
        let name = "churned".to_owned();
        (ListenerPlan { name, protocol, settings, tls: None, choice }, service)
    }

    fn change_listener(&mut self) {
        if self.listeners.len() > self.random.usize(..6) {
            let at = self.random.usize(..self.listeners.len());
            let ((id, _), _) = self.listeners.swap_remove(at);
            self.remove_listener(id);
            self.removed.listeners += 1;
            return;
        }
        let colour = self.colour();
        let (plan, service) = self.plan(Protocol::Tcp, colour);
        let listener =
            StreamListener::bind("127.0.0.1:0".parse().unwrap(), Families::Both).unwrap();
        let address = listener.address().socket_address().unwrap();
        let id = self.looping.add_listener(listener, plan).unwrap();
        self.services.insert(id, service);
        self.listeners.push(((id, address), colour));
        self.added.listeners += 1;
    }

    fn remove_listener(&mut self, id: ListenerId) {
        self.looping.remove_listener(id);
        if let Some(service) = self.services.remove(&id) {
            self.looping.cx.services.leave(service);
        }
        self.gone.push(Owner::Listener(id));
    }

    fn change_udp_listener(&mut self) {
        if self.udp_listeners.len() > self.random.usize(..6) {
            let at = self.random.usize(..self.udp_listeners.len());
            let ((id, _), _) = self.udp_listeners.swap_remove(at);
            self.remove_listener(id);
            self.removed.udp_listeners += 1;
            return;
        }
        let colour = self.colour();
        let (plan, service) = self.plan(Protocol::Udp, colour);
        let listener =
            DatagramListener::bind("127.0.0.1:0".parse().unwrap(), Families::Both).unwrap();
        let address = listener.address().socket_address().unwrap();
        let udp = UdpSettings { timeout: Duration::from_millis(20), ..UdpSettings::DEFAULT };
        let id = self.looping.add_datagram_listener(listener, plan, &udp).unwrap();
        self.services.insert(id, service);
        self.udp_listeners.push(((id, address), colour));
        self.added.udp_listeners += 1;
    }

    fn change_udp_settings(&mut self) {
        let Some(((id, _), _)) = self.random.choice(self.udp_listeners.clone()) else { return };
        let settings = UdpSettings {
            timeout: Duration::from_millis(self.random.u64(5..40)),
            responses: self.random.bool().then(|| self.random.u32(..3)),
            requests: self.random.bool().then(|| self.random.u32(1..3)),
        };
        self.looping.change_datagram_listener(id, &settings);
        self.looping.udp.set_most(self.random.usize(8..64));
    }

    fn change_pool(&mut self) {
        if self.pools.len() > self.random.usize(..8) {
            let at = self.random.usize(..self.pools.len());
            let (id, _) = self.pools.swap_remove(at);
            self.looping.remove_pool(id);
            self.removed.pools += 1;
            return;
        }
        let colour = self.colour();
        let algorithms = Algorithm::ALL.iter().map(|row| row.algorithm);
        let algorithm = self.random.choice(algorithms).unwrap();
        let settings = PoolSettings {
            slow_start: Duration::from_millis(self.random.u64(..30)),
            eject_after: self.random.u32(..3),
            all_down: if self.random.bool() { AllDown::Spread } else { AllDown::Refuse },
            on_down: if self.random.bool() { OnDown::Close } else { OnDown::Keep },
            ..PoolSettings::DEFAULT
        };
        let balance = balance::build(algorithm, 1);
        let name = "churned".into();
        let plan = PoolPlan { name, balance, settings, sticky_key: None };
        let id = self.looping.add_pool(plan);
        self.pools.push((id, colour));
        self.added.pools += 1;
        for (server, _) in self.servers.clone().iter().filter(|(_, its)| *its == colour) {
            self.join(*server, id);
        }
    }

    fn join(&mut self, server: ServerId, pool: PoolId) {
        let plan = SeatPlan {
            weight: self.random.u32(..4),
            backup: self.random.u8(..4) == 0,
            admin: AdminState::Ready,
        };
        let now = self.looping.cx.now;
        let joins = if self.random.bool() { Joins::Slowly(now) } else { Joins::AtOnce };
        self.looping.cx.backends.join(server, pool, plan, joins);
    }

    fn change_server(&mut self) {
        if self.servers.len() > self.random.usize(..10) {
            let at = self.random.usize(..self.servers.len());
            let (id, _) = self.servers.swap_remove(at);
            self.looping.remove_server(id);
            self.removed.servers += 1;
            return;
        }
        let colour = self.colour();
        let real = self.random.choice(self.real[usize::from(colour)].clone()).unwrap();
        let is_dead = self.random.u8(..5) == 0;
        let port = if is_dead { 1 } else { real.port() };
        let plan = ServerPlan {
            max_connections: self.random.bool().then(|| self.random.u32(1..4)),
            ..ServerPlan::for_tests("churned", port)
        };
        let check = check(&mut self.random);
        let id = self.looping.add_server(plan, &check);
        self.servers.push((id, colour));
        self.added.servers += 1;
        for (pool, _) in self.pools.clone().iter().filter(|(_, its)| *its == colour) {
            self.join(id, *pool);
        }
    }

    fn change_seat(&mut self) {
        let colour = self.colour();
        let servers = self.servers.clone();
        let server = self.one_of(&servers, colour);
        let Some((server, pool)) = server.zip(self.pool_for(colour)) else { return };
        let weight = self.random.u32(..4);
        let now = self.looping.cx.now;
        let backends = &mut self.looping.cx.backends;
        match self.random.u8(..5) {
            0 => backends.leave(server, pool),
            1 => backends.reweigh(server, pool, weight, now),
            2 => backends.set_backup(server, pool, weight == 0),
            3 => backends.rename(server, &format!("renamed-{weight}")),
            _ => self.join(server, pool),
        }
    }

    /// New clients, and what those that are here have heard.
    fn serve(&mut self) {
        if self.clients.len() < CLIENTS_MAX {
            self.come_in();
        }
        self.copy();
        let mut clients = std::mem::take(&mut self.clients);
        let answered = &mut self.added.answered;
        clients.retain_mut(|client| stays(client, answered, &mut self.random));
        self.clients = clients;
    }

    /// A request is copied to a pool, if there is room; perhaps to one that will have gone when the
    /// copy is begun.
    fn copy(&mut self) {
        let pools = self.pools.iter().map(|(id, _)| *id);
        let Some(pool) = self.random.choice(pools.collect::<Vec<PoolId>>()) else { return };
        let cx = &mut self.looping.cx;
        if cx.copies.len() < Copies::most(cx.settings.max_connections) {
            let client = [127, 0, 0, 1].into();
            let bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
            let asked = Asked::default();
            cx.copies.add(RequestCopy { pool, client, hash_key: None, asked, bytes });
            self.added.copies += 1;
        }
    }

    fn come_in(&mut self) {
        if let Some(((_, address), colour)) = self.random.choice(self.listeners.clone()) {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            self.clients.push(Client::Stream(stream, colour));
        }
        if let Some(((_, address), colour)) = self.random.choice(self.udp_listeners.clone()) {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.send(b"?").unwrap();
            self.clients.push(Client::Datagram(socket, colour));
        }
    }

    /// Everything that was meant for those who went comes late.
    fn come_late(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        // Whoever is leaving still, may be reached.
        let (still_here, gone_now): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|&owner| self.is_here(owner));
        self.gone = still_here;
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let event = events.iter().next().unwrap();
        for &owner in &gone_now {
            self.looping.cx.run_queue.push(owner, &mut false);
            let before = self.print();
            self.looping.mark_owner(owner, event);
            if !self.is_another_run(owner) {
                self.looping.act_as(owner);
                self.looping.on_due(owner);
            }
            assert_eq!(self.print(), before, "{owner:?} reached somebody");
            if self.stale.len() > 8 {
                self.stale.remove(0);
            }
            let (mut here, mut there) = mio::net::UnixStream::pair().unwrap();
            let registry = &self.looping.cx.registry;
            registry.register(&mut here, owner.into(), mio::Interest::READABLE).unwrap();
            there.write_all(b"late").unwrap();
            self.stale.push((here, there));
        }
        self.events = events;
        // An id that is used again is what they would find.
        self.gone.extend(gone_now.into_iter().filter(|_| self.random.u8(..8) == 0));
    }

    fn is_here(&self, owner: Owner) -> bool {
        match owner {
            Owner::Listener(id) => self.looping.cx.listeners.get(id).is_some(),
            Owner::Probe(id, run) => self.looping.health.runs().any(|it| it == (id, run)),
            Owner::Pair(key) => self.looping.pairs.get(key).is_some(),
            Owner::Flow(key) => self.looping.udp.has_flow(key),
            Owner::Mirror(key) => self.looping.mirrors.has(key),
            _ => false,
        }
    }

    /// The probe is there, and this was a run of it before the present one.
    fn is_another_run(&self, owner: Owner) -> bool {
        matches!(owner, Owner::Probe(id, _) if self.looping.health.has(id))
    }

    /// What a late event could change.
    fn print(&self) -> String {
        let cx = &self.looping.cx;
        let listeners: Vec<_> =
            cx.listeners.iter().map(|(id, it)| (id, it.is_ready(), it.stats.open)).collect();
        let pairs = self.looping.pairs.iter().map(|(key, it)| (key, it.client.queued));
        let pairs: Vec<_> = pairs.collect();
        let probes = self.looping.health.print();
        let copies: Vec<Key> = self.looping.mirrors.keys().collect();
        let under_way = self.looping.mirrors.under_way();
        let open = cx.connections.len();
        format!("{listeners:?} {pairs:?} {probes} {open} {copies:?} {under_way}")
    }

    /// Keys of those who are here now, to come late when they are not any more.
    fn remember(&mut self) {
        let pairs = self.looping.pairs.iter().map(|(key, _)| Owner::Pair(key));
        let flows = self.looping.udp.keys().map(Owner::Flow);
        let runs = self.looping.health.runs().map(|(id, run)| Owner::Probe(id, run));
        let copies = self.looping.mirrors.keys().map(Owner::Mirror);
        let some: Vec<Owner> = pairs.chain(flows).chain(runs).chain(copies).collect();
        self.gone.extend(self.random.choice(some));
    }

    /// Everybody goes, and nothing is left.
    fn end(&mut self) {
        self.clients.clear();
        self.stale.clear();
        self.looping.cx.listeners.ids().into_iter().for_each(|id| {
            self.remove_listener(id);
        });
        let cx = &self.looping.cx;
        let servers: Vec<ServerId> = cx.backends.iter().map(|(id, _)| id).collect();
        let pools: Vec<PoolId> = cx.backends.pools().map(|(id, _)| id).collect();
        servers.into_iter().for_each(|id| self.looping.remove_server(id));
        pools.into_iter().for_each(|id| self.looping.remove_pool(id));
        let until = Instant::now() + Duration::from_secs(30);
        while !self.is_empty() {
            assert!(Instant::now() < until, "left over: {}", self.print());
            self.turn();
        }
    }

    fn is_empty(&self) -> bool {
        let cx = &self.looping.cx;
        self.looping.pairs.is_empty()
            && self.looping.udp.flows() + self.looping.udp.classes() == 0
            && self.looping.health.is_empty()
            && self.looping.mirrors.is_empty()
            && cx.copies.is_empty()
            && cx.connections.is_empty()
            && cx.backends.is_empty()
            && cx.backends.pools().next().is_none()
            && cx.listeners.is_empty()
            && cx.services.is_empty()
            && cx.timers.len() == Chores::COUNT
            && cx.buffers.lent() + cx.pipes.lent() == 0
            && !cx.backends.has_work()
    }
}

/// Whether it waits for more.
fn stays(client: &mut Client, answered: &mut [usize; 2], random: &mut fastrand::Rng) -> bool {
    let mut said = [0; 16];
    let (read, colour, kind) = match client {
        Client::Stream(stream, colour) => (stream.read(&mut said), *colour, 0),
        Client::Datagram(socket, colour) => (socket.recv(&mut said), *colour, 1),
    };
    match read {
        Ok(0) => false,
        Ok(count) => {
            assert!(said[..count].iter().all(|&its| its == colour), "answered by another's");
            answered[kind] += 1;
            random.bool()
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => random.u8(..64) != 0,
        Err(_) => false,
    }
}

#[test]
fn nobody_is_reached_by_what_was_meant_for_another_and_nothing_is_left() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut world = World::new(seed);
    let until = Instant::now() + Duration::from_secs(120);
    let is_enough = |counts: &Counts| {
        let each = [counts.listeners, counts.udp_listeners, counts.pools, counts.servers];
        each.iter().all(|&times| times >= TIMES)
    };
    while !is_enough(&world.removed) {
        assert!(Instant::now() < until, "{:?} {:?}", world.added, world.removed);
        (0..world.random.u8(1..6)).for_each(|_| world.change());
        world.serve();
        world.remember();
        world.come_late();
        world.turn();
    }
    world.end();
    let answered = world.added.answered;
    assert!(answered.iter().all(|&times| times > 500), "clients were served: {answered:?}");
    let mirror = world.looping.cx.stats.mirror;
    let ended = mirror.sent + mirror.failed + mirror.dropped_busy + mirror.dropped_large;
    assert_eq!(ended, world.added.copies, "each copy ends once: {mirror:?}");
    assert!(mirror.failed > 500, "copies were begun: {mirror:?}");
}
