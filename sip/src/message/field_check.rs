//! The checks a header field passes on its way in, from the wire or from us.
//!
//! A table of headers and grammars; owns nothing.

use super::grammar::{digits, is_token, split_list};
use super::guard_error::{FieldError, GuardError};
use super::header_name::known;
use super::lines::MESSAGE_BYTES_MAX;
use super::{CSeq, CallId, MediaType, NameAddr, Via};

/// The mandatory headers while they are collected.
#[derive(Default)]
pub(super) struct Core {
    pub(super) vias: Vec<Via>,
    pub(super) from: Option<NameAddr>,
    pub(super) to: Option<NameAddr>,
    pub(super) call_id: Option<CallId>,
    pub(super) cseq: Option<CSeq>,
}

impl Core {
    /// Takes one field, checking it.
    pub(super) fn read(&mut self, name: &str, value: &str) -> Result<(), GuardError> {
        match name {
            "Via" => {
                for via in split_list(value) {
                    self.vias.push(Via::parse(via).map_err(in_field("Via"))?);
                }
            }
            "From" => self.from = Some(NameAddr::parse(value).map_err(in_field("From"))?),
            "To" => self.to = Some(NameAddr::parse(value).map_err(in_field("To"))?),
            "Call-ID" => self.call_id = Some(CallId::parse(value).map_err(in_field("Call-ID"))?),
            "CSeq" => self.cseq = Some(CSeq::parse(value).map_err(in_field("CSeq"))?),
            _ => check_optional(name, value)?,
        }
        Ok(())
    }
}

fn in_field(name: &'static str) -> impl Fn(FieldError) -> GuardError {
    move |error| GuardError::Field { name, error }
}

/// Checks the headers beyond the five whose values the stack acts on; others are opaque.
pub(super) fn check_optional(name: &str, value: &str) -> Result<(), GuardError> {
    let Some(name) = known(name) else { return Ok(()) };
    let checked = match name {
        "Contact" if value == "*" => Ok(()),
        "Contact" | "Route" | "Record-Route" => {
            split_list(value).try_for_each(|one| NameAddr::parse(one).map(drop))
        }
        "Max-Forwards" => digits::<u8>(value).map(drop).ok_or(FieldError::Number),
        "Content-Length" => {
            let fits = digits::<usize>(value).is_some_and(|length| length <= MESSAGE_BYTES_MAX);
            fits.then_some(()).ok_or(FieldError::Number)
        }
        "Content-Type" => MediaType::parse(value).map(drop),
        "Require" | "Proxy-Require" | "Supported" => {
            let all = value.is_empty() || split_list(value).all(is_token);
            all.then_some(()).ok_or(FieldError::Token)
        }
        _ => Ok(()),
    };
    checked.map_err(in_field(name))
}
