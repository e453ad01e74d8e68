//! The phase that picks a pool: by the server name that the client asks for.

use log::debug;

use crate::context::Context;
use crate::hello::Alert;

use super::client::Client;
use super::verdict::{Successor, Verdict};
use super::{parting, report};

/// Choose the pool; a name that none serves is refused with an alert.
pub fn route(client: &mut Client, cx: &mut Context) -> Verdict {
    let name = client.take_server_name();
    let pool = cx.routes.find(name.as_deref());
    debug!(
        "pair {}: asks for {}, {}",
        client.number,
        name.as_deref().unwrap_or("nobody by name"),
        cx.backends.pool(pool).map_or("which nobody serves", |pool| &pool.name),
    );
    report::named(name, client, cx.now);
    let Some(pool) = pool else {
        cx.stats.names_unknown += 1;
        return parting::alert(Alert::UnrecognizedName, client, cx);
    };
    cx.backends.routed(pool);
    cx.backends.exit(client.pool);
    client.pool = Some(pool);
    cx.backends.enter(client.pool);
    Verdict::Become(Successor::NextPhase)
}
