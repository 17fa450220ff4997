//! Packets in, frames out: loss, copies, reordering, lateness, jumps and drifting clocks.

use proptest::prelude::*;

use super::*;
use crate::codec::g711;
use crate::rtp::{ExtendedSeq, Header, Reception, SeqNo, Ssrc};

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
    assert_eq!([line.pop(), line.pop(), line.pop()], [Popped::Concealed; 3]);
    for _ in 0..100 {
        assert_eq!(line.pop(), Popped::Empty);
        assert_eq!(line.heard.last_chunk::<160>(), Some(&[0; 160]));
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
    for n in 0..(2 * crate::jitter::JITTER_PACKETS_MAX as u32) {
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
