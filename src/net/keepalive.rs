//! TCP's own question whether a silent peer is still there (`SO_KEEPALIVE`). Set on a listener, and
//! inherited by what it accepts; set on a connection to a backend by the event loop's sweep.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

use crate::limits::{TCP_KEEPALIVE_MIN, TCP_KEEPALIVE_PARTS, TCP_KEEPALIVE_PROBES};

/// Let TCP ask a peer that is silent for so long whether it is there; zero: never.
pub fn set(socket: impl AsFd, after: Duration) {
    let socket = socket.as_fd();
    if after.is_zero() {
        let _ = sockopt::set_socket_keepalive(socket, false);
        return;
    }
    let interval = (after / TCP_KEEPALIVE_PARTS).max(TCP_KEEPALIVE_MIN);
    // Failing, a peer that vanished is noticed later. In this order: it is counted from when the
    // peer was last heard.
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepintvl(socket, interval);
    let _ = sockopt::set_tcp_keepcnt(socket, TCP_KEEPALIVE_PROBES);
    let _ = sockopt::set_tcp_keepidle(socket, after);
}
