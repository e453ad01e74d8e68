//! The old process is killed in the middle: from the moment at which the new one has all that it
//! takes to serve, it does.

use crate::between::{cut_at, without};
use crate::common::measure::only_linux;
use crate::common::udp::{ask_text, client};
use crate::common::{ask, until};
use crate::refused::Served;
use crate::{ask_admin, ends, exists, is_gone};

/// What is killed at each message: before it is passed on.
const ENOUGH: &[(u8, &str)] = &[
    (b'R', "the new one is ready"),
    (b'F', "before its flows are told"),
    (b'Y', "before it says that it told all"),
    (b'A', "before it hears that all was taken"),
    (b'C', "before the last counts are told"),
    (b'G', "before it says that it is over"),
];

const TOO_LITTLE: &[(u8, &str)] = &[
    (b'H', "before anything"),
    (b'L', "before its sockets are told"),
    (b'S', "before its state is"),
    (b'O', "before it says that this was all"),
];

#[test]
fn the_new_process_serves_if_the_old_one_is_killed_once_it_has_told_what_it_takes() {
    if !only_linux("a descriptor of a process") {
        return;
    }
    for (kind, when) in ENOUGH {
        let mut served = Served::new(&format!("killed-{kind}"));
        let [web, names] = served.old.addresses[..] else { panic!("two listeners") };
        let flow = client(names);
        assert_eq!(ask_text(&flow, "begin"), "begin");
        let path = served.place.path("between.sock");
        let between = cut_at(*kind, Some(served.old.pid()), served.place.admin(), &path);
        let new = served.next_by(&path);
        between.join().expect("no panic");
        assert_eq!(new.addresses, [web, names], "{when}");
        new.wait_for_log("died while its place was taken: this one serves");
        // Behind its last words it may have ended by itself.
        assert!(b"CG".contains(kind) || !served.old.wait().success(), "{when}");
        assert_eq!(ask(&new.connect(), b"served"), b"served", "{when}");
        assert_eq!(ask_text(&flow, "go on"), "go on", "{when}");
        assert_eq!(ask_text(&client(names), "another"), "another", "{when}");
        assert!(exists(&served.place.admin()), "{when}");
        let drained = ask_admin(&served.place.admin(), "POST", "/api/v1/undrain");
        assert!(drained.starts_with("HTTP/1.1 2"), "{drained}");
        let kept = served.place.metric("pointsman_udp_flows_total");
        assert!(kept >= 1, "what was counted is there: {when}");
        new.stop();
    }
}

#[test]
fn without_all_that_it_takes_the_new_process_ends_and_says_so() {
    for (kind, when) in TOO_LITTLE {
        let mut served = Served::new(&format!("killed-{kind}"));
        let path = served.place.path("between.sock");
        let between = cut_at(*kind, Some(served.old.pid()), served.place.admin(), &path);
        let said = served.next_fails_by(&path);
        between.join().expect("no panic");
        assert!(said.contains("it closed the connection"), "{when}: {said}");
        until("it is killed", || is_gone(&served.old));
        assert!(!served.old.wait().success());
    }
}

/// The new process may serve already; the old one dies before it says that it is over.
#[test]
fn the_new_process_serves_if_the_old_one_is_killed_before_it_says_that_it_is_over() {
    for kind in *b"VD" {
        let mut served = Served::new(&format!("late-{kind}"));
        let flow = client(served.old.addresses[1]);
        assert_eq!(ask_text(&flow, "begin"), "begin");
        let path = served.place.path("between.sock");
        let between = cut_at(kind, Some(served.old.pid()), served.place.admin(), &path);
        let new = served.next_by(&path);
        between.join().expect("no panic");
        assert!(kind == b'D' || !served.old.wait().success());
        assert_eq!(ask(&new.connect(), b"served"), b"served");
        assert_eq!(ask_text(&flow, "go on"), "go on");
        let drained = ask_admin(&served.place.admin(), "POST", "/api/v1/undrain");
        assert!(drained.starts_with("HTTP/1.1 2"), "{drained}");
        new.stop();
        assert!(!exists(&served.place.admin()), "the file of its socket goes with it");
    }
}

/// It said that it serves, and was not heard in time.
#[test]
fn the_new_process_gives_back_what_it_has_if_the_old_one_goes_on() {
    let served = Served::new("back");
    let flow = client(served.old.addresses[1]);
    assert_eq!(ask_text(&flow, "begin"), "begin");
    let path = served.place.path("between.sock");
    let between = without(b'V', served.place.admin(), &path);
    let new = served.next_by(&path);
    new.wait_for_log("goes on in its place, and this one ends: it did not go on within 1s");
    ends(new);
    between.join().expect("no panic");
    served.goes_on("does not take our place, and all goes on as it was");
    assert_eq!(ask_text(&flow, "go on"), "go on");
    served.old.stop();
}

/// Two that serve would be as bad as none.
#[test]
fn the_new_process_ends_if_it_hears_no_more_of_the_old_one_which_is_alive() {
    for kind in *b"RFYAG" {
        let served = Served::new(&format!("cut-{kind}"));
        let flow = client(served.old.addresses[1]);
        assert_eq!(ask_text(&flow, "begin"), "begin");
        let path = served.place.path("between.sock");
        let between = cut_at(kind, None, served.place.admin(), &path);
        let said = served.next_fails_by(&path);
        between.join().expect("no panic");
        assert!(said.contains("it closed the connection"), "{said}");
        served.goes_on("does not take our place, and all goes on as it was");
        assert_eq!(ask_text(&flow, "go on"), "go on");
        served.old.stop();
    }
}
