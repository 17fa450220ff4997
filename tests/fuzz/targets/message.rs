//! One message: whatever comes in, nothing panics, and all that is made of it is valid (docs/threats.md: B3-B7, B12).

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip::message::{Message, Response, StatusCode, parse, refusal};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    match parse(&bytes) {
        Ok(message) => {
            let written = message.to_bytes();
            let again = parse(&written).expect("what we write is valid");
            assert_eq!(again.to_bytes(), written);
            assert_eq!(again.body(), message.body());
            look(&message);
        }
        Err(error) => {
            if let Some(reply) = refusal(&bytes, &error, "ours") {
                assert!(parse(&reply.to_bytes()).is_ok(), "{reply:?}");
            }
        }
    }
});

/// Reads every field that is read lazily, and makes what a request leads to.
fn look(message: &Message) {
    let headers = message.headers();
    let _ = (headers.contact(), headers.session_expires(), headers.max_forwards());
    let _ = (headers.require(), headers.vias(), headers.content_length());
    let Message::Request(request) = message else { return };
    let _ = (request.content_type(), request.body_of("application/sdp"));
    let mut request = request.clone();
    request
        .headers
        .stamp_source("[2001:db8::7]:4321".parse().expect("an address"));
    let reply = Response::to(&request, StatusCode::BUSY_HERE, Some("ours"));
    assert!(parse(&reply.to_bytes()).is_ok(), "{reply:?}");
    assert!(parse(&request.cancel().to_bytes()).is_ok());
    assert!(parse(&request.ack(&reply).to_bytes()).is_ok());
}
