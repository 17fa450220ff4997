//! What is let through: numbers, limits, money; and why not.
//!
//! | what | file |
//! |---|---|
//! | how many calls, how fast: counts as guards · refusals, drain | `admission.rs` · `gates.rs` |
//! | whether signalling is behind, so that new calls are turned away unread | `overload.rs` |
//! | limits changed live, kept | `saved_limits.rs` |
//! | where calls to a number go | `number_map.rs` |
//! | which numbers may be dialled | `number_policy.rs` |
//! | emergency calls, before and beyond every limit | `emergency.rs` |
//! | where a caller is, told for help only | `location.rs` |
//! | limits against toll fraud · what they have counted | `fraud.rs` · `spending.rs` |
//! | the same judgement without a call | `route_preview.rs` |

pub mod admission;
pub mod emergency;
pub mod fraud;
pub mod gates;
pub mod location;
pub mod number_map;
pub mod number_policy;
pub mod overload;
pub mod route_preview;
pub mod saved_limits;
pub mod spending;
