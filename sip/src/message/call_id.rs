//! Call-ID: what all messages of a dialog share.

use std::fmt;

use super::grammar::is_word_byte;
use super::guard_error::{FieldError, Part};

/// A checked Call-ID; compares by case (RFC 3261 §20.8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Box<str>);

/// Longest Call-ID, bytes. The same bound as a tag.
pub const CALL_ID_BYTES_MAX: usize = 256;

impl CallId {
    /// Reads `word [ "@" word ]`.
    pub fn parse(text: &str) -> Result<CallId, FieldError> {
        if text.len() > CALL_ID_BYTES_MAX {
            return Err(FieldError::TooLong {
                part: Part::CallId,
                limit: CALL_ID_BYTES_MAX,
            });
        }
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_word_byte);
        let (word, host) = text.split_once('@').unwrap_or((text, "x"));
        if !is_word(word) || !is_word(host) {
            return Err(FieldError::Token);
        }
        Ok(CallId(text.into()))
    }

    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_pass_and_others_do_not() {
        assert!(CallId::parse("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{").is_ok());
        for bad in ["", "@", "a@", "@a", "a b", "a@b@c", "a;b", "a\r\nb", "ä"] {
            assert_eq!(CallId::parse(bad), Err(FieldError::Token), "{bad}");
        }
    }

    #[test]
    fn cap_holds_at_its_edge() {
        assert!(CallId::parse(&"c".repeat(CALL_ID_BYTES_MAX)).is_ok());
        assert!(CallId::parse(&"c".repeat(CALL_ID_BYTES_MAX + 1)).is_err());
    }
}
