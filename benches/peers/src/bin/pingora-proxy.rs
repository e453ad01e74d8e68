//! An HTTP/1.1 reverse proxy with Pingora, which is tokio and an HTTP of its own. One thread.
//!
//! Needs `--features pingora`: it brings a few hundred packages, and cmake for one of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::http::{RequestHeader, ResponseHeader, Version};
use pingora::modules::http::HttpModules;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Session, http_proxy_service};
use pingora::protocols::l4::socket;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pointsman_peers::{Backends, Lease, Options};

/// How long an idle connection to a backend is kept.
const IDLE: Duration = Duration::from_secs(3600);

/// Idle connections kept to all backends together.
const IDLE_MAX: usize = 1_000;

fn main() {
    let options = Options::from_command_line();
    let configuration = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: IDLE_MAX,
        // SIGTERM ends it at once.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let proxy = Proxy { backends: Backends::new(&options.backends) };
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(&options.listen.to_string());
    server.add_service(service);
    server.run_forever();
}

struct Proxy {
    backends: Arc<Backends>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// The request counts at its backend until this is dropped, after its answer.
    type CTX = Option<Lease>;

    fn new_ctx(&self) -> Option<Lease> {
        None
    }

    /// None: the one that is there by itself compresses answers, if it is told to.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        lease: &mut Option<Lease>,
    ) -> Result<Box<HttpPeer>> {
        let picked = self.backends.pick();
        let mut peer = HttpPeer::new(picked.address(), false, String::new());
        peer.options.idle_timeout = Some(IDLE);
        *lease = Some(picked);
        Ok(Box::new(peer))
    }

    /// What is for one hop alone is gone already; X-Forwarded-For, -Proto, -Host and Via are ours.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _lease: &mut Option<Lease>,
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(address) {
            request.insert_header("X-Forwarded-For", client.to_string())?;
        }
        request.insert_header("X-Forwarded-Proto", "http")?;
        if let Some(host) = request.headers.get("host").cloned() {
            request.insert_header("X-Forwarded-Host", host)?;
        }
        let version = session.req_header().version;
        let via = if version == Version::HTTP_10 { "1.0 pingora" } else { "1.1 pingora" };
        request.append_header("Via", via)?;
        Ok(())
    }

    /// Connection is written afresh by Pingora itself.
    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        _lease: &mut Option<Lease>,
    ) -> Result<()> {
        response.remove_header("Keep-Alive");
        response.remove_header("Proxy-Connection");
        Ok(())
    }
}

fn address(client: &socket::SocketAddr) -> Option<IpAddr> {
    client.as_inet().map(SocketAddr::ip).map(|address| address.to_canonical())
}
