//! Which addresses lead back to us, in a network where any address can be bound.

use std::process::Command;

use crate::common::servers::missing;

/// A machine with two addresses of each family in one network, and a local route for a third.
const NETWORK: &str = r#"
set -eu
ip link set lo up
ip link add near type veth peer name far
for it in near far; do
    echo 0 > /proc/sys/net/ipv6/conf/$it/accept_dad
    ip link set $it up
done
ip address add 10.0.0.1/24 dev near
ip address add 10.0.0.2/24 dev near
ip -6 address add fd00::1/64 dev near nodad
ip -6 address add fd00::2/64 dev near nodad
ip -6 address add fe80::a/64 dev near nodad
ip route add local 10.7.0.0/24 dev lo
for it in 4 6; do echo "$BINDS_ANYTHING" > /proc/sys/net/ipv$it/ip_nonlocal_bind; done
for it in \
    10.0.0.1 10.0.0.2 10.7.0.7 127.0.0.1 127.7.7.7 \
    '[fd00::1]' '[fd00::2]' '[::1]' '[fe80::a%near]' \
    10.0.0.3 10.9.9.9 192.0.2.1 '[fd00::3]' '[fd09::9]' '[fe80::b%near]' '[fe80::a%far]'
do
    if said=$("$1" -t -l 'http://[::]:8080' -b "$it:8080" 2>&1); then
        echo "$it others"
    elif echo "$said" | grep -q 'each connection would come back to us'; then
        echo "$it ours"
    else
        echo "$it $said"
    fi
done
"#;

const WANTED: &str = "\
10.0.0.1 ours
10.0.0.2 ours
10.7.0.7 ours
127.0.0.1 ours
127.7.7.7 ours
[fd00::1] ours
[fd00::2] ours
[::1] ours
[fe80::a%near] ours
10.0.0.3 others
10.9.9.9 others
192.0.2.1 others
[fd00::3] others
[fd09::9] others
[fe80::b%near] others
[fe80::a%far] others
";

#[test]
fn what_is_of_this_machine_is_known_wherever_any_address_can_be_bound() {
    if missing(&["unshare"]) {
        return;
    }
    let network = |script: &str, binds_anything: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", script, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_pointsman")).env("BINDS_ANYTHING", binds_anything);
        command.output().expect("it starts")
    };
    let made = network("ip link set lo up && ip link add near type veth peer name far", "0");
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        return println!("skipped: no network of our own can be made here: {why}");
    }
    for binds_anything in ["0", "1"] {
        let output = network(NETWORK, binds_anything);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, WANTED, "ip_nonlocal_bind={binds_anything}: {output:?}");
    }
}
