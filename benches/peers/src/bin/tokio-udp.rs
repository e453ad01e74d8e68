//! A UDP relay with tokio: a task and a connected socket for each client's address, and one more
//! task that hands out what comes in.
//!
//! This is what most people would write: a datagram is one `recv_from` and one `send` on its way,
//! one `recv` and one `send_to` on its way back. A flow that says nothing for an hour is over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_peers::{Backends, Lease, Options, REST, fail};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Without an answer for so long a flow is over.
const IDLE: Duration = Duration::from_secs(3600);

/// Asked for at the listener, so that a burst waits: as the others do.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The longest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// Clients' flows; their tasks take themselves out.
type Flows = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

fn main() {
    let options = Options::from_command_line();
    let serve = || {
        options.runtime.build()?.block_on(async { tokio::spawn(serve(options.clone())).await? })
    };
    if let Err(error) = serve() {
        fail("tokio-udp", &error, 1);
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = Arc::new(UdpSocket::bind(options.listen).await?);
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, BUFFER_BYTES)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&listener, BUFFER_BYTES)?;
    let backends = Backends::new(&options.backends);
    let flows = Flows::default();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((count, client)) = listener.recv_from(&mut buffer).await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        // No flow, or a backend that refuses: a datagram may be lost.
        if let Ok(flow) = flow(client, &listener, &backends, &flows).await {
            let _ = flow.send(&buffer[..count]).await;
        }
    }
}

/// The client's flow, which is opened if there is none.
async fn flow(
    client: SocketAddr,
    listener: &Arc<UdpSocket>,
    backends: &Arc<Backends>,
    flows: &Flows,
) -> io::Result<Arc<UdpSocket>> {
    if let Some(flow) = lock(flows).get(&client) {
        return Ok(Arc::clone(flow));
    }
    let lease = backends.pick();
    let own = SocketAddr::new(unspecified(lease.address()), 0);
    let socket = Arc::new(UdpSocket::bind(own).await?);
    socket.connect(lease.address()).await?;
    // Nobody else opens flows: there is one task that receives.
    if let Entry::Vacant(place) = lock(flows).entry(client) {
        place.insert(Arc::clone(&socket));
    }
    let back = Arc::clone(&socket);
    let listener = Arc::clone(listener);
    let flows = Arc::clone(flows);
    tokio::spawn(async move {
        answer(client, &back, &listener, lease).await;
        lock(&flows).remove(&client);
    });
    Ok(socket)
}

/// Answers go back to the client until there are none for long, or the backend refuses.
async fn answer(client: SocketAddr, back: &UdpSocket, listener: &UdpSocket, _lease: Lease) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    while let Ok(Ok(count)) = timeout(IDLE, back.recv(&mut buffer)).await {
        let _ = listener.send_to(&buffer[..count], client).await;
    }
}

fn lock(flows: &Flows) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Arc<UdpSocket>>> {
    // because: whoever panicked under the lock left the map whole.
    flows.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unspecified(like: SocketAddr) -> std::net::IpAddr {
    match like {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
