//! What is told of backends whose names are those of sets, or of their members.

use serde_json::json;

use crate::common::admin::{Admin, Reply};
use crate::common::dns::{Dns, Says};
use crate::common::until;

use super::{Everywhere, answering, backends, names};

const BACKENDS: &str = "/api/v1/pools/main/backends";

fn path(name: &str) -> String {
    format!("{BACKENDS}/{}", name.replace('/', "%2F").replace('[', "%5B").replace(']', "%5D"))
}

/// It is refused, and says why.
fn is_refused(reply: &Reply, why: &str) {
    let body = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status(), 409, "{body}");
    assert!(body.contains(why), "{body}");
}

#[test]
fn a_backend_is_not_put_under_a_name_that_dns_tells_of() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = origin.behind(&dns, &["--register"]);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    let port = origin.port;
    let set = format!("api.test:{port}");
    let there = format!("{set}/127.0.0.1:{port}");
    let is_set = format!("stands for what DNS tells of dns://{set}");
    let is_member = format!("is the name of a member of dns://{set}");
    let body = json!({"address": format!("127.0.0.9:{port}")});
    is_refused(&admin.api.ask("PUT", &path(&set), Some(&body)), &is_set);
    for member in [there.clone(), format!("{set}/127.0.0.2:{port}"), format!("{set}/[::1]:1")] {
        is_refused(&admin.api.ask("PUT", &path(&member), Some(&body)), &is_member);
    }
    let edit = json!({"method": "PUT", "path": format!("{BACKENDS}/{set}"), "body": body});
    let other = json!({"method": "PUT", "path": format!("{BACKENDS}/good"), "body": body});
    let batch = json!({"changes": [other, edit]});
    let reply = admin.api.ask("POST", "/api/v1/batch", Some(&batch));
    is_refused(&reply, &is_set);
    assert!(String::from_utf8_lossy(&reply.body).contains("/changes/1"), "{reply:?}");
    let beat = json!({"address": format!("127.0.0.9:{port}"), "ttl": "6s"});
    let registration = format!("/api/v1/registrations/main/{set}");
    is_refused(&admin.api.ask("PUT", &registration, Some(&beat)), &is_set);
    let moved = json!({"address": format!("127.0.0.9:{port}")});
    let why = format!("is where dns://{set} says");
    is_refused(&admin.api.ask("PATCH", &path(&there), Some(&moved)), &why);
    assert_eq!(names(&admin), [&*there], "nothing came of it");
    // What is of no set has nothing to do with it, and a member may be told of as ever.
    for name in [format!("{set}0"), "api.test".to_owned()] {
        assert_eq!(admin.api.ask("PUT", &path(&name), Some(&body)).status(), 201, "{name}");
    }
    let weight = json!({"weight": 7});
    assert_eq!(admin.api.ask("PATCH", &path(&there), Some(&weight)).status(), 200);
    assert_eq!(admin.api.ask("DELETE", &path(&there), None).status(), 204);
}

/// It would be told to nobody: once there are members, they alone are there.
#[test]
fn nothing_is_told_of_a_set_that_has_no_members_yet() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set("api.test", Says::NoSuchName);
    let admin = origin.behind(&dns, &[]);
    let set = format!("api.test:{}", origin.port);
    until("it is there", || backends(&admin).len() == 1);
    let nothing = "which is nothing yet";
    for body in [json!({"weight": 7}), json!({"admin": "drain"}), json!({"address": "a:1"})] {
        is_refused(&admin.api.ask("PATCH", &path(&set), Some(&body)), nothing);
    }
    is_refused(&admin.api.ask("DELETE", &path(&set), None), nothing);
    dns.set_addresses("api.test", &["127.0.0.1"]);
    until("it has a member", || names(&admin)[0].contains('/'));
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    assert_eq!(admin.api.ask("DELETE", &path(&set), None).status(), 204, "it is not there");
}

#[test]
fn ctl_says_why_a_name_cannot_be_had() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin: Admin = origin.behind(&dns, &[]);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    let set = format!("api.test:{}", origin.port);
    let socket = format!("unix:{}", admin.api.socket.display());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["ctl", "add", &format!("main/{set}"), "127.0.0.9:1", "--admin", &socket]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("stands for what DNS tells of"),
        "{said}"
    );
}
