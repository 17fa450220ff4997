//! One call of a load test: its parties, and what became of it.

use std::time::{Duration, Instant};

use sip::endpoint::SessionKey;

use super::line::{Over, Way};
use super::listener::{Listener, Said, Talk};
use super::mark::{Book, PARTIES, Party};
use super::plan::Bounds;
use super::router::Spell;
use super::voice::Voice;

/// A call under way.
#[derive(Debug)]
pub struct Call {
    /// The callers' line knows it by.
    pub session: SessionKey,
    /// The audio of each party that is there, by [`Party::index`].
    pub voices: [Option<Voice>; PARTIES],
    /// What each of them said.
    pub talk: Talk,
    /// A third is called.
    pub is_room: bool,
    /// From when on it counts what is heard.
    pub heard_from: Option<Instant>,
    /// When its INVITE went out.
    pub placed: Instant,
    /// Whether it rang.
    pub has_rung: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not answered.
    Calling,
    /// All speak.
    Talking,
    /// All are quiet, and what is under way may arrive.
    Quiet,
    /// BYE or CANCEL is out.
    Ending {
        /// It was never answered.
        is_late: bool,
    },
}

/// What became of a call, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Somebody else was heard.
    Crossed,
    /// Somebody was never heard by somebody.
    Silent,
    /// No answer, or an end before its time.
    Failed,
    /// The target refused it with this status.
    Refused(u16),
    /// It lost frames, or had a gap, beyond the bounds.
    Broken,
    /// Nothing to say.
    Good,
}

/// Frames of all directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Sent.
    pub sent: u64,
    /// Heard at the right place.
    pub good: u64,
    /// Lost after the first one heard.
    pub lost: u64,
    /// Heard from somebody else.
    pub foreign: u64,
    /// Silence or noise.
    pub unclear: u64,
    /// Longest gap.
    pub gap_max: Duration,
}

/// After the third of a room has come the mixer takes over; what is heard until then is not judged.
const ROOM_SETTLES: Duration = Duration::from_millis(500);

impl Call {
    /// Its parties, in the order in which they come.
    pub fn parties(&self) -> &'static [Party] {
        let count = if self.is_room { PARTIES } else { PARTIES - 1 };
        Party::ALL.get(..count).unwrap_or(&[])
    }

    /// A party has come with its audio.
    pub fn join(&mut self, party: Party, voice: Voice, now: Instant) {
        if let Some(place) = self.voices.get_mut(party.index()) {
            *place = Some(voice);
        }
        if self.parties().last() == Some(&party) {
            let settles = if self.is_room {
                ROOM_SETTLES
            } else {
                Duration::ZERO
            };
            self.heard_from = Some(now + settles);
        }
    }

    /// Whether that party may still come.
    pub fn is_waiting_for(&self, party: Party) -> bool {
        let is_there = self.voices.get(party.index()).is_some_and(Option::is_some);
        self.parties().contains(&party) && !is_there
    }

    /// All who are there say their next frame; where only the caller is to speak, it does.
    pub fn speak(&mut self, now: Instant, book: &Book, is_mute: bool) {
        let speakers = if is_mute { 1 } else { PARTIES };
        for (voice, said) in self.voices.iter_mut().zip(&mut self.talk).take(speakers) {
            if let Some(voice) = voice {
                voice.speak(now, said, book);
            }
        }
    }

    /// Where the audio of a party goes from now on, unless all are quiet already.
    pub fn set_way(&mut self, party: Party, way: Option<Way>) {
        if self.stage == Stage::Quiet {
            return;
        }
        if let Some(Some(voice)) = self.voices.get_mut(party.index()) {
            voice.set_way(way);
        }
    }

    /// The router holds or resumes it.
    pub fn attend(&mut self, spell: Spell, now: Instant) {
        for voice in self.voices.iter_mut().flatten() {
            match spell {
                Spell::Begins | Spell::Ends => voice.ear.be_undecided(),
                Spell::Held => voice.ear.hold(now),
                Spell::Over => voice.ear.resume(&self.talk),
            }
        }
    }

    /// All fall quiet.
    pub fn hush(&mut self) {
        for voice in self.voices.iter_mut().flatten() {
            voice.hush();
        }
    }

    /// What became of it, now that it is over.
    pub fn fate(&self, over: Over, bounds: &Bounds) -> (Fate, Frames) {
        let ways = self.ways();
        let mut frames = total(&ways);
        frames.add(&self.beside_ways());
        let fate = match (self.stage, over) {
            (Stage::Calling, Over::Refused(status)) => Fate::Refused(status),
            (Stage::Ending { is_late: false }, Over::HungUp) => {
                let is_crossed = self.voices.iter().flatten().any(|voice| voice.ear.is_crossed());
                judge(is_crossed, &ways, &frames, bounds)
            }
            (Stage::Calling | Stage::Talking | Stage::Quiet | Stage::Ending { .. }, _) => Fate::Failed,
        };
        (fate, frames)
    }

    /// Each direction: what was said, and what of it was heard.
    fn ways(&self) -> Vec<(&Said, Listener)> {
        let parties = self.parties().iter();
        let pairs = parties.flat_map(|one| self.parties().iter().map(move |other| (*one, *other)));
        pairs
            .filter(|(speaker, hearer)| speaker != hearer)
            .filter_map(|(speaker, hearer)| {
                let voice = self.voices.get(hearer.index())?.as_ref();
                let heard = voice.and_then(|voice| voice.ear.of(speaker));
                Some((
                    self.talk.get(speaker.index())?,
                    heard.cloned().unwrap_or_default(),
                ))
            })
            .collect()
    }

    /// What was said in all, and what was heard that nobody of the call had said.
    fn beside_ways(&self) -> Frames {
        let ears = self.voices.iter().flatten().map(|voice| &voice.ear);
        let said = Frames {
            sent: self.talk.iter().map(|said| said.frames).sum(),
            ..Frames::default()
        };
        ears.fold(said, |frames, ear| Frames {
            foreign: frames.foreign + ear.foreign,
            unclear: frames.unclear + ear.unclear,
            ..frames
        })
    }
}

/// Judges the audio of a call that went its way.
fn judge(is_crossed: bool, ways: &[(&Said, Listener)], frames: &Frames, bounds: &Bounds) -> Fate {
    if is_crossed {
        return Fate::Crossed;
    }
    if ways.iter().any(|(_, listener)| listener.good == 0) {
        return Fate::Silent;
    }
    let lost = frames.lost as f64 > bounds.loss * (frames.good + frames.lost) as f64;
    if lost || frames.gap_max > bounds.gap {
        Fate::Broken
    } else {
        Fate::Good
    }
}

fn total(ways: &[(&Said, Listener)]) -> Frames {
    let mut frames = Frames::default();
    for (said, listener) in ways {
        frames.add(&Frames {
            good: listener.good,
            lost: listener.lost(said),
            gap_max: listener.gap_max,
            ..Frames::default()
        });
    }
    frames
}

impl Frames {
    /// Adds those of another call.
    pub fn add(&mut self, other: &Frames) {
        self.sent += other.sent;
        self.good += other.good;
        self.lost += other.lost;
        self.foreign += other.foreign;
        self.unclear += other.unclear;
        self.gap_max = self.gap_max.max(other.gap_max);
    }
}

#[cfg(test)]
mod tests {
    use media::Codec;

    use super::super::listener::talk;
    use super::super::mark::Mark;
    use super::super::measures::Measures;
    use super::super::plan::testing::plan;
    use super::*;

    fn call(is_room: bool) -> Call {
        let now = Instant::now();
        let mut call = Call {
            session: SessionKey::Out(1),
            voices: [None, None, None],
            talk: talk(1),
            is_room,
            heard_from: None,
            placed: now,
            has_rung: false,
            stage: Stage::Ending { is_late: false },
        };
        for party in call.parties() {
            let voice = Voice::open([127, 0, 0, 1].into(), Codec::Pcmu, (0, 0, 0)).unwrap();
            call.join(*party, voice, now);
        }
        call
    }

    /// A second of everybody, heard by everybody as the mixer of a room, or a relay, brings it; what `changed` makes
    /// of what one hears of another counts.
    fn fate(is_room: bool, changed: impl Fn(Party, Party, u64) -> Option<Mark>) -> Fate {
        let (book, start, mut measures) = (Book::new(Codec::Pcmu), Instant::now(), Measures::new());
        let mut call = call(is_room);
        for number in 0..50 {
            let now = start + Duration::from_millis(20) * number;
            let beats: Vec<u8> = call
                .parties()
                .iter()
                .map(|party| call.talk[party.index()].say(now))
                .collect();
            for hearer in call.parties() {
                let others = call.parties().iter().filter(|speaker| *speaker != hearer);
                let said = others.filter_map(|speaker| {
                    changed(*speaker, *hearer, u64::from(number)).map(|mark| (mark, beats[speaker.index()]))
                });
                let payload = book.mix(&said.collect::<Vec<_>>());
                let ear = &mut call.voices[hearer.index()].as_mut().unwrap().ear;
                ear.hear(&payload, now, *hearer, &call.talk, &book, &mut measures);
            }
        }
        call.fate(Over::HungUp, &plan().bounds).0
    }

    #[test]
    fn each_fault_of_one_direction_is_the_calls() {
        for is_room in [false, true] {
            let own = |speaker| Some(Mark::new(1, speaker));
            assert_eq!(fate(is_room, |speaker, _, _| own(speaker)), Fate::Good);
            let parties = call(is_room).parties();
            for (one, other) in parties
                .iter()
                .flat_map(|one| parties.iter().map(move |other| (*one, *other)))
            {
                if one == other {
                    continue;
                }
                let is_it = |speaker, hearer| (speaker, hearer) == (one, other);
                let cut = |speaker, hearer, number| {
                    own(speaker).filter(|_| !(is_it(speaker, hearer) && number == 25))
                };
                assert_eq!(fate(is_room, cut), Fate::Broken);
                let mute = |speaker, hearer, _| own(speaker).filter(|_| !is_it(speaker, hearer));
                assert_eq!(fate(is_room, mute), Fate::Silent);
                let stranger =
                    |speaker, hearer, _| Some(Mark::new(if is_it(speaker, hearer) { 2 } else { 1 }, speaker));
                assert_eq!(fate(is_room, stranger), Fate::Crossed);
            }
        }
    }

    #[test]
    fn a_room_whose_third_never_comes_is_not_good() {
        let mut call = call(true);
        call.voices[Party::Third.index()] = None;
        assert!(call.is_waiting_for(Party::Third) && !call.is_waiting_for(Party::Answerer));
        assert_eq!(call.fate(Over::HungUp, &plan().bounds).0, Fate::Silent);
    }
}
