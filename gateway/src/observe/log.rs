//! Logs: how they are written, and how a number or name is shown in them.
//!
//! Phone numbers never reach a log, a metric or a trace. [`Redactor`] gives each a pseudonym that stays
//! the same while the process runs, so that lines about one party can still be found.

use std::io::{IsTerminal, Read};

use sha2::{Digest, Sha256};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs to stderr, from INFO up unless `RUST_LOG` says otherwise; coloured
/// on a terminal only. A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let outcome = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "logging was set up before");
    }
}

/// Turns numbers into pseudonyms: `+81312345634` into `tel:+8***34#k7f2`.
///
/// The last four letters are a keyed digest (HMAC-SHA-256, RFC 2104), so that without the key nobody can
/// try all numbers. A value: the pure engine is given one like any other setting.
#[derive(Clone)]
pub struct Redactor {
    key: [u8; KEY_BYTES],
}

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;
/// RFC 4648 §6 in lower case: five bits a letter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Below so many digits, showing some would show too many.
const DIGITS_SHOWN_FROM: usize = 8;
const DIGEST_LETTERS: u32 = 4;

impl Redactor {
    /// One with a given key: the simulation's are repeatable.
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Redactor { key }
    }

    /// One with a key of this process alone, from the kernel's random source.
    pub fn random() -> std::io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Redactor { key })
    }

    /// The pseudonym of a number, with or without `+` and separators.
    pub fn number(&self, number: &str) -> String {
        let digits = number.chars().filter(char::is_ascii_digit).collect::<String>();
        let digest = self.digest(&digits);
        if digits.len() < DIGITS_SHOWN_FROM {
            return format!("tel:***#{digest}");
        }
        let (first, last) = (
            digits.get(..1).unwrap_or_default(),
            digits.get(digits.len() - 2..).unwrap_or_default(),
        );
        let plus = if number.trim_start().starts_with('+') {
            "+"
        } else {
            ""
        };
        format!("tel:{plus}{first}***{last}#{digest}")
    }

    /// The pseudonym of a party given as a number, a name or a URI; nothing of a name is shown.
    pub fn party(&self, raw: &str) -> String {
        let user = raw.split_once(':').map_or(raw, |(_, rest)| rest);
        let user = user.split(['@', ';']).next().unwrap_or_default();
        let is_number = !user.is_empty()
            && user
                .chars()
                .all(|letter| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.' | '(' | ')' | ' '));
        if is_number {
            self.number(user)
        } else {
            format!("sip:***#{}", self.digest(user))
        }
    }

    fn digest(&self, text: &str) -> String {
        let pad = |byte: u8| {
            let mut block = [byte; BLOCK_BYTES];
            block.iter_mut().zip(self.key).for_each(|(pad, key)| *pad ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(text.as_bytes())
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        let bits = outer
            .iter()
            .take(4)
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let letter = |place: u32| {
            ALPHABET
                .get((bits >> (5 * place) & 31) as usize)
                .copied()
                .unwrap_or(b'a')
        };
        (0..DIGEST_LETTERS)
            .map(|place| char::from(letter(place)))
            .collect()
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(key hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_number_same_pseudonym_under_one_key_only() {
        let redactor = Redactor::new([7; 32]);
        let shown = redactor.number("+81312345634");
        assert_eq!(shown.len(), "tel:+8***34#k7f2".len());
        assert!(shown.starts_with("tel:+8***34#"), "{shown}");
        assert_eq!(shown, redactor.number("+81 3-1234-5634"));
        assert_ne!(shown, redactor.number("+81312345534"), "same ends, other number");
        assert_ne!(shown, Redactor::new([8; 32]).number("+81312345634"));
    }

    #[test]
    fn short_numbers_and_names_show_nothing() {
        let redactor = Redactor::new([7; 32]);
        assert!(redactor.number("110").starts_with("tel:***#"));
        assert!(redactor.number("1234567").starts_with("tel:***#"));
        let name = redactor.party("sip:jane.doe@example.com");
        assert!(name.starts_with("sip:***#") && !name.contains("jane"), "{name}");
        assert_eq!(
            redactor.party("sip:+81312345634@host;user=phone"),
            redactor.number("+81312345634")
        );
        assert_eq!(
            redactor.party("tel:+81312345634"),
            redactor.number("+81312345634")
        );
        assert_eq!(redactor.party(""), format!("sip:***#{}", redactor.digest("")));
    }

    #[test]
    fn digest_is_hmac_sha_256() {
        // RFC 4231 §4.3 has the key "Jefe"; a key is padded with zeros, so 32 bytes stand for it.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let redactor = Redactor::new(key);
        // 5bdcc146… read from its lowest five bits up.
        let bits = 0x5bdc_c146_u32;
        let expected = (0..4)
            .map(|place| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize]))
            .collect::<String>();
        assert_eq!(redactor.digest("what do ya want for nothing?"), expected);
    }

    #[test]
    fn a_key_of_the_process_is_random_and_hidden() {
        let (one, other) = (Redactor::random().unwrap(), Redactor::random().unwrap());
        assert_ne!(one.key, other.key);
        assert_eq!(format!("{one:?}"), "Redactor(key hidden)");
    }
}
