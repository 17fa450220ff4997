//! Offer and answer over SDP text (RFC 8866, RFC 3264) as pure functions.
//!
//! ```text
//!   we offer:    offer(ours) ──► text …… text ──► accept_answer(ours, text) ──► Negotiated
//!   they offer:  text ──► answer(text, ours) ──► (text, Negotiated)
//! ```
//! One audio stream over RTP or SRTP with keys in SDP is spoken; every other m-line is kept in its place and refused with
//! port 0. Knows nothing of SIP, calls, or who hands out ports and session versions.

mod answer;
mod base64;
mod crypto;
mod error;
mod model;
mod negotiated;
mod offer;
mod parse;
mod security;
mod write;

pub use answer::answer;
pub use crypto::{CRYPTO_LINES_MAX, CryptoKey, CryptoLine, CryptoSuite};
pub use error::SdpError;
pub use model::{
    Codec, Direction, EVENT_PAYLOAD_TYPE, Encoding, Format, LocalMedia, MediaDescription, PTIME_MS_DEFAULT,
    PTIMES_MS, RefusedLine, RemoteAddress, SessionDescription, SideLines,
};
pub use negotiated::Negotiated;
pub use offer::{accept_answer, offer};
pub use parse::{FORMATS_MAX, MEDIA_LINES_MAX, SDP_BYTES_MAX};
pub use security::{AgreedCrypto, Crypto, Profile, Security};
