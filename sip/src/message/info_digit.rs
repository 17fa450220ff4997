//! A digit as the body of INFO carries it: `application/dtmf-relay` and `application/dtmf`.
//!
//! No RFC defines them; they are the older use of INFO that RFC 6086 §4.1 leaves alone. Knows nothing of the
//! dialog the INFO is in.
//!
//! ```text
//! application/dtmf-relay        application/dtmf
//! Signal=5                      5
//! Duration=160
//! ```

use bytes::Bytes;

use super::MediaType;

/// The media type of what we send: a signal and how long it lasted, milliseconds.
pub const DTMF_RELAY: &str = "application/dtmf-relay";

/// The media types taken, in the order of an Accept header.
pub const DIGIT_BODIES: [&str; 2] = [DTMF_RELAY, "application/dtmf"];

/// Milliseconds of a digit that names no length.
pub const DURATION_MS_DEFAULT: u32 = 100;
/// The longest a digit may be, milliseconds; what says more is cut to it. The same as an RFC 4733 event can
/// say at 8000 Hz.
pub const DURATION_MS_MAX: u32 = 8_000;

/// Longest body that is read, bytes: two short lines and room for unknown ones.
const BODY_BYTES_MAX: usize = 256;

/// The digits by their number in an event (RFC 4733 §3.2), which some peers send in the digit's place.
const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// One press.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InfoDigit {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// How long it was pressed, milliseconds, at most [`DURATION_MS_MAX`].
    pub duration_ms: u32,
}

/// A digit may be a card's: it is not for logs.
impl std::fmt::Debug for InfoDigit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfoDigit")
            .field("duration_ms", &self.duration_ms)
            .finish_non_exhaustive()
    }
}

/// Whether a body of this type carries a digit.
pub fn is_digit_body(kind: &MediaType) -> bool {
    DIGIT_BODIES.iter().any(|taken| kind.is(taken))
}

impl InfoDigit {
    /// Reads a body of one of [`DIGIT_BODIES`]; `None` where it names no digit, or a length that is no number.
    pub fn parse(kind: &MediaType, body: &[u8]) -> Option<InfoDigit> {
        let text = std::str::from_utf8(body.get(..body.len().min(BODY_BYTES_MAX))?).ok()?;
        if body.len() > BODY_BYTES_MAX {
            return None;
        }
        if kind.is(DTMF_RELAY) || text.contains('=') {
            return relay(text);
        }
        Some(InfoDigit {
            digit: signal(text.trim())?,
            duration_ms: DURATION_MS_DEFAULT,
        })
    }

    /// The body of [`DTMF_RELAY`].
    pub fn to_body(self) -> Bytes {
        Bytes::from(format!(
            "Signal={}\r\nDuration={}\r\n",
            self.digit, self.duration_ms
        ))
    }
}

/// Lines of a name, `=` and a value; blanks around either, the order and unknown names do not matter.
fn relay(text: &str) -> Option<InfoDigit> {
    let (mut digit, mut duration_ms) = (None, DURATION_MS_DEFAULT);
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("Signal") {
            digit = Some(signal(value)?);
        } else if name.eq_ignore_ascii_case("Duration") {
            duration_ms = duration(value)?;
        }
    }
    digit.map(|digit| InfoDigit { digit, duration_ms })
}

/// A digit by its character, or by its number from 0 to 15.
fn signal(value: &str) -> Option<char> {
    let mut characters = value.chars();
    if let (Some(character), None) = (characters.next(), characters.next()) {
        let upper = character.to_ascii_uppercase();
        return DIGITS.contains(&upper).then_some(upper);
    }
    let is_number = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_digit());
    DIGITS
        .get(value.parse::<usize>().ok().filter(|_| is_number)?)
        .copied()
}

/// Some send nothing or zero where they do not know.
fn duration(value: &str) -> Option<u32> {
    if value.is_empty() {
        return Some(DURATION_MS_DEFAULT);
    }
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let told = value.parse().unwrap_or(DURATION_MS_MAX).min(DURATION_MS_MAX);
    is_number.then_some(if told == 0 { DURATION_MS_DEFAULT } else { told })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(kind: &str, body: &str) -> Option<(char, u32)> {
        let read = InfoDigit::parse(&MediaType::parse(kind).unwrap(), body.as_bytes());
        read.map(|read| (read.digit, read.duration_ms))
    }

    #[test]
    fn the_forms_that_peers_send_are_read() {
        for (body, wanted) in [
            ("Signal=5\r\nDuration=160\r\n", ('5', 160)),
            ("Signal= 5\r\nDuration= 250", ('5', 250)),
            ("Signal=*\nDuration=80\n", ('*', 80)),
            ("Duration=80\r\nSignal=d\r\n", ('D', 80)),
            ("signal=10\r\nDuration=\r\n", ('*', 100)),
            ("Signal=11\r\n", ('#', 100)),
            ("Signal=15\r\nDuration=0\r\nVolume=10\r\n", ('D', 100)),
            ("Signal=1\r\nDuration=99999999999\r\n", ('1', 8_000)),
        ] {
            assert_eq!(parse("application/dtmf-relay", body), Some(wanted), "{body:?}");
        }
        for (body, digit) in [
            ("7", '7'),
            ("#\r\n", '#'),
            (" 12 ", 'A'),
            ("b", 'B'),
            ("Signal=3\r\nDuration=100", '3'),
        ] {
            assert_eq!(parse("application/dtmf", body), Some((digit, 100)), "{body:?}");
        }
    }

    #[test]
    fn what_is_no_digit_is_not_read() {
        for body in [
            "",
            "Duration=160",
            "Signal=",
            "Signal=16",
            "Signal=hf",
            "Signal=+1",
            "Signal=5\r\nDuration=long",
            "Signal=5\r\nDuration=-1",
            "Signal=1\r\nSignal=x",
            "5",
        ] {
            assert_eq!(parse("application/dtmf-relay", body), None, "{body:?}");
        }
        for body in ["", "x", "123", "!", "1 2"] {
            assert_eq!(parse("application/dtmf", body), None, "{body:?}");
        }
        let long = format!("Signal=5\r\n{}", "a=b\r\n".repeat(BODY_BYTES_MAX / 5));
        assert_eq!(parse("application/dtmf-relay", &long), None);
        assert_eq!(
            parse("application/dtmf-relay", &long[..BODY_BYTES_MAX]),
            Some(('5', 100))
        );
    }

    #[test]
    fn a_digit_is_written_as_it_is_read_and_stays_out_of_logs() {
        let digit = InfoDigit {
            digit: '#',
            duration_ms: 120,
        };
        assert_eq!(digit.to_body(), "Signal=#\r\nDuration=120\r\n");
        assert_eq!(
            parse(DTMF_RELAY, "Signal=#\r\nDuration=120\r\n"),
            Some(('#', 120))
        );
        assert!(!format!("{digit:?}").contains('#'));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_digit_or_nothing(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            for kind in DIGIT_BODIES {
                if let Some(read) = InfoDigit::parse(&MediaType::parse(kind).unwrap(), &body) {
                    prop_assert!(DIGITS.contains(&read.digit) && (1..=DURATION_MS_MAX).contains(&read.duration_ms));
                }
            }
        }
    }
}
