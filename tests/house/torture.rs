//! What the sender of each message of RFC 4475 and RFC 5118 is told: one table for the core in virtual time and for
//! the program on its sockets.
//!
//! The gateway as the table knows it is a user agent without a registrar, told to talk to the addresses of the
//! documents' SDP, and the message comes from a trunk. From any other source every one of them meets silence. What
//! the guard reads in each is in `tests/corpus.rs`.

use std::path::{Path, PathBuf};

use Told::{Call, Silence, Status};

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The last final answer has this status.
    Status(u16),
    /// A call comes in.
    Call,
    /// Nothing is said and nothing happens.
    Silence,
}

/// One message and its verdict.
#[derive(Clone, Copy, Debug)]
pub struct Torture {
    /// As the document calls it.
    pub name: &'static str,
    /// Over UDP.
    pub udp: Told,
    /// Over a TCP connection of its own.
    pub tcp: Told,
    /// What the document calls it and, where our answer is not the one it suggests, why not.
    pub why: &'static str,
}

const fn torture(name: &'static str, udp: Told, why: &'static str) -> Torture {
    Torture {
        name,
        udp,
        tcp: udp,
        why,
    }
}

const fn streamed(name: &'static str, udp: Told, tcp: Told, why: &'static str) -> Torture {
    Torture { name, udp, tcp, why }
}

/// The messages of RFC 4475 in its order.
pub const RFC4475: [Torture; 49] = [
    // §3.1.1: valid.
    torture(
        "wsinv",
        Status(481),
        "valid; its To has a tag, and there is no such dialog (RFC 3261 §12.2.2)",
    ),
    torture(
        "intmeth",
        Status(405),
        "valid; an unknown method, 405 by RFC 3261 §8.2.1",
    ),
    torture("esc01", Call, "valid"),
    torture("escnull", Status(405), "valid; no registrar here"),
    torture(
        "esc02",
        Status(405),
        "valid; its method is not REGISTER but one unknown",
    ),
    torture("lwsdisp", Status(200), "valid"),
    torture("longreq", Call, "valid"),
    streamed(
        "dblreq",
        Status(405),
        Status(400),
        "no registrar here; over a stream its second request is read too, whose SDP has a space before =",
    ),
    torture("semiuri", Status(200), "valid"),
    torture("transports", Status(200), "valid"),
    torture("mpart01", Status(405), "valid; no MESSAGE here"),
    torture("unreason", Silence, "a valid response to no request of ours"),
    torture("noreason", Silence, "a valid response to no request of ours"),
    // §3.1.2: invalid.
    torture(
        "badinv01",
        Silence,
        "its Via cannot be read, so that no answer finds its way",
    ),
    streamed(
        "clerr",
        Status(400),
        Silence,
        "shorter than it says; a stream waits for the rest",
    ),
    torture("ncl", Status(400), "negative Content-Length"),
    torture(
        "scalar02",
        Silence,
        "400 is suggested; its CSeq cannot be copied to an answer",
    ),
    torture("scalarlg", Silence, "a broken response is dropped"),
    torture(
        "quotbal",
        Silence,
        "400 is suggested; its To cannot be copied to an answer",
    ),
    torture("ltgtruri", Status(400), "brackets around the Request-URI"),
    torture("lwsruri", Status(400), "white space inside the Request-URI"),
    torture("lwsstart", Status(400), "white space doubled in the start line"),
    torture("trws", Status(400), "white space after the start line"),
    torture("escruri", Status(400), "headers in the Request-URI"),
    torture(
        "baddate",
        Call,
        "nobody here reads Date, and whoever does not may ignore it",
    ),
    torture("regbadct", Status(400), "headers in a Contact without brackets"),
    torture(
        "badaspec",
        Silence,
        "400 is suggested; its To cannot be copied to an answer",
    ),
    torture("baddn", Silence, "its To and From cannot be copied to an answer"),
    torture("badvers", Status(505), "another version"),
    torture("mismatch01", Status(400), "CSeq names another method"),
    torture("mismatch02", Status(400), "CSeq names another method"),
    torture("bigcode", Silence, "a broken response is dropped"),
    // §3.2: transactions.
    torture("badbranch", Status(200), "matched as RFC 2543 does"),
    // §3.3: applications.
    torture(
        "insuf",
        Silence,
        "400 is suggested; it lacks what an answer is made of",
    ),
    torture("unkscm", Status(416), "unknown scheme"),
    torture("novelsc", Status(416), "known scheme that is not for us"),
    torture("unksm2", Status(405), "no registrar here"),
    torture("bext01", Status(420), "unknown options"),
    torture("invut", Status(415), "unknown body"),
    torture("regaut01", Status(405), "no registrar here"),
    streamed(
        "multi01",
        Status(400),
        Silence,
        "repeated single headers; a stream waits for two octets more",
    ),
    torture("mcl01", Status(400), "two lengths"),
    torture(
        "bcast",
        Silence,
        "a response that is not ours, and nothing is sent to its second Via",
    ),
    torture("zeromf", Status(200), "a user agent answers OPTIONS at zero hops"),
    torture("cparam01", Status(405), "no registrar here"),
    torture("cparam02", Status(405), "no registrar here"),
    torture("regescrt", Status(405), "no registrar here"),
    torture(
        "sdp01",
        Status(406),
        "the answer would be SDP, which its Accept does not take",
    ),
    // §3.4: RFC 2543.
    streamed(
        "inv2543",
        Call,
        Status(400),
        "valid as of 1999; a stream needs a length (RFC 3261 §18.3)",
    ),
];

/// Those of RFC 5118 in its order.
pub const RFC5118: [Torture; 12] = [
    torture("ipv6-good", Status(405), "valid; no registrar here"),
    torture("ipv6-bad", Status(400), "an address without brackets"),
    torture(
        "port-ambiguous",
        Status(405),
        "valid, if not what was meant; no registrar here",
    ),
    torture("port-unambiguous", Status(405), "valid; no registrar here"),
    torture(
        "via-received-param-with-delim",
        Status(481),
        "taken though not valid; a BYE of no dialog",
    ),
    torture("via-received-param-no-delim", Status(200), "valid"),
    torture(
        "ipv6-in-sdp",
        Status(488),
        "valid; this gateway has IPv4 media alone",
    ),
    torture("mult-ip-in-header", Status(481), "valid; a BYE of no dialog"),
    torture("mult-ip-in-sdp", Call, "valid"),
    torture(
        "ipv4-mapped-ipv6",
        Status(488),
        "valid; this gateway has IPv4 media alone",
    ),
    torture(
        "ipv6-bug-abnf-3-colons",
        Status(200),
        "taken though not valid, as §4.10 advises",
    ),
    torture("ipv6-correct-abnf-2-colons", Status(200), "valid"),
];

/// Networks of the documents' SDP, as `media_allow` takes them.
pub const MEDIA: [&str; 2] = ["192.0.2.0/24", "2001:db8::/32"];

/// Both documents' messages with their bytes.
pub fn all() -> Vec<(Torture, Vec<u8>)> {
    let of = |rfc: &'static str| move |torture: &Torture| (*torture, bytes(rfc, torture.name));
    let mut all: Vec<_> = RFC4475.iter().map(of("rfc4475")).collect();
    all.extend(RFC5118.iter().map(of("rfc5118")));
    all
}

/// The folder of one document, `rfc4475` or `rfc5118`.
pub fn folder(rfc: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(rfc)
}

/// One message as it travels.
pub fn bytes(rfc: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(rfc).join(format!("{name}.dat"))).unwrap()
}
