//! The header of the PROXY protocol that a backend is sent, as it is told while it runs.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::proxy_header::{Header, read};
use crate::common::{Backend, DEADLINE, with_deadline};

const PATH: &str = "/api/v1/pools/main/backends/b";

/// Takes a header, and then a byte that it sends back.
fn demanding() -> (Backend, Receiver<Header>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::start(move |stream| {
        let mut stream = with_deadline(stream);
        if let Ok(header) = read(&mut stream) {
            let _ = tell.lock().unwrap().send(header);
            let mut byte = [0];
            let _ = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
        }
    });
    (backend, told)
}

#[test]
fn a_backend_is_put_with_the_header_that_it_wants_and_shows_it() {
    let (backend, told) = demanding();
    let nobody = Backend::echo();
    let admin = Admin::before(&[&nobody], &[]);
    let api = &admin.api;
    api.write(
        "PATCH",
        &format!("/api/v1/pools/main/backends/{}", nobody.address),
        &json!({"weight": 0}),
    );
    let address = backend.address.to_string();
    for (proxy, tlvs, kinds) in [
        (json!("v1"), json!([]), vec![]),
        (json!("v2"), json!(["crc32c", "unique-id"]), vec![3, 5]),
    ] {
        let body = json!({"address": address, "proxy": proxy, "proxy_tlvs": tlvs});
        api.write("PUT", PATH, &body);
        let shown = api.get(PATH);
        assert_eq!((&shown["proxy"], &shown["proxy_tlvs"]), (&proxy, &tlvs));
        let mut client = admin.balancer.connect();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let header = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(header.source, Some(client.local_addr().unwrap()));
        assert_eq!(header.line.is_empty(), proxy == "v2");
        assert_eq!(header.tlvs.iter().map(|it| it.0).collect::<Vec<u8>>(), kinds);
    }
    api.write("PUT", PATH, &json!({"address": address}));
    assert_eq!(api.get(PATH)["proxy"], Value::Null);
}

#[test]
fn what_no_backend_can_want_is_refused_at_its_place() {
    let admin = Admin::before(&[&Backend::echo()], &[]);
    for (body, pointer, says) in [
        (json!({"proxy": "v3"}), "/proxy", "want proxy=v1 or proxy=v2"),
        (json!({"proxy": 2}), "/proxy", "want a text"),
        (json!({"proxy_tlvs": ["ssl"]}), "/proxy_tlvs", "proxy=v2 beside it"),
        (json!({"proxy": "v1", "proxy_tlvs": ["ssl"]}), "/proxy_tlvs", "addresses alone"),
        (json!({"proxy": "v2", "proxy_tlvs": "ssl"}), "/proxy_tlvs", "want a list of texts"),
        (json!({"proxy": "v2", "proxy_tlvs": ["sssl"]}), "/proxy_tlvs", "did you mean ssl?"),
    ] {
        let mut all = json!({"address": "127.0.0.1:9"});
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let reply = admin.api.ask("PUT", PATH, Some(&all));
        assert_eq!(reply.status(), 422, "{reply:?}");
        let text = reply.json().to_string();
        assert!(text.contains(says) && text.contains(&format!("\"{pointer}\"")), "{text}");
    }
}

/// Flags and files were asked before it began; what is told later is asked then.
#[test]
fn version_1_is_refused_for_datagrams_also_while_it_runs() {
    let admin =
        Admin::start(&["-l", "udp://127.0.0.1:0", "-b", "127.0.0.1:9", "--check", "none"]);
    let body = json!({"address": "127.0.0.1:10", "proxy": "v1"});
    let reply = admin.api.ask("PUT", PATH, Some(&body));
    assert_eq!(reply.status(), 422, "{reply:?}");
    assert!(reply.json().to_string().contains("v1 cannot speak of datagrams"), "{reply:?}");
}
