//! Templates as they are filled in.

use std::net::IpAddr;

use crate::config::{self, Template};
use crate::http::added::Proto;
use crate::http::expand::{Expand, TooLong, expand, location, without_port};
use crate::http::*;
use crate::limits::HTTP_EDITS_BYTES_MAX;

/// What `fill` makes of this request.
#[track_caller]
pub(super) fn with<T>(text: &str, fill: impl FnOnce(&Expand<'_>) -> T) -> T {
    let mut fields = Fields::new();
    let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    fill(&Expand {
        head: &head,
        fields: &fields,
        input: text.as_bytes(),
        client: IpAddr::from([192, 0, 2, 1]),
        proto: Proto::Https,
        host: "10.0.0.1:80",
    })
}

fn expanded(template: &str, text: &str) -> String {
    let template = Template::parse(template).unwrap();
    with(text, |with| {
        let mut out = b"+".to_vec();
        expand(&template, with, HTTP_EDITS_BYTES_MAX, &mut out).unwrap();
        String::from_utf8(out).unwrap()[1..].to_owned()
    })
}

fn leads(template: &str, text: &str) -> String {
    let template = config::location(template).unwrap();
    with(text, |with| {
        let mut out = Vec::new();
        location(&template, with, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    })
}

const PLAIN: &str = "PUT /a/b?c=d?e HTTP/1.1\r\nHost: [::1]:8000\r\nX-A:  one two \r\n\
                     x-a: other\r\nCookie: b=1; sid=x=y; sid=z\r\n\r\n";

#[test]
fn placeholders_say_what_came() {
    for (template, wanted) in [
        ("{host}", "[::1]"),
        ("{header:Host}", "[::1]:8000"),
        ("{path}", "/a/b"),
        ("{query}", "c=d?e"),
        ("{uri}", "/a/b?c=d?e"),
        ("<{scheme}, {client}>", "<https, 192.0.2.1>"),
        ("{method}", "PUT"),
        ("{header:X-A}", "one two"),
        ("{header:none}{cookie:none}", ""),
        ("{cookie:sid}", "x=y"),
        ("{cookie:SID}", ""),
        ("{{{method}}}", "{PUT}"),
    ] {
        assert_eq!(expanded(template, PLAIN), wanted, "{template}");
    }
}

#[test]
fn targets_of_all_forms_have_a_path() {
    for (line, wanted) in [
        ("GET http://b/c?d HTTP/1.1\r\nHost: b", "/c ? d = /c?d"),
        ("GET http://b?d HTTP/1.1\r\nHost: b", "/ ? d = /?d"),
        ("GET http://b HTTP/1.1\r\nHost: b", "/ ?  = /"),
        ("GET /? HTTP/1.1\r\nHost: b", "/ ?  = /?"),
        ("OPTIONS * HTTP/1.1\r\nHost: b", "/ ?  = /"),
        ("OPTIONS http://b HTTP/1.1\r\nHost: b", "/ ?  = /"),
        ("GET //b HTTP/1.1\r\nHost: b", "//b ?  = //b"),
    ] {
        let text = format!("{line}\r\n\r\n");
        assert_eq!(expanded("{path} ? {query} = {uri}", &text), wanted, "{line}");
    }
    assert_eq!(expanded("{host}", "GET / HTTP/1.0\r\n\r\n"), "10.0.0.1");
}

#[test]
fn nothing_grows_without_bound() {
    let text = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(999));
    let fills = |template: &str, most| {
        let template = Template::parse(template).unwrap();
        with(&text, |with| expand(&template, with, most, &mut Vec::new()))
    };
    for (template, length) in
        [("{path}", 1000), ("{path}{path}a", 2001), ("{client}", 9), ("ab", 2), ("{uri}", 1000)]
    {
        assert_eq!(fills(template, length), Ok(()), "{template}");
        assert_eq!(fills(template, length - 1), Err(TooLong), "{template}");
    }
    let template = Template::parse("{path}{path}{path}{path}{path}").unwrap();
    let too_long = with(&text, |with| location(&template, with, &mut Vec::new()));
    assert_eq!(too_long, Err(TooLong));
}

#[test]
fn a_location_holds_what_a_url_may_hold() {
    let text = "GET /a%20b?c=%0d|d\" HTTP/1.1\r\nHost: a.test:81\r\nX-A: \u{e9} \t#\r\n\r\n";
    for (template, wanted) in [
        ("https://{host}{uri}", "https://a.test/a%20b?c=%0d%7Cd%22"),
        ("/x?{header:x-a}", "/x?%C3%A9%20%09#"),
        ("/gr\u{fc}n {{}}", "/gr%C3%BCn%20%7B%7D"),
        ("//cdn.test{path}", "//cdn.test/a%20b"),
    ] {
        assert_eq!(leads(template, text), wanted, "{template}");
    }
}

#[test]
fn a_path_that_came_leads_to_no_other_host() {
    for path in ["//evil.test/x", "///evil.test/x", "/\\evil.test/x", "/\\/\\evil.test/x"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        for template in ["{path}", "{uri}", "/{path}", "/{uri}"] {
            assert_eq!(leads(template, &text), "/evil.test/x", "{template} of {path}");
        }
        let host = leads("https://{host}{path}", &text);
        assert!(host.starts_with("https://a/"), "{host}");
    }
}

#[test]
fn a_host_is_told_from_its_port() {
    for (host, wanted) in [
        ("a", "a"),
        ("a:80", "a"),
        ("a:", "a"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("", ""),
    ] {
        assert_eq!(without_port(host.as_bytes()), wanted.as_bytes());
    }
}
