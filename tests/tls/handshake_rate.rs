//! The limit of handshakes by client: those beyond end before TLS has said a byte.

use std::io::{Read, Write};

use crate::authority::Authority;
use crate::clients::https;
use crate::common::connect_from;
use crate::common::http::Origin;

#[test]
fn handshakes_beyond_the_limit_are_closed_before_tls_says_a_byte() {
    let authority = Authority::new("handshake-rate");
    let origin = Origin::named("a");
    let flags = ["--limit-handshake-rate", "1/h,burst=2"];
    let balancer = https(&authority, &origin, &flags);
    let answered = |source: &str| {
        let mut stream = connect_from(source, balancer.address());
        // Not TLS: one that is shaken hands with is told so.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut bytes = [0; 16];
        matches!(stream.read(&mut bytes), Ok(1..))
    };
    for source in ["127.0.0.1", "127.0.0.2"] {
        let answers: Vec<bool> = (0..4).map(|_| answered(source)).collect();
        assert_eq!(answers, [true, true, false, false], "{source}");
    }
    balancer.wait_for_log("guard: handshake-rate of listener ");
    balancer.stop();
}
