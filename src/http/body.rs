//! The body of a message: where the payload lies in what was read, and where it ends.
//!
//! ```text
//!                  +------------- another chunk --------------+
//!                  v                                          |
//!   chunked:  Size -> (Extension) -> SizeEnd -> Data -> DataCr -> DataLf
//!                                       | size 0
//!                                       v
//!                       +-> Line -> Name -> Value -> ValueEnd --+
//!                       |     |                                 |
//!                       +-----|---------- trailers -------------+
//!                             +-> End -> Finished
//! ```
//!
//! Any cut of the stream will do. A chunk line is hexadecimal digits, perhaps an extension, CR LF,
//! and nothing else; extensions are dropped. Trailers are checked and kept aside on demand.

use super::Span;
use super::scan::{self, TOKEN, VALUE};
use crate::limits::{HTTP_CHUNK_EXTENSION_BYTES_MAX, HTTP_TRAILER_BYTES_MAX};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By its length.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// What to do with trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailers {
    /// Read over them.
    Drop,
    /// Put them aside, for `rewrite::last_chunk`.
    Keep,
}

/// What one look at the stream brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input, after `from`, that belong to the body, framing included.
    pub consumed: usize,
    /// Bytes of payload among them.
    pub bytes: u64,
    /// The body is whole; what follows in the input is another message.
    pub finished: bool,
}

/// Why a body is refused: 400 or 413 for a client's, and the backend's connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBody {
    /// A chunk size that is not one.
    Size,
    /// An extension that is too long or has a control character.
    Extension,
    /// A line or a chunk that does not end in CR LF where it should.
    LineEnd,
    /// A trailer that is no field, or too many of them.
    Trailer,
    /// It is longer than allowed.
    TooLarge,
}

impl BadBody {
    /// The status to answer a request with.
    pub fn status(self) -> u16 {
        if self == BadBody::TooLarge { 413 } else { 400 }
    }

    /// What is wrong, in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            BadBody::Size => "malformed chunk size",
            BadBody::Extension => "malformed or long chunk extension",
            BadBody::LineEnd => "malformed end of a chunk",
            BadBody::Trailer => "malformed or long trailers",
            BadBody::TooLarge => "the body is too large",
        }
    }
}

/// Where in a body the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// Payload still to come: of the body, or of the chunk.
    left: u64,
    /// Bytes of this chunk's extension, or of the trailers.
    extra: u16,
    /// Digits of the size.
    digits: u8,
    trailers: Trailers,
    state: DecoderState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecoderState {
    Finished,
    Length,
    UntilClose,
    Size,
    /// Blanks behind the size, before an extension or the line's end.
    Blank,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Line,
    Name,
    Value,
    ValueEnd,
    End,
}

impl Decoder {
    /// At the beginning of a body.
    pub fn new(framing: Framing, trailers: Trailers) -> Decoder {
        let (state, left) = match framing {
            Framing::None | Framing::Length(0) => (DecoderState::Finished, 0),
            Framing::Length(length) => (DecoderState::Length, length),
            Framing::Chunked => (DecoderState::Size, 0),
            Framing::UntilClose => (DecoderState::UntilClose, 0),
        };
        Decoder { left, extra: 0, digits: 0, trailers, state }
    }

    /// Whether the body is whole. One that ends with its connection never is before that.
    pub fn is_finished(&self) -> bool {
        self.state == DecoderState::Finished
    }

    /// Whether the connection may end here. If not, the body is torn.
    pub fn may_end(&self) -> bool {
        matches!(self.state, DecoderState::Finished | DecoderState::UntilClose)
    }

    /// Where the stream is payload alone, how much of it: the carrier may move it unseen.
    pub fn plain_remaining(&self) -> Option<u64> {
        match self.state {
            DecoderState::Finished => Some(0),
            DecoderState::Length => Some(self.left),
            DecoderState::UntilClose => Some(u64::MAX),
            _ => None,
        }
    }

    /// So much payload was moved unseen.
    pub fn advance(&mut self, count: u64) {
        if self.state == DecoderState::Length {
            self.left = self.left.saturating_sub(count);
            if self.left == 0 {
                self.state = DecoderState::Finished;
            }
        }
    }

    /// Find the payload in what was read, `from` where the head ended on. Its spans are added to
    /// `data`, and whole and partial lines of trailers to `trailers`, if they are wanted.
    pub fn decode(
        &mut self,
        input: &[u8],
        from: usize,
        data: &mut Vec<Span>,
        trailers: &mut Vec<u8>,
    ) -> Result<Decoded, BadBody> {
        let mut at = from;
        let mut bytes = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                DecoderState::Finished => break,
                DecoderState::Length | DecoderState::UntilClose | DecoderState::Data => {
                    let taken = self.payload(input.len() - at);
                    data.push(Span::new(at, at + taken));
                    at += taken;
                    bytes += taken as u64;
                    continue;
                }
                DecoderState::Size => self.size(byte)?,
                DecoderState::Blank => self.blank(byte)?,
                DecoderState::Extension => self.extension(byte)?,
                DecoderState::SizeEnd => {
                    let next =
                        if self.left == 0 { DecoderState::Line } else { DecoderState::Data };
                    self.want(byte, b'\n', next)?;
                    self.extra = 0;
                }
                DecoderState::DataCr => self.want(byte, b'\r', DecoderState::DataLf)?,
                DecoderState::DataLf => {
                    self.want(byte, b'\n', DecoderState::Size)?;
                    self.digits = 0;
                    self.extra = 0;
                }
                DecoderState::Line
                | DecoderState::Name
                | DecoderState::Value
                | DecoderState::ValueEnd
                | DecoderState::End => {
                    self.trailer(byte)?;
                    if self.trailers == Trailers::Keep {
                        trailers.push(byte);
                    }
                }
            }
            at += 1;
        }
        Ok(Decoded { consumed: at - from, bytes, finished: self.is_finished() })
    }

    /// How much of so many bytes is payload.
    fn payload(&mut self, available: usize) -> usize {
        if self.state == DecoderState::UntilClose {
            return available;
        }
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(available);
        self.left -= taken as u64;
        if self.left == 0 {
            let whole = self.state == DecoderState::Length;
            self.state = if whole { DecoderState::Finished } else { DecoderState::DataCr };
        }
        taken
    }

    fn want(&mut self, byte: u8, wanted: u8, next: DecoderState) -> Result<(), BadBody> {
        if byte != wanted {
            return Err(BadBody::LineEnd);
        }
        self.state = next;
        Ok(())
    }

    fn size(&mut self, byte: u8) -> Result<(), BadBody> {
        const DIGITS_MAX: u8 = 16;
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' | b';' | b' ' | b'\t' if self.digits > 0 => return self.blank(byte),
            _ => return Err(BadBody::Size),
        };
        self.digits += 1;
        self.left = (self.left << 4) | u64::from(digit);
        if self.digits > DIGITS_MAX || self.left > i64::MAX as u64 {
            return Err(BadBody::Size);
        }
        Ok(())
    }

    /// Some write sizes in columns. Only blanks are taken: `5 6` could be read as a size of 56.
    fn blank(&mut self, byte: u8) -> Result<(), BadBody> {
        self.state = match byte {
            b'\r' => DecoderState::SizeEnd,
            b';' => DecoderState::Extension,
            b' ' | b'\t' if self.extra < HTTP_CHUNK_EXTENSION_BYTES_MAX => {
                self.extra += 1;
                DecoderState::Blank
            }
            _ => return Err(BadBody::Size),
        };
        Ok(())
    }

    fn extension(&mut self, byte: u8) -> Result<(), BadBody> {
        self.extra += 1;
        if byte == b'\r' {
            self.state = DecoderState::SizeEnd;
        } else if !scan::is(byte, VALUE) || self.extra > HTTP_CHUNK_EXTENSION_BYTES_MAX {
            return Err(BadBody::Extension);
        }
        Ok(())
    }

    fn trailer(&mut self, byte: u8) -> Result<(), BadBody> {
        self.extra += 1;
        if self.extra > HTTP_TRAILER_BYTES_MAX {
            return Err(BadBody::Trailer);
        }
        self.state = match (self.state, byte) {
            (DecoderState::Line, b'\r') => DecoderState::End,
            (DecoderState::Line | DecoderState::Name, byte) if scan::is(byte, TOKEN) => {
                DecoderState::Name
            }
            (DecoderState::Name, b':') => DecoderState::Value,
            (DecoderState::Value, b'\r') => DecoderState::ValueEnd,
            (DecoderState::Value, byte) if scan::is(byte, VALUE) => DecoderState::Value,
            (DecoderState::ValueEnd, b'\n') => DecoderState::Line,
            (DecoderState::End, b'\n') => DecoderState::Finished,
            _ => return Err(BadBody::Trailer),
        };
        Ok(())
    }
}
