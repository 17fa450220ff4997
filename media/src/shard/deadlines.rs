//! What falls due besides audio: reports, silence, digits left without their end.

use std::time::Instant;

use super::Shard;
use super::config::{LOOK_TICKS, SILENCE_LIMIT};
use super::grid::Tick;
use super::io::{Channel, Io, Socket};
use super::wheel::Kind;
use crate::event::Event;
use crate::stream::{REPORT_BYTES_MAX, Sealed};

impl Shard {
    pub(super) fn handle_deadlines(&mut self, io: &mut impl Io, tick: Tick, now: Instant) {
        while let Some((slot, kind)) = self.wheel.pop(tick) {
            match kind {
                Kind::Rtcp => {
                    self.send_report(io, slot, false, now);
                    let wait = self.random_interval();
                    self.wheel.arm(slot, Kind::Rtcp, self.grid.after(now, wait));
                }
                Kind::Silence => self.look_for_silence(io, slot, now),
                Kind::Digit => self.look_for_digit_end(slot, now),
                Kind::Look => {
                    self.look(slot, now);
                    self.wheel.arm(slot, Kind::Look, Tick(tick.0 + LOOK_TICKS));
                }
            }
        }
    }

    /// Sends a report to where RTCP was agreed to go; with `leaves` the last one.
    pub(super) fn send_report(&mut self, io: &mut impl Io, slot: u32, leaves: bool, now: Instant) {
        let wall = self.wall(now);
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let Some(to) = stream.config().and_then(|config| config.remote_rtcp) else {
            return;
        };
        let mut buffer = [0; REPORT_BYTES_MAX];
        let reception = stream.inbound.reception_mut();
        let len = stream
            .reporter
            .write(&stream.outbound, reception, leaves, (wall, now), &mut buffer);
        let Some(report) = len.and_then(|len| buffer.get(..len)) else {
            return;
        };
        let way_out = Socket {
            slot,
            channel: Channel::Rtcp,
        };
        let is_sent = match stream.protect_rtcp(report) {
            Sealed::Clear => io.send(way_out, report, &[], to),
            Sealed::Packet(sealed) => io.send(way_out, &sealed, &[], to),
            Sealed::Nothing => false,
        };
        if is_sent {
            self.metrics.counts.rtcp_out += 1;
        } else {
            self.metrics.counts.send_failed += 1;
        }
    }

    /// Tells whether what is sent gets there, where that changed, and how well the stream is once a period is over.
    fn look(&mut self, slot: u32, now: Instant) {
        let Some(found) = self.slots.get_mut(slot) else {
            return;
        };
        let (seen, stream) = (found.look(now), found.key());
        let was_deaf = std::mem::replace(&mut found.watch.is_deaf, seen.is_deaf);
        if seen.is_deaf && !was_deaf {
            self.events.tell(Event::Deaf { stream });
        }
        if was_deaf && !seen.is_deaf {
            self.events.tell(Event::Hearing { stream });
        }
        if let Some(quality) = seen.quality {
            self.events.tell(Event::Quality { stream, quality });
        }
    }

    fn look_for_silence(&mut self, io: &mut impl Io, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        if !stream.inbound.may_receive() || stream.watch.is_silent {
            return;
        }
        let Some(silence) = stream.silence(now) else {
            return;
        };
        if silence >= SILENCE_LIMIT {
            stream.watch.is_silent = true;
            // Whoever sends instead is to be seen and counted again, though the rule lets none of them in.
            if stream.settling.reset() {
                io.connect(slot, None);
            }
            self.events.tell(Event::Silent { stream: stream.key() });
        } else {
            self.wheel
                .arm(slot, Kind::Silence, self.grid.after(now, SILENCE_LIMIT - silence));
        }
    }
}
