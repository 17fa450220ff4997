//! What stream framing needs of a head, before the message is read (RFC 3261 §18.3).

use super::grammar::digits;
use super::guard_error::{FieldError, GuardError};
use super::header_name::known;
use super::lines::{self, MESSAGE_BYTES_MAX};

pub(crate) use super::lines::head_end;

/// The Content-Length of a whole head: exactly one, digits only, at most [`MESSAGE_BYTES_MAX`].
pub(crate) fn content_length(head: &[u8]) -> Result<usize, GuardError> {
    const NAME: &str = "Content-Length";
    let head = lines::index(head)?;
    let mut lengths = head.fields.iter().filter(|(name, _)| known(name) == Some(NAME));
    let (_, value) = lengths.next().ok_or(GuardError::Missing(NAME))?;
    if lengths.next().is_some() {
        return Err(GuardError::Repeated(NAME));
    }
    let length = digits(value).filter(|length| *length <= MESSAGE_BYTES_MAX);
    length.ok_or(GuardError::Field {
        name: NAME,
        error: FieldError::Number,
    })
}
