//! Names that nobody answers, beside one that is answered.

use crate::common::dns::{Dns, Says};
use crate::common::until;

use super::{Everywhere, answering, counter};

/// None of those that are silent has been given up by then: what they wait for is longer than what
/// `until` waits for.
#[test]
fn names_that_are_silent_hold_up_no_other() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let port = origin.port;
    let silent: Vec<String> =
        (0..80).map(|it| format!("dns://silent{it}.test:{port}")).collect();
    for it in 0..80 {
        dns.set(&format!("silent{it}.test"), Says::Silence);
    }
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let args: Vec<&str> = silent.iter().flat_map(|it| ["-b", it]).collect();
    // The name that is answered comes after all of them.
    let own = format!("dns://last.test:{port}");
    dns.set_addresses("last.test", &["127.0.0.2"]);
    let admin = origin.behind(&dns, &[&args[..], &["-b", &own, "-a", "rr"]].concat());
    let failed = || counter(&admin, "pointsman_dns_lookups_failed_total");
    until("the last one is found", || answering(&admin, 4) == ["127.0.0.1", "127.0.0.2"]);
    assert_eq!(failed(), 0, "it did not wait for any");
    for address in ["127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        dns.set_addresses("last.test", &[address]);
        until("it is followed", || answering(&admin, 4) == ["127.0.0.1", address]);
    }
    assert_eq!(failed(), 0, "it does not wait for any");
}
