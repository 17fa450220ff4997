//! Who calls: read, vouched for, shown, passed on.
//!
//! | what | file |
//! |---|---|
//! | read from the INVITE · who vouches | `identity.rs` · `vouching.rs` |
//! | certificates that vouch, and are fetched | `certificates.rs` |
//! | who had the call before | `redirected.rs` |
//! | shown to a callee · in the peer's number form · sent on | `shown.rs` · `wire_number.rs` · `passing_on.rs` |

pub mod certificates;
pub mod identity;
pub mod passing_on;
pub mod redirected;
pub mod shown;
pub mod vouching;
pub mod wire_number;
