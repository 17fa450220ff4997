//! Where calls come from and go to: peers, registrations, certificates, quality.
//!
//! | what | file |
//! |---|---|
//! | where peers are, whether they answer | `peers.rs`, `health.rs` |
//! | phones that registered, trunks that are registered | `registrations.rs` |
//! | trunks that an operator switched off | `switched.rs` |
//! | whose a connection under TLS is | `tls_peers.rs` |
//! | how well a trunk does | `quality.rs` |
//! | SIP messages written down for an engineer | `traces.rs` |

pub mod health;
pub mod peers;
pub mod quality;
pub mod registrations;
pub mod switched;
pub mod tls_peers;
pub mod traces;
