//! What the variables and the sockets may be, and what is said of those that are wrong.

use super::*;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

/// A manager that hands over these, in order.
fn handed(
    variables: &[(&str, &str)],
    sockets: &[OwnedFd],
) -> Result<HandedSockets, Vec<String>> {
    let variable = |name: &str| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| OsString::from(value))
    };
    let take = |fd: i32| sockets.get((fd - FIRST) as usize).map(|it| it.try_clone().unwrap());
    HandedSockets::by(&variable, 42, &take)
}

fn tcp() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn each_is_known_by_name_address_and_what_comes_to_it() {
    let stream = tcp();
    let datagrams =
        UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).unwrap();
    let path = std::env::temp_dir().join(format!("pointsman-handed-{}", std::process::id()));
    let unix = UnixListener::bind(&path).unwrap();
    let wanted = [
        (Some("web"), Transport::Stream, stream.local_addr().unwrap().to_string()),
        (None, Transport::Datagram, datagrams.local_addr().unwrap().to_string()),
        (Some("listener.x"), Transport::Stream, format!("unix:{}", path.display())),
    ];
    let variables =
        [("LISTEN_PID", "42"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "web::listener.x")];
    let found = handed(&variables, &[stream.into(), datagrams.into(), unix.into()]).unwrap();
    std::fs::remove_file(path).unwrap();
    let found: Vec<_> = found
        .all()
        .iter()
        .map(|it| (it.name(), it.transport(), it.address().to_string()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    for variables in [
        &[("LISTEN_PID", "41"), ("LISTEN_FDS", "1")][..],
        &[("LISTEN_FDS", "1")],
        &[("LISTEN_PID", "42")],
        &[("LISTEN_PID", "x"), ("LISTEN_FDS", "1")],
        &[],
    ] {
        let found = handed(variables, &[tcp().into()]).unwrap();
        assert!(found.all().is_empty(), "{variables:?}");
    }
}

#[test]
fn what_the_variables_say_is_not_believed() {
    for (count, names, wanted) in [
        ("-1", "", "LISTEN_FDS: found '-1', want a number up to 1024"),
        ("1025", "", "LISTEN_FDS: found '1025', want a number up to 1024"),
        ("", "", "LISTEN_FDS: found nothing, want a number up to 1024"),
        ("1", "a:b", "LISTEN_FDNAMES: found 2 names, want 1, as LISTEN_FDS says"),
        ("2", "a", "LISTEN_FDNAMES: found 1 name, want 2, as LISTEN_FDS says"),
        ("2", "a:b", "LISTEN_FDS: descriptor 4 is not open"),
    ] {
        let variables =
            [("LISTEN_PID", "42"), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names)];
        let wrong = handed(&variables, &[tcp().into()]).unwrap_err();
        assert_eq!(wrong, [wanted]);
    }
    let none = [("LISTEN_PID", "42"), ("LISTEN_FDS", "0"), ("LISTEN_FDNAMES", "")];
    assert!(handed(&none, &[]).unwrap().all().is_empty());
}

#[test]
#[cfg(linux)]
fn a_socket_of_another_kind_is_refused_and_all_are_told() {
    use std::net::TcpStream;
    use std::os::unix::net::UnixDatagram;
    let listener = tcp();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let plain = socket2::Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
    let to_one = UdpSocket::bind("127.0.0.1:0").unwrap();
    to_one.connect("127.0.0.1:9").unwrap();
    let packets = socket2::Socket::new(socket2::Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let (local, _other) = UnixDatagram::pair().unwrap();
    let sockets: Vec<OwnedFd> = vec![
        connected.into(),
        plain.into(),
        to_one.into(),
        packets.into(),
        file.into(),
        local.into(),
        listener.into(),
    ];
    let names = ("LISTEN_FDNAMES", "web:a:b:c:d:e:f");
    let wrong = handed(&[("LISTEN_PID", "42"), ("LISTEN_FDS", "7"), names], &sockets);
    let wrong = wrong.unwrap_err();
    let kinds = [
        "connected or does not listen",
        "connected or does not listen",
        "connected or does not listen",
        "socket of another type",
        "no socket",
        "UNIX socket for datagrams",
    ];
    assert_eq!(wrong.len(), kinds.len(), "{wrong:#?}");
    for (at, (line, kind)) in wrong.iter().zip(kinds).enumerate() {
        assert!(line.starts_with(&format!("LISTEN_FDS: descriptor {} ('", at + 3)), "{line}");
        assert!(line.contains(&format!("found a {kind}")) || line.contains(kind), "{line}");
        assert!(
            line.contains("want a listening socket of TCP or UNIX, or one of UDP"),
            "{line}"
        );
    }
}
