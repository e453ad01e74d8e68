//! `echo`: every datagram goes back to who sent it, as it is.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use crate::limits::{DEMO_DATAGRAM_BYTES, DEMO_RETRY_PAUSE};

/// Takes datagrams at `address` on a thread of its own, for as long as the process lives.
pub fn start(address: SocketAddr, name: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    let thread = thread::Builder::new().name(format!("demo-{name}-echo"));
    thread.spawn(move || {
        let mut buffer = vec![0; DEMO_DATAGRAM_BYTES];
        loop {
            let sent = socket
                .recv_from(&mut buffer)
                .and_then(|(count, from)| socket.send_to(&buffer[..count], from));
            if let Err(error) = sent {
                log::debug!("{address}: {error}");
                thread::sleep(DEMO_RETRY_PAUSE);
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_comes_goes_back() {
        // A port that is free for TCP may be taken here: another one then.
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        start(free, "test").expect("the port is free");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
        for text in [&b"hello"[..], b""] {
            client.send_to(text, free).expect("sent");
            let mut answer = [0; 16];
            let (count, from) = client.recv_from(&mut answer).expect("an answer");
            assert_eq!((&answer[..count], from), (text, free));
        }
    }
}
