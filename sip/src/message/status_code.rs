//! The status of a response.
//!
//! Knows nothing of who answers or why.

use std::fmt;

/// A status code between 100 and 699 (RFC 3261 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode(u16);

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl StatusCode {
            $($(#[$doc])* pub const $name: StatusCode = StatusCode($code);)*
        }
    };
}

named! {
    /// 100
    TRYING = 100;
    /// 180
    RINGING = 180;
    /// 183
    SESSION_PROGRESS = 183;
    /// 200
    OK = 200;
    /// 202
    ACCEPTED = 202;
    /// 400
    BAD_REQUEST = 400;
    /// 401
    UNAUTHORIZED = 401;
    /// 403
    FORBIDDEN = 403;
    /// 404
    NOT_FOUND = 404;
    /// 405
    METHOD_NOT_ALLOWED = 405;
    /// 406
    NOT_ACCEPTABLE = 406;
    /// 407
    PROXY_AUTHENTICATION_REQUIRED = 407;
    /// 408
    REQUEST_TIMEOUT = 408;
    /// 414
    REQUEST_URI_TOO_LONG = 414;
    /// 415
    UNSUPPORTED_MEDIA_TYPE = 415;
    /// 416
    UNSUPPORTED_URI_SCHEME = 416;
    /// 420
    BAD_EXTENSION = 420;
    /// 421
    EXTENSION_REQUIRED = 421;
    /// 422
    SESSION_INTERVAL_TOO_SMALL = 422;
    /// 423
    INTERVAL_TOO_BRIEF = 423;
    /// 469
    BAD_INFO_PACKAGE = 469;
    /// 480
    TEMPORARILY_UNAVAILABLE = 480;
    /// 481
    CALL_DOES_NOT_EXIST = 481;
    /// 482
    LOOP_DETECTED = 482;
    /// 483
    TOO_MANY_HOPS = 483;
    /// 484
    ADDRESS_INCOMPLETE = 484;
    /// 486
    BUSY_HERE = 486;
    /// 487
    REQUEST_TERMINATED = 487;
    /// 488
    NOT_ACCEPTABLE_HERE = 488;
    /// 489
    BAD_EVENT = 489;
    /// 491
    REQUEST_PENDING = 491;
    /// 500
    SERVER_INTERNAL_ERROR = 500;
    /// 501
    NOT_IMPLEMENTED = 501;
    /// 503
    SERVICE_UNAVAILABLE = 503;
    /// 504
    SERVER_TIMEOUT = 504;
    /// 505
    VERSION_NOT_SUPPORTED = 505;
    /// 513
    MESSAGE_TOO_LARGE = 513;
    /// 600
    BUSY_EVERYWHERE = 600;
    /// 603
    DECLINE = 603;
}

impl StatusCode {
    /// A status between 100 and 699.
    pub fn new(code: u16) -> Option<StatusCode> {
        (100..=699).contains(&code).then_some(StatusCode(code))
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// Its first digit, 1 to 6.
    pub fn class(self) -> u16 {
        self.0 / 100
    }

    /// 100 to 199.
    pub fn is_provisional(self) -> bool {
        self.class() == 1
    }

    /// 200 to 299.
    pub fn is_success(self) -> bool {
        self.class() == 2
    }

    /// 200 to 699.
    pub fn is_final(self) -> bool {
        self.class() >= 2
    }

    /// The phrase the RFCs give; that of the class for other codes.
    pub fn phrase(self) -> &'static str {
        match PHRASES.binary_search_by_key(&self.0, |(code, _)| *code) {
            Ok(at) => PHRASES.get(at).map_or("", |(_, phrase)| phrase),
            Err(_) => match self.class() {
                1 => "Session Progress",
                2 => "OK",
                3 => "Redirected",
                4 => "Request Failure",
                5 => "Server Failure",
                _ => "Global Failure",
            },
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reason phrases by code: RFC 3261 §21 and the IANA registry of response codes. In order.
const PHRASES: [(u16, &str); 76] = [
    (100, "Trying"),
    (180, "Ringing"),
    (181, "Call Is Being Forwarded"),
    (182, "Queued"),
    (183, "Session Progress"),
    (199, "Early Dialog Terminated"),
    (200, "OK"),
    (202, "Accepted"),
    (204, "No Notification"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Moved Temporarily"),
    (305, "Use Proxy"),
    (380, "Alternative Service"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (410, "Gone"),
    (412, "Conditional Request Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Unsupported URI Scheme"),
    (417, "Unknown Resource-Priority"),
    (420, "Bad Extension"),
    (421, "Extension Required"),
    (422, "Session Interval Too Small"),
    (423, "Interval Too Brief"),
    (424, "Bad Location Information"),
    (425, "Bad Alert Message"),
    (428, "Use Identity Header"),
    (429, "Provide Referrer Identity"),
    (430, "Flow Failed"),
    (433, "Anonymity Disallowed"),
    (436, "Bad Identity-Info"),
    (437, "Unsupported Certificate"),
    (438, "Invalid Identity Header"),
    (439, "First Hop Lacks Outbound Support"),
    (440, "Max-Breadth Exceeded"),
    (469, "Bad Info Package"),
    (470, "Consent Needed"),
    (480, "Temporarily Unavailable"),
    (481, "Call/Transaction Does Not Exist"),
    (482, "Loop Detected"),
    (483, "Too Many Hops"),
    (484, "Address Incomplete"),
    (485, "Ambiguous"),
    (486, "Busy Here"),
    (487, "Request Terminated"),
    (488, "Not Acceptable Here"),
    (489, "Bad Event"),
    (491, "Request Pending"),
    (493, "Undecipherable"),
    (494, "Security Agreement Required"),
    (500, "Server Internal Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Server Time-out"),
    (505, "Version Not Supported"),
    (513, "Message Too Large"),
    (555, "Push Notification Service Not Supported"),
    (580, "Precondition Failure"),
    (600, "Busy Everywhere"),
    (603, "Decline"),
    (604, "Does Not Exist Anywhere"),
    (606, "Not Acceptable"),
    (607, "Unwanted"),
    (608, "Rejected"),
    (699, "Global Failure"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_end_at_100_and_699() {
        assert_eq!(StatusCode::new(99), None);
        assert_eq!(StatusCode::new(700), None);
        assert!(StatusCode::new(100).is_some_and(StatusCode::is_provisional));
        assert!(StatusCode::new(699).is_some_and(|status| status.is_final() && !status.is_success()));
    }

    #[test]
    fn phrases_are_in_order_and_found() {
        assert!(PHRASES.is_sorted_by_key(|(code, _)| *code));
        assert_eq!(
            StatusCode::CALL_DOES_NOT_EXIST.phrase(),
            "Call/Transaction Does Not Exist"
        );
        assert_eq!(StatusCode(298).phrase(), "OK");
        assert_eq!(StatusCode(499).phrase(), "Request Failure");
    }
}
