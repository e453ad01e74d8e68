//! What of a request the choice of a backend depends on, and the sticky cookie by which that choice
//! is found again.

use crate::backends::{Backends, ServerId};
use crate::balance;
use crate::config::HashKey;
use crate::context::Context;
use crate::http::RequestHead;
use crate::http::added::{Cookie, Proto};

use super::super::super::client::Client;
use super::Exchange;

impl Exchange {
    /// Take from the head what the choice of a backend depends on: hash key and sticky cookie.
    pub(super) fn place(
        &mut self,
        head: &RequestHead,
        total: usize,
        client: &mut Client,
        cx: &Context,
    ) {
        let input = &cx.scratch[..total];
        let fields = &cx.http.fields;
        let Some(pool) = cx.backends.pool(client.home.pool) else { return };
        let key = match &pool.settings.hash_key {
            HashKey::Ip => None,
            HashKey::Uri => Some(head.path),
            HashKey::Path => Some(head.path_alone(input)),
            HashKey::Header(name) => fields.find(input, name),
            HashKey::Cookie(name) => fields.cookie(input, name),
        };
        if let Some(key) = key {
            client.search_mut().hash_key = Some(balance::hash_key(key.of(input)));
        }
        let Some(cookie) = pool.cookie() else { return };
        let token = fields.cookie(input, &cookie.name);
        self.stuck_to =
            token.and_then(|token| cx.backends.by_token(token.of(input), client.home.pool));
        let trusted = || cx.listener(client.listener).trusts(client.address.ip());
        let said = || fields.find(input, "x-forwarded-proto").map(|it| it.of(input));
        let https = |said: &[u8]| said.eq_ignore_ascii_case(b"https");
        let is_https = client.proto() == Proto::Https || trusted() && said().is_some_and(https);
        self.client_proto = if is_https { Proto::Https } else { Proto::Http };
    }

    /// The value of Set-Cookie for the sticky cookie; `None` if the client has it already.
    pub(super) fn cookie(
        &self,
        ours: &Cookie,
        backend: ServerId,
        client: &Client,
        backends: &Backends,
    ) -> Option<String> {
        let token = backends.token(backend, client.home.pool)?;
        (self.stuck_to != Some(backend)).then(|| ours.set(token, self.client_proto))
    }
}
