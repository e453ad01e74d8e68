//! Heads as rules edit them, to the letter.

use std::net::IpAddr;

use crate::config::{FieldEdit, ForwardedFields, HeadEdit, HeadOf, PathEdit, SameSite};
use crate::http::added::{Added, Cookie, Proto};
use crate::http::answer::{self, How};
use crate::http::edits::{Edits, RequestEdits, ResponseEdits, Unfit};
use crate::http::rewrite::{Back, Forward};
use crate::http::*;
use crate::limits::{HTTP_EDITS_BYTES_MAX, HTTP_HEAD_BYTES_MAX};

use super::expand::with;

pub(super) fn forward(edits: &RequestEdits) -> Forward<'_> {
    Forward {
        client: IpAddr::from([192, 0, 2, 1]),
        proto: Proto::Https,
        port: "8000",
        trusted: false,
        host: "backend:80",
        added: &Added::NONE,
        told: ForwardedFields::DEFAULT,
        subject: Some("CN=Ada"),
        edits,
    }
}

pub(super) fn back(edits: &ResponseEdits) -> Back<'_> {
    Back {
        client_version: Version::Http11,
        keep_alive: true,
        chunk: true,
        takes_trailers: false,
        cookie: None,
        added: &Added::NONE,
        edits,
    }
}

/// A rule with these edits of the request.
pub(super) fn rule(edits: &[impl AsRef<str>]) -> HeadEdit {
    let mut rule = HeadEdit::default();
    for text in edits.iter().map(AsRef::as_ref) {
        match PathEdit::parse(text) {
            Ok(path) => rule.path = Some(path),
            Err(_) => {
                rule.request.push(FieldEdit::parse(text, HeadOf::Request).expect(text));
            }
        }
    }
    rule
}

/// A rule with these edits of the response.
pub(super) fn answer_rule(edits: &[impl AsRef<str>]) -> HeadEdit {
    let parse = |text: &str| FieldEdit::parse(text, HeadOf::Response).expect(text);
    let response = edits.iter().map(|text| parse(text.as_ref())).collect();
    HeadEdit { response, ..HeadEdit::default() }
}

/// All of them are applied.
pub(super) fn all(list: &[HeadEdit]) -> Edits<'_> {
    Edits { list, applied: u64::MAX }
}

/// The request that leaves.
#[track_caller]
pub(super) fn sent(
    text: &str,
    edits: Edits<'_>,
    change: impl FnOnce(&mut Forward<'_>),
) -> Result<String, Unfit> {
    let mut ready = RequestEdits::default();
    with(text, |with| {
        edits.request(with, &mut ready)?;
        let mut out = Outgoing::new();
        let mut to = forward(&ready);
        change(&mut to);
        rewrite::request(with.head, with.fields, with.input, &to, &mut out);
        Ok(bytes_of(&out, with.input))
    })
}

pub(super) fn bytes_of(out: &Outgoing, input: &[u8]) -> String {
    let mut bytes = Vec::new();
    out.copy_to(input, 0, &mut bytes);
    assert_eq!(bytes.len(), out.len());
    String::from_utf8(bytes).unwrap()
}

/// The request whose answers are edited.
const ASKED: &str = "GET /a HTTP/1.1\r\nHost: a\r\nX-Id: 7\r\n\r\n";

pub(super) fn answered(edits: Edits<'_>) -> Result<ResponseEdits, Unfit> {
    let mut ready = ResponseEdits::default();
    with(ASKED, |with| edits.response(with, &mut ready))?;
    Ok(ready)
}

/// The response that leaves.
#[track_caller]
pub(super) fn returned(text: &str, back: &Back<'_>) -> String {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let asked = Asked { upgrade: true, ..Asked::default() };
    let parse = parse_response(text.as_bytes(), &mut Scan::default(), &mut fields, &asked);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    rewrite::response(&head, &fields, text.as_bytes(), back, &mut out);
    bytes_of(&out, text.as_bytes())
}

const OURS: [&str; 5] = [
    "X-Forwarded-For: 192.0.2.1\r\n",
    "X-Forwarded-Proto: https\r\n",
    "X-Forwarded-Host: a\r\n",
    "X-Forwarded-Port: 8000\r\n",
    "X-SSL-Client-S-DN: CN=Ada\r\n",
];

#[test]
fn fields_are_set_added_and_removed_in_order() {
    let text = "GET /b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nAccept: c\r\nx-a: 2\r\n\r\n";
    let a = "X-A: 1\r\n";
    let accept = "Accept: c\r\n";
    let second = "x-a: 2\r\n";
    for (rules, passed, written) in [
        (vec![vec!["remove x-a"]], vec![accept], ""),
        (vec![vec!["remove X-B"]], vec![a, accept, second], ""),
        (vec![vec!["set X-a: {path}"]], vec![accept], "X-a: /b\r\n"),
        (vec![vec!["add x-A: 3"]], vec![a, accept, second], "x-A: 3\r\n"),
        (
            vec![vec!["add X-A: 3", "add X-A: 4"]],
            vec![a, accept, second],
            "X-A: 3\r\nX-A: 4\r\n",
        ),
        (vec![vec!["add X-A: 3", "set X-A: 4"]], vec![accept], "X-A: 4\r\n"),
        (vec![vec!["set X-A: 3"], vec!["add X-A: 4"]], vec![accept], "X-A: 3\r\nX-A: 4\r\n"),
        (vec![vec!["set X-A: 3"], vec!["remove X-A"]], vec![accept], ""),
        (vec![vec!["remove X-A"], vec!["set X-A: 3"]], vec![accept], "X-A: 3\r\n"),
        (vec![vec!["set X-A: {header:accept}"], vec!["remove accept"]], vec![], "X-A: c\r\n"),
        (vec![vec!["set X-A: {header:x-b}"]], vec![accept], "X-A: \r\n"),
    ] {
        let list: Vec<HeadEdit> = rules.iter().map(|texts| rule(texts)).collect();
        let passed = passed.concat();
        let ours = OURS.concat();
        let wanted = format!("GET /b HTTP/1.1\r\nHost: a\r\n{passed}{ours}{written}\r\n");
        assert_eq!(sent(text, all(&list), |_| ()), Ok(wanted), "{rules:?}");
    }
}

#[test]
fn only_rules_that_apply_edit() {
    let list: Vec<HeadEdit> = (0..64).map(|i| rule(&[format!("add X-A: {i}")])).collect();
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (applied, numbers) in [
        (0, vec![]),
        (1, vec![0]),
        (0b1010, vec![1, 3]),
        (1 << 63, vec![63]),
        (3 << 62, vec![62, 63]),
    ] {
        let edits = Edits { list: &list, applied };
        let sent = sent(text, edits, |_| ()).unwrap();
        let lines = sent.lines().filter_map(|line| line.strip_prefix("X-A: "));
        assert_eq!(lines.map(|it| it.parse().unwrap()).collect::<Vec<u32>>(), numbers);
    }
    // A bit without a rule means nothing.
    let edits = Edits { list: &list[..1], applied: u64::MAX };
    assert!(sent(text, edits, |_| ()).unwrap().ends_with("X-A: 0\r\n\r\n"));
}

#[test]
fn what_we_say_of_the_client_is_edited_too() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n";
    let told = |edit: &str, trusted| {
        let list = [rule(&[edit])];
        let sent = sent(text, all(&list), |to| to.trusted = trusted).unwrap();
        sent.strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n").unwrap().to_owned()
    };
    let [by, proto, host, port, subject] = OURS;
    let one = |line: &str| format!("{line}\r\n");
    assert_eq!(
        told("remove X-Forwarded-For", false),
        one(&[proto, host, port, subject].concat())
    );
    assert_eq!(
        told("remove x-forwarded-port", false),
        one(&[by, proto, host, subject].concat())
    );
    assert_eq!(told("remove X-SSL-Client-S-DN", false), one(&[by, proto, host, port].concat()));
    assert_eq!(
        told("set X-Forwarded-Proto: http", false),
        one(&[by, host, port, subject, "X-Forwarded-Proto: http\r\n"].concat())
    );
    assert_eq!(
        told("add Forwarded: for={client}", false),
        one(&[by, proto, host, port, subject, "Forwarded: for=192.0.2.1\r\n"].concat())
    );
    let chain = "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n";
    assert_eq!(
        told("remove x-real-ip", true),
        one(&[chain, proto, host, port, subject].concat())
    );
    assert_eq!(
        told("remove x-forwarded-for", true),
        one(&["X-Real-IP: 6.6.6.6\r\n", proto, host, port, subject].concat())
    );
}

/// A chain of proxies that is too long to be copied is a piece of its own.
#[test]
fn long_chains_of_proxies_are_edited_like_short_ones() {
    let chain = vec!["192.0.2.7"; 400].join(", ");
    let text = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\nX-Forwarded-For: {chain}\r\n\r\n",
        "x".repeat(3000)
    );
    let list = [rule(&["remove X-Forwarded-Port"])];
    let all_of = |edits| sent(&text, edits, |to| to.trusted = true).unwrap();
    let wanted = all_of(Edits::NONE).replace(OURS[3], "");
    assert!(
        wanted.contains(&chain) && wanted.len() + OURS[3].len() == all_of(Edits::NONE).len()
    );
    assert_eq!(all_of(all(&list)), wanted);
    let list = [rule(&["set X-Forwarded-For: {client}"])];
    assert!(!all_of(all(&list)).contains(&chain));
}

#[test]
fn a_cookie_of_ours_stays_out() {
    let cookie = Cookie { name: "LB".to_owned(), same_site: SameSite::Lax };
    let added = Added { cookie: Some(&cookie), ..Added::NONE };
    let text = "GET / HTTP/1.1\r\nHost: a\r\nCookie: b=1; LB=x; c=2\r\n\r\n";
    let cookies = |edit: &str| {
        let list = [rule(&[edit])];
        let mut ready = RequestEdits::default();
        with(text, |with| {
            all(&list).request(with, &mut ready).unwrap();
            let mut out = Outgoing::new();
            let to = Forward { added: &added, ..forward(&ready) };
            rewrite::request(with.head, with.fields, with.input, &to, &mut out);
            let sent = bytes_of(&out, with.input);
            let lines =
                sent.lines().filter(|line| line.starts_with("Cookie")).map(str::to_owned);
            lines.collect::<Vec<String>>()
        })
    };
    assert_eq!(cookies("add X-A: b"), ["Cookie: b=1; c=2"]);
    assert_eq!(cookies("remove cookie"), [""; 0]);
    assert_eq!(cookies("set Cookie: d={cookie:b}"), ["Cookie: d=1"]);
}

#[test]
fn framing_and_upgrades_stay_as_they_are() {
    let list = [rule(&["set X-A: b", "rewrite /c"])];
    for (text, end) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "Content-Length: 3\r\n"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a, upgrade\r\nX-A: c\r\nUpgrade: w\r\n\r\n",
            "Connection: Upgrade\r\nUpgrade: w\r\n",
        ),
    ] {
        let sent = sent(text, all(&list), |_| ()).unwrap();
        assert!(sent.ends_with(&format!("X-A: b\r\n{end}\r\n")), "{sent}");
        assert!(sent[4..].trim_start().starts_with("/c HTTP/1.1\r\nHost: a\r\n"), "{sent}");
    }
}

#[test]
fn a_host_is_set_and_is_one() {
    let text = "GET / HTTP/1.1\r\nHost: a:81\r\nX-B: c.test\r\n\r\n";
    let host = |texts: &[&str], text: &str| {
        let list = [rule(texts)];
        let sent = sent(text, all(&list), |_| ())?;
        assert_eq!(sent.to_lowercase().matches("\r\nhost:").count(), 1, "{sent}");
        Ok(sent.lines().nth(1).unwrap().to_owned())
    };
    let is = |line: &str| Ok(line.to_owned());
    assert_eq!(host(&["set Host: b.test:8080"], text), is("Host: b.test:8080"));
    assert_eq!(host(&["set host: {header:x-b}"], text), is("Host: c.test"));
    assert_eq!(host(&["set Host: {host}:82"], text), is("Host: a:82"));
    assert_eq!(host(&["set Host: b", "set Host: c"], text), is("Host: c"));
    assert_eq!(host(&["set Host: b"], "GET / HTTP/1.0\r\n\r\n"), is("Host: b"));
    assert_eq!(host(&["set X-A: b"], "GET / HTTP/1.0\r\n\r\n"), is("Host: backend:80"));
    assert_eq!(host(&["set Host: {header:none}"], text), Err(Unfit::Host));
    assert_eq!(host(&["set Host: {client}:{header:x-b}"], text), Err(Unfit::Host));
}

#[test]
fn paths_are_stripped_prefixed_and_replaced() {
    let line = |edits: &[&str], line: &str| {
        let list: Vec<HeadEdit> = edits.iter().map(|edit| rule(&[edit])).collect();
        let text = format!("{line}\r\nHost: a\r\nX-A: b c\r\nX-D: d\r\n\r\n");
        Ok(sent(&text, all(&list), |_| ())?.lines().next().unwrap().to_owned())
    };
    for (edits, path, wanted) in [
        (&["strip-prefix /api"][..], "/api/x?y", "/x?y"),
        (&["strip-prefix /api"], "/api/", "/"),
        (&["strip-prefix /api"], "/api", "/"),
        (&["strip-prefix /api"], "/api?y", "/?y"),
        (&["strip-prefix /api"], "/apix", "/apix"),
        (&["strip-prefix /api"], "/b/api", "/b/api"),
        (&["strip-prefix /api"], "/API/x", "/API/x"),
        (&["strip-prefix /api"], "/api//x", "//x"),
        (&["strip-prefix /api"], "http://a/api/x?y", "/x?y"),
        (&["strip-prefix /api"], "http://a?y", "/?y"),
        (&["add-prefix /v1"], "/x?y", "/v1/x?y"),
        (&["add-prefix /v1"], "/", "/v1/"),
        (&["add-prefix /v1"], "http://a", "/v1/"),
        (&["rewrite /n"], "/x?y", "/n?y"),
        (&["rewrite /n"], "/x", "/n"),
        (&["rewrite /n?z={query}"], "/x?y", "/n?z=y"),
        (&["rewrite /n{path}"], "/x?y", "/n/x?y"),
        (&["rewrite {uri}"], "/x?y?z", "/x?y?z"),
        (&["rewrite /{header:x-d}"], "/x", "/d"),
        (&["strip-prefix /a", "add-prefix /b"], "/a/x?y", "/b/x?y"),
        (&["rewrite /n?z", "strip-prefix /n", "add-prefix /m"], "/x?y", "/m/?z"),
        (&["rewrite /n?z", "rewrite /m"], "/x?y", "/m?z"),
    ] {
        let wanted = Ok(format!("GET {wanted} HTTP/1.1"));
        assert_eq!(line(edits, &format!("GET {path} HTTP/1.1")), wanted, "{edits:?} of {path}");
    }
    for target in ["*", "http://a"] {
        let wanted = Ok("OPTIONS * HTTP/1.1".to_owned());
        let edits = ["add-prefix /v1", "rewrite /n"];
        assert_eq!(line(&edits, &format!("OPTIONS {target} HTTP/1.1")), wanted);
    }
    let spoilt = line(&["rewrite /{header:x-a}"], "GET / HTTP/1.1");
    assert_eq!(spoilt, Err(Unfit::Target));
}

#[test]
fn final_answers_are_edited_and_no_others() {
    let list = [
        answer_rule(&["remove server", "set X-Id: {header:x-id}{path}"]),
        answer_rule(&["add Set-Cookie: c=d", "set Strict-Transport-Security: max-age=1"]),
    ];
    let edits = answered(all(&list)).unwrap();
    let added = Added { hsts: Some(9), ..Added::NONE };
    let with = |text: &str| {
        let cookie = Some("LB=x");
        returned(text, &Back { added: &added, cookie, ..back(&edits) })
    };
    let text = "HTTP/1.1 200 OK\r\nServer: x\r\nX-ID: y\r\nSet-Cookie: a=b\r\n\
                Strict-Transport-Security: max-age=0\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(
        with(text),
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Id: 7/a\r\nSet-Cookie: c=d\r\n\
         Strict-Transport-Security: max-age=1\r\nCache-Control: private\r\nSet-Cookie: LB=x\r\n\
         Content-Length: 1\r\n\r\n"
    );
    for text in [
        "HTTP/1.1 103 Early\r\nServer: x\r\n\r\n",
        "HTTP/1.1 100 Go\r\nX-Id: x\r\n\r\n",
        "HTTP/1.1 101 Go\r\nServer: x\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n",
    ] {
        let unedited =
            Back { added: &added, cookie: Some("LB=x"), ..back(ResponseEdits::NONE) };
        assert_eq!(with(text), returned(text, &unedited));
    }
    let kept = [answer_rule(&["remove X-Id"])];
    let edits = answered(all(&kept)).unwrap();
    let out = returned(text, &Back { added: &added, ..back(&edits) });
    assert!(out.contains("\r\nStrict-Transport-Security: max-age=9\r\n"), "{out}");
    assert_eq!(out.matches("Strict").count(), 1);
}

#[test]
fn our_own_answers_are_edited_as_others_are() {
    let list = [answer_rule(&["remove Cache-Control", "set content-type: a/b", "add X-Id: 1"])];
    let edits = answered(all(&list)).unwrap();
    let mut out = b"before\r\n\r\n".to_vec();
    let from = out.len();
    answer::answer(502, "X-Id: 2\r\nCache-Control: a", How::LAST, &Added::NONE, &mut out);
    edits.edit_own(from, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "before\r\n\r\nHTTP/1.1 502 Bad Gateway\r\nContent-Length: 43\r\nConnection: close\r\n\
         content-type: a/b\r\nX-Id: 1\r\n\r\n502 Bad Gateway: X-Id: 2\r\nCache-Control: a\n"
    );
}

#[test]
fn nothing_is_kept_where_no_rule_edits() {
    let list = [rule(&["set X-A: b", "rewrite /c"]), answer_rule(&["set X-A: b"])];
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut request = RequestEdits::default();
    let mut response = ResponseEdits::default();
    let mut fill = |applied| {
        let edits = Edits { list: &list, applied };
        with(text, |with| {
            edits.request(with, &mut request).unwrap();
            edits.response(with, &mut response).unwrap();
        });
        [request.is_empty(), response.is_empty()]
    };
    assert_eq!(fill(0), [true, true]);
    assert_eq!(fill(1), [false, true]);
    assert_eq!(fill(2), [true, false]);
    assert_eq!(fill(3), [false, false]);
    assert_eq!(fill(0), [true, true]);
    assert!(RequestEdits::NONE.is_empty() && ResponseEdits::NONE.is_empty());
    assert!(ResponseEdits::reusing(response.into_memory()).is_empty());
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    let value = "v".repeat(1000);
    let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "p".repeat(8000));
    let line = format!("add X-A: {value}");
    let prefix = format!("add-prefix /{}", &value[..999]);
    let fits = |texts: &[&str]| {
        let list: Vec<HeadEdit> = texts.iter().map(|edit| rule(&[edit])).collect();
        sent(&head, all(&list), |_| ()).map(|sent| sent.len())
    };
    let four = [&*line; 4];
    let left = HTTP_EDITS_BYTES_MAX - 4 * (value.len() + "X-A: \r\n".len());
    let last = format!("add a: {}", "w".repeat(left - 5));
    assert!(fits(&[&four[..], &[&*last]].concat()).is_ok());
    let longer = format!("{last}w");
    assert_eq!(fits(&[&four[..], &[&*longer]].concat()), Err(Unfit::TooLong));
    assert_eq!(fits(&[&four[..], &[&*last, "add-prefix /x"]].concat()), Err(Unfit::TooLong));
    assert_eq!(fits(&[&four[..], &[&*last, "set Host: bc"]].concat()), Err(Unfit::TooLong));
    assert!(fits(&[&*prefix; 4]).is_ok());
    assert_eq!(fits(&[&*prefix; 5]), Err(Unfit::TooLong));
    assert!(fits(&["strip-prefix /x", "rewrite /{path}"]).is_ok());
    assert_eq!(fits(&["set X-A: {path}"]), Err(Unfit::TooLong));
    let list = [answer_rule(&[&*line]), answer_rule(&[&*line]), answer_rule(&[&*line])];
    assert!(answered(all(&list)).is_ok());
    let mut ready = ResponseEdits::default();
    let list = [answer_rule(&[&*line; 5])];
    let filled = with(ASKED, |with| all(&list).response(with, &mut ready));
    assert_eq!(filled, Err(Unfit::TooLong));
    // An answer of ours that says so is not spoilt by half a line.
    assert!(ready.is_empty());
    assert_eq!(Unfit::TooLong.status(), 431);
}

/// `rewrite` looks at the bound that the compiler checked.
#[test]
fn no_edited_head_grows_by_more_than_there_is_room_for() {
    let host = "a".repeat(HTTP_HEAD_BYTES_MAX - 28 - 4);
    let text = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n");
    assert!(text.len() <= HTTP_HEAD_BYTES_MAX);
    let value = format!("add X-A: {}", "v".repeat(1000));
    let list = [rule(&[&*value; 4]), answer_rule(&[&*value; 4])];
    let grown = sent(&text, all(&list), |_| ()).unwrap().len() - text.len();
    assert!(grown > HTTP_HEAD_BYTES_MAX);
    let edits = answered(all(&list)).unwrap();
    let out = returned("HTTP/1.1 200\r\n\r\n", &back(&edits));
    assert!(out.len() > 4000);
}
