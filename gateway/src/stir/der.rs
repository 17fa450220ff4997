//! Just enough DER (ITU-T X.690 §8, §10) to find an extension in a certificate and a list in it.
//!
//! A total reader: definite lengths only, every one held against what is there. Knows no certificate's meaning.

/// One element: its tag, and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Identifier octet; tags above 30 are not read.
    pub tag: u8,
    /// Content octets.
    pub content: &'a [u8],
}

/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// IA5String.
pub const IA5_STRING: u8 = 0x16;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[3]` of a TBSCertificate (RFC 5280 §4.1).
const EXTENSIONS: u8 = 0xa3;

/// The first element, and what follows it.
pub fn element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let [tag, first, rest @ ..] = input else {
        return None;
    };
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag: *tag, content }, rest))
}

/// All elements in a row; it ends where one cannot be read.
pub fn elements(mut input: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (found, rest) = element(input)?;
        input = rest;
        Some(found)
    })
}

/// The value of a certificate's extension (RFC 5280 §4.2), by the content of its OID.
pub fn extension<'a>(certificate: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    let (certificate, _) = element(certificate)?;
    let (body, _) = element(certificate.content)?;
    let list = elements(body.content).find(|part| part.tag == EXTENSIONS)?;
    let (list, _) = element(list.content)?;
    let is_wanted = |extension: &Element<'_>| {
        let name = elements(extension.content).next();
        name.is_some_and(|name| name.tag == OBJECT_IDENTIFIER && name.content == oid)
    };
    let found = elements(list.content).find(is_wanted)?;
    let value = elements(found.content).find(|part| part.tag == OCTET_STRING)?;
    Some(value.content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_held_against_what_is_there() {
        assert_eq!(element(&[0x16, 2, b'a', b'b', 9]).unwrap().0.content, b"ab");
        assert_eq!(element(&[0x16, 0x81, 1, b'a']).unwrap().0.content, b"a");
        for bad in [
            &[][..],
            &[0x16],
            &[0x16, 3, 1, 2],
            &[0x16, 0x80, 0, 0],
            &[0x16, 0x85, 0, 0, 0, 0, 1, 1],
            &[0x1f, 1, 1],
            &[0x16, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(element(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = extension(&input, &[1]);
            prop_assert!(elements(&input).count() <= input.len());
        }
    }
}
