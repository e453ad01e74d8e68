//! Who is there may change while the loop runs: listeners, pools, servers and their probes come and
//! go between two turns, each by one of these. What leaves is freed by the reaping alone, once
//! nothing counts on it any more.
//!
//! ```text
//!   add_*      here at once; sockets are registered, probes begin
//!   change_*   what holds, for whoever is there as well
//!   remove_*   nothing new: no clients, no picks, no probes; what is under way goes on
//!   reap       a listener without clients, a pool without clients, a server without connections
//! ```

use std::io;

use log::{debug, warn};

use crate::backends::{PoolPlan, ServerPlan};
use crate::config::{CheckSettings, ListenerSettings, ListenerSpec, SettingKey, UdpSettings};
use crate::control;
use crate::event::{ListenerId, Owner, PoolId, ServerId};
use crate::net::{DatagramListener, SocketFile, StreamListener};
use crate::services::{
    Accepting, Intake, Listener, ListenerPlan, ListenerSocket, Receiving, Service,
};

use super::EventLoop;

impl EventLoop {
    /// Clients that come to this socket, which is bound, are served from now on.
    pub fn add_listener(
        &mut self,
        listener: StreamListener,
        plan: ListenerPlan,
    ) -> io::Result<ListenerId> {
        let address = listener.address().clone();
        let timers = &mut self.cx.timers;
        let id = self.cx.listeners.insert_with(|id| {
            let timer = timers.create(Owner::Listener(id));
            let accepting = Accepting {
                listener,
                timer,
                is_paused: false,
                intake: Intake::Open,
                is_queued: false,
                last: None,
            };
            Listener::new(plan, address, ListenerSocket::Stream(accepting))
        });
        self.accepting.push(id);
        let registered = match self.cx.listeners[id].accepting() {
            Some(accepting) => {
                accepting.listener.register(&self.cx.registry, Owner::Listener(id))
            }
            None => Ok(()),
        };
        self.undo_on_error(id, registered)
    }

    /// The same with datagrams.
    pub fn add_datagram_listener(
        &mut self,
        listener: DatagramListener,
        plan: ListenerPlan,
        udp: &UdpSettings,
    ) -> io::Result<ListenerId> {
        let address = listener.address().clone();
        let receiving = Receiving { listener, is_queued: false, transmits: Vec::new() };
        let listener = Listener::new(plan, address, ListenerSocket::Datagram(receiving));
        let id = self.cx.listeners.insert(listener);
        let registered = self.udp.add_listener(id, udp, &mut self.cx);
        self.undo_on_error(id, registered)
    }

    /// Flows of this listener live by these settings from now on, those that are there as well.
    pub fn change_datagram_listener(&mut self, id: ListenerId, settings: &UdpSettings) {
        self.udp.change_listener(id, settings, &mut self.cx);
        self.arm_flows();
    }

    /// The file of a UNIX socket that stays is as it is wanted from now on. Whether a port is
    /// shared was settled when it was bound.
    pub(super) fn keep_socket(
        &mut self,
        id: ListenerId,
        spec: &ListenerSpec,
        file: Option<SocketFile>,
    ) {
        let before = self.cx.listeners.get(id).map(|it| it.settings.reuse_port);
        if before.is_some_and(|it| it != spec.settings.reuse_port) {
            let key = (self.cx.spelling.name)(SettingKey::REUSE_PORT);
            warn!("{}: {key} has changed, which only the next start heeds", spec.listen.name());
        }
        let Some(file) = file else { return };
        let Some(listener) = self.cx.listeners.get_mut(id) else { return };
        let terms = |it: &ListenerSettings| (it.socket_mode, it.socket_owner.clone());
        let is_same = terms(&listener.settings) == terms(&spec.settings);
        let Some(accepting) = listener.accepting().filter(|_| !is_same) else { return };
        if let Err(error) = accepting.listener.change_file(&file) {
            warn!("{}: its file stays as it is: {error}", spec.listen.address);
        }
    }

    /// Nobody takes these of the sockets that were handed over. It is said once, and again after
    /// somebody did.
    pub(super) fn note_unwanted(&mut self, unwanted: Vec<usize>) {
        let news = unwanted.iter().filter(|it| !self.unwanted.contains(it));
        let sockets = news.filter_map(|&at| self.handed.all().get(at));
        sockets.for_each(|it| warn!("{}", control::unwanted(it)));
        self.unwanted = unwanted;
    }

    fn undo_on_error(
        &mut self,
        id: ListenerId,
        added: io::Result<()>,
    ) -> io::Result<ListenerId> {
        if added.is_err() {
            self.remove_listener(id);
        }
        added.map(|()| id)
    }

    /// Nobody new comes in there. What becomes of those that are here it says itself.
    pub fn remove_listener(&mut self, id: ListenerId) {
        if self.cx.listeners.leave(id) {
            let listener = &mut self.cx.listeners[id];
            listener.begin_to_leave();
            if listener.closes_clients() {
                self.evict(id);
            }
            let listener = &mut self.cx.listeners[id];
            self.sockets_leaving += usize::from(listener.accepting().is_some());
            self.mark_listener(id);
        }
    }

    /// A server, which this is asked for how it is.
    pub fn add_server(&mut self, plan: ServerPlan, check: &CheckSettings) -> ServerId {
        let id = self.cx.backends.add_server(plan, self.cx.now);
        self.health.add(id, check, &mut self.cx);
        id
    }

    /// It is as this says from now on; connections that are open go on as they are.
    pub fn change_server(&mut self, id: ServerId, plan: ServerPlan, check: &CheckSettings) {
        self.cx.backends.change_server(id, plan, self.cx.now);
        self.health.change(id, check, &mut self.cx);
    }

    /// No connection to it is begun any more, and it is asked nothing more. Those that are open go
    /// on until they end.
    pub fn remove_server(&mut self, id: ServerId) {
        let probe = self.cx.backends.get(id).and_then(|server| server.probe);
        if !self.cx.backends.remove_server(id) {
            return;
        }
        debug!("backend {} leaves", self.cx.backends.name(id));
        self.cx.retire_idle(id);
        if let Some(probe) = probe {
            self.health.remove(probe);
        }
    }

    /// A pool without members.
    pub fn add_pool(&mut self, plan: PoolPlan) -> PoolId {
        self.cx.backends.add_pool(plan)
    }

    /// Nothing leads to it any more. Those clients that are its own go on with it.
    pub fn remove_pool(&mut self, id: PoolId) {
        if !self.cx.backends.remove_pool(id) {
            return;
        }
        for (_, service) in self.cx.services.iter_mut() {
            if service.pool == Some(id) {
                service.pool = None;
            }
            if service.mirror == Some(id) {
                service.mirror = None;
            }
        }
    }

    /// Free those that left and on which nothing counts any more.
    pub(super) fn reap_leaving(&mut self) {
        if self.cx.listeners.is_due() {
            let registry = &self.cx.registry;
            self.cx.listeners.reap(Listener::is_free, |_, mut listener| {
                if let Some(receiving) = listener.receiving() {
                    receiving.listener.deregister(registry);
                }
            });
            self.udp.forget_listeners(&self.cx);
        }
        if self.cx.services.is_due() {
            self.cx.services.reap(Service::is_free, |_, _| {});
        }
        if self.health.has_leaving() {
            self.health.reap(&mut self.cx);
        }
        if self.cx.backends.is_to_be_reaped() {
            self.cx.backends.reap();
        }
    }

    /// No new clients from now on; those that wait to be accepted come in during the next turns.
    pub(super) fn leave_all_listeners(&mut self) {
        let all = self.cx.listeners.ids();
        all.into_iter().for_each(|id| self.remove_listener(id));
    }
}
