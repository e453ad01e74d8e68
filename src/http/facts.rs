//! What conditions ask of a request, answered from its parsed head.
//!
//! Nothing is decoded but for the path, which is compared as [`RequestHead::plain_path`] has it,
//! and nothing is allocated unless that differs. Fields are those that the client sent, also those
//! that no backend is told of: who compares one that names the client must have it from a proxy
//! that it trusts. Made by the relays for one request.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Fields, RequestHead};
use crate::config::Facts;

/// A request, and the connection on which it came.
#[derive(Debug, Clone)]
pub struct RequestFacts<'a> {
    /// The head.
    pub head: &'a RequestHead,
    /// Its path, to be compared: [`RequestHead::plain_path`].
    pub path: Cow<'a, [u8]>,
    /// Its fields.
    pub fields: &'a Fields,
    /// The bytes that both were parsed from.
    pub bytes: &'a [u8],
    /// The address of the client.
    pub client: IpAddr,
    /// The name of the listener.
    pub listener: &'a str,
    /// The name that the client asked for in its TLS handshake.
    pub sni: Option<&'a str>,
    /// The subject of the client's certificate.
    pub subject: Option<&'a str>,
    /// Whether the client speaks TLS.
    pub is_tls: bool,
}

impl RequestFacts<'_> {
    /// The query without its question mark; empty if there is none.
    fn query_text(&self) -> &[u8] {
        self.head.query(self.bytes).of(self.bytes).get(1..).unwrap_or_default()
    }
}

impl Facts for RequestFacts<'_> {
    fn method(&self) -> &[u8] {
        self.head.method_name.of(self.bytes)
    }

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn query(&self, key: &str) -> Option<&[u8]> {
        let key = key.as_bytes();
        let value = |parameter: &[u8]| match parameter.strip_prefix(key)? {
            [] => Some(parameter.len()),
            [b'=', ..] => Some(key.len() + 1),
            _ => None,
        };
        let mut parameters = self.query_text().split(|&byte| byte == b'&');
        parameters.find_map(|parameter| Some(&parameter[value(parameter)?..]))
    }

    fn host(&self) -> Option<&[u8]> {
        self.head.host.map(|host| host.of(self.bytes))
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.find(self.bytes, name).map(|value| value.of(self.bytes))
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.fields.cookie(self.bytes, name).map(|value| value.of(self.bytes))
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn sni(&self) -> Option<&str> {
        self.sni
    }

    fn subject(&self) -> Option<&str> {
        self.subject
    }

    fn listener(&self) -> &str {
        self.listener
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Condition;
    use crate::http::{Parse, Scan, parse_request};

    /// Ask something of a request with this first line and these fields.
    fn ask<T>(line: &str, fields: &str, ask: impl Fn(&RequestFacts<'_>) -> T) -> T {
        let text = format!("{line} HTTP/1.1\r\n{fields}\r\n");
        let bytes = text.as_bytes();
        let mut list = Fields::new();
        let parse = parse_request(bytes, &mut Scan::default(), &mut list);
        let Parse::Done(head) = parse else { panic!("{text}: {parse:?}") };
        ask(&RequestFacts {
            head: &head,
            path: head.plain_path(bytes),
            fields: &list,
            bytes,
            client: IpAddr::from([192, 0, 2, 1]),
            listener: "main",
            sni: Some("a.example"),
            subject: None,
            is_tls: true,
        })
    }

    #[test]
    fn the_path_is_without_the_query() {
        let table = [
            ("GET /", "/"),
            ("GET /a/b?c=/d", "/a/b"),
            ("GET /?", "/"),
            ("GET http://a.example", "/"),
            ("GET http://a.example?x", "/"),
            ("GET http://a.example:80/b%20c?x", "/b%20c"),
            ("GET /x/..//%61?b=/..", "/a"),
            ("OPTIONS *", "*"),
        ];
        for (line, path) in table {
            let found = ask(line, "Host: a.example\r\n", |facts| facts.path().to_vec());
            assert_eq!(found, path.as_bytes(), "{line}");
        }
    }

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        let table = [
            ("/", None),
            ("/k", None),
            ("/?", None),
            ("/?k", Some("")),
            ("/?k=", Some("")),
            ("/?k=1", Some("1")),
            ("/?k=1=2?3", Some("1=2?3")),
            ("/?kk=1&k=2&k=3", Some("2")),
            ("/?kk&a=k&K=2", None),
            ("/?a&&k=%20/&b", Some("%20/")),
            ("http://a.example?k=1", Some("1")),
            ("http://a.example", None),
        ];
        for (target, value) in table {
            let found = ask(&format!("GET {target}"), "Host: a.example\r\n", |facts| {
                facts.query("k").map(<[u8]>::to_vec)
            });
            assert_eq!(found.as_deref(), value.map(str::as_bytes), "{target}");
        }
    }

    #[test]
    fn conditions_are_asked_of_requests() {
        let fields = "Host: A.Example.:8443\r\nx-beta:  yes \r\nX-Beta: no\r\n\
                      Cookie: ab=1; a=2; a=3\r\n";
        let table = [
            ("method == 'POST'", true),
            ("method == 'GET'", false),
            ("path == '/api'", true),
            ("query('v') == '2'", true),
            ("host == 'a.example'", true),
            ("header('X-BETA') == 'yes'", true),
            ("header('X-Gamma')", false),
            ("cookie('a') == '2'", true),
            ("cookie('A')", false),
            ("client in 192.0.2.0/24", true),
            ("sni == 'a.example'", true),
            ("tls.subject", false),
            ("listener == 'main'", true),
            ("scheme == 'https'", true),
        ];
        for (text, holds) in table {
            let condition = Condition::parse(text).unwrap();
            let found = ask("POST /api?v=2", fields, |facts| condition.holds(facts));
            assert_eq!(found, holds, "{text}");
        }
    }
}
