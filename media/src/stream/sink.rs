//! What a stream sends: decided when signalling, plays or digits change, never per packet.
//!
//! A pure function of who is heard, what plays and what may be sent.

use crate::command::{Codec, StreamKey};
use crate::gain::Gain;

/// What feeds the packets a stream sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sink {
    /// Nothing is sent: held by the peer, or nothing is agreed yet.
    #[default]
    Off,
    /// One speaker's packets, only their headers rewritten.
    Relay {
        /// The speaker's slot.
        speaker: u32,
    },
    /// A frame of speech and plays together every 20 ms.
    Mix,
    /// One play alone.
    Play,
    /// Digits, until all are sent; audio waits.
    Digits,
    /// Silence: RTP goes on.
    Silence,
}

/// One speaker in a listener's row, resolved to its slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ear {
    /// The speaker.
    pub speaker: StreamKey,
    /// Its slot.
    pub slot: u32,
    /// How loud.
    pub gain: Gain,
}

/// What must agree for packets to pass from a speaker to a listener as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// Milliseconds a packet.
    pub ptime_ms: u8,
}

/// A speaker as its listener meets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Voice {
    /// Its slot.
    pub slot: u32,
    /// How loud it is heard.
    pub gain: Gain,
    /// What it sends.
    pub format: Format,
    /// Its packets may pass as they are.
    pub as_it_is: bool,
}

/// What plays towards a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playing {
    /// Under speech.
    pub background: bool,
    /// Instead of everything.
    pub replace: bool,
    /// Over whatever else is heard.
    pub over: bool,
}

/// All that decides.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the listener is sent; none: nothing may be.
    pub format: Option<Format>,
    /// Digits are under way.
    pub digits: bool,
    /// What plays.
    pub playing: Playing,
    /// Speakers that may be received, of the listener's row.
    pub voices: &'a [Voice],
}

impl Situation<'_> {
    /// Decides.
    pub fn sink(&self) -> Sink {
        let Some(format) = self.format else {
            return Sink::Off;
        };
        if self.digits {
            return Sink::Digits;
        }
        let Playing {
            background,
            replace,
            over,
        } = self.playing;
        if replace {
            return if over { Sink::Mix } else { Sink::Play };
        }
        match (self.voices, background, over) {
            ([], false, false) => Sink::Silence,
            ([], true, false) | ([], false, true) => Sink::Play,
            ([one], false, false) if one.as_it_is && one.gain.is_unity() && one.format == format => {
                Sink::Relay { speaker: one.slot }
            }
            _ => Sink::Mix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MU_20: Format = Format {
        codec: Codec::Pcmu,
        ptime_ms: 20,
    };
    const NOTHING: Playing = Playing {
        background: false,
        replace: false,
        over: false,
    };
    const MUSIC: Playing = Playing {
        background: true,
        ..NOTHING
    };
    const PROMPT: Playing = Playing {
        replace: true,
        ..NOTHING
    };
    const BEEP: Playing = Playing {
        over: true,
        ..NOTHING
    };

    fn voice(slot: u32) -> Voice {
        Voice {
            slot,
            gain: Gain::UNITY,
            format: MU_20,
            as_it_is: true,
        }
    }

    fn sink(playing: Playing, voices: &[Voice]) -> Sink {
        Situation {
            format: Some(MU_20),
            digits: false,
            playing,
            voices,
        }
        .sink()
    }

    #[test]
    fn one_equal_speaker_alone_is_relayed() {
        assert_eq!(sink(NOTHING, &[voice(3)]), Sink::Relay { speaker: 3 });
    }

    #[test]
    fn anything_unequal_or_beside_it_is_mixed() {
        let quiet = Voice {
            gain: Gain::from_db(-6.0),
            ..voice(1)
        };
        let a_law = Voice {
            format: Format {
                codec: Codec::Pcma,
                ..MU_20
            },
            ..voice(1)
        };
        let long = Voice {
            format: Format {
                ptime_ms: 40,
                ..MU_20
            },
            ..voice(1)
        };
        let guarded = Voice {
            as_it_is: false,
            ..voice(1)
        };
        for voices in [
            vec![quiet],
            vec![a_law],
            vec![long],
            vec![guarded],
            vec![voice(1), voice(2)],
        ] {
            assert_eq!(sink(NOTHING, &voices), Sink::Mix, "{voices:?}");
        }
        assert_eq!(sink(MUSIC, &[voice(1)]), Sink::Mix);
        assert_eq!(sink(BEEP, &[voice(1)]), Sink::Mix);
    }

    #[test]
    fn an_announcement_replaces_speech_and_music() {
        let all = Playing {
            background: true,
            ..PROMPT
        };
        for voices in [vec![], vec![voice(1)], vec![voice(1), voice(2)]] {
            assert_eq!(sink(PROMPT, &voices), Sink::Play);
            assert_eq!(sink(all, &voices), Sink::Play);
        }
        assert_eq!(sink(Playing { over: true, ..PROMPT }, &[]), Sink::Mix);
    }

    #[test]
    fn an_empty_row_is_silence_or_the_play() {
        assert_eq!(sink(NOTHING, &[]), Sink::Silence);
        assert_eq!(sink(MUSIC, &[]), Sink::Play);
        assert_eq!(sink(BEEP, &[]), Sink::Play);
        assert_eq!(sink(Playing { over: true, ..MUSIC }, &[]), Sink::Mix);
    }

    #[test]
    fn digits_go_before_audio_and_nothing_goes_where_nothing_may() {
        let speech = [voice(1)];
        let mut situation = Situation {
            format: Some(MU_20),
            digits: true,
            playing: PROMPT,
            voices: &speech,
        };
        assert_eq!(situation.sink(), Sink::Digits);
        situation.format = None;
        assert_eq!(situation.sink(), Sink::Off);
    }
}
