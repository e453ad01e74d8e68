//! What is known of names after a restart.

use serde_json::Value;

use crate::common::admin::Admin;
use crate::common::dns::{Dns, Says};
use crate::common::until;

use super::{Everywhere, answering, backends, start};

/// A file of the state, gone with the test.
struct StateFile(std::path::PathBuf);

impl StateFile {
    fn new(name: &str) -> StateFile {
        let process = std::process::id();
        let directory = std::env::temp_dir().join(format!("pointsman-{name}-{process}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        StateFile(directory)
    }

    fn flag(&self) -> String {
        self.0.join("state").display().to_string()
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn stop(mut admin: Admin) {
    admin.balancer.signal(rustix::process::Signal::TERM);
    assert!(admin.balancer.wait().success());
}

/// Of a name: its members, and whether they are those of the state.
fn looked_up(admin: &Admin) -> Vec<(String, u64, bool)> {
    let list = admin.api.get("/api/v1/names");
    let facts = |it: &Value| {
        let name =
            it["name"].as_str().unwrap().split(':').take(2).collect::<Vec<_>>().join(":");
        (name, it["members"].as_u64().unwrap(), it["from_state"] == true)
    };
    list["items"].as_array().unwrap().iter().map(facts).collect()
}

/// What was known before a restart serves while DNS is silent, and until it answers.
#[test]
fn a_start_while_dns_is_silent_has_the_backends_of_before() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let state = StateFile::new("names-state");
    let state = state.flag();
    let host = format!("db.test:{},backup", origin.port);
    let flags = ["--state-file", &*state, "-a", "rr", "-b", &*host];
    let all = ["127.0.0.1", "127.0.0.2"];
    dns.set_addresses("api.test", &all);
    dns.set_addresses("db.test", &["127.0.0.3"]);
    let admin = origin.behind(&dns, &flags);
    assert_eq!(answering(&admin, 4), all);
    stop(admin);
    // Twice: what was never answered is saved as it was read.
    for _ in 0..2 {
        dns.set("api.test", Says::Silence);
        dns.set("db.test", Says::Failure);
        let admin = origin.behind(&dns, &flags);
        assert_eq!(answering(&admin, 4), all);
        admin
            .balancer
            .wait_for_log("2 names: what the state says holds until there is an answer");
        admin.balancer.wait_for_log("for dns://api.test:");
        admin.balancer.wait_for_log("what the state says of it holds");
        admin.balancer.wait_for_log("s ago, from the state, hold");
        let api = looked_up(&admin).into_iter().find(|it| it.0 == "dns://api.test");
        assert_eq!(api, Some(("dns://api.test".to_owned(), 2, true)));
        stop(admin);
    }
    let admin = origin.behind(&dns, &flags);
    dns.set_addresses("api.test", &["127.0.0.2", "127.0.0.4"]);
    dns.set_addresses("db.test", &["127.0.0.3"]);
    until("DNS is heard", || looked_up(&admin).iter().all(|it| !it.2));
    until("what it says is there", || answering(&admin, 4) == ["127.0.0.2", "127.0.0.4"]);
}

/// No such name, says DNS after a restart, as it might have without one: no answer takes a backend
/// away. And nobody waits, for it was heard.
#[test]
fn a_name_that_is_gone_at_a_restart_keeps_its_backends_and_holds_up_nobody() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let state = StateFile::new("names-gone");
    let state = state.flag();
    let flags = ["--state-file", &*state];
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = origin.behind(&dns, &flags);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    stop(admin);
    for says in [Says::NoSuchName, Says::Nothing, Says::Garbage, Says::Failure] {
        dns.set("api.test", says);
        let admin = origin.behind(&dns, &flags);
        assert_eq!(answering(&admin, 2), ["127.0.0.1"]);
        stop(admin);
    }
    // Other names than those of the state are not known by it.
    let other = format!("dns://other.test:{}", origin.port);
    let admin = start(&dns, &["-b", &other, "--state-file", &state]);
    admin.balancer.wait_for_log("1 of 1 names have no address");
    assert_eq!(looked_up(&admin), [("dns://other.test".to_owned(), 0, false)]);
    assert!(!admin.balancer.log_so_far().contains("what the state says"));
}

/// What was counted of a member, and that it was down, is there as soon as the member is.
#[test]
fn members_from_the_state_have_their_counts_and_health() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let state = StateFile::new("names-counts");
    let state = state.flag();
    let backend = format!("dns://api.test:{}", origin.port);
    let resolver = dns.flag();
    let flags = ["-l", "http://127.0.0.1:0", "--resolver", &*resolver, "-b", &*backend];
    let flags = [&flags[..], &["--state-file", &state, "--check-interval", "100ms"]].concat();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = Admin::start(&flags);
    until("it is up", || backends(&admin)[0]["state"] == "up");
    assert_eq!(answering(&admin, 3), ["127.0.0.1"]);
    stop(admin);
    dns.set("api.test", Says::Silence);
    let admin = Admin::start(&flags);
    let given = |it: &Value| it["totals"]["requests"].as_u64();
    let rows = backends(&admin);
    assert!(given(&rows[0]).is_some(), "{rows:?}");
    until("it is counted on", || given(&backends(&admin)[0]) == Some(3));
    until("it is up", || backends(&admin)[0]["state"] == "up");
    assert_eq!(answering(&admin, 3), ["127.0.0.1"]);
}

/// What was read and never answered is written again, however early the end comes.
#[test]
fn a_stop_before_the_first_answer_loses_nothing() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let state = StateFile::new("names-early");
    let state = state.flag();
    let flags = ["--state-file", &*state];
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = origin.behind(&dns, &flags);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    stop(admin);
    dns.set("api.test", Says::Silence);
    for _ in 0..3 {
        stop(origin.behind(&dns, &flags));
    }
    let lies = vec!["127.0.0.66".parse().unwrap()];
    dns.set("api.test", Says::LiesFirst(lies, Box::new(Says::Failure)));
    let admin = origin.behind(&dns, &flags);
    assert_eq!(answering(&admin, 2), ["127.0.0.1"]);
}

/// The same name of another kind is another name.
#[test]
fn what_was_known_of_addresses_says_nothing_of_services() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let state = StateFile::new("names-kinds");
    let state = state.flag();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = origin.behind(&dns, &["--state-file", &state]);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    stop(admin);
    dns.set("api.test", Says::NoSuchName);
    let admin = start(&dns, &["-b", "srv://api.test", "--state-file", &state]);
    admin.balancer.wait_for_log("1 of 1 names have no address");
    let list = admin.api.get("/api/v1/names");
    assert_eq!(list["items"][0]["members"], 0, "{list}");
}
