//! Every flag wrong in every way, with the real program: one line on standard error that names
//! the flag, what was found and what would be right; nothing on standard output; exit code 2.

mod help;
mod mistakes;
mod once;
mod protocols;

use std::ffi::OsStr;
use std::process::{Command, Output};

fn pointsman<S: AsRef<OsStr>>(args: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output().expect("it starts")
}

/// The one line of the complaint, without `pointsman: `.
fn complaint<S: AsRef<OsStr> + std::fmt::Debug>(args: &[S]) -> String {
    let mut lines = complaints(args);
    assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
    lines.remove(0)
}

/// Its lines, without `pointsman: `.
fn complaints<S: AsRef<OsStr> + std::fmt::Debug>(args: &[S]) -> Vec<String> {
    let output = pointsman(args);
    let text = String::from_utf8(output.stderr).expect("it speaks UTF-8");
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?} wrote to standard output");
    let line = |line: &str| {
        assert!(!line.contains(char::is_control), "{line:?}");
        line.strip_prefix("pointsman: ").expect("it says who it is").to_owned()
    };
    text.lines().map(line).collect()
}

/// Rows of arguments and what the line must have in it, split at blanks and at `|`. What would
/// be missing otherwise is put in front.
fn expect(rows: &[(&str, &str)], front: &[&str]) {
    for (args, says) in rows {
        let mut all = front.to_vec();
        all.extend(args.split(' ').filter(|arg| !arg.is_empty()));
        let line = complaint(&all);
        for part in says.split('|') {
            assert!(line.contains(part), "{args}\n   says: {line}\n   not: {part}");
        }
    }
}

const BOTH: &[&str] = &["--listen", "127.0.0.1:0", "--backend", "127.0.0.1:1"];
const LISTEN: &[&str] = &["--listen", "127.0.0.1:0"];
const BACKEND: &[&str] = &["--backend", "127.0.0.1:1"];
const HTTP: &[&str] = &["--listen", "http://127.0.0.1:0", "--backend", "127.0.0.1:1"];

#[test]
fn the_line_is_exactly_this() {
    assert_eq!(
        complaint(&[BOTH, &["--check-interval", "5"]].concat()),
        "--check-interval: found '5', want a duration with its unit such as 500ms, 2s, 5m or 1h"
    );
    assert_eq!(
        complaint(&[BACKEND, &["--listen", "quic://127.0.0.1:80"]].concat()),
        "--listen: found 'quic://127.0.0.1:80', want tcp://, http://, https://, tls://, sni://, \
         udp:// or no scheme: 'quic' is not served by this version"
    );
    assert_eq!(
        complaint(&["--listen", "127.0.0.1:80"]),
        "--backend: found nothing, want at least one such as --backend 127.0.0.1:8001, or --demo; \
         see --help"
    );
}

#[test]
fn wrong_listeners() {
    let rows = [
        ("-l 8000", "--listen: found '8000', want [SCHEME://]ADDR:PORT such as 127.0.0.1:8000"),
        ("-l 127.0.0.1", "--listen: found '127.0.0.1'"),
        (
            "-l 127.0.0.1:99999",
            "--listen: found '127.0.0.1:99999', want a port from 0 to 65535",
        ),
        ("-l ::1:80", "--listen: |want an IPv6 address in brackets"),
        ("-l example.org:80", "--listen: |want an address of this machine, not a name"),
        ("-l http://127.0.0.1", "--listen: found 'http://127.0.0.1', want"),
        ("-l http://127.0.0.1:80/", "--listen: found 'http://127.0.0.1:80/', want"),
        ("-l http://example.org:80", "--listen: |want an address of this machine, not a name"),
        ("-l *:80 -l http://*:80", "--listen: found '0.0.0.0:80' twice, want each address"),
        (
            "-l https://[::]:443",
            "--listen: found 'https://[::]:443' without a certificate, want --cert FILE and --key",
        ),
        ("-l tls://[::]:443", "--listen: found 'tls://[::]:443' without a certificate"),
        ("-l quic://[::]:53", "--listen: |'quic' is not served by this version"),
        ("-l gopher://[::]:70", "--listen: |'gopher' is not served by this version"),
        (
            "-l *:80 --listen 0.0.0.0:80",
            "--listen: found '0.0.0.0:80' twice, want each address",
        ),
        ("--listen=", "--listen: found nothing, want [SCHEME://]ADDR:PORT"),
        ("--listen", "--listen: found nothing, want [SCHEME://]ADDR:PORT"),
        ("-l", "--listen: found nothing, want [SCHEME://]ADDR:PORT"),
        ("-l -a first", "--listen: found '-a', want [SCHEME://]ADDR:PORT"),
    ];
    expect(&rows, BACKEND);
    expect(&[("", "--listen: found nothing|such as --listen 127.0.0.1:8000|--demo")], BACKEND);
}

#[test]
fn wrong_backends() {
    let rows = [
        ("-b db1", "--backend: found 'db1', want [SCHEME://]HOST:PORT such as 10.0.0.1:8001"),
        ("-b :80", "--backend: found ':80'"),
        ("-b db1:0", "--backend: found 'db1:0', want a port from 1 to 65535"),
        ("-b db1:65536", "--backend: |want a port from 1 to 65535"),
        ("-b 1.2.3:80", "--backend: found '1.2.3:80'"),
        ("-b fe80::1:80", "--backend: |want an IPv6 address in brackets"),
        ("-b http://db1", "--backend: found 'http://db1', want"),
        ("-b http://db1:80/path", "--backend: found 'http://db1:80/path', want"),
        ("-b a:1,tls=yes", "--backend: found 'tls=yes'|want tls alone, without a value"),
        ("-b a:1,tls,tls", "--backend: found a second tls in|want each option once"),
        ("-b a:1,sni=b", "--backend: found sni= without TLS|want https:// in front, or ,tls"),
        ("-b https://a:1,sni=", "--backend: found 'sni=' in|want sni=NAME"),
        ("-b https://a:1,sni=a/b", "--backend: found 'sni=a/b' in|want sni=NAME"),
        ("-b db1:80 -b http://db1:80", "--backend: found the name 'db1:80' twice"),
        ("-b quic://db1:53", "--backend: |'quic' is not served by this version"),
        (
            "-b a:1,weight=x",
            "--backend: found 'weight=x' in 'a:1,weight=x', want weight=N|65535",
        ),
        ("-b a:1,weight=65536", "--backend: found 'weight=65536'"),
        (
            "-b a:1,weight=1,weight=2",
            "--backend: found a second weight in|want each option once",
        ),
        ("-b a:1,max-connections=0", "--backend: found 'max-connections=0' in|from 1 to"),
        ("-b a:1,backup=yes", "--backend: found 'backup=yes'|want backup alone"),
        ("-b a:1,name=", "--backend: found 'name=' in|want name=NAME"),
        ("-b a:1,name=a/b", "--backend: found 'name=a/b' in|letters, digits"),
        ("-b a:1,", "--backend: found an empty option in 'a:1,'"),
        (
            "-b a:1,wait=3",
            "--backend: found 'wait=3' in|want weight=N, max-connections=N, backup",
        ),
        ("-b a:1,weigth=3", "--backend: |did you mean weight?"),
        ("-b a:1 -b a:1", "--backend: found the name 'a:1' twice|,name=NAME"),
        ("-b a:1,name=x -b a:2,name=x", "--backend: found the name 'x' twice"),
        ("--backend", "--backend: found nothing, want [SCHEME://]HOST:PORT"),
    ];
    expect(&rows, LISTEN);
    expect(&[("", "--backend: found nothing|such as --backend 127.0.0.1:8001|--demo")], LISTEN);
}

#[test]
fn wrong_routes() {
    let want = "want NAME[/PATH]=BACKEND[,BACKEND]... such as www.example.com=10.0.0.1:443";
    let name = "want a host name, *.DOMAIN or * before the =";
    let rows = [
        ("--route", &*format!("--route: found nothing, {want}")),
        ("--route=", &format!("--route: found nothing, {want}")),
        ("--route a.example", &format!("--route: found 'a.example', {want}")),
        ("--route a.example=", &format!("--route: found 'a.example=', {want}")),
        ("--route -l=b:1", &format!("--route: found '-l=b:1', {name}")),
        ("--route 10.0.0.1=b:1", &format!("--route: found '10.0.0.1=b:1', {name}")),
        ("--route a.*=b:1", &format!("--route: found 'a.*=b:1', {name}")),
        ("--route a.example=b", "--route: found 'b', want [SCHEME://]|HOST:PORT such as"),
        ("--route a.example=b:1,c", "--route: found 'c', want [SCHEME://]|HOST:PORT such as"),
        ("--route a.example=b:1,weight=x", "--route: found 'weight=x' in 'b:1,weight=x', want"),
        ("--route a.example=b:1,b:1", "--route: found the backend 'b:1' twice at a.example"),
        (
            "--route a.example=b:1 --route A.EXAMPLE.=c:1",
            "--route: found 'a.example' twice, want each name once, with all its backends",
        ),
        (
            "--route a.example=b:1,weight=2 -b b:1,weight=3",
            "--route: found the backend 'b:1' with other options, want its options once",
        ),
        ("--route a.example=b:1 -l *:0", "--backend: found nothing, want at least one such as"),
        ("--route *=b:1 --demo", "--demo: found --route beside it, want one of the two"),
        ("--demo", "--demo: found an sni:// listener, want others"),
        ("", "--route: found nothing, want at least one such as --route www.example.com="),
    ];
    expect(&rows, &["--listen", "sni://127.0.0.1:0"]);
    let says = "--route: found no sni://, tls://, http:// or https:// listener, want at least";
    expect(&[("--route a.example=b:1", says)], BOTH);
    expect(&[("--route a.example=b:1", says)], &["--listen", "udp://127.0.0.1:0"]);
    expect(&[("--route a.example=b:1", says)], &[]);
}

#[test]
fn nothing_at_all() {
    let none: &[&str] = &[];
    let line = complaint(none);
    assert!(line.starts_with("--listen and --backend: found nothing, want"), "{line}");
}

#[test]
fn too_many_backends() {
    let mut args: Vec<String> = LISTEN.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend((0..=pointsman::limits::BACKENDS_MAX).map(|i| format!("-bb{i}:80")));
    assert_eq!(complaint(&args), "--backend: found 10001 backends, want at most 10000");
    args.pop();
    assert_eq!(complaint(&[args, vec!["--rise=x".to_owned()]].concat())[..6], *"--rise");
}

#[test]
fn wrong_words() {
    let load = "--check load:TEXT with it";
    let rows = [
        (
            "-a fastest",
            "--balance: found 'fastest', want one of least-connections, round-robin",
        ),
        ("-a roundrobbin", "--balance: |did you mean round-robin?"),
        ("-a First", "--balance: found 'First'|did you mean first?"),
        ("--balance=", "--balance: found nothing, want one of least-connections"),
        (
            "-a least-load",
            "--balance: found 'least-load' with --check 'tcp'|want --check load:TEXT",
        ),
        ("-a least_load --check http:/", &format!("--balance: found 'least-load'|{load}")),
        ("-a least-load --check none", &format!("--balance: |--check 'none'|{load}")),
        (
            "--check udp",
            "--check: found 'udp', want tcp, http:/PATH, https:/PATH, load:TEXT, udp:TEXT or",
        ),
        ("--check udp:", "--check: found 'udp:', want udp:TEXT[,expect=TEXT], TEXT being 1"),
        (r"--check udp:\y", r"--check: found 'udp:\y', want udp:TEXT|with \xNN for any byte"),
        (
            "--check udp:a,expect=",
            "--check: found 'udp:a,expect=', want udp:TEXT[,expect=TEXT]",
        ),
        ("--check http:health", "--check: found 'http:health', want|beginning with a slash"),
        ("--check http://db1/health", "--check: |want http:/PATH without a host"),
        ("--check http:/é", "--check: |want http:/PATH without spaces"),
        (
            "--check http:/,expect=2xx",
            "--check: |want http:/PATH[,expect=STATUSES] such as 200",
        ),
        ("--check tcp:", "--check: found 'tcp:', want tcp:TEXT[,expect=TEXT], TEXT being 1"),
        ("--check-host a/b --check http:/", "--check-host: found 'a/b', want a host such as"),
        ("--check-host a", "--check-host: found --check 'tcp', want --check http:/PATH or"),
        ("--check load:", "--check: found 'load:', want load:TEXT, TEXT being 1 to 100 bytes"),
        (
            "--check",
            "--check: found nothing, want tcp, http:/PATH, https:/PATH, load:TEXT, udp:TEXT or",
        ),
        ("--all-down wait", "--all-down: found 'wait', want refuse or spread"),
        ("--all-down", "--all-down: found nothing, want refuse or spread"),
        ("--on-down drop", "--on-down: found 'drop', want keep or close"),
        ("--on-down", "--on-down: found nothing, want keep or close"),
        (
            "--log-level loud",
            "--log-level: found 'loud', want off, error, warn, info, debug or",
        ),
        ("--log-level INFO", "--log-level: found 'INFO', want off, error"),
        ("--log-level", "--log-level: found nothing, want off"),
        ("--log-format xml", "--log-format: found 'xml', want text, json or journald"),
    ];
    expect(&rows, BOTH);
}

#[test]
fn wrong_access_logs() {
    let file = "want a file, or - for standard output";
    let words = "want combined, haproxy, json or custom: and text with $variables";
    let rows = [
        ("--access-log", &*format!("--access-log: found nothing, {file}")),
        ("--access-log=", &format!("--access-log: found nothing, {file}")),
        ("--access-log -l", &format!("--access-log: found '-l', {file}; ./-FILE")),
        ("--access-log --demo", &format!("--access-log: found '--demo', {file}")),
        ("--access-log /tmp/", "--access-log: found '/tmp/', want a file, not a directory"),
        ("--access-log-format", &format!("--access-log-format: found nothing, {words}")),
        ("--access-log-format=", &format!("--access-log-format: found nothing, {words}")),
        ("--access-log-format JSON", &format!("--access-log-format: found 'JSON', {words}")),
        (
            "--access-log-format custom:$statsu",
            "--access-log-format: found '$statsu' in '$statsu', want a variable that there is; \
             did you mean $status?",
        ),
        ("--access-log-format clf", &format!("--access-log-format: found 'clf', {words}")),
        (
            "--access-log-format combined",
            "--access-log-format: found no --access-log beside it, want --access-log FILE with",
        ),
    ];
    expect(&rows, BOTH);
}

#[test]
fn wrong_durations() {
    let unit = "want a duration with its unit such as 500ms, 2s, 5m or 1h";
    let rows = [
        ("check-interval", "at least 10ms"),
        ("check-timeout", "at least 1ms"),
        ("connect-timeout", "at least 1ms"),
        ("tls-handshake-timeout", "at least 1ms"),
        ("idle-timeout", "at least 1ms"),
        ("half-close-timeout", "at least 1ms"),
        ("backend-idle", "at least 1ms"),
        ("header-timeout", "at least 1ms"),
        ("keep-alive", "at least 1ms"),
        ("udp-timeout", "at least 1ms"),
        ("server-timeout", "at least 1ms"),
        ("slow-start", ""),
        ("drain-delay", ""),
        ("drain-timeout", ""),
    ];
    for (flag, least) in rows {
        for text in ["5", "0", "-5s", "5d", "5S", "s", "1h30m", "1,5s", "soon"] {
            let line = complaint(&[BOTH, &[&format!("--{flag}"), text]].concat());
            assert_eq!(line, format!("--{flag}: found '{text}', {unit}"));
        }
        let line = complaint(&[BOTH, &[&format!("--{flag}=8761h")]].concat());
        assert_eq!(
            line,
            format!("--{flag}: found '8761h', want at most 8760h, which is 365 days")
        );
        assert_eq!(
            complaint(&[BOTH, &[&format!("--{flag}")]].concat()),
            format!("--{flag}: found nothing, {unit}")
        );
        let zero = format!("--{flag}=0s");
        let zero = [BOTH, &[&zero]].concat();
        if least.is_empty() {
            let args: Vec<String> = zero.iter().map(|arg| (*arg).to_owned()).collect();
            assert!(pointsman::flags::parse(&args).is_ok(), "--{flag}=0s");
        } else {
            assert_eq!(complaint(&zero), format!("--{flag}: found '0s', want {least}"));
        }
    }
}

#[test]
fn wrong_numbers() {
    let rows = [
        ("rise", "from 1 to 1000", ["0", "1001", "-1", "2.0", "two"]),
        ("fall", "from 1 to 1000", ["0", "1001", "-1", "+3", "0x3"]),
        ("eject-after", "from 0 to 1000", ["1001", "-1", "off", "5s", "1.5"]),
        ("retries", "from 0 to 100", ["101", "-1", "1e1", "3s", "none"]),
        ("max-flows", "from 1 to 1000000000", ["0", "1000000001", "-1", "10k", "none"]),
        ("udp-requests", "from 1 to 1000000", ["0", "1000001", "-1", "1s", "none"]),
        ("udp-responses", "from 0 to 1000000", ["1000001", "-1", "1.0", "any", "+1"]),
        ("max-connections", "from 1 to 1000000000", ["0", "1000000001", "-1", "10k", "∞"]),
        ("backend-idle-connections", "from 0 to 100000", ["100001", "-1", "10k", "none", "1s"]),
        (
            "seed",
            "from 0 to 18446744073709551615",
            ["18446744073709551616", "-1", "x", "1_0", "0b1"],
        ),
    ];
    for (flag, range, texts) in rows {
        for text in texts {
            let line = complaint(&[BOTH, &[&format!("--{flag}"), text]].concat());
            assert_eq!(line, format!("--{flag}: found '{text}', want a whole number {range}"));
        }
        let line = complaint(&[BOTH, &[&format!("--{flag}")]].concat());
        assert_eq!(line, format!("--{flag}: found nothing, want a whole number {range}"));
    }
}

#[test]
fn wrong_sizes() {
    let want = "want a size such as 4096, 512k, 10m or 1g, or none";
    for text in ["10M", "10mb", "1.5m", "-1", "+1", "m", "1t", "off", "0x10", "1m2"] {
        let line = complaint(&[BOTH, &["--max-body", text]].concat());
        let says = format!("--max-body: found '{text}', {want}");
        let meant = match text {
            "10M" | "10mb" => "; did you mean 10m?",
            _ => "",
        };
        assert_eq!(line, format!("{says}{meant}"));
    }
    let rows = [
        ("--max-body", "--max-body: found nothing, want a size such as"),
        ("--max-body=", "--max-body: found nothing, want a size such as"),
        ("--max-body 0", "--max-body: found '0', want at least 1 byte, or none for no limit"),
        ("--max-body 0m", "--max-body: found '0m', want at least 1 byte"),
        ("--max-body 1048577g", "--max-body: found '1048577g', want at most 1048576g, or none"),
        ("--max-body 99999999999999999999", "--max-body: |want at most 1048576g"),
    ];
    expect(&rows, BOTH);
}

#[test]
fn wrong_networks() {
    let want = "want a network such as 10.0.0.0/8 or fd00::/8, or an address";
    let flag = "--trusted-proxies";
    let rows = [
        ("", format!("{flag}: found nothing, {want}")),
        ("=", format!("{flag}: found nothing, {want}")),
        ("=proxy1", format!("{flag}: found 'proxy1', {want}")),
        (" -l", format!("{flag}: found '-l', {want}")),
        ("=10.0.0.0/", format!("{flag}: found '10.0.0.0/', {want}")),
        ("=[::1]", format!("{flag}: found '[::1]', {want}")),
        ("=10.0.0.0/33", format!("{flag}: found '10.0.0.0/33', want a prefix from 0 to 32")),
        ("=::/129", format!("{flag}: found '::/129', want a prefix from 0 to 128")),
        ("=10.1.2.3/8", format!("{flag}: found '10.1.2.3/8', want 10.0.0.0/8, or 10.1.2.3")),
        ("=::1,", format!("{flag}: found an empty part in '::1,', {want}")),
        ("=::1,fe80::1/10", format!("{flag}: found 'fe80::1/10' in |want fe80::/10, or")),
        ("=::1 --trusted-proxies=x", format!("{flag}: found 'x', {want}")),
    ];
    for (value, says) in rows {
        expect(&[(&format!("{flag}{value}"), &says)], BOTH);
    }
}

#[test]
fn flags_that_are_not_flags() {
    let rows = [
        ("--balence first", "--balence: found an unknown flag|did you mean --balance?"),
        ("--BACKEND a:1", "--BACKEND: found an unknown flag|did you mean --backend?"),
        ("--check-int 2s", "--check-int: found an unknown flag|did you mean --check-interval?"),
        ("--frobnicate", "--frobnicate: found an unknown flag, want one that --help lists"),
        ("-x", "-x: found an unknown flag, want one that --help lists"),
        ("-listen 127.0.0.1:80", "-listen: found one dash, want two: --listen"),
        ("-check=tcp", "-check: found one dash, want two: --check"),
        ("--=x", "--: found an unknown flag"),
        ("127.0.0.1:80", "'127.0.0.1:80': found an argument that belongs to no flag|--listen"),
        ("-- --demo", "'--demo': found an argument that belongs to no flag"),
        ("-", "'-': found an argument that belongs to no flag"),
    ];
    expect(&rows, BOTH);
    let line = complaint(&[BOTH, &["--a\nb\x1b[31m"]].concat());
    assert!(line.starts_with("--a\\nb\\u{1b}[31m: found an unknown flag"), "{line}");
    let line = complaint(&[BOTH, &[""]].concat());
    assert!(line.starts_with("'': found an argument that belongs to no flag"), "{line}");
}

#[test]
fn flags_that_do_not_go_together() {
    let rows = [
        ("--demo", "--demo: found --backend beside it, want one of the two"),
        ("--help=all", "--help: found the value 'all', want the flag alone"),
        ("--version=2", "--version: found the value '2', want the flag alone"),
    ];
    expect(&rows, BOTH);
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let line = complaint(&[OsStr::from_bytes(b"--listen=\xff")]);
    assert!(line.contains("'--listen=\u{fffd}': found bytes that are no text"), "{line}");
}

#[test]
fn wrong_times_of_keepalive() {
    for text in ["999ms", "10h"] {
        let line = complaint(&[BOTH, &["--tcp-keepalive", text]].concat());
        assert_eq!(
            line,
            format!("--tcp-keepalive: found '{text}', want from 1s to 9h, or off")
        );
    }
}

#[test]
fn permission_and_owner_of_a_file_need_a_socket_that_has_one() {
    for [flag, value] in [["--socket-mode", "0600"], ["--socket-owner", "0:0"]] {
        let says = complaint(&[BOTH, &[flag, value]].concat());
        assert!(says.starts_with(flag) && says.contains("no listener with a file"), "{says}");
        assert!(says.contains("unix:/run/web.sock"), "{says}");
    }
    let says = complaint(&[BOTH, &["--admin-socket-mode", "0600"]].concat());
    assert!(says.contains("no admin listener with a file"), "{says}");
    // To chown(2) that number says that nothing is changed.
    let says = complaint(&[BOTH, &["--socket-owner", "4294967295"]].concat());
    assert!(says.contains("found '4294967295'"), "{says}");
}
