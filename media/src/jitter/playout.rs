//! One stream's jitter buffer, decoder and concealment behind two calls: a packet in, a frame out.

use super::clock::{Arrival, Clock, Placed};
use super::decoding::Decoding;
use super::seen::Seen;
use super::slots::{PACKET_SAMPLES_MAX, SLOT_BYTES, Slots};
use super::timeline::Timeline;
use crate::codec::Codec;
use crate::conceal::Conceal;
use crate::frame::{FRAME_SAMPLES, ms_of_samples};
use crate::rtp::{RtpTime, Verdict};

/// Turns packets into frames. About 12 KiB, all of it taken at the start.
pub struct Playout {
    slots: Slots,
    clock: Clock,
    seen: Seen,
    conceal: Conceal,
    timeline: Timeline,
    decoding: Decoding,
    skip: Skip,
    counts: Counts,
}

/// Whether a frame is to be left out.
enum Skip {
    NotWanted,
    /// At the next quiet frame, or when the ticks have run out.
    Wanted {
        ticks_left: u32,
    },
}

/// What became of packets and frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets whose time was over.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets without samples, longer than 120 ms, or of Opus beyond 480 bytes.
    pub odd: u64,
    /// Packets that came in while no place was free; older ones gave way.
    pub overflow: u64,
    /// Samples filled in.
    pub concealed_samples: u64,
    /// Frames left out to shorten the delay.
    pub skipped_frames: u64,
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Waits for its time.
    Kept,
    /// Its time is over.
    Late,
    /// It came before.
    Duplicate,
    /// Empty or longer than 120 ms.
    Odd,
    /// The sequence does not vouch for it.
    Suspect,
}

/// What a tick got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// Audio as it was sent.
    Frame,
    /// Audio filled in, in part or whole.
    Concealed,
    /// Silence: nothing heard yet, or nothing for so long that concealment has faded.
    Empty,
}

impl Playout {
    /// At rest.
    pub fn new() -> Playout {
        Playout {
            slots: Slots::new(),
            clock: Clock::new(),
            seen: Seen::default(),
            conceal: Conceal::new(),
            timeline: Timeline::default(),
            decoding: Decoding::new(),
            skip: Skip::NotWanted,
            counts: Counts::default(),
        }
    }

    /// Takes a packet that `Reception` has judged.
    pub fn push(&mut self, verdict: Verdict, time: RtpTime, codec: Codec, payload: &[u8]) -> Pushed {
        let (seq, restart) = match verdict {
            Verdict::Accept(seq) => (seq, false),
            Verdict::Restart(seq) => (seq, true),
            Verdict::Suspect => return Pushed::Suspect,
        };
        let samples = codec.samples_in(payload);
        let is_torn = codec.is_framed() && payload.len() > SLOT_BYTES;
        if samples == 0 || samples > PACKET_SAMPLES_MAX || is_torn {
            self.counts.odd += 1;
            return Pushed::Odd;
        }
        if restart {
            self.seen = Seen::default();
        }
        if !self.seen.is_first(seq) {
            self.counts.duplicate += 1;
            return Pushed::Duplicate;
        }
        let buffered_to = self.slots.last_end();
        let arrival = Arrival {
            restart,
            seq,
            time: self.timeline.narrow(time, codec),
            samples: samples as i64,
            buffered_to,
        };
        let position = match self.clock.place(&arrival) {
            Placed::At(position) => position,
            Placed::AtAfterSkip(position) => {
                self.cut();
                position
            }
            Placed::Late => {
                self.counts.late += 1;
                return Pushed::Late;
            }
        };
        self.make_room(Slots::parts(payload));
        let is_kept = self.slots.insert(position, codec, payload);
        debug_assert!(is_kept, "room was made");
        Pushed::Kept
    }

    /// Plays the next frame.
    pub fn pop(&mut self, frame: &mut [i16; FRAME_SAMPLES]) -> Popped {
        if !self.clock.has_source() && self.conceal.is_silent() {
            frame.fill(0);
            self.clock.advance(None, true);
            return Popped::Empty;
        }
        let was_silent = self.conceal.is_silent();
        let cursor = self.clock.cursor();
        let mut heard_to = None;
        let mut missing_samples = 0;
        let mut rest = frame.as_mut_slice();
        let mut position = cursor;
        while !rest.is_empty() {
            let taken = match self.slots.at(position) {
                Some(waiting) => {
                    let taken = waiting.samples.min(rest.len());
                    let (part, _) = rest.split_at_mut(taken);
                    self.decoding.decode(&waiting, position, part);
                    self.conceal.received(part);
                    heard_to = Some(position + taken as i64);
                    taken
                }
                None => {
                    let until = self
                        .slots
                        .next_start(position)
                        .map_or(i64::MAX, |start| start - position);
                    let taken = usize::try_from(until).unwrap_or(rest.len()).min(rest.len());
                    let (part, _) = rest.split_at_mut(taken);
                    let next = self.slots.at(position + taken as i64);
                    if next.is_some_and(|next| self.decoding.recover(&next, part)) {
                        self.conceal.received(part);
                    } else {
                        self.conceal.missing(part);
                    }
                    missing_samples += taken;
                    taken
                }
            };
            rest = rest.split_at_mut(taken).1;
            position += taken as i64;
        }
        self.slots.free_before(position);
        self.clock
            .advance(heard_to, heard_to.is_none() && self.slots.last_end().is_none());
        self.maybe_skip(frame);
        if missing_samples == 0 {
            return Popped::Frame;
        }
        if heard_to.is_none() && was_silent {
            return Popped::Empty;
        }
        self.counts.concealed_samples += missing_samples as u64;
        Popped::Concealed
    }

    /// The next packet starts anew, whatever its numbers; what waits is still played. For a new agreement.
    pub fn forget_source(&mut self) {
        self.clock.forget_source();
        self.seen = Seen::default();
    }

    /// Drops what waits too: what comes next is heard against silence.
    pub fn clear(&mut self) {
        self.forget_source();
        self.slots.clear();
        self.conceal = Conceal::new();
        self.skip = Skip::NotWanted;
    }

    /// What became of packets and frames so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The delay aimed at, milliseconds, before the 0 to 20 ms until the next tick.
    pub fn delay_ms(&self) -> u64 {
        ms_of_samples(self.clock.target().unsigned_abs())
    }

    fn make_room(&mut self, parts: usize) {
        while self.slots.free() < parts {
            let Some(end) = self.slots.first_end() else { return };
            self.counts.overflow += 1;
            self.clock.leap_to(end);
            self.slots.free_before(end);
            self.conceal.skipped();
        }
    }

    fn cut(&mut self) {
        self.slots.free_before(self.clock.cursor());
        self.conceal.skipped();
    }

    fn maybe_skip(&mut self, frame: &[i16; FRAME_SAMPLES]) {
        if self.clock.wants_skip() {
            self.skip = Skip::Wanted {
                ticks_left: SKIP_TICKS_MAX,
            };
        }
        let Skip::Wanted { ticks_left } = &mut self.skip else {
            return;
        };
        let is_quiet = frame.iter().all(|sample| sample.unsigned_abs() < QUIET_PEAK);
        if is_quiet || *ticks_left == 0 {
            self.skip = Skip::NotWanted;
            self.counts.skipped_frames += 1;
            self.clock.skip_frame();
            self.cut();
        } else {
            *ticks_left -= 1;
        }
    }
}

impl Default for Playout {
    fn default() -> Playout {
        Playout::new()
    }
}

/// Longest wait for a quiet frame to leave out, ticks: 1 s.
const SKIP_TICKS_MAX: u32 = 50;
/// Loudest sample of a frame that nobody misses, of 32,767: about −40 dBov.
const QUIET_PEAK: u16 = 328;

#[cfg(test)]
mod tests;
