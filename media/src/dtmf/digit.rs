//! One of sixteen digits, and how a row of them is spread over ticks.

use crate::frame::FRAME_MS;

/// `0-9 * # A-D`, as its event code 0 to 15 (RFC 4733 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit(u8);

impl Digit {
    /// From its event code.
    pub const fn from_event(event: u8) -> Option<Digit> {
        if event < 16 { Some(Digit(event)) } else { None }
    }

    /// From its character; letters in either case.
    pub fn from_char(character: char) -> Option<Digit> {
        let upper = character.to_ascii_uppercase();
        let event = CHARACTERS.iter().position(|known| *known == upper)?;
        u8::try_from(event).ok().map(Digit)
    }

    /// Its event code.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// Its character.
    pub fn to_char(self) -> char {
        CHARACTERS.get(usize::from(self.0)).copied().unwrap_or('?')
    }

    /// Of the keypad's row and column.
    pub(super) fn at(row: usize, column: usize) -> Option<Digit> {
        Digit::from_char(*KEYPAD.get(row)?.get(column)?)
    }

    /// Its low and high frequency, Hz (ITU-T Q.23).
    pub fn frequencies_hz(self) -> [f32; 2] {
        let character = self.to_char();
        let (row, column) = KEYPAD
            .iter()
            .enumerate()
            .find_map(|(row, keys)| {
                keys.iter()
                    .position(|key| *key == character)
                    .map(|column| (row, column))
            })
            .unwrap_or((0, 0));
        let of = |group: [f32; 4], place: usize| group.get(place).copied().unwrap_or(0.0);
        [of(LOW_HZ, row), of(HIGH_HZ, column)]
    }
}

/// Digits to send, and the ticks each takes.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    digits: Vec<Digit>,
    /// Next digit.
    next: usize,
    /// Ticks of one digit.
    pub ticks: u32,
}

impl Schedule {
    /// `None` when there is no digit, too many, or something else among them. The duration is brought into
    /// bounds and rounded up to whole ticks.
    pub fn new(digits: &str, duration_ms: u32) -> Option<Schedule> {
        let digits: Vec<Digit> = digits.chars().map(Digit::from_char).collect::<Option<_>>()?;
        if digits.is_empty() || digits.len() > DIGITS_MAX {
            return None;
        }
        let ticks = duration_ms.clamp(DIGIT_MS_MIN, DIGIT_MS_MAX).div_ceil(FRAME_MS);
        Some(Schedule {
            digits,
            next: 0,
            ticks,
        })
    }

    pub fn next(&mut self) -> Option<Digit> {
        let digit = self.digits.get(self.next).copied();
        self.next += 1;
        digit
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.digits.len()
    }
}

/// Digits of one order, at most.
pub const DIGITS_MAX: usize = 64;
/// Shortest digit sent, milliseconds (ITU-T Q.24: receivers must take 40 ms).
pub const DIGIT_MS_MIN: u32 = 40;
/// Longest digit sent or reported, milliseconds: the duration field holds 8191 (RFC 4733 §2.3.5).
pub const DIGIT_MS_MAX: u32 = 8000;

const CHARACTERS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];
/// By row of the low and column of the high frequencies.
const KEYPAD: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// Low group, Hz (ITU-T Q.23).
pub(super) const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// High group, Hz.
pub(super) const HIGH_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_events_are_those_of_rfc_4733() {
        for (character, event) in [('0', 0), ('9', 9), ('*', 10), ('#', 11), ('A', 12), ('D', 15)] {
            let digit = Digit::from_char(character).unwrap();
            assert_eq!(digit.event(), event);
            assert_eq!(digit.to_char(), character);
            assert_eq!(Digit::from_event(event), Some(digit));
        }
        assert_eq!(Digit::from_char('d'), Digit::from_char('D'));
        assert_eq!(Digit::from_char('w'), None);
        assert_eq!(Digit::from_event(16), None);
    }

    #[test]
    fn frequencies_are_those_of_q23() {
        let of = |character| Digit::from_char(character).unwrap().frequencies_hz();
        assert_eq!(of('1'), [697.0, 1209.0]);
        assert_eq!(of('0'), [941.0, 1336.0]);
        assert_eq!(of('#'), [941.0, 1477.0]);
        assert_eq!(of('B'), [770.0, 1633.0]);
    }

    #[test]
    fn a_schedule_has_bounds() {
        assert!(Schedule::new("", 100).is_none());
        assert!(Schedule::new("12x", 100).is_none());
        assert!(Schedule::new(&"1".repeat(DIGITS_MAX), 100).is_some());
        assert!(Schedule::new(&"1".repeat(DIGITS_MAX + 1), 100).is_none());
        assert_eq!(Schedule::new("1", 0).unwrap().ticks, 2);
        assert_eq!(Schedule::new("1", 41).unwrap().ticks, 3);
        assert_eq!(Schedule::new("1", u32::MAX).unwrap().ticks, 400);
    }
}
