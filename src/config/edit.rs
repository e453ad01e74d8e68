//! What a rule changes in a head: fields that it sets, adds or removes, and the path.
//!
//! Pure text to value. A field that decides where a message ends, or what its connection is for,
//! is not the operator's to edit: two parsers would read one message differently. How edits are
//! carried out is in `http::edits`.

use std::fmt;

use super::complaint::Wrong;
use super::host::did_you_mean;
use super::http::{TOKEN_CHARS, is_token, path_fault};
use super::template::{Piece, Placeholder, Template};
use super::value::closest;
use crate::limits;

/// Whose head is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadOf {
    /// A request's, for the backend.
    Request,
    /// A response's, for the client.
    Response,
}

/// What one rule edits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadEdit {
    /// Fields of the request.
    pub request: Vec<FieldEdit>,
    /// Fields of the response.
    pub response: Vec<FieldEdit>,
    /// The path of the request.
    pub path: Option<PathEdit>,
}

impl HeadEdit {
    /// Whether it edits nothing.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && self.path.is_none()
    }
}

/// An edit of the fields of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldEdit {
    /// Those that came are dropped, and one is written.
    Set(String, Template),
    /// One more is written.
    Add(String, Template),
    /// Those that came are dropped.
    Remove(String),
}

/// An edit of a path. The query stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEdit {
    /// Drop this beginning, `/api`: of `/api/x` there remains `/x`, of `/api` `/`. Other paths,
    /// `/apix` too, stay as they are.
    StripPrefix(String),
    /// Put this before it, `/api`.
    AddPrefix(String),
    /// Another one in its place. With a `?` it brings its own query.
    Rewrite(Template),
}

/// Fields that decide where a message ends or what becomes of its connection.
const UNTOUCHABLE: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-connection",
    "http2-settings",
];

/// The subject of the client's certificate, which backends believe because it is ours alone.
const CLIENT_SUBJECT: &str = "x-ssl-client-s-dn";

const FIELD_VERBS: [&str; 3] = ["set", "add", "remove"];
const PATH_VERBS: [&str; 3] = ["strip-prefix", "add-prefix", "rewrite"];

impl FieldEdit {
    /// `set NAME: VALUE`, `add NAME: VALUE` or `remove NAME`.
    pub fn parse(text: &str, of: HeadOf) -> Result<FieldEdit, Wrong> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "set" => FieldEdit::set(rest, of),
            "add" => FieldEdit::add(rest, of),
            "remove" => FieldEdit::remove(rest, of),
            _ => {
                let hint = did_you_mean(closest(verb, FIELD_VERBS).map(str::to_owned));
                let want = format!("set NAME: VALUE, add NAME: VALUE or remove NAME{hint}");
                Err(Wrong::found(text, want))
            }
        }
    }

    /// `NAME: VALUE`, to be set.
    pub fn set(text: &str, of: HeadOf) -> Result<FieldEdit, Wrong> {
        let Line { name, value } = line(text)?;
        if name.eq_ignore_ascii_case("host") && of == HeadOf::Request {
            check_host(&value, text)?;
        } else {
            check_name(&name, text)?;
        }
        Ok(FieldEdit::Set(name, value))
    }

    /// `NAME: VALUE`, to be added.
    pub fn add(text: &str, of: HeadOf) -> Result<FieldEdit, Wrong> {
        let Line { name, value } = line(text)?;
        if name.eq_ignore_ascii_case("host") && of == HeadOf::Request {
            return Err(Wrong::found(text, "to set it instead: a request has one host"));
        }
        check_name(&name, text)?;
        Ok(FieldEdit::Add(name, value))
    }

    /// `NAME`, to be removed.
    pub fn remove(text: &str, of: HeadOf) -> Result<FieldEdit, Wrong> {
        let name = name(text, text)?;
        if name.eq_ignore_ascii_case("host") && of == HeadOf::Request {
            return Err(Wrong::found(text, "to set it instead: a request needs a host"));
        }
        if !name.eq_ignore_ascii_case(CLIENT_SUBJECT) {
            check_name(&name, text)?;
        }
        Ok(FieldEdit::Remove(name))
    }

    /// The name of its fields, in the operator's letters.
    pub fn name(&self) -> &str {
        match self {
            FieldEdit::Set(name, _) | FieldEdit::Add(name, _) | FieldEdit::Remove(name) => name,
        }
    }

    /// What is written, if anything is.
    pub fn value(&self) -> Option<&Template> {
        match self {
            FieldEdit::Set(_, value) | FieldEdit::Add(_, value) => Some(value),
            FieldEdit::Remove(_) => None,
        }
    }

    /// Whether the fields are dropped that were there before.
    pub fn drops(&self) -> bool {
        matches!(self, FieldEdit::Set(..) | FieldEdit::Remove(_))
    }
}

impl fmt::Display for FieldEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldEdit::Set(name, value) => write!(f, "set {name}: {value}"),
            FieldEdit::Add(name, value) => write!(f, "add {name}: {value}"),
            FieldEdit::Remove(name) => write!(f, "remove {name}"),
        }
    }
}

/// A field as it is written.
struct Line {
    name: String,
    value: Template,
}

/// Read `NAME: VALUE`.
fn line(text: &str) -> Result<Line, Wrong> {
    let Some((before, value)) = text.split_once(':') else {
        return Err(Wrong::found(text, "NAME: VALUE"));
    };
    let name = name(before, text)?;
    match value.trim_matches([' ', '\t']) {
        "" => Err(Wrong::found(text, "a value behind the colon, or to remove the field")),
        value => Ok(Line { name, value: Template::parse(value)? }),
    }
}

fn name(name: &str, whole: &str) -> Result<String, Wrong> {
    if is_token(name) {
        return Ok(name.to_owned());
    }
    let most = limits::TOKEN_BYTES_MAX;
    Err(Wrong::found(whole, format!("the name of a field, 1 to {most} {TOKEN_CHARS}")))
}

/// Whether an operator may edit fields of this name.
fn check_name(name: &str, whole: &str) -> Result<(), Wrong> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    if UNTOUCHABLE.iter().any(|known| is(known)) {
        let want = "another field: this one says how the message and its connection end, and is \
                    written anew for each hop";
        return Err(Wrong::found(whole, want));
    }
    if is("host") {
        return Err(Wrong::found(whole, "a field of responses, which have no host"));
    }
    if is(CLIENT_SUBJECT) {
        let want = "another field, or to remove this one: it holds the subject of the client's \
                    certificate alone";
        return Err(Wrong::found(whole, want));
    }
    Ok(())
}

/// A host without placeholders is checked here, others when a request is at hand.
fn check_host(value: &Template, whole: &str) -> Result<(), Wrong> {
    let in_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~%:[]".contains(&b);
    match value.texts().all(|text| text.bytes().all(in_host)) && is_plain_host(value) {
        true => Ok(()),
        false => {
            Err(Wrong::found(whole, "a host, with or without a port, such as a.test:8080"))
        }
    }
}

/// Whether this is a host as a request may have it; with placeholders it may be one.
fn is_plain_host(value: &Template) -> bool {
    let Some(text) = value.plain() else { return true };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "80"),
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(super::host::is_ipv6),
        None => !host.is_empty() && !host.contains([':', '[', ']']),
    };
    is_host && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

impl PathEdit {
    /// `strip-prefix PATH`, `add-prefix PATH` or `rewrite PATH`, the last one with placeholders.
    pub fn parse(text: &str) -> Result<PathEdit, Wrong> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "strip-prefix" => PathEdit::strip_prefix(rest),
            "add-prefix" => PathEdit::add_prefix(rest),
            "rewrite" => PathEdit::rewrite(rest),
            _ => {
                let hint = did_you_mean(closest(verb, PATH_VERBS).map(str::to_owned));
                let want = format!("strip-prefix PATH, add-prefix PATH or rewrite PATH{hint}");
                Err(Wrong::found(text, want))
            }
        }
    }

    /// `/api`, to be dropped.
    pub fn strip_prefix(text: &str) -> Result<PathEdit, Wrong> {
        prefix(text).map(PathEdit::StripPrefix)
    }

    /// `/api`, to be put before paths.
    pub fn add_prefix(text: &str) -> Result<PathEdit, Wrong> {
        prefix(text).map(PathEdit::AddPrefix)
    }

    /// `/new{path}`, to be put in a path's place.
    pub fn rewrite(text: &str) -> Result<PathEdit, Wrong> {
        let template = Template::parse(text)?;
        let begins = match template.pieces().first() {
            Some(Piece::Text(text)) => text.starts_with('/'),
            Some(Piece::Value(it)) => matches!(it, Placeholder::Path | Placeholder::Uri),
            None => false,
        };
        if !begins {
            let want = "a path, which begins with a slash, {path} or {uri}";
            return Err(Wrong::found(text, want));
        }
        let in_target = |b: u8| b.is_ascii_graphic() && b != b'#';
        if !template.texts().all(|text| text.bytes().all(in_target)) {
            let want = "a path without spaces, '#' and control characters, others as %XX";
            return Err(Wrong::found(text, want));
        }
        Ok(PathEdit::Rewrite(template))
    }
}

impl fmt::Display for PathEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathEdit::StripPrefix(prefix) => write!(f, "strip-prefix {prefix}"),
            PathEdit::AddPrefix(prefix) => write!(f, "add-prefix {prefix}"),
            PathEdit::Rewrite(template) => write!(f, "rewrite {template}"),
        }
    }
}

/// The beginning of a path, up to a slash that is not part of it.
fn prefix(text: &str) -> Result<String, Wrong> {
    let fault = if text.contains('?') {
        Some("/PATH without a query".to_owned())
    } else {
        path_fault(text, "/PATH")
    };
    if let Some(want) = fault {
        return Err(Wrong::found(text, want));
    }
    match text.trim_end_matches('/') {
        "" => Err(Wrong::found(text, "/PATH, more than a slash")),
        prefix => Ok(prefix.to_owned()),
    }
}

/// The statuses of redirects. Permanent are 301 and 308; with 307 and 308 the request is repeated
/// as it was, with 303 as GET.
pub const REDIRECT_STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The status of a redirect.
pub fn redirect_status(text: &str) -> Result<u16, Wrong> {
    let found = REDIRECT_STATUSES.into_iter().find(|status| status.to_string() == text);
    found.ok_or_else(|| Wrong::found(text, "301, 302, 303, 307 or 308"))
}

/// Where a redirect leads: a path, or a URL of http or https.
pub fn location(text: &str) -> Result<Template, Wrong> {
    let template = Template::parse(text)?;
    let start = template.start().to_ascii_lowercase();
    let goes_on = template.plain().is_none();
    let is_url = ["http://", "https://"]
        .into_iter()
        .any(|it| start.strip_prefix(it).is_some_and(|rest| !rest.is_empty() || goes_on));
    if is_url || start.starts_with('/') || start.is_empty() {
        return Ok(template);
    }
    Err(Wrong::found(text, "/PATH, or a URL such as https://{host}{uri}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_read_and_shown_alike() {
        use HeadOf::*;
        for (of, text) in [
            (Request, "set X-A: b c"),
            (Request, "set Host: a.test:8080"),
            (Request, "set host: [::1]:80"),
            (Request, "set Host: {header:x-host}:80"),
            (Request, "set X-Forwarded-For: {client}"),
            (Request, "remove X-Forwarded-Host"),
            (Request, "add Forwarded: for={client};proto={scheme}"),
            (Request, "remove X-SSL-Client-S-DN"),
            (Request, "add X-A: {{b}}"),
            (Response, "set Server: none"),
            (Response, "add Set-Cookie: a=b: c; Path=/"),
            (Response, "remove !#$%&'*+-.^_`|~09azAZ"),
        ] {
            let edit = FieldEdit::parse(text, of).unwrap();
            assert_eq!(edit.to_string(), text);
            assert_eq!(FieldEdit::parse(&edit.to_string(), of), Ok(edit));
        }
        for text in [
            "strip-prefix /api",
            "add-prefix /a/b%20",
            "rewrite /x{path}?a={query}",
            "rewrite {uri}",
        ] {
            let edit = PathEdit::parse(text).unwrap();
            assert_eq!(edit.to_string(), text);
            assert_eq!(PathEdit::parse(&edit.to_string()), Ok(edit));
        }
        let edit = |text| FieldEdit::parse(text, Request).unwrap().to_string();
        assert_eq!(edit("set X-A:\t b "), "set X-A: b");
        assert_eq!(edit("set X-A:b"), "set X-A: b");
        assert_eq!(PathEdit::strip_prefix("/a//").unwrap().to_string(), "strip-prefix /a");
    }

    #[test]
    fn what_decides_framing_is_not_edited() {
        for name in UNTOUCHABLE {
            for of in [HeadOf::Request, HeadOf::Response] {
                for name in [(*name).to_owned(), name.to_uppercase()] {
                    assert!(FieldEdit::set(&format!("{name}: a"), of).is_err(), "{name}");
                    assert!(FieldEdit::add(&format!("{name}: a"), of).is_err(), "{name}");
                    assert!(FieldEdit::remove(&name, of).is_err(), "{name}");
                }
            }
        }
        assert!(FieldEdit::set("X-SSL-Client-S-DN: CN=me", HeadOf::Request).is_err());
        assert!(FieldEdit::add("Host: a", HeadOf::Request).is_err());
        assert!(FieldEdit::remove("Host", HeadOf::Request).is_err());
        for of_response in [
            FieldEdit::set("Host: a", HeadOf::Response),
            FieldEdit::add("Host: a", HeadOf::Response),
            FieldEdit::remove("Host", HeadOf::Response),
        ] {
            assert!(of_response.is_err());
        }
    }

    #[test]
    fn edits_are_refused_in_words() {
        let name = format!("the name of a field, 1 to 256 {TOKEN_CHARS}");
        let verbs = "set NAME: VALUE, add NAME: VALUE or remove NAME";
        let meant = format!("{verbs}; did you mean remove?");
        let control = "text without line ends and control characters";
        let host = "a host, with or without a port, such as a.test:8080";
        for (text, found, want) in [
            ("", "", verbs),
            ("append X-A: b", "append X-A: b", verbs),
            ("remvoe X-A", "remvoe X-A", &meant),
            ("set X-A", "X-A", "NAME: VALUE"),
            ("set X A: b", "X A: b", &*name),
            ("set X-A : b", "X-A : b", &name),
            ("set : b", ": b", &name),
            ("remove X-A: b", "X-A: b", &name),
            ("remove ", "", &name),
            ("remove X-A\r\nHost", "X-A\r\nHost", &name),
            ("set X-A: ", "X-A: ", "a value behind the colon, or to remove the field"),
            ("add X-A: b\r\nC: d", "b\r\nC: d", control),
            ("add X-A: b\0", "b\0", control),
            ("set Host: a b", "Host: a b", host),
            ("set Host: http://a", "Host: http://a", host),
            ("set Host: a:65536", "Host: a:65536", host),
            ("set Host: ::1", "Host: ::1", host),
            ("set Host: [x]", "Host: [x]", host),
            ("set Host: {host}/", "Host: {host}/", host),
        ] {
            let wrong = Wrong::found(found, want);
            assert_eq!(FieldEdit::parse(text, HeadOf::Request), Err(wrong), "{text:?}");
        }
    }

    #[test]
    fn paths_are_refused_in_words() {
        let slash = "/PATH, the path beginning with a slash";
        let chars = "/PATH without spaces, '#' and control characters, others as %XX";
        let target = "a path without spaces, '#' and control characters, others as %XX";
        let begin = "a path, which begins with a slash, {path} or {uri}";
        for (text, found, want) in [
            ("strip-prefix api", "api", slash),
            ("strip-prefix ", "", slash),
            ("strip-prefix /", "/", "/PATH, more than a slash"),
            ("add-prefix //", "//", "/PATH, more than a slash"),
            ("add-prefix /a?b", "/a?b", "/PATH without a query"),
            ("add-prefix /a b", "/a b", chars),
            ("rewrite x", "x", begin),
            ("rewrite {host}", "{host}", begin),
            ("rewrite /a b", "/a b", target),
            ("rewrite /a{path}#b", "/a{path}#b", target),
            ("rewrite /\u{e9}", "/\u{e9}", target),
        ] {
            assert_eq!(PathEdit::parse(text), Err(Wrong::found(found, want)), "{text:?}");
        }
        let wrong = PathEdit::parse("strip-prefx /a").unwrap_err().to_string();
        assert!(wrong.ends_with("; did you mean strip-prefix?"), "{wrong}");
    }

    #[test]
    fn redirects_have_one_of_five_statuses() {
        for status in REDIRECT_STATUSES {
            assert_eq!(redirect_status(&status.to_string()), Ok(status));
        }
        for text in ["", "300", "304", "200", "0301", "301 ", "+301"] {
            let wrong = Wrong::found(text, "301, 302, 303, 307 or 308");
            assert_eq!(redirect_status(text), Err(wrong));
        }
    }

    #[test]
    fn a_location_is_a_path_or_a_url() {
        for text in
            ["/a", "//a.test/b", "https://{host}{uri}", "HTTP://a/", "{scheme}://a/", "{path}/"]
        {
            assert_eq!(location(text).unwrap().to_string(), text);
        }
        for text in ["a", "ftp://a/", "javascript:alert(1)", "https:/a", "https://"] {
            let want = "/PATH, or a URL such as https://{host}{uri}";
            assert_eq!(location(text), Err(Wrong::found(text, want)));
        }
    }
}
