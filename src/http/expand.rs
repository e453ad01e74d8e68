//! Templates filled in with what a request says.
//!
//! Pure. The edits of heads (`edits`) and redirects use it. What comes out is as safe as what went
//! in: a template holds no line end, and neither does any part of a head that was parsed. It is
//! bounded: a value can repeat a whole head, several times.

use std::io::Write;
use std::net::IpAddr;

use super::Span;
use super::added::Proto;
use super::fields::Fields;
use super::request::{Method, RequestHead};
use crate::config::{Piece, Placeholder, Template};
use crate::limits::HTTP_EDITS_BYTES_MAX;

/// What the placeholders of a template stand for: a request, and the client that sent it.
#[derive(Debug, Clone, Copy)]
pub struct Expand<'a> {
    /// The request as it came.
    pub head: &'a RequestHead,
    /// Its fields.
    pub fields: &'a Fields,
    /// What both were parsed from.
    pub input: &'a [u8],
    /// The client's address.
    pub client: IpAddr,
    /// The protocol between the client and us.
    pub proto: Proto,
    /// Host for a request of HTTP/1.0 without one.
    pub host: &'a str,
}

/// There is no room for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Append what the template says of this request, unless `out` would be longer than `most` bytes
/// then; how much of it was written in that case is left open.
pub fn expand(
    template: &Template,
    with: &Expand<'_>,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => push(text.as_bytes(), most, out)?,
            Piece::Value(placeholder) => push(with.value(placeholder), most, out)?,
        }
        match piece {
            Piece::Value(Placeholder::Client) => {
                // because: writing to a vector cannot fail.
                let _ = write!(out, "{}", with.client.to_canonical());
            }
            Piece::Value(Placeholder::Uri) => push(with.query(), most, out)?,
            _ => {}
        }
    }
    if out.len() > most { Err(TooLong) } else { Ok(()) }
}

fn push(bytes: &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    if out.len() + bytes.len() > most {
        return Err(TooLong);
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// Append the target of a redirect, at most [`HTTP_EDITS_BYTES_MAX`] bytes before what no URL may
/// hold is escaped.
///
/// A path that a client sent does not lead to another host: `//b` is a host to a browser, and so is
/// `/\b`. Of several slashes at the beginning one is left, unless the operator wrote them.
pub fn location(
    template: &Template,
    with: &Expand<'_>,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    let mut raw = Vec::new();
    expand(template, with, HTTP_EDITS_BYTES_MAX, &mut raw)?;
    let mut rest = &raw[..];
    if let [b'/', behind @ ..] = rest
        && !template.start().starts_with("//")
    {
        out.push(b'/');
        rest = behind;
        while let [b'/' | b'\\', behind @ ..] = rest {
            rest = behind;
        }
    }
    for &byte in rest {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => escape(byte, out),
            0x21..=0x7e => out.push(byte),
            _ => escape(byte, out),
        }
    }
    Ok(())
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value & 15)];
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
}

impl<'a> Expand<'a> {
    fn value(&self, placeholder: &Placeholder) -> &'a [u8] {
        let of = |span: Option<Span>| span.unwrap_or_default().of(self.input);
        match placeholder {
            Placeholder::Host => match self.head.host {
                Some(host) => without_port(host.of(self.input)),
                None => without_port(self.host.as_bytes()),
            },
            // The query of a URI, and the client's address, are written behind this.
            Placeholder::Path | Placeholder::Uri => match self.path() {
                b"*" => b"/",
                path => path,
            },
            Placeholder::Client => b"",
            Placeholder::Query => self.query().get(1..).unwrap_or_default(),
            Placeholder::Scheme => match self.proto {
                Proto::Http => b"http",
                Proto::Https => b"https",
            },
            Placeholder::Method => self.head.method_name.of(self.input),
            Placeholder::Header(name) => of(self.fields.find(self.input, name)),
            Placeholder::Cookie(name) => of(self.fields.cookie(self.input, name)),
        }
    }

    /// The path without the query, as it is sent on: never empty, `*` for the server as a whole.
    pub(super) fn path(&self) -> &'a [u8] {
        match self.head.path_alone(self.input).of(self.input) {
            b"" if self.head.method == Method::Options && self.head.path.is_empty() => b"*",
            b"" => b"/",
            path => path,
        }
    }

    /// The query with the question mark before it, if there is one.
    pub(super) fn query(&self) -> &'a [u8] {
        self.head.query(self.input).of(self.input)
    }
}

/// A host without the port behind it; an IPv6 address has colons of its own, in brackets.
pub fn without_port(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|&byte| byte == b':');
    match colon {
        Some(colon) if host[colon..].iter().all(|&byte| byte != b']') => &host[..colon],
        _ => host,
    }
}
