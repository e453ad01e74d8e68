//! What a sticky cookie is made with, and what it does not open.

use super::{STICKY, assert_plain, at, set_cookie, with_cookie};
use crate::common::http::{Origin, Wire, get, ok};
use crate::common::{Backend, Balancer, with_deadline};

/// A key that everybody has was the same as none: the cookie of each backend could be worked out.
#[test]
fn nobody_can_make_a_cookie_nor_reach_a_backup_by_one() {
    let one = Origin::named("one");
    let spare = Origin::named("spare");
    let backends =
        [format!("{},name=one", at(&one)), format!("{},name=spare,backup", at(&spare))];
    let checks = ["--check", "tcp", "--rise", "1", "--fall", "1"];
    let interval = "30ms";
    let args = ["-l", "http://127.0.0.1:0", "-b", &backends[0], "-b", &backends[1]];
    let args = [&args[..], &STICKY, &checks, &["--check-interval", interval]].concat();
    let balancer = Balancer::start(&args);
    let mut client = Wire::to(&balancer);
    // As it was made before: the hash of the name, with no secret in it.
    let forged = pointsman::balance::hash_key(b"spare");
    for value in [format!("{forged:016x}"), format!("{forged:032x}")] {
        let answer = client.ask(with_cookie(&value));
        assert_eq!(answer.text(), "one", "{value}");
        assert_ne!(set_cookie(&answer), value);
    }
    // Who was with the backup while it was needed leaves it when it no longer is.
    let address = at(&one);
    drop(one);
    balancer.wait_for_log("backend one is down");
    let answer = client.ask(get("/"));
    assert_eq!(answer.text(), "spare");
    let cookie = set_cookie(&answer);
    assert_plain(&client.ask(with_cookie(&cookie)));
    let back = Backend::start_at(address, |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        while wire.request().is_some() && wire.try_say(ok("one")) {}
    });
    balancer.wait_for_log("backend one is up");
    let answer = client.ask(with_cookie(&cookie));
    assert_eq!(answer.text(), "one");
    assert_ne!(set_cookie(&answer), cookie);
    balancer.stop_after((client, back));
}

#[test]
fn a_sticky_key_that_is_none_is_told_of() {
    let path = std::env::temp_dir().join(format!("pointsman-short-{}", std::process::id()));
    std::fs::write(&path, "too short\n").unwrap();
    let file = path.display().to_string();
    for (name, says) in [
        (&*file, "found 9 bytes, want 32 or more"),
        ("/nowhere/sticky.key", "there is no such file"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["-l", "http://127.0.0.1:0", "-b", "127.0.0.1:1", "--sticky-cookie", "LB"])
            .args(["--sticky-key", name, "--log-level", "off"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with(&format!("pointsman: --sticky-key: {name}: ")), "{said}");
        assert!(said.contains(says) && !output.status.success(), "{said}");
    }
    std::fs::remove_file(path).unwrap();
}
