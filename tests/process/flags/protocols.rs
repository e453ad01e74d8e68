//! Flags that the listeners of one protocol heed, and are wrong without them.

use super::{BOTH, HTTP, LISTEN, expect};

#[test]
fn wrong_hash_keys() {
    let kinds = "want ip, uri, path, header:NAME or cookie:NAME";
    let hash = "want --balance ip-hash or consistent-hash with it";
    let rows = [
        ("--hash-key", &*format!("--hash-key: found nothing, {kinds}")),
        ("--hash-key=", &format!("--hash-key: found nothing, {kinds}")),
        ("--hash-key -l", &format!("--hash-key: found '-l', {kinds}")),
        ("--hash-key url", &format!("--hash-key: found 'url', {kinds}")),
        ("--hash-key header", &format!("--hash-key: found 'header', {kinds}")),
        ("--hash-key path:/", &format!("--hash-key: found 'path:/', {kinds}")),
        ("--hash-key header:", "--hash-key: found 'header:', want header:NAME"),
        ("--hash-key header:a/b", "--hash-key: |want header:NAME, NAME being 1"),
        ("--hash-key cookie:a=b", "--hash-key: |want cookie:NAME, NAME being 1"),
        ("--hash-key uri", &format!("--hash-key: found 'uri' with --balance|{hash}")),
        ("--hash-key ip -a rr", &format!("--hash-key: found 'ip' with|round-robin|{hash}")),
    ];
    expect(&rows, HTTP);
    let rows = [
        ("-a ip-hash --hash-key uri", "'uri' with the TCP listener '127.0.0.1:0'"),
        ("-a maglev --hash-key cookie:a -l http://[::1]:0", "'cookie:a' with the TCP listener"),
    ];
    expect(&rows, BOTH);
}

#[test]
fn wrong_cookies() {
    let want = "want a name of 1 to 256 letters, digits or !";
    let rows = [
        ("--sticky-cookie", &*format!("--sticky-cookie: found nothing, {want}")),
        ("--sticky-cookie=", &format!("--sticky-cookie: found nothing, {want}")),
        ("--sticky-cookie -l", &format!("--sticky-cookie: found '-l', {want}")),
        ("--sticky-cookie a=b", &format!("--sticky-cookie: found 'a=b', {want}")),
        ("--sticky-cookie a;b", &format!("--sticky-cookie: found 'a;b', {want}")),
        ("--sticky-cookie é", &format!("--sticky-cookie: found 'é', {want}")),
        ("--sticky-key k", "--sticky-key: found no --sticky-cookie, want --sticky-cookie NAME"),
        ("--sticky-same-site all", "--sticky-same-site: found 'all', want lax, strict or none"),
        ("--via yes", "--via: found 'yes', want on or off"),
        ("--sticky-cookie __Host-a", "--sticky-cookie: found '__Host-a', want a name without"),
    ];
    expect(&rows, HTTP);
    let want = "want at least one such as --listen http://127.0.0.1:8000";
    let says = format!("--sticky-cookie: found no http:// listener, {want}");
    expect(&[("--sticky-cookie SRV", &says)], BOTH);
}

#[test]
fn wrong_paths() {
    for flag in ["--health-path", "--stats-path"] {
        let rows = [
            ("", "found nothing, want /PATH, the path beginning with a slash"),
            (" -l", "found '-l', want /PATH, the path beginning with a slash"),
            ("=up", "found 'up', want /PATH, the path beginning with a slash"),
            ("=http://a/up", "found 'http://a/up', want /PATH, the path"),
            ("=//a/up", "found '//a/up', want /PATH without a host"),
            ("=/up?full", "found '/up?full', want /PATH without a query"),
            ("=/up#top", "found '/up#top', want /PATH without spaces, '#'"),
            ("=/é", "found '/é', want /PATH without spaces"),
        ];
        for (value, says) in rows {
            expect(&[(&format!("{flag}{value}"), &format!("{flag}: {says}"))], HTTP);
        }
        let says = format!("{flag}: found no http:// listener, want at least one such as");
        expect(&[(&format!("{flag} /up"), &says)], BOTH);
    }
    let says = "--stats-path: found '/up' at --health-path too, want two paths that differ";
    expect(&[("--stats-path /up --health-path /up", says)], HTTP);
}

#[test]
fn udp_flags_without_datagrams() {
    let want =
        "found no udp:// listener, want at least one such as --listen udp://127.0.0.1:5353";
    let flags =
        ["udp-timeout 1s", "udp-responses 1", "udp-requests 1", "max-flows 9"].map(|flag| {
            let name = flag.split(' ').next().unwrap_or(flag);
            (format!("--{flag}"), format!("--{name}: {want}"))
        });
    for (flag, says) in &flags {
        expect(&[(flag, says)], BOTH);
    }
    let rows = [
        (
            "-b a:1,check-port=0",
            "--backend: found 'check-port=0' in|check-port=N, N being a whole",
        ),
        ("-b a:1,check-port", "--backend: found 'check-port' in|want check-port=N, N being"),
        ("-b a:1,check-port=65536", "--backend: found 'check-port=65536' in|from 1 to 65535"),
        ("-b a:1,check-port=1,check-port=2", "--backend: found a second check-port in"),
    ];
    expect(&rows, LISTEN);
    let says =
        "--backend: found 'a:1' with TLS, and only udp:// listeners, want none: datagrams";
    expect(&[("-b udp://b:1 -b https://a:1", says)], &["--listen", "udp://127.0.0.1:0"]);
}
