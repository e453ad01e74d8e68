//! Addresses of one link, `[fe80::1%eth0]`, in a network of two interfaces that are wired together.

use std::process::Command;

use crate::common::servers::missing;

/// Everything happens in a network of its own: two ends of a cable, a server at each, and a client
/// that knows how to say which cable it means.
const NETWORK: &str = r#"
set -eu
ip link set lo up
ip link add near type veth peer name far
for it in near far; do
    echo 0 > /proc/sys/net/ipv6/conf/$it/accept_dad
    ip link set $it up
done
ip -6 address add fe80::a/64 dev near nodad
ip -6 address add fe80::b/64 dev far nodad
exec "$@"
"#;

/// What is said and asked there.
const STORY: &str = r#"
import os, re, signal, socket, subprocess, sys, threading, time

program = sys.argv[1]

def serve(kind, zone, port, answer):
    it = socket.socket(socket.AF_INET6, kind)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    it.bind(("fe80::b", port, 0, socket.if_nametoindex(zone)))
    if kind == socket.SOCK_STREAM:
        it.listen()
    def run():
        while True:
            if kind == socket.SOCK_STREAM:
                client, _ = it.accept()
                client.sendall(answer)
                client.close()
            else:
                _, who = it.recvfrom(100)
                it.sendto(answer, who)
    threading.Thread(target=run, daemon=True).start()

def start(*args):
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child = subprocess.Popen([program, *args], **pipes)
    wanted = args.count("-l")
    lines = []
    for line in child.stdout:
        if line.startswith("listening on "):
            lines.append(line.strip().removeprefix("listening on "))
        if len(lines) == wanted:
            break
    assert len(lines) == wanted, child.stderr.read()
    return child, lines

def ask(port, zone):
    it = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    it.settimeout(20)
    it.connect(("fe80::a", port, 0, socket.if_nametoindex(zone)))
    said = b""
    while chunk := it.recv(100):
        said += chunk
    return said

def ask_by_datagram(port, zone):
    it = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    it.settimeout(20)
    it.sendto(b"question", ("fe80::a", port, 0, socket.if_nametoindex(zone)))
    answer, who = it.recvfrom(100)
    assert who[0].split("%")[0] == "fe80::a", who
    return answer

def port(line):
    return int(line.rsplit(":", 1)[1])

serve(socket.SOCK_STREAM, "far", 9000, b"stream")
serve(socket.SOCK_DGRAM, "far", 9000, b"datagram")
number = socket.if_nametoindex("near")

for near in ["near", str(number)]:
    child, lines = start(
        "-l", f"[fe80::a%{near}]:0", "-l", f"udp://[fe80::a%{near}]:0",
        "-b", f"[fe80::b%{near}]:9000,check-port=9000", "--check", "tcp",
        "--check-interval", "50ms", "--log-level", "debug")
    assert lines[0].startswith(f"tcp://[fe80::a%{near}]:"), lines
    assert lines[1].startswith(f"udp://[fe80::a%{near}]:"), lines
    # The client is at the same end of the cable: what is local needs no way.
    assert ask(port(lines[0]), "near") == b"stream"
    assert ask_by_datagram(port(lines[1]), "near") == b"datagram"
    child.send_signal(signal.SIGTERM)
    _, log = child.communicate(timeout=20)
    assert child.returncode == 0, log
    assert f"backend [fe80::b%{near}]:9000 at [fe80::b%{near}]:9000" in log, log
    assert "is down" not in log, log

# The header of the PROXY protocol, and the Host of a probe, have no zones.
it = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
it.bind(("fe80::b", 9001, 0, socket.if_nametoindex("far")))
it.listen()
child, lines = start(
    "-l", "[fe80::a%near]:0", "-b", "[fe80::b%near]:9001,proxy=v1", "--check", "none")
client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
client.connect(("fe80::a", port(lines[0]), 0, number))
client.sendall(b"x")
accepted, _ = it.accept()
accepted.settimeout(20)
header = b""
while not header.endswith(b"\r\n"):
    header += accepted.recv(1)
assert re.fullmatch(rb"PROXY TCP6 fe80::a fe80::a \d+ %d\r\n" % port(lines[0]), header), header
child.kill()

# What leads back to us is known by its link.
child = subprocess.run(
    [program, "-l", "[fe80::a%near]:9002", "-b", f"[fe80::a%{number}]:9002"],
    capture_output=True, text=True)
assert child.returncode == 1 and "each connection would come back to us" in child.stderr, child

for args, wanted in [
    (["-l", "[fe80::a%nope]:0", "-b", "127.0.0.1:1"],
     "--listen [fe80::a%nope]:0: this machine has no interface nope"),
    (["-l", "[fe80::a%far]:0", "-b", "127.0.0.1:1"],
     "--listen [fe80::a%far]:0: that interface does not have that address"),
    (["-l", "127.0.0.1:0", "-b", "[fe80::b%nope]:1"], "this machine has no interface nope"),
]:
    child = subprocess.run([program, *args], capture_output=True, text=True)
    assert child.returncode == 1 and wanted in child.stderr, (child, wanted)
print("all of it was so")
"#;

#[test]
fn listeners_and_backends_may_be_on_one_link() {
    if missing(&["python3", "unshare", "ip"]) {
        return;
    }
    let network = |inside: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", NETWORK, "sh"]).args(inside);
        command.output().expect("it starts")
    };
    let plain = network(&["true"]);
    if !plain.status.success() {
        let why = String::from_utf8_lossy(&plain.stderr).into_owned();
        return println!("skipped: no network of our own can be made here: {why}");
    }
    let output = network(&["python3", "-c", STORY, env!("CARGO_BIN_EXE_pointsman")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && output.stdout.starts_with(b"all of it"), "{said}");
}
