//! Why the guard refuses a message or a part of one, and what the peer is told.
//!
//! Carries names and numbers, never input. Knows nothing of transactions or transports.

use super::StatusCode;

/// A part of a message that has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The whole message.
    Message,
    /// One line after unfolding.
    Line,
    /// The Request-URI.
    RequestUri,
    /// A method token.
    Method,
    /// A tag of From or To.
    Tag,
    /// The branch of a Via.
    Branch,
    /// Call-ID.
    CallId,
    /// The number of header fields.
    Headers,
    /// Parameters of one value.
    Parameters,
}

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UriError {
    /// No scheme, or characters no scheme has.
    #[error("scheme")]
    Scheme,
    /// User or password.
    #[error("user part")]
    User,
    /// Host name or address literal.
    #[error("host")]
    Host,
    /// Port.
    #[error("port")]
    Port,
    /// A URI parameter.
    #[error("parameter")]
    Parameter,
    /// The `?name=value` part, or its presence where none may be.
    #[error("header part")]
    Headers,
    /// The rest of a URI of another scheme.
    #[error("opaque part")]
    Opaque,
}

/// What is wrong with a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FieldError {
    /// Nothing where a value must be, or an empty element of a list.
    #[error("an empty value")]
    Empty,
    /// A quoted string that does not end, or text around it.
    #[error("an unbalanced quote")]
    Quote,
    /// `<` without `>`.
    #[error("an unbalanced bracket")]
    Bracket,
    /// A display name that is neither tokens nor quoted.
    #[error("a bad display name")]
    DisplayName,
    /// A parameter that does not fit the grammar.
    #[error("a bad parameter")]
    Parameter,
    /// A parameter that occurs twice.
    #[error("a repeated parameter")]
    RepeatedParameter,
    /// Not a number, or out of its range.
    #[error("a bad number")]
    Number,
    /// Not a token.
    #[error("a bad token")]
    Token,
    /// CR, LF or another control byte.
    #[error("a control byte")]
    Control,
    /// A bad URI.
    #[error("a bad URI: {0}")]
    Uri(#[from] UriError),
    /// Over its limit.
    #[error("{part:?} over {limit}")]
    TooLong {
        /// What is too long.
        part: Part,
        /// The most it may have.
        limit: usize,
    },
}

/// Why a message is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GuardError {
    /// The headers do not end.
    #[error("no end of headers")]
    Incomplete,
    /// Neither a Request-Line nor a Status-Line.
    #[error("bad start line")]
    StartLine,
    /// Another version than SIP/2.0.
    #[error("unknown SIP version")]
    Version,
    /// A bad Request-URI.
    #[error("bad Request-URI: {0}")]
    RequestUri(UriError),
    /// A header line without colon, or with a name that is no token.
    #[error("bad header line")]
    HeaderLine,
    /// CR, LF or another control byte where none may be.
    #[error("control byte")]
    Control,
    /// Headers that are no UTF-8.
    #[error("headers are not UTF-8")]
    Encoding,
    /// Over a limit.
    #[error("{part:?} of {actual} is over the limit of {limit}")]
    TooLong {
        /// Of what.
        part: Part,
        /// The most there may be, bytes or pieces.
        limit: usize,
        /// What there was; at least, where counting stopped early.
        actual: usize,
    },
    /// A mandatory header is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A header that may occur once occurs again.
    #[error("{0} occurs more than once")]
    Repeated(&'static str),
    /// A header value that does not fit its grammar.
    #[error("{name} has {error}")]
    Field {
        /// Which header.
        name: &'static str,
        /// What is wrong with it.
        error: FieldError,
    },
    /// The header belongs to the message's own parts and has its own setter.
    #[error("{0} is set by its own method")]
    Fixed(&'static str),
    /// CSeq names another method than the Request-Line.
    #[error("CSeq names another method")]
    MethodMismatch,
    /// Fewer body bytes than Content-Length promises.
    #[error("body of {actual} bytes is shorter than Content-Length {expected}")]
    BodyShort {
        /// Content-Length.
        expected: usize,
        /// Bytes there.
        actual: usize,
    },
}

impl GuardError {
    /// What the sender of such a request is told (RFC 3261 §21.4, §21.5).
    pub fn status(&self) -> StatusCode {
        match self {
            GuardError::Version => StatusCode::VERSION_NOT_SUPPORTED,
            GuardError::TooLong {
                part: Part::Message, ..
            } => StatusCode::MESSAGE_TOO_LARGE,
            GuardError::TooLong {
                part: Part::RequestUri,
                ..
            } => StatusCode::REQUEST_URI_TOO_LONG,
            GuardError::Incomplete
            | GuardError::StartLine
            | GuardError::RequestUri(_)
            | GuardError::HeaderLine
            | GuardError::Control
            | GuardError::Encoding
            | GuardError::TooLong { .. }
            | GuardError::Missing(_)
            | GuardError::Repeated(_)
            | GuardError::Field { .. }
            | GuardError::Fixed(_)
            | GuardError::MethodMismatch
            | GuardError::BodyShort { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// Stable word for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            GuardError::Incomplete => "incomplete",
            GuardError::StartLine => "start_line",
            GuardError::Version => "version",
            GuardError::RequestUri(_) => "request_uri",
            GuardError::HeaderLine => "header_line",
            GuardError::Control => "control",
            GuardError::Encoding => "encoding",
            GuardError::TooLong { .. } => "too_long",
            GuardError::Missing(_) => "missing",
            GuardError::Repeated(_) => "repeated",
            GuardError::Field { .. } => "field",
            GuardError::Fixed(_) => "fixed",
            GuardError::MethodMismatch => "method_mismatch",
            GuardError::BodyShort { .. } => "body_short",
        }
    }
}
