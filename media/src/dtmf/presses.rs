//! One press that a peer tells more than once: by telephone-events in its RTP, by a tone in its audio, by its
//! signalling.
//!
//! Whichever comes first counts; the others are its twins and mean nothing. Twins meet in order, so two
//! quick presses of one digit, each told twice, are two. Knows nothing of packets or messages.
//!
//! ```text
//! events:      5 . . .     5 . . .
//! signalling:        5           5      the press, its twin, the press, its twin
//! ```

use std::time::{Duration, Instant};

use super::Digit;

/// How a press is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By telephone-events (RFC 4733).
    Events,
    /// By a message beside the media (SIP INFO).
    Signalling,
    /// By a tone in the audio.
    Tones,
}

/// Presses whose twins may still come.
#[derive(Clone, Debug, Default)]
pub struct Presses {
    /// Oldest first.
    waiting: [Option<Press>; ALONE_MAX],
}

#[derive(Clone, Copy, Debug)]
struct Press {
    digit: Digit,
    told: Ways,
    /// When it was told, or was still held down.
    at: Instant,
}

/// The ways one press was told.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    events: bool,
    signalling: bool,
    tones: bool,
}

impl Ways {
    fn of(&mut self, told: Told) -> &mut bool {
        match told {
            Told::Events => &mut self.events,
            Told::Signalling => &mut self.signalling,
            Told::Tones => &mut self.tones,
        }
    }

    fn has(mut self, told: Told) -> bool {
        *self.of(told)
    }

    fn with(mut self, told: Told) -> Ways {
        *self.of(told) = true;
        self
    }
}

impl Presses {
    /// Takes a press; true: it is the twin of one that was told another way.
    pub fn is_twin(&mut self, digit: Digit, told: Told, now: Instant) -> bool {
        for place in &mut self.waiting {
            if place.is_some_and(|press| now.saturating_duration_since(press.at) > TWIN_WITHIN) {
                *place = None;
            }
        }
        let waits = |press: &&mut Press| press.digit == digit && !press.told.has(told);
        if let Some(press) = self.waiting.iter_mut().flatten().find(waits) {
            press.told = press.told.with(told);
            return true;
        }
        let told = Ways::default().with(told);
        self.keep(Press { digit, told, at: now });
        false
    }

    /// The digit told last so is still down: its twins may come when it is let go.
    pub fn hold(&mut self, told: Told, now: Instant) {
        let is_told_so = |press: &&mut Press| press.told.has(told);
        if let Some(press) = self.waiting.iter_mut().flatten().rfind(is_told_so) {
            press.at = now;
        }
    }

    /// Behind the others; where there is no room the oldest is given up.
    fn keep(&mut self, press: Press) {
        let mut kept = [None; ALONE_MAX];
        let waiting = self.waiting.iter().flatten().count();
        let rest = self
            .waiting
            .iter()
            .flatten()
            .skip((waiting + 1).saturating_sub(ALONE_MAX));
        for (place, press) in kept.iter_mut().zip(rest.copied().chain([press])) {
            *place = Some(press);
        }
        self.waiting = kept;
    }
}

/// Presses that wait for their twin, for each party. A hand presses no more in [`TWIN_WITHIN`].
pub const ALONE_MAX: usize = 16;

/// How far apart the two tellings of one press may be: an INFO that is lost goes out again after 0.5, 1.5 and
/// 3.5 s (RFC 3261 §17.1.2.2).
pub const TWIN_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses as `(at_ms, digit, told)`; those that count.
    fn counted(presses: &[(u64, char, Told)]) -> String {
        let (mut all, start) = (Presses::default(), Instant::now());
        let mut counted = String::new();
        for (at_ms, digit, told) in presses {
            let now = start + Duration::from_millis(*at_ms);
            if !all.is_twin(Digit::from_char(*digit).unwrap(), *told, now) {
                counted.push(*digit);
            }
        }
        counted
    }

    use Told::{Events, Signalling, Tones};

    #[test]
    fn a_press_told_both_ways_counts_once_whichever_comes_first() {
        assert_eq!(counted(&[(0, '5', Events), (100, '5', Signalling)]), "5");
        assert_eq!(counted(&[(0, '5', Signalling), (30, '5', Events)]), "5");
        let both = |at, digit| [(at, digit, Events), (at + 90, digit, Signalling)];
        let quick: Vec<_> = [both(0, '5'), both(120, '5'), both(240, '6')].concat();
        assert_eq!(counted(&quick), "556");
        // The messages come late, in one go.
        let late: Vec<_> = [(0, Events), (120, Events), (600, Signalling), (601, Signalling)]
            .map(|(at, told)| (at, '5', told))
            .to_vec();
        assert_eq!(counted(&late), "55");
    }

    #[test]
    fn presses_told_one_way_all_count_and_so_does_one_that_is_too_far_off() {
        for told in [Events, Signalling, Tones] {
            let same: Vec<_> = (0..20).map(|at| (at * 100, '1', told)).collect();
            assert_eq!(counted(&same), "1".repeat(20));
        }
        assert_eq!(counted(&[(0, '5', Events), (2_001, '5', Signalling)]), "55");
        assert_eq!(counted(&[(0, '5', Events), (100, '6', Signalling)]), "56");
    }

    #[test]
    fn a_press_told_all_three_ways_counts_once() {
        let ways = [Events, Signalling, Tones];
        for (first, second, third) in [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)] {
            let press = |at| {
                let told = |delay: u64, way: usize| (at + delay, '5', ways[way]);
                [told(0, first), told(60, second), told(130, third)]
            };
            assert_eq!(counted(&[press(0), press(300)].concat()), "55");
        }
        let crossed = [
            (0, Events),
            (120, Events),
            (130, Tones),
            (250, Tones),
            (600, Signalling),
            (601, Signalling),
        ];
        assert_eq!(counted(&crossed.map(|(at, told)| (at, '5', told))), "55");
    }

    #[test]
    fn a_digit_held_down_meets_its_twin_when_it_is_let_go() {
        let (mut all, start) = (Presses::default(), Instant::now());
        let five = Digit::from_char('5').unwrap();
        assert!(!all.is_twin(five, Events, start));
        all.hold(Events, start + Duration::from_secs(6));
        assert!(all.is_twin(five, Signalling, start + Duration::from_secs(7)));
    }

    #[test]
    fn of_more_than_wait_the_oldest_is_given_up() {
        let (mut all, now) = (Presses::default(), Instant::now());
        for digit in "0123456789*#ABCD".chars().chain(['1']) {
            assert!(!all.is_twin(Digit::from_char(digit).unwrap(), Events, now));
        }
        assert_eq!(all.waiting.iter().flatten().count(), ALONE_MAX);
        assert!(
            !all.is_twin(Digit::from_char('0').unwrap(), Signalling, now),
            "given up"
        );
        assert!(all.is_twin(Digit::from_char('D').unwrap(), Signalling, now));
    }
}
