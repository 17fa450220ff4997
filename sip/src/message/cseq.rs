//! CSeq: the order of requests in a dialog.

use std::fmt;

use super::Method;
use super::grammar::digits;
use super::guard_error::FieldError;

/// A sequence number and its method (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

/// Largest CSeq number. RFC 3261 §8.1.1.5.
pub const CSEQ_MAX: u32 = (1 << 31) - 1;

impl CSeq {
    /// Reads `number SP method`.
    pub fn parse(text: &str) -> Result<CSeq, FieldError> {
        let (number, method) = text.split_once([' ', '\t']).ok_or(FieldError::Token)?;
        let number = digits(number)
            .filter(|number| *number <= CSEQ_MAX)
            .ok_or(FieldError::Number)?;
        let method = Method::parse(super::grammar::trim(method))?;
        Ok(CSeq { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_ends_below_two_to_the_31() {
        assert_eq!(
            CSeq::parse("0009   INVITE"),
            Ok(CSeq {
                number: 9,
                method: Method::Invite
            })
        );
        assert!(CSeq::parse("2147483647 BYE").is_ok());
        assert_eq!(CSeq::parse("2147483648 BYE"), Err(FieldError::Number));
        assert_eq!(CSeq::parse("36893488147419103232 BYE"), Err(FieldError::Number));
        assert_eq!(CSeq::parse("-1 BYE"), Err(FieldError::Number));
        assert_eq!(CSeq::parse("1BYE"), Err(FieldError::Token));
        assert_eq!(CSeq::parse("1 BYE x"), Err(FieldError::Token));
    }
}
