//! What clients do that nobody should, told to the guard, which bans who does it often.

use std::net::IpAddr;

use crate::context::Context;
use crate::event::ListenerId;
use crate::guard::ranges::Found;

use super::client::Client;

/// Somebody did what nobody should. Who is on a list of those that are allowed, or speaks for
/// others, is not punished for it.
pub fn strike(address: IpAddr, listener: ListenerId, why: &str, cx: &mut Context) {
    if !cx.guard.banning.counts_strikes() {
        return;
    }
    let Some(listener) = cx.listeners.get(listener) else { return };
    let is_listed = listener.guard.access.find(address) == Found::Allowed { is_listed: true };
    if !is_listed && !listener.settings.trusts(address) {
        cx.guard.banning.strike(address, why, cx.now);
    }
}

/// The same of a client, by the address that it came from.
pub fn by_client(client: &Client, why: &str, cx: &mut Context) {
    strike(client.address.ip(), client.listener, why, cx);
}
