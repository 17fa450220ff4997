//! One description, as an offer and as an answer: what we answer is itself valid (docs/threats.md: B10, B11).

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::sdp::{LocalMedia, SessionDescription, accept_answer, answer};

fuzz_target!(|data: &[u8]| {
    let ours = LocalMedia::new("198.51.100.1".parse().expect("an address"), 20_000, 77);
    if let Ok((text, agreed)) = answer(data, &ours) {
        let read = SessionDescription::parse(&text).expect("our own answer");
        let offered = SessionDescription::parse(data).expect("what was answered");
        assert_eq!(read.media.len(), offered.media.len(), "one line for each (RFC 3264 §6)");
        assert!([10, 20, 30, 40, 60].contains(&agreed.ptime_ms));
    }
    let _ = accept_answer(&ours, data);
});
