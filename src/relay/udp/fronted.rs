//! Datagrams of proxies that say whose they are: each begins with a header of the PROXY protocol,
//! which is cut off.
//!
//! A header holds for its own datagram alone. So it does not matter which ones are lost or come out
//! of order, and whoever sends one without a header is never taken for the client before.

use std::net::SocketAddr;

use log::{debug, info};

use crate::context::Context;
use crate::flow::FlowKey;
use crate::limits::UNHEADED_TOLD;
use crate::net::Piece;
use crate::proxy_header::read::{Header, Heard, Why, read_datagram};

use super::super::proxied::Proxied;
use super::{Udp, guarded};

impl Udp {
    /// Datagrams of a peer of whom headers are required go to the flows of those whom these name.
    #[cold]
    pub(super) fn sort_fronted(&mut self, peer: &FlowKey, piece: Piece, cx: &mut Context) {
        // Each costs as much as one that came alone.
        self.budget.received(piece.count() as usize - 1);
        let mut left = Some(piece);
        while let Some(piece) = left {
            let (datagram, rest) = piece.split(1);
            left = rest;
            match read_datagram(datagram.of(self.batch.memory())) {
                Ok((header, length)) => {
                    self.sort_one(peer, header, datagram.without_front(length), cx);
                }
                Err(why) => self.drop_unheaded(peer, why, cx),
            }
        }
    }

    /// A datagram, its header taken off.
    fn sort_one(&mut self, peer: &FlowKey, header: Header, rest: Piece, cx: &mut Context) {
        let Header { ends, heard, .. } = header;
        let client = ends.map_or(*peer, |ends| peer.of_client(ends.source));
        let Some(piece) = guarded::admitted(&client, rest, cx) else { return };
        let is_said = ends.is_some() || heard != Heard::default();
        let proxied = is_said.then(|| Proxied { peer: plain(peer.peer()).into(), ends, heard });
        self.sort(&client, piece, proxied.as_ref(), cx);
    }

    /// It has no line in the access log, for there is no flow.
    fn drop_unheaded(&mut self, peer: &FlowKey, why: Why, cx: &mut Context) {
        cx.stats.udp.dropped_no_header += 1;
        let from = plain(peer.peer());
        debug!("datagram of {from}: no PROXY header: {why}");
        if self.unheaded.allows(cx.now, UNHEADED_TOLD) {
            let count = cx.stats.udp.dropped_no_header;
            let name = &cx.listeners[peer.listener].stats.name;
            info!(
                "{name}: no PROXY header from {from}: {why}; {count} datagrams dropped so far"
            );
        }
    }
}

/// IPv4 as IPv4, whatever the listener's socket calls it.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
