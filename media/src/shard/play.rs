//! Plays: started and ended by the engine, or over by themselves.

use super::{Shard, graph};
use crate::command::{PlayKey, PlayLayer, StreamKey};
use crate::event::{Event, PlayEnd};
use crate::player::Player;
use crate::stream::Step;

impl Shard {
    pub(super) fn start_play(
        &mut self,
        play: PlayKey,
        listener: StreamKey,
        layer: PlayLayer,
        player: Player,
    ) -> bool {
        let slot = self.slots.slot(listener);
        let is_started = match slot.and_then(|slot| self.slots.get_mut(slot)) {
            Some(stream) => stream.plays.start(play, layer, player),
            None => false,
        };
        let Some(slot) = slot.filter(|_| is_started) else {
            // Whoever waits for its end is not left waiting.
            let why = if slot.is_some() {
                PlayEnd::Stopped
            } else {
                PlayEnd::ListenerClosed
            };
            self.events.answer(Event::PlayEnded {
                play,
                why,
                position_ms: 0,
            });
            return false;
        };
        self.plays.insert(play, listener);
        graph::resolve(&mut self.slots, &mut self.lists, slot);
        true
    }

    pub(super) fn stop_play(&mut self, play: PlayKey) -> bool {
        let Some(slot) = self.listener_of(play) else {
            return false;
        };
        let Some(stream) = self.slots.get_mut(slot) else {
            return false;
        };
        let Some(position_ms) = stream.plays.stop(play) else {
            return false;
        };
        self.plays.remove(&play);
        self.events.answer(Event::PlayEnded {
            play,
            why: PlayEnd::Stopped,
            position_ms,
        });
        graph::resolve(&mut self.slots, &mut self.lists, slot);
        true
    }

    pub(super) fn pause_play(&mut self, play: PlayKey, is_paused: bool) -> bool {
        let Some(slot) = self.listener_of(play) else {
            return false;
        };
        let Some(stream) = self.slots.get_mut(slot) else {
            return false;
        };
        let is_there = stream.plays.pause(play, is_paused);
        graph::resolve(&mut self.slots, &mut self.lists, slot);
        is_there
    }

    /// Ends all plays of a listener that closes.
    pub(super) fn end_plays(&mut self, slot: u32, why: PlayEnd) {
        while let Some((play, position_ms)) = self
            .slots
            .get_mut(slot)
            .and_then(|stream| stream.plays.stop_any())
        {
            self.plays.remove(&play);
            self.events.answer(Event::PlayEnded {
                play,
                why,
                position_ms,
            });
        }
    }

    /// Lets the plays of a stream go with it.
    pub(super) fn release_plays(&mut self, slot: u32) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        for play in stream.plays.keys() {
            self.plays.remove(&play);
        }
    }

    /// Takes in the plays that came with a stream.
    pub(super) fn adopt_plays(&mut self, slot: u32) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        for play in stream.plays.keys() {
            self.plays.insert(play, stream.key());
        }
    }

    /// Tells what a tick did to a play.
    pub(super) fn tell_step(&mut self, step: Step) {
        match step {
            Step::Started(play) => self.events.tell(Event::PlayStarted { play }),
            Step::Ended(play, position_ms) => {
                self.plays.remove(&play);
                // Once for each play, so that it always fits: a play is answered by its end.
                self.events.answer(Event::PlayEnded {
                    play,
                    why: PlayEnd::Completed,
                    position_ms,
                });
            }
        }
    }

    fn listener_of(&self, play: PlayKey) -> Option<u32> {
        self.plays
            .get(&play)
            .and_then(|listener| self.slots.slot(*listener))
    }
}
