//! PASSporT: the token of RFC 8225, with the claims of RFC 8588.
//!
//! Written in the one canonical form (RFC 8225 §9): members in alphabetical order, no white space. Knows no key.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

use crate::inert;

/// What the signer vouches for (RFC 8588 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attest {
    /// Only that the call entered here.
    C,
    /// The customer is known, its right to the number is not.
    B,
    /// The customer is known and may use the number.
    A,
}

impl Attest {
    /// As the claim writes it.
    pub fn word(self) -> &'static str {
        match self {
            Attest::A => "A",
            Attest::B => "B",
            Attest::C => "C",
        }
    }

    fn of_word(word: &str) -> Option<Attest> {
        [Attest::A, Attest::B, Attest::C]
            .into_iter()
            .find(|attest| attest.word() == word)
    }
}

/// One end of a call as a token names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// Canonical digits ([`canonical`]).
    Number(String),
    /// A URI.
    Uri(String),
}

/// A token, read and not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passport {
    /// Where its certificate is.
    pub x5u: String,
    /// Its kind.
    pub ppt: Option<String>,
    /// Who calls.
    pub orig: Party,
    /// Who is called.
    pub dest: Vec<Party>,
    /// When it was signed, seconds since the Unix epoch.
    pub iat: i64,
    /// What is vouched for.
    pub attest: Option<Attest>,
    /// An opaque name of where the call began (RFC 8588 §5).
    pub origid: Option<String>,
    /// What was signed.
    pub signed: String,
    /// The signature, 64 bytes (RFC 7518 §3.4).
    pub signature: Vec<u8>,
}

/// Longest `origid` read, bytes; a UUID has 36.
const ORIGID_BYTES_MAX: usize = 64;
/// Called parties of one token that are read.
const DESTINATIONS_MAX: usize = 16;

impl Passport {
    /// Reads the full form.
    pub fn parse(token: &str) -> Option<Passport> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (header, claims) = (json(header)?, json(claims)?);
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_passport = text(&header, "typ").is_some_and(|typ| typ.eq_ignore_ascii_case("passport"));
        if !is_passport || text(&header, "alg").as_deref() != Some("ES256") {
            return None;
        }
        let is_shown = |text: &String| text.len() <= ORIGID_BYTES_MAX && !text.chars().any(inert::is_harmful);
        Some(Passport {
            x5u: text(&header, "x5u")?,
            ppt: text(&header, "ppt"),
            orig: parties(claims.get("orig")?).into_iter().next()?,
            dest: parties(claims.get("dest")?),
            iat: claims.get("iat").and_then(Value::as_i64)?,
            attest: text(&claims, "attest").and_then(|word| Attest::of_word(&word)),
            origid: text(&claims, "origid").filter(is_shown),
            signed: signed.to_owned(),
            signature: Base64UrlUnpadded::decode_vec(signature).ok()?,
        })
    }
}

fn json(part: &str) -> Option<Value> {
    let bytes = Base64UrlUnpadded::decode_vec(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// `{"tn":…}` or `{"uri":…}`, each one text or a list of them.
fn parties(value: &Value) -> Vec<Party> {
    let texts = |name: &str| -> Vec<String> {
        match value.get(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(_) | None => Vec::new(),
        }
    };
    let number = |text: String| Party::Number(canonical(&text).unwrap_or(text));
    let numbers = texts("tn").into_iter().map(number);
    let uris = texts("uri").into_iter().map(Party::Uri);
    numbers.chain(uris).take(DESTINATIONS_MAX).collect()
}

/// A number as tokens compare it (RFC 8224 §8.3): digits, `*` and `#` alone. None for what is no number.
pub fn canonical(number: &str) -> Option<String> {
    let kept: String = number
        .chars()
        .filter(|letter| !" +-.()".contains(*letter))
        .collect();
    let is_kept = |byte: u8| byte.is_ascii_digit() || b"*#".contains(&byte);
    (!kept.is_empty() && kept.bytes().all(is_kept)).then_some(kept)
}

/// The header of a token.
pub fn header(x5u: &str, ppt: Option<&str>) -> String {
    let ppt = ppt.map_or(String::new(), |ppt| format!("\"ppt\":{},", quoted(ppt)));
    encoded(format!(
        "{{\"alg\":\"ES256\",{ppt}\"typ\":\"passport\",\"x5u\":{}}}",
        quoted(x5u)
    ))
}

/// The claims of a plain token.
pub fn claims(orig: &Party, dest: &Party, iat: i64) -> String {
    encoded(format!(
        "{{{},\"iat\":{iat},{}}}",
        dest_claim(dest),
        orig_claim(orig)
    ))
}

/// The claims of RFC 8588.
pub fn shaken_claims(orig: &Party, dest: &Party, iat: i64, attest: Attest, origid: &str) -> String {
    encoded(format!(
        "{{\"attest\":\"{}\",{},\"iat\":{iat},{},\"origid\":{}}}",
        attest.word(),
        dest_claim(dest),
        orig_claim(orig),
        quoted(origid)
    ))
}

fn dest_claim(dest: &Party) -> String {
    match dest {
        Party::Number(number) => format!("\"dest\":{{\"tn\":[{}]}}", quoted(number)),
        Party::Uri(uri) => format!("\"dest\":{{\"uri\":[{}]}}", quoted(uri)),
    }
}

fn orig_claim(orig: &Party) -> String {
    match orig {
        Party::Number(number) => format!("\"orig\":{{\"tn\":{}}}", quoted(number)),
        Party::Uri(uri) => format!("\"orig\":{{\"uri\":{}}}", quoted(uri)),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// base64url without padding (RFC 7515 §2).
pub fn encoded(text: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(text.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The members of RFC 8225 §9 in their order, and so the base64url, are these and no others.
    #[test]
    fn tokens_have_the_canonical_form() {
        let plain = |text: &str| String::from_utf8(Base64UrlUnpadded::decode_vec(text).unwrap()).unwrap();
        let x5u = "https://cert.example.org/passport.cer";
        assert_eq!(
            header(x5u, None),
            "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9"
        );
        let orig = Party::Number("12155551212".to_owned());
        let dest = Party::Uri("sip:alice@example.com".to_owned());
        assert_eq!(
            plain(&claims(&orig, &dest, 1_471_375_418)),
            r#"{"dest":{"uri":["sip:alice@example.com"]},"iat":1471375418,"orig":{"tn":"12155551212"}}"#
        );
        let dest = Party::Number("12155551213".to_owned());
        assert_eq!(
            plain(&shaken_claims(&orig, &dest, 1, Attest::A, "x")),
            r#"{"attest":"A","dest":{"tn":["12155551213"]},"iat":1,"orig":{"tn":"12155551212"},"origid":"x"}"#
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let number = |text: &str| Party::Number(text.to_owned());
        let (orig, dest) = (number("4930123456"), number("81312345678"));
        let claims = shaken_claims(&orig, &dest, 7, Attest::B, "o\"1");
        let token = format!(
            "{}.{claims}.{}",
            header("https://x/y", Some("shaken")),
            encoded([1; 64])
        );
        let read = Passport::parse(&token).unwrap();
        assert_eq!((read.orig, read.dest, read.iat), (orig, vec![dest], 7));
        assert_eq!(
            (read.attest, read.origid.as_deref()),
            (Some(Attest::B), Some("o\"1"))
        );
        assert_eq!(
            (read.x5u.as_str(), read.ppt.as_deref()),
            ("https://x/y", Some("shaken"))
        );
        assert_eq!(read.signature, [1; 64]);
        for bad in ["", "a.b.c", "..", "e30.e30.AA", "e30.e30.e30.e30"] {
            assert_eq!(Passport::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_have_one_canonical_form() {
        assert_eq!(canonical("+49 (30) 12-34.56").as_deref(), Some("4930123456"));
        assert_eq!(canonical("*67#").as_deref(), Some("*67#"));
        assert_eq!(
            (canonical("anna"), canonical("+"), canonical("49x")),
            (None, None, None)
        );
    }
}
