//! RAck: which reliable provisional response a PRACK acknowledges.

use std::fmt;

use super::CSeq;
use super::grammar::trim;

/// The response's RSeq and the CSeq of the request it answers (RFC 3262 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// RSeq of the response.
    pub rseq: u32,
    /// CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads `number SP number SP method`; `None` when it does not fit the grammar.
    pub fn parse(text: &str) -> Option<RAck> {
        let (rseq, cseq) = text.split_once([' ', '\t'])?;
        Some(RAck {
            rseq: super::grammar::digits(rseq)?,
            cseq: CSeq::parse(trim(cseq)).ok()?,
        })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    #[test]
    fn names_a_response_by_three_words() {
        let read = RAck::parse("776656  1 INVITE").unwrap();
        assert_eq!((read.rseq, read.cseq.number), (776_656, 1));
        assert_eq!(read.cseq.method, Method::Invite);
        assert_eq!(read.to_string(), "776656 1 INVITE");
        for broken in [
            "",
            "1",
            "1 2",
            "x 1 INVITE",
            "4294967296 1 INVITE",
            "1 2147483648 INVITE",
        ] {
            assert_eq!(RAck::parse(broken), None, "{broken}");
        }
    }
}
