//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), in both roles.
//!
//! As a client, [`Challenge::choose`] picks what to answer of a 401 or 407, a [`DigestClient`] makes the
//! values of Authorization for it, counting its nonce, and an [`Account`] keeps both for the requests that
//! follow. As a server, a [`DigestServer`] asks the [`Users`] of a realm and judges what they answer. Which
//! peer may be answered or must be asked is decided by who calls. Never prints a password or its hash.

mod account;
mod algorithm;
mod authorization;
mod challenge;
mod digest_client;
mod digest_server;
mod guesses;
mod hmac;
mod nonce;
mod nonce_uses;
mod users;

pub use account::{Account, Learnt};
pub use algorithm::Algorithm;
pub use challenge::Challenge;
pub use digest_client::{AuthHeaders, DigestClient, Login};
pub use digest_server::{Asked, DigestServer, NONCE_LIFE, Verdict, Why};
pub use guesses::{GUESS_WINDOW, GUESSERS_MAX, GUESSES_MAX};
pub use users::{USER_BYTES_MAX, USERS_MAX, Users, UsersError};
