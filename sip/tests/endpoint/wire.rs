//! Messages written by hand, as a peer other than this stack would.

use sip::endpoint::pair::{Pair, Side};

/// Where the hand-written peer is: the right side's address, with which the left side may speak.
pub const PEER: Side = Side::Right;

/// A request to the left side. `head` are further headers, each with its line end.
pub fn request(method: &str, branch: &str, cseq: u32, head: &str, body: &str) -> String {
    let tags = [";tag=peer", ""];
    tagged(method, branch, cseq, tags, head, body)
}

/// A request with these From and To parameters.
pub fn tagged(method: &str, branch: &str, cseq: u32, tags: [&str; 2], head: &str, body: &str) -> String {
    let [from, to] = tags;
    let cseq_method = method.split(' ').next().unwrap();
    format!(
        "{method} sip:gw@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch};rport\r\n\
         From: <sip:peer@192.0.2.2>{from}\r\n\
         To: <sip:gw@192.0.2.1>{to}\r\n\
         Call-ID: by-hand\r\n\
         CSeq: {cseq} {cseq_method}\r\n\
         Contact: <sip:peer@192.0.2.2:5060>\r\n\
         {head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An INVITE with an offer, or another body of `head`'s type.
pub fn invite(branch: &str, head: &str) -> String {
    request(
        "INVITE",
        branch,
        1,
        &format!("Content-Type: application/sdp\r\n{head}"),
        "offer",
    )
}

/// Gives text to the left side and returns what it sent for it.
pub fn give(pair: &mut Pair, text: &str) -> Vec<String> {
    let before = pair.sent.len();
    pair.inject(Side::Left, PEER.address(), text);
    pair.sent[before..].iter().map(|sent| sent.text.clone()).collect()
}

/// A response to a request the left side sent, as if `tag` had answered it.
pub fn respond(request: &str, status: &str, tag: &str, body: &str) -> String {
    let mut head = String::new();
    for line in request.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap();
        if name == "To" && !tag.is_empty() && !line.contains(";tag=") {
            head.push_str(&format!("{line};tag={tag}\r\n"));
        } else if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
            head.push_str(&format!("{line}\r\n"));
        }
    }
    let user = if tag.is_empty() { "callee" } else { tag };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status}\r\n{head}Contact: <sip:{user}@192.0.2.2:5060>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// First lines.
pub fn lines(texts: &[String]) -> Vec<&str> {
    texts.iter().map(|text| text.lines().next().unwrap()).collect()
}

/// The value of a header.
pub fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The To tag of a response.
pub fn to_tag(text: &str) -> &str {
    header(text, "To").unwrap().split(";tag=").nth(1).unwrap()
}
