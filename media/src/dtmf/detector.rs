//! Hears digits in audio (ITU-T Q.23, Q.24).
//!
//! ```text
//! samples:  |....80....|....80....|....80....|....80....|
//! windows:  [   20 ms, Hann      ]
//!                      [                     ]            one every 10 ms
//! ```
//! Three windows in a row that hold the same pair begin a digit, three without it end one. A tone fills at
//! least 13 ms of a window that counts for it, so 38 ms always make three and 26 ms never do. Two tones must
//! make up the window's power, each as near to its frequency and as loud against the other as Q.24 asks; speech
//! has more to it. Knows nothing of packets, of who hears the tone, or of time but by samples.

use super::window::{HOP_SAMPLES, Pair, WINDOW_SAMPLES, Window};
use super::{DIGIT_MS_MAX, Digit, Pressed};
use crate::frame::FRAME_SAMPLES;

/// The ear of one stream. Its work for a frame of silence is a sum of squares.
#[derive(Clone, Debug)]
pub struct Detector {
    /// The second half of the window before.
    history: [i16; HOP_SAMPLES],
    /// Some of that half was filled in.
    history_is_made_up: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    /// Fewer windows than make a digit.
    Suspected(Suspect),
    Down(Held),
}

/// A digit that sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    digit: Digit,
    /// Since it began.
    windows: u32,
    /// The last of these, which do not have it.
    missing: u32,
    /// Of another digit, the last of the missing.
    other: Option<Suspect>,
    /// The last of these, of which nothing is known.
    unknown: u32,
    /// It was told at its longest.
    is_told: bool,
}

/// Windows of one pair, in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Suspect {
    last: Pair,
    windows: u32,
    /// The pair's share of power at its best.
    share: f32,
}

impl Suspect {
    fn new(pair: Pair) -> Suspect {
        Suspect {
            last: pair,
            windows: 1,
            share: pair.share,
        }
    }

    /// With the next window, which may begin another.
    fn with(self, pair: Pair) -> Suspect {
        if !pair.goes_on(&self.last) {
            return Suspect::new(pair);
        }
        Suspect {
            last: pair,
            windows: self.windows + 1,
            share: self.share.max(pair.share),
        }
    }

    fn is_digit(&self) -> bool {
        self.windows >= BEGIN_WINDOWS && self.share >= BEST_SHARE_MIN
    }
}

/// What one frame brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToneChange {
    /// A digit is over. One that was told at [`DIGIT_MS_MAX`] ends in silence.
    pub ended: Option<Pressed>,
    /// A digit sounds.
    pub began: Option<Digit>,
}

impl Detector {
    /// Nothing heard.
    pub const fn new() -> Detector {
        Detector {
            history: [0; HOP_SAMPLES],
            history_is_made_up: false,
            state: State::Idle,
        }
    }

    /// Listens to the next frame. In one that `is_made_up` (concealed), a digit may go on but never ends.
    pub fn handle_frame(&mut self, frame: &[i16; FRAME_SAMPLES], is_made_up: bool) -> ToneChange {
        let mut change = ToneChange::default();
        let (halves, _) = frame.as_chunks::<HOP_SAMPLES>();
        for half in halves {
            let mut samples = [0; WINDOW_SAMPLES];
            let (first, second) = samples.split_at_mut(HOP_SAMPLES);
            first.copy_from_slice(&self.history);
            second.copy_from_slice(half);
            let is_unsure = is_made_up || self.history_is_made_up;
            (self.history, self.history_is_made_up) = (*half, is_made_up);
            let heard = Window::new(&samples).pair();
            let step = self.step(heard, is_unsure);
            change.ended = change.ended.or(step.ended);
            change.began = step.began.or(change.began);
        }
        change
    }

    /// Whether a digit sounds, or very likely does: from its second window to its end.
    pub fn is_sounding(&self) -> bool {
        match self.state {
            State::Idle => false,
            State::Suspected(suspect) => suspect.windows >= LIKELY_WINDOWS,
            State::Down(_) => true,
        }
    }

    /// Whether the last window may be part of a digit.
    pub fn is_suspicious(&self) -> bool {
        self.state != State::Idle
    }

    fn step(&mut self, heard: Option<Pair>, is_unsure: bool) -> ToneChange {
        let ended = match &mut self.state {
            State::Idle => return self.suspect(heard.map(Suspect::new)),
            State::Suspected(suspect) => {
                let suspect = *suspect;
                return self.suspect(heard.map(|pair| suspect.with(pair)));
            }
            State::Down(held) => {
                held.windows = held.windows.saturating_add(1);
                if heard.is_some_and(|pair| pair.digit == held.digit) {
                    held.go_on()
                } else if is_unsure && held.unknown < UNKNOWN_WINDOWS_MAX {
                    held.unknown += 1;
                    None
                } else if held.miss(heard) {
                    let (ended, other) = (held.end(), held.other);
                    let began = self.suspect(other).began;
                    return ToneChange { ended, began };
                } else {
                    None
                }
            }
        };
        ToneChange { ended, began: None }
    }

    /// With what may be a digit; it begins if it is one.
    fn suspect(&mut self, suspect: Option<Suspect>) -> ToneChange {
        let began = suspect
            .filter(Suspect::is_digit)
            .map(|suspect| suspect.last.digit);
        self.state = match (began, suspect) {
            (Some(digit), Some(suspect)) => State::Down(Held {
                digit,
                windows: suspect.windows,
                missing: 0,
                other: None,
                unknown: 0,
                is_told: false,
            }),
            (None, Some(suspect)) => State::Suspected(suspect),
            (_, None) => State::Idle,
        };
        ToneChange { ended: None, began }
    }
}

impl Held {
    /// A window has it; what is told of it at its longest.
    fn go_on(&mut self) -> Option<Pressed> {
        (self.missing, self.other, self.unknown) = (0, None, 0);
        let is_due = !self.is_told && duration_ms(self.windows) >= DIGIT_MS_MAX;
        self.is_told |= is_due;
        is_due.then_some(Pressed {
            digit: self.digit,
            duration_ms: DIGIT_MS_MAX,
        })
    }

    /// A window does not have it; true: it is over.
    fn miss(&mut self, heard: Option<Pair>) -> bool {
        self.missing += 1;
        let other = self.other;
        self.other = heard.map(|pair| other.map_or(Suspect::new(pair), |other| other.with(pair)));
        self.missing >= END_WINDOWS
    }

    /// What is told of it at its end, unless it was told at its longest.
    fn end(&self) -> Option<Pressed> {
        let sounded = self
            .windows
            .saturating_sub(self.missing)
            .saturating_sub(self.unknown);
        (!self.is_told).then_some(Pressed {
            digit: self.digit,
            duration_ms: duration_ms(sounded),
        })
    }
}

impl Default for Detector {
    fn default() -> Detector {
        Detector::new()
    }
}

/// How long a tone is that so many windows have, milliseconds: it lies up to 7 ms short of the first and the
/// last.
fn duration_ms(windows: u32) -> u32 {
    (windows.saturating_mul(HOP_MS) + EDGES_MS).min(DIGIT_MS_MAX)
}

/// Windows in a row that begin a digit: 40 ms are always enough and 23 ms never (Q.24 table A-1, AT&T and
/// Japan).
const BEGIN_WINDOWS: u32 = 3;
/// Share of the power that a pair has in one of them at least: 9.5 dB above all else.
const BEST_SHARE_MIN: f32 = 0.9;
/// Windows after which a tone is taken for a digit as far as hiding it goes.
const LIKELY_WINDOWS: u32 = 2;
/// Windows in a row that end one: 10 ms of interruption are bridged, 30 ms are a pause (Q.24 table A-1).
const END_WINDOWS: u32 = 3;
/// Windows in a row that concealment may leave open: 80 ms, the time after which it has faded.
const UNKNOWN_WINDOWS_MAX: u32 = 8;
const HOP_MS: u32 = 10;
const EDGES_MS: u32 = 6;

#[cfg(test)]
mod tests;
