//! Digits: as telephone-events (RFC 4733) both ways, and as tones; and which of them were told twice.
//!
//! Knows nothing of ports, payload types or who collects.

mod detector;
mod digit;
mod event;
mod presses;
mod receiver;
mod sender;
mod tone;
mod window;

pub use detector::{Detector, ToneChange};
pub use digit::Digit;
pub use event::EventPayload;
pub use presses::{ALONE_MAX, Presses, TWIN_WITHIN, Told};
pub use receiver::{Pressed, Receiver};
pub use sender::{SendTick, Sender};
pub use tone::{ToneSender, ToneTick};

use digit::Schedule;
pub use digit::{DIGIT_MS_MAX, DIGIT_MS_MIN, DIGITS_MAX};
