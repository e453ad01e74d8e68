//! What cannot be asked for about TLS on the command line: a line each, naming the flag.

use std::process::Command;

/// What is said of these arguments; nothing may start.
fn complaint(args: &str) -> String {
    let front = ["-l", "127.0.0.1:0", "-b", "127.0.0.1:1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let output = command.args(front).args(args.split(' ')).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.matches('\n').count()), (Some(2), 1), "{text}");
    text
}

#[test]
fn wrong_words_about_tls() {
    let pair = "--cert a.crt --key a.key";
    let https = "-l https://127.0.0.1:0 --cert a.crt --key a.key";
    let rows = [
        ("--cert", "--cert: found nothing, want the path of a file"),
        ("--key=", "--key: found nothing, want the path of a file"),
        ("--cert --key", "--cert: found '--key', want the path of a file"),
        ("--cert a.crt", "--cert: found 1 of them and 0 --key, want a --key for each --cert"),
        (&format!("{pair} --key b"), "--key: found 2 of them for 1 --cert, want a --key for"),
        (pair, "--cert: found no https:// or tls:// listener, want at least one such as"),
        ("--sni-strict", "--sni-strict: found no https:// or tls:// listener"),
        ("--client-ca x", "--client-ca: found no https:// or tls:// listener"),
        ("--client-cert no", "--client-cert: found 'no', want required or optional"),
        ("--tls-handshake-timeout 5", "--tls-handshake-timeout: found '5', want a duration"),
        (&format!("{https} --client-cert optional"), "--client-cert: found no --client-ca"),
        ("--hsts x", "--hsts: found 'x', want a whole number from 0 to 315360000"),
        ("--hsts 1", "--hsts: found no https:// listener, want at least one such as"),
        ("--redirect-https", "--redirect-https: found no https:// listener"),
        (&format!("{https} --redirect-https"), "--redirect-https: |want at least one such as"),
        ("--backend-ca x", "--backend-ca: found no backend that speaks TLS, want at least"),
        ("--backend-verify no", "--backend-verify: found 'no', want required or none"),
        ("--backend-verify none", "--backend-verify: found no backend that speaks TLS"),
        (
            "-b https://a:1 --backend-ca x --backend-verify none",
            "--backend-ca: found --backend-ca with --backend-verify none, want one of the two",
        ),
        ("--alpn", "--alpn: found nothing, want a name of ALPN such as postgresql or h2"),
        ("--alpn a,,b", "--alpn: found 'a,,b', want a name of ALPN"),
        ("--alpn -b", "--alpn: found '-b', want a name of ALPN"),
        ("--alpn a,a", "--alpn: found 'a' twice, want each name once"),
        (
            "--alpn a",
            "--alpn: found no tls:// listener, want at least one such as --listen tls",
        ),
        ("--backend-cert x", "--backend-cert: found no --backend-key, want --backend-key FILE"),
        ("--backend-key x", "--backend-key: found no --backend-cert, want --backend-cert FILE"),
        (
            "--backend-cert x --backend-key y",
            "--backend-cert: found no backend that speaks TLS, want at least one such as",
        ),
        ("--check https:health", "--check: |want https:/PATH, the path beginning with a slash"),
    ];
    for (args, says) in rows {
        let line = complaint(args);
        for part in says.split('|') {
            assert!(line.contains(part), "{args}\n   says: {line}\n   not: {part}");
        }
    }
}
