//! The backend's answer: read its head, say it to the client in our words, carry its body.

use crate::http::added::Added;
use crate::http::rewrite::{self, Back};
use crate::http::{
    Asked, Decoder, Parse, ResponseHead, Scan, Span, Trailers, Version, parse_response,
};
use crate::limits::{
    HTTP_ANSWER_HEADS_PER_TURN, HTTP_ANSWER_READ_BYTES, HTTP_FRAMING_ROOM,
    HTTP_INTERIM_ANSWERS_MAX,
};
use crate::net::{Fault, Received, Socket};

use super::carry::{BodyRelay, Carried, Transfer};
use super::put_in_front;

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Part of a head.
    input: Vec<u8>,
    scan: Scan,
    /// `input` was not looked at yet.
    fresh: bool,
    /// How many of 100 Continue and the like have come.
    interims: u8,
    coming: Option<Coming>,
    /// Bytes of the heads that were passed on.
    head_bytes: usize,
}

/// An answer whose head has been passed on.
#[derive(Debug)]
struct Coming {
    body: BodyRelay,
    status: u16,
    /// The client was told that it may ask on.
    keeps_client: bool,
    /// The backend's connection is good for another request.
    keeps_backend: bool,
    /// For so many seconds, says the backend.
    kept_seconds: Option<u32>,
    /// It asks for a login that is bound to the connection, or makes one.
    binds_login: bool,
}

/// What the access log and the backend's record keep of a head that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PassedHead {
    pub status: u16,
    /// Bytes that went to the client, with those of interim heads before it.
    pub bytes: u64,
}

/// Who reads the answer.
pub(super) struct Reader<'a> {
    pub asked: Asked,
    pub version: Version,
    pub keep_alive: bool,
    pub takes_trailers: bool,
    /// What Set-Cookie is to say.
    pub cookie: Option<&'a str>,
    /// What we add of our own accord.
    pub added: &'a Added,
}

/// What carrying an answer came to.
pub(super) enum Answered {
    Rest,
    Again,
    /// It is whole, and sent.
    Complete,
    /// Not a byte of it came.
    Nothing(Fault),
    /// It is none, and nothing of it was passed on.
    Bad(&'static str),
    /// It broke off after it was begun.
    Torn(Fault),
    ClientBroke(Fault),
    /// Another protocol is spoken from now on.
    Switched,
}

impl Answer {
    /// Whether the client got something of it.
    pub fn has_begun(&self) -> bool {
        self.coming.is_some()
    }

    /// Its head, once that was passed on.
    pub fn head(&self) -> Option<PassedHead> {
        let status = self.coming.as_ref()?.status;
        Some(PassedHead { status, bytes: self.head_bytes as u64 })
    }

    /// Whether the client was told that it may ask on.
    pub fn keeps_client(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.keeps_client)
    }

    /// Whether the backend's connection is good for another request.
    pub fn keeps_backend(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.keeps_backend)
    }

    /// For how many seconds it is, if the backend says so.
    pub fn kept_seconds(&self) -> Option<u32> {
        self.coming.as_ref().and_then(|coming| coming.kept_seconds)
    }

    /// Whether the backend's connection is the client's own from now on.
    pub fn binds_login(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.binds_login)
    }

    /// Pass on what has come.
    pub fn carry(
        &mut self,
        to: &Reader<'_>,
        way: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Answered {
        let mut heads = 0;
        while self.coming.is_none() && heads < HTTP_ANSWER_HEADS_PER_TURN {
            if let Some(answered) = self.read_head(to, way) {
                return answered;
            }
            heads += 1;
        }
        let Some(coming) = &mut self.coming else { return Answered::Again };
        way.lists.surplus.clear();
        let carried = coming.body.carry(way);
        // If the rest is not here after all, because it stalls or never comes, that is no reason to
        // keep back the beginning.
        way.target.send_now();
        coming.keeps_backend &= way.lists.surplus.is_empty();
        match carried {
            Carried::Rest => Answered::Rest,
            Carried::Again => Answered::Again,
            Carried::Whole => Answered::Complete,
            Carried::SourceBroke(fault) => Answered::Torn(fault),
            Carried::TargetBroke(fault) => Answered::ClientBroke(fault),
            Carried::Bad(_) => Answered::Torn(Fault::Other(std::io::ErrorKind::InvalidData)),
        }
    }

    /// Read on, and look for a head; `None` if one was found.
    fn read_head(
        &mut self,
        to: &Reader<'_>,
        way: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        if let Err(fault) = way.flush() {
            return Some(Answered::ClientBroke(fault));
        }
        if way.direction.held() > 0 {
            return Some(Answered::Rest);
        }
        let had = self.input.len();
        if !put_in_front(&self.input, way.buffers.scratch) {
            return Some(Answered::Bad("the head is too long"));
        }
        let mut total = had;
        if !std::mem::take(&mut self.fresh) {
            if !way.source.can_read() {
                return Some(Answered::Rest);
            }
            let most = way.buffers.scratch.len().saturating_sub(HTTP_FRAMING_ROOM);
            let end = (had + HTTP_ANSWER_READ_BYTES).min(most);
            let room = way.buffers.scratch.get_mut(had..end).unwrap_or_default();
            match way.source.receive(room) {
                Received::Bytes(count) => total += count,
                Received::WouldBlock => return Some(Answered::Rest),
                Received::Eof if had == 0 && self.interims == 0 => {
                    return Some(Answered::Nothing(Fault::CutShort));
                }
                Received::Broken(fault) if had == 0 && self.interims == 0 => {
                    return Some(Answered::Nothing(fault));
                }
                Received::Eof | Received::Broken(_) => {
                    return Some(Answered::Bad("the backend broke off in its head"));
                }
            }
        }
        let bytes = &way.buffers.scratch[..total];
        match parse_response(bytes, &mut self.scan, &mut way.lists.fields, &to.asked) {
            Parse::Incomplete => {
                self.input.extend_from_slice(&bytes[had..]);
                None
            }
            Parse::Bad(refusal) => Some(Answered::Bad(refusal.reason())),
            Parse::Done(head) if head.is_interim() => self.pass_interim(&head, to, total, way),
            Parse::Done(head) => self.pass_head(&head, to, total, way),
        }
    }

    /// 100 Continue and the like: passed on to who understands them, and the answer is yet to come.
    fn pass_interim(
        &mut self,
        head: &ResponseHead,
        to: &Reader<'_>,
        total: usize,
        way: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        if self.interims == HTTP_INTERIM_ANSWERS_MAX {
            return Some(Answered::Bad("the backend gives interim answers without end"));
        }
        let bytes = &way.buffers.scratch[..total];
        self.input.clear();
        self.input.extend_from_slice(&bytes[head.length..]);
        self.fresh = !self.input.is_empty();
        self.interims += 1;
        if to.version == Version::Http10 {
            return None;
        }
        way.lists.outgoing.clear();
        rewrite::response(head, &way.lists.fields, bytes, &to.back(), &mut way.lists.outgoing);
        self.head_bytes += way.lists.outgoing.len();
        match way.offer(total) {
            Ok(()) => None,
            Err(fault) => Some(Answered::ClientBroke(fault)),
        }
    }

    /// The head of the answer, and what of its body came with it.
    fn pass_head(
        &mut self,
        head: &ResponseHead,
        to: &Reader<'_>,
        total: usize,
        way: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        let bytes = &way.buffers.scratch[..total];
        way.lists.outgoing.clear();
        way.lists.surplus.clear();
        // Trailers use the same list.
        let binds_login = way.lists.fields.bind_a_login(bytes);
        let leaves = rewrite::response(
            head,
            &way.lists.fields,
            bytes,
            &to.back(),
            &mut way.lists.outgoing,
        );
        self.head_bytes += way.lists.outgoing.len();
        let keep = if to.takes_trailers { Trailers::Keep } else { Trailers::Drop };
        let mut body = BodyRelay::new(Decoder::new(head.framing, keep), leaves.framing);
        if let Err(bad) = body.take(bytes, head.length, way.lists) {
            return Some(Answered::Bad(bad.reason()));
        }
        let switched = head.status == 101;
        if switched {
            let rest = Span::new(head.length, total);
            way.lists.outgoing.input(bytes, rest);
            way.lists.surplus.clear();
        }
        body.announce(way.direction);
        if body.is_read() {
            // Whatever else can be read of the backend, it is not for this client.
            if !leaves.keep_alive && !switched {
                way.target.end_follows();
            }
        } else if way.source.can_read() && body.is_plain() {
            // The read was full: the rest is here, and goes through in this turn.
            way.target.more_follows();
        } else if !way.source.can_read() {
            way.source.acknowledge_now();
        }
        self.coming = Some(Coming {
            body,
            status: head.status,
            keeps_client: leaves.keep_alive,
            // What nobody asked for must not be taken for the next answer.
            keeps_backend: head.keep_alive && way.lists.surplus.is_empty(),
            kept_seconds: head.keep_alive_seconds,
            binds_login,
        });
        match way.offer(total) {
            Ok(()) if switched => Some(Answered::Switched),
            Ok(()) => None,
            Err(fault) => Some(Answered::ClientBroke(fault)),
        }
    }
}

impl Reader<'_> {
    fn back(&self) -> Back<'_> {
        Back {
            client_version: self.version,
            keep_alive: self.keep_alive,
            chunk: true,
            takes_trailers: self.takes_trailers,
            cookie: self.cookie,
            added: self.added,
        }
    }
}
