//! Who uses a server: of all pools, or of the clients of one.

use crate::context::Context;
use crate::event::{Key, PoolId, ServerId, Slots};
use crate::relay::Pair;
use crate::relay::udp::Udp;

/// Connections and flows of a pool's clients to a server. Where the server serves other pools as
/// well, they are looked at one by one: for whoever asks, and not for each turn.
pub fn connections_of(
    server: ServerId,
    pool: Option<PoolId>,
    cx: &Context,
    pairs: &Slots<Pair>,
    udp: &Udp,
) -> u64 {
    if pool.is_none() || !cx.backends.is_shared(server) {
        return cx.backends.connections(server);
    }
    let is_its = |key: Key| pairs.get(key).is_some_and(|pair| pair.client.home.pool == pool);
    let connections = cx.connections.iter().map(|(_, it)| it);
    let to_it = connections.filter(|it| it.backend == server);
    let pairs = to_it.filter_map(|it| it.user.pair()).filter(|&key| is_its(key));
    (pairs.count() + udp.flows_to(server, pool)) as u64
}
