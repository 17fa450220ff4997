//! Digits a party sends in its audio: heard, and kept out of it where nobody may hear them.
//!
//! ```text
//! decoded ─► detector ─► digits
//!      └───► [ 60 ms held back ] ─► mixer, tracks        while digits are kept from everyone
//!      └──────────────────────────► mixer, tracks        else
//! ```
//! A tone is known 53 ms after its begin at the latest. Where digits are withheld, audio is held back longer
//! than that, so that all of the tone is taken out. Knows nothing of who hears the party.

use crate::dtmf::{Detector, Digit, Pressed};
use crate::frame::FRAME_SAMPLES;
use crate::jitter::Popped;

/// Frames held back while digits are withheld: 60 ms, and the one being listened to.
const HELD_FRAMES: usize = 3;

/// The ear of one stream that takes digits out of the audio.
#[derive(Debug)]
pub struct Tones {
    detector: Detector,
    /// What is held back, oldest first; none: audio passes as it comes.
    held: Option<[(Frame, Popped); HELD_FRAMES]>,
    /// What the last frame brought, until it is taken.
    news: News,
    /// The press under way was told another way before.
    is_twin: bool,
    /// The press under way is kept from everyone.
    is_withheld: bool,
    /// What decides who hears the party, when that was asked last.
    turn: Turn,
}

/// What one frame brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A press is over.
    pub ended: Option<Ended>,
    /// A digit sounds; whether it is a twin is not known yet.
    pub began: Option<Digit>,
}

/// A press that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The digit, and how long it sounded.
    pub pressed: Pressed,
    /// It was told another way before.
    pub is_twin: bool,
    /// It is kept from everyone.
    pub is_withheld: bool,
}

/// What decides who hears the party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Turn {
    is_sounding: bool,
    is_twin: bool,
    holds_back: bool,
}

type Frame = [i16; FRAME_SAMPLES];

impl Tones {
    /// Nothing heard.
    pub fn new() -> Tones {
        Tones {
            detector: Detector::new(),
            held: None,
            news: News::default(),
            is_twin: false,
            is_withheld: false,
            turn: Turn::default(),
        }
    }

    /// Listens to a frame, and gives in its place what others may hear now. `withholds`: digits are kept from
    /// everyone. A digit that began so stays so to its end.
    pub fn handle_frame(&mut self, frame: &mut Frame, popped: Popped, withholds: bool) -> Popped {
        let change = self.detector.handle_frame(frame, popped == Popped::Concealed);
        let ended = change.ended.map(|pressed| Ended {
            pressed,
            is_twin: self.is_twin,
            is_withheld: self.is_withheld,
        });
        if change.began.is_some() || !self.is_sounding() {
            (self.is_twin, self.is_withheld) = (false, false);
        }
        self.is_withheld |= withholds && self.is_sounding();
        self.news = News {
            ended,
            began: change.began,
        };
        self.hold_back(frame, popped, withholds)
    }

    fn hold_back(&mut self, frame: &mut Frame, popped: Popped, withholds: bool) -> Popped {
        if !withholds && (self.held.is_none() || !self.detector.is_suspicious()) {
            self.held = None;
            return popped;
        }
        let is_digit = self.is_sounding() || self.news.ended.is_some();
        let held = self
            .held
            .get_or_insert([([0; FRAME_SAMPLES], Popped::Empty); HELD_FRAMES]);
        let mut now = (*frame, popped);
        if is_digit {
            for place in held.iter_mut().chain([&mut now]) {
                *place = ([0; FRAME_SAMPLES], Popped::Empty);
            }
        }
        let [oldest, next, last] = held;
        let given = std::mem::replace(oldest, std::mem::replace(next, std::mem::replace(last, now)));
        *frame = given.0;
        given.1
    }

    /// What the last frame brought, once.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Whether a tone began, ended or was found to be a twin, or the holding back changed, since this was asked
    /// last.
    pub fn take_turn(&mut self) -> bool {
        let turn = Turn {
            is_sounding: self.is_sounding(),
            is_twin: self.is_twin,
            holds_back: self.holds_back(),
        };
        std::mem::replace(&mut self.turn, turn) != turn
    }

    /// The press under way was told another way before.
    pub fn mark_twin(&mut self) {
        self.is_twin = true;
    }

    /// Whether the press under way was told another way before.
    pub fn is_twin(&self) -> bool {
        self.is_twin
    }

    /// Whether a digit sounds, as far as is known.
    pub fn is_sounding(&self) -> bool {
        self.detector.is_sounding()
    }

    /// Whether audio is held back.
    pub fn holds_back(&self) -> bool {
        self.held.is_some()
    }
}

impl Default for Tones {
    fn default() -> Tones {
        Tones::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{ToneSender, ToneTick};

    /// Speech, digits, speech: frames in.
    fn line(digits: &str) -> Vec<Frame> {
        let speech = [[900; FRAME_SAMPLES]; 10];
        let mut frames = speech.to_vec();
        let mut sender = ToneSender::new(digits, 100).unwrap();
        loop {
            let mut frame = [0; FRAME_SAMPLES];
            if sender.tick(&mut frame) == ToneTick::Done {
                break;
            }
            frames.push(frame);
        }
        frames.extend(speech);
        frames
    }

    fn is_speech(frame: &Frame) -> bool {
        *frame == [900; FRAME_SAMPLES]
    }

    #[test]
    fn no_sample_of_a_withheld_digit_gets_out_and_speech_does() {
        let mut tones = Tones::new();
        let (mut told, mut spoken) = (0, 0);
        for mut frame in line("159D") {
            tones.handle_frame(&mut frame, Popped::Frame, true);
            told += usize::from(tones.take_news().ended.is_some());
            assert!(frame == [0; FRAME_SAMPLES] || is_speech(&frame), "{frame:?}");
            spoken += usize::from(is_speech(&frame));
        }
        assert_eq!(
            (told, spoken),
            (4, 15),
            "all but 40 ms before the first digit and the 60 ms that are still held back"
        );
        let mut frame = [900; FRAME_SAMPLES];
        assert_eq!(
            tones.handle_frame(&mut frame, Popped::Frame, false),
            Popped::Frame
        );
        assert!(is_speech(&frame) && !tones.holds_back());
    }

    #[test]
    fn a_digit_that_began_withheld_is_so_to_its_end() {
        let mut tones = Tones::new();
        let mut ended = 0;
        for (at, mut frame) in line("7").into_iter().enumerate() {
            tones.handle_frame(&mut frame, Popped::Frame, at < 13);
            if let Some(over) = tones.take_news().ended {
                ended += 1;
                assert!(over.is_withheld && !over.is_twin);
            }
            assert!(
                frame == [0; FRAME_SAMPLES] || is_speech(&frame),
                "{at}: {frame:?}"
            );
        }
        assert_eq!(ended, 1);
        assert!(!tones.holds_back());
    }

    #[test]
    fn what_is_said_of_a_press_is_not_said_of_the_next_that_follows_without_a_pause() {
        let mut tones = Tones::new();
        let pressed = line("12")
            .into_iter()
            .filter(|frame| *frame != [0; FRAME_SAMPLES]);
        let (mut over, mut began) = (Vec::new(), 0);
        for mut frame in pressed {
            tones.handle_frame(&mut frame, Popped::Frame, false);
            let news = tones.take_news();
            over.extend(
                news.ended
                    .map(|ended| (ended.pressed.digit.to_char(), ended.is_twin)),
            );
            if news.began.is_some() {
                began += 1;
                if began == 1 {
                    tones.mark_twin();
                }
            }
        }
        assert_eq!(over, [('1', true), ('2', false)]);
        assert!(!tones.is_twin());
    }

    #[test]
    fn audio_passes_as_it_comes_where_digits_do() {
        let mut tones = Tones::new();
        for frame in line("0#") {
            let mut given = frame;
            assert_eq!(
                tones.handle_frame(&mut given, Popped::Frame, false),
                Popped::Frame
            );
            assert_eq!(given, frame);
        }
    }
}
