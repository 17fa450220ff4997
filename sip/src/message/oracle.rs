//! The other opinion: what rsip reads well, the guard reads the same; where rsip is known to be wrong, the
//! guard is right (docs of each test name the fault).

use bytes::Bytes;
use proptest::prelude::*;
use rsip::message::HeadersExt;
use rsip::prelude::*;

use super::{Message, Request, Response, StatusCode, parse};

fn guard(text: &str) -> Message {
    parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn guard_request(text: &str) -> Request {
    match guard(text) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn guard_response(text: &str) -> Response {
    match guard(text) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn rsip_request(text: &str) -> rsip::Request {
    rsip::Request::try_from(text.as_bytes()).unwrap()
}

/// An OPTIONS with this Request-URI, these extra header lines (each with CRLF) and this body.
fn options(uri: &str, extra: &str, body: &str) -> String {
    format!(
        "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bKhjhs8ass877\r\n\
         Max-Forwards: 70\r\nTo: <sip:carol@chicago.com>\r\nFrom: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
         Call-ID: a84b4c76e66710\r\nCSeq: 63104 OPTIONS\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Everything both can say about a plain request.
fn agree(text: &str) {
    let (ours, theirs) = (guard_request(text), rsip_request(text));
    assert_eq!(ours.method.to_rsip(), Some(theirs.method));
    assert!(ours.uri.to_string().eq_ignore_ascii_case(&theirs.uri.to_string()));
    assert_eq!(ours.uri.user(), theirs.uri.user());
    assert_eq!(
        ours.uri.host().unwrap().to_string(),
        theirs.uri.host().to_string()
    );
    assert_eq!(ours.uri.port(), theirs.uri.port().map(|port| *port.value()));
    let via = theirs.via_header().unwrap().typed().unwrap();
    assert_eq!(
        ours.headers.via().branch(),
        via.branch().map(|branch| branch.value())
    );
    assert_eq!(ours.headers.via().host().to_string(), via.uri.host().to_string());
    let from = theirs.from_header().unwrap().typed().unwrap();
    assert_eq!(ours.headers.from().tag(), from.tag().map(|tag| tag.value()));
    assert_eq!(ours.headers.from().display(), from.display_name.as_deref());
    assert_eq!(ours.headers.from().uri().to_string(), from.uri.to_string());
    assert_eq!(
        ours.headers.to().tag(),
        theirs
            .to_header()
            .unwrap()
            .tag()
            .unwrap()
            .as_ref()
            .map(|tag| tag.value())
    );
    assert_eq!(
        ours.headers.call_id().as_str(),
        theirs.call_id_header().unwrap().value()
    );
    let cseq = theirs.cseq_header().unwrap();
    assert_eq!(ours.headers.cseq().number, cseq.seq().unwrap());
    assert_eq!(ours.headers.cseq().method.to_rsip(), Some(cseq.method().unwrap()));
    assert_eq!(ours.body, theirs.body);
    let fields = |headers: rsip::Headers| headers.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(fields(ours.headers.to_rsip()), fields(theirs.headers));
}

#[test]
fn plain_requests_are_read_the_same() {
    agree(&options("sip:carol@chicago.com", "", ""));
    agree(&options(
        "sip:carol@192.0.2.4:5070;transport=tcp",
        "Accept: application/sdp\r\nX-Own: a b\r\n",
        "v=0\r\n",
    ));
    agree(&options(
        "sips:chicago.com",
        "Contact: <sip:alice@pc33.atlanta.com>\r\nSupported: timer\r\n",
        "",
    ));
}

proptest! {
    #[test]
    fn generated_requests_are_read_the_same(
        user in "[a-z0-9]{1,12}", host in "[a-z][a-z0-9]{0,8}\\.(com|net|org)",
        port in prop::option::of(1u16..), subject in "[a-zA-Z0-9]{1,20}", body in "[a-z=]{0,40}",
    ) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        agree(&options(&format!("sip:{user}@{host}{port}"), &format!("Subject: {subject}\r\n"), &body));
    }
}

/// rsip takes `john.doe` for the host.
#[test]
fn fault_dotted_user() {
    let request = guard_request(&options("sip:john.doe@x.com", "", ""));
    assert_eq!(
        (request.uri.user(), request.uri.host().unwrap().to_string()),
        (Some("john.doe"), "x.com".to_owned())
    );
}

/// rsip drops the `?` part of URIs.
#[test]
fn fault_uri_headers() {
    let request = guard_request(&options(
        "sip:a@b",
        "Contact: <sip:a@b?Replaces=x%3Bto-tag%3Dy>\r\n",
        "",
    ));
    assert_eq!(
        request.headers.contact().unwrap().uri().header_part(),
        Some("Replaces=x%3Bto-tag%3Dy")
    );
}

/// rsip knows no IPv6, no `tel:`, no `urn:`.
#[test]
fn fault_hosts_and_schemes() {
    for uri in ["sip:a@[2001:db8::1]:5070", "tel:+4930123", "urn:service:sos"] {
        assert_eq!(guard_request(&options(uri, "", "")).uri.to_string(), uri);
    }
}

/// rsip refuses folds, spaces before colons and leading line ends, and knows no compact names.
#[test]
fn fault_layout_of_lines() {
    let text = format!(
        "\r\n\r\n{}",
        options("sip:a@b", "Subject : a\r\n b\r\nk: timer\r\n", "")
    );
    let request = guard_request(&text);
    assert_eq!(request.headers.get("Subject"), Some("a b"));
    assert_eq!(request.headers.supported(), ["timer"]);
    assert!(rsip::Request::try_from(text.as_bytes()).is_err());
}

/// An unknown method is an error to rsip, so 405 and 501 cannot be told.
#[test]
fn fault_unknown_methods() {
    let text = options("sip:a@b", "", "").replace("OPTIONS", "NOSUCH");
    assert_eq!(guard_request(&text).method.as_str(), "NOSUCH");
    assert!(rsip::Request::try_from(text.as_bytes()).is_err());
}

/// rsip loses the second Via of a line.
#[test]
fn fault_several_vias_a_line() {
    let text =
        options("sip:a@b", "", "").replace("ass877\r\n", "ass877, SIP/2.0/TCP b.com;branch=z9hG4bK2\r\n");
    let request = guard_request(&text);
    assert_eq!(request.headers.vias().len(), 2);
    let response = Response::to(&request, StatusCode::OK, Some("t"));
    assert_eq!(response.headers.get_all("Via").count(), 2);
}

/// rsip cuts odd parameters short.
#[test]
fn fault_odd_parameters() {
    let contact = "<sip:a@b;x-1=%41/[:]>;+sip.instance=\"<urn:uuid:0;1>\";q=0.5";
    let request = guard_request(&options("sip:a@b", &format!("Contact: {contact}\r\n"), ""));
    assert_eq!(request.headers.contact().unwrap().to_string(), contact);
}

/// rsip keeps bytes beyond Content-Length.
#[test]
fn fault_content_length() {
    let text = options("sip:a@b", "", "body") + "BYE sip:hidden@b SIP/2.0\r\n\r\n";
    assert_eq!(guard_request(&text).body, "body");
    assert_ne!(rsip_request(&text).body, b"body");
}

/// rsip corrupts binary bodies and loses reason phrases when it prints.
#[test]
fn fault_printing() {
    let mut bytes = options("sip:a@b", "", "1234").into_bytes();
    let body = bytes.len() - 4;
    bytes[body..].copy_from_slice(&[0xff, 0x00, 0xfe, 0x80]);
    let read = parse(&Bytes::from(bytes)).unwrap();
    assert_eq!(
        parse(&read.to_bytes()).unwrap().body(),
        &[0xff, 0x00, 0xfe, 0x80][..]
    );

    let text = options("sip:a@b", "", "").replace("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 486 Gerade nicht");
    assert_eq!(guard_response(&text).reason, "Gerade nicht");
    assert!(
        guard_response(&text)
            .to_bytes()
            .starts_with(b"SIP/2.0 486 Gerade nicht\r\n")
    );
}

/// rsip knows the algorithm as `SHA256` only, so every `SHA-256` challenge of the wire is an error.
#[test]
fn fault_sha_256_and_the_digest_both_agree_on() {
    use crate::auth::{AuthHeaders, Challenge, DigestClient, Login};
    use rsip::headers::auth::{Algorithm, AuthQop};

    assert!("SHA-256".parse::<Algorithm>().is_err());
    let uri = rsip::Uri::try_from("sip:example.org").unwrap();
    for (name, algorithm) in [("MD5", Algorithm::Md5), ("SHA-256", Algorithm::Sha256)] {
        let challenge = format!("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm={name}");
        let mut client = DigestClient::new(
            Challenge::choose([&*challenge], None).unwrap(),
            AuthHeaders::Proxy,
        );
        let login = Login {
            username: "u",
            password: "p",
        };
        let ours = client.authorize(
            login,
            &super::Method::Invite,
            &super::Uri::parse("sip:example.org").unwrap(),
            "c",
        );
        let theirs = rsip::services::DigestGenerator {
            username: "u",
            password: "p",
            nonce: "n",
            uri: &uri,
            realm: "r",
            method: &rsip::Method::Invite,
            qop: Some(&AuthQop::Auth {
                cnonce: "c".into(),
                nc: 1,
            }),
            algorithm,
        };
        assert!(
            ours.contains(&format!("response=\"{}\"", theirs.compute())),
            "{ours}"
        );
    }
}
