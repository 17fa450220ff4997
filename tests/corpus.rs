//! Text in, verdict out: the torture messages of RFC 4475 and RFC 5118, one file and one expectation each,
//! and properties over mutations of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use sip::message::{
    FieldError, GuardError, Host, Message, Method, Request, Response, Scheme, StatusCode, UriError,
    ViaTransport, parse, refusal,
};
use sip::transport::framer::{Frame, Framer};

/// What becomes of one file.
enum Verdict {
    /// The guard passes it, and these fields are read.
    Passes(fn(&Message)),
    /// The guard passes it with these fields; who must act on it refuses with this status.
    RefusedLater(u16, &'static str, fn(&Message)),
    /// The guard refuses it with this error and the sender is told this status.
    Refused(GuardError, u16),
    /// The guard refuses it and nothing can be answered: a response, or its headers cannot be copied.
    Dropped(GuardError),
}

use Verdict::{Dropped, Passes, Refused, RefusedLater};

const RFC4475: [(&str, Verdict); 49] = [
    // §3.1.1 valid
    ("wsinv", Passes(wsinv)),
    (
        "intmeth",
        RefusedLater(501, "the endpoint: unknown method", intmeth),
    ),
    ("esc01", Passes(esc01)),
    ("escnull", Passes(escnull)),
    ("esc02", RefusedLater(501, "the endpoint: unknown method", esc02)),
    ("lwsdisp", Passes(lwsdisp)),
    ("longreq", Passes(longreq)),
    ("dblreq", Passes(dblreq)),
    ("semiuri", Passes(semiuri)),
    ("transports", Passes(transports)),
    ("mpart01", Passes(mpart01)),
    ("unreason", Passes(unreason)),
    ("noreason", Passes(noreason)),
    // §3.1.2 invalid
    ("badinv01", Dropped(field("Via", FieldError::Parameter))),
    (
        "clerr",
        Refused(
            GuardError::BodyShort {
                expected: 9999,
                actual: 154,
            },
            400,
        ),
    ),
    ("ncl", Refused(field("Content-Length", FieldError::Number), 400)),
    ("scalar02", Dropped(field("CSeq", FieldError::Number))),
    ("scalarlg", Dropped(field("CSeq", FieldError::Number))),
    ("quotbal", Dropped(field("To", FieldError::Quote))),
    ("ltgtruri", Refused(GuardError::RequestUri(UriError::Scheme), 400)),
    ("lwsruri", Refused(GuardError::StartLine, 400)),
    ("lwsstart", Refused(GuardError::StartLine, 400)),
    ("trws", Refused(GuardError::StartLine, 400)),
    ("escruri", Refused(GuardError::RequestUri(UriError::Headers), 400)),
    ("baddate", Passes(baddate)),
    (
        "regbadct",
        Refused(field("Contact", FieldError::Uri(UriError::Headers)), 400),
    ),
    (
        "badaspec",
        Dropped(field("To", FieldError::Uri(UriError::Scheme))),
    ),
    ("baddn", Dropped(field("From", FieldError::DisplayName))),
    ("badvers", Refused(GuardError::Version, 505)),
    ("mismatch01", Refused(GuardError::MethodMismatch, 400)),
    ("mismatch02", Refused(GuardError::MethodMismatch, 400)),
    ("bigcode", Dropped(GuardError::StartLine)),
    // §3.2 transaction layer
    ("badbranch", Passes(badbranch)),
    // §3.3 application layer
    ("insuf", Dropped(GuardError::Missing("From"))),
    (
        "unkscm",
        RefusedLater(416, "who routes the request: unknown scheme", unkscm),
    ),
    (
        "novelsc",
        RefusedLater(416, "who routes the request: unknown scheme", novelsc),
    ),
    (
        "unksm2",
        RefusedLater(405, "the endpoint: no registrar here", unksm2),
    ),
    (
        "bext01",
        RefusedLater(420, "the endpoint: unsupported options", bext01),
    ),
    (
        "invut",
        RefusedLater(415, "the endpoint: unknown body type", invut),
    ),
    (
        "regaut01",
        RefusedLater(405, "the endpoint: no registrar here", regaut01),
    ),
    ("multi01", Refused(GuardError::Repeated("CSeq"), 400)),
    ("mcl01", Refused(GuardError::Repeated("Content-Length"), 400)),
    ("bcast", Passes(bcast)),
    (
        "zeromf",
        RefusedLater(200, "nobody: a user agent answers OPTIONS at zero hops", zeromf),
    ),
    (
        "cparam01",
        RefusedLater(405, "the endpoint: no registrar here", cparam01),
    ),
    (
        "cparam02",
        RefusedLater(405, "the endpoint: no registrar here", cparam02),
    ),
    (
        "regescrt",
        RefusedLater(405, "the endpoint: no registrar here", regescrt),
    ),
    (
        "sdp01",
        RefusedLater(
            406,
            "the endpoint, where it answers with a body not in Accept",
            sdp01,
        ),
    ),
    // §3.4 RFC 2543
    ("inv2543", Passes(inv2543)),
];

const RFC5118: [(&str, Verdict); 12] = [
    ("ipv6-good", Passes(ipv6_good)),
    ("ipv6-bad", Refused(GuardError::RequestUri(UriError::Host), 400)),
    ("port-ambiguous", Passes(port_ambiguous)),
    ("port-unambiguous", Passes(port_unambiguous)),
    ("via-received-param-with-delim", Passes(via_received)),
    ("via-received-param-no-delim", Passes(via_received)),
    ("ipv6-in-sdp", Passes(ipv6_in_sdp)),
    ("mult-ip-in-header", Passes(mult_ip_in_header)),
    ("mult-ip-in-sdp", Passes(mult_ip_in_sdp)),
    ("ipv4-mapped-ipv6", Passes(ipv4_mapped_ipv6)),
    ("ipv6-bug-abnf-3-colons", Passes(ipv6_abnf)),
    ("ipv6-correct-abnf-2-colons", Passes(ipv6_abnf)),
];

#[test]
fn rfc_4475_each_message_meets_its_verdict() {
    judge_all("rfc4475", &RFC4475);
}

#[test]
fn rfc_5118_each_message_meets_its_verdict() {
    judge_all("rfc5118", &RFC5118);
}

/// Over a stream the same verdicts hold, but a message whose length cannot be known ends it.
#[test]
fn rfc_4475_over_a_stream() {
    let unframed = ["ncl", "mcl01", "inv2543"];
    for (name, _) in &RFC4475 {
        let bytes = load("rfc4475", name);
        let mut framer = Framer::default();
        for byte in bytes.iter() {
            framer.push(&[*byte]);
        }
        match framer.poll() {
            Some(Err(broken)) => {
                assert!(unframed.contains(name), "{name}: {}", broken.error);
                assert_eq!(framer.poll(), None, "{name}");
            }
            Some(Ok(Frame::Message(message))) => assert_eq!(parse(&message), parse(&bytes), "{name}"),
            // Content-Length promises more than the RFC's print holds.
            None => assert!(
                ["clerr", "multi01"].contains(name),
                "{name} is not whole"
            ),
            Some(Ok(Frame::Ping | Frame::Pong)) => panic!("{name} is no keep-alive"),
        }
    }
}

fn judge_all(folder: &str, table: &[(&str, Verdict)]) {
    let named: BTreeSet<String> = table.iter().map(|(name, _)| format!("{name}.dat")).collect();
    let files = std::fs::read_dir(folder_of(folder)).unwrap();
    let there: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there, "every file has one verdict");
    for (name, verdict) in table {
        let bytes = load(folder, name);
        let read = parse(&bytes);
        match verdict {
            Passes(check) | RefusedLater(_, _, check) => {
                let message = read.unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&message);
                assert_written_back(name, &message);
            }
            Refused(expected, status) => {
                assert_eq!(read, Err(*expected), "{name}");
                let reply = refusal(&bytes, expected, "ours").unwrap_or_else(|| panic!("{name}: no reply"));
                assert_eq!(reply.status.code(), *status, "{name}");
                assert_written_back(name, &Message::Response(reply));
            }
            Dropped(expected) => {
                assert_eq!(read, Err(*expected), "{name}");
                assert_eq!(refusal(&bytes, expected, "ours"), None, "{name}");
            }
        }
        if let RefusedLater(status, by, _) = verdict {
            let Ok(Message::Request(request)) = parse(&bytes) else {
                panic!("{name}: {by}")
            };
            let reply = Response::to(&request, StatusCode::new(*status).unwrap(), Some("ours"));
            assert_written_back(name, &Message::Response(reply));
        }
    }
}

/// Written and read again, a message is the same in every value (its text may be laid out anew).
fn assert_written_back(name: &str, message: &Message) {
    let bytes = message.to_bytes();
    let again = parse(&bytes).unwrap_or_else(|error| panic!("{name} written: {error}"));
    assert_eq!(again.to_bytes(), bytes, "{name}");
    assert_eq!(again.body(), message.body(), "{name}");
    let (left, right) = (message.headers(), again.headers());
    assert_eq!(
        (left.vias(), left.from(), left.to()),
        (right.vias(), right.from(), right.to()),
        "{name}"
    );
    assert_eq!(
        (left.call_id(), left.cseq()),
        (right.call_id(), right.cseq()),
        "{name}"
    );
}

const fn field(name: &'static str, error: FieldError) -> GuardError {
    GuardError::Field { name, error }
}

fn folder_of(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder)
}

fn load(folder: &str, name: &str) -> Bytes {
    std::fs::read(folder_of(folder).join(format!("{name}.dat")))
        .unwrap()
        .into()
}

fn request(message: &Message) -> &Request {
    match message {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(message: &Message) -> &Response {
    match message {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn host(uri: &sip::message::Uri) -> String {
    uri.host().unwrap().to_string()
}

fn wsinv(message: &Message) {
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

fn intmeth(message: &Message) {
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

fn esc01(message: &Message) {
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

fn escnull(message: &Message) {
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

fn esc02(message: &Message) {
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

fn lwsdisp(message: &Message) {
    let from = request(message).headers.from();
    assert_eq!((from.display(), from.tag()), (Some("caller"), Some("323")));
}

fn longreq(message: &Message) {
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

fn dblreq(message: &Message) {
    let request = request(message);
    assert_eq!((&request.method, request.body.len()), (&Method::Register, 0));
    assert_eq!(
        request.headers.call_id().as_str(),
        "dblreq.0ha0isndaksdj99sdfafnl3lk233412"
    );
}

fn semiuri(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.uri.user_unescaped().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(host(&request.uri), "example.com");
    assert_eq!(request.headers.values("Accept").count(), 6);
}

fn transports(message: &Message) {
    let vias = request(message).headers.vias();
    let named: Vec<_> = vias.iter().map(|via| via.transport().as_str()).collect();
    assert_eq!(named, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(vias[0].transport(), &ViaTransport::Udp);
}

fn mpart01(message: &Message) {
    let request = request(message);
    assert_eq!((&request.method, request.body.len()), (&Method::Message, 553));
    assert_eq!(request.body_of("text/plain").as_deref(), Some(&b"Hello"[..]));
    let binary = request.body_of("application/octet-stream").unwrap();
    assert_eq!((binary.len(), &binary[..4]), (342, &[0x30, 0x82, 0x01, 0x52][..]));
    assert!(request.headers.via().wants_rport());
    assert_eq!(request.headers.routes().len(), 1);
}

fn unreason(message: &Message) {
    let response = response(message);
    assert_eq!(response.reason, "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!((response.status, response.body.len()), (StatusCode::OK, 154));
}

fn noreason(message: &Message) {
    let response = response(message);
    assert_eq!(
        (response.status, response.reason.as_str()),
        (StatusCode::TRYING, "")
    );
}

/// §3.1.2.12 lets whoever has no use for Date ignore a bad one; nothing here reads it.
fn baddate(message: &Message) {
    assert_eq!(
        request(message).headers.get("Date"),
        Some("Fri, 01 Jan 2010 16:00:00 EST")
    );
}

/// The transaction layer must match it as RFC 2543 does, not by the branch.
fn badbranch(message: &Message) {
    let via = request(message).headers.via();
    assert_eq!((via.branch(), via.is_branch_unique()), (Some("z9hG4bK"), false));
}

fn unkscm(message: &Message) {
    assert_eq!(
        request(message).uri.scheme(),
        &Scheme::Extension("nobodyknowsthisscheme".into())
    );
}

fn novelsc(message: &Message) {
    assert_eq!(request(message).uri.to_string(), "soap.beep://192.0.2.103:3002");
}

fn unksm2(message: &Message) {
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

fn bext01(message: &Message) {
    let request = request(message);
    assert_eq!(
        request.headers.require(),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(request.headers.values("Proxy-Require").count(), 2);
}

fn invut(message: &Message) {
    assert!(
        request(message)
            .content_type()
            .unwrap()
            .is("application/unknownformat")
    );
}

fn regaut01(message: &Message) {
    let value = request(message).headers.get("Authorization");
    assert_eq!(value, Some("NoOneKnowsThisScheme opaque-data=here"));
}

/// The transaction layer drops it: the top Via of a response to us is ours, and its second is not.
fn bcast(message: &Message) {
    let vias = response(message).headers.vias();
    assert_eq!(vias[1].host(), &Host::parse("255.255.255.255").unwrap());
    assert_eq!(vias.len(), 2);
}

fn zeromf(message: &Message) {
    assert_eq!(request(message).headers.max_forwards(), Some(0));
}

fn cparam01(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert!(contact.params().has("unknownparam"));
    assert_eq!(contact.uri().to_string(), "sip:+19725552222@gw1.example.net");
}

fn cparam02(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert!(contact.params().is_empty());
    assert_eq!(contact.uri().param("unknownparam"), Some(""));
}

fn regescrt(message: &Message) {
    let contact = request(message).headers.contact().unwrap();
    assert_eq!(
        contact.uri().header_part(),
        Some("Route=%3Csip:sip.example.com%3E")
    );
}

fn sdp01(message: &Message) {
    assert_eq!(
        request(message).headers.values("Accept").collect::<Vec<_>>(),
        ["text/nobodyKnowsThis"]
    );
    assert_eq!(
        request(message).body_of("application/sdp").map(|sdp| sdp.len()),
        Some(150)
    );
}

fn inv2543(message: &Message) {
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

fn ipv6_good(message: &Message) {
    let request = request(message);
    assert_eq!(host(&request.uri), "[2001:db8::10]");
    assert_eq!(request.headers.via().host().to_string(), "[2001:db8::9:1]");
    assert_eq!(host(request.headers.contact().unwrap().uri()), "[2001:db8::1]");
}

fn port_ambiguous(message: &Message) {
    let uri = &request(message).uri;
    assert_eq!((host(uri), uri.port()), ("[2001:db8::10:5070]".to_owned(), None));
}

fn port_unambiguous(message: &Message) {
    let uri = &request(message).uri;
    assert_eq!((host(uri), uri.port()), ("[2001:db8::10]".to_owned(), Some(5070)));
}

fn via_received(message: &Message) {
    let via = request(message).headers.via();
    assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
    assert!(via.is_branch_unique());
}

fn ipv6_in_sdp(message: &Message) {
    let request = request(message);
    assert_eq!(host(request.headers.to().uri()), "[2001:db8::10]");
    assert_eq!(request.body_of("application/sdp").map(|sdp| sdp.len()), Some(251));
}

fn mult_ip_in_header(message: &Message) {
    let vias = request(message).headers.vias();
    assert_eq!(
        (vias[0].host().to_string(), vias[0].port()),
        ("[2001:db8::9:1]".to_owned(), Some(6050))
    );
    assert_eq!(vias[1].host().to_string(), "192.0.2.1");
    assert_eq!(vias[2].received(), Some("192.0.2.200".parse().unwrap()));
}

fn mult_ip_in_sdp(message: &Message) {
    assert_eq!(
        request(message).body_of("application/sdp").map(|sdp| sdp.len()),
        Some(189)
    );
}

fn ipv4_mapped_ipv6(message: &Message) {
    let request = request(message);
    assert_eq!(request.headers.via().port(), Some(19823));
    assert_eq!(request.headers.vias()[1].host().to_string(), "[::ffff:192.0.2.2]");
    assert_eq!(
        host(request.headers.contact().unwrap().uri()),
        "[::ffff:192.0.2.2]"
    );
}

fn ipv6_abnf(message: &Message) {
    assert_eq!(host(&request(message).uri), "[2001:db8::c000:201]");
    assert_eq!(host(request(message).headers.to().uri()), "[2001:db8::c000:201]");
}

/// One change to the bytes of a message.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    use prop::sample::Index;
    let special = prop::sample::select(b"\r\n\t \0:;,<>@\"\\%=[]?/".to_vec());
    let byte = prop_oneof![special, any::<u8>()];
    let one = prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), prop::collection::vec(byte, 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..40usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1..200usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ];
    prop::collection::vec(one, 0..5)
}

fn mutate(bytes: &[u8], mutations: &[Mutation]) -> Bytes {
    let mut bytes = bytes.to_vec();
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let span = |at: usize, count: usize| at..(at + count).min(bytes.len());
        match mutation {
            Mutation::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Mutation::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Mutation::Remove(at, count) => {
                let gone = span(at.index(bytes.len()), *count);
                bytes.drain(gone);
            }
            Mutation::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let piece = bytes[span(at, *count)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.into()
}

fn any_message() -> impl Strategy<Value = Bytes> {
    let named = |folder, table: &[(&'static str, Verdict)]| -> Vec<Bytes> {
        table.iter().map(|(name, _)| load(folder, name)).collect()
    };
    let all = [named("rfc4475", &RFC4475), named("rfc5118", &RFC5118)].concat();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes in, nothing panics, and what was made of it is valid (SAFETY B12).
    #[test]
    fn replies_to_mutated_messages_are_valid(message in any_message(), mutations in mutations(), code in 100u16..700) {
        let bytes = mutate(&message, &mutations);
        match parse(&bytes) {
            Ok(read) => {
                let written = read.to_bytes();
                prop_assert_eq!(parse(&written).map(|again| again.to_bytes()), Ok(written));
                if let Message::Request(mut request) = read {
                    request.headers.stamp_source("[2001:db8::7]:4321".parse().unwrap());
                    let reply = Response::to(&request, StatusCode::new(code).unwrap(), Some("ours"));
                    let Ok(Message::Response(again)) = parse(&reply.to_bytes()) else { panic!("{reply:?}") };
                    prop_assert_eq!(again.headers.vias(), request.headers.vias());
                    prop_assert_eq!(again.headers.from(), request.headers.from());
                    prop_assert_eq!(again.headers.cseq(), request.headers.cseq());
                    prop_assert!(again.headers.to().tag().is_some());
                    let cancel = request.cancel().to_bytes();
                    prop_assert!(parse(&cancel).is_ok(), "{:?}", cancel);
                }
            }
            Err(error) => {
                if let Some(reply) = refusal(&bytes, &error, "ours") {
                    prop_assert!(parse(&reply.to_bytes()).is_ok(), "{:?}", reply);
                }
            }
        }
    }

    /// A stream of mutated messages comes apart the same however it is cut, and nothing follows an error.
    #[test]
    fn splits_of_a_mutated_stream_change_nothing(
        messages in prop::collection::vec((any_message(), mutations()), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|(message, mutations)| mutate(message, mutations)).collect();
        prop_assume!(!stream.is_empty());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(frames(&pieces), frames(&[&stream]));
    }

    /// Bytes without any sense never panic.
    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let error = parse(&bytes).unwrap_err();
        prop_assert_eq!(refusal(&bytes, &error, "ours"), None);
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<GuardError>) {
    let (mut framer, mut frames, mut error) = (Framer::default(), Vec::new(), None);
    for piece in pieces {
        framer.push(piece);
        while let Some(polled) = framer.poll() {
            match polled {
                Ok(frame) => {
                    assert_eq!(error, None, "a frame after an error");
                    frames.push(frame);
                }
                Err(broken) => error = Some(broken.error),
            }
        }
    }
    (frames, error)
}
