//! The head of a request: method, target, host, and how long the body is.

use super::Span;
use super::body::Framing;
use super::fields::{FieldKind, Fields, Repeats};
use super::head::{BadHead, Parse, Scan, Version, version};
use super::scan::{self, HOST, TOKEN};

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method as it was sent.
    pub method_name: Span,
    /// The target as it was sent, for the access log.
    pub target: Span,
    /// The form of the target.
    pub form: Form,
    /// Path and query. In a URL without a path, what follows the host: a query or nothing.
    pub path: Span,
    /// The version the client speaks.
    pub version: Version,
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// The host, with or without a port. Only HTTP/1.0 may leave it out.
    pub host: Option<Span>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client lets the connection be kept open.
    pub keep_alive: bool,
    /// The protocol that the client offers to switch to.
    pub upgrade: Option<Span>,
    /// The client waits for 100 Continue before it sends the body.
    pub expects_continue: bool,
    /// The client accepts trailers (`TE: trailers`).
    pub takes_trailers: bool,
}

/// The methods that make a difference to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// Any other; it passes.
    Other,
}

/// How a target is written (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A path.
    Origin,
    /// A URL.
    Absolute,
    /// `*`: the server as a whole.
    Asterisk,
}

impl RequestHead {
    /// Whether the answer has no body, whatever its head says.
    pub fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// Whether the request may be sent twice (RFC 9110 section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        match self.method {
            Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options => true,
            Method::Post | Method::Patch | Method::Other => false,
        }
    }

    /// The path without the query.
    pub fn path_alone(&self, bytes: &[u8]) -> Span {
        let path = self.path.of(bytes);
        let length = path.iter().position(|&byte| byte == b'?').unwrap_or(path.len());
        Span { start: self.path.start, end: self.path.start + length as u32 }
    }

    /// The query with the question mark before it; empty if there is none.
    pub fn query(&self, bytes: &[u8]) -> Span {
        Span { start: self.path_alone(bytes).end, end: self.path.end }
    }
}

/// Parse the head at the beginning of `bytes`, its fields into `fields`.
pub fn parse_request(bytes: &[u8], scan: &mut Scan, fields: &mut Fields) -> Parse<RequestHead> {
    fields.clear();
    scan.parse(bytes, |window| {
        let Some((line, at)) = start_line(window, empty_lines(window))? else {
            return Ok(None);
        };
        let Some(length) = fields.parse(window, at)? else { return Ok(None) };
        understand(window, &line, length, fields).map(Some)
    })
}

/// How long the empty lines at the beginning are: clients used to send one behind a body (RFC 9112
/// section 2.2). They are part of the head, and so are bounded with it.
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let [b'\r', b'\n', after @ ..] = rest {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// The parsed first line.
struct RequestLine {
    method: Method,
    method_name: Span,
    target: Span,
    form: Form,
    authority: Option<Authority>,
    path: Span,
    version: Version,
}

/// Host and port of a URL.
#[derive(Debug, Clone, Copy)]
struct Authority {
    host: Span,
    /// The default port of its scheme.
    port: u16,
}

/// Parse the first line, which begins at `from`. Returns it and the index where the fields begin;
/// `None` if it is not whole.
fn start_line(bytes: &[u8], from: usize) -> Result<Option<(RequestLine, usize)>, BadHead> {
    let rest = bytes.get(from..).unwrap_or_default();
    let end = from + scan::run(rest, TOKEN);
    match bytes.get(end) {
        Some(b' ') if end > from => {}
        // It may become an empty line.
        Some(b'\r') if rest.len() == 1 => return Ok(None),
        Some(_) => return Err(BadHead::StartLine),
        None => return Ok(None),
    }
    let after = end + 1 + scan::target_end(&bytes[end + 1..]);
    let target = Span::new(end + 1, after);
    match bytes.get(after) {
        Some(b' ') if !target.is_empty() => {}
        Some(_) => return Err(BadHead::Target),
        None => return Ok(None),
    }
    let Some(version) = version(&bytes[after + 1..], b"\r\n")? else { return Ok(None) };
    let method_name = Span::new(from, end);
    let method = match method_name.of(bytes) {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"PATCH" => Method::Patch,
        b"CONNECT" | b"TRACE" => return Err(BadHead::Method),
        _ => Method::Other,
    };
    let TargetParts { form, authority, path } = target_parts(bytes, target, method)?;
    let line = RequestLine { method, method_name, target, form, authority, path, version };
    Ok(Some((line, after + 1 + b"HTTP/1.1\r\n".len())))
}

/// What a target consists of.
struct TargetParts {
    form: Form,
    /// `None` unless the target is a URL.
    authority: Option<Authority>,
    path: Span,
}

fn target_parts(bytes: &[u8], target: Span, method: Method) -> Result<TargetParts, BadHead> {
    let without_host = |form| TargetParts { form, authority: None, path: target };
    let text = target.of(bytes);
    match text {
        [b'/', ..] => return Ok(without_host(Form::Origin)),
        b"*" if method == Method::Options => return Ok(without_host(Form::Asterisk)),
        _ => {}
    }
    let (scheme, port) = [(&b"http://"[..], 80), (b"https://", 443)]
        .into_iter()
        .find(|(it, _)| text.get(..it.len()).is_some_and(|is| is.eq_ignore_ascii_case(it)))
        .ok_or(BadHead::Target)?;
    let rest = &text[scheme.len()..];
    let length = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    if !is_host(&rest[..length]) {
        return Err(BadHead::Target);
    }
    let start = target.start + scheme.len() as u32;
    let host = Span { start, end: start + length as u32 };
    let path = Span { start: host.end, end: target.end };
    let authority = Some(Authority { host, port });
    Ok(TargetParts { form: Form::Absolute, authority, path })
}

/// Interpret the fields together.
fn understand(
    bytes: &[u8],
    line: &RequestLine,
    length: usize,
    fields: &mut Fields,
) -> Result<RequestHead, BadHead> {
    let host = host(bytes, line, fields)?;
    let framing = framing(bytes, line.version, fields)?;
    let options = fields.options(bytes)?;
    let is_11 = line.version == Version::Http11;
    // Behind a body it would be unclear where the new protocol begins.
    let switches = is_11 && options.upgrade && framing == Framing::None;
    let expects = fields.has(FieldKind::Expect) && expectation(bytes, fields);
    let trailers = |te: &[u8]| scan::list(te).any(|it| scan::same(it, b"trailers"));
    Ok(RequestHead {
        method: line.method,
        method_name: line.method_name,
        target: line.target,
        form: line.form,
        path: line.path,
        version: line.version,
        length,
        host,
        framing,
        keep_alive: !options.close && (is_11 || options.keep_alive),
        upgrade: if switches { fields.upgrade(bytes) } else { None },
        expects_continue: expects && is_11 && framing != Framing::None,
        takes_trailers: is_11
            && fields.of_kind(FieldKind::Te).any(|field| trailers(field.value.of(bytes))),
    })
}

/// The host of the request (RFC 9112 section 3.2).
fn host(bytes: &[u8], line: &RequestLine, fields: &Fields) -> Result<Option<Span>, BadHead> {
    let mut hosts = fields.of_kind(FieldKind::Host).map(|field| field.value);
    let Some(host) = hosts.next() else {
        return match line.version {
            Version::Http11 => Err(BadHead::HostMissing),
            Version::Http10 => Ok(line.authority.map(|it| it.host)),
        };
    };
    if hosts.next().is_some() {
        return Err(BadHead::HostTwice);
    }
    if !is_host(host.of(bytes)) {
        return Err(BadHead::Host);
    }
    match line.authority {
        Some(it) if !agree(it.host.of(bytes), host.of(bytes), it.port) => {
            Err(BadHead::HostOther)
        }
        _ => Ok(Some(host)),
    }
}

/// Whether two hosts are the same; `usual` is the port where none is given.
fn agree(one: &[u8], other: &[u8], usual: u16) -> bool {
    let parts = |text: &[u8]| {
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (name, digits) = text.split_at_checked(text.len() - digits)?;
        match name.strip_suffix(b":") {
            Some(name) if digits.is_empty() => Some((name.to_ascii_lowercase(), usual.into())),
            Some(name) => Some((name.to_ascii_lowercase(), scan::number(digits)?)),
            None => Some((text.to_ascii_lowercase(), usual.into())),
        }
    };
    one.eq_ignore_ascii_case(other) || parts(one) == parts(other)
}

/// How the body is delimited (RFC 9112 section 6.3, whatever it leaves open refused).
fn framing(bytes: &[u8], version: Version, fields: &Fields) -> Result<Framing, BadHead> {
    let length = fields.content_length(bytes, Repeats::Refused)?;
    let chunked = fields.has(FieldKind::TransferEncoding) && fields.is_chunked(bytes)?;
    match (chunked, length) {
        (true, Some(_)) => Err(BadHead::TwoLengths),
        (true, None) if version == Version::Http10 => Err(BadHead::TransferEncoding),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::None),
    }
}

/// Whether the client waits for 100 Continue. There is no other expectation, and unknown ones may
/// be ignored (RFC 9110 section 10.1.1).
fn expectation(bytes: &[u8], fields: &Fields) -> bool {
    let known =
        |value: &[u8]| scan::list(value).any(|it| it.eq_ignore_ascii_case(b"100-continue"));
    fields.of_kind(FieldKind::Expect).any(|field| known(field.value.of(bytes)))
}

/// Whether this is a name or an address with or without a port: no user, and no byte that a URL
/// would escape.
pub(super) fn is_host(text: &[u8]) -> bool {
    let (inside, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            let inside = &rest[..end];
            let hex = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
            if !inside.contains(&b':') || !inside.iter().all(hex) {
                return false;
            }
            (inside, &rest[end + 1..])
        }
        _ => text.split_at(scan::run(text, HOST)),
    };
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => {
            digits.is_empty() || scan::number(digits).is_some_and(|port| port <= 65_535)
        }
        _ => false,
    };
    !inside.is_empty() && port_is_good
}
