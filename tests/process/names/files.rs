//! Files about names that are none.

use std::process::Command;

use crate::common::servers::missing;

/// The files are pipes, to which nobody writes.
const MACHINE: &str = r#"
set -eu
mount -t tmpfs tmpfs /run
mkfifo /run/pipe
touch /run/log
for it in /etc/hosts /etc/resolv.conf; do mount --bind /run/pipe $it; done
set -- "$1" -l http://127.0.0.1:0 -b dns://api.test:80 --resolver 127.0.0.1:9
"$@" 2>/run/log >/run/out &
for _ in $(seq 200); do
    if grep -q /etc/hosts /run/log && grep -q /etc/resolv.conf /run/log; then
        kill -TERM $! && wait $! && break
    fi
    sleep 0.1
done
kill -KILL $! 2>/dev/null || true
cat /run/log
"#;

#[test]
fn files_about_names_that_are_pipes_hang_nobody() {
    if missing(&["unshare"]) {
        return;
    }
    let machine = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_pointsman")).output().expect("it starts")
    };
    let made =
        machine("mount -t tmpfs tmpfs /run && mkfifo /run/a && mount --bind /run/a /etc/hosts");
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        return println!("skipped: no files of our own can be mounted here: {why}");
    }
    let output = machine(MACHINE);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        let word = format!("cannot read {file}: it is not a file");
        assert_eq!(said.matches(&word).count(), 1, "{word}: {output:?}");
    }
}
