//! A datagram's way through a shard: in, judged, passed on from the buffer it came in.

use std::net::SocketAddr;
use std::time::Instant;

use super::io::{Channel, Io, Socket};
use super::send::{Way, hand_out};
use super::wheel::Kind;
use super::{Shard, graph};
use crate::command::DigitForm;
use crate::event::Event;
use crate::packet::Buf;
use crate::rtp::{Header, Verdict};
use crate::stream::{Arrived, Content, Discard, Relayed, Sink};

impl Shard {
    /// Reads every ready socket.
    pub(super) fn receive(&mut self, io: &mut impl Io, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        io.ready(&mut ready);
        for socket in &ready {
            self.receive_from(io, *socket, now);
        }
        self.ready = ready;
    }

    fn receive_from(&mut self, io: &mut impl Io, socket: Socket, now: Instant) {
        loop {
            let Some(mut buf) = self.pool.take() else {
                // Nothing is read: the kernel drops what does not fit its buffer.
                self.metrics.counts.dropped_pool += 1;
                return;
            };
            let received = io.receive(socket, self.pool.room_mut(&buf));
            let Some((len, from)) = received else {
                self.pool.give(buf);
                return;
            };
            buf.set_len(len);
            match socket.channel {
                Channel::Rtp => self.handle_rtp(io, socket.slot, &mut buf, from, now),
                Channel::Rtcp => self.handle_rtcp(socket.slot, &buf, from, now),
            }
            self.pool.give(buf);
        }
    }

    fn handle_rtp(&mut self, io: &mut impl Io, slot: u32, buf: &mut Buf, from: SocketAddr, now: Instant) {
        self.metrics.counts.packets_in += 1;
        let arrival = self.arrival(now);
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let opened = stream.unprotect_rtp(self.pool.packet(buf), from, now);
        let judged = opened.and_then(|opened| {
            if let Some(packet) = opened {
                self.pool.replace(buf, &packet);
            }
            stream
                .inbound
                .handle_rtp(self.pool.packet(buf), from, arrival, now)
        });
        let arrived = match judged {
            Ok(arrived) => arrived,
            Err(why) => {
                self.metrics.counts.count_drop(why);
                return;
            }
        };
        // A learned source opens the way back; another codec may end a relay.
        let found_way = stream.sink == Sink::Off && stream.sendable().is_some();
        let watch = &mut stream.watch;
        if !watch.receiving_told || watch.is_silent {
            self.tell_heard(slot, now);
        }
        if found_way {
            graph::resolve(&mut self.slots, &mut self.lists, slot);
        }
        match arrived.content {
            Content::Audio { is_change, .. } => {
                if is_change {
                    graph::resolve_listeners(&mut self.slots, &mut self.lists, slot);
                }
                self.keep_for_decoding(slot, &arrived, buf);
                self.relay(io, slot, &arrived, buf, now);
            }
            Content::Event => self.handle_event(io, slot, &arrived, buf, now),
        }
    }

    /// Sends a packet to every listener that gets it as it is: the header is written in front of the
    /// payload in the receive buffer, once for each.
    pub(super) fn relay(&mut self, io: &mut impl Io, slot: u32, arrived: &Arrived, buf: &Buf, now: Instant) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let samples = match arrived.content {
            Content::Audio { codec, .. } => {
                let packet = self.pool.packet(buf);
                codec.units_per_sample()
                    * codec.samples_in(
                        packet
                            .get(arrived.payload_at..arrived.payload_end)
                            .unwrap_or_default(),
                    ) as u32
            }
            Content::Event => 0,
        };
        let packet = Relayed {
            speaker: slot,
            ssrc: arrived.header.ssrc,
            sequence: arrived.header.seq,
            time: arrived.header.time,
            samples,
            marker: arrived.header.marker,
            is_first: matches!(arrived.verdict, Verdict::Restart(_)),
        };
        let listeners = std::mem::take(&mut stream.relay_to);
        for listener in &listeners {
            self.relay_one(io, *listener, &packet, arrived, buf, now);
        }
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.relay_to = listeners;
        }
    }

    fn relay_one(
        &mut self,
        io: &mut impl Io,
        listener: u32,
        packet: &Relayed,
        arrived: &Arrived,
        buf: &Buf,
        now: Instant,
    ) {
        let Some(stream) = self.slots.get_mut(listener) else {
            return;
        };
        let Some(to) = stream.inbound.destination() else {
            return;
        };
        let payload_type = stream.config().map(|config| match arrived.content {
            Content::Audio { .. } => Some(config.payload_type),
            Content::Event => config
                .event_payload_type
                .filter(|_| config.digits == DigitForm::Events),
        });
        let Some(payload_type) = payload_type.flatten() else {
            // The digit is made anew at its end: no telephone-event was agreed there, or none is wanted.
            stream.outbound.skip_relayed(packet.speaker, packet.sequence);
            return;
        };
        let Some(stamp) = stream.outbound.stamp_relayed(packet, now) else {
            stream.inbound.discard(Discard::Late);
            self.metrics.counts.dropped_late += 1;
            return;
        };
        if arrived.content == Content::Event {
            stream.event_relayed = Some((packet.speaker, packet.time));
        }
        let header = Header {
            marker: stamp.marker,
            payload_type,
            seq: stamp.sequence,
            time: stamp.time,
            ssrc: stamp.ssrc,
        };
        let datagram = self.pool.packet_mut(buf);
        let start = arrived.payload_at.saturating_sub(Header::BYTES);
        let Some(sent) = datagram.get_mut(start..arrived.payload_end) else {
            return;
        };
        if let Some(place) = sent.first_chunk_mut::<{ Header::BYTES }>() {
            *place = header.to_bytes();
        }
        let way_out = Socket {
            slot: listener,
            channel: Channel::Rtp,
        };
        let counts = &mut self.metrics.counts;
        let Some(is_sent) = hand_out(stream, io, counts, way_out, (sent, &[]), to) else {
            stream.inbound.discard(Discard::Late);
            counts.dropped_late += 1;
            return;
        };
        counts.relayed += u64::from(is_sent);
        let payload_bytes = arrived.payload_end - arrived.payload_at;
        Way {
            io,
            events: &mut self.events,
            counts,
            slot: listener,
            now,
        }
        .note_sent(stream, payload_bytes, is_sent);
    }

    fn tell_heard(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let key = stream.key();
        let watch = &mut stream.watch;
        if !watch.receiving_told {
            watch.receiving_told = true;
            self.events.tell(Event::Receiving { stream: key });
        }
        if watch.is_silent {
            watch.is_silent = false;
            self.events.tell(Event::Heard { stream: key });
            self.wheel.arm(
                slot,
                Kind::Silence,
                self.grid.after(now, super::config::SILENCE_LIMIT),
            );
        }
    }

    fn handle_rtcp(&mut self, slot: u32, buf: &Buf, from: SocketAddr, now: Instant) {
        self.metrics.counts.rtcp_in += 1;
        let wall = self.wall(now);
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let remote = stream.config().and_then(|config| config.remote_rtcp);
        let is_read = stream.inbound.admits_rtcp(from, remote)
            && match stream.unprotect_rtcp(self.pool.packet(buf), now) {
                Ok(None) => stream.handle_rtcp(self.pool.packet(buf), wall, now),
                Ok(Some(compound)) => stream.handle_rtcp(&compound, wall, now),
                Err(_) => false,
            };
        if !is_read {
            self.metrics.counts.rtcp_dropped += 1;
        }
    }
}
