//! The body of a message: where its payload lies in what was read, and where the body ends.
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
//! The stream may come in pieces of any size. A chunk line is hexadecimal digits, perhaps an
//! extension, CR LF, and nothing else; extensions are dropped. Trailers are checked, and kept on
//! request.

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
    /// Check them, and drop them.
    Drop,
    /// Check them, and keep them for `rewrite::last_chunk`.
    Keep,
}

/// What one call of [`Decoder::decode`] found.
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
    /// A malformed chunk size, or one above 2^63 - 1.
    Size,
    /// A chunk extension that is too long or has a control character.
    Extension,
    /// A line or a chunk that does not end in CR LF where it should.
    LineEnd,
    /// A trailer that is no valid field, or too many bytes of them.
    Trailer,
    /// It is longer than `--max-body` allows.
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

/// Where in a body the stream is. Its states are in the drawing above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// Bytes of payload still to come: of the body, or of the present chunk.
    left: u64,
    /// Bytes of this chunk's extension, or of the trailers, so far.
    extra: u16,
    /// Digits of the chunk size so far, at most 16.
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

    /// Whether the body is whole. One that ends with its connection never is.
    pub fn is_finished(&self) -> bool {
        self.state == DecoderState::Finished
    }

    /// Whether the connection may end here. If not, the body was cut short.
    pub fn may_end(&self) -> bool {
        matches!(self.state, DecoderState::Finished | DecoderState::UntilClose)
    }

    /// Bytes from here on that are payload without framing, which the caller may move without
    /// decoding them; `None` if there is framing to decode.
    pub fn plain_remaining(&self) -> Option<u64> {
        match self.state {
            DecoderState::Finished => Some(0),
            DecoderState::Length => Some(self.left),
            DecoderState::UntilClose => Some(u64::MAX),
            _ => None,
        }
    }

    /// `count` bytes of payload were moved without decoding them.
    pub fn advance(&mut self, count: u64) {
        if self.state == DecoderState::Length {
            self.left = self.left.saturating_sub(count);
            if self.left == 0 {
                self.state = DecoderState::Finished;
            }
        }
    }

    /// Find the payload in `input[from..]`. Its spans are added to `data`, and the bytes of
    /// trailers to `trailers` with [`Trailers::Keep`].
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

    /// How many of the `available` bytes are payload.
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

    /// Some servers pad sizes with blanks. Nothing else may follow: `5 6` could be read as 56.
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
