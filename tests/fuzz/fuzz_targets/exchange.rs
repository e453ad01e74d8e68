//! A request or a response with its body, rewritten. We must read what we send as what we took in.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use pointsman::config::{FieldEdit, ForwardedFields, HeadEdit, HeadOf, PathEdit, SameSite};
use pointsman::http::added::{Added, Cookie, Proto};
use pointsman::http::body::Trailers;
use pointsman::http::edits::{Edits, RequestEdits, ResponseEdits};
use pointsman::http::expand::Expand;
use pointsman::http::rewrite::{self, Back, Forward};
use pointsman::http::{
    Asked, Decoder, Fields, Framing, Outgoing, Parse, RequestHead, Scan, Version,
    parse_request, parse_response,
};

fn bytes_of(out: &Outgoing, input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    out.copy_to(input, 0, &mut bytes);
    assert_eq!(bytes.len(), out.len());
    bytes
}

/// The payload that is there, and whether it is all.
fn payload(framing: Framing, input: &[u8], trailers: &mut Vec<u8>) -> Option<(Vec<u8>, bool)> {
    let mut decoder = Decoder::new(framing, Trailers::Keep);
    let mut data = Vec::new();
    decoder.decode(input, 0, &mut data, trailers).ok()?;
    let payload = data.iter().flat_map(|span| span.of(input).to_vec()).collect();
    Some((payload, decoder.is_finished()))
}

/// A body that came in leaves in one chunk, and reads the same.
fn check_chunks(framing: Framing, body: &[u8]) {
    let mut trailers = Vec::new();
    let mut decoder = Decoder::new(framing, Trailers::Keep);
    let mut data = Vec::new();
    let Ok(decoded) = decoder.decode(body, 0, &mut data, &mut trailers) else { return };
    let mut out = Outgoing::new();
    rewrite::chunk(&data, body, &mut out);
    rewrite::last_chunk(&trailers, &mut Fields::new(), &mut out);
    let sent = bytes_of(&out, body);
    let (again, finished) = payload(Framing::Chunked, &sent, &mut Vec::new()).unwrap();
    assert!(finished);
    assert_eq!(again.len() as u64, decoded.bytes);
}

/// A request leaves as one that we would take, with the same body.
fn check_request(head: &RequestHead, sent: &[u8]) {
    let mut fields = Fields::new();
    match parse_request(sent, &mut Scan::default(), &mut fields) {
        Parse::Done(again) => {
            assert_eq!(again.framing, head.framing);
            assert_eq!(again.length, sent.len());
            assert_eq!(again.method, head.method);
            assert_eq!(again.upgrade.is_some(), head.upgrade.is_some());
            assert!(fields.cookie(sent, "LB").is_none());
        }
        // What we add may make it longer than we take ourselves.
        Parse::Bad(refusal) => assert!(matches!(refusal.status(), 414 | 431), "{refusal:?}"),
        Parse::Incomplete => panic!("no end"),
    }
}

/// Edits that repeat what came wherever they can.
fn rules() -> [HeadEdit; 1] {
    let field = |text| FieldEdit::parse(text, HeadOf::Request).unwrap();
    let request = vec![
        field("remove accept"),
        field("set Host: {host}{header:x-a}"),
        field("add X-B: {header:x-a} {cookie:b}{uri}{client}"),
        field("set X-Forwarded-For: {header:x-forwarded-for}"),
    ];
    let path = Some(PathEdit::parse("rewrite {uri}{header:x-a}").unwrap());
    [HeadEdit { request, path, ..HeadEdit::default() }]
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn request(input: &[u8]) {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let Parse::Done(head) = parse_request(input, &mut Scan::default(), &mut fields) else {
        return;
    };
    let cookie = Cookie { name: "LB".to_owned(), same_site: SameSite::Lax };
    let added = Added { via: Some("pointsman"), cookie: Some(&cookie), hsts: None, request_id: None };
    let with = Expand {
        head: &head,
        fields: &fields,
        input,
        client: CLIENT,
        proto: Proto::Http,
        host: "backend",
    };
    let mut edits = RequestEdits::default();
    let rules = rules();
    let filled = Edits { list: &rules, applied: 1 }.request(&with, &mut edits);
    let to = Forward {
        client: CLIENT,
        proto: Proto::Http,
        port: "8000",
        trusted: input.len() % 2 == 0,
        host: "backend",
        added: &added,
        told: ForwardedFields::DEFAULT,
        subject: None,
        edits: RequestEdits::NONE,
    };
    rewrite::request(&head, &fields, input, &to, &mut out);
    check_request(&head, &bytes_of(&out, input));
    if filled.is_ok() {
        out.clear();
        let to = Forward { edits: &edits, ..to };
        rewrite::request(&head, &fields, input, &to, &mut out);
        check_request(&head, &bytes_of(&out, input));
    }
    check_chunks(head.framing, &input[head.length..]);
}

fn response(input: &[u8]) {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let asked = Asked { head_request: false, upgrade: true };
    let Parse::Done(head) = parse_response(input, &mut Scan::default(), &mut fields, &asked)
    else {
        return;
    };
    let back = Back {
        client_version: Version::Http11,
        keep_alive: true,
        chunk: true,
        takes_trailers: true,
        cookie: None,
        added: &Added::NONE,
        edits: ResponseEdits::NONE,
    };
    let leaves = rewrite::response(&head, &fields, input, &back, &mut out);
    let sent = bytes_of(&out, input);
    match parse_response(&sent, &mut Scan::default(), &mut fields, &asked) {
        Parse::Done(again) => {
            assert_eq!(again.framing, leaves.framing);
            assert_eq!((again.length, again.status), (sent.len(), head.status));
        }
        Parse::Bad(refusal) => assert_eq!(refusal.status(), 431, "{refusal:?}"),
        Parse::Incomplete => panic!("no end"),
    }
    check_chunks(head.framing, &input[head.length..]);
}

fuzz_target!(|input: &[u8]| {
    request(input);
    response(input);
});
