//! A datagram's way through a shard: in, judged, passed on from the buffer it came in.

use std::net::SocketAddr;
use std::time::Instant;

use super::io::{Channel, Datagram, Io, Socket};
use super::send::{Way, pass_on};
use super::wheel::Kind;
use super::{Shard, graph};
use crate::command::DigitForm;
use crate::event::Event;
use crate::packet::Buf;
use crate::rtp::{Header, Verdict};
use crate::stream::{Arrived, Content, Discard, Relayed, Sink};

impl Shard {
    /// Takes everything that has arrived, and hands over what is passed on.
    pub(super) fn receive(&mut self, io: &mut impl Io, now: Instant) {
        io.begin_turn();
        while let Some(Datagram {
            socket,
            from,
            mut buf,
        }) = io.receive()
        {
            match socket.channel {
                Channel::Rtp => self.handle_rtp(io, socket.slot, &mut buf, from, now),
                Channel::Rtcp => self.handle_rtcp(io, socket.slot, &buf, from, now),
            }
            io.give(buf);
        }
        io.flush();
        while let Some(slot) = io.refused() {
            self.count_refused(slot);
        }
    }

    /// A packet that counted as sent was refused by the kernel after all.
    fn count_refused(&mut self, slot: u32) {
        let counts = &mut self.metrics.counts;
        counts.packets_out = counts.packets_out.saturating_sub(1);
        counts.relayed = counts.relayed.saturating_sub(1);
        counts.send_failed += 1;
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.count_refused();
        }
    }

    fn handle_rtp(&mut self, io: &mut impl Io, slot: u32, buf: &mut Buf, from: SocketAddr, now: Instant) {
        self.metrics.counts.packets_in += 1;
        let arrival = self.arrival(now);
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let opened = stream.unprotect_rtp(io.packet(buf), from, now);
        let judged = opened.and_then(|opened| {
            if let Some(packet) = opened {
                io.replace(buf, &packet);
            }
            stream.inbound.handle_rtp(io.packet(buf), from, arrival, now)
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
        let only_source = stream.settle();
        let watch = &mut stream.watch;
        if !watch.receiving_told || watch.is_silent {
            self.tell_heard(slot, now);
        }
        if only_source.is_some() {
            io.connect(slot, only_source);
        }
        if found_way {
            graph::resolve(&mut self.slots, &mut self.lists, slot);
        }
        match arrived.content {
            Content::Audio { is_change, .. } => {
                if is_change {
                    graph::resolve_listeners(&mut self.slots, &mut self.lists, slot);
                }
                let payload = io.packet(buf).get(arrived.payload_at..arrived.payload_end);
                self.keep_for_decoding(slot, &arrived, payload.unwrap_or_default());
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
                let payload = io.packet(buf).get(arrived.payload_at..arrived.payload_end);
                codec.units_per_sample() * codec.samples_in(payload.unwrap_or_default()) as u32
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
        let counts = &mut self.metrics.counts;
        let Some(part) = io.stamp(buf, &header.to_bytes(), arrived.payload_at..arrived.payload_end) else {
            counts.send_failed += 1;
            return;
        };
        let way_out = Socket {
            slot: listener,
            channel: Channel::Rtp,
        };
        let Some(is_sent) = pass_on(stream, io, counts, way_out, (buf, part), to) else {
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

    fn handle_rtcp(&mut self, io: &impl Io, slot: u32, buf: &Buf, from: SocketAddr, now: Instant) {
        self.metrics.counts.rtcp_in += 1;
        let wall = self.wall(now);
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let remote = stream.config().and_then(|config| config.remote_rtcp);
        let is_read = stream.inbound.admits_rtcp(from, remote)
            && match stream.unprotect_rtcp(io.packet(buf), now) {
                Ok(None) => stream.handle_rtcp(io.packet(buf), wall, now),
                Ok(Some(compound)) => stream.handle_rtcp(&compound, wall, now),
                Err(_) => false,
            };
        if !is_read {
            self.metrics.counts.rtcp_dropped += 1;
        }
    }
}
