//! What the guard reads in the messages of RFC 5118 that it passes.

use sip::message::Message;

use super::{host, request};

pub fn ipv6_good(message: &Message) {
    let request = request(message);
    assert_eq!(host(&request.uri), "[2001:db8::10]");
    assert_eq!(request.headers.via().host().to_string(), "[2001:db8::9:1]");
    assert_eq!(host(request.headers.contact().unwrap().uri()), "[2001:db8::1]");
}

pub fn port_ambiguous(message: &Message) {
    let uri = &request(message).uri;
    assert_eq!((host(uri), uri.port()), ("[2001:db8::10:5070]".to_owned(), None));
}

pub fn port_unambiguous(message: &Message) {
    let uri = &request(message).uri;
    assert_eq!((host(uri), uri.port()), ("[2001:db8::10]".to_owned(), Some(5070)));
}

pub fn via_received(message: &Message) {
    let via = request(message).headers.via();
    assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
    assert!(via.is_branch_unique());
}

pub fn ipv6_in_sdp(message: &Message) {
    let request = request(message);
    assert_eq!(host(request.headers.to().uri()), "[2001:db8::10]");
    assert_eq!(request.body_of("application/sdp").map(|sdp| sdp.len()), Some(251));
}

pub fn mult_ip_in_header(message: &Message) {
    let vias = request(message).headers.vias();
    assert_eq!(
        (vias[0].host().to_string(), vias[0].port()),
        ("[2001:db8::9:1]".to_owned(), Some(6050))
    );
    assert_eq!(vias[1].host().to_string(), "192.0.2.1");
    assert_eq!(vias[2].received(), Some("192.0.2.200".parse().unwrap()));
}

pub fn mult_ip_in_sdp(message: &Message) {
    assert_eq!(
        request(message).body_of("application/sdp").map(|sdp| sdp.len()),
        Some(189)
    );
}

pub fn ipv4_mapped_ipv6(message: &Message) {
    let request = request(message);
    assert_eq!(request.headers.via().port(), Some(19823));
    assert_eq!(request.headers.vias()[1].host().to_string(), "[::ffff:192.0.2.2]");
    assert_eq!(
        host(request.headers.contact().unwrap().uri()),
        "[::ffff:192.0.2.2]"
    );
}

pub fn ipv6_abnf(message: &Message) {
    assert_eq!(host(&request(message).uri), "[2001:db8::c000:201]");
    assert_eq!(host(request(message).headers.to().uri()), "[2001:db8::c000:201]");
}
