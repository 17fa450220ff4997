//! Digits: as telephone-events (RFC 4733) both ways, and as tones.
//!
//! Knows nothing of ports, payload types or who collects.

mod digit;
mod event;
mod receiver;
mod sender;
mod tone;

pub use digit::Digit;
pub use event::EventPayload;
pub use receiver::{Pressed, Receiver};
pub use sender::{SendTick, Sender};
pub use tone::{ToneSender, ToneTick};

use digit::Schedule;
pub use digit::{DIGIT_MS_MAX, DIGIT_MS_MIN, DIGITS_MAX};
