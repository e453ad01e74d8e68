//! The beginning of a flow: a backend is picked, and a socket connected to it. Perhaps another flow
//! gives way.

use std::net::{IpAddr, SocketAddr};

use log::{Level, debug, log_enabled, warn};

use crate::access_log::Cause;
use crate::backends::{Backends, Course, NoBackend, PoolId, ServerId};
use crate::balance::Ask;
use crate::context::{Context, Home};
use crate::event::Owner;
use crate::flow::{ClassId, Flow, FlowKey};
use crate::guard::FlowCount;
use crate::http::RequestId;
use crate::limits::{EXHAUSTION_WARNINGS, HEARD_AT_FIRST};
use crate::net::{DatagramSocket, Fault};
use crate::picks::{AskedText, Asker, PickEnd, PickNumber, PickedBy};

use super::super::proxied::Proxied;
use super::super::{ahead, trace};
use super::ending::FlowEnd;
use super::{Udp, Upstream, Waiting, guarded};

impl Udp {
    /// Open a flow: pick a backend, and make a socket towards it. Says whether it is there.
    pub(super) fn open(
        &mut self,
        client: FlowKey,
        proxied: Option<&Proxied>,
        cx: &mut Context,
    ) -> bool {
        let Some(class) = self.classes.get(client.listener) else { return false };
        let mut tried: Vec<ServerId> = self.shunned.take(&client, cx.now).into_iter().collect();
        let shunned = tried.len();
        let service = cx.listeners[client.listener].only;
        let pool = service.and_then(|id| cx.services.get(id)).and_then(|it| it.pool);
        let home = Home { service, pool };
        let retries = cx.backends.settings(pool).retries as usize;
        while tried.len() <= shunned + retries {
            let attempt = (tried.len() - shunned) as u32 + 1;
            let record = begin_pick(&client, home, attempt, &tried, cx);
            let backend = match pick(&client, pool, &tried, cx) {
                Ok(backend) => backend,
                Err(refusal) => {
                    end_pick(record, PickEnd::of(0, Some(refusal.cause())), cx);
                    return false;
                }
            };
            if let Some(pick) = record.and_then(|number| cx.picks.get_mut(number.get())) {
                pick.choice = Some(backend);
            }
            self.budget.opened();
            match connect(backend, pool, cx) {
                Ok(socket) => {
                    let mut upstream = Upstream::new(socket, backend, home, record);
                    upstream.ahead = ahead::of_datagrams(backend, &client, proxied, cx);
                    upstream.proxied = proxied.cloned().map(Box::new);
                    return self.add(client, class, upstream, cx);
                }
                Err(Fault::Exhausted) => {
                    self.note_exhaustion("socket", cx);
                    end_pick(record, PickEnd::of(0, Some(Cause::OutOfResources)), cx);
                    // Its socket is free at the end of the turn, for whoever asks again.
                    if let Some(flow) = self.flows.give_way(cx.now) {
                        self.give_way(flow, cx);
                    }
                    return false;
                }
                Err(fault) => {
                    cx.backends.datagram_failed(backend, fault, cx.now);
                    end_pick(record, PickEnd::tried_another(Some(fault)), cx);
                    tried.push(backend);
                }
            }
        }
        false
    }

    fn add(
        &mut self,
        client: FlowKey,
        class: ClassId,
        mut upstream: Upstream,
        cx: &mut Context,
    ) -> bool {
        upstream.counted = guarded::begin(&client, cx);
        cx.backends.opened(upstream.backend, cx.now);
        cx.enter(upstream.home);
        cx.stats.udp.open += 1;
        cx.stats.udp.opened += 1;
        cx.listeners[client.listener].stats.open += 1;
        let (key, gave_way) = self.flows.open(client, class, upstream, cx.now);
        if let Some(flow) = gave_way {
            self.give_way(flow, cx);
        }
        let Some(flow) = self.flows.get_mut(key) else { return false };
        if flow.upstream.socket.register(&cx.registry, Owner::Flow(key)).is_err() {
            self.note_exhaustion("room in the poll", cx);
            self.close(key, FlowEnd::Exhausted, cx);
            return false;
        }
        true
    }

    /// What it was given in this very turn still goes out.
    fn give_way(&mut self, mut flow: Flow<Upstream>, cx: &mut Context) {
        self.send_waiting(&mut flow.upstream, cx);
        self.end(flow, FlowEnd::GaveWay, cx);
    }

    fn note_exhaustion(&mut self, what: &str, cx: &mut Context) {
        cx.stats.exhausted += 1;
        if self.warnings.allows(cx.now, EXHAUSTION_WARNINGS) {
            let open = self.flows.len();
            warn!("no {what} for a new flow with {open} open: datagrams are dropped");
        }
    }
}

impl Upstream {
    pub(super) fn new(
        socket: DatagramSocket,
        backend: ServerId,
        home: Home,
        pick: Option<PickNumber>,
    ) -> Upstream {
        Upstream {
            socket,
            backend,
            home,
            pick,
            queued: false,
            wanted: HEARD_AT_FIRST as u8,
            waiting: Waiting::default(),
            bytes_sent: 0,
            bytes_received: 0,
            counted: FlowCount::default(),
            proxied: None,
            ahead: None,
        }
    }
}

/// A socket to the address that is in use, or to the next one to which there is a way.
fn connect(
    backend: ServerId,
    pool: Option<PoolId>,
    cx: &mut Context,
) -> Result<DatagramSocket, Fault> {
    let mut course = Course::begin(&cx.backends[backend].addresses, cx.now);
    loop {
        let connect = |backends: &Backends| {
            DatagramSocket::connect(course.address(&backends[backend].addresses)?)
        };
        match cx.open_with(connect) {
            Ok(socket) => {
                cx.backends.settle(backend, course);
                return Ok(socket);
            }
            Err(fault) => {
                let of = &cx.backends[backend].addresses;
                let timeout = cx.backends.settings(pool).connect_timeout;
                let on = course.next(fault, of, timeout, cx.now);
                course = on.ok_or(fault)?;
            }
        }
    }
}

/// Keep what there is to pick from, if picks are kept.
fn begin_pick(
    client: &FlowKey,
    home: Home,
    attempt: u32,
    tried: &[ServerId],
    cx: &mut Context,
) -> Option<PickNumber> {
    if !cx.picks.is_on() {
        return None;
    }
    let address: IpAddr = client.address().ip().to_canonical();
    let asker = Asker {
        client: SocketAddr::new(address, client.address().port()),
        listener: client.listener,
        service: home.service,
        pool: home.pool,
        rule: None,
        request_id: RequestId::NONE,
        asked: AskedText::NONE,
    };
    let ask = Ask { client: address, key: None, now: cx.now };
    trace::picture(asker, PickedBy::Algorithm, attempt, (&ask, tried), cx)
}

/// Nothing more comes of a pick.
fn end_pick(record: Option<PickNumber>, end: PickEnd, cx: &mut Context) {
    if let Some(number) = record {
        cx.picks.end(number, end, cx.now);
    }
}

/// The backend for a new flow. One that has just refused this client is better than none.
fn pick(
    client: &FlowKey,
    pool: Option<PoolId>,
    tried: &[ServerId],
    cx: &mut Context,
) -> Result<ServerId, NoBackend> {
    let address: IpAddr = client.address().ip().to_canonical();
    let ask = Ask { client: address, key: None, now: cx.now };
    let picked = cx.backends.pick(pool, &ask, tried);
    let picked = if tried.len() == 1 {
        picked.or_else(|_| cx.backends.pick(pool, &ask, &[]))
    } else {
        picked
    };
    let backend = picked?;
    if log_enabled!(Level::Debug) {
        let who = SocketAddr::new(address, client.address().port());
        debug!("flow of {who}: {}", cx.backends.why(pool, backend, tried, cx.now));
    }
    Ok(backend)
}
