//! What the guard reads in the messages of RFC 4475 that it passes.

use sip::message::{Host, Message, Method, Scheme, StatusCode, ViaTransport};

use super::{host, request, response};

pub fn wsinv(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.uri.to_string(),
        "sip:vivekg@chair-dnrc.example.com;unknownparam"
    );
    assert_eq!(request.headers.to().tag(), Some("1918181833n"));
    assert_eq!(request.headers.from().display(), Some("J Rosenberg \\\""));
    assert_eq!(request.headers.from().tag(), Some("98asjd8"));
    assert_eq!(request.headers.max_forwards(), Some(68));
    assert_eq!(request.headers.call_id().as_str(), "wsinv.ndaksdj@192.0.2.1");
    assert_eq!(request.headers.cseq().to_string(), "9 INVITE");
    let vias: Vec<_> = request.headers.vias().iter().map(ToString::to_string).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239"
        ]
    );
    assert!(!request.headers.via().is_branch_unique());
    assert_eq!(request.headers.get("Subject"), Some(""));
    assert_eq!(
        request.headers.get("newfangledheader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(
        request.headers.get("UnknownHeaderWithUnusualValue"),
        Some(";;,,;;,;")
    );
    let route = &request.headers.routes()[0];
    assert!(route.uri().is_loose_router());
    assert_eq!(route.uri().param("unknownwith"), Some("value"));
    let contact = request.headers.contact().unwrap();
    assert_eq!(contact.display(), Some("Quoted string \"\""));
    assert_eq!(contact.params().get("newparam"), Some("newvalue"));
    assert_eq!(contact.params().get("secondparam"), Some(""));
    assert_eq!(contact.params().get("q"), Some("0.33"));
    assert_eq!(request.body.len(), 150);
}

pub fn intmeth(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.method.as_str(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    assert_eq!(
        request.uri.user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        request.uri.password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(host(&request.uri), "example.com");
    assert_eq!(request.headers.via().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(
        request.headers.get("To").map(|to| to.contains("\\\u{0}")),
        Some(true)
    );
    assert_eq!(
        request.headers.from().display(),
        Some("token1~` token2'+_ token3*%!.-")
    );
    assert_eq!(
        request
            .headers
            .from()
            .params()
            .text("fromparam''~+*_!.-%")
            .as_deref(),
        Some("работающий")
    );
    assert_eq!(request.headers.from().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        request.headers.call_id().as_str(),
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    );
    assert_eq!(request.headers.max_forwards(), Some(255));
    assert_eq!(
        request.headers.get("extensionHeader-!.%*+_`'~"),
        Some("\u{feff}大停電")
    );
}

pub fn esc01(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.uri.user_unescaped().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(host(&request.uri), "example.net");
    assert_eq!(
        request.headers.to().uri().user_unescaped().as_deref(),
        Some("user")
    );
    assert_eq!(
        request.headers.from().uri().user_unescaped().as_deref(),
        Some("I have spaces")
    );
    let contact = request.headers.contact().unwrap();
    let contact = contact.uri();
    assert_eq!(contact.user_unescaped().as_deref(), Some("caller"));
    assert_eq!(contact.param("n%61me"), Some("v%61lue%25%34%31"));
    assert!(!contact.is_loose_router(), "an escaped lr is another parameter");
}

pub fn escnull(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.headers.to().uri().user_unescaped().as_deref(),
        Some("null-\u{0}-null")
    );
    let users: Vec<_> = request
        .headers
        .contacts()
        .iter()
        .filter_map(|one| one.uri().user_unescaped())
        .collect();
    assert_eq!(users, ["\u{0}", "\u{0}\u{0}"]);
}

pub fn esc02(message: &Message) {
    let request = request(message);
    assert_eq!(request.method.as_str(), "RE%47IST%45R");
    assert_eq!(request.headers.to().display(), Some("%Z%45"));
    assert_eq!(request.headers.contacts().len(), 2, "C%6Fntact is another header");
    assert_eq!(
        request.headers.get("C%6Fntact"),
        Some("<sip:alias2@host2.example.com>")
    );
    assert_eq!(request.headers.via().branch(), Some("z9hG4bK209%fzsnel234"));
}

pub fn lwsdisp(message: &Message) {
    let from = request(message).headers.from();
    assert_eq!((from.display(), from.tag()), (Some("caller"), Some("323")));
}

pub fn longreq(message: &Message) {
    let request = request(message);
    assert_eq!(request.headers.vias().len(), 34);
    assert_eq!(host(request.headers.to().uri()), "example.com");
    assert_eq!(request.headers.to().uri().port(), Some(6000));
    assert_eq!(
        request.headers.from().tag(),
        Some(&*format!("12{}424", "982".repeat(50)))
    );
    assert_eq!(
        request.headers.from().uri().user(),
        Some(&*"amazinglylongcallername".repeat(5))
    );
    assert_eq!(
        request.headers.vias()[33].branch(),
        Some(&*format!("very{}branchvalue", "long".repeat(50)))
    );
    assert_eq!(request.body.len(), 150);
}

pub fn dblreq(message: &Message) {
    let request = request(message);
    assert_eq!((&request.method, request.body.len()), (&Method::Register, 0));
    assert_eq!(
        request.headers.call_id().as_str(),
        "dblreq.0ha0isndaksdj99sdfafnl3lk233412"
    );
}

pub fn semiuri(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.uri.user_unescaped().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(host(&request.uri), "example.com");
    assert_eq!(request.headers.values("Accept").count(), 6);
}

pub fn transports(message: &Message) {
    let vias = request(message).headers.vias();
    let named: Vec<_> = vias.iter().map(|via| via.transport().as_str()).collect();
    assert_eq!(named, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(vias[0].transport(), &ViaTransport::Udp);
}

pub fn mpart01(message: &Message) {
    let request = request(message);
    assert_eq!((&request.method, request.body.len()), (&Method::Message, 553));
    assert_eq!(request.body_of("text/plain").as_deref(), Some(&b"Hello"[..]));
    let binary = request.body_of("application/octet-stream").unwrap();
    assert_eq!((binary.len(), &binary[..4]), (342, &[0x30, 0x82, 0x01, 0x52][..]));
    assert!(request.headers.via().wants_rport());
    assert_eq!(request.headers.routes().len(), 1);
}

pub fn unreason(message: &Message) {
    let response = response(message);
    assert_eq!(response.reason, "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!((response.status, response.body.len()), (StatusCode::OK, 154));
}

pub fn noreason(message: &Message) {
    let response = response(message);
    assert_eq!(
        (response.status, response.reason.as_str()),
        (StatusCode::TRYING, "")
    );
}

/// §3.1.2.12 lets whoever has no use for Date ignore a bad one; nothing here reads it.
pub fn baddate(message: &Message) {
    assert_eq!(
        request(message).headers.get("Date"),
        Some("Fri, 01 Jan 2010 16:00:00 EST")
    );
}

/// The transaction layer must match it as RFC 2543 does, not by the branch.
pub fn badbranch(message: &Message) {
    let via = request(message).headers.via();
    assert_eq!((via.branch(), via.is_branch_unique()), (Some("z9hG4bK"), false));
}

pub fn unkscm(message: &Message) {
    assert_eq!(
        request(message).uri.scheme(),
        &Scheme::Extension("nobodyknowsthisscheme".into())
    );
}

pub fn novelsc(message: &Message) {
    assert_eq!(request(message).uri.to_string(), "soap.beep://192.0.2.103:3002");
}

pub fn unksm2(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.headers.to().uri().scheme(),
        &Scheme::Extension("isbn".into())
    );
    assert_eq!(
        request.headers.from().uri().scheme(),
        &Scheme::Extension("http".into())
    );
    assert_eq!(
        request.headers.contact().unwrap().uri().to_string(),
        "name:John_Smith"
    );
}

pub fn bext01(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.headers.require(),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(request.headers.values("Proxy-Require").count(), 2);
}

pub fn invut(message: &Message) {
    assert!(
        request(message)
            .content_type()
            .unwrap()
            .is("application/unknownformat")
    );
}

pub fn regaut01(message: &Message) {
    let value = request(message).headers.get("Authorization");
    assert_eq!(value, Some("NoOneKnowsThisScheme opaque-data=here"));
}

/// The transaction layer drops it: the top Via of a response to us is ours, and its second is not.
pub fn bcast(message: &Message) {
    let vias = response(message).headers.vias();
    assert_eq!(vias[1].host(), &Host::parse("255.255.255.255").unwrap());
    assert_eq!(vias.len(), 2);
}

pub fn zeromf(message: &Message) {
    assert_eq!(request(message).headers.max_forwards(), Some(0));
}

pub fn cparam01(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert!(contact.params().has("unknownparam"));
    assert_eq!(contact.uri().to_string(), "sip:+19725552222@gw1.example.net");
}

pub fn cparam02(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert!(contact.params().is_empty());
    assert_eq!(contact.uri().param("unknownparam"), Some(""));
}

pub fn regescrt(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert_eq!(
        contact.uri().header_part(),
        Some("Route=%3Csip:sip.example.com%3E")
    );
}

pub fn sdp01(message: &Message) {
    assert_eq!(
        request(message).headers.values("Accept").collect::<Vec<_>>(),
        ["text/nobodyKnowsThis"]
    );
    assert_eq!(
        request(message).body_of("application/sdp").map(|sdp| sdp.len()),
        Some(150)
    );
}

pub fn inv2543(message: &Message) {
    let request = request(message);
    assert_eq!(
        (request.headers.via().branch(), request.headers.from().tag()),
        (None, None)
    );
    assert_eq!(
        (request.headers.max_forwards(), request.headers.content_length()),
        (None, None)
    );
    assert_eq!(
        request.headers.to().uri().to_string(),
        "sip:+16505552222@ss1.example.net"
    );
    assert_eq!(
        request.headers.record_routes()[0].uri().param("maddr"),
        Some("ss1.example.com")
    );
    assert!(request.body.starts_with(b"v=0\r\n") && request.body.ends_with(b"m=audio 49217 RTP/AVP 0\r\n"));
}
