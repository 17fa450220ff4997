//! A number as one trunk writes it: its digits, and the URI around them.
//!
//! RFC 3966 (`tel:`), RFC 3261 §19.1.6 (`user=phone`). Pure; knows neither policy nor headers.

use crate::config::{NumberOut, Trunk, UriForm};
use crate::engine::policy::number_policy::{self, E164};

/// The digits of a called number, with the trunk's prefix before them. What is no international number, as
/// an emergency one, is written as it is.
pub fn called(trunk: &Trunk, number: &str) -> String {
    if trunk.prefix_out.is_empty() {
        return shown(trunk, number);
    }
    let form = shown(trunk, number);
    format!("{}{}", trunk.prefix_out, form.trim_start_matches('+'))
}

/// The digits of a number that is shown; the prefix is for the called one only.
pub fn shown(trunk: &Trunk, number: &str) -> String {
    let Some(e164) = E164::parse(number) else {
        return number.to_owned();
    };
    match (trunk.number_out, &trunk.home_country) {
        (NumberOut::E164, _) => e164.digits().to_owned(),
        (NumberOut::National, Some(home)) => {
            number_policy::national(&e164, home).unwrap_or_else(|| number.to_owned())
        }
        (NumberOut::E164Plus, _) | (NumberOut::National, None) => number.to_owned(),
    }
}

/// The URI of a user part that this trunk writes so.
pub fn uri(trunk: &Trunk, user: &str, host: &str) -> String {
    if !is_number(user) {
        return sip_uri(user, host, "");
    }
    match (trunk.uri, context(trunk, user)) {
        (UriForm::Tel, Some(context)) => format!("tel:{user}{context}"),
        (UriForm::Tel | UriForm::Sip, _) => {
            let phone = if trunk.user_phone { ";user=phone" } else { "" };
            sip_uri(user, host, phone)
        }
    }
}

/// The same as a `sip:` URI whatever the trunk's form: History-Info has no other (RFC 4458 §2).
pub fn uri_as_sip(trunk: &Trunk, user: &str, host: &str) -> String {
    let phone = is_number(user) && (trunk.user_phone || trunk.uri == UriForm::Tel);
    sip_uri(user, host, if phone { ";user=phone" } else { "" })
}

fn sip_uri(user: &str, host: &str, parameters: &str) -> String {
    let parsed = sip::message::Uri::parse(&format!("sip:{host}"));
    // A host of the configuration or an address of ours always parses.
    let uri = parsed.map_or_else(|_| format!("sip:{host}"), |uri| uri.with_user(user).to_string());
    format!("{uri}{parameters}")
}

/// The context of a local number (RFC 3966 §5.1.5); nothing for a global one.
fn context(trunk: &Trunk, user: &str) -> Option<String> {
    if user.starts_with('+') {
        return Some(String::new());
    }
    let code = number_policy::country_code(trunk.home_country.as_deref()?)?;
    Some(format!(";phone-context=+{code}"))
}

fn is_number(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or(user);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    #[test]
    fn numbers_go_out_as_the_trunk_writes_them() {
        for (keys, number, digits) in [
            ("", "+81312345678", "+81312345678"),
            ("number_out = \"e164\"", "+81312345678", "81312345678"),
            (
                "number_out = \"national\"\nhome_country = \"JP\"",
                "+81312345678",
                "0312345678",
            ),
            (
                "number_out = \"national\"\nhome_country = \"JP\"",
                "+819012345678",
                "09012345678",
            ),
            (
                "number_out = \"national\"\nhome_country = \"JP\"",
                "+12025550123",
                "+12025550123",
            ),
            (
                "number_out = \"national\"\nhome_country = \"US\"",
                "+12025550123",
                "2025550123",
            ),
            (
                "number_out = \"national\"\nhome_country = \"DE\"",
                "+4930123456",
                "030123456",
            ),
            (
                "number_out = \"national\"\nhome_country = \"GB\"",
                "+442079460958",
                "02079460958",
            ),
            ("number_out = \"national\"\nhome_country = \"JP\"", "110", "110"),
            ("number_out = \"e164\"", "anna", "anna"),
        ] {
            let trunk = testing::trunk(keys);
            assert_eq!(shown(&trunk, number), digits, "{keys} {number}");
            assert_eq!(called(&trunk, number), digits, "{keys} {number}");
        }
        let prefixed = testing::trunk("prefix_out = \"9011\"");
        assert_eq!(called(&prefixed, "+4930123456"), "90114930123456");
        assert_eq!(shown(&prefixed, "+4930123456"), "+4930123456");
    }

    #[test]
    fn uris_have_the_form_of_the_trunk() {
        let of = |keys: &str, user: &str| uri(&testing::trunk(keys), user, "gw.example:5070");
        assert_eq!(of("", "+4930123456"), "sip:+4930123456@gw.example:5070");
        assert_eq!(
            of("user_phone = true", "+4930123456"),
            "sip:+4930123456@gw.example:5070;user=phone"
        );
        assert_eq!(of("user_phone = true", "anna"), "sip:anna@gw.example:5070");
        assert_eq!(of("uri = \"tel\"", "+4930123456"), "tel:+4930123456");
        let japan = "uri = \"tel\"\nhome_country = \"JP\"\nnumber_out = \"national\"";
        assert_eq!(of(japan, "0312345678"), "tel:0312345678;phone-context=+81");
        assert_eq!(of(japan, "anna"), "sip:anna@gw.example:5070");
        assert_eq!(of("", "a\"<b>;x=1@c"), "sip:a%22%3Cb%3E;x=1%40c@gw.example:5070");
        let tel = testing::trunk("uri = \"tel\"");
        assert_eq!(
            uri_as_sip(&tel, "+4930123456", "h"),
            "sip:+4930123456@h;user=phone"
        );
    }
}
