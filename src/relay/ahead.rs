//! What a connection to a backend begins with where that asks for it: the header of the PROXY
//! protocol that says who the client is.
//!
//! The header is made when the connection is begun, handed to its stream, and sent by that ahead of
//! everything else. Backends that ask for none cost a look.

use std::net::SocketAddr;

use crate::backends::ServerId;
use crate::config::{ProxyTlv, ProxyTlvs, SendProxy};
use crate::context::Context;
use crate::event::ListenerId;
use crate::flow::FlowKey;
use crate::http::RequestId;
use crate::net::tls::Tls;
use crate::net::{LOCAL_PEER, Stream};
use crate::proxy_header::Transport;
use crate::proxy_header::read::Heard;
use crate::proxy_header::write::{self, CertificateSaid, Said, Ssl, SslSaid, common_name};

use super::client::Client;
use super::proxied::Proxied;
use super::trace;

/// A connection to this backend is begun for a client: it begins with what the backend asks for.
#[inline]
pub fn begin(stream: &mut Stream, backend: ServerId, client: &mut Client, cx: &mut Context) {
    if let Some(proxy) = cx.backends[backend].proxy {
        stream.begin_with(header(proxy, client, cx));
    }
}

/// What precedes each datagram of this client, if the backend asks for that. Version 1 knows no
/// datagrams; it is refused where backends are configured.
pub fn of_datagrams(
    backend: ServerId,
    client: &FlowKey,
    proxied: Option<&Proxied>,
    cx: &mut Context,
) -> Option<Box<[u8]>> {
    let Some(SendProxy::V2(tlvs)) = cx.backends[backend].proxy else { return None };
    let ours = || datagrams_came_to(client.listener, client, cx);
    let to = proxied.and_then(|it| it.ends).map_or_else(ours, |ends| ends.destination);
    let passed_on = proxied.map_or_else(Said::default, |it| passed_on(&it.heard, tlvs));
    let asks_id = tlvs.has(ProxyTlv::UniqueId) && passed_on.unique_id.is_none();
    let id = asks_id.then(|| cx.traces.maker.make(cx.now));
    let said = Said {
        crc32c: tlvs.has(ProxyTlv::Crc32c),
        unique_id: passed_on.unique_id.or(id.as_ref().map(RequestId::as_bytes)),
        ..passed_on
    };
    Some(write::v2(Transport::Datagram, client.address(), to, &said).into())
}

/// Which of our addresses a client wrote to. At a wildcard the datagram says it.
fn datagrams_came_to(listener: ListenerId, client: &FlowKey, cx: &Context) -> SocketAddr {
    // Datagrams come at no UNIX socket.
    let at = cx.listeners[listener].address.socket_address().unwrap_or(LOCAL_PEER);
    client.local().map_or(at, |ip| SocketAddr::new(ip, at.port()))
}

#[cold]
fn header(proxy: SendProxy, client: &mut Client, cx: &mut Context) -> Box<[u8]> {
    let source = client.address.address();
    // A client that is gone already has none, and nobody will ask for it.
    let ours = || client.socket.local_address().unwrap_or(source);
    let in_front = client.proxied().and_then(|it| it.ends);
    let destination = in_front.map_or_else(ours, |ends| ends.destination);
    let SendProxy::V2(tlvs) = proxy else {
        return write::v1(source, destination).into();
    };
    let is_named = client.proxied().is_some_and(|it| it.heard.unique_id.is_some());
    let asks_id = tlvs.has(ProxyTlv::UniqueId) && !is_named;
    let id = asks_id.then(|| trace::identified(client, cx));
    let tls = client.socket.tls();
    let heard = client.proxied().map(|it| &it.heard);
    let passed_on = heard.map_or_else(Said::default, |heard| passed_on(heard, tlvs));
    let asked_for = tls.map_or_else(|| client.server_name(), Tls::server_name);
    let subject = tls.and_then(Tls::subject).and_then(common_name);
    let ours = Said {
        alpn: tls.and_then(Tls::alpn).filter(|_| tlvs.has(ProxyTlv::Alpn)),
        ssl: tls
            .filter(|_| tlvs.has(ProxyTlv::Ssl))
            .and_then(|tls| ssl(tls, subject.as_deref())),
        ..Said::default()
    };
    // Whoever spoke TLS with us said to us what holds for it.
    let of_tls = if tls.is_some() { ours } else { passed_on };
    let said = Said {
        authority: asked_for.filter(|_| tlvs.has(ProxyTlv::Authority)).or(passed_on.authority),
        crc32c: tlvs.has(ProxyTlv::Crc32c),
        unique_id: passed_on.unique_id.or(id.as_ref().map(RequestId::as_bytes)),
        ..of_tls
    };
    write::v2(Transport::Stream, source, destination, &said).into()
}

/// What a proxy in front said, as far as the backend wants to be told.
fn passed_on(heard: &Heard, tlvs: ProxyTlvs) -> Said<'_> {
    let ssl = heard.ssl.as_deref().filter(|it| it.is_ssl && tlvs.has(ProxyTlv::Ssl));
    Said {
        alpn: heard.alpn.as_deref().filter(|_| tlvs.has(ProxyTlv::Alpn)),
        authority: heard.authority.as_deref().filter(|_| tlvs.has(ProxyTlv::Authority)),
        crc32c: tlvs.has(ProxyTlv::Crc32c),
        unique_id: heard.unique_id.as_deref().filter(|_| tlvs.has(ProxyTlv::UniqueId)),
        ssl: ssl.map(|it| Ssl::PassedOn(&it.value)),
    }
}

/// How a client speaks TLS. A certificate that was shown is verified: without that the handshake
/// would have failed.
fn ssl<'a>(tls: &'a Tls, common_name: Option<&'a str>) -> Option<Ssl<'a>> {
    let (version, cipher) = tls.agreed()?;
    let is_shown = tls.subject().is_some() || tls.leaves_subject_out();
    let certificate = is_shown
        .then(|| CertificateSaid { common_name, on_this_connection: !tls.is_resumed() });
    Some(Ssl::Ours(SslSaid { version, cipher, certificate }))
}
