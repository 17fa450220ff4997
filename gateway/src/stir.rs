//! STIR/SHAKEN: a caller's number signed by who vouches for it (RFC 8224, RFC 8225, RFC 8226, RFC 8588).
//!
//! ```text
//! Identity ─► token ─► certificate of `x5u` ─► chain to an anchor ─► signature ─► iat ─► orig, dest, TNAuthList
//! ```
//! Values and pure functions: time is an argument, certificates are given, nothing is fetched. What may be fetched at
//! all is said here. Knows no trunk and no call.

mod certificate;
mod certificate_url;
mod der;
mod passport;
mod sign;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use certificate::{CERTIFICATE_BYTES_MAX, CertificateError, Chain, Trust};
pub use certificate_url::{CertificateHost, CertificateUrl, Place, URL_BYTES_MAX};
pub use passport::{Attest, canonical};
pub use sign::{KeyError, Signer, Statement};
pub use verify::{Checked, Claimed, Facts, Fetched, Verdict, check, claimed, wanted};
