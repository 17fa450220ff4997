//! The guard over SIP bytes: nothing unchecked comes in, nothing unchecked goes out.
//!
//! ```text
//!            lines ─► start line ─► headers (five mandatory ones typed) ─► body
//! bytes ──►  parse ───────────────────────────────────────────────────────────► Request | Response
//! bytes ◄──  write ◄── builders, setters: each checks what it is given ─────────┘
//! ```
//! Everything here is a value. The module knows no time, no socket, no dialog and no transaction, and
//! it is the only one that names `rsip`, as vocabulary and as the other opinion in tests; rsip never
//! sees bytes from the wire and never writes any.

mod call_id;
mod cseq;
mod field_check;
pub(crate) mod framing;
mod grammar;
mod guard_error;
mod header_name;
mod headers;
mod host;
mod identity;
pub mod info_digit;
mod lines;
mod media_type;
mod method;
mod multipart;
mod name_addr;
#[cfg(test)]
mod oracle;
pub(crate) mod outline;
mod params;
mod parse;
mod rack;
mod reason;
mod refer_to;
mod replaces;
mod request;
mod response;
mod salvage;
mod session_expires;
pub mod sip_frag;
mod status_code;
pub(crate) mod top_via;
mod uri;
mod via;
mod vocabulary;
mod write;

pub use call_id::{CALL_ID_BYTES_MAX, CallId};
pub use cseq::{CSEQ_MAX, CSeq};
pub use guard_error::{FieldError, GuardError, Part, UriError};
pub use headers::Headers;
pub use host::{HOST_NAME_BYTES_MAX, Host, HostName};
pub use identity::Identity;
pub use lines::{HEADERS_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX};
pub use media_type::MediaType;
pub use method::{ExtensionMethod, METHOD_BYTES_MAX, Method};
pub use multipart::{PARTS_MAX, is_optional};
pub use name_addr::{NameAddr, TAG_BYTES_MAX};
pub use params::{PARAMS_MAX, Params};
pub use parse::{REQUEST_URI_BYTES_MAX, parse};
pub use rack::RAck;
pub use reason::Reason;
pub use refer_to::{REFER_TO_BYTES_MAX, REFER_TO_HEADERS_MAX, ReferTo};
pub use replaces::{REPLACES_BYTES_MAX, Replaces};
pub use request::{MAX_FORWARDS_DEFAULT, Request};
pub use response::Response;
pub use salvage::refusal;
pub use session_expires::{Refresher, SessionExpires};
pub use status_code::StatusCode;
pub use uri::{Scheme, Uri};
pub use via::{BRANCH_BYTES_MAX, MAGIC_COOKIE, Via, ViaTransport};

pub use grammar::unescape;
pub(crate) use grammar::{quote, split_list, unquote};

use bytes::Bytes;

/// A message that passed the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Its header fields.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        match self {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        }
    }

    /// The message as it goes out.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}
