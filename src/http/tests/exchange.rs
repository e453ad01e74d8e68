//! Whole exchanges, cut and mangled at random. A failure prints its seed.
//!
//! Two properties. Any way of cutting a valid exchange into reads gives the same bytes out. And
//! nothing passes that a second reader, naive and strict, refuses or frames differently: neither
//! what came in, nor what we make of it.

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::config::{ForwardedFields, SameSite};
use crate::http::added::{Added, Cookie, Proto};
use crate::http::body::{Decoder, Framing, Trailers};
use crate::http::edits::{RequestEdits, ResponseEdits};
use crate::http::rewrite::{Back, Forward};
use crate::http::*;

const CUT_SEEDS: u64 = 2000;
const MANGLE_SEEDS: u64 = 20_000;

/// Requests to cut and mangle; all are good as they are.
const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:8080\r\nUser-Agent: curl/8.5.0\r\n\
     Accept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: 1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nMax-Forwards: 3\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
     5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: A\r\n\r\n\
     00a\r\n0123456789\r\n0\r\nA: b\r\nHost: c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\
     HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
     Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nVia: 1.0 x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; LB=2; c=3\r\nCookie: LB=4\r\n\r\n",
];

/// Responses to a GET, likewise.
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200\r\nServer: x\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n\
     5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nConnection: close, Set-Cookie\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 404 \r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n?",
];

/// What makes parsers disagree: inserted when mangling.
const MORSELS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\u{b}",
    "0",
    "-",
    "+",
    "_",
    "\r\n\r\n",
    "Proxy: x\r\n",
    "X.SSL.Client.S.DN: x\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "Transfer-Encoding: x\r\n",
    "Connection: close\r\n",
    ", chunked",
    " HTTP/1.1",
    "GET / HTTP/1.1\r\n",
    "\r\n ",
    "Content-Length : 5\r\n",
    "\u{7f}",
    "0x",
    "http://",
    "#",
    "%00",
    "[",
    "@",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// What a message comes to: the verdict, and what goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// More is wanted.
    Hungry,
    /// The head is refused.
    Refused(BadHead),
    /// The head passed.
    Passed(Passed),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Passed {
    head: Vec<u8>,
    framing: Framing,
    payload: Vec<u8>,
    trailers: Vec<u8>,
    body: Result<bool, BadBody>,
    /// How much of the input was the message.
    consumed: usize,
    /// The body in chunks of ours.
    chunks: Vec<u8>,
}

static COOKIE: LazyLock<Cookie> =
    LazyLock::new(|| Cookie { name: "LB".to_owned(), same_site: SameSite::Lax });

static ADDED: LazyLock<Added<'static>> = LazyLock::new(|| Added {
    via: Some("pointsman"),
    cookie: Some(&COOKIE),
    hsts: None,
    request_id: None,
    retry_after: None,
    limit: None,
});

fn forward() -> Forward<'static> {
    Forward {
        client: IpAddr::from([192, 0, 2, 1]),
        proto: Proto::Http,
        port: "8000",
        trusted: false,
        host: "backend",
        added: &ADDED,
        told: ForwardedFields::DEFAULT,
        subject: None,
        edits: RequestEdits::NONE,
    }
}

const BACK: Back<'static> = Back {
    client_version: Version::Http11,
    keep_alive: true,
    chunk: true,
    takes_trailers: true,
    cookie: None,
    added: &Added::NONE,
    edits: ResponseEdits::NONE,
};

/// A small carrier: reads end at `cuts` and at the end; heads are kept until they are whole.
fn carry(side: Side, input: &[u8], cuts: &[usize]) -> Outcome {
    let mut ends: Vec<usize> = cuts.to_vec();
    ends.push(input.len());
    let mut scan = Scan::default();
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let looks =
        ends.iter().map(|&end| look(side, &input[..end], &mut scan, &mut fields, &mut out));
    let verdicts = looks.enumerate().find(|(_, verdict)| *verdict != Parse::Incomplete);
    let (first, length, framing) = match verdicts {
        None => return Outcome::Hungry,
        Some((_, Parse::Bad(refusal))) => return Outcome::Refused(refusal),
        Some((_, Parse::Incomplete)) => unreachable!(),
        Some((index, Parse::Done((length, framing)))) => (index, length, framing),
    };
    let mut head = Vec::new();
    out.copy_to(input, 0, &mut head);
    assert_eq!(head.len(), out.len());
    let payload = Vec::new();
    let trailers = Vec::new();
    let chunks = Vec::new();
    let mut passed =
        Passed { head, framing, payload, trailers, body: Ok(false), consumed: length, chunks };
    let mut decoder = Decoder::new(framing, Trailers::Keep);
    for &end in &ends[first..] {
        let piece = &input[passed.consumed..end];
        let mut data = Vec::new();
        match decoder.decode(piece, 0, &mut data, &mut passed.trailers) {
            Ok(decoded) => passed.consumed += decoded.consumed,
            Err(bad) => {
                // How much payload came before depends on the cut.
                passed.body = Err(bad);
                passed.payload.clear();
                passed.trailers.clear();
                passed.chunks.clear();
                passed.consumed = 0;
                return Outcome::Passed(passed);
            }
        }
        data.iter().for_each(|span| passed.payload.extend_from_slice(span.of(piece)));
        out.clear();
        rewrite::chunk(&data, piece, &mut out);
        out.copy_to(piece, 0, &mut passed.chunks);
        if decoder.is_finished() {
            break;
        }
    }
    passed.body = Ok(decoder.is_finished());
    out.clear();
    rewrite::last_chunk(&passed.trailers, &mut fields, &mut out);
    out.copy_to(b"", 0, &mut passed.chunks);
    Outcome::Passed(passed)
}

/// Parse, and write what goes out.
fn look(
    side: Side,
    bytes: &[u8],
    scan: &mut Scan,
    fields: &mut Fields,
    out: &mut Outgoing,
) -> Parse<(usize, Framing)> {
    match side {
        Side::Request => match parse_request(bytes, scan, fields) {
            Parse::Done(head) => {
                rewrite::request(&head, fields, bytes, &forward(), out);
                Parse::Done((head.length, head.framing))
            }
            Parse::Incomplete => Parse::Incomplete,
            Parse::Bad(refusal) => Parse::Bad(refusal),
        },
        Side::Response => match parse_response(bytes, scan, fields, &Asked::default()) {
            Parse::Done(head) => {
                rewrite::response(&head, fields, bytes, &BACK, out);
                Parse::Done((head.length, head.framing))
            }
            Parse::Incomplete => Parse::Incomplete,
            Parse::Bad(refusal) => Parse::Bad(refusal),
        },
    }
}

/// The same outcome with the chunks of ours read again: how many they are depends on the cut.
fn flattened(mut outcome: Outcome) -> Outcome {
    if let Outcome::Passed(passed) = &mut outcome
        && passed.body.is_ok()
    {
        let naive = naive::chunked(&passed.chunks).expect("our chunks are good");
        assert_eq!(naive.payload, passed.payload);
        assert_eq!(naive.consumed, passed.chunks.len());
        passed.chunks.clear();
    }
    outcome
}

fn cuts(random: &mut fastrand::Rng, length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = match random.u8(..4) {
        0 => (0..=length).collect(),
        _ => (0..random.usize(..6)).map(|_| random.usize(..=length)).collect(),
    };
    cuts.sort_unstable();
    cuts
}

/// A message with more and longer fields and a larger body than those in the lists.
fn grown(random: &mut fastrand::Rng, message: &str) -> Vec<u8> {
    let (line, rest) = message.split_once("\r\n").unwrap();
    let mut text = format!("{line}\r\n");
    for index in 0..random.usize(..20) {
        let value: String = (0..random.usize(..400)).map(|_| random.alphanumeric()).collect();
        text += &format!("X-{index}:{value}\r\n");
    }
    [text.as_bytes(), rest.as_bytes()].concat()
}

fn mangle(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=random.usize(..3) {
        let at = random.usize(..=bytes.len());
        let until = (at + random.usize(..12)).min(bytes.len());
        match random.u8(..6) {
            0 => drop(bytes.drain(at..until)),
            1 if at < bytes.len() => bytes[at] = random.u8(..),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            3 => {
                let again = bytes[at..until].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => {
                let morsel = MORSELS[random.usize(..MORSELS.len())].bytes();
                drop(bytes.splice(at..at, morsel));
            }
        }
    }
}

#[test]
fn any_way_of_cutting_gives_the_same_bytes() {
    for seed in 0..CUT_SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        for (side, list) in [(Side::Request, REQUESTS), (Side::Response, RESPONSES)] {
            let message = list[random.usize(..list.len())];
            // A request or two behind it, which must be left alone.
            let mut input = grown(&mut random, message);
            let length = input.len();
            input.extend_from_slice(REQUESTS[0].as_bytes());
            let whole = flattened(carry(side, &input, &[]));
            let cuts = cuts(&mut random, input.len());
            assert_eq!(flattened(carry(side, &input, &cuts)), whole, "seed {seed}");
            let Outcome::Passed(passed) = whole else { panic!("seed {seed}: {whole:?}") };
            if passed.framing != Framing::UntilClose {
                assert_eq!((passed.body, passed.consumed), (Ok(true), length), "seed {seed}");
            }
        }
    }
}

#[test]
fn nothing_passes_that_a_strict_reader_refuses() {
    let mut passed = 0;
    for seed in 0..MANGLE_SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (side, list) = match random.bool() {
            true => (Side::Request, REQUESTS),
            false => (Side::Response, RESPONSES),
        };
        let mut input = list[random.usize(..list.len())].as_bytes().to_vec();
        mangle(&mut random, &mut input);
        let mut outcome = carry(side, &input, &[]);
        let cuts = cuts(&mut random, input.len());
        let mut cut = carry(side, &input, &cuts);
        if cut == Outcome::Hungry {
            // A verdict may wait for the end of the line.
            input.push(b'\n');
            cut = carry(side, &input, &cuts);
            outcome = carry(side, &input, &[]);
        }
        assert_eq!(
            flattened(cut),
            flattened(outcome.clone()),
            "seed {seed}, {}",
            input.escape_ascii()
        );
        if let Outcome::Passed(message) = outcome {
            passed += 1;
            check(side, &input, &message)
                .unwrap_or_else(|why| panic!("seed {seed}: {why}, {}", input.escape_ascii()));
        }
    }
    assert!(passed > MANGLE_SEEDS / 20, "only {passed} messages say little");
}

/// What passed must be good to the second reader, come in and going out, and framed alike.
fn check(side: Side, input: &[u8], message: &Passed) -> Result<(), String> {
    let request = side == Side::Request;
    let naive = naive::head(request, input)?;
    if naive.framing != message.framing {
        return Err(format!("framed {:?} and {:?}", message.framing, naive.framing));
    }
    let sent = naive::head(request, &message.head).map_err(|why| format!("we sent: {why}"))?;
    // A body until the end leaves in chunks.
    let chunked = [Framing::Chunked, Framing::UntilClose].contains(&message.framing);
    let leaves = if chunked { Framing::Chunked } else { message.framing };
    if message.head.starts_with(b"\r\n")
        || sent.framing != leaves
        || sent.length != message.head.len()
    {
        return Err(format!("sent as {:?}: {}", sent.framing, message.head.escape_ascii()));
    }
    for line in message.head.split(|&byte| byte == b'\n').skip(1) {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        let folds = |&byte: &u8| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'\r';
        if request && (name.iter().any(folds) || name.eq_ignore_ascii_case(b"proxy")) {
            return Err(format!("could pass for another: {}", name.escape_ascii()));
        }
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        let names = ["x-forwarded-", "forwarded:", "x-real-ip:", "x_"];
        if line.contains("6.6.6.6") && names.iter().any(|name| line.starts_with(name)) {
            return Err(format!("a stranger was believed: {line}"));
        }
    }
    if message.framing == Framing::Chunked && message.body == Ok(true) {
        let body = naive::chunked(&input[naive.length..])?;
        if body.payload != message.payload {
            return Err("another payload".into());
        }
        if naive.length + body.consumed != message.consumed {
            return Err("another end".into());
        }
    }
    Ok(())
}

/// Looks at everything with the plainest means, and shares nothing with what it checks.
mod naive {
    use crate::http::Framing;

    pub struct Head {
        pub framing: Framing,
        pub length: usize,
    }

    pub struct Body {
        pub payload: Vec<u8>,
        pub consumed: usize,
    }

    fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
        bytes.windows(what.len()).position(|window| window == what)
    }

    fn is_token(text: &str) -> bool {
        let odd = |it: char| !(it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it));
        !text.is_empty() && !text.contains(odd)
    }

    pub fn head(request: bool, bytes: &[u8]) -> Result<Head, String> {
        // Empty lines may come before a request.
        let is_line_end = |pair: &&[u8]| request && *pair == b"\r\n";
        let empty = 2 * bytes.chunks_exact(2).take_while(is_line_end).count();
        let bytes = &bytes[empty..];
        let end = find(bytes, b"\r\n\r\n").ok_or("no end")?;
        // As Latin-1: a byte is a character.
        let text: String = bytes[..end].iter().map(|&byte| byte as char).collect();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        if text.replace("\r\n", "").contains(|it: char| it.is_ascii_control() && it != '\t') {
            return Err("a control character".into());
        }
        let StartLine { version, status } =
            if request { request_line(first)? } else { status_line(first)? };
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("no colon")?;
            if !is_token(name) {
                return Err(format!("name {name:?}"));
            }
            fields
                .push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_string()));
        }
        let values = |wanted: &str| -> Vec<String> {
            let of = |(name, value): &(String, String)| (name == wanted).then(|| value.clone());
            fields.iter().filter_map(of).collect()
        };
        let hosts = values("host").len();
        if request && (hosts > 1 || (hosts == 0 && version == 1)) {
            return Err(format!("{hosts} hosts"));
        }
        let mut lengths = values("content-length");
        if !request {
            let digits = |text: &str| text.trim_start_matches('0').to_owned();
            lengths.dedup_by(|one, other| !one.is_empty() && digits(one) == digits(other));
        }
        let mut framing = match (&lengths[..], &values("transfer-encoding")[..]) {
            ([], []) if request => Framing::None,
            ([], []) => Framing::UntilClose,
            ([length], [])
                if !length.is_empty() && length.bytes().all(|it| it.is_ascii_digit()) =>
            {
                Framing::Length(length.parse::<i64>().map_err(|it| it.to_string())? as u64)
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == 1 => {
                Framing::Chunked
            }
            other => return Err(format!("framed by {other:?}")),
        };
        if !request && (status < 200 || status == 204 || status == 304) {
            framing = Framing::None;
        }
        Ok(Head { framing, length: empty + end + 4 })
    }

    fn minor(version: &str) -> Result<u32, String> {
        match version {
            "HTTP/1.0" => Ok(0),
            later if later.len() == 8 && later.starts_with("HTTP/1.") => {
                later[7..].parse::<u8>().map(|_| 1).map_err(|it| it.to_string())
            }
            other => Err(format!("version {other:?}")),
        }
    }

    struct StartLine {
        /// The digit behind `HTTP/1.`, 1 for any above it.
        version: u32,
        /// 0 in a request.
        status: u32,
    }

    fn request_line(line: &str) -> Result<StartLine, String> {
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else { return Err(format!("{line:?}")) };
        let target_is_good = target.starts_with('/')
            || target.to_ascii_lowercase().starts_with("http://")
            || target.to_ascii_lowercase().starts_with("https://")
            || (target == "*" && method == "OPTIONS");
        if !is_token(method)
            || ["CONNECT", "TRACE"].contains(&method)
            || !target_is_good
            || target.contains(|it: char| !it.is_ascii_graphic() || it == '#')
        {
            return Err(format!("{line:?}"));
        }
        Ok(StartLine { version: minor(version)?, status: 0 })
    }

    fn status_line(line: &str) -> Result<StartLine, String> {
        let (version, rest) = line.split_once(' ').ok_or("no status")?;
        let (status, _) = rest.split_once(' ').unwrap_or((rest, ""));
        if status.len() != 3 || !status.bytes().all(|it| it.is_ascii_digit()) {
            return Err(format!("status {status:?}"));
        }
        let status = status.parse().map_err(|_| "status")?;
        Ok(StartLine { version: minor(version)?, status })
    }

    pub fn chunked(bytes: &[u8]) -> Result<Body, String> {
        let mut payload = Vec::new();
        let mut at = 0;
        loop {
            let end = at + find(&bytes[at..], b"\r\n").ok_or("no end of a size")?;
            let line = String::from_utf8_lossy(&bytes[at..end]).to_string();
            let (digits, _) = line.split_once(';').unwrap_or((&line, ""));
            let digits = digits.trim_end_matches([' ', '\t']);
            if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
                return Err(format!("size {digits:?}"));
            }
            let size = usize::from_str_radix(digits, 16).map_err(|it| it.to_string())?;
            at = end + 2;
            if size == 0 {
                break;
            }
            payload.extend_from_slice(bytes.get(at..at + size).ok_or("torn")?);
            at += size;
            if bytes.get(at..at + 2) != Some(b"\r\n") {
                return Err("no end of a chunk".into());
            }
            at += 2;
        }
        // Trailers are lines until an empty one.
        loop {
            let end = at + find(&bytes[at..], b"\r\n").ok_or("no end of trailers")?;
            let line = String::from_utf8_lossy(&bytes[at..end]).to_string();
            at = end + 2;
            if line.is_empty() {
                return Ok(Body { payload, consumed: at });
            }
            let (name, value) = line.split_once(':').ok_or("no colon in a trailer")?;
            if !is_token(name) || value.contains(|it: char| it.is_ascii_control() && it != '\t')
            {
                return Err(format!("trailer {line:?}"));
            }
        }
    }
}
