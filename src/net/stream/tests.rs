//! What a stream sends before all else, with sockets of the kernel.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;

use super::*;

/// A stream that is being connected, and who will accept it.
fn connecting(header: &[u8]) -> (Stream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream =
        Stream::connect(&listener.local_addr().unwrap().into(), None, None).unwrap();
    stream.begin_with(header.into());
    (stream, listener)
}

/// All that a peer gets once the stream is gone.
fn heard(stream: Stream, listener: &TcpListener) -> Vec<u8> {
    let (mut peer, _) = listener.accept().unwrap();
    drop(stream);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_goes_ahead_is_first_whoever_sends_it() {
    let sends: [fn(&mut Stream); 4] = [
        |stream| assert_eq!(stream.send(b"body"), Sent::Bytes(4)),
        |stream| {
            let slices = [IoSlice::new(b"bo"), IoSlice::new(b"dy")];
            assert_eq!(stream.send_slices(&slices), Sent::Bytes(4));
        },
        |stream| {
            assert_eq!(stream.connect_outcome(), Connect::Done);
            assert!(stream.can_splice() && stream.can_write());
            assert_eq!(stream.send(b"body"), Sent::Bytes(4));
        },
        |stream| stream.finish_sending(),
    ];
    for (at, send) in sends.into_iter().enumerate() {
        let (mut stream, listener) = connecting(b"header");
        assert!(!stream.can_read(), "nothing is to be read before");
        send(&mut stream);
        let wanted: &[u8] = if at == 3 { b"header" } else { b"headerbody" };
        assert_eq!(heard(stream, &listener), wanted, "{at}");
    }
}

/// Nothing of it is sent again, and nothing behind it.
#[test]
fn what_is_not_taken_in_one_write_breaks_the_connection() {
    let (mut stream, listener) = connecting(&vec![b'h'; 64 << 20]);
    let fault = Fault::Other(ErrorKind::WriteZero);
    assert_eq!(stream.connect_outcome(), Connect::Failed(fault));
    assert_eq!(stream.connect_outcome(), Connect::Failed(fault));
    assert!(!stream.can_write());
    drop((stream, listener));
}
