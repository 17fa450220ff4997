//! Digest authentication as a client (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! [`Challenge::choose`] picks what to answer from a 401 or 407; a [`DigestClient`] makes the values of
//! Authorization for it, counting its nonce. Which peer may be answered at all, and how often, is
//! decided by who calls. Never prints a password.

mod algorithm;
mod challenge;
mod digest_client;

pub use algorithm::Algorithm;
pub use challenge::Challenge;
pub use digest_client::{AuthHeaders, DigestClient, Login};
