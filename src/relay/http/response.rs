//! The backend's answer: read its head, write ours to the client, relay the body.

use crate::http::added::Added;
use crate::http::edits::ResponseEdits;
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
use super::put_before;

/// An answer that is awaited or relayed.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Part of a head, kept until the rest comes.
    input: Vec<u8>,
    scan: Scan,
    /// `input` was not parsed yet, so there is no need to read first.
    fresh: bool,
    /// Interim answers that came, at most `HTTP_INTERIM_ANSWERS_MAX`.
    interims: u8,
    /// `None` before the head of the final answer.
    coming: Option<Coming>,
    /// Bytes of all heads that went to the client, interim ones included.
    head_bytes: usize,
}

/// An answer whose head has been passed on.
#[derive(Debug)]
struct Coming {
    body: BodyRelay,
    status: u16,
    /// The client was told that its connection is kept open.
    keeps_client: bool,
    /// The backend's connection can be used for another request.
    keeps_backend: bool,
    /// Seconds for which the backend keeps an idle connection; `None` if it does not say.
    kept_seconds: Option<u32>,
    /// It asks for, or completes, a login that belongs to the connection (NTLM, Negotiate).
    binds_login: bool,
}

/// What the access log and the backend's record keep of a head that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PassedHead {
    pub status: u16,
    /// Bytes that went to the client, with those of interim heads before it.
    pub bytes: u64,
}

/// What the answer has to be like for the client that reads it.
pub(super) struct Reader<'a> {
    pub asked: Asked,
    pub version: Version,
    pub keep_alive: bool,
    pub takes_trailers: bool,
    /// The value of Set-Cookie; `None` if the client has the cookie already.
    pub cookie: Option<&'a str>,
    /// What we add of our own accord.
    pub added: &'a Added<'a>,
    /// What rules do to its head.
    pub edits: &'a ResponseEdits,
}

/// What carrying an answer came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answered {
    Rest,
    Again,
    /// All of it was received and sent on.
    Complete,
    /// The backend broke off without a byte of an answer.
    Nothing(Fault),
    /// What came is no valid answer; nothing of it was passed on.
    Bad(&'static str),
    /// The backend broke off after part of it went to the client.
    Torn(Fault),
    ClientBroke(Fault),
    /// 101: another protocol is spoken from now on.
    Switched,
}

impl Answer {
    /// Whether its head was passed on to the client.
    pub fn has_begun(&self) -> bool {
        self.coming.is_some()
    }

    /// Its head, once that was passed on.
    pub fn head(&self) -> Option<PassedHead> {
        let status = self.coming.as_ref()?.status;
        Some(PassedHead { status, bytes: self.head_bytes as u64 })
    }

    /// Whether the client was told that its connection is kept open.
    pub fn keeps_client(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.keeps_client)
    }

    /// Whether the backend's connection can be used for another request.
    pub fn keeps_backend(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.keeps_backend)
    }

    /// Seconds for which the backend keeps an idle connection, if it says so.
    pub fn kept_seconds(&self) -> Option<u32> {
        self.coming.as_ref().and_then(|coming| coming.kept_seconds)
    }

    /// Whether the backend's connection belongs to this client from now on.
    pub fn binds_login(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.binds_login)
    }

    /// Read, and send on to the client.
    pub fn carry(
        &mut self,
        to: &Reader<'_>,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Answered {
        let mut heads = 0;
        while self.coming.is_none() && heads < HTTP_ANSWER_HEADS_PER_TURN {
            if let Some(answered) = self.read_head(to, transfer) {
                return answered;
            }
            heads += 1;
        }
        let Some(coming) = &mut self.coming else { return Answered::Again };
        transfer.lists.surplus.clear();
        let carried = coming.body.carry(transfer);
        // The head may have gone out with MSG_MORE, and the rest of the body may never come.
        transfer.target.send_now();
        coming.keeps_backend &= transfer.lists.surplus.is_empty();
        match carried {
            Carried::Rest => Answered::Rest,
            Carried::Again => Answered::Again,
            Carried::Whole => Answered::Complete,
            Carried::SourceBroke(fault) => Answered::Torn(fault),
            Carried::TargetBroke(fault) => Answered::ClientBroke(fault),
            Carried::Bad(_) => Answered::Torn(Fault::Other(std::io::ErrorKind::InvalidData)),
        }
    }

    /// Read, and parse a head; `None` to go on, with the next head or with the body.
    fn read_head(
        &mut self,
        to: &Reader<'_>,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        if let Err(fault) = transfer.flush() {
            return Some(Answered::ClientBroke(fault));
        }
        if transfer.direction.held() > 0 {
            return Some(Answered::Rest);
        }
        let had = self.input.len();
        if !put_before(&self.input, transfer.buffers.scratch) {
            return Some(Answered::Bad("the head is too long"));
        }
        let mut total = had;
        if !std::mem::take(&mut self.fresh) {
            if !transfer.source.can_read() {
                return Some(Answered::Rest);
            }
            let most = transfer.buffers.scratch.len().saturating_sub(HTTP_FRAMING_ROOM);
            let end = (had + HTTP_ANSWER_READ_BYTES).min(most);
            let room = transfer.buffers.scratch.get_mut(had..end).unwrap_or_default();
            match transfer.source.receive(room) {
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
        let bytes = &transfer.buffers.scratch[..total];
        match parse_response(bytes, &mut self.scan, &mut transfer.lists.fields, &to.asked) {
            Parse::Incomplete => {
                self.input.extend_from_slice(&bytes[had..]);
                None
            }
            Parse::Bad(refusal) => Some(Answered::Bad(refusal.reason())),
            Parse::Done(head) if head.is_interim() => {
                self.pass_interim(&head, to, total, transfer)
            }
            Parse::Done(head) => self.pass_head(&head, to, total, transfer),
        }
    }

    /// 100 Continue and the like: the final answer is yet to come. HTTP/1.0 does not know them.
    fn pass_interim(
        &mut self,
        head: &ResponseHead,
        to: &Reader<'_>,
        total: usize,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        if self.interims == HTTP_INTERIM_ANSWERS_MAX {
            return Some(Answered::Bad("the backend gives interim answers without end"));
        }
        let bytes = &transfer.buffers.scratch[..total];
        self.input.clear();
        self.input.extend_from_slice(&bytes[head.length..]);
        self.fresh = !self.input.is_empty();
        self.interims += 1;
        if to.version == Version::Http10 {
            return None;
        }
        transfer.lists.outgoing.clear();
        rewrite::response(
            head,
            &transfer.lists.fields,
            bytes,
            &to.back(),
            &mut transfer.lists.outgoing,
        );
        self.head_bytes += transfer.lists.outgoing.len();
        match transfer.offer(total) {
            Ok(()) => None,
            Err(fault) => Some(Answered::ClientBroke(fault)),
        }
    }

    /// The head of the final answer, and the part of the body that was read with it.
    fn pass_head(
        &mut self,
        head: &ResponseHead,
        to: &Reader<'_>,
        total: usize,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Option<Answered> {
        let bytes = &transfer.buffers.scratch[..total];
        transfer.lists.outgoing.clear();
        transfer.lists.surplus.clear();
        // Before the body is decoded: trailers are parsed into the same list.
        let binds_login = transfer.lists.fields.bind_a_login(bytes);
        let leaves = rewrite::response(
            head,
            &transfer.lists.fields,
            bytes,
            &to.back(),
            &mut transfer.lists.outgoing,
        );
        self.head_bytes += transfer.lists.outgoing.len();
        let keep = if to.takes_trailers { Trailers::Keep } else { Trailers::Drop };
        let mut body = BodyRelay::new(Decoder::new(head.framing, keep), leaves.framing);
        if let Err(bad) = body.take(bytes, head.length, transfer.lists) {
            return Some(Answered::Bad(bad.reason()));
        }
        let switched = head.status == 101;
        if switched {
            let rest = Span::new(head.length, total);
            transfer.lists.outgoing.input(bytes, rest);
            transfer.lists.surplus.clear();
        }
        body.announce(transfer.direction);
        if body.is_read() {
            if !leaves.keep_alive && !switched {
                transfer.target.end_follows();
            }
        } else if transfer.source.can_read() && body.is_plain() {
            // The read was full, so that more is here, and is sent in this turn.
            transfer.target.more_follows();
        } else if !transfer.source.can_read() {
            transfer.source.acknowledge_now();
        }
        self.coming = Some(Coming {
            body,
            status: head.status,
            keeps_client: leaves.keep_alive,
            // Bytes behind the answer were not asked for, and must not become the next answer.
            keeps_backend: head.keep_alive && transfer.lists.surplus.is_empty(),
            kept_seconds: head.keep_alive_seconds,
            binds_login,
        });
        match transfer.offer(total) {
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
            edits: self.edits,
        }
    }
}
