//! Clients that come all the time, and what became of them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::DEADLINE;
use crate::{ask_admin, number};

/// What they saw.
#[derive(Default)]
pub struct Seen {
    pub answers: AtomicU64,
    pub wrong: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// All of them; told to stop and waited for by [`Load::end`].
#[derive(Default)]
pub struct Load {
    pub seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Load {
    fn add(
        &mut self,
        what: &'static str,
        mut act: impl FnMut() -> io::Result<()> + Send + 'static,
    ) {
        let seen = Arc::clone(&self.seen);
        self.threads.push(thread::spawn(move || {
            while !seen.stop.load(Ordering::SeqCst) {
                match act() {
                    Ok(()) => drop(seen.answers.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => seen.wrong.lock().unwrap().push(format!("{what}: {error}")),
                }
            }
        }));
    }

    /// A connection for each request.
    pub fn once(&mut self, address: SocketAddr, pause: Duration) {
        self.add("once", move || {
            thread::sleep(pause);
            let mut stream = connect(address)?;
            ask(&mut stream, true).map(drop)
        });
    }

    /// The same at a UNIX socket.
    pub fn once_at(&mut self, path: PathBuf, pause: Duration) {
        self.add("at a UNIX socket", move || {
            thread::sleep(pause);
            let mut stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            ask(&mut stream, true).map(drop)
        });
    }

    /// Requests on a connection that is kept until an answer says that it is not.
    pub fn kept(&mut self, address: SocketAddr, pause: Duration) {
        let mut stream: Option<TcpStream> = None;
        let mut next = Instant::now();
        self.add("kept", move || {
            next += pause;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let mut it = match stream.take() {
                Some(it) => it,
                None => connect(address)?,
            };
            if !ask(&mut it, false)? {
                stream = Some(it);
            }
            Ok(())
        });
    }

    /// Bytes that come back, on a new connection each time.
    pub fn echo(&mut self, address: SocketAddr, pause: Duration) {
        self.add("echo", move || {
            thread::sleep(pause);
            let mut stream = connect(address)?;
            stream.write_all(b"hello")?;
            let mut back = [0; 5];
            stream.read_exact(&mut back)?;
            match &back {
                b"hello" => Ok(()),
                _ => Err(io::Error::other("another answer")),
            }
        });
    }

    /// Numbers that never fall, whichever process is asked.
    pub fn scrapes(&mut self, admin: PathBuf, names: &'static [&'static str]) {
        let mut before = vec![0; names.len()];
        self.add("a scrape", move || {
            thread::sleep(Duration::from_millis(3));
            let page = ask_admin(&admin, "GET", "/metrics");
            for (before, name) in before.iter_mut().zip(names) {
                let Some(now) = number(&page, name) else {
                    return Err(io::Error::other(format!("no {name}: {page}")));
                };
                if now < *before {
                    let why = format!("{name} fell from {before} to {now}");
                    return Err(io::Error::other(why));
                }
                *before = now;
            }
            Ok(())
        });
    }

    /// They end, and nothing was wrong. Says how often they were answered.
    #[track_caller]
    pub fn end(self) -> u64 {
        self.seen.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|it| it.join().expect("no panic"));
        let wrong = self.seen.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{} times: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        self.seen.answers.load(Ordering::SeqCst)
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request and its answer. Says whether the connection is over.
fn ask(stream: &mut dyn Stream, last: bool) -> io::Result<bool> {
    let close = if last { "Connection: close\r\n" } else { "" };
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{close}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap_or_default();
            let length: usize =
                length.lines().next().unwrap_or_default().parse().map_err(io::Error::other)?;
            if body.len() >= length {
                if !head.starts_with("http/1.1 200") {
                    return Err(io::Error::other(text));
                }
                return Ok(head.contains("connection: close"));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other(format!("it ended after {text:?}"))),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
}
