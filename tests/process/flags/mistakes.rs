//! Several mistakes at once, and what was probably meant.

use super::{BACKEND, LISTEN, complaints, expect};

/// What follows from a mistake is not told beside it.
#[test]
fn all_mistakes_are_told_at_once() {
    let says = |args: &str| complaints(&args.split(' ').collect::<Vec<_>>());
    let begin = |args: &str, begins: &[&str]| {
        let lines = says(args);
        assert_eq!(lines.len(), begins.len(), "{args}: {lines:#?}");
        for begin in begins {
            assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {lines:#?}");
        }
    };
    begin(
        "-l 8080 -b web1 --health-check http:/ -y --rise 0 --max-body 10MB stray",
        &[
            "--listen: found '8080'",
            "--backend: found 'web1'",
            "--health-check: found an unknown flag",
            "-y: found an unknown flag",
            "--rise: found '0'",
            "--max-body: found '10MB'",
            "'stray': found an argument that belongs to no flag",
        ],
    );
    begin(
        "-l 127.0.0.1:0 -l 127.0.0.1:99999 -b a:1 -b a:1 -a least-load --hsts 1 --cert a.crt",
        &[
            "--listen: found '127.0.0.1:99999'",
            "--backend: found the name 'a:1' twice",
            "--balance: found 'least-load'",
        ],
    );
    begin(
        "-listen 127.0.0.1:0 -b a:1 --rise 1 --rise 1",
        &["-listen: found one", "--rise: found twice"],
    );
    begin(
        "--rise=x --fall",
        &["--fall: found", "--rise: found", "--listen and --backend: found"],
    );
    begin("one two -demo", &["-demo: found one dash", "'one': found", "'two': found"]);
    begin("--demo=1 --retries=x", &["--demo: found the value '1'", "--retries: found 'x'"]);
    begin("--listen --balance first -b a:1", &["--listen: found '--balance'"]);
    begin("-l https://*:1 -b a:1 --cert a --hsts x", &["--cert: found 1", "--hsts: found 'x'"]);
    begin("-xyz -l *:1 -b a:1 --frob=1 --nicate 2", &["-x: found", "--frob:", "--nicate:"]);
}

/// What was probably meant is said.
#[test]
fn near_misses_are_answered_with_what_was_meant() {
    let rows = [
        (
            "-l 8080",
            "--listen: found '8080', want |; did you mean 127.0.0.1:8080, or *:8080 for",
        ),
        ("-l htp://*:80", "--listen: found 'htp://*:80'|; did you mean http://*:80?"),
        ("-l unix:run/x", "--listen: found 'unix:run/x', want unix: and an absolute path"),
        ("-l *:80 -b /run/x", "--backend: found '/run/x', want unix: in front; did you mean"),
        ("-l *:80 -b web1", "--backend: found 'web1', want |; did you mean web1:80?"),
        (
            "-l *:80 -b 0.0.0.0:80",
            "--backend: found '0.0.0.0:80', want the address of a server",
        ),
        ("-l *:80 --health-check /x", "--health-check: found an unknown flag|mean --check?"),
        ("-l *:80 --conf x.yml", "--conf: found an unknown flag|did you mean --config?"),
        ("-l *:80 --max-body 10MB", "--max-body: found '10MB', want |; did you mean 10m?"),
        (
            "-l 127.0.0.1:80 -l *:80",
            "--listen: found '127.0.0.1:80' beside '0.0.0.0:80', which has it already, want one",
        ),
        ("-l [::1]:80 -l [::]:80", "--listen: found '[::1]:80' beside '[::]:80'"),
        (
            "-l 127.0.0.1:80 -l [::ffff:127.0.0.1]:80",
            "--listen: found '[::ffff:127.0.0.1]:80' tw",
        ),
        ("-l [::ffff:127.0.0.1]:80 -l *:80", "--listen: found '[::ffff:127.0.0.1]:80' beside"),
        (
            "-l 224.0.0.1:80",
            "--listen: |an address of this machine: 224.0.0.1 is the address of",
        ),
        ("-l udp://[ff02::1]:80", "--listen: |ff02::1 is the address of a multicast group"),
        ("-l 255.255.255.255:80", "--listen: |255.255.255.255 is the address of a broadcast"),
        (
            "-l *:80 -b 224.0.0.1:80",
            "--backend: found '224.0.0.1:80', want the address of a ser",
        ),
        ("-l *:80 -b [ff02::1]:80", "--backend: found |ff02::1 is the address of a multicast"),
        ("-l udp://*:80 -b 255.255.255.255:80", "--backend: |is the address of a broadcast"),
    ];
    expect(&rows, BACKEND);
    let route = "--route a.example=b:1,check-port=2 --route b.example=b:1,check-port=3";
    let says = "--route: found the backend 'b:1' with other options";
    expect(&[(route, says)], &["-l", "sni://*:443"]);
    for args in ["-l HTTP://127.0.0.1:0 -b Tcp://a:1", "-l TCP://[::]:80 -l 0.0.0.0:80 -b a:1"]
    {
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        assert!(pointsman::flags::parse(&args).is_ok(), "{args:?}");
    }
}

#[test]
fn wrong_ranges_of_ports() {
    let rows = [
        ("-l 127.0.0.1:9-1", "--listen: found '9-1' in '127.0.0.1:9-1', want the lower port"),
        ("-l *:1-9999", "--listen: found 9999 ports in '*:1-9999', want at most 1024"),
        ("-l *:80-82 -l *:81", "--listen: found '0.0.0.0:81' twice, want each address"),
    ];
    expect(&rows, BACKEND);
    let rows = [
        (
            "-b db:1-",
            "--backend: found '1-' in 'db:1-', want two ports from 1 to 65535 such as",
        ),
        (
            "-b db:1-2,name=x",
            "--backend: found 'name=x' in 'db:1-2,name=x', want no name for a",
        ),
        ("-b db:1-3 -b db:2", "--backend: found the name 'db:2' twice"),
    ];
    expect(&rows, LISTEN);
    let rows = [("--route *=db:3-1", "--route: found '3-1' in 'db:3-1', want the lower port")];
    expect(&rows, &["-l", "http://127.0.0.1:0"]);
}

#[test]
fn a_name_that_dns_cannot_hold_is_told_with_its_reason_each() {
    let label = format!("{}.example:80", "a".repeat(64));
    let name = format!("dns://{}.example:80", ["b".repeat(62).as_str(); 4].join("."));
    let args = [
        ["-b", &label],
        ["-b", &name],
        ["-b", "a..example:80"],
        ["-b", "srv://_http._tcp.b\u{fc}cher.example"],
        ["-b", "b\u{fc}cher.example:80"],
        ["-b", "10.0.0.300:80"],
        ["-b", "a:80,tls,sni=b\u{fc}cher.example"],
        ["--route", "b\u{fc}cher.example=a:80"],
        ["--check-host", "b\u{fc}cher.example"],
    ];
    let told = complaints(&args.concat());
    let ascii = "xn--...";
    let reasons = [
        ("--backend", "a label of the name has 64 bytes, at most 63"),
        ("--backend", "bytes, at most 253"),
        ("--backend", "a label of the name is empty"),
        ("--backend", ascii),
        ("--backend", ascii),
        ("--backend", "the name ends in a number, as an address does, which it is not"),
        ("--backend", ascii),
        ("--route", ascii),
        ("--check-host", ascii),
    ];
    for (flag, reason) in reasons {
        let has = |line: &&String| line.contains(flag) && line.contains(reason);
        assert!(told.iter().any(|line| has(&line)), "{flag}: {reason}: {told:#?}");
    }
    assert!(told.len() >= reasons.len(), "each has a line: {told:#?}");
}
