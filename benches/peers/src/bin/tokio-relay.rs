//! A TCP relay with tokio: a task for each client, `copy_bidirectional` between the two sockets.
//!
//! This is what most people would write, and there is little to gain beyond it: the runtime's poll,
//! its tasks and two buffers a connection are what it costs.

use std::io;
use std::sync::Arc;

use pointsman_peers::{BACKLOG, Backends, Options, REST, fail};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

fn main() {
    let options = Options::from_command_line();
    let serve = || {
        // Spawned and not only blocked on: of a runtime with workers, they shall accept as well.
        options.runtime.build()?.block_on(async { tokio::spawn(serve(options.clone())).await? })
    };
    if let Err(error) = serve() {
        fail("tokio-relay", &error, 1);
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = listen(&options)?;
    let backends = Backends::new(&options.backends);
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let backends = Arc::clone(&backends);
                tokio::spawn(async move {
                    // A client or backend that is gone is no news; both sockets are closed here.
                    let _ = relay(client, &backends, options.buffer).await;
                });
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

/// Until both sides have said all they had to say, or one of them is torn.
async fn relay(
    mut client: TcpStream,
    backends: &Arc<Backends>,
    buffer: usize,
) -> io::Result<()> {
    let lease = backends.pick();
    let mut backend = TcpStream::connect(lease.address()).await?;
    backend.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut backend, buffer, buffer).await?;
    Ok(())
}
