//! Changes of a command, one after the other, between two turns.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::config::{LOOK_TICKS, SILENCE_LIMIT};
use super::grid::Tick;
use super::io::Io;
use super::wheel::Kind;
use super::{Shard, graph};
use crate::command::{Change, StreamConfig, StreamKey};
use crate::event::{Event, PlayEnd};
use crate::player::Player;
use crate::stream::{REPORT_INTERVAL, Stream};

/// Ports tried before `OpenFailed`: another program may sit on some of the range.
const PORT_TRIES_MAX: usize = 16;

impl Shard {
    pub(super) fn apply(&mut self, change: Change, io: &mut impl Io, now: Instant) {
        let Some(change) = self.hold_for_arrival(change) else {
            return;
        };
        let is_applied = match change {
            Change::Open { stream, address } => {
                self.open(stream, address, io, now);
                true
            }
            Change::Configure { stream, config } => self.configure(stream, config, io, now),
            Change::Close { stream } => self.close(stream, io, now),
            Change::HandOver { stream, to } => self.hand_over(stream, to, io),
            Change::Adopt { stream } => {
                self.await_stream(stream);
                true
            }
            Change::Hear { listener, speakers } => self.with_slot(listener, |shard, slot| {
                let ignored = graph::set_row(&mut shard.slots, &mut shard.lists, slot, &speakers);
                shard.metrics.counts.changes_ignored += ignored;
            }),
            Change::Play {
                play,
                listener,
                sources,
                from_ms,
                repeat,
                gain_db,
                layer,
            } => {
                let mut player = Player::new(sources, repeat, gain_db);
                player.skip(from_ms);
                self.start_play(play, listener, layer, player)
            }
            Change::StopPlay { play } => self.stop_play(play),
            Change::PausePlay { play, paused } => self.pause_play(play, paused),
            Change::SendDtmf {
                dtmf,
                stream,
                digits,
                duration_ms,
                inband,
            } => self.send_dtmf(dtmf, stream, &digits, duration_ms, inband),
            Change::HearDigit {
                stream,
                digit,
                duration_ms,
            } => self.hear_digit(stream, digit, duration_ms, now),
            Change::PassDtmf { stream, pass } => {
                self.with_slot(stream, |shard, slot| shard.pass_dtmf(slot, pass))
            }
            Change::StartTrack { track, stream, gate } => self.start_track(track, stream, gate),
            Change::GateTrack { track, gate } => self.gate_track(track, gate),
            Change::StopTrack { track } => self.stop_track(track),
            Change::Stats { stream, request } => self.with_slot(stream, |shard, slot| {
                if let Some(found) = shard.slots.get(slot) {
                    let stats = Box::new(found.stats());
                    shard.events.answer(Event::Stats {
                        stream,
                        request,
                        stats,
                    });
                }
            }),
        };
        if !is_applied {
            self.metrics.counts.changes_ignored += 1;
        }
    }

    /// Runs `then` on an open stream; whether there is one.
    pub(super) fn with_slot(&mut self, stream: StreamKey, then: impl FnOnce(&mut Shard, u32)) -> bool {
        let Some(slot) = self.slots.slot(stream) else {
            return false;
        };
        then(self, slot);
        true
    }

    fn open(&mut self, key: StreamKey, address: IpAddr, io: &mut impl Io, now: Instant) {
        let opened = self.try_open(key, address, io, now);
        self.events.answer(match opened {
            Some(local) => Event::Opened { stream: key, local },
            None => Event::OpenFailed { stream: key },
        });
    }

    fn try_open(
        &mut self,
        key: StreamKey,
        address: IpAddr,
        io: &mut impl Io,
        now: Instant,
    ) -> Option<SocketAddr> {
        let slot = self.slots.vacant(key)?;
        for _ in 0..PORT_TRIES_MAX {
            let port = self.ports.take(&mut self.rng, now)?;
            if io.open(slot, address, port).is_err() {
                self.ports.give(port, now);
                continue;
            }
            let local = SocketAddr::new(address, port.0);
            self.slots.insert(Box::new(Stream::new(
                key,
                local,
                port,
                self.post.index(),
                &mut self.rng,
            )));
            return Some(local);
        }
        None
    }

    fn configure(&mut self, stream: StreamKey, config: StreamConfig, io: &mut impl Io, now: Instant) -> bool {
        let Some(slot) = self.slots.slot(stream) else {
            return false;
        };
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        io.watch_rtcp(slot, config.needs_rtcp_socket());
        found.configure(config, now);
        // A new source must not find the socket deaf to it.
        if found.settling.keep(found.inbound.only_source()) {
            io.connect(slot, None);
        }
        graph::resolve(&mut self.slots, &mut self.lists, slot);
        graph::resolve_listeners(&mut self.slots, &mut self.lists, slot);
        self.wheel
            .arm(slot, Kind::Silence, self.grid.after(now, SILENCE_LIMIT));
        if !self.wheel.is_armed(slot, Kind::Look) {
            let first = Tick(self.grid.at(now).0 + LOOK_TICKS);
            self.wheel.arm(slot, Kind::Look, first);
        }
        if !self.wheel.is_armed(slot, Kind::Rtcp) {
            // RFC 3550 §6.2: the first report comes after half the interval, spread over it.
            let wait = self.random_interval() / 2;
            self.wheel.arm(slot, Kind::Rtcp, self.grid.after(now, wait));
        }
        true
    }

    pub(super) fn close(&mut self, stream: StreamKey, io: &mut impl Io, now: Instant) -> bool {
        let Some(slot) = self.slots.slot(stream) else {
            return false;
        };
        self.send_report(io, slot, true, now);
        self.end_plays(slot, PlayEnd::ListenerClosed);
        self.end_tracks(slot);
        graph::detach(&mut self.slots, &mut self.lists, slot);
        self.wheel.disarm(slot);
        io.close(slot);
        if let Some(closed) = self.slots.remove(slot) {
            self.bring_home(closed.port(), closed.home(), now);
            self.events.answer(Event::Closed {
                stream,
                stats: Box::new(closed.stats()),
            });
        }
        true
    }

    /// Between half and one and a half of the mean interval (RFC 3550 §6.3.1).
    pub(super) fn random_interval(&mut self) -> Duration {
        let mean_us = REPORT_INTERVAL.as_micros() as u64;
        Duration::from_micros(mean_us / 2 + self.rng.below(mean_us))
    }
}
