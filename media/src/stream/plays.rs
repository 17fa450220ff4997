//! What plays towards one listener: three layers, the newest of each is heard.
//!
//! An announcement ([`PlayLayer::Replace`]) stops the clock of the background and of older plays for its
//! length; then they go on where they were. Knows nothing of speech or packets.

use crate::command::{Codec, PlayKey, PlayLayer};
use crate::frame::FRAME_SAMPLES;
use crate::gain::Gain;
use crate::mixer::Mix;
use crate::player::{Played, Player};

use super::sink::Playing;

/// Plays of one listener at a time; a further one is refused.
pub const PLAYS_MAX: usize = 16;

/// All plays of one listener, oldest first.
#[derive(Debug, Default)]
pub struct Plays {
    running: Vec<Play>,
}

#[derive(Debug)]
struct Play {
    key: PlayKey,
    layer: PlayLayer,
    player: Player,
    is_paused: bool,
    is_started: bool,
}

/// What one tick did to a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its first frame was given.
    Started(PlayKey),
    /// Its last frame was given in the tick before; it is gone.
    Ended(PlayKey, u64),
}

/// What one tick gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// A payload, already sent.
    Sent,
    /// Samples, in the frame.
    Frame,
    /// Nothing: the play stands still.
    Silent,
    /// Nothing: the play is over. What is heard has changed.
    Ended,
}

impl Plays {
    /// Adds a play; false: too many.
    pub fn start(&mut self, key: PlayKey, layer: PlayLayer, player: Player) -> bool {
        if self.running.len() >= PLAYS_MAX {
            return false;
        }
        self.running.push(Play {
            key,
            layer,
            player,
            is_paused: false,
            is_started: false,
        });
        true
    }

    /// Ends a play; gives how far it came, milliseconds.
    pub fn stop(&mut self, key: PlayKey) -> Option<u64> {
        let place = self.running.iter().position(|play| play.key == key)?;
        Some(self.running.remove(place).player.position_ms())
    }

    /// Stops the clock of a play or lets it go on; false: it is not there.
    pub fn pause(&mut self, key: PlayKey, is_paused: bool) -> bool {
        let Some(play) = self.running.iter_mut().find(|play| play.key == key) else {
            return false;
        };
        play.is_paused = is_paused;
        play.player.set_paused(is_paused);
        true
    }

    /// Ends the oldest of all, for a listener that closes.
    pub fn stop_any(&mut self) -> Option<(PlayKey, u64)> {
        let key = self.running.first()?.key;
        Some((key, self.stop(key)?))
    }

    /// All that run.
    pub fn keys(&self) -> impl Iterator<Item = PlayKey> + '_ {
        self.running.iter().map(|play| play.key)
    }

    /// What is heard. A paused announcement keeps its place, in silence.
    pub fn playing(&self) -> Playing {
        let newest = |layer| self.running.iter().rev().find(|play| play.layer == layer);
        let sounds = |layer| newest(layer).is_some_and(|play| !play.is_paused);
        Playing {
            background: sounds(PlayLayer::Background),
            replace: newest(PlayLayer::Replace).is_some(),
            over: sounds(PlayLayer::Over),
        }
    }

    /// The next 20 ms of the one layer that is heard. A payload that lies ready goes straight to `send`.
    /// `step` is shown what happened.
    pub fn next_alone(
        &mut self,
        codec: Codec,
        frame: &mut [i16; FRAME_SAMPLES],
        send: impl FnOnce(&[u8]),
        mut step: impl FnMut(Step),
    ) -> Alone {
        let playing = self.playing();
        let layer = if playing.replace {
            PlayLayer::Replace
        } else if playing.background {
            PlayLayer::Background
        } else {
            PlayLayer::Over
        };
        let Some(place) = self.running.iter().rposition(|play| play.layer == layer) else {
            return Alone::Ended;
        };
        let Some(play) = self.running.get_mut(place) else {
            return Alone::Ended;
        };
        let given = match play.player.next(Some(codec), frame) {
            Played::Encoded(payload) => {
                send(payload);
                Alone::Sent
            }
            Played::Pcm => Alone::Frame,
            Played::Paused => Alone::Silent,
            Played::Ended => Alone::Ended,
        };
        self.note(place, given, &mut step);
        given
    }

    /// Adds the next 20 ms of every layer that is heard to `mix`. An announcement stands alone but for what
    /// plays over it.
    pub fn mix_next(&mut self, mix: &mut Mix, mut step: impl FnMut(Step)) {
        let playing = self.playing();
        let heard = [
            (playing.replace, PlayLayer::Replace),
            (playing.background && !playing.replace, PlayLayer::Background),
            (playing.over, PlayLayer::Over),
        ];
        let mut frame = [0; FRAME_SAMPLES];
        for (_, layer) in heard.into_iter().filter(|(is_heard, _)| *is_heard) {
            let Some(place) = self.running.iter().rposition(|play| play.layer == layer) else {
                continue;
            };
            let Some(play) = self.running.get_mut(place) else {
                continue;
            };
            let given = match play.player.next(None, &mut frame) {
                Played::Pcm | Played::Encoded(_) => Alone::Frame,
                Played::Paused => Alone::Silent,
                Played::Ended => Alone::Ended,
            };
            if given == Alone::Frame {
                mix.add(&frame, Gain::UNITY);
            }
            self.note(place, given, &mut step);
        }
    }

    /// Whether an announcement plays: speech and background wait.
    pub fn replaces(&self) -> bool {
        self.running.iter().any(|play| play.layer == PlayLayer::Replace)
    }

    /// Whether there is any play, heard or not.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Remembers that a play has started, and lets go of one that is over.
    fn note(&mut self, place: usize, given: Alone, step: &mut impl FnMut(Step)) {
        match given {
            Alone::Sent | Alone::Frame => {
                if let Some(play) = self.running.get_mut(place).filter(|play| !play.is_started) {
                    play.is_started = true;
                    step(Step::Started(play.key));
                }
            }
            Alone::Silent => {}
            Alone::Ended => {
                let play = self.running.remove(place);
                step(Step::Ended(play.key, play.player.position_ms()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Source;

    fn silence(ms: u32) -> Player {
        Player::new(vec![Source::Silence(ms)], false, 0.0)
    }

    fn run(plays: &mut Plays, ticks: usize) -> Vec<(usize, Step)> {
        let mut steps = Vec::new();
        for tick in 0..ticks {
            while !plays.is_empty() {
                let mut frame = [0; FRAME_SAMPLES];
                let given =
                    plays.next_alone(Codec::Pcmu, &mut frame, |_| {}, |step| steps.push((tick, step)));
                if given != Alone::Ended {
                    break;
                }
            }
        }
        steps
    }

    #[test]
    fn an_announcement_stops_the_music_for_its_length() {
        let mut plays = Plays::default();
        plays.start(PlayKey(1), PlayLayer::Background, silence(100));
        assert_eq!(run(&mut plays, 2), [(0, Step::Started(PlayKey(1)))]);
        plays.start(PlayKey(2), PlayLayer::Replace, silence(60));
        let steps = run(&mut plays, 10);
        let expected = [
            (0, Step::Started(PlayKey(2))),
            (3, Step::Ended(PlayKey(2), 60)),
            (6, Step::Ended(PlayKey(1), 100)),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn the_newest_of_a_layer_is_heard_and_the_older_goes_on_after_it() {
        let mut plays = Plays::default();
        plays.start(PlayKey(1), PlayLayer::Replace, silence(40));
        plays.start(PlayKey(2), PlayLayer::Replace, silence(20));
        let steps: Vec<_> = run(&mut plays, 5).into_iter().map(|(_, step)| step).collect();
        let expected = [
            Step::Started(PlayKey(2)),
            Step::Ended(PlayKey(2), 20),
            Step::Started(PlayKey(1)),
            Step::Ended(PlayKey(1), 40),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_paused_announcement_keeps_its_place_and_paused_music_does_not() {
        let mut plays = Plays::default();
        plays.start(PlayKey(1), PlayLayer::Background, silence(100));
        plays.start(PlayKey(2), PlayLayer::Replace, silence(100));
        assert!(plays.pause(PlayKey(1), true) && plays.pause(PlayKey(2), true));
        assert_eq!(
            plays.playing(),
            Playing {
                background: false,
                replace: true,
                over: false
            }
        );
        assert_eq!(run(&mut plays, 50), []);
        assert_eq!(plays.stop(PlayKey(2)), Some(0));
        assert!(!plays.pause(PlayKey(2), false));
    }

    #[test]
    fn one_more_than_the_limit_is_refused() {
        let mut plays = Plays::default();
        for key in 0..PLAYS_MAX as u64 {
            assert!(plays.start(PlayKey(key), PlayLayer::Over, silence(20)));
        }
        assert!(!plays.start(PlayKey(99), PlayLayer::Over, silence(20)));
    }
}
