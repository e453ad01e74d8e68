//! Max-Forwards of OPTIONS: how many of those that pass a request on may still do so (RFC 9110,
//! section 7.6.2). TRACE, the other method for which it means something, is refused as such.

use super::fields::{Field, Fields};
use super::outgoing::Outgoing;
use super::request::{Method, RequestHead};

const NAME: &str = "max-forwards";

/// How often a request may still be passed on, if it says so in a way that counts.
pub fn left(head: &RequestHead, fields: &Fields, input: &[u8]) -> Option<u64> {
    if head.method != Method::Options {
        return None;
    }
    let value = fields.find(input, NAME)?.of(input);
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let digit =
        |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    // One that is too large for us is as good as the largest that is not.
    is_number.then(|| value.iter().fold(0, digit))
}

/// Whether this field is one that does not pass as it came.
pub(super) fn is_it(field: &Field, input: &[u8]) -> bool {
    field.name.of(input).eq_ignore_ascii_case(NAME.as_bytes())
}

/// Write it for the next one: one less, and no longer than it came.
#[cold]
pub(super) fn write(left: u64, fields: &Fields, input: &[u8], out: &mut Outgoing) {
    let Some(field) = fields.iter().find(|it| is_it(it, input)) else { return };
    out.input(input, field.name);
    out.text(format!(":{}\r\n", left.saturating_sub(1)).as_bytes());
}
