//! What a process has of the one in whose place it is, before its first turn.

use std::os::fd::OwnedFd;

use log::info;

use crate::config::counted;
use crate::context::Home;
use crate::event::ServerId;
use crate::net::DatagramSocket;
use crate::takeover::{Counts, FlowRow};

use super::EventLoop;

impl EventLoop {
    /// Its flows of UDP go on here: each came in at one of its listening sockets, which is now that
    /// of our listener at this place. Those whose backend is none of ours begin anew with their
    /// client's next datagram.
    pub fn take_flows(
        &mut self,
        flows: Vec<(FlowRow, OwnedFd)>,
        place_of: impl Fn(u32) -> Option<usize>,
    ) {
        let all = flows.len();
        let mut taken = 0;
        for (row, socket) in flows {
            let listener = place_of(row.listener);
            let listener = listener.and_then(|at| self.directory.listeners.get(at).copied());
            let Some(listener) = listener else { continue };
            let Some(server) = self.server_of_flow(&row, &socket) else { continue };
            let service = self.cx.listeners[listener].only;
            let pool = service.and_then(|id| self.cx.services.get(id)).and_then(|it| it.pool);
            let home = Home { service, pool };
            let goes_on = self.udp.adopt(&row, socket, (listener, home, server), &mut self.cx);
            taken += usize::from(goes_on);
        }
        // They were opened, and nobody else counts their end.
        self.cx.stats.udp.cut_off += (all - taken) as u64;
        if all > 0 {
            info!("{} of {} of the process before go on", counted(taken, "flow"), all);
        }
    }

    /// The backend to which it leads: by its name, or else by its address.
    fn server_of_flow(&mut self, row: &FlowRow, socket: &OwnedFd) -> Option<ServerId> {
        let peer = DatagramSocket::peer_of(socket)?;
        let named = self.server_named(&row.pool, &row.backend);
        let is_there = |id: &ServerId| {
            let server = self.cx.backends.get(*id);
            server.is_some_and(|it| it.addresses.has(&peer.into()))
        };
        if let Some(id) = named.filter(is_there) {
            return Some(id);
        }
        let pool = self.directory.pool(&row.pool)?;
        let all = 0..pool.spec.backends.len();
        let others = all.filter_map(|at| self.directory.backend_at(pool, at));
        others.map(|it| it.server).find(is_there)
    }

    /// We may serve: what it counted last.
    pub fn take_place(&mut self, counts: &[Counts]) {
        self.begin_to_serve();
        self.supervision.goes_on = true;
        counts.iter().for_each(|it| self.add_counts(it));
    }

    /// It has given up its place: the files of its sockets are ours.
    pub fn own_place(&mut self) {
        for (_, listener) in self.cx.listeners.iter_mut() {
            if let Some(accepting) = listener.accepting() {
                accepting.listener.own_file();
            }
        }
        for (_, listener) in self.admin.listeners.iter_mut() {
            listener.own_file();
        }
    }
}
