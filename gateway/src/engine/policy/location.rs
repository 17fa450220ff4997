//! Where a caller is: told with an emergency call by reference, and with no other (RFC 6442).
//!
//! A trunk asks for it by naming the headers in `headers_out`. Reads no location and fetches none.

use super::emergency;
use crate::control::protocol::Failure;
use crate::engine::setup::Setup;

/// What says where a caller is, and who may read it (RFC 6442 §4), lower case.
const HEADERS: [&str; 3] = ["geolocation", "geolocation-routing", "geolocation-error"];

/// Whether a header of a dial may go out: one that tells a place goes with emergency calls only, and names no
/// body part, as our INVITE has SDP alone. `name` is compared without case.
pub fn check(setup: &Setup, index: usize, to: &str, name: &str, value: &str) -> Result<(), Failure> {
    if !HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let refused = |why: &str| Err(Failure::invalid_params(&format!("params.headers.{name}"), why));
    if !emergency::is_one(setup, index, to) {
        return refused("tells where a caller is, and goes out with emergency calls only; leave it out");
    }
    if value.to_ascii_lowercase().contains("cid:") {
        return refused(
            "names a part of the body (`cid:`), and none is sent; write an `https` or `sips` URI",
        );
    }
    Ok(())
}
