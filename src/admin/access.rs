//! Who may ask what of an admin listener: the guards against browsers, and who it is that asks.
//!
//! ```text
//!   Host, Origin, Sec-Fetch-*, Content-Type     does a page of others ask?   400 403 415
//!   the socket's permission, token, certificate  who is it?                   401
//!   the role of that one (Role::may)             may it do this?              403
//! ```
//!
//! Pure: nothing is read or sent, and the time is given.

pub mod basic;
pub mod signed;

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::config::{Role, Token, Tokens, escaped};
use crate::net::LocalPeer;

pub use signed::{Signed, check_signed, parse_signed, sign};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// As the audit line has it: `uid 0 (pid 12)`, a token's name, a certificate's subject, or
    /// `anonymous`.
    pub name: String,
    /// What that one may.
    pub role: Role,
}

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// By a UNIX socket.
    Local(LocalPeer),
    /// By TCP in the clear, on loopback.
    Loopback,
    /// By TCP in the clear, from wherever, where metrics are read and nothing else.
    Metrics,
    /// Through TLS.
    Tls {
        /// The subject of the client's verified certificate, if it showed one.
        subject: Option<&'a str>,
    },
}

/// What is looked at of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How it came in.
    pub door: Door<'a>,
    /// The method.
    pub method: &'a [u8],
    /// The path, without a query.
    pub path: &'a [u8],
    /// `Host`, or what an absolute target says.
    pub host: Option<&'a [u8]>,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// `Sec-Fetch-Mode`.
    pub sec_fetch_mode: Option<&'a [u8]>,
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// Whether there is a body, or may be one.
    pub has_body: bool,
    /// `Upgrade`.
    pub upgrade: Option<&'a [u8]>,
}

/// Why a request is not answered as it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status: 400, 401, 403, 404 or 415. With 401 goes [`WWW_AUTHENTICATE`].
    pub status: u16,
    /// A word for it, as the type of the problem has it.
    pub kind: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

/// The value of `WWW-Authenticate` in every 401.
pub const WWW_AUTHENTICATE: &str = "Bearer realm=\"pointsman\"";

/// Who may come in.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Those with a token; `None` if none is asked for.
    pub tokens: Option<Tokens>,
    /// Names for Host beside loopback's and the addresses.
    pub allowed_hosts: Vec<String>,
    /// Where the admin listeners of TCP are.
    pub addresses: Vec<SocketAddr>,
}

impl Rules {
    /// The same for who says otherwise who it is.
    pub fn without_tokens(&self) -> Rules {
        Rules { tokens: None, ..self.clone() }
    }

    /// Who asks, unless it is refused. Whether that one may do what it asks for is
    /// [`Role::may`]'s.
    pub fn admit(&self, asked: &Asked<'_>) -> Result<Who, Refusal> {
        if matches!(asked.door, Door::Metrics) {
            return scraper(asked);
        }
        if !matches!(asked.door, Door::Local(_)) {
            self.check_host(asked)?;
        }
        self.check_page(asked)?;
        check_body(asked)?;
        self.identify(asked)
    }

    /// A name of somebody else's that leads here: DNS rebinding.
    fn check_host(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(host) = asked.host else {
            return Err(refused(400, "no-host", "no Host"));
        };
        if self.is_own(host) {
            return Ok(());
        }
        let host = shown(host);
        let detail = format!("the Host '{host}' is none of admin.allowed_hosts");
        Err(Refusal { detail, ..refused(403, "host-not-allowed", "") })
    }

    /// A page of somebody else's that asks by the browser of somebody who may.
    fn check_page(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.upgrade.is_some_and(|it| list_has(it, b"websocket")) {
            return Err(refused(400, "websocket", "there are no WebSockets here"));
        }
        let is = |value: Option<&[u8]>, word: &str| {
            value.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        if is(asked.sec_fetch_mode, "no-cors") {
            let detail = "a page includes this (Sec-Fetch-Mode: no-cors)";
            return Err(refused(403, "no-cors", detail));
        }
        let navigates = is(asked.sec_fetch_mode, "navigate") && asked.method == b"GET";
        let is_other =
            is(asked.sec_fetch_site, "cross-site") || is(asked.sec_fetch_site, "same-site");
        if is_other && !navigates {
            return Err(refused(403, "cross-site", "a page of another site asks"));
        }
        match asked.origin {
            None => Ok(()),
            Some(origin) if is_own_origin(self, origin, asked) => Ok(()),
            Some(b"null") => {
                Err(refused(403, "origin-not-allowed", "a page without an origin asks"))
            }
            Some(origin) => {
                let detail = format!("a page of '{}' asks", shown(origin));
                Err(Refusal { detail, ..refused(403, "origin-not-allowed", "") })
            }
        }
    }

    fn identify(&self, asked: &Asked<'_>) -> Result<Who, Refusal> {
        if let Some(given) = token(asked)? {
            let found = self.tokens.as_ref().and_then(|all| all.find(&given));
            return match found {
                Some(token) => Ok(Who { name: token.name.clone(), role: token.role.clone() }),
                None => Err(refused(401, "wrong-token", "nobody has this token")),
            };
        }
        match asked.door {
            Door::Local(LocalPeer { uid, pid, .. }) => {
                let name = match pid {
                    0 => format!("uid {uid}"),
                    pid => format!("uid {uid} (pid {pid})"),
                };
                Ok(Who { name, role: Role::Admin })
            }
            Door::Tls { subject: Some(subject) } if self.tokens.is_some() => {
                let found = self.tokens.as_ref().and_then(|all| all.of_subject(subject));
                let who = |it: &Token| Who { name: it.name.clone(), role: it.role.clone() };
                let detail = format!(
                    "want a token: Authorization: Bearer TOKEN; the certificate of {subject} \
                     has no line in admin.tokens"
                );
                found.map(who).ok_or(Refusal { detail, ..refused(401, "no-token", "") })
            }
            _ if self.tokens.is_some() => {
                let detail = "want a token: Authorization: Bearer TOKEN";
                Err(refused(401, "no-token", detail))
            }
            Door::Tls { subject: Some(subject) } => {
                Ok(Who { name: subject.to_owned(), role: Role::Admin })
            }
            Door::Tls { subject: None } | Door::Loopback | Door::Metrics => {
                Ok(Who { name: "anonymous".to_owned(), role: Role::Admin })
            }
        }
    }

    /// Whether a host, with a port or without, is one of ours.
    fn is_own(&self, host: &[u8]) -> bool {
        let Some(name) = std::str::from_utf8(host).ok().and_then(without_port) else {
            return false;
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        if let Ok(ip) = bare.parse::<std::net::IpAddr>() {
            let ip = ip.to_canonical();
            // Who was led here by a name does not say an address.
            return ip.is_loopback()
                || self.addresses.iter().any(|it| it.ip().to_canonical() == ip)
                || self.is_allowed(bare);
        }
        name.eq_ignore_ascii_case("localhost") || self.is_allowed(name)
    }

    fn is_allowed(&self, name: &str) -> bool {
        self.allowed_hosts.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// What may be read where nothing else is: by anybody, by whatever name it is called.
const FOR_SCRAPERS: [&[u8]; 5] =
    [b"/metrics", b"/metrics/haproxy", b"/health", b"/ready", b"/live"];

fn scraper(asked: &Asked<'_>) -> Result<Who, Refusal> {
    let reads = matches!(asked.method, b"GET" | b"HEAD");
    if !reads || !FOR_SCRAPERS.contains(&asked.path) {
        return Err(refused(404, "not-found", "only /metrics is read here"));
    }
    Ok(Who { name: "anonymous".to_owned(), role: Role::Read })
}

/// A form or text goes out without being asked for by CORS; what has one of these types does not.
fn check_body(asked: &Asked<'_>) -> Result<(), Refusal> {
    const UNSUPPORTED: &str = "unsupported-media-type";
    if matches!(asked.method, b"GET" | b"HEAD" | b"OPTIONS") {
        return Ok(());
    }
    let kind = asked.content_type.map(|it| {
        it.split(|&b| b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
    });
    let is_config = asked.path.ends_with(b"/config") || asked.path.ends_with(b"/config/check");
    match kind.as_deref() {
        Some(b"application/json") => Ok(()),
        Some(b"application/toml") if is_config => Ok(()),
        Some(b"application/merge-patch+json") if asked.method == b"PATCH" => Ok(()),
        // DELETE is never sent across without asking first.
        None if asked.method == b"DELETE" && !asked.has_body => Ok(()),
        None => {
            let detail = "no Content-Type, want application/json";
            Err(refused(415, UNSUPPORTED, detail))
        }
        Some(other) => {
            let detail = format!("found '{}', want application/json", shown(other));
            Err(Refusal { detail, ..refused(415, UNSUPPORTED, "") })
        }
    }
}

/// Whether a page of ours asks: the scheme that the door has, and the host asked for, one of ours.
fn is_own_origin(rules: &Rules, origin: &[u8], asked: &Asked<'_>) -> bool {
    let scheme: &[u8] = match asked.door {
        Door::Tls { .. } => b"https://",
        Door::Loopback | Door::Local(_) | Door::Metrics => b"http://",
    };
    let Some(authority) = origin.strip_prefix(scheme) else { return false };
    let same = asked.host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
    same && rules.is_own(authority)
}

/// The token that is shown, if one is. An empty password is none: tools send it that know none.
fn token<'a>(asked: &Asked<'a>) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    let Some(value) = asked.authorization else { return Ok(None) };
    let reads = matches!(asked.method, b"GET" | b"HEAD") && basic::is_statistics(asked.path);
    match basic::password(value).filter(|_| reads) {
        Some(password) if password.is_empty() => Ok(None),
        Some(password) => Ok(Some(Cow::Owned(password))),
        None => bearer(value).map(|it| Some(Cow::Borrowed(it))),
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &[u8]) -> Result<&[u8], Refusal> {
    let value = value.trim_ascii();
    let mut words = value.splitn(2, |&b| b == b' ');
    let scheme = words.next().unwrap_or_default();
    let rest = words.next().unwrap_or_default().trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") && !rest.is_empty() {
        return Ok(rest);
    }
    // Of a registration, whose body has to be there before it is known who signed it.
    if scheme.eq_ignore_ascii_case(b"pointsman") {
        let detail = "a signature is for registrations alone";
        return Err(refused(401, "not-a-registration", detail));
    }
    Err(refused(401, "no-token", "want Authorization: Bearer TOKEN"))
}

/// `None` for what is neither `HOST` nor `HOST:PORT`.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let is_port = |it: &str| {
        it.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok() && !it.starts_with('+'))
    };
    (!name.is_empty() && (port.is_empty() || is_port(port))).then_some(name)
}

fn list_has(list: &[u8], word: &[u8]) -> bool {
    list.split(|&b| b == b',').any(|it| it.trim_ascii().eq_ignore_ascii_case(word))
}

fn refused(status: u16, kind: &'static str, detail: &str) -> Refusal {
    Refusal { status, kind, detail: detail.to_owned() }
}

/// Of what strangers said so much as helps, printable.
fn shown(bytes: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests;
