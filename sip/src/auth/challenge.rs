//! A challenge: a value of WWW-Authenticate or Proxy-Authenticate.

use super::Algorithm;
use crate::message::split_list;

/// One Digest challenge that this client can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection space, as it stood between the quotes.
    pub realm: String,
    /// Server nonce, as it stood between the quotes.
    pub nonce: String,
    /// Echoed as it came.
    pub opaque: Option<String>,
    /// Hash to use.
    pub algorithm: Algorithm,
    /// True when `qop` offers `auth`; without any `qop` the older form of RFC 2069 is used.
    pub has_qop_auth: bool,
    /// True when only the nonce was too old: the same credentials will do.
    pub stale: bool,
}

impl Challenge {
    /// The strongest challenge that can be answered here and is of `realm`, when one is named; among equals
    /// the first. RFC 8760 §2.4 leaves it to us to depart from the order of the peer: whoever can put MD5
    /// first must not gain by it.
    pub fn choose<'a>(values: impl IntoIterator<Item = &'a str>, realm: Option<&str>) -> Option<Challenge> {
        let challenges = values.into_iter().flat_map(Challenge::parse_list);
        let ours = challenges.filter(|challenge| realm.is_none_or(|realm| challenge.realm == realm));
        // Of equals `min_by_key` gives the first.
        ours.min_by_key(|challenge| challenge.algorithm.is_weak())
    }

    /// Every challenge of one header value that can be answered here.
    pub fn parse_list(value: &str) -> Vec<Challenge> {
        let mut groups: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
        for part in split_list(value).filter(|part| !part.is_empty()) {
            let (name, text) = part.split_once('=').unwrap_or((part, ""));
            let name = match name.trim().split_once([' ', '\t']) {
                Some((scheme, name)) => {
                    groups.push((scheme, Vec::new()));
                    name.trim()
                }
                None => name.trim(),
            };
            if let Some((_, params)) = groups.last_mut() {
                params.push((name, text.trim()));
            }
        }
        let digests = groups
            .into_iter()
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Digest"));
        digests
            .filter_map(|(_, params)| Challenge::from_params(&params))
            .collect()
    }

    /// `None` when a mandatory part is missing, or a part asks for what is not supported or is not a value.
    fn from_params(params: &[(&str, &str)]) -> Option<Challenge> {
        // Realm, nonce and opaque go back as they came: a stray quote would let them say more than themselves.
        if !params.iter().all(|(_, text)| is_value(text)) {
            return None;
        }
        let find = |wanted: &str| {
            let (_, text) = params
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(
                text.strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    .unwrap_or(text),
            )
        };
        let algorithm = find("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?;
        let qop = find("qop");
        let has_qop_auth =
            qop.is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some() && !has_qop_auth {
            return None;
        }
        Some(Challenge {
            realm: find("realm")?.to_owned(),
            nonce: find("nonce")?.to_owned(),
            opaque: find("opaque").map(str::to_owned),
            algorithm,
            has_qop_auth,
            stale: find("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// A token, or a whole quoted string (RFC 3261 §25.1, `auth-param`), without control characters.
fn is_value(text: &str) -> bool {
    let inside = match text.strip_prefix('"') {
        Some(rest) => match rest.strip_suffix('"') {
            Some(inside) => inside,
            None => return false,
        },
        None => text,
    };
    let mut is_escaped = false;
    for character in inside.chars() {
        if character.is_control() && character != '\t' || character == '"' && !is_escaped {
            return false;
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    !is_escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_apart_at_schemes() {
        let value = "Basic realm=\"x, y\", Digest realm=\"a\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth,auth-int\", \
                     digest realm=\"b\" , nonce=\"n2\",stale=TRUE , opaque=\"o=,\"";
        let challenges = Challenge::parse_list(value);
        assert_eq!(challenges.len(), 2);
        assert_eq!(
            (challenges[0].algorithm, challenges[0].has_qop_auth),
            (Algorithm::Sha256, true)
        );
        assert_eq!(
            (challenges[1].algorithm, challenges[1].stale),
            (Algorithm::Md5, true)
        );
        assert_eq!(challenges[1].opaque.as_deref(), Some("o=,"));
    }

    #[test]
    fn strongest_answerable_challenge_is_chosen_and_of_equals_the_first() {
        let sha = "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256, qop=\"auth\"";
        let md5 = "Digest realm=\"r\", nonce=\"m\", algorithm=MD5, qop=\"auth\"";
        let odd = "Digest realm=\"r\", nonce=\"o\", algorithm=SHA3-512, qop=\"auth\"";
        let nonce = |values: [&str; 3]| Challenge::choose(values, None).unwrap().nonce;
        assert_eq!(nonce([odd, sha, md5]), "s");
        assert_eq!(nonce([odd, md5, sha]), "s");
        let cut = "Digest realm=\"r\", nonce=\"c\", algorithm=SHA-512-256, qop=\"auth\"";
        assert_eq!(nonce([md5, cut, sha]), "c");
        assert_eq!(nonce([odd, md5, odd]), "m");
        assert_eq!(Challenge::choose([odd], None), None);
    }

    /// Found by fuzzing: such values went back inside quotes of ours and closed them.
    #[test]
    fn values_that_are_neither_token_nor_quoted_string_are_not_answered() {
        for value in [
            r#"Digest realm="r", nonce="c , x="d",(nonce="e""#,
            r#"Digest realm="r", nonce=a"b"#,
            r#"Digest realm="r", nonce="a\""#,
            r#"Digest realm="r", nonce="n", opaque=""""#,
            "Digest realm=\"r\", nonce=\"a\u{0}b\"",
        ] {
            assert_eq!(Challenge::parse_list(value), [], "{value}");
        }
        let escaped = r#"Digest realm="a \"b\" \\", nonce="n""#;
        assert_eq!(Challenge::parse_list(escaped)[0].realm, r#"a \"b\" \\"#);
    }

    #[test]
    fn foreign_realms_and_unsupported_protection_are_not_answered() {
        assert_eq!(
            Challenge::choose(["Digest realm=\"evil\", nonce=\"n\""], Some("trunk")),
            None
        );
        assert_eq!(
            Challenge::choose(["Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""], None),
            None
        );
        assert_eq!(Challenge::choose(["Digest realm=\"r\""], None), None);
        assert_eq!(
            Challenge::choose(["Digest", "", ",,", "nonce=\"n\", realm=\"r\""], None),
            None
        );
    }
}
