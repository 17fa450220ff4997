//! Text in, verdict out: what is read in the torture messages of RFC 4475 and RFC 5118, one file and one
//! expectation each, and properties over mutations of them. What their senders are told: `house::torture`.

use std::collections::BTreeSet;

use bytes::Bytes;
use house::torture::{self, Told};
use sip::message::{
    FieldError, GuardError, Message, Request, Response, StatusCode, UriError, parse, refusal,
};
use sip::transport::framer::{Frame, Framer};

#[path = "corpus/mutation.rs"]
mod mutation;
#[path = "corpus/rfc4475.rs"]
mod rfc4475;
#[path = "corpus/rfc5118.rs"]
mod rfc5118;

/// What becomes of one file.
enum Verdict {
    /// The guard passes it, and these fields are read.
    Passes(fn(&Message)),
    /// The guard refuses it with this error and the sender is told the status of `house::torture`.
    Refused(GuardError),
    /// The guard refuses it and nothing can be answered: a response, or its headers cannot be copied.
    Dropped(GuardError),
}

use Verdict::{Dropped, Passes, Refused};
use rfc4475::*;
use rfc5118::*;

const RFC4475: [(&str, Verdict); 49] = [
    // §3.1.1 valid
    ("wsinv", Passes(wsinv)),
    ("intmeth", Passes(intmeth)),
    ("esc01", Passes(esc01)),
    ("escnull", Passes(escnull)),
    ("esc02", Passes(esc02)),
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
        Refused(GuardError::BodyShort {
            expected: 9999,
            actual: 154,
        }),
    ),
    ("ncl", Refused(field("Content-Length", FieldError::Number))),
    ("scalar02", Dropped(field("CSeq", FieldError::Number))),
    ("scalarlg", Dropped(field("CSeq", FieldError::Number))),
    ("quotbal", Dropped(field("To", FieldError::Quote))),
    ("ltgtruri", Refused(GuardError::RequestUri(UriError::Scheme))),
    ("lwsruri", Refused(GuardError::StartLine)),
    ("lwsstart", Refused(GuardError::StartLine)),
    ("trws", Refused(GuardError::StartLine)),
    ("escruri", Refused(GuardError::RequestUri(UriError::Headers))),
    ("baddate", Passes(baddate)),
    (
        "regbadct",
        Refused(field("Contact", FieldError::Uri(UriError::Headers))),
    ),
    (
        "badaspec",
        Dropped(field("To", FieldError::Uri(UriError::Scheme))),
    ),
    ("baddn", Dropped(field("From", FieldError::DisplayName))),
    ("badvers", Refused(GuardError::Version)),
    ("mismatch01", Refused(GuardError::MethodMismatch)),
    ("mismatch02", Refused(GuardError::MethodMismatch)),
    ("bigcode", Dropped(GuardError::StartLine)),
    // §3.2 transaction layer
    ("badbranch", Passes(badbranch)),
    // §3.3 application layer
    ("insuf", Dropped(GuardError::Missing("From"))),
    ("unkscm", Passes(unkscm)),
    ("novelsc", Passes(novelsc)),
    ("unksm2", Passes(unksm2)),
    ("bext01", Passes(bext01)),
    ("invut", Passes(invut)),
    ("regaut01", Passes(regaut01)),
    ("multi01", Refused(GuardError::Repeated("CSeq"))),
    ("mcl01", Refused(GuardError::Repeated("Content-Length"))),
    ("bcast", Passes(bcast)),
    ("zeromf", Passes(zeromf)),
    ("cparam01", Passes(cparam01)),
    ("cparam02", Passes(cparam02)),
    ("regescrt", Passes(regescrt)),
    ("sdp01", Passes(sdp01)),
    // §3.4 RFC 2543
    ("inv2543", Passes(inv2543)),
];

const RFC5118: [(&str, Verdict); 12] = [
    ("ipv6-good", Passes(ipv6_good)),
    ("ipv6-bad", Refused(GuardError::RequestUri(UriError::Host))),
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
            None => assert!(["clerr", "multi01"].contains(name), "{name} is not whole"),
            Some(Ok(Frame::Ping | Frame::Pong)) => panic!("{name} is no keep-alive"),
        }
    }
}

fn judge_all(folder: &str, table: &[(&str, Verdict)]) {
    let named: BTreeSet<String> = table.iter().map(|(name, _)| format!("{name}.dat")).collect();
    let files = std::fs::read_dir(torture::folder(folder)).unwrap();
    let there: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there, "every file has one verdict");
    for (name, verdict) in table {
        let bytes = load(folder, name);
        let read = parse(&bytes);
        match verdict {
            Passes(check) => {
                let message = read.unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&message);
                assert_written_back(name, &message);
                if let (Message::Request(request), Told::Status(status)) = (&message, told(name)) {
                    let reply = Response::to(request, StatusCode::new(status).unwrap(), Some("ours"));
                    assert_written_back(name, &Message::Response(reply));
                }
            }
            Refused(expected) => {
                assert_eq!(read, Err(*expected), "{name}");
                let reply = refusal(&bytes, expected, "ours").unwrap_or_else(|| panic!("{name}: no reply"));
                assert_eq!(Told::Status(reply.status.code()), told(name), "{name}");
                assert_written_back(name, &Message::Response(reply));
            }
            Dropped(expected) => {
                assert_eq!(read, Err(*expected), "{name}");
                assert_eq!(refusal(&bytes, expected, "ours"), None, "{name}");
                assert_eq!(told(name), Told::Silence, "{name}");
            }
        }
    }
}

/// What the sender of this message is told.
fn told(name: &str) -> Told {
    let mut all = torture::RFC4475.iter().chain(&torture::RFC5118);
    let of_name = all.find(|message| message.name == name);
    of_name.unwrap_or_else(|| panic!("no verdict of {name}")).udp
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

fn load(folder: &str, name: &str) -> Bytes {
    torture::bytes(folder, name).into()
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
