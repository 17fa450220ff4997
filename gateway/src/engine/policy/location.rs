//! Where a caller is: told with an emergency call by reference, and with no other (RFC 6442).
//!
//! A trunk asks for it by naming the headers in `headers_out`. A location by value is a part of the body, and our
//! INVITE has SDP alone: what names such a part is left out of a call for help, and does not stop it. Reads no location
//! and fetches none.

use super::emergency;
use crate::control::protocol::Failure;
use crate::engine::setup::Setup;

/// What says where a caller is, and who may read it (RFC 6442 §4), lower case.
const HEADERS: [&str; 3] = ["geolocation", "geolocation-routing", "geolocation-error"];

/// Whether a header of a dial may go out: one that tells a place goes with emergency calls only. `name` is compared
/// without case.
pub fn check(setup: &Setup, index: usize, to: &str, name: &str) -> Result<(), Failure> {
    if !tells_a_place(name) || emergency::is_one(setup, index, to) {
        return Ok(());
    }
    Err(Failure::invalid_params(
        &format!("params.headers.{name}"),
        "tells where a caller is, and goes out with emergency calls only; leave it out",
    ))
}

/// A header as it goes out with a call for help: places that are parts of a body (`cid:`, RFC 6442 §4.1) are left out.
/// None where nothing is left.
pub fn by_reference(name: &str, value: &str) -> Option<String> {
    if !tells_a_place(name) {
        return Some(value.to_owned());
    }
    let mut is_in_uri = false;
    let places = value.split(|c| {
        is_in_uri = c == '<' || (is_in_uri && c != '>');
        c == ',' && !is_in_uri
    });
    let is_part = |place: &str| {
        place
            .to_ascii_lowercase()
            .trim_start_matches('<')
            .starts_with("cid:")
    };
    let kept: Vec<&str> = places.map(str::trim).filter(|place| !is_part(place)).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

fn tells_a_place(name: &str) -> bool {
    HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_body_are_left_out_and_others_stay_as_they_are() {
        for (value, left) in [
            ("<cid:here@example>", None),
            ("<CID:here@example>;a=b", None),
            ("cid:here@example", None),
            (
                "<https://lis.example/x,y>;a=b",
                Some("<https://lis.example/x,y>;a=b"),
            ),
            (
                "<cid:a@b>, <sips:x@lis.example>,<https://lis.example/cid:7>",
                Some("<sips:x@lis.example>, <https://lis.example/cid:7>"),
            ),
            ("<cid:a@b,<cid:c@d>", None),
            ("", Some("")),
        ] {
            assert_eq!(by_reference("GeoLocation", value).as_deref(), left, "{value}");
        }
        assert_eq!(by_reference("Geolocation-Routing", "yes").as_deref(), Some("yes"));
        assert_eq!(by_reference("X-Case", "cid:7,  8").as_deref(), Some("cid:7,  8"));
    }
}
