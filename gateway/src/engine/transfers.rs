//! Transfers: what the router orders, what a peer asks for.
//!
//! | what | file |
//! |---|---|
//! | the router transfers | `transferring.rs` |
//! | a peer asks: REFER · Replaces · 3xx | `referred.rs` · `replacing.rs` · `moved.rs` |

pub mod moved;
pub mod referred;
pub mod replacing;
pub mod transferring;
