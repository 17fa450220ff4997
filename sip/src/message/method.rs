//! The method of a request.
//!
//! Knows no meaning of a method beyond its name.

use std::fmt;

use super::grammar::is_token;
use super::guard_error::{FieldError, Part};

/// A request method; names are case-sensitive (RFC 3261 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13.2.2.4.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §11.
    Options,
    /// RFC 3261 §10.
    Register,
    /// RFC 6086.
    Info,
    /// RFC 3262.
    Prack,
    /// RFC 3311.
    Update,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// A method this stack has no name for; answered 405 or 501 by who receives it.
    Extension(ExtensionMethod),
}

/// The token of an unknown method.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtensionMethod(Box<str>);

/// Longest method token, bytes. The longest registered one has 9; RFC 4475 §3.1.1.2 sends 45.
pub const METHOD_BYTES_MAX: usize = 64;

/// The named methods and their tokens.
const NAMED: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Options, "OPTIONS"),
    (Method::Register, "REGISTER"),
    (Method::Info, "INFO"),
    (Method::Prack, "PRACK"),
    (Method::Update, "UPDATE"),
    (Method::Refer, "REFER"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Notify, "NOTIFY"),
    (Method::Message, "MESSAGE"),
    (Method::Publish, "PUBLISH"),
];

impl Method {
    /// Reads a method token.
    pub fn parse(text: &str) -> Result<Method, FieldError> {
        if let Some((method, _)) = NAMED.iter().find(|(_, token)| *token == text) {
            return Ok(method.clone());
        }
        if text.len() > METHOD_BYTES_MAX {
            return Err(FieldError::TooLong {
                part: Part::Method,
                limit: METHOD_BYTES_MAX,
            });
        }
        if !is_token(text) {
            return Err(FieldError::Token);
        }
        Ok(Method::Extension(ExtensionMethod(text.into())))
    }

    /// The token as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Register => "REGISTER",
            Method::Info => "INFO",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Refer => "REFER",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Message => "MESSAGE",
            Method::Publish => "PUBLISH",
            Method::Extension(token) => &token.0,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_method_reads_as_itself() {
        for (method, token) in NAMED {
            assert_eq!(Method::parse(token), Ok(method.clone()));
            assert_eq!(method.to_string(), token);
        }
    }

    #[test]
    fn unknown_and_lower_case_methods_are_extensions() {
        assert_eq!(Method::parse("invite").unwrap().as_str(), "invite");
        assert_ne!(Method::parse("invite"), Ok(Method::Invite));
        assert_eq!(Method::parse("RE%47IST%45R").unwrap().as_str(), "RE%47IST%45R");
        assert_eq!(Method::parse("A B"), Err(FieldError::Token));
        assert_eq!(Method::parse(""), Err(FieldError::Token));
    }

    #[test]
    fn method_cap_holds_at_its_edge() {
        assert!(Method::parse(&"M".repeat(METHOD_BYTES_MAX)).is_ok());
        assert!(Method::parse(&"M".repeat(METHOD_BYTES_MAX + 1)).is_err());
    }
}
