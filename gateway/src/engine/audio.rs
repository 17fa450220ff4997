//! Who hears what, and what keeps it so: bridges, holds, plays, digits, recordings.
//!
//! | what | file |
//! |---|---|
//! | who hears whom · made true | `audibility.rs` · `reconcile.rs` |
//! | SDP to media | `media_plan.rs` |
//! | hold, mute · bridges | `holding.rs` · `bridging.rs` |
//! | plays · the files they name | `playing.rs` · `sounds.rs` |
//! | digits · by INFO | `collecting.rs` · `info_digits.rs` |
//! | how well each leg is heard | `listening.rs` |
//! | recordings · the rule of one | `taping.rs` · `recording.rs` |

pub mod audibility;
pub mod bridging;
pub mod collecting;
pub mod gathering;
pub mod holding;
pub mod info_digits;
pub mod listening;
pub mod media_plan;
pub mod playing;
pub mod reconcile;
pub mod recording;
pub mod sounds;
pub mod taping;
