//! Base64 of RFC 4648 §4, as key parameters write it (RFC 4568 §9.2).
//!
//! Knows nothing of what the bytes mean.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of these bytes, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    let letter = |sextet: u32| char::from(ALPHABET.get((sextet & 63) as usize).copied().unwrap_or(b'A'));
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        for (place, byte) in group.iter_mut().zip(chunk) {
            *place = *byte;
        }
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        text.push(letter(bits >> 18));
        text.push(letter(bits >> 12));
        text.push(if chunk.len() > 1 { letter(bits >> 6) } else { '=' });
        text.push(if chunk.len() > 2 { letter(bits) } else { '=' });
    }
    text
}

/// Fills `out` with the bytes of this text; false: it is another text than that of so many bytes. Padding
/// may be left out.
pub(super) fn decode_into(text: &str, out: &mut [u8]) -> bool {
    let padding = (3 - out.len() % 3) % 3;
    let letters = text.trim_end_matches('=');
    let is_padded = text.len() == letters.len() || text.len() == letters.len() + padding;
    if letters.len() != (out.len() * 8).div_ceil(6) || !is_padded {
        return false;
    }
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, out.iter_mut());
    for letter in letters.bytes() {
        let Some(sextet) = sextet(letter) else {
            return false;
        };
        bits = (bits << 6) | sextet;
        held += 6;
        if held >= 8 {
            held -= 8;
            if let Some(byte) = bytes.next() {
                *byte = (bits >> held) as u8;
            }
        }
        bits &= (1 << held) - 1;
    }
    // Bits that no byte takes are zero where the text was made of so many bytes.
    bits == 0
}

fn sextet(letter: u8) -> Option<u32> {
    let place = ALPHABET.iter().position(|known| *known == letter)?;
    u32::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_of_rfc_4648_section_10() {
        let table = [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in table {
            assert_eq!(encode(plain.as_bytes()), text);
            let mut out = vec![0; plain.len()];
            assert!(decode_into(text, &mut out));
            assert_eq!(out, plain.as_bytes());
            assert!(decode_into(text.trim_end_matches('='), &mut out));
        }
    }

    #[test]
    fn texts_of_another_length_or_alphabet_are_refused() {
        let mut three = [0; 3];
        for text in ["", "Zm9", "Zm9vYg==", "Zm9v=", "Zm9-", "Zm 9", "Zm9é"] {
            assert!(!decode_into(text, &mut three), "{text}");
        }
        let mut one = [0; 1];
        assert!(!decode_into("Zh==", &mut one), "bits of no byte are set");
        assert!(!decode_into("Zg=", &mut one));
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut out = vec![0; bytes.len()];
            prop_assert!(decode_into(&encode(&bytes), &mut out));
            prop_assert_eq!(out, bytes);
        }
    }
}
