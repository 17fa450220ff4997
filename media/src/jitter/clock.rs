//! Where on our timeline a packet belongs, and how far ahead of the cursor packets should come.
//!
//! Owns the cursor and the mapping of the source's timestamps. Knows nothing of payloads.

use crate::frame::{FRAME_SAMPLES, samples_of_ms};
use crate::rtp::{ExtendedSeq, RtpTime};

/// The playout clock of one stream. Positions are samples on our own timeline.
pub(super) struct Clock {
    /// Next sample to be played.
    cursor: i64,
    /// End of the last sample really played.
    played_to: i64,
    source: Option<Source>,
    /// How far ahead a packet is placed when the clock is free to choose.
    target: i64,
    window: Window,
    /// Ticks in a row that found nothing.
    starved_ticks: u32,
}

/// The newest packet, from which the others are counted.
#[derive(Clone, Copy)]
struct Source {
    seq: ExtendedSeq,
    time: RtpTime,
    position: i64,
    samples: i64,
}

/// What the last packets showed.
#[derive(Clone, Copy)]
struct Window {
    packets: u32,
    slack_min: i64,
    slack_max: i64,
    late: u32,
}

/// A packet as the clock sees it.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// The source begins anew with this packet.
    pub restart: bool,
    pub seq: ExtendedSeq,
    pub time: RtpTime,
    pub samples: i64,
    /// Where what waits already ends, if anything waits.
    pub buffered_to: Option<i64>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Here.
    At(i64),
    /// Here, and the cursor has leapt forward to keep the delay bounded.
    AtAfterSkip(i64),
    /// Its time is over.
    Late,
}

impl Clock {
    pub const fn new() -> Clock {
        Clock {
            cursor: 0,
            played_to: 0,
            source: None,
            target: samples_of_ms(DELAY_START_MS) as i64,
            window: Window::EMPTY,
            starved_ticks: 0,
        }
    }

    /// Places a packet and learns from when it came.
    pub fn place(&mut self, arrival: &Arrival) -> Placed {
        let Some(source) = self.source.filter(|_| !arrival.restart) else {
            let position = self.join(arrival);
            return Placed::At(position);
        };
        let step = i64::from(arrival.time.since(source.time));
        let seq_step = arrival.seq.0 as i64 - source.seq.0 as i64;
        let position = source.position + step;
        if seq_step <= 0 {
            // One that was sent earlier and says that it is later would be kept for a time that never comes.
            return match step <= 0 {
                true => self.place_or_stretch(position, arrival.samples),
                false => Placed::Late,
            };
        }
        let is_far_ahead = position > self.cursor + AHEAD_MAX;
        let is_unexplained = step > seq_step * source.samples.max(arrival.samples);
        if step <= 0 || self.starved_ticks >= STARVED_TICKS || (is_far_ahead && is_unexplained) {
            // The source's time went back or leapt, or there was a pause: nothing ties this packet to the
            // last but their order.
            return Placed::At(self.join(arrival));
        }
        self.follow(arrival, position);
        if is_far_ahead {
            // A burst after a stall. What waits is older than any delay we allow.
            self.cursor = position - self.target;
            return Placed::AtAfterSkip(position);
        }
        self.window.note(position - self.cursor);
        self.place_or_stretch(position, arrival.samples)
    }

    /// Puts a packet after what waits, or a target's length ahead.
    fn join(&mut self, arrival: &Arrival) -> i64 {
        let ahead = self.cursor + self.target;
        let position = arrival
            .buffered_to
            .map_or(ahead, |end| end.clamp(ahead, self.cursor + AHEAD_MAX));
        self.follow(arrival, position);
        self.starved_ticks = 0;
        position
    }

    fn follow(&mut self, arrival: &Arrival, position: i64) {
        let Arrival {
            seq, time, samples, ..
        } = *arrival;
        self.source = Some(Source {
            seq,
            time,
            position,
            samples,
        });
    }

    /// A packet whose time is not over goes where it belongs. For one that is late the cursor goes back,
    /// if nothing after it was played and the delay stays bounded.
    fn place_or_stretch(&mut self, position: i64, samples: i64) -> Placed {
        if position + samples > self.cursor {
            return Placed::At(position);
        }
        let room = DELAY_MAX - self.window.slack_max.max(0);
        let back = self.cursor - position.max(self.played_to);
        if position >= self.played_to && back <= room {
            self.stretch(back);
            return Placed::At(position);
        }
        self.window.late += 1;
        if self.window.late == LATE_MAX && room >= FRAME_SAMPLES as i64 {
            self.stretch(FRAME_SAMPLES as i64);
        }
        Placed::Late
    }

    fn stretch(&mut self, samples: i64) {
        self.cursor -= samples;
        self.target = (self.target + samples).min(DELAY_MAX);
    }

    /// Whether packets have come so early for a whole window that a frame may be skipped. Asking begins a
    /// new window when one is full.
    pub fn wants_skip(&mut self) -> bool {
        if self.window.packets < WINDOW_PACKETS {
            return false;
        }
        let ample = self.window.slack_min >= 2 * FRAME_SAMPLES as i64;
        self.window = Window::EMPTY;
        ample
    }

    /// Leaves out one frame.
    pub fn skip_frame(&mut self) {
        self.cursor += FRAME_SAMPLES as i64;
        self.target = (self.target - FRAME_SAMPLES as i64).max(samples_of_ms(DELAY_START_MS) as i64);
    }

    /// Leaps to `position`, for want of places to keep what lies before it.
    pub fn leap_to(&mut self, position: i64) {
        self.cursor = self.cursor.max(position);
    }

    /// One frame was played; `heard_to` is the end of its last real sample.
    pub fn advance(&mut self, heard_to: Option<i64>, is_empty: bool) {
        self.cursor += FRAME_SAMPLES as i64;
        self.played_to = heard_to.map_or(self.played_to, |end| end.max(self.played_to));
        self.starved_ticks = if is_empty {
            self.starved_ticks.saturating_add(1)
        } else {
            0
        };
    }

    /// The next packet starts anew. The timeline goes on.
    pub fn forget_source(&mut self) {
        self.source = None;
        self.window = Window::EMPTY;
    }

    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub fn target(&self) -> i64 {
        self.target
    }
}

impl Window {
    const EMPTY: Window = Window {
        packets: 0,
        slack_min: i64::MAX,
        slack_max: 0,
        late: 0,
    };

    fn note(&mut self, slack: i64) {
        self.packets = self.packets.saturating_add(1);
        self.slack_min = self.slack_min.min(slack);
        self.slack_max = self.slack_max.max(slack);
    }
}

/// Where a first packet is placed, ms ahead of the next sample to play: it is heard 20 to 40 ms after it
/// came. Enough for a network without trouble and the turn of a shard; the rest is learned.
pub const DELAY_START_MS: u32 = 20;
/// Longest delay that late packets can bring about, milliseconds.
pub const DELAY_MAX_MS: u32 = 160;
const DELAY_MAX: i64 = samples_of_ms(DELAY_MAX_MS) as i64;
/// Farthest ahead that a packet may lie, samples: 200 ms.
const AHEAD_MAX: i64 = 1600;
/// Ticks without audio after which concealment is silent and the next packet starts a new talkspurt.
const STARVED_TICKS: u32 = 3;
/// Packets over which the least slack is taken: 5 s of 20 ms packets.
const WINDOW_PACKETS: u32 = 250;
/// Packets of one window that may come after their successors were played before the delay grows for them.
const LATE_MAX: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(n: u64, buffered_to: Option<i64>) -> Arrival {
        let time = RtpTime((n as u32).wrapping_mul(160));
        Arrival {
            restart: false,
            seq: ExtendedSeq(70_000 + n),
            time,
            samples: 160,
            buffered_to,
        }
    }

    #[test]
    fn a_first_packet_is_placed_twenty_milliseconds_ahead_and_its_successors_after_it() {
        let mut clock = Clock::new();
        assert_eq!(clock.place(&arrival(0, None)), Placed::At(160));
        assert_eq!(clock.place(&arrival(3, Some(320))), Placed::At(640));
        assert_eq!(clock.place(&arrival(1, Some(800))), Placed::At(320));
    }

    #[test]
    fn the_cursor_goes_back_for_a_late_packet_but_never_over_what_was_played() {
        let mut clock = Clock::new();
        clock.place(&arrival(0, None));
        clock.advance(None, false);
        clock.advance(Some(320), false);
        clock.advance(None, true);
        assert_eq!(clock.place(&arrival(1, None)), Placed::At(320));
        assert_eq!((clock.cursor(), clock.target()), (320, 320));
        clock.advance(Some(480), false);
        assert_eq!(clock.place(&arrival(0, None)), Placed::Late);
        assert_eq!(clock.cursor(), 480);
    }

    #[test]
    fn a_packet_that_is_earlier_by_its_number_and_later_by_its_time_is_none() {
        let mut clock = Clock::new();
        clock.place(&arrival(5, None));
        let odd = Arrival {
            time: RtpTime(5 * 160 + 32_000),
            ..arrival(3, Some(320))
        };
        assert_eq!(clock.place(&odd), Placed::Late);
        assert_eq!(clock.place(&arrival(6, Some(320))), Placed::At(320));
    }

    #[test]
    fn the_delay_stays_bounded_however_late_packets_are() {
        let mut clock = Clock::new();
        clock.place(&arrival(0, None));
        for n in 1..2000 {
            // Each packet comes one tick later than the last.
            clock.advance(None, false);
            clock.advance(None, false);
            clock.place(&arrival(n, None));
            assert!(clock.target() <= DELAY_MAX);
        }
    }
}
