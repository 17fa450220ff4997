//! A packet made here, on its way out.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::Shard;
use super::events::Events;
use super::io::{Channel, Io, Socket};
use super::metrics::Counts;
use crate::event::Event;
use crate::frame::FRAME_SAMPLES;
use crate::packet::Buf;
use crate::rtp::Header;
use crate::stream::{Sealed, Stamp, Stream};

/// Longest packet of Opus sent: 60 ms at twice its bit rate.
const FRAMED_BYTES_MAX: usize = 360;

/// Everything sending needs besides the stream.
pub(super) struct Way<'a, I> {
    pub io: &'a mut I,
    pub events: &'a mut Events,
    pub counts: &'a mut Counts,
    pub slot: u32,
    pub now: Instant,
}

impl<I: Io> Way<'_, I> {
    /// Encodes and sends one frame.
    pub fn send_samples(&mut self, stream: &mut Stream, frame: &[i16; FRAME_SAMPLES]) {
        if stream.encoder.codec().is_framed() {
            return self.send_framed(stream, frame);
        }
        let mut payload = [0; FRAME_SAMPLES];
        stream.encoder.encode(frame, &mut payload);
        self.send_frame(stream, &payload);
    }

    /// Encodes and sends the packets that a frame completes, of a codec that encodes only whole ones.
    fn send_framed(&mut self, stream: &mut Stream, frame: &[i16; FRAME_SAMPLES]) {
        let Some((format, to)) = stream.sendable() else {
            return;
        };
        stream.samples.push(frame);
        let mut index = 0;
        while let Some(samples) = stream.samples.packet(index, format.ptime_ms) {
            let mut payload = [0; FRAMED_BYTES_MAX];
            let length = stream.encoder.encode(samples, &mut payload);
            let units = samples.len() as u32 * format.codec.units_per_sample();
            if let Some(payload) = payload.get(..length).filter(|payload| !payload.is_empty()) {
                self.send_payload(stream, payload, units, to);
            }
            index += 1;
        }
        stream.samples.drop_full(format.ptime_ms);
    }

    /// Sends one frame of 20 ms, or what it completes. A frame that is a packet is sent from where it lies.
    pub fn send_frame(&mut self, stream: &mut Stream, frame: &[u8]) {
        let Some((format, to)) = stream.sendable() else {
            return;
        };
        if stream.packer.passes(format.ptime_ms) {
            self.send_payload(stream, frame, frame.len() as u32, to);
            return;
        }
        self.counts.payload_copies += 1;
        stream.packer.push(frame);
        let packer = std::mem::take(&mut stream.packer);
        let mut index = 0;
        while let Some(payload) = packer.packet(index, format.ptime_ms) {
            self.send_payload(stream, payload, payload.len() as u32, to);
            index += 1;
        }
        stream.packer = packer;
        stream.packer.drop_full(format.ptime_ms);
    }

    fn send_payload(&mut self, stream: &mut Stream, payload: &[u8], units: u32, to: SocketAddr) {
        let Some(payload_type) = stream.config().map(|config| config.payload_type) else {
            return;
        };
        let stamp = stream.outbound.stamp_made(units, self.now);
        self.send(stream, payload_type, stamp, payload, to);
    }

    /// Sends one packet.
    pub fn send(
        &mut self,
        stream: &mut Stream,
        payload_type: u8,
        stamp: Stamp,
        payload: &[u8],
        to: SocketAddr,
    ) {
        let header = Header {
            marker: stamp.marker,
            payload_type,
            seq: stamp.sequence,
            time: stamp.time,
            ssrc: stamp.ssrc,
        };
        let from = Socket {
            slot: self.slot,
            channel: Channel::Rtp,
        };
        let header = header.to_bytes();
        let sent = hand_out(stream, self.io, self.counts, from, (&header, payload), to);
        let is_sent = sent.unwrap_or(false);
        self.note_sent(stream, payload.len(), is_sent);
    }

    /// Counts a packet, and tells of the first since the last configuration.
    pub fn note_sent(&mut self, stream: &mut Stream, payload_bytes: usize, is_sent: bool) {
        stream.count_sent(payload_bytes, is_sent);
        if !is_sent {
            self.counts.send_failed += 1;
            return;
        }
        self.counts.packets_out += 1;
        if !stream.watch.sending_told {
            stream.watch.sending_told = true;
            self.events.tell(Event::Sending { stream: stream.key() });
        }
    }
}

/// Hands an RTP packet in two pieces to the kernel, encrypted where the stream is; none: it was sent before.
pub(super) fn hand_out(
    stream: &mut Stream,
    io: &mut impl Io,
    counts: &mut Counts,
    from: Socket,
    (header, payload): (&[u8], &[u8]),
    to: SocketAddr,
) -> Option<bool> {
    match stream.protect_rtp(header, payload) {
        Sealed::Clear => Some(io.send(from, header, payload, to)),
        Sealed::Packet(sealed) => {
            counts.payload_copies += 1;
            Some(io.send(from, &sealed, &[], to))
        }
        Sealed::Nothing => None,
    }
}

/// Hands a received packet to the kernel from where it lies, encrypted where the stream is; none: it was sent before.
pub(super) fn pass_on(
    stream: &mut Stream,
    io: &mut impl Io,
    counts: &mut Counts,
    from: Socket,
    (buf, part): (&Buf, Range<usize>),
    to: SocketAddr,
) -> Option<bool> {
    let packet = io.packet(buf).get(part.clone()).unwrap_or_default();
    match stream.protect_rtp(packet, &[]) {
        Sealed::Clear => Some(io.relay(from, buf, part, to)),
        Sealed::Packet(sealed) => {
            counts.payload_copies += 1;
            Some(io.send(from, &sealed, &[], to))
        }
        Sealed::Nothing => None,
    }
}

impl Shard {
    /// A stream with the way its packets take.
    pub(super) fn way<'a, I: Io>(
        &'a mut self,
        io: &'a mut I,
        slot: u32,
        now: Instant,
    ) -> Option<(&'a mut Stream, Way<'a, I>)> {
        let stream = self.slots.get_mut(slot)?;
        let way = Way {
            io,
            events: &mut self.events,
            counts: &mut self.metrics.counts,
            slot,
            now,
        };
        Some((stream, way))
    }
}
