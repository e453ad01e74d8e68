//! Names before addresses, and what fits neither.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use super::*;
use crate::config::{Listen, ListenerSettings};

/// A socket of TCP or UDP at a port that the system chooses, and its address.
fn socket(name: &str, transport: Transport) -> (HandedSocket, String) {
    let (fd, at): (OwnedFd, _) = match transport {
        Transport::Stream => {
            let it = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = it.local_addr().unwrap();
            (it.into(), at)
        }
        Transport::Datagram => {
            let it = UdpSocket::bind("127.0.0.1:0").unwrap();
            let at = it.local_addr().unwrap();
            (it.into(), at)
        }
    };
    let name = Some(name).filter(|it| !it.is_empty());
    (HandedSocket::new(fd, name, "descriptor 3".to_owned()).unwrap(), at.to_string())
}

fn tcp(name: &str) -> (HandedSocket, String) {
    socket(name, Transport::Stream)
}

fn wanted(listeners: &[(&str, &str)]) -> Desired {
    let spec = |&(name, listen): &(&str, &str)| ListenerSpec {
        name: name.to_owned(),
        listen: Listen::parse(listen).unwrap(),
        settings: ListenerSettings::DEFAULT,
    };
    Desired { listeners: listeners.iter().map(spec).collect(), ..Desired::nothing() }
}

fn lines(adoption: &Adoption) -> Vec<String> {
    adoption.complaints.iter().map(|it| it.spelled(crate::config::Spelling::PATHS)).collect()
}

#[test]
fn a_name_comes_before_an_address() {
    let (one, at_one) = tcp("public");
    let (other, at_other) = tcp("listener.inner");
    let (third, at_third) = tcp("");
    let handed = HandedSockets::of(vec![one, other, third]);
    // Each bears a name and another's address.
    let desired = wanted(&[
        ("inner", &at_one),
        ("public", &at_other),
        ("by address", &at_third),
        ("own", "127.0.0.1:0"),
    ]);
    let found = Adoption::of(&handed, &desired);
    assert_eq!(found.listeners, [Some(1), Some(0), Some(2), None]);
    assert!(found.unwanted.is_empty() && found.complaints.is_empty(), "{found:?}");
}

#[test]
fn an_address_alone_is_not_enough_where_something_else_comes_to_it() {
    let (socket, at) = socket("", Transport::Datagram);
    let handed = HandedSockets::of(vec![socket]);
    let stream = Adoption::of(&handed, &wanted(&[("a", &at)]));
    assert_eq!((&stream.listeners[..], &stream.unwanted[..]), (&[None][..], &[0][..]));
    let datagrams = Adoption::of(&handed, &wanted(&[("a", &format!("udp://{at}"))]));
    assert_eq!(datagrams.listeners, [Some(0)]);
    let said = unwanted(&handed.all()[0]);
    let line = format!(
        "descriptor 3 (udp at {at}) was handed over and nobody takes it: one at udp://{at} would; \
         clients wait there in vain"
    );
    assert_eq!(said, line);
}

#[test]
fn of_several_with_a_name_the_one_at_the_address_is_taken() {
    let (one, _) = tcp("web.socket");
    let (two, at) = tcp("web.socket");
    let (three, _) = socket("web.socket", Transport::Datagram);
    let handed = HandedSockets::of(vec![one, two, three]);
    let found = Adoption::of(&handed, &wanted(&[("web.socket", &at)]));
    assert_eq!((found.listeners, found.unwanted), (vec![Some(1)], vec![0, 2]));
    let vague = Adoption::of(&handed, &wanted(&[("web.socket", "127.0.0.1:1")]));
    let said = lines(&vague);
    assert!(said[0].contains("2 sockets by its name, none of them at its address"), "{said:?}");
    assert!(vague.unwanted.is_empty(), "they are spoken of already: {vague:?}");
}

#[test]
fn a_name_with_a_socket_of_another_kind_is_a_mistake() {
    let (datagrams, at) = socket("web", Transport::Datagram);
    let handed = HandedSockets::of(vec![datagrams]);
    let said = lines(&Adoption::of(&handed, &wanted(&[("web", &at)])));
    let found = format!("was handed over descriptor 3 ('web', udp at {at}), want one of TCP");
    assert!(said.len() == 1 && said[0].contains(&found), "{said:?}");
    let (stream, _) = tcp("web");
    let handed = HandedSockets::of(vec![stream]);
    for (listen, want) in [
        ("udp://127.0.0.1:1", "want one for datagrams"),
        ("unix:/run/x", "want a UNIX socket for connections"),
    ] {
        let said = lines(&Adoption::of(&handed, &wanted(&[("web", listen)])));
        assert!(said.len() == 1 && said[0].contains(want), "{said:?}");
    }
}

#[test]
fn admin_listeners_are_called_as_in_the_file() {
    let (one, _) = tcp("admin.listen");
    let (two, at_two) = tcp("");
    let (three, at_three) = socket("admin.register_udp", Transport::Datagram);
    let handed = HandedSockets::of(vec![three, two, one]);
    let mut desired = wanted(&[]);
    let admin = &mut desired.process.admin;
    admin.listen = vec![AdminListen::Http("127.0.0.1:1".parse().unwrap())];
    admin.metrics = Some(at_two.parse().unwrap());
    admin.register_udp = Some(at_three.parse().unwrap());
    let found = Adoption::of(&handed, &desired);
    assert_eq!((found.admin, found.heartbeats), (vec![Some(2), Some(1)], Some(0)));
    desired.process.admin.listen = vec![AdminListen::Unix("/run/pointsman/api.sock".into())];
    let said = lines(&Adoption::of(&handed, &desired));
    assert!(said[0].contains("want one at unix:/run/pointsman/api.sock"), "{said:?}");
}
