//! What one party of a call hears, held against what the others said.
//!
//! Counts every frame: those of the right marks, by their place in what was sent, so that a frame lost, a
//! stranger's frame and silence each show. In a room of three a frame is the sum of two, and both are looked for.
//! Pure: arrival times are arguments.

use std::time::{Duration, Instant};

use super::mark::{BEATS, Book, Mark, PARTIES, Party, Reading};
use super::measures::Measures;

/// Length of a frame.
pub const FRAME: Duration = Duration::from_millis(20);

/// What one party said so far.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its mark.
    pub mark: Mark,
    /// Frames sent.
    pub frames: u64,
    sent_at: [Option<Instant>; BEATS as usize],
}

/// What all parties of a call said, by [`Party::index`].
pub type Talk = [Said; PARTIES];

/// One party's ear.
#[derive(Clone, Debug, Default)]
pub struct Ear {
    /// For each party, by [`Party::index`]; for itself nothing.
    heard: [Listener; PARTIES],
    /// Frames with somebody else in them.
    pub foreign: u64,
    /// Frames that were silence or nobody's.
    pub unclear: u64,
    attention: Attention,
}

/// What is made of what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attention {
    /// The others should be heard.
    #[default]
    Listening,
    /// A hold, or its end, is asked for: they may be heard or not.
    Undecided,
    /// On hold: from then on none of them may be heard.
    Held(Instant),
}

/// What of one party was heard by another.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Number of the first frame heard; after a hold, of the first that should be.
    first: Option<u64>,
    /// Frames heard and lost until the last hold.
    before: (u64, u64),
    last: Option<Last>,
    /// Frames heard, each once.
    pub good: u64,
    /// Longest time without a frame, beyond the frame's own length.
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

/// Nothing said yet in that call.
pub fn talk(call: u32) -> Talk {
    Party::ALL.map(|party| Said::new(Mark::new(call, party)))
}

impl Ear {
    /// A payload came to the ear of `own`.
    pub fn hear(
        &mut self,
        payload: &[u8],
        arrived: Instant,
        own: Party,
        talk: &Talk,
        book: &Book,
        measures: &mut Measures,
    ) {
        match self.attention {
            Attention::Listening => {}
            Attention::Held(from) if arrived >= from => return self.mind(payload, own, talk, book),
            Attention::Undecided | Attention::Held(_) => return,
        }
        let mut speakers = Party::ALL
            .into_iter()
            .filter(|party| *party != own)
            .filter_map(|party| {
                talk.get(party.index())
                    .filter(|said| said.frames > 0)
                    .zip(Some(party))
            });
        let found = match (speakers.next(), speakers.next()) {
            (None, _) => return,
            (Some((said, party)), None) => {
                let next = self.next_beat(party);
                if payload == book.frame(said.mark, next) {
                    [Some((party, next)), None]
                } else {
                    self.measure(payload, [Some((said, party)), None], book)
                }
            }
            both => self.measure(payload, both.into(), book),
        };
        for (party, beat) in found.into_iter().flatten() {
            let (Some(said), Some(listener)) = (talk.get(party.index()), self.heard.get_mut(party.index()))
            else {
                continue;
            };
            match said.youngest(beat) {
                Some(frame) => listener.hear(frame, arrived, measures),
                None => self.foreign += 1,
            }
        }
    }

    /// A hold begins or ends about now.
    pub fn be_undecided(&mut self) {
        self.attention = Attention::Undecided;
        for listener in &mut self.heard {
            listener.close();
        }
    }

    /// The hold has begun.
    pub fn hold(&mut self, now: Instant) {
        self.attention = Attention::Held(now + HOLD_GRACE);
    }

    /// The hold is over: the others are to be heard again.
    pub fn resume(&mut self, talk: &Talk) {
        self.attention = Attention::Listening;
        for (listener, said) in self.heard.iter_mut().zip(talk) {
            listener.first = Some(said.frames + RESUME_FRAMES);
        }
    }

    /// On hold: what the others say is not to be in it, music may be.
    fn mind(&mut self, payload: &[u8], own: Party, talk: &Talk, book: &Book) {
        let chord = book.decode(payload);
        let others = talk.iter().zip(Party::ALL).filter(|(_, party)| *party != own);
        let found = others.filter_map(|(said, _)| chord.find(said.mark, 0).map(|beat| (said.mark, beat)));
        let found: Vec<_> = found.collect();
        if !found.is_empty() && chord.read(found.into_iter()) == Reading::Known {
            self.foreign += 1;
        }
    }

    /// Who of the speakers is in it, at which beat; counts what is not theirs.
    fn measure(
        &mut self,
        payload: &[u8],
        speakers: [Option<(&Said, Party)>; 2],
        book: &Book,
    ) -> [Option<(Party, u8)>; 2] {
        let chord = book.decode(payload);
        if chord.is_silence() {
            self.unclear += 1;
            return [None; 2];
        }
        let found = speakers.map(|speaker| {
            let (said, party) = speaker?;
            chord
                .find(said.mark, self.next_beat(party))
                .map(|beat| (said.mark, party, beat))
        });
        let known = found.iter().flatten().map(|(mark, _, beat)| (*mark, *beat));
        match chord.read(known) {
            Reading::Known => {}
            Reading::Another => self.foreign += 1,
            Reading::Unclear => self.unclear += 1,
        }
        found.map(|found| found.map(|(_, party, beat)| (party, beat)))
    }

    /// The beat that follows the last one heard of a party.
    fn next_beat(&self, party: Party) -> u8 {
        let last = self.of(party).and_then(|listener| listener.last);
        (last.map_or(0, |last| last.number + 1) % u64::from(BEATS)) as u8
    }

    /// What was heard of a party.
    pub fn of(&self, party: Party) -> Option<&Listener> {
        self.heard.get(party.index())
    }

    /// True where somebody else was heard. One frame may be noise that looks like one.
    pub fn is_crossed(&self) -> bool {
        self.foreign >= CROSSED_FRAMES
    }
}

impl Listener {
    /// The frame of that number and time of sending came.
    fn hear(&mut self, (number, sent_at): (u64, Instant), arrived: Instant, measures: &mut Measures) {
        let is_early = self.first.is_some_and(|first| number < first);
        if is_early || self.last.is_some_and(|last| number == last.number) {
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
        self.lost_until(said.frames)
    }

    fn lost_until(&self, frames: u64) -> u64 {
        let (good, lost) = self.before;
        let owed = self.first.map_or(0, |first| frames.saturating_sub(first));
        lost + owed.saturating_sub(self.good - good)
    }

    /// What comes from now on is not counted; what has come is, to the last frame.
    fn close(&mut self) {
        let until = self.last.map_or(0, |last| last.number + 1);
        self.before = (self.good, self.lost_until(until));
        (self.first, self.last) = (None, None);
    }
}

/// What was under way when a hold began may be heard for so long.
const HOLD_GRACE: Duration = Duration::from_millis(150);
/// Frames after the end of a hold that need not be heard.
const RESUME_FRAMES: u64 = 10;
/// Foreign frames from which on a call counts as crossed: marks differ at least once in four.
const CROSSED_FRAMES: u64 = 3;

#[cfg(test)]
mod tests {
    use media::Codec;

    use super::*;

    /// 100 frames of the caller of call 7, in whose place `speaker` is heard 30 ms later by the answerer where
    /// `heard` lets it through.
    fn listen(speaker: Mark, heard: impl Fn(u64) -> bool) -> (Ear, Said, Measures) {
        let book = Book::new(Codec::Pcmu);
        let (mut talk, mut ear, mut measures) = (talk(7), Ear::default(), Measures::new());
        let start = Instant::now();
        for number in 0..100u64 {
            let now = start + FRAME * number as u32;
            let beat = talk[0].say(now);
            if heard(number) {
                let payload = book.frame(speaker, beat);
                let arrived = now + Duration::from_millis(30);
                ear.hear(payload, arrived, Party::Answerer, &talk, &book, &mut measures);
            }
        }
        let [said, ..] = talk;
        (ear, said, measures)
    }

    fn own() -> Mark {
        Mark::new(7, Party::Caller)
    }

    /// Frames heard, frames lost.
    fn count(ear: &Ear, said: &Said) -> (u64, u64) {
        let listener = ear.of(Party::Caller).unwrap();
        (listener.good, listener.lost(said))
    }

    #[test]
    fn a_whole_stream_has_no_fault_and_its_delay_is_known() {
        let (ear, said, measures) = listen(own(), |_| true);
        assert_eq!(count(&ear, &said), (100, 0));
        assert!(!ear.is_crossed());
        assert_eq!(ear.heard[0].gap_max, Duration::ZERO);
        assert!((29.0..31.0).contains(&measures.latency.quantile_ms(0.99)));
        assert_eq!(measures.jitter.quantile_ms(1.0), 0.0);
    }

    #[test]
    fn one_lost_frame_is_found_and_so_are_fifty_in_a_row() {
        let (ear, said, _) = listen(own(), |number| number != 50);
        assert_eq!(count(&ear, &said), (99, 1));
        assert_eq!(ear.heard[0].gap_max, FRAME);
        let (ear, said, _) = listen(own(), |number| !(20..70).contains(&number));
        assert_eq!(count(&ear, &said), (50, 50));
        assert_eq!(ear.heard[0].gap_max, FRAME * 50);
    }

    #[test]
    fn what_came_before_the_first_frame_heard_is_not_lost() {
        let (ear, said, _) = listen(own(), |number| number >= 35);
        assert_eq!(count(&ear, &said), (65, 0));
    }

    #[test]
    fn a_stream_that_breaks_off_is_lost_from_there() {
        let (ear, said, _) = listen(own(), |number| number < 60);
        assert_eq!(count(&ear, &said), (60, 40));
    }

    #[test]
    fn a_crossed_call_is_found_by_its_mark_even_the_next_call_or_ones_own_echo() {
        let strangers = [
            Mark::new(8, Party::Caller),
            Mark::new(7, Party::Answerer),
            Mark::new(7, Party::Third),
            Mark::new(0x2007, Party::Caller),
        ];
        for stranger in strangers {
            let (ear, ..) = listen(stranger, |_| true);
            assert!(ear.is_crossed(), "{stranger:?}: {ear:?}");
        }
    }

    #[test]
    fn one_way_silence_is_found() {
        let (ear, said, _) = listen(own(), |_| false);
        assert_eq!(count(&ear, &said), (0, 0));
        assert!(!ear.is_crossed());
    }

    /// 100 frames of a room: the answerer hears caller and third, five frames apart, and `stranger` with them. The
    /// third is left out where `lets` says so.
    fn room(stranger: Option<Mark>, lets: impl Fn(u64) -> bool) -> (Ear, Talk) {
        let book = Book::new(Codec::Pcmu);
        let (mut talk, mut ear, mut measures) = (talk(7), Ear::default(), Measures::new());
        let start = Instant::now();
        for _ in 0..5 {
            talk[0].say(start);
        }
        for number in 0..100u64 {
            let now = start + FRAME * number as u32;
            let beats = [talk[0].say(now), talk[2].say(now)];
            let third = Some(talk[2].mark).filter(|_| lets(number));
            let speakers = [(Some(talk[0].mark), beats[0]), (third, beats[1]), (stranger, 11)];
            let said = speakers
                .into_iter()
                .filter_map(|(mark, beat)| mark.zip(Some(beat)));
            let payload = book.mix(&said.collect::<Vec<_>>());
            ear.hear(&payload, now, Party::Answerer, &talk, &book, &mut measures);
        }
        (ear, talk)
    }

    /// Three seconds, in the second of which the answerer is on hold; `heard` lets frames through.
    fn held(heard: impl Fn(u64) -> bool) -> (u64, u64, bool) {
        let book = Book::new(Codec::Pcmu);
        let (mut talk, mut ear, mut measures) = (talk(7), Ear::default(), Measures::new());
        let start = Instant::now();
        for number in 0..150u64 {
            let now = start + FRAME * number as u32;
            match number {
                48 | 98 => ear.be_undecided(),
                50 => ear.hold(now),
                100 => ear.resume(&talk),
                _ => {}
            }
            let beat = talk[0].say(now);
            if heard(number) {
                let payload = book.frame(talk[0].mark, beat);
                ear.hear(payload, now, Party::Answerer, &talk, &book, &mut measures);
            }
        }
        let listener = &ear.heard[0];
        (listener.good, listener.lost(&talk[0]), ear.is_crossed())
    }

    #[test]
    fn on_hold_nothing_is_missed_but_nobody_may_be_heard_and_after_it_everybody_must() {
        let outside = |number: u64| !(50..100).contains(&number);
        assert_eq!(held(outside), (88, 0, false));
        assert_eq!(held(|number| outside(number) && number != 20), (87, 1, false));
        assert_eq!(held(|_| true), (88, 0, true));
        assert_eq!(held(|number| number < 50), (48, 40, false));
    }

    #[test]
    fn both_others_of_a_room_are_followed_frame_by_frame() {
        let (ear, talk) = room(None, |_| true);
        for (party, said) in [(0, &talk[0]), (2, &talk[2])] {
            assert_eq!((ear.heard[party].good, ear.heard[party].lost(said)), (100, 0));
        }
        assert_eq!((ear.foreign, ear.unclear, ear.heard[1].good), (0, 0, 0));
    }

    #[test]
    fn one_speaker_of_a_room_who_is_cut_and_a_stranger_in_it_are_found() {
        let (ear, talk) = room(None, |number| !(40..60).contains(&number));
        assert_eq!((ear.heard[0].good, ear.heard[0].lost(&talk[0])), (100, 0));
        assert_eq!((ear.heard[2].good, ear.heard[2].lost(&talk[2])), (80, 20));
        assert_eq!((ear.foreign, ear.unclear), (0, 0));
        let (ear, _) = room(Some(Mark::new(8, Party::Caller)), |_| true);
        assert!(ear.is_crossed(), "{ear:?}");
    }
}
