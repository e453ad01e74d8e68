//! Conditions as they are read, shown and evaluated, in tables; and random ones against a plain
//! evaluator.

use std::net::IpAddr;

use fastrand::Rng;

use super::glob::Glob;
use super::term::{Comparison, Constant, OPERATORS, Operator, PLAIN_TERMS, Term, Test};
use super::{Condition, Expression, Facts};
use crate::config::Cidr;
use crate::limits::{CONDITION_BYTES_MAX, CONDITION_DEPTH_MAX};

/// A request in which everything is a text, and which has one field, one cookie and one parameter.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    host: Option<String>,
    query: Option<String>,
    header: Option<String>,
    cookie: Option<String>,
    client: IpAddr,
    sni: Option<String>,
    subject: Option<String>,
    listener: String,
    is_tls: bool,
}

impl Request {
    fn usual() -> Request {
        let some = |text: &str| Some(text.to_owned());
        Request {
            method: "GET".to_owned(),
            path: "/api/v1/users".to_owned(),
            host: some("WWW.Example.com:8443"),
            query: some("1"),
            header: some("Yes, \"really\""),
            cookie: some(""),
            client: IpAddr::from([10, 1, 2, 3]),
            sni: some("www.example.com"),
            subject: None,
            listener: "main".to_owned(),
            is_tls: true,
        }
    }
}

/// The value, if it is asked for by the one name that there is.
fn named<'a>(asked: &str, known: &str, value: &'a Option<String>) -> Option<&'a [u8]> {
    value.as_deref().filter(|_| asked == known).map(str::as_bytes)
}

impl Facts for Request {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }
    fn query(&self, key: &str) -> Option<&[u8]> {
        named(key, "k", &self.query)
    }
    fn host(&self) -> Option<&[u8]> {
        self.host.as_deref().map(str::as_bytes)
    }
    fn header(&self, name: &str) -> Option<&[u8]> {
        named(&name.to_lowercase(), "x-beta", &self.header)
    }
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        named(name, "c", &self.cookie)
    }
    fn client(&self) -> IpAddr {
        self.client
    }
    fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }
    fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
    fn listener(&self) -> &str {
        &self.listener
    }
    fn is_tls(&self) -> bool {
        self.is_tls
    }
}

fn parsed(text: &str) -> Condition {
    Condition::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

#[test]
fn conditions_hold_or_do_not() {
    let table = [
        ("method == \"GET\"", true),
        ("method == 'POST'", false),
        ("method != 'POST'", true),
        ("method in ['PUT', 'GET']", true),
        ("path ^= '/api/'", true),
        ("path ^= '/apis'", false),
        ("path $= '/users'", true),
        ("path *= '/v1/'", true),
        ("path *= ''", true),
        ("path ~ '/api/*/users'", true),
        ("path ~ '/api/v?/users'", true),
        ("path ~ '/api/v?'", false),
        ("host == 'www.EXAMPLE.com'", true),
        ("host ~ '*.example.COM'", true),
        ("host $= '.example.com'", true),
        ("host", true),
        ("sni == 'WWW.example.com'", true),
        ("query('k') == '1'", true),
        ("query('other')", false),
        ("query('other') != '1'", true),
        ("header('X-BETA')", true),
        ("header(\"x-beta\") == 'Yes, \"really\"'", true),
        (r#"header("x-beta") == "Yes, \"really\"""#, true),
        ("header('x-beta') == 'yes, \"really\"'", false),
        ("cookie('c')", true),
        ("cookie('c') == ''", true),
        ("cookie('C')", false),
        ("tls.subject", false),
        ("tls.subject == ''", false),
        ("tls.subject != 'CN=a'", true),
        ("tls.subject ^= ''", false),
        ("!(tls.subject == 'CN=a')", true),
        ("listener == 'main'", true),
        ("scheme == 'https'", true),
        ("scheme in ['http']", false),
        ("client in 10.0.0.0/8", true),
        ("client in [192.168.0.0/16, fd00::/8]", false),
        ("client in ['192.168.0.0/16', \"10.1.0.0/16\"]", true),
        ("client == 10.1.2.3", true),
        ("client != \"10.1.2.3\"", false),
        ("!header('x-other') && !!host", true),
        ("!method == 'GET'", false),
        ("method == 'PUT' && host || host", true),
        ("method == 'PUT' && (host || host)", false),
        ("host || host && method == 'PUT'", true),
        (" \t\nmethod==\"GET\"&&(path^='/api/')||sni ", true),
    ];
    for (text, holds) in table {
        let condition = parsed(text);
        assert_eq!(condition.holds(&Request::usual()), holds, "{text}");
        assert_eq!(parsed(&condition.to_string()), condition, "{text}");
    }
}

#[test]
fn conditions_are_shown_in_one_form() {
    let table = [
        ("header('X-Beta')", r#"header("x-beta")"#),
        (r#"cookie('A') == 'a"\\b\''"#, r#"cookie("A") == "a\"\\b'""#),
        ("client == '::1'", "client in ::1/128"),
        ("client != 10.0.0.1", "!(client in 10.0.0.1/32)"),
        ("client in[10.0.0.0/8,::/0]", "client in [10.0.0.0/8, ::/0]"),
        ("((host))&&(sni||(scheme=='http'))", r#"host && (sni || scheme == "http")"#),
        ("(host&&sni)||host", "host && sni || host"),
        ("host&&(sni&&host)", "host && (sni && host)"),
        ("!! path ~ '/**'", r#"!!(path ~ "/*")"#),
        ("host in['A','b']", r#"host in ["a", "b"]"#),
    ];
    for (text, shown) in table {
        assert_eq!(parsed(text).to_string(), shown);
    }
}

#[test]
fn complaints_say_what_was_found_where_and_what_would_be_right() {
    let table = [
        ("", "found nothing, want a condition such as header(\"X-Beta\") == \"yes\""),
        ("  ", "found nothing, want a condition such as"),
        ("metod == 'GET'", "found 'metod' at character 1, want client, method, path, host,"),
        ("metod == 'GET'", "or query(\"name\"); did you mean method?"),
        ("host && uri == '/'", "found 'uri' at character 9"),
        ("host && uri == '/'", "did you mean path?"),
        ("host &&", "found the end at character 8, want client, method"),
        (
            "method = 'GET'",
            "found '=' at character 8, want ==, !=, ^=, $=, *=, ~ or in; did you mean ==?",
        ),
        ("cookie('a') = 'b'", "*=, ~ or in, &&, || or the end; did you mean ==?"),
        ("path $", "found '$' at character 6, want ==, !=, ^=, $=, *=, ~ or in"),
        ("client ==", "found the end at character 10, want an address such as 10.0.0.1"),
        ("client in 10.0.0.0/8, ::1", "want &&, || or the end; did you mean in [..., ...]?"),
        ("host and sni", "found 'and' at character 6"),
        ("host and sni", "did you mean &&?"),
        ("host =~ 'a'", "found '=~' at character 6"),
        ("host =~ 'a'", "did you mean ~?"),
        ("(host or sni)", "did you mean ||?"),
        ("(host == 'a' sni", "found 'sni' at character 14, want &&, || or a closing )"),
        ("(host == 'a'", "found the end at character 13, want &&, || or a closing )"),
        ("host)", "found ')' at character 5, want &&, || or the end"),
        ("method == GET", "found 'GET' at character 11, want a text in quotes; did you mean"),
        ("method == GET", "did you mean \"GET\"?"),
        ("method == 'GET", "found the end at character 15, want a closing '"),
        ("host == \"a\\n\"", "found a backslash at character 11, want \\\", \\' or \\\\"),
        ("method == 'get'", "found 'get' at character 11, want \"GET\": methods are compared"),
        ("method", "found 'method' alone at character 1, want ==, !=, ^=, $=, *=, ~ or in"),
        ("host && client", "found the end at character 15, want == or != with an address, or"),
        ("path == 'a'", "found 'a' at character 9, want a path, which begins with a slash"),
        ("path ^= '/a?b'", "want a path without its query, which is query(\"name\")"),
        ("host == 'a.example:80'", "want \"a.example\", without a port or a dot at its end"),
        ("host == ''", "found nothing at character 9, want a host such as"),
        ("scheme == 'htps'", "want \"http\" or \"https\"; did you mean \"https\"?"),
        ("header == 'a'", "found '==' at character 8, want (\"name\") behind header"),
        ("header(Name)", "found 'Name' at character 8, want (\"name\") behind header"),
        ("header('a b')", "found 'a b' at character 8, want a name of 1 to 256 letters"),
        ("header('a'", "found the end at character 11, want a closing )"),
        ("query('a=b')", "found 'a=b' at character 7, want the name of a parameter"),
        ("host in 'a'", "found ''' at character 9, want a list such as [\"a\", \"b\"]"),
        ("host in []", "found ']' at character 10, want a text in quotes"),
        ("host in ['a' 'b']", "found ''' at character 14, want a comma or a closing ]"),
        ("client in 10.0.0.0/33", "found '10.0.0.0/33' at character 11, want a prefix from 0"),
        ("client in nowhere", "found 'nowhere' at character 11, want a network such as"),
        ("client in", "found the end at character 10, want a network such as"),
        ("client == 10.0.0.0/8", "want an address; did you mean client in 10.0.0.0/8?"),
        ("client ^= '10.'", "found '^=' at character 8, want == or != with an address, or in"),
        ("host == 'é' é", "found 'é' at character 13, want &&, || or the end"),
        ("header('x') == 'a\tb'", "want a text without control characters"),
    ];
    for (text, says) in table {
        let wrong = Condition::parse(text).unwrap_err().to_string();
        assert!(wrong.contains(says), "{text}: {wrong}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let nested = |deep: usize| format!("{}host{}", "(".repeat(deep), ")".repeat(deep));
    assert!(Condition::parse(&nested(CONDITION_DEPTH_MAX)).is_ok());
    assert!(Condition::parse(&format!("{}host", "!".repeat(CONDITION_DEPTH_MAX))).is_ok());
    assert!(Condition::parse(&format!("{}(host)", "!".repeat(CONDITION_DEPTH_MAX))).is_ok());
    let beside = "!(!host) && ".repeat(CONDITION_DEPTH_MAX) + "host";
    assert!(Condition::parse(&beside).is_ok(), "none of these is within another");
    let wrong = Condition::parse(&nested(CONDITION_DEPTH_MAX + 1)).unwrap_err().to_string();
    assert_eq!(wrong, "found '(' nested 17 deep at character 17, want at most 16");
    let long = format!("host == '{}'", "a".repeat(CONDITION_BYTES_MAX - 10));
    assert!(Condition::parse(&long).is_ok());
    let wrong = Condition::parse(&format!("{long} ")).unwrap_err().to_string();
    assert_eq!(wrong, "found a condition of 1025 bytes, want at most 1024");
    let dense = "sni||".repeat(200) + "sni";
    let wrong = Condition::parse(&dense).unwrap_err().to_string();
    assert!(wrong.starts_with("found a condition of 1403 bytes"), "as it is shown: {wrong}");
}

#[test]
fn plain_cases_are_made_without_text() {
    let network = Cidr::parse("10.0.0.0/8").unwrap();
    let table = [
        (Condition::method("GET"), "method == 'GET'"),
        (Condition::header_is("X-A", "a\"b"), "header('x-a') == 'a\"b'"),
        (Condition::query_is("k", ""), "query('k') == ''"),
        (Condition::cookie_is("Name", "é"), "cookie('Name') == 'é'"),
        (Ok(Condition::client_in(network)), "client in 10.0.0.0/8"),
    ];
    for (condition, text) in table {
        assert_eq!(condition, Condition::parse(text));
    }
    for refused in [
        Condition::method("get"),
        Condition::header_is("a b", ""),
        Condition::header_is("a", "\n"),
        Condition::query_is("a&b", ""),
        Condition::cookie_is("", ""),
        Condition::query_is("k", &"x".repeat(CONDITION_BYTES_MAX)),
    ] {
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn conditions_exclude_each_other_or_may_not() {
    let table = [
        ("method == 'GET'", "method == 'PUT'", true),
        ("method == 'GET'", "method == 'GET'", false),
        ("method == 'GET'", "path == '/a'", false),
        ("method == 'GET'", "method != 'GET'", true),
        ("method in ['GET', 'PUT']", "method in ['HEAD', 'POST']", true),
        ("method in ['GET', 'PUT']", "method in ['PUT']", false),
        ("header('a') == 'x'", "header('b') == 'y'", false),
        ("header('A') == 'x'", "header('a') == 'y'", true),
        ("header('a') == 'x'", "header('a') ^= 'y'", true),
        ("header('a') ^= 'xy'", "header('a') ^= 'x'", false),
        ("header('a') ^= 'xy'", "header('a') ^= 'xz'", true),
        ("header('a') $= 'y'", "header('a') $= 'xy'", false),
        ("header('a') $= 'z'", "header('a') $= 'xy'", true),
        ("header('a') *= 'z'", "header('a') == 'xy'", true),
        ("header('a')", "!header('a')", true),
        ("header('a') ^= 'x'", "!header('a')", true),
        ("header('a') != 'x'", "!header('a')", false),
        ("!(method == 'GET')", "method == 'GET'", true),
        ("client in 10.0.0.0/8", "client in 192.168.0.0/16", true),
        ("client in 10.0.0.0/8", "client in 10.1.0.0/16", false),
        ("client in 10.1.0.0/16", "client in 10.0.0.0/8", false),
        ("client in 10.0.0.0/8", "client in ::/0", true),
        ("client in [10.0.0.0/8, ::1]", "client in [11.0.0.0/8, ::1]", false),
        ("client != 10.0.0.1", "client == 10.0.0.1", true),
        ("!(client in 10.0.0.0/8)", "client in 10.1.0.0/16", true),
        ("!(client in 10.1.0.0/16)", "client in 10.0.0.0/8", false),
        ("!(client in 10.0.0.0/16)", "client in 10.0.0.0/8", false),
        ("scheme == 'http' && host", "sni && scheme == 'https'", true),
        ("host == 'a' || host == 'b'", "host == 'c' && sni", true),
        ("host == 'a' || host == 'b'", "host == 'b' && sni", false),
        ("host == 'a' && sni == 'b'", "host == 'c' || sni == 'd'", true),
        ("!(host && sni)", "host && sni", true),
    ];
    for (one, other, excludes) in table {
        assert_eq!(parsed(one).excludes(&parsed(other)), excludes, "{one}, {other}");
        assert_eq!(parsed(other).excludes(&parsed(one)), excludes, "{other}, {one}");
    }
}

/// A text of few letters, so that texts are often equal or parts of each other.
fn text(random: &mut Rng) -> String {
    let letters = ['a', 'b', '"', '\\', 'é'];
    (0..random.usize(..4)).map(|_| letters[random.usize(..letters.len())]).collect()
}

fn constant(random: &mut Rng, term: &Term, constant: Constant) -> String {
    let text = match term {
        Term::Scheme => ["http", "https"][random.usize(..2)].to_owned(),
        Term::Path => format!("/{}", text(random)),
        Term::Method => ["GET", "PUT", "a"][random.usize(..3)].to_owned(),
        Term::Host | Term::Sni => ["a", "b", "ab", "aé"][random.usize(..4)].to_owned(),
        _ => text(random),
    };
    let text = match constant {
        Constant::Pattern => text.replace('a', if random.bool() { "*" } else { "?" }),
        _ => text,
    };
    term.constant(constant, &text).unwrap_or_else(|want| panic!("{term} {text}: {want}"))
}

fn random_test(random: &mut Rng) -> Test {
    let term = match random.usize(..12) {
        index @ 0..7 => PLAIN_TERMS[index].1.clone(),
        7 | 8 => Term::Header("x-beta".to_owned()),
        9 | 10 => Term::Cookie("c".to_owned()),
        _ => Term::Query(["k", "other"][random.usize(..2)].to_owned()),
    };
    let comparison = match random.usize(..9) {
        0 if term.may_be_missing() => Comparison::Present,
        1 => {
            Comparison::Like(Glob::parse(&constant(random, &term, Constant::Pattern)).unwrap())
        }
        2 | 3 => {
            let count = random.usize(1..4);
            let mut next = || constant(random, &term, Constant::Whole);
            Comparison::OneOf((0..count).map(|_| next()).collect())
        }
        _ => {
            let operator = OPERATORS[random.usize(..OPERATORS.len())].1;
            Comparison::Text(operator, constant(random, &term, operator.constant()))
        }
    };
    Test { term, comparison }
}

fn network(random: &mut Rng) -> Cidr {
    let all = ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/15", "11.0.0.0/8", "::/0", "0.0.0.0/0"];
    Cidr::parse(all[random.usize(..all.len())]).unwrap()
}

fn random_expression(random: &mut Rng, depth: usize) -> Expression {
    let parts = |random: &mut Rng| {
        let count = random.usize(2..4);
        (0..count).map(|_| random_expression(random, depth - 1)).collect()
    };
    match random.usize(..8) {
        0 if depth > 0 => Expression::Any(parts(random)),
        1 if depth > 0 => Expression::All(parts(random)),
        2 if depth > 0 => Expression::Not(Box::new(random_expression(random, depth - 1))),
        3 => Expression::ClientIn((0..random.usize(1..4)).map(|_| network(random)).collect()),
        _ => Expression::Test(random_test(random)),
    }
}

fn random_request(random: &mut Rng) -> Request {
    let some = |random: &mut Rng| random.bool().then(|| text(random));
    let clients = ["10.1.2.3", "10.3.2.1", "11.0.0.1", "::1", "::ffff:10.0.0.1", "1.2.3.4"];
    let hosts = [None, Some("a"), Some("B"), Some("AB:80"), Some("a."), Some("aé")];
    let name = hosts[random.usize(..hosts.len())].map(str::to_owned);
    Request {
        method: ["GET", "PUT", "a"][random.usize(..3)].to_owned(),
        path: format!("/{}", text(random)),
        host: name,
        query: some(random),
        header: some(random),
        cookie: some(random),
        client: clients[random.usize(..clients.len())].parse().unwrap(),
        sni: [None, Some("a"), Some("ab")][random.usize(..3)].map(str::to_owned),
        subject: some(random),
        listener: text(random),
        is_tls: random.bool(),
    }
}

/// By the words of the language, with texts and without any care for speed.
fn plainly_holds(expression: &Expression, request: &Request) -> bool {
    match expression {
        Expression::Any(parts) => parts.iter().any(|part| plainly_holds(part, request)),
        Expression::All(parts) => !parts.iter().any(|part| !plainly_holds(part, request)),
        Expression::Not(part) => !plainly_holds(part, request),
        Expression::ClientIn(networks) => {
            networks.iter().any(|network| network.contains(request.client))
        }
        Expression::Test(test) => {
            let scheme = if request.is_tls { "https" } else { "http" };
            let host = request.host.as_ref().map(|host| {
                let host = host.to_lowercase().replace(":80", "");
                host.trim_end_matches('.').to_owned()
            });
            let value = match &test.term {
                Term::Method => Some(request.method.clone()),
                Term::Path => Some(request.path.clone()),
                Term::Query(key) => request.query.clone().filter(|_| key == "k"),
                Term::Host => host,
                Term::Header(_) => request.header.clone(),
                Term::Cookie(_) => request.cookie.clone(),
                Term::Sni => request.sni.clone(),
                Term::Subject => request.subject.clone(),
                Term::Listener => Some(request.listener.clone()),
                Term::Scheme => Some(scheme.to_owned()),
            };
            plainly_fits(&test.comparison, value.as_deref())
        }
    }
}

fn plainly_fits(comparison: &Comparison, value: Option<&str>) -> bool {
    match (comparison, value) {
        (Comparison::Text(Operator::IsNot, text), _) => value != Some(text),
        (_, None) => false,
        (Comparison::Present, _) => true,
        (Comparison::Like(glob), Some(value)) => glob.fits(value.as_bytes()),
        (Comparison::OneOf(texts), Some(value)) => texts.iter().any(|text| text == value),
        (Comparison::Text(operator, text), Some(value)) => match operator {
            Operator::Is => text == value,
            Operator::IsNot => text != value,
            Operator::Begins => value.find(text.as_str()) == Some(0),
            Operator::Ends => reversed(value).find(&reversed(text)) == Some(0),
            Operator::Contains => value.contains(text.as_str()),
        },
    }
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

#[test]
fn what_is_shown_is_read_back_and_holds_as_its_words_say() {
    let mut random = Rng::with_seed(3);
    let mut held = 0;
    for _ in 0..20_000 {
        let condition = Condition(random_expression(&mut random, 4));
        let shown = condition.to_string();
        if shown.len() <= CONDITION_BYTES_MAX {
            assert_eq!(Condition::parse(&shown), Ok(condition.clone()), "{shown}");
        }
        let request = random_request(&mut random);
        let holds = condition.holds(&request);
        assert_eq!(holds, plainly_holds(&condition.0, &request), "{shown} {request:?}");
        held += u32::from(holds);
    }
    assert!((5_000..15_000).contains(&held), "{held}");
}

#[test]
fn no_request_fulfils_two_that_exclude_each_other() {
    let mut random = Rng::with_seed(4);
    let mut excluding = 0;
    for _ in 0..20_000 {
        let depth = random.usize(..3);
        let one = Condition(random_expression(&mut random, depth));
        let other = Condition(random_expression(&mut random, depth));
        if !one.excludes(&other) {
            continue;
        }
        excluding += 1;
        for _ in 0..20 {
            let request = random_request(&mut random);
            let both = one.holds(&request) && other.holds(&request);
            assert!(!both, "{one}, {other}: {request:?}");
        }
    }
    assert!(excluding > 500, "{excluding}");
}

#[test]
fn parsing_never_panics() {
    let mut random = Rng::with_seed(5);
    let pieces = [
        "host",
        "client",
        "header",
        "in",
        "(",
        ")",
        "[",
        "]",
        "!",
        "==",
        "~",
        "&&",
        "||",
        "'a'",
        "\"",
        "\\",
        " ",
        "é",
        "10.0.0.0/8",
        ",",
        "tls.subject",
        "\u{a0}",
        "\n",
        "&",
        "=",
        "'*?'",
    ];
    for _ in 0..50_000 {
        let count = random.usize(..10);
        let text: String = (0..count).map(|_| pieces[random.usize(..pieces.len())]).collect();
        if let Ok(condition) = Condition::parse(&text) {
            assert_eq!(parsed(&condition.to_string()), condition, "{text}");
        }
    }
}
