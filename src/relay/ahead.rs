//! What a connection to a backend begins with where that asks for it: the header of the PROXY
//! protocol that says who the client is.
//!
//! The header is made when the connection is begun, handed to its stream, and sent by that ahead of
//! everything else. Backends that ask for none cost a look.

use std::net::SocketAddr;

use crate::backends::ServerId;
use crate::config::{ProxyTlv, SendProxy};
use crate::context::Context;
use crate::event::ListenerId;
use crate::flow::FlowKey;
use crate::http::RequestId;
use crate::net::Stream;
use crate::net::tls::Tls;
use crate::proxy_header::Transport;
use crate::proxy_header::write::{self, CertificateSaid, Said, SslSaid, common_name};

use super::client::Client;
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
    cx: &mut Context,
) -> Option<Box<[u8]>> {
    let Some(SendProxy::V2(tlvs)) = cx.backends[backend].proxy else { return None };
    let to = datagrams_came_to(client.listener, client, cx);
    let id = tlvs.has(ProxyTlv::UniqueId).then(|| cx.traces.maker.make(cx.now));
    let said = Said {
        crc32c: tlvs.has(ProxyTlv::Crc32c),
        unique_id: id.as_ref().map(RequestId::as_bytes),
        ..Said::default()
    };
    Some(write::v2(Transport::Datagram, client.address, to, &said).into())
}

/// Which of our addresses a client wrote to. At a wildcard the datagram says it.
fn datagrams_came_to(listener: ListenerId, client: &FlowKey, cx: &Context) -> SocketAddr {
    let at = cx.listeners[listener].address;
    client.local().map_or(at, |ip| SocketAddr::new(ip, at.port()))
}

#[cold]
fn header(proxy: SendProxy, client: &mut Client, cx: &mut Context) -> Box<[u8]> {
    let source = client.address.address();
    // A client that is gone already has none, and nobody will ask for it.
    let destination = client.socket.local_address().unwrap_or(source);
    let SendProxy::V2(tlvs) = proxy else {
        return write::v1(source, destination).into();
    };
    let id = tlvs.has(ProxyTlv::UniqueId).then(|| trace::identified(client, cx));
    let tls = client.socket.tls();
    let asked_for = tls.map_or_else(|| client.server_name(), Tls::server_name);
    let subject = tls.and_then(Tls::subject).and_then(common_name);
    let said = Said {
        alpn: tls.and_then(Tls::alpn).filter(|_| tlvs.has(ProxyTlv::Alpn)),
        authority: asked_for.filter(|_| tlvs.has(ProxyTlv::Authority)),
        crc32c: tlvs.has(ProxyTlv::Crc32c),
        unique_id: id.as_ref().map(RequestId::as_bytes),
        ssl: tls
            .filter(|_| tlvs.has(ProxyTlv::Ssl))
            .and_then(|tls| ssl(tls, subject.as_deref())),
    };
    write::v2(Transport::Stream, source, destination, &said).into()
}

/// How a client speaks TLS. A certificate that was shown is verified: without that the handshake
/// would have failed.
fn ssl<'a>(tls: &'a Tls, common_name: Option<&'a str>) -> Option<SslSaid<'a>> {
    let (version, cipher) = tls.agreed()?;
    let is_shown = tls.subject().is_some() || tls.leaves_subject_out();
    let certificate = is_shown
        .then(|| CertificateSaid { common_name, on_this_connection: !tls.is_resumed() });
    Some(SslSaid { version, cipher, certificate })
}
