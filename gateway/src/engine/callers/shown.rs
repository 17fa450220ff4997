//! Whom an INVITE of ours shows as caller, in the headers its trunk wants.
//!
//! RFC 3325 (asserted and preferred identities), RFC 3323 (Privacy), RFC 3261 §20.20 (From). A number that
//! is withheld stands in no header but the one that a trusted trunk is given (RFC 3325 §7). Pure; knows
//! nothing of what came in.

use sip::endpoint::ExtraHeader;
use sip::message::{NameAddr, Uri};

use super::wire_number;
use crate::config::{IdentityOut, Trunk};

/// Whom an outbound INVITE shows as caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// E.164 or a user name; none is anonymous.
    pub number: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// The number is withheld from the far end.
    pub withheld: bool,
}

/// From of a call whose caller stays unknown (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// From, and the further headers that carry the identity, as this trunk wants them.
pub fn outgoing(trunk: &Trunk, shown: &Shown) -> (String, Vec<ExtraHeader>) {
    let real = shown
        .number
        .as_ref()
        .map(|number| address(trunk, shown.name.as_deref(), number));
    let mut headers = Vec::new();
    if let (Some(name), Some(real)) = (identity_header(trunk, shown.withheld), &real) {
        headers.push(header(name, real));
    }
    if shown.withheld {
        headers.push(header("Privacy", "id"));
    }
    let from = real.filter(|_| !shown.withheld);
    (from.unwrap_or_else(|| ANONYMOUS.to_owned()), headers)
}

/// The header that carries the number beside From. A withheld number goes to trusted trunks only.
fn identity_header(trunk: &Trunk, withheld: bool) -> Option<&'static str> {
    match trunk.identity_out {
        IdentityOut::Pai => trunk.identity_trusted.then_some("P-Asserted-Identity"),
        IdentityOut::Ppi => (trunk.identity_trusted || !withheld).then_some("P-Preferred-Identity"),
        IdentityOut::From => None,
    }
}

fn address(trunk: &Trunk, name: Option<&str>, number: &str) -> String {
    let digits = wire_number::shown(trunk, number);
    let uri = wire_number::uri(trunk, &digits, &trunk.from_host);
    match (Uri::parse(&uri), name) {
        (Ok(parsed), Some(name)) => NameAddr::new(parsed).with_display(name).to_string(),
        (Ok(_), None) | (Err(_), _) => format!("<{uri}>"),
    }
}

fn header(name: &str, value: &str) -> ExtraHeader {
    ExtraHeader {
        name: name.into(),
        value: value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    const NUMBER: &str = "+493012345678";

    fn of(keys: &str, withheld: bool) -> (String, Vec<String>) {
        let shown = Shown {
            number: Some(NUMBER.to_owned()),
            name: Some("A \"B\"".to_owned()),
            withheld,
        };
        let trunk = testing::trunk(&format!("from_host = \"gw.example\"\n{keys}"));
        let (from, headers) = outgoing(&trunk, &shown);
        let lines = headers
            .into_iter()
            .map(|header| format!("{}: {}", header.name, header.value));
        (from, lines.collect())
    }

    #[test]
    fn a_shown_number_stands_where_the_trunk_wants_it() {
        let real = "\"A \\\"B\\\"\" <sip:+493012345678@gw.example>";
        let pai = format!("P-Asserted-Identity: {real}");
        let ppi = format!("P-Preferred-Identity: {real}");
        for (keys, headers) in [
            ("", vec![]),
            ("identity_out = \"pai\"", vec![]),
            ("identity_out = \"pai\"\nidentity_trusted = true", vec![pai]),
            ("identity_out = \"ppi\"", vec![ppi]),
            ("identity_trusted = true", vec![]),
        ] {
            assert_eq!(of(keys, false), (real.to_owned(), headers), "{keys}");
        }
        let phone = "uri = \"sip\"\nuser_phone = true\nidentity_out = \"pai\"\nidentity_trusted = true";
        let (from, headers) = of(phone, false);
        assert!(
            from.ends_with("<sip:+493012345678@gw.example;user=phone>"),
            "{from}"
        );
        assert!(headers[0].ends_with(";user=phone>"), "{headers:?}");
        let (from, headers) = of(&phone.replace("\"sip\"", "\"tel\""), false);
        assert!(from.ends_with("<tel:+493012345678>"), "{from}");
        assert!(headers[0].ends_with("<tel:+493012345678>"), "{headers:?}");
    }

    #[test]
    fn a_withheld_number_goes_to_trusted_trunks_only() {
        for keys in [
            "",
            "identity_out = \"pai\"",
            "identity_out = \"ppi\"",
            "identity_trusted = true",
        ] {
            let (from, headers) = of(keys, true);
            assert_eq!(from, ANONYMOUS, "{keys}");
            assert_eq!(headers, ["Privacy: id"], "{keys}");
        }
        for (word, name) in [("pai", "P-Asserted-Identity"), ("ppi", "P-Preferred-Identity")] {
            let (from, headers) = of(
                &format!("identity_trusted = true\nidentity_out = \"{word}\""),
                true,
            );
            assert_eq!(from, ANONYMOUS);
            assert!(
                headers[0].starts_with(name) && headers[0].contains(NUMBER),
                "{headers:?}"
            );
            assert_eq!(headers[1..], ["Privacy: id"]);
        }
    }

    #[test]
    fn no_number_is_anonymous_without_a_wish_for_privacy() {
        let (from, headers) = outgoing(&testing::trunk(""), &Shown::default());
        assert_eq!((from.as_str(), headers.len()), (ANONYMOUS, 0));
    }

    #[test]
    fn what_a_router_calls_a_number_breaks_out_of_no_header() {
        for number in ["a\" <sip:b@c>", "x>;tag=1", "a@b", "%41", "a\u{e4}b"] {
            let shown = Shown {
                number: Some(number.to_owned()),
                name: Some("n>\" <sip:evil@e>;p=\"".to_owned()),
                withheld: false,
            };
            let (from, _) = outgoing(&testing::trunk("caller_ids = [\"*\"]"), &shown);
            let parsed = NameAddr::parse(&from).unwrap();
            assert_eq!(parsed.uri().user_unescaped().as_deref(), Some(number), "{from}");
            assert!(parsed.params().is_empty(), "{from}");
        }
    }
}
