//! A TCP relay with tokio that copies nothing: bytes go from socket to pipe to socket inside the
//! kernel, with `splice`.
//!
//! The runtime says when a socket is ready, and the system calls are made by hand within
//! `async_io`, which asks the runtime again when one would block. A pipe is held only while bytes
//! are on their way, so that idle connections hold none.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_peers::{BACKLOG, Backends, Options, REST, Runtime, fail};
use rustix::net::Shutdown;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Wanted capacity of a pipe. The kernel moves at most one pipe's worth a call.
const PIPE_BYTES: usize = 1024 * 1024;

/// Free pipes kept for reuse.
const FREE_PIPES_MAX: usize = 16;

fn main() {
    let options = Options::from_command_line();
    let serve = || Runtime::CurrentThread.build()?.block_on(serve(&options));
    if let Err(error) = serve() {
        fail("tokio-splice", &error, 1);
    }
}

async fn serve(options: &Options) -> io::Result<()> {
    let listener = listen(options)?;
    let backends = Backends::new(&options.backends);
    let pipes = Arc::new(Pipes::default());
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let backends = Arc::clone(&backends);
                let pipes = Arc::clone(&pipes);
                tokio::spawn(async move {
                    // A client or backend that is gone is no news; both sockets are closed here.
                    let _ = relay(client, &backends, &pipes).await;
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
async fn relay(client: TcpStream, backends: &Arc<Backends>, pipes: &Pipes) -> io::Result<()> {
    let lease = backends.pick();
    let backend = TcpStream::connect(lease.address()).await?;
    backend.set_nodelay(true)?;
    tokio::try_join!(carry(&client, &backend, pipes), carry(&backend, &client, pipes))?;
    Ok(())
}

/// One direction, until its source ends.
async fn carry(source: &TcpStream, target: &TcpStream, pipes: &Pipes) -> io::Result<()> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    loop {
        // An empty pipe has room, so what would block is the socket.
        let (pipe, mut held) = source
            .async_io(Interest::READABLE, || {
                let pipe = pipes.take()?;
                let moved = splice(source, None, &pipe.writer, None, PIPE_BYTES, flags);
                match moved {
                    Ok(moved) => Ok((pipe, moved)),
                    Err(error) => {
                        pipes.put(pipe);
                        Err(error.into())
                    }
                }
            })
            .await?;
        if held == 0 {
            pipes.put(pipe);
            return finish(target);
        }
        // Torn on the way, the pipe is dropped with what is in it: it must not reach others.
        while held > 0 {
            let write = || Ok(splice(&pipe.reader, None, target, None, held, flags)?);
            held -= target.async_io(Interest::WRITABLE, write).await?;
        }
        pipes.put(pipe);
    }
}

/// Tell the target that there is no more.
fn finish(target: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(target, Shutdown::Write) {
        // Gone already; the other direction finds out.
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// Empty pipes that nobody uses. The lock is never waited for: there is one thread.
#[derive(Default)]
struct Pipes(Mutex<Vec<Pipe>>);

impl Pipes {
    fn take(&self) -> io::Result<Pipe> {
        if let Some(pipe) = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(pipe);
        }
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // Less will do where the kernel's quota is used up.
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        Ok(Pipe { reader, writer })
    }

    fn put(&self, pipe: Pipe) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_PIPES_MAX {
            free.push(pipe);
        }
    }
}
