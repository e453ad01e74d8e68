//! An HTTP/1.1 reverse proxy with hyper: its server towards clients, through TLS by tokio-rustls if
//! there is a certificate, and the pooling client of hyper-util towards backends.
//!
//! A request passes with what is for one hop alone taken out and what the backend should know of
//! the client put in; bodies stream. hyper parses and writes heads, keeps connections and bounds
//! bodies.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{Either, Empty};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pointsman_peers::{BACKLOG, Backends, Lease, Options, REST, fail};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long an idle connection to a backend is kept.
const IDLE: Duration = Duration::from_secs(3600);

/// For one hop alone, besides what Connection names (RFC 9110, 7.6.1). Transfer-Encoding is here
/// too: hyper writes it afresh.
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What goes back: the backend's body, which counts as long as it flows, or none of our own.
type Answer = Response<Either<Counted, Empty<Bytes>>>;

fn main() {
    let options = Options::from_command_line();
    let serve = || {
        // Spawned and not only blocked on: of a runtime with workers, they shall accept as well.
        options.runtime.build()?.block_on(async { tokio::spawn(serve(options.clone())).await? })
    };
    if let Err(error) = serve() {
        fail("hyper-proxy", &error, 1);
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = listen(&options)?;
    let proxy = Arc::new(Proxy::new(&options)?);
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                tokio::spawn(Arc::clone(&proxy).welcome(stream, client.ip()));
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

fn listen(options: &Options) -> io::Result<TcpListener> {
    let socket = match options.listen {
        address if address.is_ipv4() => TcpSocket::new_v4()?,
        _ => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it (Linux).
    socket.set_nodelay(true)?;
    socket.bind(options.listen)?;
    socket.listen(BACKLOG)
}

/// TLS with clients, if there is a certificate; sessions are resumed by ticket.
fn acceptor(options: &Options) -> io::Result<Option<TlsAcceptor>> {
    let Some((certificate, key)) = &options.tls else { return Ok(None) };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)?.collect();
    let chain = chain.map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

struct Proxy {
    acceptor: Option<TlsAcceptor>,
    client: Client<HttpConnector, Incoming>,
    backends: Arc<Backends>,
    /// How each backend is called in a URI.
    authorities: Vec<Authority>,
}

impl Proxy {
    fn new(options: &Options) -> io::Result<Proxy> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            // Host passes as it came.
            .set_host(false)
            .build(connector);
        let authority = |address: &SocketAddr| Authority::try_from(address.to_string());
        let authorities: Result<_, _> = options.backends.iter().map(authority).collect();
        let authorities = authorities.map_err(io::Error::other)?;
        let acceptor = acceptor(options)?;
        let backends = Backends::new(&options.backends);
        Ok(Proxy { acceptor, client, backends, authorities })
    }

    /// A client that has just come.
    async fn welcome(self: Arc<Proxy>, stream: TcpStream, client: IpAddr) {
        match self.acceptor.clone() {
            None => self.converse(stream, client).await,
            Some(acceptor) => {
                // With whom hands cannot be shaken there is nothing to talk about.
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.converse(stream, client).await;
                }
            }
        }
    }

    /// All requests of one client's connection.
    async fn converse<S>(self: Arc<Proxy>, stream: S, client: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let answer = |request| {
            let proxy = Arc::clone(&self);
            async move { Ok::<_, Infallible>(proxy.exchange(request, client).await) }
        };
        let server = hyper::server::conn::http1::Builder::new();
        // A client that is gone, or talks nonsense, is no news.
        let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    }

    /// One request and its answer.
    async fn exchange(&self, mut request: Request<Incoming>, client: IpAddr) -> Answer {
        let lease = self.backends.pick();
        let version = request.version();
        let authority = self.authorities[lease.index()].clone();
        if readdress(&mut request, authority).is_none() {
            return ours(StatusCode::BAD_REQUEST);
        }
        remove_hop_by_hop(request.headers_mut());
        let scheme = if self.acceptor.is_some() { "https" } else { "http" };
        tell_of_client(request.headers_mut(), client, scheme, version);
        match self.client.request(request).await {
            Ok(mut response) => {
                *response.version_mut() = Version::HTTP_11;
                remove_hop_by_hop(response.headers_mut());
                response.map(|body| Either::Left(Counted { body, _lease: lease }))
            }
            Err(_) => ours(StatusCode::BAD_GATEWAY),
        }
    }
}

/// The same path at the backend.
fn readdress(request: &mut Request<Incoming>, authority: Authority) -> Option<()> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = Version::HTTP_11;
    Some(())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have no Connection, or one that names nothing.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
}

/// X-Forwarded-For, -Proto, -Host and Via; what the client says of itself is not believed.
fn tell_of_client(
    headers: &mut HeaderMap,
    client: IpAddr,
    scheme: &'static str,
    version: Version,
) {
    if let Ok(address) = HeaderValue::try_from(client.to_canonical().to_string()) {
        headers.insert(X_FORWARDED_FOR, address);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
    let via = if version == Version::HTTP_10 { "1.0 hyper" } else { "1.1 hyper" };
    headers.append(header::VIA, HeaderValue::from_static(via));
}

/// An answer of our own, without a body.
fn ours(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}

/// A backend's body; the request counts as active until it has gone by.
struct Counted {
    body: Incoming,
    _lease: Lease,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
