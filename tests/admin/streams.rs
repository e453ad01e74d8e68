//! Streams of events that last.

use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;

use crate::common::Backend;
use crate::common::admin::Admin;

/// Twice the pause after which a comment has to come.
const TWO_PAUSES: Duration = Duration::from_secs(30);

/// Somebody who listens, from this number on.
fn listener(admin: &Admin, fields: &str) -> UnixStream {
    let mut stream = admin.api.connect();
    stream.set_read_timeout(Some(TWO_PAUSES)).unwrap();
    let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_until(&mut stream, "retry: 2000");
    stream
}

fn read_until(stream: &mut UnixStream, word: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(word) {
        let count = stream.read(&mut buffer).expect("more");
        assert!(count > 0, "the end, before {word}: {seen}");
        seen += &String::from_utf8_lossy(&buffer[..count]);
    }
    seen
}

#[test]
fn who_comes_with_a_number_of_before_a_restart_is_told_what_happens() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let path = format!("/api/v1/pools/main/backends/{}", a.address);
    for number in [100_000, u64::MAX] {
        let mut stream = listener(&admin, &format!("Last-Event-ID: {number}\r\n"));
        admin.api.write("PATCH", &path, &json!({"weight": number % 100 + 2}));
        read_until(&mut stream, "event: change");
    }
}

#[test]
fn who_listens_to_nothing_hears_a_comment_in_each_pause() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let mut stream = listener(&admin, "");
    read_until(&mut stream, "\n: \n\n");
}
