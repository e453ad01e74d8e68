//! The end of a flow: what is counted, and its line in the access log.

use std::time::Duration;

use log::debug;

use crate::access_log::{Cause, Counts, Ending, Record, ServedBy, Times, What, When, Who, Why};
use crate::config::{SettingKey, Spelling};
use crate::context::Context;
use crate::flow::Flow;
use crate::picks::PickEnd;
use crate::stats::traffic::Blame;

use super::super::proxied::Proxied;
use super::super::verdict::Loss;
use super::fronted::plain;
use super::{Udp, Upstream, guarded};

/// Why a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowEnd {
    /// It had all the answers that it was to have.
    Finished,
    /// Nothing moved for `--udp-timeout`.
    Idle,
    /// There was no room, and it was idle for longest.
    GaveWay,
    /// Nobody listens where it led.
    Refused,
    /// Its backend is lost.
    BackendLost(Loss),
    /// We are stopping, or the listener is removed with its clients.
    Stopped,
    /// The poll took no more sockets.
    Exhausted,
    /// Another process goes on with it.
    HandedOver,
}

impl Udp {
    /// A flow that was taken out of the table is over; the end of the turn closes its socket.
    pub(super) fn end(&mut self, mut flow: Flow<Upstream>, end: FlowEnd, cx: &mut Context) {
        debug!(
            "flow of {}: {}; {} datagrams sent on, {} answered",
            plain(flow.client.address()),
            end.text(cx.spelling),
            flow.requests,
            flow.answers
        );
        if end == FlowEnd::HandedOver {
            // The poll would tell of it for as long as the other process has it open.
            flow.upstream.socket.deregister(&cx.registry);
        } else {
            write(&flow, end, cx);
        }
        if let Some(pick) = flow.upstream.pick {
            cx.picks.end(pick, PickEnd::of(0, end.cause()), cx.now);
        }
        cx.backends.closed(flow.upstream.backend);
        let home = flow.upstream.home;
        if end != FlowEnd::HandedOver {
            cx.each_traffic(home, |it| {
                it.counts.connections += 1;
                it.broke_off(end.blame());
            });
        }
        cx.exit(home);
        guarded::end(&flow.client, flow.upstream.counted, cx);
        cx.leave_listener(flow.client.listener);
        let stats = &mut cx.stats.udp;
        stats.open -= 1;
        match end {
            FlowEnd::Finished => stats.finished += 1,
            FlowEnd::Idle => stats.idle += 1,
            FlowEnd::GaveWay => stats.gave_way += 1,
            FlowEnd::Refused => stats.refused += 1,
            FlowEnd::BackendLost(Loss::Down) => stats.backend_down += 1,
            FlowEnd::BackendLost(Loss::Removed | Loss::Told)
            | FlowEnd::Stopped
            | FlowEnd::Exhausted => stats.cut_off += 1,
            FlowEnd::HandedOver => {}
        }
        self.ended.push(flow);
    }
}

impl FlowEnd {
    fn text(self, spelling: Spelling) -> String {
        let text = match self {
            FlowEnd::Finished => "finished",
            FlowEnd::Idle => {
                return format!("idle for {}", (spelling.name)(SettingKey::UDP_TIMEOUT));
            }
            FlowEnd::GaveWay => "gave way to another one",
            FlowEnd::Refused => "refused",
            FlowEnd::BackendLost(loss) => loss.says(),
            FlowEnd::Stopped => "cut off by the stop",
            FlowEnd::Exhausted => "the poll takes no more",
            FlowEnd::HandedOver => "goes on in the new process",
        };
        text.to_owned()
    }

    /// Whose fault it is that it ended like this.
    fn blame(self) -> Blame {
        match self {
            FlowEnd::Finished
            | FlowEnd::Idle
            | FlowEnd::Stopped
            | FlowEnd::HandedOver
            | FlowEnd::BackendLost(Loss::Removed | Loss::Told) => Blame::Nobody,
            FlowEnd::GaveWay
            | FlowEnd::Refused
            | FlowEnd::BackendLost(Loss::Down)
            | FlowEnd::Exhausted => Blame::Server,
        }
    }

    /// In the access log's words. To be idle is how a flow ends that has no other end.
    fn ending(self, answered: bool) -> Ending {
        let when = if answered { When::Data } else { When::Connect };
        match self.cause().map(Cause::who) {
            None | Some(Who::Nobody) => Ending::WELL,
            Some(who) => Ending { who, when },
        }
    }

    fn cause(self) -> Option<Cause> {
        match self {
            FlowEnd::Finished | FlowEnd::HandedOver => None,
            FlowEnd::Idle => Some(Cause::UdpTimeout),
            FlowEnd::GaveWay => Some(Cause::MaxFlows),
            FlowEnd::Refused => Some(Cause::UdpRefused),
            FlowEnd::BackendLost(loss) => Some(loss.cause()),
            FlowEnd::Stopped => Some(Cause::Stopped),
            FlowEnd::Exhausted => Some(Cause::OutOfResources),
        }
    }
}

fn write(flow: &Flow<Upstream>, end: FlowEnd, cx: &mut Context) {
    let Context { access_log, backends, listeners, services, stats, now, .. } = cx;
    let Some(log) = access_log else { return };
    let upstream = &flow.upstream;
    let listener = &listeners[flow.client.listener].stats;
    let service = upstream.home.service.and_then(|id| services.get(id));
    let answered = flow.answers > 0;
    let times = Times {
        queue: Some(Duration::ZERO),
        connect: Some(Duration::ZERO),
        total: now.saturating_duration_since(flow.opened_at),
        ..Times::default()
    };
    let counts = Counts {
        process: stats.open + stats.udp.open,
        listener: listener.open,
        pool: backends.connections_in(upstream.home.pool),
        backend: backends.connections(upstream.backend),
    };
    let began = log.time_of(flow.opened_at, *now);
    log.add(&Record {
        request_id: None,
        in_front: upstream.proxied.as_deref().map(Proxied::for_the_log),
        client: plain(flow.client.address()).into(),
        listener: &listener.name,
        service: service.map(|service| &*service.name),
        pool: backends.pool(upstream.home.pool).map(|pool| &*pool.name),
        server: ServedBy::Backend(backends.name(upstream.backend)),
        backend_address: backends.get(upstream.backend).and_then(|it| it.address()),
        tls: None,
        server_name: None,
        began,
        what: What::Udp { datagrams_sent: flow.answers, datagrams_received: flow.requests },
        times,
        sent: upstream.bytes_received,
        received: upstream.bytes_sent,
        ending: end.ending(answered),
        counts,
        retries: 0,
        why: end.cause().map(|cause| Why { cause, detail: cause.says().into() }),
        tried: vec![backends.name(upstream.backend)],
    });
}
