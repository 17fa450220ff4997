//! The 20 ms tick: what speakers said is decoded once, then everyone who is sent something made here gets
//! their frame.

use std::time::Instant;

use super::grid::Tick;
use super::io::Io;
use super::{Shard, graph};
use crate::event::Event;
use crate::frame::FRAME_SAMPLES;
use crate::jitter::Pushed;
use crate::mixer::Mix;
use crate::stream::{Alone, Arrived, Content, DigitTick, Discard, PLAYS_MAX, Sink, Step, silence};

/// Samples of one frame.
pub type Frame = [i16; FRAME_SAMPLES];

/// Times one listener's sink may change within a tick: every play may end and every order be done.
const CHANGES_MAX: usize = 2 * PLAYS_MAX;

impl Shard {
    pub(super) fn handle_tick(&mut self, io: &mut impl Io, tick: Tick, now: Instant) {
        self.begin_recording_tick();
        self.decode(tick);
        self.take_tones(now);
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        due.extend_from_slice(&self.lists.ticking);
        for slot in &due {
            self.send_made(io, *slot, now);
        }
        self.due = due;
    }

    /// Keeps a copy of a packet for the speaker's next frames, if anyone needs them decoded.
    pub(super) fn keep_for_decoding(&mut self, slot: u32, arrived: &Arrived, payload: &[u8]) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let Some(playout) = &mut stream.playout else {
            return;
        };
        let Content::Audio { codec, .. } = arrived.content else {
            return;
        };
        match playout.push(arrived.verdict, arrived.header.time, codec, payload) {
            Pushed::Kept | Pushed::Odd | Pushed::Suspect => {}
            Pushed::Late | Pushed::Duplicate => {
                stream.inbound.discard(Discard::Late);
                self.metrics.counts.dropped_late += 1;
            }
        }
    }

    fn decode(&mut self, tick: Tick) {
        let mut at = 0;
        while let Some(slot) = self.lists.decoding.get(at).copied() {
            at += 1;
            self.decode_one(slot, tick);
        }
    }

    fn decode_one(&mut self, slot: u32, tick: Tick) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let Some(frame) = self.frames.get_mut(slot as usize) else {
            return;
        };
        let Some(playout) = &mut stream.playout else {
            return;
        };
        let mut popped = playout.pop(frame);
        if let Some(tones) = &mut stream.tones {
            popped = tones.handle_frame(frame, popped, !stream.pass_dtmf);
        }
        if !stream.tracks.is_empty() {
            self.record(slot, popped, tick);
        }
    }

    /// One tick of one stream, which came while this shard had done that tick already.
    pub(super) fn make_up_tick(&mut self, io: &mut impl Io, slot: u32, tick: Tick, now: Instant) {
        self.decode_one(slot, tick);
        self.take_tone(slot, now);
        if self.lists.ticking.binary_search(&slot).is_ok() {
            self.send_made(io, slot, now);
        }
    }

    /// Gives a listener its frame. Where a play or the digits end with it, what comes next begins at once.
    fn send_made(&mut self, io: &mut impl Io, slot: u32, now: Instant) {
        for _ in 0..CHANGES_MAX {
            let Some(stream) = self.slots.get(slot) else {
                return;
            };
            let is_settled = match stream.sink {
                Sink::Off => self.pass_time(slot),
                Sink::Relay { .. } => true,
                Sink::Silence => self.send_silence(io, slot, now),
                Sink::Play => self.send_play(io, slot, now),
                Sink::Mix => self.send_mix(io, slot, now),
                Sink::Digits => self.send_digits(io, slot, now),
            };
            if is_settled {
                return;
            }
            graph::resolve(&mut self.slots, &mut self.lists, slot);
        }
    }

    fn send_silence(&mut self, io: &mut impl Io, slot: u32, now: Instant) -> bool {
        if let Some((stream, mut way)) = self.way(io, slot, now)
            && let Some((format, _)) = stream.sendable()
        {
            match silence(format.codec) {
                Some(payload) => way.send_frame(stream, payload),
                None => way.send_samples(stream, &[0; FRAME_SAMPLES]),
            }
        }
        true
    }

    /// One play alone: its payload goes out from where it lies, the same for all who hear it.
    fn send_play(&mut self, io: &mut impl Io, slot: u32, now: Instant) -> bool {
        let Some((stream, mut way)) = self.way(io, slot, now) else {
            return true;
        };
        let Some((format, _)) = stream.sendable() else {
            return true;
        };
        let mut plays = std::mem::take(&mut stream.plays);
        let mut frame = [0; FRAME_SAMPLES];
        let mut happened = None;
        let send = |payload: &[u8]| way.send_frame(stream, payload);
        let given = plays.next_alone(format.codec, &mut frame, send, |step| happened = Some(step));
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.plays = plays;
        }
        if let Some(step) = happened {
            self.tell_step(step);
        }
        match given {
            Alone::Sent => true,
            Alone::Frame => self.send_samples(io, slot, &frame, now),
            Alone::Silent => self.send_silence(io, slot, now),
            Alone::Ended => false,
        }
    }

    /// Everyone in the row, and what plays.
    fn send_mix(&mut self, io: &mut impl Io, slot: u32, now: Instant) -> bool {
        let Some(stream) = self.slots.get(slot) else {
            return true;
        };
        if stream.sendable().is_none() {
            return true;
        }
        let mut mix = Mix::new();
        if !stream.plays.replaces() {
            for ear in &stream.row {
                let is_heard = self
                    .slots
                    .get(ear.slot)
                    .is_some_and(|speaker| speaker.voice().is_some() && !speaker.hides_tone_from(stream));
                if let Some(frame) = self.frames.get(ear.slot as usize).filter(|_| is_heard) {
                    mix.add(frame, ear.gain);
                }
            }
        }
        let has_ended = self.mix_plays(slot, &mut mix);
        let mut mixed = [0; FRAME_SAMPLES];
        if let Some(stream) = self.slots.get_mut(slot) {
            mix.finish(&mut stream.limiter, &mut mixed);
        }
        self.metrics.counts.mixed += 1;
        self.send_samples(io, slot, &mixed, now);
        if has_ended {
            graph::resolve(&mut self.slots, &mut self.lists, slot);
        }
        true
    }

    /// Adds what plays to a mix; whether a play ended with it.
    fn mix_plays(&mut self, slot: u32, mix: &mut Mix) -> bool {
        let Some(stream) = self.slots.get_mut(slot).filter(|stream| !stream.plays.is_empty()) else {
            return false;
        };
        // One layer each: started and ended are at most one step a layer.
        let mut happened = [None; 3];
        let mut places = happened.iter_mut();
        stream.plays.mix_next(mix, |step| {
            if let Some(place) = places.next() {
                *place = Some(step);
            }
        });
        let has_ended = happened.iter().any(|step| matches!(step, Some(Step::Ended(..))));
        happened
            .into_iter()
            .flatten()
            .for_each(|step| self.tell_step(step));
        has_ended
    }

    /// The clock of plays runs on while nothing may be sent, once something was agreed.
    fn pass_time(&mut self, slot: u32) -> bool {
        if self
            .slots
            .get(slot)
            .is_some_and(|stream| stream.config().is_some())
        {
            let has_ended = self.mix_plays(slot, &mut Mix::new());
            if has_ended {
                graph::resolve(&mut self.slots, &mut self.lists, slot);
            }
        }
        true
    }

    fn send_digits(&mut self, io: &mut impl Io, slot: u32, now: Instant) -> bool {
        let Some((stream, mut way)) = self.way(io, slot, now) else {
            return true;
        };
        let Some((format, to)) = stream.sendable() else {
            return true;
        };
        let units = FRAME_SAMPLES as u32 * format.codec.units_per_sample();
        let mut frame = [0; FRAME_SAMPLES];
        let time = stream.outbound.time_made(now);
        match stream.digits.tick(time, &mut frame) {
            DigitTick::Event {
                payload,
                time,
                marker,
            } => {
                let event_payload_type = stream.config().and_then(|config| config.event_payload_type);
                if let Some(payload_type) = event_payload_type {
                    let stamp = stream.outbound.stamp_digit(time, marker, units, now);
                    way.send(stream, payload_type, stamp, &payload, to);
                }
                true
            }
            DigitTick::Tone => self.send_samples(io, slot, &frame, now),
            DigitTick::Pause => self.send_silence(io, slot, now),
            DigitTick::Done(dtmf) => {
                if let Some(dtmf) = dtmf {
                    self.events.answer(Event::DtmfSent { dtmf });
                }
                false
            }
            DigitTick::Idle => false,
        }
    }

    fn send_samples(&mut self, io: &mut impl Io, slot: u32, frame: &Frame, now: Instant) -> bool {
        if let Some((stream, mut way)) = self.way(io, slot, now) {
            way.send_samples(stream, frame);
        }
        true
    }
}
