//! Which service a client is of, and so the pool that it goes to: by the listener alone, by the
//! server name that it asks for, or by its request; and what its rules make of a request.

mod ruling;

use std::num::NonZeroU8;

use log::debug;

use crate::access_log::Cause;
use crate::config::Service as Speaks;
use crate::context::{Context, Home};
use crate::event::ServiceId;
use crate::hello::Alert;
use crate::http::RequestHead;
use crate::http::facts::RequestFacts;
use crate::net::tls::Tls;

use super::account::OwnAnswer;
use super::client::Client;
use super::verdict::{Reason, Successor, Verdict};
use super::{guard, parting, report, trace};

use ruling::by_rules;
pub use ruling::{Ruled, RuledBody, Served, own_host};

/// The phase of listeners at which the server name decides: a name that no service takes is
/// refused.
pub fn route(client: &mut Client, cx: &mut Context) -> Verdict {
    let listener = &cx.listeners[client.listener];
    // Requests say more, and choose for themselves.
    if listener.phases.service == Speaks::Http {
        return Verdict::Become(Successor::NextPhase);
    }
    let is_terminated = client.socket.tls().is_some();
    if is_terminated && listener.only.is_some() {
        return Verdict::Become(Successor::NextPhase);
    }
    let name = match client.socket.tls() {
        Some(tls) => tls.server_name().map(Into::into),
        None => client.take_server_name(),
    };
    let name = name.or_else(|| client.name_in_front());
    let service = listener.choice.find_name(name.as_deref());
    let home = home_of(service, cx);
    debug!(
        "pair {}: asks for {}, {}",
        client.number,
        name.as_deref().unwrap_or("nobody by name"),
        cx.backends.pool(home.pool).map_or("which nobody serves", |pool| &pool.name),
    );
    trace::named(name.as_deref(), client, cx);
    let said = name.clone().filter(|_| !is_terminated && cx.backends.say_authority());
    report::named(name, client, cx.now);
    if home.pool.is_none() {
        cx.stats.names_unknown += 1;
        if is_terminated {
            return Verdict::Close(Reason::Alerted(Alert::UnrecognizedName));
        }
        return parting::alert(Alert::UnrecognizedName, client, cx);
    }
    move_to(home, client, cx);
    if let Some(name) = said {
        client.search_mut().server_name = Some(name);
    }
    Verdict::Become(Successor::NextPhase)
}

/// What becomes of a request before a backend is looked for.
pub enum Chosen {
    /// It goes to a backend of the client's pool.
    Backend(Served),
    /// It is answered here.
    Own(OwnAnswer),
    /// It is answered here, as a rule says.
    Ruled(Box<Ruled>),
}

impl Chosen {
    /// The rule that chose the pool, counted from 1, if one did.
    #[inline]
    pub fn rule(&self) -> Option<NonZeroU8> {
        match self {
            Chosen::Backend(served) => served.rule,
            Chosen::Own(_) | Chosen::Ruled(_) => None,
        }
    }
}

/// The service that takes the request whose head lies at the beginning of the scratch buffer, and
/// what its rules make of it.
#[inline]
pub fn choose(head: &RequestHead, client: &mut Client, cx: &mut Context) -> Chosen {
    let listener = &cx.listeners[client.listener];
    let id = match listener.only {
        Some(only) => Some(only),
        None => choose_by_request(head, client, cx),
    };
    let Some((id, service)) = id.and_then(|id| Some((id, cx.services.get(id)?))) else {
        return unserved(head, client, cx);
    };
    let home = Home { service: Some(id), pool: service.pool };
    if cx.guard.asks(&service.guard)
        && let Some(own) = guard::request(id, head, client, cx)
    {
        if home != client.home {
            go_elsewhere(home, client, cx);
        }
        return Chosen::Own(own);
    }
    let Some(service) = cx.services.get(id) else { return unserved(head, client, cx) };
    let served = Served::by(service);
    if let Some(rules) = service.rules.as_ref().filter(|rules| !rules.is_empty()) {
        return by_rules(&rules.clone(), &served, head, home, client, cx);
    }
    if home != client.home {
        go_elsewhere(home, client, cx);
    }
    Chosen::Backend(served)
}

fn home_of(service: Option<ServiceId>, cx: &Context) -> Home {
    let pool = service.and_then(|id| cx.services.get(id)).and_then(|service| service.pool);
    Home { service, pool }
}

#[cold]
fn choose_by_request(head: &RequestHead, client: &Client, cx: &Context) -> Option<ServiceId> {
    cx.listeners[client.listener].choice.find(&facts(head, client, cx))
}

/// What the request says that lies at the beginning of the scratch buffer.
pub fn facts<'a>(
    head: &'a RequestHead,
    client: &'a Client,
    cx: &'a Context,
) -> RequestFacts<'a> {
    let listener = &cx.listeners[client.listener].name;
    client.facts(head, &cx.http.fields, &cx.scratch, listener)
}

/// The last request of the client was another service's, or went to another pool. What it has of a
/// backend there, because it logged in on it, is of no use here.
#[cold]
fn go_elsewhere(home: Home, client: &mut Client, cx: &mut Context) {
    if let Some(key) = client.link.take() {
        cx.retire(key);
    }
    move_to(home, client, cx);
}

fn move_to(home: Home, client: &mut Client, cx: &mut Context) {
    cx.go_over(client.home, home);
    client.home = home;
}

/// No service is for this request. Where the connection's certificate is not for its host, another
/// connection may find one (RFC 9110, section 15.5.20).
#[cold]
fn unserved(head: &RequestHead, client: &mut Client, cx: &mut Context) -> Chosen {
    if client.home != Home::default() {
        go_elsewhere(Home::default(), client, cx);
    }
    let host = head.host.map(|host| host.of(&cx.scratch)).unwrap_or_default();
    let listener = &cx.listeners[client.listener];
    let shown = client.socket.tls().and_then(Tls::server_name);
    let is_shown_for = |name: &str| match &listener.tls {
        Some(tls) => tls.shows_the_same(name, host),
        None => true,
    };
    cx.stats.unserved += 1;
    Chosen::Own(match shown.is_none_or(is_shown_for) {
        true => OwnAnswer::new(404, Cause::NoService),
        false => OwnAnswer::new(421, Cause::Misdirected),
    })
}
