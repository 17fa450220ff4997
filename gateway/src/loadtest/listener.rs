//! What one side of a call hears, held against what the other side said.
//!
//! Counts every frame: those of the right mark, by their place in what was sent, so that a frame lost, a
//! stranger's frame and silence each show. Pure: arrival times are arguments.

use std::time::{Duration, Instant};

use super::mark::{BEATS, Book, Mark, Sound};
use super::measures::Measures;

/// Length of a frame.
pub const FRAME: Duration = Duration::from_millis(20);

/// What one side said so far.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its mark.
    pub mark: Mark,
    /// Frames sent.
    pub frames: u64,
    sent_at: [Option<Instant>; BEATS as usize],
}

/// One side's ear.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Number of the first frame heard.
    first: Option<u64>,
    last: Option<Last>,
    /// Frames of the far side heard, each once.
    pub good: u64,
    /// Frames of somebody else.
    pub foreign: u64,
    /// Frames that were silence or nobody's.
    pub unclear: u64,
    /// Longest time without a frame of the far side, beyond the frame's own length.
    pub gap_max: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    number: u64,
    arrived: Instant,
    delay: Duration,
}

impl Said {
    /// Nothing yet.
    pub fn new(mark: Mark) -> Said {
        Said {
            mark,
            frames: 0,
            sent_at: [None; BEATS as usize],
        }
    }

    /// The next frame goes out; its beat.
    pub fn say(&mut self, now: Instant) -> u8 {
        let beat = (self.frames % u64::from(BEATS)) as u8;
        if let Some(at) = self.sent_at.get_mut(usize::from(beat)) {
            *at = Some(now);
        }
        self.frames += 1;
        beat
    }

    /// Number and time of the youngest frame sent with that beat.
    fn youngest(&self, beat: u8) -> Option<(u64, Instant)> {
        let at = (*self.sent_at.get(usize::from(beat))?)?;
        let beats = u64::from(BEATS);
        let last = self.frames.checked_sub(1)?;
        let back = (last + beats - u64::from(beat)) % beats;
        Some((last.checked_sub(back)?, at))
    }
}

impl Listener {
    /// A payload came.
    pub fn hear(
        &mut self,
        payload: &[u8],
        arrived: Instant,
        said: &Said,
        book: &Book,
        measures: &mut Measures,
    ) {
        let next = self.last.map_or(0, |last| last.number + 1);
        let guess = (said.mark, (next % u64::from(BEATS)) as u8);
        let Sound::Frame { beat, digit } = book.read(payload, guess) else {
            self.unclear += 1;
            return;
        };
        if digit != said.mark.digit(beat) {
            self.foreign += 1;
            return;
        }
        let Some((number, sent_at)) = said.youngest(beat) else {
            self.foreign += 1;
            return;
        };
        if self.last.is_some_and(|last| number == last.number) {
            return;
        }
        let delay = arrived.saturating_duration_since(sent_at);
        measures.latency.record(delay);
        if let Some(last) = self.last {
            // RFC 3550 §6.4.1: the difference of two transit times.
            measures.jitter.record(delay.abs_diff(last.delay));
            let pause = arrived.saturating_duration_since(last.arrived);
            self.gap_max = self.gap_max.max(pause.saturating_sub(FRAME));
        }
        self.first.get_or_insert(number);
        self.good += 1;
        self.last = Some(Last {
            number,
            arrived,
            delay,
        });
    }

    /// Frames that were sent since the first one heard and did not come.
    pub fn lost(&self, said: &Said) -> u64 {
        let owed = self.first.map_or(0, |first| said.frames.saturating_sub(first));
        owed.saturating_sub(self.good)
    }

    /// True where somebody else was heard. One frame may be noise that looks like one.
    pub fn is_crossed(&self) -> bool {
        self.foreign >= CROSSED_FRAMES
    }
}

/// Foreign frames from which on a call counts as crossed: marks differ at least once in four.
const CROSSED_FRAMES: u64 = 3;

#[cfg(test)]
mod tests {
    use media::Codec;

    use super::*;

    /// 100 frames of `speaker` sent on time and heard 30 ms later where `heard` lets them through; the far
    /// side should be call 7's caller.
    fn talk(speaker: Mark, heard: impl Fn(u64) -> bool) -> (Listener, Said, Measures) {
        let book = Book::new(Codec::Pcmu);
        let mut said = Said::new(Mark::new(7, false));
        let (mut listener, mut measures) = (Listener::default(), Measures::new());
        let start = Instant::now();
        for number in 0..100u64 {
            let now = start + FRAME * number as u32;
            let beat = said.say(now);
            if heard(number) {
                let payload = book.frame(speaker, beat);
                let arrived = now + Duration::from_millis(30);
                listener.hear(payload, arrived, &said, &book, &mut measures);
            }
        }
        (listener, said, measures)
    }

    #[test]
    fn a_whole_stream_has_no_fault_and_its_delay_is_known() {
        let (listener, said, measures) = talk(Mark::new(7, false), |_| true);
        assert_eq!((listener.good, listener.lost(&said)), (100, 0));
        assert!(!listener.is_crossed());
        assert_eq!(listener.gap_max, Duration::ZERO);
        assert!((29.0..31.0).contains(&measures.latency.quantile_ms(0.99)));
        assert_eq!(measures.jitter.quantile_ms(1.0), 0.0);
    }

    #[test]
    fn one_lost_frame_is_found_and_so_are_fifty_in_a_row() {
        let (listener, said, _) = talk(Mark::new(7, false), |number| number != 50);
        assert_eq!((listener.good, listener.lost(&said)), (99, 1));
        assert_eq!(listener.gap_max, FRAME);
        let (listener, said, _) = talk(Mark::new(7, false), |number| !(20..70).contains(&number));
        assert_eq!((listener.good, listener.lost(&said)), (50, 50));
        assert_eq!(listener.gap_max, FRAME * 50);
    }

    #[test]
    fn what_came_before_the_first_frame_heard_is_not_lost() {
        let (listener, said, _) = talk(Mark::new(7, false), |number| number >= 35);
        assert_eq!((listener.good, listener.lost(&said)), (65, 0));
    }

    #[test]
    fn a_stream_that_breaks_off_is_lost_from_there() {
        let (listener, said, _) = talk(Mark::new(7, false), |number| number < 60);
        assert_eq!((listener.good, listener.lost(&said)), (60, 40));
    }

    #[test]
    fn a_crossed_call_is_found_by_its_mark_even_the_next_call_or_ones_own_echo() {
        for stranger in [Mark::new(8, false), Mark::new(7, true), Mark::new(0x2007, false)] {
            let (listener, _, _) = talk(stranger, |_| true);
            assert!(listener.is_crossed(), "{stranger:?}: {listener:?}");
        }
    }

    #[test]
    fn one_way_silence_is_found() {
        let (listener, said, _) = talk(Mark::new(7, false), |_| false);
        assert_eq!((listener.good, listener.lost(&said)), (0, 0));
        assert!(!listener.is_crossed());
    }
}
