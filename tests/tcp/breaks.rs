//! Backends that break off at moments when it matters who is told of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{Backend, Balancer};

fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn pitfall_10_a_backend_that_breaks_before_a_byte_is_replaced_for_good() {
    let broken = Backend::start(|stream| reset(&stream));
    let echo = Backend::echo();
    let first = broken.flag();
    let second = echo.flag();
    let flags = ["-a", "first", "-b", &first, "-b", &second, "--check", "none"];
    let balancer = Balancer::start(&[&["-l", "127.0.0.1:0"], &flags[..]].concat());
    let mut client = balancer.connect();
    balancer.wait_for_log("failed: reset");
    client.write_all(b"is anybody there?").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "is anybody there?", "the second backend's answer arrives");
    balancer.stop();
}

#[test]
fn pitfall_10_a_backend_that_said_its_end_is_not_replaced() {
    let (say, told) = mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let silent = Backend::start(move |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        told.lock().unwrap().recv().unwrap();
        reset(&stream);
    });
    let echo = Backend::echo();
    let first = silent.flag();
    let second = echo.flag();
    let flags = ["-a", "first", "-b", &first, "-b", &second, "--check", "none"];
    let balancer = Balancer::start(&[&["-l", "127.0.0.1:0"], &flags[..]].concat());
    let mut client = balancer.connect();
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0, "the empty answer's end");
    say.send(()).unwrap();
    client.write_all(b"too late").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    balancer.wait_for_log("bytes sent on");
    assert_eq!(echo.accepted(), 0, "a second backend's answer could not be passed on");
    balancer.stop();
}
