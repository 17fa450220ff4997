//! The 20 ms tick: what speakers said is decoded once, then everyone who is sent something made here gets
//! their frame.

use std::time::Instant;

use super::config::ROW_MAX;
use super::io::Io;
use super::{Shard, graph};
use crate::codec::Encoder;
use crate::frame::FRAME_SAMPLES;
use crate::packet::Buf;
use crate::stream::{Arrived, Content, Sink, silence};

/// Samples of one frame.
pub type Frame = [i16; FRAME_SAMPLES];

impl Shard {
    pub(super) fn handle_tick(&mut self, io: &mut impl Io, now: Instant) {
        self.decode();
        let mut at = 0;
        while let Some(slot) = self.lists.ticking.get(at).copied() {
            self.send_made(io, slot, now);
            at += 1;
        }
        while let Some(slot) = self.changed.pop() {
            graph::resolve(&mut self.slots, &mut self.lists, slot);
        }
    }

    /// Keeps a copy of a packet for the speaker's next frames, if anyone needs them decoded.
    pub(super) fn keep_for_decoding(&mut self, slot: u32, arrived: &Arrived, buf: &Buf) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let Some(playout) = &mut stream.playout else {
            return;
        };
        let Content::Audio { codec, .. } = arrived.content else {
            return;
        };
        let packet = self.pool.packet(buf);
        let payload = packet
            .get(arrived.payload_at..arrived.payload_end)
            .unwrap_or_default();
        playout.push(arrived.verdict, arrived.header.time, codec, payload);
    }

    fn decode(&mut self) {
        for slot in &self.lists.decoding {
            let Some(stream) = self.slots.get_mut(*slot) else {
                continue;
            };
            let Some(frame) = self.frames.get_mut(*slot as usize) else {
                continue;
            };
            if let Some(playout) = &mut stream.playout {
                playout.pop(frame);
            }
        }
    }

    fn send_made(&mut self, io: &mut impl Io, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        match stream.sink {
            Sink::Off | Sink::Relay { .. } => {}
            Sink::Silence => {
                let Some((stream, mut way)) = self.way(io, slot, now) else {
                    return;
                };
                if let Some((format, _)) = stream.sendable() {
                    way.send_frame(stream, silence(format.codec));
                }
            }
            Sink::Mix => self.send_mix(io, slot, now),
            Sink::Play | Sink::Digits => {}
        }
    }

    fn send_mix(&mut self, io: &mut impl Io, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        let Some((format, _)) = stream.sendable() else {
            return;
        };
        let mut sum = [0i32; FRAME_SAMPLES];
        for ear in stream.row.iter().take(ROW_MAX) {
            let is_heard = self
                .slots
                .get(ear.slot)
                .is_some_and(|speaker| speaker.voice().is_some());
            let Some(frame) = self.frames.get(ear.slot as usize).filter(|_| is_heard) else {
                continue;
            };
            for (place, sample) in sum.iter_mut().zip(frame) {
                *place += ear.gain.apply(*sample);
            }
        }
        let mut mixed = [0i16; FRAME_SAMPLES];
        for (place, sample) in mixed.iter_mut().zip(sum) {
            *place = sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
        let mut payload = [0u8; FRAME_SAMPLES];
        Encoder::new(format.codec).encode(&mixed, &mut payload);
        self.metrics.counts.mixed += 1;
        if let Some((stream, mut way)) = self.way(io, slot, now) {
            way.send_frame(stream, &payload);
        }
    }
}
