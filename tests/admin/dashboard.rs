//! The dashboard's files as a client of HTTP gets them; what they do is in tests/tools.

use serde_json::json;

use crate::common::Backend;
use crate::common::admin::Admin;

const FILES: [(&str, &str); 3] = [
    ("/", "text/html; charset=utf-8"),
    ("/assets/style.css", "text/css; charset=utf-8"),
    ("/assets/app.js", "text/javascript; charset=utf-8"),
];

#[test]
fn files_come_with_a_policy_and_are_not_sent_twice() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    for (path, kind) in FILES {
        let first = admin.api.ask("GET", path, None);
        assert_eq!((first.status(), first.field("Content-Type")), (200, kind));
        let tag = first.field("ETag");
        let known = format!("If-None-Match: {tag}\r\n");
        let again = admin.api.ask_with("GET", path, None, &known);
        assert_eq!((again.status(), again.body.len()), (304, 0));
        for reply in [&first, &again] {
            assert!(reply.field("Content-Security-Policy").starts_with("default-src 'none'; "));
            assert_eq!(reply.field("X-Content-Type-Options"), "nosniff");
            assert_eq!(reply.field("Referrer-Policy"), "no-referrer");
            assert_eq!(reply.field("Cross-Origin-Resource-Policy"), "same-origin");
            assert_eq!(reply.field("Cache-Control"), "no-cache");
        }
        let head = admin.api.ask("HEAD", path, None);
        assert_eq!((head.status(), head.field("ETag"), head.body.len()), (200, tag, 0));
        let other = admin.api.ask("POST", path, Some(&json!({})));
        assert_eq!((other.status(), other.field("Allow")), (405, "GET, HEAD"));
        // As `<script>` and `<img>` of another page ask.
        let fields = "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n";
        assert_eq!(admin.api.ask_with("GET", path, None, fields).status(), 403);
    }
    for path in ["/assets", "/assets/", "/assets/x.js", "/assets/..%2fapp.js", "/index.html"] {
        assert_eq!(admin.api.ask("GET", path, None).status(), 404, "{path}");
    }
}
