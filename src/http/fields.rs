//! The header fields: where each name and value lies, what kind it is, and whether it passes.
//!
//! One pass checks every byte and records every line. Names that mean something to a proxy get a
//! [`FieldKind`]; `request` and `response` interpret them once all lines are known.

use super::Span;
use super::head::BadHead;
use super::scan::{self, NameEnd, TOKEN};
use crate::limits::{HTTP_CONNECTION_OPTIONS_MAX, HTTP_FIELDS_MAX};

/// The fields of one head. Kept for reuse, so that a request allocates nothing.
#[derive(Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
    /// The [bits](FieldKind::bit) of all kinds in `list`.
    seen: u32,
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name, as it was sent.
    pub name: Span,
    /// Its value without the space around it.
    pub value: Span,
    /// What its name means to a proxy.
    pub kind: FieldKind,
    /// Connection does not name it. `rewrite` decides which kinds pass at all.
    pub passes: bool,
}

/// What a field means to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Nothing: it passes, unless Connection names it.
    Other,
    /// Host
    Host,
    /// Content-Length
    ContentLength,
    /// Transfer-Encoding
    TransferEncoding,
    /// Connection
    Connection,
    /// Keep-Alive
    KeepAlive,
    /// Upgrade
    Upgrade,
    /// TE
    Te,
    /// Trailer
    Trailer,
    /// Expect
    Expect,
    /// Proxy-Connection and HTTP2-Settings, which never pass.
    Hop,
    /// X-Forwarded-For
    ForwardedFor,
    /// X-Forwarded-Proto
    ForwardedProto,
    /// X-Forwarded-Host
    ForwardedHost,
    /// X-Forwarded-Port
    ForwardedPort,
    /// Forwarded, the list of RFC 7239.
    Forwarded,
    /// X-Real-IP
    RealIp,
    /// All others about the client: the rest of X-Forwarded-*.
    ForwardedOther,
    /// X-SSL-Client-S-DN, the subject of the client's certificate.
    ClientSubject,
    /// X-Request-Id
    RequestId,
    /// Strict-Transport-Security
    StrictTransport,
    /// Via
    Via,
    /// Cookie
    Cookie,
    /// Proxy, which CGI turns into the variable HTTP_PROXY, a setting of its own (httpoxy).
    Proxy,
    /// A name with other bytes than letters, digits and hyphens. CGI and others map those bytes,
    /// and hyphens, to `_`: it could be taken for any other field, ours included.
    Folded,
    /// Authorization, Proxy-Authorization: passes whatever Connection says.
    Authorization,
    /// WWW-Authenticate, Proxy-Authenticate: the same.
    Challenge,
    /// Set-Cookie and the like, which pass whatever Connection says.
    EndToEnd,
}

/// The options of the Connection fields that we know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ConnectionOptions {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

/// Whether Content-Length may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// In a request: no client needs to.
    Refused,
    /// In a response, with the same value, as two layers of a backend may add; it is passed on
    /// once.
    Equal,
}

impl FieldKind {
    /// A bit for each kind, for sets of kinds.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Fields {
    /// An empty list.
    pub fn new() -> Fields {
        Fields { list: Vec::with_capacity(HTTP_FIELDS_MAX), seen: 0 }
    }

    /// The fields in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter()
    }

    /// The value of the first field with this name, in any case.
    pub fn find(&self, bytes: &[u8], name: &str) -> Option<Span> {
        let named = |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
        self.list.iter().find(named).map(|field| field.value)
    }

    /// The value of the first, second, ... field with this name, in any case.
    pub fn nth(&self, bytes: &[u8], name: &str, nth: usize) -> Option<Span> {
        let named = |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
        self.list.iter().filter(named).nth(nth).map(|field| field.value)
    }

    /// The value of the first cookie with this name that the client sent.
    pub fn cookie(&self, bytes: &[u8], name: &str) -> Option<Span> {
        self.of_kind(FieldKind::Cookie).find_map(|field| {
            cookie_pairs(bytes, field.value)
                .find(|pair| is_named(pair.of(bytes), name))
                .map(|pair| Span { start: pair.start + name.len() as u32 + 1, ..pair })
        })
    }

    /// How many fields of a request are dropped because a backend could take them for others.
    pub fn misleading(&self) -> u64 {
        let count = |kind| self.of_kind(kind).count() as u64;
        count(FieldKind::Folded) + count(FieldKind::Proxy)
    }

    pub(super) fn as_slice(&self) -> &[Field] {
        &self.list
    }

    pub(super) fn of_kind(&self, kind: FieldKind) -> impl Iterator<Item = &Field> {
        let list = if self.has(kind) { self.list.as_slice() } else { &[] };
        list.iter().filter(move |field| field.kind == kind)
    }

    /// Whether there is a field of this kind.
    pub(super) fn has(&self, kind: FieldKind) -> bool {
        self.seen & kind.bit() != 0
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.seen = 0;
    }

    /// Parse the lines from `at` on, up to the empty line. Returns the index behind the empty line,
    /// or `None` if that has not come yet.
    pub(super) fn parse(&mut self, bytes: &[u8], at: usize) -> Result<Option<usize>, BadHead> {
        self.clear();
        let mut line = bytes.get(at..).unwrap_or_default();
        loop {
            let NameEnd { length: colon, is_plain } = scan::name_end(line);
            let Some((b':', text)) = line[colon..].split_first().filter(|_| colon > 0) else {
                return no_field(line, colon).map(|end| Some(bytes.len() - line.len() + end?));
            };
            let text = scan::trim_start(text);
            let end = scan::value_end(text);
            let next = match &text[end..] {
                [b'\r', b'\n', next @ ..] => next,
                [] | [b'\r'] => return Ok(None),
                _ => return Err(BadHead::FieldValue),
            };
            let kind = kind(&line[..colon], is_plain);
            let value = scan::trim_end(&text[..end]);
            if self.list.len() == HTTP_FIELDS_MAX {
                return Err(BadHead::TooManyFields);
            }
            let start = bytes.len() - line.len();
            let from = bytes.len() - text.len();
            let name = Span::new(start, start + colon);
            let value = Span::new(from, from + value.len());
            self.seen |= kind.bit();
            self.list.push(Field { name, value, kind, passes: true });
            line = next;
        }
    }

    /// Parse the Connection fields. The fields that they name do not pass, except for kinds that
    /// mean something to a proxy: no client may remove Host or X-Forwarded-For that way.
    #[inline]
    pub(super) fn options(&mut self, bytes: &[u8]) -> Result<ConnectionOptions, BadHead> {
        match self.has(FieldKind::Connection) {
            true => self.connection_options(bytes),
            false => Ok(ConnectionOptions::default()),
        }
    }

    fn connection_options(&mut self, bytes: &[u8]) -> Result<ConnectionOptions, BadHead> {
        let mut options = ConnectionOptions::default();
        let mut count = 0;
        let mut from = 0;
        let is_connection = |field: &Field| field.kind == FieldKind::Connection;
        while let Some(index) = self.list[from..].iter().position(is_connection) {
            let value = self.list[from + index].value.of(bytes);
            from += index + 1;
            if scan::same(value, b"keep-alive") {
                options.keep_alive = true;
                continue;
            }
            for option in scan::list(value) {
                count += 1;
                if count > HTTP_CONNECTION_OPTIONS_MAX {
                    return Err(BadHead::Connection);
                }
                if scan::same(option, b"keep-alive") {
                    options.keep_alive = true;
                } else if scan::same(option, b"close") {
                    options.close = true;
                } else if scan::same(option, b"upgrade") {
                    options.upgrade = true;
                } else if scan::all(option, TOKEN) {
                    self.stop_named(bytes, option);
                }
                // What is no token can name no field, and is ignored.
            }
        }
        Ok(options)
    }

    fn stop_named(&mut self, bytes: &[u8], name: &[u8]) {
        for field in &mut self.list {
            let is_plain = matches!(
                field.kind,
                FieldKind::Other | FieldKind::Folded | FieldKind::RequestId
            );
            if is_plain && field.name.of(bytes).eq_ignore_ascii_case(name) {
                field.passes = false;
            }
        }
    }

    /// The first protocol of the Upgrade field, HTTP itself left out: over h2c, requests would pass
    /// unseen. Several such fields, or one that is no list of protocols, count as none.
    pub(super) fn upgrade(&self, bytes: &[u8]) -> Option<Span> {
        let mut offers = self.of_kind(FieldKind::Upgrade);
        let (offer, None) = (offers.next()?.value, offers.next()) else { return None };
        let mut start = offer.start as usize;
        let mut first = None;
        for element in offer.of(bytes).split(|&byte| byte == b',') {
            let name = scan::trim(element);
            let (head, version) = match name.iter().position(|&byte| byte == b'/') {
                Some(slash) => (&name[..slash], Some(&name[slash + 1..])),
                None => (name, None),
            };
            if !scan::all(head, TOKEN) || version.is_some_and(|text| !scan::all(text, TOKEN)) {
                return None;
            }
            let ours = [&b"h2c"[..], b"h2", b"http"];
            if first.is_none() && !ours.iter().any(|it| head.eq_ignore_ascii_case(it)) {
                let lead = element.len() - element.trim_ascii_start().len();
                first = Some(Span::new(start + lead, start + lead + name.len()));
            }
            start += element.len() + 1;
        }
        first
    }

    /// The value of Content-Length, if there is one.
    pub(super) fn content_length(
        &self,
        bytes: &[u8],
        repeats: Repeats,
    ) -> Result<Option<u64>, BadHead> {
        let mut lengths = self.of_kind(FieldKind::ContentLength);
        let number =
            |field: &Field| scan::number(field.value.of(bytes)).ok_or(BadHead::ContentLength);
        let Some(length) = lengths.next().map(number).transpose()? else { return Ok(None) };
        for other in lengths {
            if repeats == Repeats::Refused || number(other)? != length {
                return Err(BadHead::ContentLengthTwice);
            }
        }
        Ok(Some(length))
    }

    /// Whether Transfer-Encoding is `chunked`; any other value is an error.
    pub(super) fn is_chunked(&self, bytes: &[u8]) -> Result<bool, BadHead> {
        let mut codings = self.of_kind(FieldKind::TransferEncoding);
        let Some(coding) = codings.next() else { return Ok(false) };
        if codings.next().is_some() {
            return Err(BadHead::TransferEncoding);
        }
        let value = coding.value.of(bytes);
        if value.eq_ignore_ascii_case(b"chunked") {
            return Ok(true);
        }
        let well_formed = scan::list(value).all(|name| scan::all(name, TOKEN));
        let known = |name: &[u8]| name.eq_ignore_ascii_case(b"chunked");
        if well_formed && !scan::list(value).all(known) {
            return Err(BadHead::Coding);
        }
        Err(BadHead::TransferEncoding)
    }
}

/// There is no colon behind the name, which ends at `end`. Returns the length of the empty line if
/// it is that, or `None` if the line is not whole.
fn no_field(bytes: &[u8], end: usize) -> Result<Option<usize>, BadHead> {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\r'] => Ok(None),
        _ if end == bytes.len() => Ok(None),
        _ => Err(BadHead::FieldName),
    }
}

/// The cookies of a Cookie field, each `name=value`.
pub(super) fn cookie_pairs(bytes: &[u8], value: Span) -> impl Iterator<Item = Span> {
    let mut at = value.start as usize;
    value.of(bytes).split(|&byte| byte == b';').map(move |piece| {
        let start = at + (piece.len() - piece.trim_ascii_start().len());
        let end = start + scan::trim(piece).len();
        at += piece.len() + 1;
        Span::new(start, end)
    })
}

/// Whether a cookie has this name.
pub(super) fn is_named(pair: &[u8], name: &str) -> bool {
    pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

/// The kind of a name; `is_plain` if it is nothing but letters and hyphens. Matched by length
/// first, so that most names are compared with no other.
#[inline]
fn kind(name: &[u8], is_plain: bool) -> FieldKind {
    let first = name.first().map_or(0, |byte| byte | 0x20);
    let is = |known: &[u8]| first == known[0] && scan::same(name, known);
    match name.len() {
        2 if is(b"te") => FieldKind::Te,
        3 if is(b"via") => FieldKind::Via,
        4 if is(b"host") => FieldKind::Host,
        5 if is(b"proxy") => FieldKind::Proxy,
        6 if is(b"cookie") => FieldKind::Cookie,
        6 if is(b"expect") => FieldKind::Expect,
        7 if is(b"upgrade") => FieldKind::Upgrade,
        7 if is(b"trailer") => FieldKind::Trailer,
        9 if is(b"forwarded") => FieldKind::Forwarded,
        9 if is(b"x-real-ip") => FieldKind::RealIp,
        10 if is(b"connection") => FieldKind::Connection,
        10 if is(b"keep-alive") => FieldKind::KeepAlive,
        10 if is(b"set-cookie") => FieldKind::EndToEnd,
        12 if is(b"x-request-id") => FieldKind::RequestId,
        13 if is(b"cache-control") => FieldKind::EndToEnd,
        13 if is(b"authorization") => FieldKind::Authorization,
        14 if is(b"content-length") => FieldKind::ContentLength,
        14 if is(b"http2-settings") => FieldKind::Hop,
        16 if is(b"proxy-connection") => FieldKind::Hop,
        16 if is(b"www-authenticate") => FieldKind::Challenge,
        17 if is(b"transfer-encoding") => FieldKind::TransferEncoding,
        17 if is(b"x-ssl-client-s-dn") => FieldKind::ClientSubject,
        18 if is(b"proxy-authenticate") => FieldKind::Challenge,
        19 if is(b"proxy-authorization") => FieldKind::Authorization,
        25 if is(b"strict-transport-security") => FieldKind::StrictTransport,
        _ if !is_plain && !name.iter().all(|&byte| folds_to_itself(byte)) => FieldKind::Folded,
        12.. if first == b'x' => forwarded(name),
        _ => FieldKind::Other,
    }
}

/// Whether CGI and others map this byte of a name to no other one.
fn folds_to_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The kind of a name that may be of X-Forwarded-*.
fn forwarded(name: &[u8]) -> FieldKind {
    const FAMILY: &[u8] = b"x-forwarded-";
    match name.split_at_checked(FAMILY.len()) {
        Some((family, member)) if scan::same(family, FAMILY) => {
            if scan::same(member, b"for") {
                FieldKind::ForwardedFor
            } else if scan::same(member, b"proto") {
                FieldKind::ForwardedProto
            } else if scan::same(member, b"host") {
                FieldKind::ForwardedHost
            } else if scan::same(member, b"port") {
                FieldKind::ForwardedPort
            } else {
                FieldKind::ForwardedOther
            }
        }
        _ => FieldKind::Other,
    }
}
