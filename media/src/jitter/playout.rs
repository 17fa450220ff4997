//! One stream's jitter buffer, decoder and concealment behind two calls: a packet in, a frame out.

use super::clock::{Arrival, Clock, Placed};
use super::slots::{PACKET_SAMPLES_MAX, Slots};
use crate::codec::{Codec, Decoder};
use crate::conceal::Conceal;
use crate::frame::{FRAME_SAMPLES, ms_of_samples};
use crate::rtp::{ExtendedSeq, RtpTime, Verdict};

/// Turns packets into frames. About 12 KiB, all of it taken at the start.
pub struct Playout {
    slots: Slots,
    clock: Clock,
    seen: Seen,
    conceal: Conceal,
    decoder: (Codec, Decoder),
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
    /// Packets without samples or longer than 120 ms.
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
            decoder: (Codec::Pcmu, Decoder::new(Codec::Pcmu)),
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
        if samples == 0 || samples > PACKET_SAMPLES_MAX {
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
            time,
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
        let cursor = self.clock.cursor();
        let mut heard_to = None;
        let mut missing_samples = 0;
        let mut rest = frame.as_mut_slice();
        let mut position = cursor;
        while !rest.is_empty() {
            let taken = match self.slots.at(position) {
                Some(waiting) => {
                    let taken = waiting.payload.len().min(rest.len());
                    let (part, _) = rest.split_at_mut(taken);
                    if self.decoder.0 != waiting.codec {
                        self.decoder = (waiting.codec, Decoder::new(waiting.codec));
                    }
                    self.decoder.1.decode(waiting.payload, part);
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
                    self.conceal.missing(part);
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
        if heard_to.is_none() && self.conceal.is_silent() {
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

/// Which of the last 64 sequence numbers came.
#[derive(Clone, Copy, Default)]
struct Seen {
    highest: u64,
    /// Bit n: `highest` − n came.
    bits: u64,
}

impl Seen {
    fn is_first(&mut self, seq: ExtendedSeq) -> bool {
        if seq.0 > self.highest {
            let ahead = seq.0 - self.highest;
            self.bits = u32::try_from(ahead)
                .ok()
                .and_then(|by| self.bits.checked_shl(by))
                .unwrap_or(0)
                | 1;
            self.highest = seq.0;
            return true;
        }
        // Older than the window: too late to be played, so whether it is a copy does not matter.
        let back = self.highest - seq.0;
        let bit = u32::try_from(back)
            .ok()
            .and_then(|by| 1u64.checked_shl(by))
            .unwrap_or(0);
        let is_first = self.bits & bit == 0;
        self.bits |= bit;
        is_first
    }
}

/// Longest wait for a quiet frame to leave out, ticks: 1 s.
const SKIP_TICKS_MAX: u32 = 50;
/// Loudest sample of a frame that nobody misses, of 32,767: about −40 dBov.
const QUIET_PEAK: u16 = 328;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::g711;
    use crate::rtp::{Header, Reception, SeqNo, Ssrc};

    /// A source and the playout that hears it, on a grid of 20 ms ticks.
    struct Line {
        reception: Reception,
        playout: Playout,
        heard: Vec<i16>,
    }

    impl Line {
        fn new() -> Line {
            Line {
                reception: Reception::new(),
                playout: Playout::new(),
                heard: Vec::new(),
            }
        }

        fn push_from(&mut self, ssrc: u32, seq: u16, time: u32, samples: &[i16]) -> Pushed {
            let mut payload = vec![0; samples.len()];
            g711::encode_alaw(samples, &mut payload);
            let (seq, time, ssrc) = (SeqNo(seq), RtpTime(time), Ssrc(ssrc));
            let header = Header {
                marker: false,
                payload_type: 8,
                seq,
                time,
                ssrc,
            };
            let verdict = self.reception.handle_packet(&header, false, RtpTime(0));
            self.playout.push(verdict, header.time, Codec::Pcma, &payload)
        }

        /// Packet `n` of a source whose packets hold `length` samples of the ramp.
        fn push(&mut self, n: u32, length: u32) -> Pushed {
            let samples: Vec<i16> = (0..length).map(|k| ramp(n * length + k)).collect();
            self.push_from(1, n as u16, n * length, &samples)
        }

        fn pop(&mut self) -> Popped {
            let mut frame = [1; FRAME_SAMPLES];
            let popped = self.playout.pop(&mut frame);
            self.heard.extend(frame);
            popped
        }
    }

    /// A loud sound in which every stretch of a second can be told apart, exact under A-law.
    fn ramp(n: u32) -> i16 {
        let level = ((n % 8000) as i16 - 4000) * 4;
        let mut out = [0];
        g711::decode_alaw(&[g711::alaw_of(level)], &mut out);
        out[0]
    }

    #[test]
    fn packets_of_every_length_come_out_as_the_same_samples() {
        for ms in [10u32, 20, 30, 40, 50, 60, 120] {
            let length = ms * 8;
            let mut line = Line::new();
            let mut sent = 0;
            for tick in 0..60 {
                // A packet is sent when its last sample has been spoken.
                while sent * ms + ms <= tick * 20 {
                    assert_eq!(line.push(sent, length), Pushed::Kept);
                    sent += 1;
                }
                line.pop();
            }
            let start = line
                .heard
                .iter()
                .position(|s| *s == ramp(0))
                .expect("the ramp begins");
            let heard = &line.heard[start..];
            for (n, sample) in heard.iter().enumerate().take(160 * 40) {
                assert_eq!(*sample, ramp(n as u32), "{ms} ms packets, sample {n}");
            }
            assert_eq!(line.playout.counts().concealed_samples, 0, "{ms}");
        }
    }

    #[test]
    fn the_first_packet_is_heard_one_tick_after_the_next() {
        let mut line = Line::new();
        line.push(0, 160);
        assert_eq!(line.pop(), Popped::Empty);
        line.push(1, 160);
        assert_eq!(line.pop(), Popped::Frame);
        assert_eq!(line.heard[160], ramp(0));
        assert_eq!(line.playout.delay_ms(), 20);
    }

    #[test]
    fn before_anything_comes_there_is_silence() {
        let mut line = Line::new();
        assert_eq!(line.pop(), Popped::Empty);
        assert_eq!(line.heard, [0; 160]);
    }

    #[test]
    fn reordered_packets_play_in_order_and_copies_once() {
        let mut line = Line::new();
        line.push(0, 160);
        line.push(1, 160);
        line.pop();
        line.push(3, 160);
        assert_eq!(line.push(3, 160), Pushed::Duplicate);
        line.pop();
        assert_eq!(line.push(2, 160), Pushed::Kept);
        for _ in 0..3 {
            line.pop();
        }
        let expected: Vec<i16> = (0..640).map(ramp).collect();
        assert!(line.heard[160..] == expected);
        assert_eq!(line.push(2, 160), Pushed::Duplicate);
        assert_eq!(line.playout.counts().duplicate, 2);
    }

    #[test]
    fn one_lost_packet_costs_its_own_time_only() {
        let mut line = Line::new();
        let mut popped = Vec::new();
        for n in 0..20 {
            if n != 7 {
                line.push(n, 160);
            }
            popped.push(line.pop());
        }
        assert_eq!(popped.iter().filter(|p| **p == Popped::Concealed).count(), 1);
        assert_eq!(line.playout.counts().concealed_samples, 160);
        assert_eq!(line.heard[19 * 160], ramp(18 * 160));
    }

    #[test]
    fn a_late_packet_is_played_and_the_delay_grows() {
        let mut line = Line::new();
        for n in 0..10 {
            line.push(n, 160);
            line.pop();
        }
        // Packets 10 and on come 60 ms late.
        assert_eq!(line.pop(), Popped::Frame);
        assert_eq!(line.pop(), Popped::Concealed);
        for n in 10..30 {
            assert_eq!(line.push(n, 160), Pushed::Kept);
            assert_eq!(line.pop(), Popped::Frame);
        }
        assert_eq!(line.playout.counts().late, 0);
        assert_eq!(line.heard.last().copied(), Some(ramp(30 * 160 - 1)));
        assert!(line.playout.delay_ms() >= 40);
    }

    #[test]
    fn silence_after_sixty_milliseconds_and_back_at_once() {
        let mut line = Line::new();
        for n in 0..5 {
            line.push(n, 160);
            line.pop();
        }
        line.pop();
        assert_eq!(
            [line.pop(), line.pop(), line.pop()],
            [Popped::Concealed, Popped::Concealed, Popped::Empty]
        );
        for _ in 0..100 {
            assert_eq!(line.pop(), Popped::Empty);
        }
        line.push(105, 160);
        line.pop();
        assert_eq!(line.pop(), Popped::Frame);
    }

    #[test]
    fn a_burst_after_a_stall_keeps_the_delay_bounded() {
        let mut line = Line::new();
        for n in 0..5 {
            line.push(n, 160);
            line.pop();
        }
        for _ in 0..50 {
            line.pop();
        }
        for n in 5..55 {
            line.push(n, 160);
        }
        let mut waiting = 0;
        while line.pop() == Popped::Frame {
            waiting += 1;
        }
        assert!((1..=11).contains(&waiting), "{waiting} frames wait");
    }

    #[test]
    fn a_new_source_is_heard_without_a_gap() {
        let mut line = Line::new();
        for n in 0..10 {
            line.push(n, 160);
            line.pop();
        }
        let mut outcomes = Vec::new();
        for n in 0..10u32 {
            let samples: Vec<i16> = (0..160).map(|k| ramp(n * 160 + k)).collect();
            outcomes.push(line.push_from(2, 40_000 + n as u16, 3_000_000_000 + n * 160, &samples));
            outcomes.push(if line.pop() == Popped::Frame {
                Pushed::Kept
            } else {
                Pushed::Late
            });
        }
        // The first packet only announces the change; the tick it was meant for is concealed.
        assert_eq!(outcomes.iter().filter(|o| **o == Pushed::Suspect).count(), 1);
        assert!(
            outcomes.iter().filter(|o| **o == Pushed::Late).count() <= 2,
            "{outcomes:?}"
        );
    }

    #[test]
    fn timestamps_that_leap_in_an_unbroken_sequence_lose_nothing() {
        let mut line = Line::new();
        let mut lost = 0;
        for n in 0..60u32 {
            let time = match n {
                0..=19 => n * 160,
                20..=39 => 900_000_000 + n * 160,
                _ => 5_000 + n * 160,
            };
            let samples: Vec<i16> = (0..160).map(|k| ramp(n * 160 + k)).collect();
            assert_eq!(line.push_from(1, n as u16, time, &samples), Pushed::Kept);
            lost += u32::from(line.pop() == Popped::Concealed);
        }
        assert_eq!(lost, 0);
        assert_eq!(line.heard[50 * 160], ramp(49 * 160));
    }

    #[test]
    fn a_sequence_jump_is_followed_within_three_packets() {
        for jump in [3_500u16, 32_767, 32_768, 65_000] {
            let mut line = Line::new();
            for n in 0..10 {
                line.push(n, 160);
                line.pop();
            }
            let mut kept_at = None;
            for n in 10..20u16 {
                let seq = n.wrapping_add(jump);
                let time = u32::from(n) * 160 + u32::from(jump) * 160;
                if line.push_from(1, seq, time, &[500; 160]) == Pushed::Kept && kept_at.is_none() {
                    kept_at = Some(n - 10);
                }
                line.pop();
            }
            assert!(kept_at.is_some_and(|n| n < 3), "jump {jump}: {kept_at:?}");
        }
    }

    #[test]
    fn ample_slack_for_a_window_costs_one_frame() {
        let mut line = Line::new();
        // 100 ms early from the second packet on, as after a route got shorter.
        line.push(0, 160);
        for n in 1..5 {
            line.push(n, 160);
        }
        for n in 5..400 {
            line.push(n, 160);
            line.pop();
        }
        assert!(line.playout.counts().skipped_frames >= 1);
        assert_eq!(line.playout.counts().concealed_samples, 0);
    }

    #[test]
    fn a_fast_and_a_slow_sender_are_followed_for_an_hour() {
        // 200 parts per million either way, 180,000 ticks.
        for (drift, limit) in [(1.0002f64, 250u64), (0.9998, 250)] {
            let mut line = Line::new();
            let mut sent = 0u32;
            let mut bad = 0u64;
            for tick in 0..180_000u32 {
                while f64::from(sent) < f64::from(tick) * drift {
                    line.push(sent, 160);
                    sent += 1;
                }
                let mut frame = [0; FRAME_SAMPLES];
                bad += u64::from(line.playout.pop(&mut frame) != Popped::Frame);
            }
            assert!(
                bad + line.playout.counts().skipped_frames < limit,
                "drift {drift}: {bad}"
            );
        }
    }

    #[test]
    fn odd_payloads_are_dropped_and_counted() {
        // A10: payloads of any size a datagram can hold.
        let mut line = Line::new();
        for (n, length) in [0usize, 961, 4000, 65_507].into_iter().enumerate() {
            let verdict = Verdict::Accept(ExtendedSeq(70_000 + n as u64));
            assert_eq!(
                line.playout
                    .push(verdict, RtpTime(0), Codec::Pcmu, &vec![0; length]),
                Pushed::Odd
            );
        }
        for (n, length) in (1..=960).enumerate() {
            let verdict = Verdict::Accept(ExtendedSeq(80_000 + n as u64));
            line.playout
                .push(verdict, RtpTime(n as u32), Codec::Pcmu, &vec![0; length]);
            line.pop();
        }
        assert_eq!(line.playout.counts().odd, 4);
    }

    #[test]
    fn more_packets_than_places_drop_the_oldest() {
        let mut line = Line::new();
        for n in 0..(2 * super::super::JITTER_PACKETS_MAX as u32) {
            line.push(n, 80);
        }
        assert!(line.playout.counts().overflow > 0);
        assert_eq!(line.pop(), Popped::Frame);
    }

    proptest! {
        #[test]
        fn any_packets_in_any_order_never_panic_and_each_tick_has_a_frame(
            packets in proptest::collection::vec(
                (any::<u16>(), any::<u32>(), 0usize..1000, any::<bool>(), 0u32..3), 0..200),
        ) {
            let mut line = Line::new();
            for (seq, time, length, near, pops) in packets {
                let (seq, time) = if near { (seq % 32, (time % 64) * 80) } else { (seq, time) };
                line.push_from(u32::from(seq % 2), seq, time, &vec![1000; length]);
                for _ in 0..pops {
                    line.pop();
                }
            }
        }
    }
}
