//! What is plain to see of an INVITE that begins a dialog, and a refusal made of just that: under overload nothing
//! more of it is read (RFC 3261 §8.2.6, §8.2.7).
//!
//! A shortcut and no guard: what it cannot read at a glance is left to the parser. Knows no transaction.

use std::net::SocketAddr;

use super::Via;
use super::grammar::split_list;
use super::lines::HEADERS_MAX;
use super::top_via::{field, goes_on, split_line};

/// Via lines that are looked at; with more of them it is left to the parser.
const VIA_LINES_MAX: usize = 16;

/// The lines of an INVITE that its refusal takes over.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// The Request-URI.
    pub uri: &'a str,
    vias: Vec<&'a str>,
    from: &'a str,
    to: &'a str,
    call_id: &'a str,
    cseq: &'a str,
}

/// The outline of these bytes, if they are an INVITE without a To tag and all of it is plain to see.
pub fn of_new_invite(bytes: &[u8]) -> Option<Outline<'_>> {
    let rest = bytes.strip_prefix(b"INVITE ")?;
    let (line, mut rest) = plain_line(rest)?;
    let uri = std::str::from_utf8(line).ok()?.strip_suffix(" SIP/2.0")?;
    let mut vias = Vec::new();
    let [mut from, mut to, mut call_id, mut cseq] = [None; 4];
    for _ in 0..=HEADERS_MAX {
        let (line, after) = plain_line(rest)?;
        if line.is_empty() {
            let outline = Outline {
                uri,
                vias,
                from: from?,
                to: to?,
                call_id: call_id?,
                cseq: cseq?,
            };
            return (!outline.vias.is_empty()).then_some(outline);
        }
        rest = after;
        let (name, value) = field(line)?;
        let place = match name {
            _ if is(name, "Via", "v") && vias.len() < VIA_LINES_MAX => {
                vias.push(value);
                continue;
            }
            _ if is(name, "Via", "v") => return None,
            _ if is(name, "From", "f") => &mut from,
            _ if is(name, "To", "t") => &mut to,
            _ if is(name, "Call-ID", "i") => &mut call_id,
            _ if is(name, "CSeq", "CSeq") => &mut cseq,
            _ => continue,
        };
        // Twice the same is for the guard to refuse; a tag makes it a request inside a dialog.
        if place.is_some() || is(name, "To", "t") && value.to_ascii_lowercase().contains(";tag") {
            return None;
        }
        *place = Some(value);
    }
    None
}

impl Outline<'_> {
    /// The topmost Via.
    pub fn via(&self) -> Option<Via> {
        Via::parse(split_list(self.vias.first()?).next()?).ok()
    }

    /// A refusal to `source` with our `tag`, as bytes. Its Via says where the request came from (RFC 3581 §4).
    pub fn refusal(&self, line: &str, tag: &str, retry_after_s: u32, source: SocketAddr) -> Option<Vec<u8>> {
        let top = self.vias.first()?;
        let first = split_list(top).next()?;
        let mut via = Via::parse(first).ok()?;
        via.stamp(source);
        let mut text = format!("SIP/2.0 {line}\r\nVia: {via}");
        if let Some(others) = top.get(first.len()..).filter(|others| !others.is_empty()) {
            text.push_str(others);
        }
        for via in self.vias.iter().skip(1) {
            text.push_str("\r\nVia: ");
            text.push_str(via);
        }
        let lines = [
            ("From", self.from),
            ("To", self.to),
            ("Call-ID", self.call_id),
            ("CSeq", self.cseq),
        ];
        for (name, value) in lines {
            text.push_str("\r\n");
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            if name == "To" {
                text.push_str(";tag=");
                text.push_str(tag);
            }
        }
        text.push_str(&format!(
            "\r\nRetry-After: {retry_after_s}\r\nContent-Length: 0\r\n\r\n"
        ));
        Some(text.into_bytes())
    }
}

/// A line without its end, and what follows. None where it goes on in the next one, or has what a line has not.
fn plain_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, after) = split_line(bytes)?;
    let is_plain = !line.contains(&b'\n') && (line.is_empty() || !goes_on(after));
    is_plain.then_some((line, after))
}

fn is(name: &str, long: &str, short: &str) -> bool {
    name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short)
}

#[cfg(test)]
mod tests {
    use super::super::{Message, StatusCode, parse};
    use super::*;

    const INVITE: &str = "INVITE sip:1@b SIP/2.0\r\nVia: SIP/2.0/UDP c:5060;rport;branch=z9hG4bKd, SIP/2.0/UDP e;branch=x\r\n\
         v: SIP/2.0/UDP f;branch=y\r\nMax-Forwards: 70\r\nf: <sip:a@b>;tag=1\r\nTo : <sip:1@b>\r\ni: k@l\r\nCSeq: 7 INVITE\r\n\
         Contact: <sip:a@c>\r\nContent-Length: 0\r\n\r\n";

    fn source() -> SocketAddr {
        "192.0.2.1:5070".parse().unwrap()
    }

    #[test]
    fn the_refusal_says_what_the_whole_one_would() {
        let outline = of_new_invite(INVITE.as_bytes()).unwrap();
        assert_eq!(outline.uri, "sip:1@b");
        assert_eq!(outline.via().unwrap().branch(), Some("z9hG4bKd"));
        let bytes = outline
            .refusal("503 Service Unavailable", "us", 5, source())
            .unwrap();
        let Ok(Message::Response(response)) = parse(&bytes.clone().into()) else {
            panic!("{}", String::from_utf8_lossy(&bytes));
        };
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers.to().tag(), Some("us"));
        assert_eq!(response.headers.from().tag(), Some("1"));
        assert_eq!(response.headers.call_id().as_str(), "k@l");
        assert_eq!(response.headers.cseq().number, 7);
        assert_eq!(response.headers.get("Retry-After"), Some("5"));
        let text = String::from_utf8(bytes).unwrap();
        let vias: Vec<&str> = text.lines().filter(|line| line.starts_with("Via")).collect();
        assert_eq!(vias.len(), 2);
        assert!(
            vias[0].contains("rport=5070") && vias[0].contains("received=192.0.2.1"),
            "{vias:?}"
        );
        assert!(
            vias[0].contains("SIP/2.0/UDP e;branch=x") && vias[1].contains("branch=y"),
            "{vias:?}"
        );
    }

    #[test]
    fn what_is_no_new_invite_or_not_plain_is_left_to_the_parser() {
        for (from, to) in [
            ("INVITE ", "BYE "),
            ("To : <sip:1@b>", "To: <sip:1@b>;tag=9"),
            ("To : <sip:1@b>", "To: <sip:1@b>;TAG=9"),
            ("f: <sip:a@b>;tag=1", "f: <sip:a@b>\r\n ;tag=1"),
            ("i: k@l", "i: k@l\r\nCall-ID: other"),
            ("i: k@l\r\n", ""),
            (" SIP/2.0\r\nVia", " SIP/3.0\r\nVia"),
            ("Max-Forwards: 70", "no header"),
            ("Max-Forwards: 70", "X: a\nTo: b"),
            ("\r\n\r\n", ""),
        ] {
            let text = INVITE.replacen(from, to, 1);
            assert!(of_new_invite(text.as_bytes()).is_none(), "{text}");
        }
    }
}
