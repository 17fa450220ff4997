//! Reason: why a request was sent, in the terms of another protocol (RFC 3326).

use super::grammar::{digits, is_token, quote, split_outside, trim};
use super::params::{Kind, Params};
use std::fmt;

/// One value of Reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP`, … as written.
    pub protocol: String,
    /// The cause: a Q.850 cause or a SIP status.
    pub cause: Option<u16>,
    /// Free text.
    pub text: Option<String>,
    /// Where in the network it arose, such as `U` for the user (RFC 8606 §3).
    pub location: Option<String>,
}

impl Reason {
    /// Reads one value; `None` when it does not fit the grammar (the header is advice).
    pub fn parse(text: &str) -> Option<Reason> {
        let (protocol, params) = match split_outside(text, b';').next() {
            Some(protocol) => (protocol, text.split_once(';').map(|(_, params)| params)),
            None => return None,
        };
        if !is_token(trim(protocol)) {
            return None;
        }
        let params = match params {
            Some(params) => Params::parse(params, Kind::Header).ok()?,
            None => Params::default(),
        };
        let cause = params.get("cause").and_then(digits);
        Some(Reason {
            protocol: trim(protocol).to_owned(),
            cause,
            text: params.text("text"),
            location: params.text("location"),
        })
    }

    /// Whether the cause is a SIP status.
    pub fn is_sip(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP")
    }

    /// Another branch of the call was answered: on a CANCEL, what keeps a phone from listing a missed call
    /// (RFC 3326 §3.1).
    pub fn is_answered_elsewhere(&self) -> bool {
        self.is_sip() && self.cause == Some(200)
    }

    /// The ISDN cause, 1 to 127 (ITU-T Q.850 §2.2.7).
    pub fn q850_cause(&self) -> Option<u8> {
        let is_q850 = self.protocol.eq_ignore_ascii_case("Q.850");
        let cause = self.cause.filter(|cause| is_q850 && (1..=127).contains(cause))?;
        u8::try_from(cause).ok()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ";text={}", quote(text))?;
        }
        match &self.location {
            Some(location) if is_token(location) => write!(f, ";location={location}"),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_by_protocol() {
        let reason = Reason::parse("Q.850 ;cause=16 ;text=\"Normal; clearing\"").unwrap();
        assert_eq!(
            (reason.q850_cause(), reason.text.as_deref()),
            (Some(16), Some("Normal; clearing"))
        );
        assert_eq!(reason.to_string(), "Q.850;cause=16;text=\"Normal; clearing\"");
        let reason = Reason::parse("SIP;cause=200;text=\"Call completed elsewhere\"").unwrap();
        assert_eq!((reason.cause, reason.q850_cause()), (Some(200), None));
        assert!(reason.is_answered_elsewhere());
        let reason = Reason::parse("Q.850;cause=21;location=U").unwrap();
        assert_eq!(
            (reason.q850_cause(), reason.location.as_deref()),
            (Some(21), Some("U"))
        );
        assert_eq!(reason.to_string(), "Q.850;cause=21;location=U");
        assert!(!reason.is_sip() && !reason.is_answered_elsewhere());
        assert_eq!(Reason::parse("Q.850;cause=0").unwrap().q850_cause(), None);
        assert_eq!(Reason::parse("Q 850;cause=16"), None);
        assert_eq!(Reason::parse(""), None);
    }
}
