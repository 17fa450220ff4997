//! From packets that come when they like to one 20 ms frame a tick.
//!
//! ```text
//!                     cursor: next sample to play
//!   … played ────────────┤
//!                        ├── slack ──┤ packet just arrived
//!   ─────────────────────┼───────────┼──────────┼───────────▶ our timeline, samples
//! ```
//! The timeline counts our own samples and never jumps; the clock maps each source's timestamps onto it. A
//! packet starts 20 ms ahead of the cursor ([`DELAY_START_MS`]). One that comes too late pulls the cursor back, so
//! that nothing is lost and the delay grows; five seconds of ample slack let one frame be skipped. Loss is
//! concealed for 60 ms, then there is silence.
//!
//! Knows nothing of addresses, payload types or listeners.

mod clock;
mod decoding;
mod playout;
mod seen;
mod slots;
mod timeline;

pub use clock::{DELAY_MAX_MS, DELAY_START_MS};
pub use playout::{Counts, Playout, Popped, Pushed};
pub use slots::{JITTER_PACKETS_MAX, PACKET_SAMPLES_MAX};
