//! What the rules of a service make of a request: another pool, edits of heads, or an answer of
//! ours.
//!
//! All is filled in here, before anything of the request is sent: what cannot be had is answered
//! with an error. The edits of the request lie in the lists that every message fills anew, for it
//! is composed at once; those of the answer go with the exchange.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;

use crate::access_log::Cause;
use crate::config::RedirectTo;
use crate::context::{Context, Home};
use crate::http::RequestHead;
use crate::http::edits::{Edits, ResponseEdits, Unfit};
use crate::http::expand::{Expand, location};
use crate::net::Stream;
use crate::services::{Decided, Page, Rules, Service};

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::{Chosen, facts, go_elsewhere};

/// What is done with a request that goes to a backend: how its rules edit it, as a rule not at all;
/// and what is to be asked of its service, so that it need not be found again to say nothing.
#[derive(Debug, Default)]
pub struct Served {
    /// Rules edit its head as the lists say.
    pub edited: bool,
    /// Perhaps it is answered here after all: the service has pages of its own, or redirects.
    pub may_be_answered: bool,
    /// A copy of it may be wanted.
    pub mirrored: bool,
    /// The rule that chose its pool, counted from 1, if one did.
    pub rule: Option<NonZeroU8>,
    /// What rules do to the head of its answer.
    pub response: Option<Box<ResponseEdits>>,
}

impl Served {
    /// By this service, whatever its rules.
    #[inline]
    pub fn by(service: &Service) -> Served {
        Served {
            edited: false,
            may_be_answered: !service.answers_nothing(),
            mirrored: service.mirror.is_some(),
            rule: None,
            response: None,
        }
    }
}

/// An answer that a rule gives.
#[derive(Debug)]
pub struct Ruled {
    /// Its status.
    pub status: u16,
    /// What is in it.
    pub body: RuledBody,
    /// What the rule and those before it do to its head.
    pub edits: ResponseEdits,
}

/// What is in an answer that a rule gives.
#[derive(Debug)]
pub enum RuledBody {
    /// The place to which it redirects.
    Location(Vec<u8>),
    /// A body of the operator's.
    Page(Arc<Page>),
    /// The words of its status.
    Words,
}

/// What becomes of the request whose head lies at the beginning of the scratch buffer, as these
/// rules of its service say.
#[cold]
pub(super) fn by_rules(
    rules: &Rules,
    served: &Served,
    head: &RequestHead,
    mut home: Home,
    client: &mut Client,
    cx: &mut Context,
) -> Chosen {
    let decision = rules.decide(&facts(head, client, cx));
    let edits = Edits { list: &rules.edits, applied: decision.applied };
    let host = own_host(head, &client.socket);
    // Lent, for the rest of the context is looked at meanwhile.
    let mut request = std::mem::take(&mut cx.http.edits);
    let with = with(head, &host, client, cx);
    let chosen = match decision.verdict {
        Decided::Redirect(it) => redirect(it, edits, &with),
        Decided::Respond(status, page) => {
            let body = page.map_or(RuledBody::Words, |page| RuledBody::Page(page.clone()));
            answer(status, body, edits, &with)
        }
        Decided::Nothing | Decided::Pool(_) => edits
            .request(&with, &mut request)
            .and_then(|()| response_edits(edits, &with))
            .map(|response| {
                let edited = !request.is_empty();
                let &Served { may_be_answered, mirrored, .. } = served;
                let rule = decision.rule;
                Chosen::Backend(Served { edited, may_be_answered, mirrored, rule, response })
            }),
    };
    cx.http.edits = request;
    if let Decided::Pool(pool) = decision.verdict {
        home.pool = pool;
    }
    if home != client.home {
        go_elsewhere(home, client, cx);
    }
    chosen.unwrap_or_else(|unfit| Chosen::Own(of_unfit(unfit)))
}

fn response_edits(
    edits: Edits<'_>,
    with: &Expand<'_>,
) -> Result<Option<Box<ResponseEdits>>, Unfit> {
    let mut response = ResponseEdits::default();
    edits.response(with, &mut response)?;
    Ok((!response.is_empty()).then(|| Box::new(response)))
}

fn redirect(it: &RedirectTo, edits: Edits<'_>, with: &Expand<'_>) -> Result<Chosen, Unfit> {
    let mut to = Vec::new();
    location(&it.to, with, &mut to)?;
    answer(it.status, RuledBody::Location(to), edits, with)
}

fn answer(
    status: u16,
    body: RuledBody,
    edits: Edits<'_>,
    with: &Expand<'_>,
) -> Result<Chosen, Unfit> {
    let mut of_head = ResponseEdits::default();
    edits.response(with, &mut of_head)?;
    Ok(Chosen::Ruled(Box::new(Ruled { status, body, edits: of_head })))
}

/// Our own answer to a request that cannot be edited as rules say.
fn of_unfit(unfit: Unfit) -> OwnAnswer {
    OwnAnswer::saying(unfit.status(), Cause::Unfit, unfit.reason())
}

/// What templates are filled in with.
fn with<'a>(
    head: &'a RequestHead,
    host: &'a str,
    client: &Client,
    cx: &'a Context,
) -> Expand<'a> {
    Expand {
        head,
        fields: &cx.http.fields,
        input: &cx.scratch,
        client: client.address.ip(),
        proto: client.proto(),
        host,
    }
}

/// What stands for the host of a request without one, which only HTTP/1.0 may leave out: the
/// address that the client connected to, without the port. Empty where a host was named.
pub fn own_host(head: &RequestHead, socket: &Stream) -> String {
    if head.host.is_some() {
        return String::new();
    }
    match socket.local_address().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => "localhost".to_owned(),
    }
}
