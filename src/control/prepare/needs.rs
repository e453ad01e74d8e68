//! How many descriptors are kept for what is not a client.

use crate::config::{Check, Desired, Listen, PoolSpec};
use crate::limits::DNS_LOOKUPS_MAX;
use crate::net::descriptors::Needs;

/// Sockets of a look-up: one for each server that is asked, by UDP and by TCP.
const LINES_OF_LOOKUP: usize = 2;

/// Descriptors are counted in steps of so many.
const NEEDS_STEP: usize = 32;

/// Of what is wanted, with so many servers.
pub(super) fn needs(desired: &Desired, servers: usize) -> Needs {
    let is_udp = |listen: &Listen| listen.protocol.is_udp();
    let datagrams = desired.listeners.iter().filter(|it| is_udp(&it.listen)).count();
    let is_probed = |pool: &PoolSpec| pool.settings.check.kind != Check::None;
    let probes = if desired.pools.iter().any(is_probed) { servers } else { 0 };
    let all = desired.pools.iter().flat_map(|pool| &pool.backends);
    let named = all.filter(|it| it.at.known().is_none() || it.member_of.is_some());
    let lines = LINES_OF_LOOKUP * named.take(DNS_LOOKUPS_MAX).count();
    // In steps: members that come and go by DNS are not to change how many clients there may be.
    let probes = (probes + lines).next_multiple_of(NEEDS_STEP);
    Needs { streams: desired.listeners.len() - datagrams, datagrams, probes, handed: 0 }
}
