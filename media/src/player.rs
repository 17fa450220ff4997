//! One running play: a row of sounds, tones and silences, a frame at a time.
//!
//! Sounds are shared by all who hear them; at gain 0 their payload bytes are handed out as they lie, so hold
//! music costs a listener neither decoding nor encoding. Knows nothing of layers, listeners or packets.

use crate::codec::Codec;
use crate::command::Source;
use crate::frame::{FRAME_SAMPLES, SAMPLES_PER_MS, ms_of_samples, samples_of_ms};
use crate::gain::Gain;
use crate::tone;

/// A play and how far it came.
#[derive(Clone, Debug)]
pub struct Player {
    sources: Vec<Source>,
    repeats: bool,
    gain: Gain,
    is_paused: bool,
    /// Which piece.
    piece: usize,
    /// Samples done of the piece.
    offset: u64,
    /// Samples done of the play.
    position: u64,
}

/// What one tick of a play gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played<'a> {
    /// 160 payload bytes in the codec asked for.
    Encoded(&'a [u8]),
    /// The frame was written.
    Pcm,
    /// The play stands still; the frame was not written.
    Paused,
    /// Nothing was left; the frame was not written.
    Ended,
}

impl Player {
    /// At its start.
    pub fn new(sources: Vec<Source>, repeats: bool, gain_db: f32) -> Player {
        let gain = Gain::from_db(gain_db);
        Player {
            sources,
            repeats,
            gain,
            is_paused: false,
            piece: 0,
            offset: 0,
            position: 0,
        }
    }

    /// Goes on to `ms` after its start without a sound, as if that had been heard.
    pub fn skip(&mut self, ms: u64) {
        let mut left = ms.saturating_mul(SAMPLES_PER_MS);
        self.position += left;
        if let Some(round) = self.length().filter(|round| self.repeats && *round > 0) {
            left %= round;
        }
        while let Some(source) = self.sources.get(self.piece) {
            match source.length() {
                Some(length) if length <= left => {
                    left -= length;
                    self.piece += 1;
                }
                Some(_) | None => break,
            }
        }
        self.offset = left;
    }

    /// Samples of one round; `None`: it never ends by itself.
    fn length(&self) -> Option<u64> {
        self.sources.iter().map(Source::length).sum()
    }

    /// Stops the play's clock, or lets it go on.
    pub fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// How far the play came, milliseconds of its own clock; repeats count on.
    pub fn position_ms(&self) -> u64 {
        ms_of_samples(self.position)
    }

    /// The next 20 ms. With `codec` the payload is given where it lies ready; without, and wherever pieces
    /// meet, samples are written to `frame`. A last part shorter than a frame is filled up with silence.
    pub fn next(&mut self, codec: Option<Codec>, frame: &mut [i16; FRAME_SAMPLES]) -> Played<'_> {
        if self.is_paused {
            return Played::Paused;
        }
        if let Some(codec) = codec
            && self.has_ready_frame(codec)
        {
            return self.ready_frame(codec);
        }
        let written = self.write(frame);
        if written == 0 {
            return Played::Ended;
        }
        if let Some(rest) = frame.get_mut(written..) {
            rest.fill(0);
        }
        self.gain.apply_in_place(frame);
        Played::Pcm
    }

    fn has_ready_frame(&self, codec: Codec) -> bool {
        if !self.gain.is_unity() {
            return false;
        }
        match self.sources.get(self.piece) {
            Some(Source::Sound(sound)) => sound
                .encoded(codec)
                .is_some_and(|payload| self.offset + FRAME_SAMPLES as u64 <= payload.len() as u64),
            Some(Source::Tone(_) | Source::Silence(_)) | None => false,
        }
    }

    fn ready_frame(&mut self, codec: Codec) -> Played<'_> {
        let Some(Source::Sound(sound)) = self.sources.get(self.piece) else {
            return Played::Ended;
        };
        let start = self.offset as usize;
        let payload = sound
            .encoded(codec)
            .and_then(|payload| payload.get(start..start + FRAME_SAMPLES));
        let Some(payload) = payload else {
            return Played::Ended;
        };
        self.offset += FRAME_SAMPLES as u64;
        self.position += FRAME_SAMPLES as u64;
        Played::Encoded(payload)
    }

    /// Writes what is left, up to a frame, going from piece to piece.
    fn write(&mut self, frame: &mut [i16; FRAME_SAMPLES]) -> usize {
        let mut written = 0;
        // A round that gives nothing must not be repeated for ever.
        let mut has_given = true;
        while let Some(rest) = frame.get_mut(written..).filter(|rest| !rest.is_empty()) {
            let Some(source) = self.sources.get(self.piece) else {
                if !self.repeats || !has_given {
                    break;
                }
                (self.piece, self.offset, has_given) = (0, 0, false);
                continue;
            };
            let given = render(source, self.offset, rest);
            has_given |= given > 0;
            written += given;
            self.offset += given as u64;
            self.position += given as u64;
            if written < FRAME_SAMPLES {
                self.piece += 1;
                self.offset = 0;
            }
        }
        written
    }
}

/// Writes one piece's samples from `offset` on and says how many; fewer than asked only where it ends.
fn render(source: &Source, offset: u64, samples: &mut [i16]) -> usize {
    match source {
        Source::Sound(sound) => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let left = sound.pcm().get(start..).unwrap_or_default();
            let given = left.len().min(samples.len());
            for (sample, source) in samples.iter_mut().zip(left) {
                *sample = *source;
            }
            given
        }
        Source::Tone(tone) => tone::render(tone, offset, samples),
        Source::Silence(ms) => {
            let left = samples_of_ms(*ms).saturating_sub(offset);
            let given = usize::try_from(left).unwrap_or(usize::MAX).min(samples.len());
            samples.iter_mut().take(given).for_each(|sample| *sample = 0);
            given
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::g711;
    use crate::command::Tone;
    use crate::sound::Sound;
    use crate::tone::tests::level_at;

    fn sound(samples: impl Iterator<Item = i16>) -> Source {
        Source::Sound(Arc::new(Sound::from_pcm(samples.collect())))
    }

    fn tone(duration_ms: Option<u32>) -> Source {
        let frequencies_hz = (1000.0, 0.0);
        Source::Tone(Tone {
            frequencies_hz,
            level_dbov: -20.0,
            cadence_ms: Vec::new(),
            duration_ms,
        })
    }

    fn play_all(player: &mut Player) -> Vec<i16> {
        let mut heard = Vec::new();
        let mut frame = [0; FRAME_SAMPLES];
        while player.next(None, &mut frame) == Played::Pcm {
            heard.extend(frame);
            assert!(heard.len() < 1_000_000);
        }
        heard
    }

    #[test]
    fn whole_frames_of_a_sound_are_handed_out_as_they_lie() {
        let mut player = Player::new(vec![sound((0..400).map(|n| n * 50))], false, 0.0);
        let mut frame = [7; FRAME_SAMPLES];
        for start in [0i16, 160] {
            let mut expected = [0; FRAME_SAMPLES];
            let samples: Vec<i16> = (start..start + 160).map(|n| n * 50).collect();
            g711::encode_alaw(&samples, &mut expected);
            assert_eq!(
                player.next(Some(Codec::Pcma), &mut frame),
                Played::Encoded(&expected)
            );
        }
        assert_eq!(frame, [7; FRAME_SAMPLES]);
        assert_eq!(player.next(Some(Codec::Pcma), &mut frame), Played::Pcm);
        assert_eq!((frame[0], frame[79], frame[80]), (320 * 50, 399 * 50, 0));
        assert_eq!(player.next(Some(Codec::Pcma), &mut frame), Played::Ended);
        assert_eq!(player.position_ms(), 50);
    }

    #[test]
    fn pieces_follow_without_a_gap() {
        let sources = vec![
            sound((0..100).map(|_| 5)),
            Source::Silence(10),
            sound((0..300).map(|_| 6)),
        ];
        let heard = play_all(&mut Player::new(sources, false, 0.0));
        assert!(heard[..100].iter().all(|s| *s == 5));
        assert!(heard[100..180].iter().all(|s| *s == 0));
        assert!(heard[180..480].iter().all(|s| *s == 6));
    }

    #[test]
    fn repeats_join_without_a_gap_and_the_clock_counts_on() {
        let mut player = Player::new(vec![sound((0..200).map(|n| n + 1))], true, 0.0);
        let mut heard = Vec::new();
        let mut frame = [0; FRAME_SAMPLES];
        for _ in 0..10 {
            assert_eq!(player.next(None, &mut frame), Played::Pcm);
            heard.extend(frame);
        }
        assert!(heard.iter().enumerate().all(|(n, s)| *s == (n % 200) as i16 + 1));
        assert_eq!(player.position_ms(), 200);
    }

    #[test]
    fn an_empty_play_ends_even_when_repeated() {
        let mut frame = [0; FRAME_SAMPLES];
        for sources in [
            vec![],
            vec![Source::Silence(0)],
            vec![sound(std::iter::empty()), tone(Some(0))],
        ] {
            let mut player = Player::new(sources, true, 0.0);
            assert_eq!(player.next(Some(Codec::Pcmu), &mut frame), Played::Ended);
        }
    }

    #[test]
    fn a_paused_play_stands_still() {
        let mut player = Player::new(vec![sound(0..320)], false, 0.0);
        let mut frame = [0; FRAME_SAMPLES];
        player.next(None, &mut frame);
        player.set_paused(true);
        for _ in 0..5 {
            assert_eq!(player.next(None, &mut frame), Played::Paused);
        }
        assert_eq!(player.position_ms(), 20);
        player.set_paused(false);
        player.next(None, &mut frame);
        assert_eq!(frame[0], 160);
    }

    #[test]
    fn what_is_skipped_counts_as_heard() {
        let sources = || vec![sound(0..320), Source::Silence(20), sound(320..640)];
        let mut player = Player::new(sources(), false, 0.0);
        player.skip(70);
        assert_eq!(player.position_ms(), 70);
        assert_eq!(play_all(&mut player)[..2], [400, 401]);
        let mut beyond = Player::new(sources(), false, 0.0);
        beyond.skip(101);
        assert_eq!(play_all(&mut beyond), []);
        let mut rounds = Player::new(sources(), true, 0.0);
        rounds.skip(100 * 7 + 10);
        let mut frame = [0; FRAME_SAMPLES];
        rounds.next(None, &mut frame);
        assert_eq!(frame[..2], [80, 81]);
        let mut endless = Player::new(vec![tone(None)], false, 0.0);
        endless.skip(1_000_000);
        assert_eq!(endless.next(None, &mut frame), Played::Pcm);
    }

    #[test]
    fn gain_goes_through_samples() {
        let mut player = Player::new(vec![sound((0..160).map(|_| 1000))], false, -20.0);
        let mut frame = [0; FRAME_SAMPLES];
        assert_eq!(player.next(Some(Codec::Pcmu), &mut frame), Played::Pcm);
        assert_eq!(frame, [100; FRAME_SAMPLES]);
    }

    #[test]
    fn a_tone_runs_until_stopped_or_for_its_duration() {
        let heard = play_all(&mut Player::new(vec![tone(Some(500))], false, 0.0));
        assert_eq!(heard.len(), 4000);
        assert!((level_at(1000.0, &heard) + 20.0).abs() < 0.05);
        let mut endless = Player::new(vec![tone(None)], false, 0.0);
        let mut frame = [0; FRAME_SAMPLES];
        for _ in 0..1000 {
            assert_eq!(endless.next(Some(Codec::Pcmu), &mut frame), Played::Pcm);
        }
        assert_eq!(endless.position_ms(), 20_000);
    }
}
