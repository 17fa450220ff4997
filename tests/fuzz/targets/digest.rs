//! Digest, both roles: no value is too strange to be judged, and what we answer is one line (docs/threats.md: B9, B16).
//!
//! Each line is one value of the header.

#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use sip::auth::{
    Algorithm, Asked, AuthHeaders, Challenge, DigestClient, DigestServer, Login, Users, Verdict,
};
use sip::message::{Method, Uri};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let uri = Uri::parse("sip:home.example").expect("a URI");
    serve(text, &uri);
    for line in text.lines() {
        for challenge in Challenge::parse_list(line) {
            let mut client = DigestClient::new(challenge, AuthHeaders::Server);
            let login = Login { username: "al\"ice", password: "secret" };
            let value = client.authorize(login, &Method::Invite, &uri, "cnonce");
            assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
            assert!(are_quotes_balanced(&value), "{value:?}");
        }
        let _ = Challenge::choose([line], Some("home.example"));
    }
});

fn serve(text: &str, uri: &Uri) {
    let line = Users::line("alice", "home.example", "secret", Algorithm::Sha256);
    let users = Users::parse(&line, "home.example").expect("one user");
    let asked = Asked { method: &Method::Register, uri, source: [192, 0, 2, 1].into() };
    let mut server = DigestServer::new([7; 32]);
    let verdict = server.judge(&users, asked, text.lines(), Instant::now());
    assert!(!matches!(verdict, Verdict::Granted(_)), "nobody knows our nonces");
}

fn are_quotes_balanced(value: &str) -> bool {
    let (mut is_inside, mut is_escaped) = (false, false);
    for character in value.chars() {
        if character == '"' && !is_escaped {
            is_inside = !is_inside;
        }
        is_escaped = is_inside && character == '\\' && !is_escaped;
    }
    !is_inside
}
