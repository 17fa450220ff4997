//! The life of a leg: in or out, rung, answered, ended, written down.
//!
//! | what | file |
//! |---|---|
//! | an INVITE comes in, why it was refused | `inbound.rs` |
//! | an INVITE that waits for its certificate | `waiting.rs` |
//! | answer, early media towards the caller · offers before the answer | `answering.rs` · `early.rs` |
//! | dialling out, why it was refused | `dialing.rs`, `dial_plan.rs` |
//! | refused dials, told and recorded | `refused_dials.rs` |
//! | target after target, CANCEL at the ring limit | `attempts.rs` |
//! | ends, causes, the record | `ending.rs`, `cause.rs`, `call_record.rs` |
//! | no new calls | `draining.rs` |

pub mod answering;
pub mod attempts;
pub mod call_record;
pub mod cause;
pub mod dial_plan;
pub mod dialing;
pub mod draining;
pub mod early;
pub mod ending;
pub mod inbound;
pub mod refused_dials;
pub mod waiting;
