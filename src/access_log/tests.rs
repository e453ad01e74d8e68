//! The formats, letter by letter, and what hostile clients make of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::config::Address;
use crate::http::Version;
use crate::net::Peer;

pub(super) const GET: AskedFor<'_> = AskedFor {
    method: b"GET",
    target: b"/index.html?a=1",
    version: Version::Http11,
    host: b"example.org",
    referer: b"http://example.org/",
    user_agent: b"curl/8.5",
};

pub(super) fn http(asked: Option<AskedFor<'_>>, status: u16) -> Record<'_> {
    let ms = |count| Some(Duration::from_millis(count));
    Record {
        client: peer("10.0.1.2:33317"),
        listener: "http://10.0.0.1:80",
        service: Some("main"),
        pool: Some("pool"),
        server: ServedBy::Backend("web1"),
        backend_address: Some(&BACKEND),
        tls: None,
        server_name: None,
        began: SystemTime::UNIX_EPOCH + Duration::from_millis(1_233_922_454_655),
        what: What::Http { asked, status, body: 2500 },
        times: Times {
            head: ms(10),
            queue: ms(0),
            connect: ms(30),
            answer: ms(69),
            total: Duration::from_millis(1109),
        },
        sent: 2750,
        received: 321,
        ending: Ending::WELL,
        counts: Counts { process: 5, listener: 4, pool: 3, backend: 2 },
        retries: 0,
        why: None,
        tried: Vec::new(),
        request_id: None,
        in_front: None,
    }
}

pub(super) fn tcp() -> Record<'static> {
    let times = Times { head: None, answer: None, ..http(None, 0).times };
    Record { what: What::Tcp, listener: "tcp://[::]:443", times, ..http(None, 0) }
}

pub(super) fn nobody(status: u16) -> Record<'static> {
    Record {
        service: None,
        pool: None,
        server: ServedBy::Nobody,
        backend_address: None,
        times: Times { total: Duration::from_millis(3), ..Times::default() },
        ending: Ending { who: Who::Proxy, when: When::Request },
        why: Some(Why { cause: Cause::BadRequest, detail: "no \"host\"".into() }),
        ..http(None, status)
    }
}

const BACKEND: Address =
    Address::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)), 81));

fn peer(text: &str) -> Peer {
    text.parse::<SocketAddr>().expect("an address").into()
}

fn text(line: fn(&Record<'_>, &mut Vec<u8>), record: &Record<'_>) -> String {
    let mut out = Vec::new();
    line(record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn combined_is_that_of_nginx() {
    let of = |record: &Record<'_>| text(combined::line, record);
    assert_eq!(
        of(&http(Some(GET), 200)),
        "10.0.1.2 - - [06/Feb/2009:12:14:15 +0000] \"GET /index.html?a=1 HTTP/1.1\" 200 2500 \
         \"http://example.org/\" \"curl/8.5\""
    );
    let bare = AskedFor { referer: b"", user_agent: b"", version: Version::Http10, ..GET };
    let v6 = Record { client: peer("[2001:db8::1]:9"), ..http(Some(bare), 404) };
    assert_eq!(
        of(&v6),
        "2001:db8::1 - - [06/Feb/2009:12:14:15 +0000] \"GET /index.html?a=1 HTTP/1.0\" 404 2500 \
         \"-\" \"-\""
    );
    let end = "- - [06/Feb/2009:12:14:14 +0000] \"-\" 400 2500 \"-\" \"-\"";
    assert_eq!(of(&nobody(400)), format!("10.0.1.2 {end}"));
    let end = "- - [06/Feb/2009:12:14:15 +0000] \"-\" 000 2750 \"-\" \"-\"";
    assert_eq!(of(&tcp()), format!("10.0.1.2 {end}"));
}

#[test]
fn haproxy_is_its_httplog_and_tcplog() {
    let of = |record: &Record<'_>| text(haproxy::line, record);
    assert_eq!(
        of(&http(Some(GET), 200)),
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http://10.0.0.1:80 pool/web1 \
         10/0/30/69/1109 200 2750 - - ---- 5/4/3/2/0 0/0 \"GET /index.html?a=1 HTTP/1.1\""
    );
    let retried = Record {
        retries: 2,
        ending: Ending { who: Who::Server, when: When::Head },
        ..http(Some(GET), 502)
    };
    assert!(of(&retried).contains(" 502 2750 - - SH-- 5/4/3/2/+2 0/0 \"GET"));
    assert_eq!(
        of(&nobody(400)),
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http://10.0.0.1:80 -/<NOSRV> \
         -1/-1/-1/-1/3 400 2750 - - PR-- 5/4/3/2/0 0/0 \"<BADREQ>\""
    );
    let page = Record { server: ServedBy::Ourselves, ..http(Some(GET), 200) };
    assert!(of(&page).contains(" pool/<STATS> "));
    assert!(of(&http(Some(GET), 0)).contains("/1109 -1 2750 "));
    assert_eq!(
        of(&tcp()),
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] tcp://[::]:443 pool/web1 \
         0/30/1109 2750 -- 5/4/3/2/0 0/0"
    );
    let routed = Record { pool: Some("*.example.com"), ..tcp() };
    assert!(of(&routed).contains(" tcp://[::]:443 *.example.com/web1 0/30/1109 "));
}

#[test]
fn json_has_the_same_by_name() {
    let of = |record: &Record<'_>| text(json::line, record);
    assert_eq!(
        of(&http(Some(GET), 200)),
        "{\"time\":\"2009-02-06T12:14:14.655Z\",\"client\":\"10.0.1.2:33317\",\
         \"listener\":\"http://10.0.0.1:80\",\"service\":\"main\",\"pool\":\"pool\",\
         \"backend\":\"web1\",\"backend_address\":\"10.0.0.7:81\",\"method\":\"GET\",\
         \"target\":\"/index.html?a=1\",\"version\":\"HTTP/1.1\",\"host\":\"example.org\",\
         \"referer\":\"http://example.org/\",\"user_agent\":\"curl/8.5\",\"status\":200,\
         \"body_bytes\":2500,\"bytes_to_client\":2750,\"bytes_to_backend\":321,\"ms\":{\
         \"head\":10.000,\"answer\":69.000,\"connect\":30.000,\"total\":1109.000},\
         \"ended\":\"finished\",\"state\":\"--\",\"retries\":0}"
    );
    let bad = of(&nobody(408));
    assert!(
        bad.contains(
            "\"service\":null,\"pool\":null,\"backend\":null,\"method\":null,\"status\":408,"
        ),
        "{bad}"
    );
    assert!(bad.contains("\"ended\":\"refused\",\"state\":\"PR\""), "{bad}");
    let tcp = of(&tcp());
    assert!(!tcp.contains("status") && tcp.contains("\"ms\":{\"connect\":30.000,"), "{tcp}");
    assert!(!tcp.contains("server_name") && !tcp.contains("tls"), "{tcp}");
    let sni = of(&Record { server_name: Some("a.example"), ..self::tcp() });
    let says = "\"backend_address\":\"10.0.0.7:81\",\"server_name\":\"a.example\",\"bytes";
    assert!(sni.contains(says), "{sni}");
    let tls = of(&Record { request_id: Some("7f"), ..over_tls() });
    let says = "\"server_name\":\"a.example\",\"tls_version\":\"TLSv1.3\",\
                \"tls_cipher\":\"TLS_AES_128_GCM_SHA256\",\"method\"";
    assert!(tls.contains(says) && tls.contains(",\"request_id\":\"7f\","), "{tls}");
}

pub(super) fn over_tls() -> Record<'static> {
    let cipher = "TLS_AES_128_GCM_SHA256";
    Record {
        tls: Some(TlsFacts { version: "TLSv1.3", cipher }),
        server_name: Some("a.example"),
        ..http(Some(GET), 200)
    }
}

/// What readers of these formats know stays as they know it.
#[test]
fn tls_changes_neither_combined_nor_haproxy() {
    for line in [combined::line, haproxy::line] {
        assert_eq!(text(line, &over_tls()), text(line, &http(Some(GET), 200)));
    }
}

/// What somebody might send to make two lines of one, to close a quote or to colour a terminal.
pub(super) const HOSTILE: [&[u8]; 8] = [
    b"a\r\n127.0.0.1 - - [x] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"",
    b"\" 200 0 \"-\" \"",
    b"\\\" 200 0",
    b"\x1b]0;gone\x07\x1b[2J",
    b"\x00\x7f\x80\xff",
    "\u{202e}\u{2028}\u{85}".as_bytes(),
    b"\\x22\\u0022",
    b"\n",
];

#[test]
fn hostile_clients_write_nothing_but_their_own_words() {
    for bytes in HOSTILE {
        let asked =
            AskedFor { target: bytes, host: bytes, referer: bytes, user_agent: bytes, ..GET };
        let record = http(Some(asked), 200);
        let tame = http(Some(GET), 200);
        for line in [combined::line, haproxy::line, json::line] {
            let plain = text(line, &tame);
            let line = text(line, &record);
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            let quotes = |line: &str| {
                let bare = line.replace("\\\\", "").replace("\\\"", "");
                bare.matches('"').count()
            };
            assert_eq!(quotes(&line), quotes(&plain), "{line}");
        }
    }
    let asked = AskedFor { user_agent: b"a\"b\\c\x01\xff", ..GET };
    let line = text(combined::line, &http(Some(asked), 200));
    assert!(line.ends_with(" \"a\\x22b\\x5Cc\\x01\\xFF\""), "{line}");
}

#[test]
fn endings_have_their_letters() {
    let table = [
        (Who::Nobody, When::Over, "--"),
        (Who::Client, When::Head, "CH"),
        (Who::ClientTimeout, When::Request, "cR"),
        (Who::Server, When::Connect, "SC"),
        (Who::ServerTimeout, When::Data, "sD"),
        (Who::Proxy, When::Request, "PR"),
        (Who::Local, When::Request, "LR"),
        (Who::Resource, When::Connect, "RC"),
        (Who::Down, When::Data, "DD"),
        (Who::Killed, When::Data, "KD"),
    ];
    for (who, when, letters) in table {
        assert_eq!(Ending { who, when }.letters(), letters.as_bytes());
    }
}

#[test]
fn a_file_gets_whole_lines_and_is_opened_anew() {
    let name = format!("pointsman-access-{}-{}", std::process::id(), fastrand::u64(..));
    let path = std::env::temp_dir().join(name);
    let now = Instant::now();
    let place = AccessLogPlace::File(path.clone());
    let mut log = AccessLog::open(&place, AccessLogFormat::Haproxy, now).unwrap();
    log.add(&http(Some(GET), 200));
    log.add(&tcp());
    assert_eq!(std::fs::read(&path).unwrap(), b"", "not before the turn's end");
    log.flush();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!((written.lines().count(), written.ends_with("0/0\n")), (2, true));
    let moved = path.with_extension("1");
    std::fs::rename(&path, &moved).unwrap();
    log.add(&tcp());
    log.reopen();
    log.add(&tcp());
    log.flush();
    assert_eq!(std::fs::read_to_string(&moved).unwrap().lines().count(), 3);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    assert_eq!((log.dropped(), log.is_behind()), (0, false));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&moved).unwrap();
}

#[test]
fn a_disk_without_room_is_tried_again_and_what_is_too_much_is_counted() {
    let now = Instant::now();
    let place = AccessLogPlace::File("/dev/full".into());
    let mut log = AccessLog::open(&place, AccessLogFormat::Json, now).unwrap();
    let mut added = 0;
    while log.dropped() == 0 {
        log.add(&http(Some(GET), 200));
        added += 1;
    }
    assert!(log.is_behind() && added > 1000);
    log.tell(now);
    assert_eq!(log.unsaid, 0, "it was told");
    log.add(&http(Some(GET), 200));
    log.tell(now);
    assert_eq!((log.unsaid, log.dropped()), (1, 2), "once is enough for a while");
}
